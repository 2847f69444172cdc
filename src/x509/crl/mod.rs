//! What is in a revocation list (CRL, RFC 5280, section 5): its issuer, number and dates, the certificates that it covers,
//! and the serial numbers that it revokes. A million of these take about thirty megabytes, and a search a microsecond. It
//! says what is written, not whether it is true.

mod entries;
mod extensions;
mod head;
mod scope;
mod unusable;

use std::cmp::Ordering;
use std::fmt;
use std::time::SystemTime;

use super::crl::entries::Entries;
use super::crl::head::Head;
pub(crate) use super::crl::scope::{Coverage, Scope};
pub(crate) use super::crl::unusable::Unusable;
use super::identity::sha256;
use super::time::time;
use crate::hex::hex;

/// A complete revocation list that was read. The caller checks its signature.
///
/// Lists of version 1 are accepted, which have no extensions and so no number (RFC 5280, section 5.1.2.1). So are lists of
/// version 2 without a number: the RFC requires one of issuers (section 5.2.3), but not of readers (section 6.3.3).
pub(crate) struct RevocationList {
    /// Raw DER of the issuer's name, as in a certificate.
    pub(crate) issuer: Vec<u8>,
    pub(crate) number: Option<Number>,
    pub(crate) this_update: SystemTime,
    /// When it becomes stale.
    pub(crate) next_update: SystemTime,
    /// Which certificates of its issuer it covers.
    pub(crate) scope: Scope,
    /// SHA-256 of what is signed, to distinguish lists with the same number.
    pub(crate) digest: [u8; 32],
    entries: Entries,
}

/// A CRL number (RFC 5280, section 5.2.3): without leading zeros, big-endian, at most 20 octets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Number(Box<[u8]>);

/// What is signed, the algorithm (the content of its `AlgorithmIdentifier`), and the signature.
pub(crate) struct SignedList<'a> {
    pub(crate) signed: &'a [u8],
    pub(crate) algorithm: &'a [u8],
    pub(crate) signature: &'a [u8],
}

/// When and why a certificate was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Revocation {
    pub(crate) date: SystemTime,
    /// As RFC 5280, section 5.3.1 names it.
    pub(crate) reason: &'static str,
}

/// How a list relates to another one of the same issuer and scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Same,
    Older,
    Newer,
    /// They differ, but have the same number; or one has no number, they have the same date, and each has an entry that the
    /// other lacks.
    Twin,
    /// Their numbers and their dates contradict each other.
    Crossed,
}

impl RevocationList {
    /// Reads a list in DER. It never panics.
    pub(crate) fn parse(der: &[u8]) -> Result<(Self, SignedList<'_>), Unusable> {
        let head = Head::read(der)?;
        let list = Self {
            issuer: head.issuer.to_vec(),
            number: head.number.map(|octets| Number(octets.into())),
            this_update: time(head.this_update),
            next_update: time(head.next_update),
            digest: sha256(head.signed.signed),
            scope: head.scope,
            entries: Entries::read(head.revoked, head.version_1)?,
        };
        Ok((list, head.signed))
    }

    /// The revocation of the certificate with this serial number (a signed integer, big-endian, as in the certificate), if
    /// there is one.
    pub(crate) fn find(&self, serial: &[u8]) -> Option<Revocation> {
        self.entries.find(serial)
    }

    /// Every serial number that it revokes, as a signed integer in the shortest form.
    #[cfg(feature = "pki")]
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&[u8], Revocation)> {
        self.entries.iter()
    }

    /// The serial numbers that it revokes permanently and `newer` does not.
    pub(crate) fn missing_in<'l>(&'l self, newer: &'l Self) -> impl Iterator<Item = &'l [u8]> {
        self.entries.missing_in(&newer.entries)
    }

    /// The CRL number, if it has one below 2^64.
    #[cfg(feature = "pki")]
    pub(crate) fn small_number(&self) -> Option<u64> {
        self.number.as_ref().and_then(Number::small)
    }

    /// How many serial numbers it revokes.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How it relates to another list of the same issuer and scope. Their numbers decide (RFC 5280, section 5.2.3), and
    /// their dates must not contradict them. If one has no number, their dates decide.
    pub(crate) fn compared_with(&self, other: &Self) -> Order {
        use Ordering as O;
        if self.digest == other.digest {
            return Order::Same;
        }
        let by_date = self.this_update.cmp(&other.this_update);
        let by_number = match (&self.number, &other.number) {
            (Some(own), Some(others)) => own.cmp(others),
            _ => by_date,
        };
        let numbered = self.number.is_some() && other.number.is_some();
        match (by_number, by_date) {
            // Lists without a number may be issued in the same second. The one with more entries is the later one.
            (O::Equal, _) if !numbered && other.entries.are_all_in(&self.entries) => Order::Newer,
            (O::Equal, _) if !numbered && self.entries.are_all_in(&other.entries) => Order::Older,
            (O::Equal, _) => Order::Twin,
            (by_number, by_date) if contradict(by_number, by_date) => Order::Crossed,
            (O::Less, _) => Order::Older,
            (O::Greater, _) => Order::Newer,
        }
    }

    /// The CRL number for messages, if it has one.
    pub(crate) fn number_text(&self) -> Option<String> {
        self.number.as_ref().map(ToString::to_string)
    }
}

/// Whether of two lists the one with the higher number has the earlier date.
pub(crate) fn contradict(by_number: Ordering, by_date: Ordering) -> bool {
    by_number.is_ne() && by_number == by_date.reverse()
}

impl Number {
    fn small(&self) -> Option<u64> {
        (self.0.len() <= 8).then(|| self.0.iter().fold(0, |number, octet| number << 8 | u64::from(*octet)))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.0.len(), &self.0).cmp(&(other.0.len(), &other.0))
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Decimal if it is below 2^64, otherwise hexadecimal.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.small() {
            Some(number) => write!(f, "{number}"),
            None => write!(f, "0x{}", hex(&self.0)),
        }
    }
}

impl fmt::Debug for RevocationList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RevocationList(number {:?}, {} entries)", self.number_text(), self.len())
    }
}
