//! What stands in a revocation list (CRL, RFC 5280, section 5): its issuer, number, dates, and the serial numbers that it
//! revokes, packed so that a million of them take some thirty megabytes and are searched in a microsecond. It says what is
//! written, not whether it is true.

use std::fmt;
use std::time::{Duration, SystemTime};

use webpki::{BorrowedCertRevocationList, CertRevocationList, RevocationReason};
use x509_parser::asn1_rs::{Any, Class, FromDer};
use x509_parser::time::ASN1Time;

use crate::identity::sha256;

/// A revocation list, read. Its signature is checked by whoever reads it.
pub(crate) struct RevocationList {
    /// Raw DER of the issuer's name, as in a certificate.
    pub(crate) issuer: Vec<u8>,
    /// The CRL number without leading zeros, big-endian, at most 20 octets.
    pub(crate) number: Vec<u8>,
    pub(crate) this_update: SystemTime,
    /// From then on it is stale.
    pub(crate) next_update: SystemTime,
    /// SHA-256 of what is signed, to tell two lists of one number.
    pub(crate) digest: [u8; 32],
    entries: Entries,
}

/// What is signed, by which algorithm (the inside of its `AlgorithmIdentifier`), and the signature.
pub(crate) struct SignedList<'a> {
    pub(crate) signed: &'a [u8],
    pub(crate) algorithm: &'a [u8],
    pub(crate) signature: &'a [u8],
}

/// That and why a certificate was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Revocation {
    pub(crate) date: SystemTime,
    /// In the words of RFC 5280, section 5.3.1.
    pub(crate) reason: &'static str,
}

/// Why a list cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// Of version 1, so without a number that would tell an old list from a new one.
    Version,
    /// No CRL number.
    NoNumber,
    /// No date of the next list.
    NoNextUpdate,
    /// It speaks of some certificates or some reasons only.
    Partial,
    /// Anything else.
    Broken(String),
}

impl RevocationList {
    /// Reads a list in DER. Never panics, whatever the bytes are.
    pub(crate) fn parse(der: &[u8]) -> Result<(Self, SignedList<'_>), Unusable> {
        let head = Head::read(der).ok_or_else(|| Unusable::Broken("it is no CRL".to_owned()))?;
        if !head.version_2 {
            return Err(Unusable::Version);
        }
        let number = head.number.ok_or(Unusable::NoNumber)?;
        let next_update = head.next_update.ok_or(Unusable::NoNextUpdate)?;
        // The strict reading, critical extensions included, is webpki's.
        let list =
            CertRevocationList::from(BorrowedCertRevocationList::from_der(der).map_err(|error| match error {
                webpki::Error::UnsupportedDeltaCrl
                | webpki::Error::UnsupportedIndirectCrl
                | webpki::Error::UnsupportedRevocationReasonsPartitioning
                | webpki::Error::UnsupportedCrlIssuingDistributionPoint => Unusable::Partial,
                error => Unusable::Broken(error.to_string()),
            })?);
        if list.issuing_distribution_point().is_some() {
            return Err(Unusable::Partial);
        }
        let CertRevocationList::Borrowed(borrowed) = &list else { return Err(Unusable::Partial) };
        let entries = Entries::read(borrowed).map_err(|error| Unusable::Broken(error.to_string()))?;
        let list = Self {
            issuer: head.issuer.to_vec(),
            number: without_leading_zeros(number).to_vec(),
            this_update: head.this_update,
            next_update,
            digest: sha256(head.signed.signed),
            entries,
        };
        Ok((list, head.signed))
    }

    /// Whether a certificate of its issuer with this serial number (big-endian, as it stands in the certificate) is
    /// revoked.
    pub(crate) fn find(&self, serial: &[u8]) -> Option<Revocation> {
        self.entries.find(without_leading_zeros(serial))
    }

