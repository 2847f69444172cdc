//! Puts a name from another certificate into a certificate or a list, byte for byte. `rcgen` keeps a name as a map, so it
//! loses repeated attributes, groups of attributes and types of strings. For most programs, a name that differs in one byte
//! belongs to another CA.

use crate::error::Error;
use crate::x509::der::{NotDer, Reader, element, tag};

/// The positions of the names in what is signed, counted from 0 (RFC 5280, sections 4.1 and 5.1).
pub(super) const ISSUER_OF_CERTIFICATE: usize = 3;
pub(super) const SUBJECT_OF_CERTIFICATE: usize = 5;
pub(super) const ISSUER_OF_LIST: usize = 2;

/// The same certificate or list with these names, each as DER, at these positions. It is signed again by `sign`, unless
/// nothing changes.
pub(super) fn with_names(
    der: &[u8],
    names: &[(usize, &[u8])],
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, Error>,
) -> Result<Vec<u8>, Error> {
    let broken = |_: NotDer| Error::new("what was signed cannot be read");
    let [signed, algorithm, _] = elements(der).map_err(broken)?[..] else { return Err(broken(NotDer)) };
    let mut parts = elements(signed).map_err(broken)?;
    for (place, name) in names {
        *parts.get_mut(*place).ok_or(NotDer).map_err(broken)? = name;
    }
    let to_be_signed = element(tag::SEQUENCE, &parts.concat());
    if to_be_signed == signed {
        return Ok(der.to_vec());
    }
    // The last octet has no unused bits.
    let signature = [&[0][..], &sign(&to_be_signed)?].concat();
    Ok(element(tag::SEQUENCE, &[&to_be_signed[..], algorithm, &element(tag::BIT_STRING, &signature)].concat()))
}

/// The elements of a sequence, each with its header.
fn elements(sequence: &[u8]) -> Result<Vec<&[u8]>, NotDer> {
    Reader::of(sequence, tag::SEQUENCE)?.all(|elements| Ok(elements.any()?.whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(parts: &[&[u8]]) -> Vec<u8> {
        element(tag::SEQUENCE, &parts.concat())
    }

    #[test]
    fn a_name_is_replaced_and_the_whole_signed_anew() {
        for length in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000] {
            let name = element(tag::SEQUENCE, &vec![7; length]);
            let of = |name: &[u8], signature: &[u8]| {
                let signed = sequence(&[&[2, 1, 1], &[5, 0], name, &[5, 0]]);
                sequence(&[&signed, &[0x30, 0], &element(tag::BIT_STRING, signature)])
            };
            let sign = |signed: &[u8]| Ok(signed[signed.len() - 4..].to_vec());
            let changed = with_names(&of(&[0x31, 0], &[0, 9]), &[(2, &name)], sign).unwrap();
            let signed_end = [&name[..], &[5, 0]].concat();
            assert_eq!(changed, of(&name, &[&[0][..], &signed_end[signed_end.len() - 4..]].concat()), "{length}");
            let same = with_names(&changed, &[(2, &name)], |_| Err(Error::new("signed anew"))).unwrap();
            assert_eq!(same, changed);
        }
    }

    #[test]
    fn what_is_cut_anywhere_is_an_error() {
        let whole = sequence(&[&sequence(&[&[5, 0], &[0x30, 0]]), &[0x30, 0], &[3, 1, 0]]);
        with_names(&whole, &[(1, &[0x30, 0])], |_| Ok(vec![])).unwrap();
        for cut in 0..whole.len() {
            with_names(&whole[..cut], &[(1, &[0x30, 0])], |_| Ok(vec![])).unwrap_err();
        }
        with_names(&whole, &[(2, &[0x30, 0])], |_| Ok(vec![])).unwrap_err();
        with_names(&[0x30, 0x80, 0, 0], &[], |_| Ok(vec![])).unwrap_err();
    }
}
