//! Everything in a list (RFC 5280, section 5.1) except its entries.

use super::SignedList;
use super::scope::Scope;
use super::unusable::Unusable;
use crate::x509::der::{NotDer, Reader, integer, tag};
use crate::x509::time::seconds;

pub(super) struct Head<'a> {
    pub(super) version_1: bool,
    /// Raw DER.
    pub(super) issuer: &'a [u8],
    /// Seconds since 1970.
    pub(super) this_update: i64,
    pub(super) next_update: i64,
    /// The content of `revokedCertificates`.
    pub(super) revoked: &'a [u8],
    /// Big-endian, without leading zeros.
    pub(super) number: Option<&'a [u8]>,
    pub(super) scope: Scope,
    pub(super) signed: SignedList<'a>,
}

/// A longer name is not used in practice.
const MOST_OF_ISSUER: usize = 16 * 1024;

impl<'a> Head<'a> {
    pub(super) fn read(der: &'a [u8]) -> Result<Self, Unusable> {
        let not_a_list = |_: NotDer| Unusable::NotAList;
        let (to_be_signed, signed) = outer(der).map_err(not_a_list)?;
        let mut tbs = Reader::new(to_be_signed);
        // Section 5.1.2.1: it is present only for version 2, which is written as 1.
        let version_1 = match tbs.optional(tag::INTEGER).map_err(not_a_list)? {
            None => true,
            Some([1]) => false,
            Some(_) => return Err(Unusable::Broken("version: it is neither 1 nor 2")),
        };
        let algorithm = tbs.expect(tag::SEQUENCE).map_err(not_a_list)?;
        let issuer = tbs.expect_whole(tag::SEQUENCE).map_err(not_a_list)?;
        let this_update = time(&mut tbs, "thisUpdate")?.ok_or(Unusable::NotAList)?;
        // Sections 5.1.1.2 and 5.1.2.3.
        if algorithm != signed.algorithm {
            return Err(Unusable::Broken("signature algorithm: it is not the same inside and outside"));
        }
        if issuer.content.is_empty() {
            return Err(Unusable::Broken("issuer: it has no name"));
        }
        if issuer.whole.len() > MOST_OF_ISSUER {
            return Err(Unusable::Broken("issuer: its name is longer than 16 KiB"));
        }
        let next_update = time(&mut tbs, "nextUpdate")?.ok_or(Unusable::NoNextUpdate)?;
        let revoked = tbs.optional(tag::SEQUENCE).map_err(|_| Unusable::Broken("set of revoked certificates"))?;
        let (issuer, revoked, scope) = (issuer.whole, revoked.unwrap_or_default(), Scope::default());
        let mut head = Self { version_1, issuer, this_update, next_update, revoked, number: None, scope, signed };
        let extensions = extensions(&mut tbs).map_err(|_| Unusable::Broken("set of extensions"))?;
        if let Some(extensions) = extensions {
            head.read_extensions(extensions)?;
        }
        Ok(head)
    }

    /// Section 5.2. An extension that is neither known nor critical may be ignored.
    fn read_extensions(&mut self, list: &'a [u8]) -> Result<(), Unusable> {
        const NUMBER: &[u8] = &[0x55, 0x1d, 20];
        const DELTA: &[u8] = &[0x55, 0x1d, 27];
        const ISSUING_DISTRIBUTION_POINT: &[u8] = &[0x55, 0x1d, 28];
        // The signature shows who signed a list.
        const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 35];
        if self.version_1 {
            return Err(Unusable::ExtensionsInVersion1);
        }
        super::extensions::each(list, |extension| {
            match extension.id {
                NUMBER => self.number = Some(number(extension.value).ok_or(Unusable::WrongNumber)?),
                DELTA => return Err(Unusable::Delta),
                ISSUING_DISTRIBUTION_POINT => self.scope = Scope::read(extension.value)?,
                AUTHORITY_KEY_IDENTIFIER => {}
                _ if extension.critical => return Err(Unusable::unknown(extension.id)),
                _ => {}
            }
            Ok(())
        })
    }
}

/// The content of what is signed, and the whole of it with its signature.
fn outer(der: &[u8]) -> Result<(&[u8], SignedList<'_>), NotDer> {
    let mut parts = Reader::of(der, tag::SEQUENCE)?;
    let to_be_signed = parts.expect_whole(tag::SEQUENCE)?;
    let algorithm = parts.expect(tag::SEQUENCE)?;
    // The first octet of a bit string is the number of unused bits, here 0.
    let signature = parts.expect(tag::BIT_STRING)?.strip_prefix(&[0]).ok_or(NotDer)?;
    parts.end()?;
    Ok((to_be_signed.content, SignedList { signed: to_be_signed.whole, algorithm, signature }))
}

/// The next element, if it is a time.
fn time(rest: &mut Reader<'_>, field: &'static str) -> Result<Option<i64>, Unusable> {
    let broken = |_| Unusable::Broken(field);
    let is_time = rest.next_tag().is_some_and(|tag| tag == tag::UTC_TIME || tag == tag::GENERALIZED_TIME);
    if !is_time {
        return Ok(None);
    }
    let element = rest.any().map_err(broken)?;
    seconds(element).map(Some).map_err(broken)
}

/// The rest of the list: its extensions, if any.
fn extensions<'a>(rest: &mut Reader<'a>) -> Result<Option<&'a [u8]>, NotDer> {
    let Some(explicit) = rest.optional(tag::constructed(0))? else { return rest.end().map(|()| None) };
    rest.end()?;
    let mut inside = Reader::new(explicit);
    let list = inside.expect(tag::SEQUENCE)?;
    inside.end().map(|()| Some(list))
}

/// The value of the extension cRLNumber (section 5.2.3): 0 or more, at most 20 octets.
fn number(value: &[u8]) -> Option<&[u8]> {
    const MOST: usize = 20;
    let mut reader = Reader::new(value);
    let number = reader.expect(tag::INTEGER).and_then(integer).ok().filter(|number| number[0] < 0x80)?;
    let digits = number.strip_prefix(&[0]).unwrap_or(number);
    (reader.is_at_end() && digits.len() <= MOST).then_some(digits)
}