    /// Every serial number that it revokes, without leading zeros.
    #[cfg(all(feature = "pki", any(feature = "aws-lc-rs", feature = "ring")))]
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&[u8], Revocation)> {
        let serials = &self.entries.serials;
        self.entries.index.iter().map(|entry| (entry.serial(serials), entry.revocation()))
    }

    /// The CRL number, if it is below 2^64.
    #[cfg(all(feature = "pki", any(feature = "aws-lc-rs", feature = "ring")))]
    pub(crate) fn small_number(&self) -> Option<u64> {
        let fits = self.number.len() <= 8;
        fits.then(|| self.number.iter().fold(0, |number, octet| number << 8 | u64::from(*octet)))
    }

    /// How many serial numbers it revokes.
    pub(crate) fn len(&self) -> usize {
        self.entries.index.len()
    }

    /// Whether its number is lower than that of another.
    pub(crate) fn is_older_than(&self, other: &Self) -> bool {
        (self.number.len(), &self.number) < (other.number.len(), &other.number)
    }

    /// The CRL number for people: in decimal digits if it is small, else in hexadecimal ones.
    pub(crate) fn number_text(&self) -> String {
        match self.number.len() {
            0..=8 => self.number.iter().fold(0, |number: u64, octet| number << 8 | u64::from(*octet)).to_string(),
            _ => format!("0x{}", crate::identity::hex(&self.number)),
        }
    }
}

/// Serial numbers one after another, and an index that is sorted by them.
struct Entries {
    serials: Vec<u8>,
    index: Vec<Entry>,
}

/// 16 bytes each: there may be millions.
struct Entry {
    /// Seconds since 1970.
    date: i64,
    start: u32,
    len: u8,
    reason: u8,
}

impl Entries {
    fn read(list: &BorrowedCertRevocationList<'_>) -> Result<Self, webpki::Error> {
        let mut found = Self { serials: Vec::new(), index: Vec::new() };
        for entry in list {
            let entry = entry?;
            let serial = without_leading_zeros(entry.serial_number);
            // A file is far smaller than 4 GiB, and a serial number over 255 octets is nobody's.
            let (Ok(start), Ok(len)) = (u32::try_from(found.serials.len()), u8::try_from(serial.len())) else {
                return Err(webpki::Error::InvalidSerialNumber);
            };
            found.serials.extend_from_slice(serial);
            let date = i64::try_from(entry.revocation_date.as_secs()).unwrap_or(i64::MAX);
            found.index.push(Entry { date, start, len, reason: entry.reason_code.map_or(0, |reason| reason as u8) });
        }
        found.serials.shrink_to_fit();
        found.index.shrink_to_fit();
        let serials = &found.serials;
        found.index.sort_unstable_by(|a, b| a.serial(serials).cmp(b.serial(serials)));
        Ok(found)
    }

    fn find(&self, serial: &[u8]) -> Option<Revocation> {
        let at = self.index.binary_search_by(|entry| entry.serial(&self.serials).cmp(serial)).ok()?;
        Some(self.index[at].revocation())
    }
}

impl Entry {
    fn serial<'s>(&self, serials: &'s [u8]) -> &'s [u8] {
        let start = self.start as usize;
        &serials[start..start + usize::from(self.len)]
    }

    fn revocation(&self) -> Revocation {
        let date = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(self.date.unsigned_abs()));
        let reason = RevocationReason::try_from(self.reason).unwrap_or(RevocationReason::Unspecified);
        Revocation { date: date.unwrap_or(SystemTime::UNIX_EPOCH), reason: reason_text(reason) }
    }
}

/// What webpki checks and does not hand out.
struct Head<'a> {
    version_2: bool,
    issuer: &'a [u8],
    this_update: SystemTime,
    next_update: Option<SystemTime>,
    number: Option<&'a [u8]>,
    signed: SignedList<'a>,
}

