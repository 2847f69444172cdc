//! Reads DER (X.690, section 10) strictly: every length is definite and minimal, and nothing is left over. Everything that
//! decides a verdict is read here, so that no certificate has two meanings.

use crate::hex::hex;

/// Universal tags, including the bit of constructed ones.
pub(crate) mod tag {
    pub(crate) const BOOLEAN: u8 = 0x01;
    pub(crate) const INTEGER: u8 = 0x02;
    pub(crate) const BIT_STRING: u8 = 0x03;
    pub(crate) const OCTET_STRING: u8 = 0x04;
    pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
    pub(crate) const UTF8_STRING: u8 = 0x0c;
    pub(crate) const NUMERIC_STRING: u8 = 0x12;
    pub(crate) const PRINTABLE_STRING: u8 = 0x13;
    pub(crate) const T61_STRING: u8 = 0x14;
    pub(crate) const IA5_STRING: u8 = 0x16;
    pub(crate) const UTC_TIME: u8 = 0x17;
    pub(crate) const GENERALIZED_TIME: u8 = 0x18;
    pub(crate) const VISIBLE_STRING: u8 = 0x1a;
    pub(crate) const UNIVERSAL_STRING: u8 = 0x1c;
    pub(crate) const BMP_STRING: u8 = 0x1e;
    pub(crate) const SEQUENCE: u8 = 0x30;
    pub(crate) const SET: u8 = 0x31;

    /// `[number]`, primitive.
    pub(crate) const fn context(number: u8) -> u8 {
        0x80 | number
    }

    /// `[number]`, constructed.
    pub(crate) const fn constructed(number: u8) -> u8 {
        0xa0 | number
    }
}

/// The bytes are not the DER that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotDer;

/// One element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Element<'a> {
    /// The identifier octet: class, primitive or constructed, and number, which is below 31.
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    /// Including its header.
    pub(crate) whole: &'a [u8],
}

/// Reads elements one after another.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Reads the content of the single element in `bytes`, which has to have this tag.
    pub(crate) fn of(bytes: &'a [u8], tag: u8) -> Result<Self, NotDer> {
        only(bytes, tag).map(Self::new)
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    /// Nothing may be left.
    pub(crate) fn end(&self) -> Result<(), NotDer> {
        if self.is_at_end() { Ok(()) } else { Err(NotDer) }
    }

    /// The tag of the next element, if there is one.
    pub(crate) fn next_tag(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next element, whatever it is.
    pub(crate) fn any(&mut self) -> Result<Element<'a>, NotDer> {
        const NUMBER: u8 = 0x1f;
        let &[tag, first, ref rest @ ..] = self.0 else { return Err(NotDer) };
        if tag & NUMBER == NUMBER {
            return Err(NotDer);
        }
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f)).ok_or(NotDer)?;
                let length = octets.iter().fold(0, |length, octet| length << 8 | usize::from(*octet));
                // The shortest form: no leading zero, and no length that fits the short form.
                if octets[0] == 0 || length < 0x80 {
                    return Err(NotDer);
                }
                (length, rest)
            }
            _ => return Err(NotDer),
        };
        let (content, rest) = rest.split_at_checked(length).ok_or(NotDer)?;
        let whole = &self.0[..self.0.len() - rest.len()];
        self.0 = rest;
        Ok(Element { tag, content, whole })
    }

    /// The content of the next element, which has to have this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Result<&'a [u8], NotDer> {
        self.expect_whole(tag).map(|element| element.content)
    }

    /// The next element, which has to have this tag.
    pub(crate) fn expect_whole(&mut self, tag: u8) -> Result<Element<'a>, NotDer> {
        self.any().and_then(|element| if element.tag == tag { Ok(element) } else { Err(NotDer) })
    }

    /// The content of the next element, if it has this tag.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, NotDer> {
        if self.0.first() == Some(&tag) { self.expect(tag).map(Some) } else { Ok(None) }
    }

    /// A BOOLEAN that defaults to false. An explicit false is accepted too.
    pub(crate) fn boolean_or_false(&mut self) -> Result<bool, NotDer> {
        match self.optional(tag::BOOLEAN)? {
            None | Some([0x00]) => Ok(false),
            Some([0xff]) => Ok(true),
            Some(_) => Err(NotDer),
        }
    }

    /// Reads the next element, a SEQUENCE, with `read`, which has to read all of it.
    pub(crate) fn sequence<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, NotDer>) -> Result<T, NotDer> {
        let mut inside = Self::new(self.expect(tag::SEQUENCE)?);
        let found = read(&mut inside)?;
        inside.end()?;
        Ok(found)
    }

    /// Calls `read` until nothing is left.
    pub(crate) fn all<T>(mut self, mut read: impl FnMut(&mut Self) -> Result<T, NotDer>) -> Result<Vec<T>, NotDer> {
        let mut found = Vec::new();
        while !self.is_at_end() {
            found.push(read(&mut self)?);
        }
        Ok(found)
    }

    /// The same, but at least one element is required.
    pub(crate) fn one_or_more<T>(self, read: impl FnMut(&mut Self) -> Result<T, NotDer>) -> Result<Vec<T>, NotDer> {
        self.all(read).and_then(|found| if found.is_empty() { Err(NotDer) } else { Ok(found) })
    }

    /// An OBJECT IDENTIFIER: its content. Each arc has to have the shortest form.
    pub(crate) fn object_identifier(&mut self) -> Result<&'a [u8], NotDer> {
        let content = self.expect(tag::OBJECT_IDENTIFIER)?;
        let starts = std::iter::once(&0).chain(content).zip(content).filter(|(before, _)| **before < 0x80);
        let is_minimal = starts.into_iter().all(|(_, first)| *first != 0x80);
        let is_whole = content.last().is_some_and(|last| *last < 0x80);
        if is_minimal && is_whole { Ok(content) } else { Err(NotDer) }
    }
}

