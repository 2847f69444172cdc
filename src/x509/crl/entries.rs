//! The serial numbers that a list revokes (RFC 5280, section 5.1.2.6), stored compactly: there may be millions.

use super::unusable::Unusable;
use super::{Revocation, extensions};
use crate::x509::der::{NotDer, Reader, tag};
use crate::x509::time::{seconds, time};

/// All serial numbers, and an index that is sorted by them.
pub(super) struct Entries {
    serials: Vec<u8>,
    index: Vec<Entry>,
}

/// 16 bytes each.
struct Entry {
    /// Seconds since 1970.
    date: i64,
    start: u32,
    len: u8,
    reason: u8,
}

const CERTIFICATE_HOLD: u8 = 6;
const REMOVE_FROM_CRL: u8 = 8;

impl Entries {
    /// Reads the content of `revokedCertificates`. In a list of version 1, entries have no extensions (section 5.1).
    pub(super) fn read(revoked: &[u8], version_1: bool) -> Result<Self, Unusable> {
        let broken = |_: NotDer| Unusable::Broken("entry of a revoked certificate");
        let mut found = Self { serials: Vec::new(), index: Vec::new() };
        let mut rest = Reader::new(revoked);
        while !rest.is_at_end() {
            let mut entry = Reader::new(rest.expect(tag::SEQUENCE).map_err(broken)?);
            let serial = shortest(entry.expect(tag::INTEGER).map_err(broken)?);
            let date = entry.any().map_err(broken)?;
            let date = seconds(date).map_err(broken)?;
            let reason = match entry.optional(tag::SEQUENCE).map_err(broken)? {
                None => 0,
                Some(_) if version_1 => return Err(Unusable::ExtensionsInVersion1),
                Some(extensions) => reason(extensions, serial)?,
            };
            entry.end().map_err(broken)?;
            if serial.is_empty() {
                return Err(broken(NotDer));
            }
            // A file is far smaller than 4 GiB, and no serial number has more than 255 octets.
            let (Ok(start), Ok(len)) = (u32::try_from(found.serials.len()), u8::try_from(serial.len())) else {
                return Err(broken(NotDer));
            };
            found.serials.extend_from_slice(serial);
            found.index.push(Entry { date, start, len, reason });
        }
        found.serials.shrink_to_fit();
        found.index.shrink_to_fit();
        let serials = &found.serials;
        found.index.sort_unstable_by(|a, b| a.serial(serials).cmp(b.serial(serials)));
        Ok(found)
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn find(&self, serial: &[u8]) -> Option<Revocation> {
        let serial = shortest(serial);
        let at = self.index.binary_search_by(|entry| entry.serial(&self.serials).cmp(serial)).ok()?;
        Some(self.index[at].revocation())
    }

    /// All entries, in the order of the octets of their serial numbers.
    #[cfg(feature = "pki")]
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], Revocation)> {
        self.index.iter().map(|entry| (entry.serial(&self.serials), entry.revocation()))
    }

    /// The serial numbers that are missing in `newer`. Those on hold may be dropped (RFC 5280, section 5.3.1).
    pub(super) fn missing_in<'e>(&'e self, newer: &'e Self) -> impl Iterator<Item = &'e [u8]> {
        self.not_in(newer, |entry| !matches!(entry.reason, CERTIFICATE_HOLD | REMOVE_FROM_CRL))
    }

    /// Whether `other` has all of these serial numbers.
    pub(super) fn are_all_in(&self, other: &Self) -> bool {
        self.not_in(other, |_| true).next().is_none()
    }

    fn not_in<'e>(&'e self, other: &'e Self, counts: impl Fn(&Entry) -> bool) -> impl Iterator<Item = &'e [u8]> {
        let mut others = other.index.iter().map(|entry| entry.serial(&other.serials)).peekable();
        let counted = self.index.iter().filter(move |entry| counts(entry));
        counted.map(|entry| entry.serial(&self.serials)).filter(move |serial| {
            while others.next_if(|other| other < serial).is_some() {}
            others.peek() != Some(serial)
        })
    }
}

impl Entry {
    fn serial<'s>(&self, serials: &'s [u8]) -> &'s [u8] {
        let start = self.start as usize;
        &serials[start..start + usize::from(self.len)]
    }

    fn revocation(&self) -> Revocation {
        Revocation { date: time(self.date), reason: reason_text(self.reason).unwrap_or("unspecified") }
    }
}

/// The reason code in the extensions of an entry (RFC 5280, section 5.3.1); 0 if there is none.
///
/// `removeFromCRL` counts as a revocation like the others: it is only allowed in delta lists, so here it is a contradiction,
/// and in doubt the certificate is refused.
fn reason(list: &[u8], serial: &[u8]) -> Result<u8, Unusable> {
    const ENUMERATED: u8 = 0x0a;
    const REASON_CODE: &[u8] = &[0x55, 0x1d, 21];
    const INVALIDITY_DATE: &[u8] = &[0x55, 0x1d, 24];
    const CERTIFICATE_ISSUER: &[u8] = &[0x55, 0x1d, 29];
    let mut reason = 0;
    extensions::each(list, |extension| {
        match extension.id {
            REASON_CODE => {
                let wrong = || Unusable::wrong_reason(serial, extension.value);
                let &[ENUMERATED, 1, code] = extension.value else { return Err(wrong()) };
                reason_text(code).ok_or_else(wrong)?;
                reason = code;
            }
            INVALIDITY_DATE => {}
            CERTIFICATE_ISSUER => return Err(Unusable::Indirect),
            _ if extension.critical => return Err(Unusable::unknown(extension.id)),
            _ => {}
        }
        Ok(())
    })?;
    Ok(reason)
}

/// The shortest form of a signed integer, so that equal numbers have equal octets: -1 is ff, and 255 is 00 ff.
fn shortest(mut integer: &[u8]) -> &[u8] {
    while let [first, second, ..] = integer
        && ((*first == 0 && *second < 0x80) || (*first == 0xff && *second >= 0x80))
    {
        integer = &integer[1..];
    }
    integer
}

/// The name of RFC 5280, section 5.3.1; `None`: there is no such reason.
fn reason_text(code: u8) -> Option<&'static str> {
    Some(match code {
        0 => "unspecified",
        1 => "keyCompromise",
        2 => "cACompromise",
        3 => "affiliationChanged",
        4 => "superseded",
        5 => "cessationOfOperation",
        CERTIFICATE_HOLD => "certificateHold",
        REMOVE_FROM_CRL => "removeFromCRL",
        9 => "privilegeWithdrawn",
        10 => "aACompromise",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_are_signed_integers_whatever_their_form() {
        for (written, shortest_form) in [
            (&[0xff][..], &[0xff][..]),
            (&[0, 0xff], &[0, 0xff]),
            (&[0, 0, 0xff], &[0, 0xff]),
            (&[0xff, 0xff], &[0xff]),
            (&[0xff, 0x7f], &[0xff, 0x7f]),
            (&[0], &[0]),
            (&[0, 0, 1], &[1]),
        ] {
            assert_eq!(shortest(written), shortest_form, "{written:02x?}");
        }
    }
}
