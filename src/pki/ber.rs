//! Turns BER (X.690) into DER, as far as PKCS#12 needs it. NSS, and so Firefox, writes indefinite lengths and strings in
//! pieces, which DER readers reject.

use crate::x509::der::element;
use crate::x509::der::tag::{self, OBJECT_IDENTIFIER as OID, OCTET_STRING, SEQUENCE};

/// An element. It is written with a definite length of the shortest form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) tag: u8,
    pub(super) content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    Octets(Vec<u8>),
    Elements(Vec<Element>),
}

/// `[0]`.
pub(super) const CONTEXT_0: u8 = tag::constructed(0);
const CONSTRUCTED: u8 = 0x20;

/// PKCS#12 needs about fifteen.
const MAX_DEPTH: usize = 32;

impl Element {
    /// Reads one element, after which nothing may follow. `None`: it is not BER, or nested more deeply than any PKCS#12
    /// file. A string in pieces is joined; its content is not examined.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let element = read(&mut rest, MAX_DEPTH)?;
        rest.is_empty().then_some(element)
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let content = match &self.content {
            Content::Octets(octets) => octets.clone(),
            Content::Elements(elements) => elements.iter().flat_map(Element::write).collect(),
        };
        element(self.tag, &content)
    }

    /// The elements in it; none if it holds octets.
    pub(super) fn elements(&self) -> &[Element] {
        match &self.content {
            Content::Octets(_) => &[],
            Content::Elements(elements) => elements,
        }
    }

    /// Its octets, if it has this tag and holds octets.
    pub(super) fn octets(&self, tag: u8) -> Option<&[u8]> {
        match &self.content {
            Content::Octets(octets) if self.tag == tag => Some(octets),
            _ => None,
        }
    }
}

fn read(rest: &mut &[u8], depth: usize) -> Option<Element> {
    let tag = take(rest, 1)?[0];
    // Tags of several octets (X.690, section 8.1.2.4) do not occur.
    if depth == 0 || tag & 0x1f == 0x1f {
        return None;
    }
    let is_constructed = tag & CONSTRUCTED != 0;
    let content = match (length(rest)?, is_constructed) {
        (Some(length), false) => Content::Octets(take(rest, length)?.to_vec()),
        (Some(length), true) => {
            let mut inside = take(rest, length)?;
            let mut elements = Vec::new();
            while !inside.is_empty() {
                elements.push(read(&mut inside, depth - 1)?);
            }
            Content::Elements(elements)
        }
        // Up to the two octets that end it (X.690, section 8.1.3.6).
        (None, true) => {
            let mut elements = Vec::new();
            while !rest.starts_with(&[0, 0]) {
                elements.push(read(rest, depth - 1)?);
            }
            take(rest, 2)?;
            Content::Elements(elements)
        }
        (None, false) => return None,
    };
    joined(Element { tag, content })
}

/// Joins a string in pieces (X.690, section 8.7.3). There are two kinds: a constructed octet string, and encrypted content,
/// which is the third element and an octet string with the tag `[0]` (RFC 5652, section 6.1).
fn joined(mut element: Element) -> Option<Element> {
    if element.tag == OCTET_STRING | CONSTRUCTED {
        return Some(Element { tag: OCTET_STRING, content: Content::Octets(pieces(&element)?) });
    }
    if let Content::Elements(elements) = &mut element.content
        && let [kind, algorithm, content] = elements.as_mut_slice()
        && (element.tag, kind.tag, algorithm.tag, content.tag) == (SEQUENCE, OID, SEQUENCE, CONTEXT_0)
    {
        *content = Element { tag: CONTEXT_0 & !CONSTRUCTED, content: Content::Octets(pieces(content)?) };
    }
    Some(element)
}

fn pieces(element: &Element) -> Option<Vec<u8>> {
    let pieces = element.elements().iter().map(|piece| piece.octets(OCTET_STRING));
    Some(pieces.collect::<Option<Vec<_>>>()?.concat())
}

/// `None` inside: the length is indefinite.
fn length(rest: &mut &[u8]) -> Option<Option<usize>> {
    match take(rest, 1)?[0] {
        short @ 0..=0x7f => Some(Some(short.into())),
        0x80 => Some(None),
        long @ 0x81..=0x84 => {
            let octets = take(rest, usize::from(long & 0x7f))?;
            Some(Some(octets.iter().fold(0, |length, octet| length << 8 | usize::from(*octet))))
        }
        0x85.. => None,
    }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made_der(ber: &[u8]) -> Option<Vec<u8>> {
        Element::read(ber).map(|element| element.write())
    }

    #[test]
    fn what_is_der_stays_as_it_is() {
        let long = [&[0x30, 0x81, 0x84, 0x04, 0x81, 0x81][..], &[7; 0x81]].concat();
        for der in [&[0x30, 0][..], &[0x30, 3, 2, 1, 3], &[0xa0, 2, 5, 0], &long] {
            assert_eq!(made_der(der).as_deref(), Some(der));
        }
    }

    #[test]
    fn lengths_are_said_as_shortly_as_can_be_and_strings_are_in_one_piece() {
        // X.690, 8.1.3.6, 8.1.3.5 (note 2) and 8.7.3.
        assert_eq!(made_der(&[0x30, 0x80, 2, 1, 3, 0, 0]).unwrap(), [0x30, 3, 2, 1, 3]);
        assert_eq!(made_der(&[0x30, 0x83, 0, 0, 3, 2, 0x81, 1]), None);
        assert_eq!(made_der(&[0x30, 0x83, 0, 0, 3, 2, 1, 9]).unwrap(), [0x30, 3, 2, 1, 9]);
        assert_eq!(made_der(&[0x24, 0x80, 4, 1, 7, 0x24, 3, 4, 1, 8, 0, 0]).unwrap(), [4, 2, 7, 8]);
        let encrypted = [0x30, 0x80, 6, 1, 1, 0x30, 0, 0xa0, 0x80, 4, 1, 7, 4, 1, 8, 0, 0, 0, 0];
        assert_eq!(made_der(&encrypted).unwrap(), [0x30, 9, 6, 1, 1, 0x30, 0, 0x80, 2, 7, 8]);
        // Another [0] is no string.
        assert_eq!(
            made_der(&[0x30, 0x80, 6, 1, 1, 0xa0, 0x80, 4, 1, 7, 0, 0, 0, 0]).unwrap(),
            [0x30, 8, 6, 1, 1, 0xa0, 3, 4, 1, 7]
        );
    }

    #[test]
    fn what_is_no_ber_or_deeper_than_32_is_not_read() {
        for bytes in [
            &[][..],
            &[0x30],
            &[0x30, 1],
            &[0x30, 0, 0],
            &[0x30, 0x80],
            &[0x30, 0x80, 0],
            &[0x02, 0x80, 0, 0],
            &[0x3f, 0x81, 1, 0],
            &[0x30, 0x85, 0, 0, 0, 0, 0],
            &[0x24, 3, 2, 1, 7],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert_eq!(Element::read(bytes), None, "{bytes:?}");
        }
        let nested =
            |depth| (0..depth).fold(Vec::new(), |inside: Vec<u8>, _| [&[0x30, 0x80][..], &inside, &[0, 0]].concat());
        assert!(Element::read(&nested(MAX_DEPTH)).is_some());
        assert_eq!(Element::read(&nested(MAX_DEPTH + 1)), None);
        assert_eq!(Element::read(&[0x30, 0x80].repeat(500_000)), None);
    }
}