/// Writes an element.
#[cfg(any(test, feature = "pki"))]
pub(crate) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let octets = content.len().to_be_bytes();
    let octets = &octets[octets.iter().position(|octet| *octet != 0).unwrap_or(octets.len() - 1)..];
    let mut der = vec![tag];
    if content.len() >= 0x80 {
        // At most 8.
        der.push(0x80 | octets.len() as u8);
    }
    der.extend_from_slice(octets);
    der.extend_from_slice(content);
    der
}

/// The content of the single element in `bytes`, which has to have this tag.
pub(crate) fn only(bytes: &[u8], tag: u8) -> Result<&[u8], NotDer> {
    let mut reader = Reader::new(bytes);
    let content = reader.expect(tag)?;
    reader.end()?;
    Ok(content)
}

/// The content of an INTEGER, if it has the shortest form.
pub(crate) fn integer(content: &[u8]) -> Result<&[u8], NotDer> {
    match content {
        [] | [0x00, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..] => Err(NotDer),
        _ => Ok(content),
    }
}

/// The same as a number from 0; numbers above the largest `u32` become that.
pub(crate) fn natural(content: &[u8]) -> Result<u32, NotDer> {
    match integer(content)? {
        [0x80..=0xff, ..] => Err(NotDer),
        [octets @ .., last] if octets.len() < 5 => {
            let number = octets.iter().chain([last]).fold(0, |number, octet| number << 8 | u64::from(*octet));
            Ok(u32::try_from(number).unwrap_or(u32::MAX))
        }
        _ => Ok(u32::MAX),
    }
}

/// The content of an OBJECT IDENTIFIER with dots: `2.5.29.15`. If an arc has more than 128 bits, it is shown as `#` and
/// hexadecimal digits, so that no two have the same text.
pub(crate) fn dotted(content: &[u8]) -> String {
    let mut text = String::new();
    let mut arc: u128 = 0;
    for octet in content {
        let Some(next) = arc.checked_mul(128) else { return hexadecimal(content) };
        arc = next | u128::from(octet & 0x7f);
        if *octet < 0x80 {
            if text.is_empty() {
                let first = (arc / 40).min(2);
                text.push_str(itoa::Buffer::new().format(first));
                arc -= first * 40;
            }
            text.push('.');
            text.push_str(itoa::Buffer::new().format(arc));
            arc = 0;
        }
    }
    text
}

/// `#` and hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    format!("#{}", hex(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_has_one_form() {
        let long = [&[0x04, 0x81, 0x80][..], &[7; 128]].concat();
        assert_eq!(Reader::of(&long, tag::OCTET_STRING).unwrap().0, [7; 128]);
        let padded = [&[0x04, 0x82, 0x00, 0x80][..], &[7; 128]].concat();
        for wrong in
            [&[0x04, 0x81, 0x01, 0x07][..], &padded, &[0x04, 0x80, 0x00, 0x00], &[0x04, 0x02, 0x07], &[0x04], &[]]
        {
            assert!(Reader::of(wrong, tag::OCTET_STRING).is_err(), "{wrong:02x?}");
        }
        assert!(Reader::of(&[0x04, 0x00, 0x00], tag::OCTET_STRING).is_err(), "something is left over");
        assert!(Reader::new(&[0x1f, 0x81, 0x00, 0x00]).any().is_err(), "a tag of several octets");
    }

    #[test]
    fn arcs_are_not_padded() {
        for right in [&[0x06, 0x03, 0x55, 0x1d, 0x25][..], &[0x06, 0x02, 0x81, 0x00], &[0x06, 0x01, 0x2a]] {
            assert!(Reader::new(right).object_identifier().is_ok(), "{right:02x?}");
        }
        for wrong in
            [&[0x06, 0x04, 0x55, 0x1d, 0x80, 0x25][..], &[0x06, 0x02, 0x80, 0x55], &[0x06, 0x01, 0x81], &[0x06, 0x00]]
        {
            assert!(Reader::new(wrong).object_identifier().is_err(), "{wrong:02x?}");
        }
        assert_eq!(dotted(&[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02]), "1.3.6.1.5.5.7.3.2");
        assert_eq!(dotted(&[0x88, 0x37, 0x01]), "2.999.1");
        let largest = [&[0x69, 0x83][..], &[0xff; 17], &[0x7f]].concat();
        assert_eq!(dotted(&largest), format!("2.25.{}", u128::MAX));
        let larger = [&[0x55, 0x04, 0x84][..], &[0x80; 17], &[0x03]].concat();
        assert_eq!(dotted(&larger), format!("#550484{}03", "80".repeat(17)), "and not 2.5.4.3");
    }

    #[test]
    fn numbers_are_read_as_they_are_meant() {
        assert_eq!([&[0][..], &[0x7f], &[0x00, 0xff], &[0x01, 0x2c]].map(natural), [Ok(0), Ok(127), Ok(255), Ok(300)]);
        assert_eq!(natural(&[0x7f; 9]), Ok(u32::MAX));
        assert_eq!(natural(&[0x00, 0xff, 0xff, 0xff, 0xff]), Ok(u32::MAX));
        for wrong in [&[][..], &[0x80], &[0x00, 0x01], &[0xff, 0xff]] {
            assert_eq!(natural(wrong), Err(NotDer), "{wrong:02x?}");
        }
        assert_eq!(Reader::new(&[0x01, 0x01, 0x01]).boolean_or_false(), Err(NotDer));
    }
}