impl<'a> Head<'a> {
    fn read(der: &'a [u8]) -> Option<Self> {
        const EXTENSIONS: u32 = 0;
        let (rest, outer) = Any::from_der(der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let (after_signed, to_be_signed) = Any::from_der(outer.data).ok()?;
        let (after_algorithm, algorithm) = Any::from_der(after_signed).ok()?;
        let (_, signature) = Any::from_der(after_algorithm).ok()?;
        // The first octet of a bit string counts the bits that do not count; there are none.
        let signature = signature.data.strip_prefix(&[0])?;
        let signed = &outer.data[..outer.data.len() - after_signed.len()];
        let (mut rest, first) = Any::from_der(to_be_signed.data).ok()?;
        // Version 1 has no field for its version.
        let version_2 = first.tag().0 == 2 && first.data == [1];
        if first.tag().0 == 2 {
            (rest, _) = Any::from_der(rest).ok()?;
        }
        let (after_issuer, _) = Any::from_der(rest).ok()?;
        let (issuer, rest) = (&rest[..rest.len() - after_issuer.len()], after_issuer);
        let (rest, this_update) = ASN1Time::from_der(rest).ok()?;
        let (rest, next_update) = match ASN1Time::from_der(rest) {
            Ok((rest, next_update)) => (rest, Some(next_update)),
            Err(_) => (rest, None),
        };
        let mut number = None;
        for element in
            elements(rest).filter(|element| element.class() == Class::ContextSpecific && element.tag().0 == EXTENSIONS)
        {
            number = number.or_else(|| crl_number(element.data));
        }
        Some(Self {
            version_2,
            issuer,
            this_update: crate::certificate::time(this_update.timestamp()),
            next_update: next_update.map(|time| crate::certificate::time(time.timestamp())),
            number,
            signed: SignedList { signed, algorithm: algorithm.data, signature },
        })
    }
}

/// The value of the extension cRLNumber (2.5.29.20).
fn crl_number(extensions: &[u8]) -> Option<&[u8]> {
    const CRL_NUMBER: [u8; 3] = [0x55, 0x1d, 0x14];
    let (_, list) = Any::from_der(extensions).ok()?;
    let extension = elements(list.data)
        .find(|extension| elements(extension.data).next().is_some_and(|id| id.data == CRL_NUMBER))?;
    let value = elements(extension.data).last()?;
    let (_, number) = Any::from_der(value.data).ok()?;
    Some(number.data)
}

fn elements(mut der: &[u8]) -> impl Iterator<Item = Any<'_>> {
    std::iter::from_fn(move || {
        let (rest, element) = Any::from_der(der).ok()?;
        der = rest;
        Some(element)
    })
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let start = number.iter().position(|octet| *octet != 0).unwrap_or(number.len());
    &number[start..]
}

fn reason_text(reason: RevocationReason) -> &'static str {
    match reason {
        RevocationReason::Unspecified => "unspecified",
        RevocationReason::KeyCompromise => "keyCompromise",
        RevocationReason::CaCompromise => "cACompromise",
        RevocationReason::AffiliationChanged => "affiliationChanged",
        RevocationReason::Superseded => "superseded",
        RevocationReason::CessationOfOperation => "cessationOfOperation",
        RevocationReason::CertificateHold => "certificateHold",
        RevocationReason::RemoveFromCrl => "removeFromCRL",
        RevocationReason::PrivilegeWithdrawn => "privilegeWithdrawn",
        RevocationReason::AaCompromise => "aACompromise",
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "it is of version 1, which has no number to tell an old list from a new one",
            Self::NoNumber => "it has no CRL number to tell an old list from a new one",
            Self::NoNextUpdate => "it does not say when the next list is due (nextUpdate)",
            Self::Partial => "it is partial (a delta, indirect or partitioned list): it may leave out what was revoked",
            Self::Broken(why) => why,
        })
    }
}

impl std::error::Error for Unusable {}

impl fmt::Debug for RevocationList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RevocationList(number {}, {} entries)", self.number_text(), self.len())
    }
}
