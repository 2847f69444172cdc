//! What stands in a revocation list (CRL, RFC 5280, section 5): its issuer, number, dates, which certificates it speaks of, and
//! the serial numbers that it revokes, packed so that a million of them take some thirty megabytes and are searched in a
//! microsecond. It says what is written, not whether it is true.

mod entries;
mod extensions;
mod head;
mod scope;
mod unusable;

use std::cmp::Ordering;
use std::fmt;
use std::time::SystemTime;

use super::certificate::time;
use super::crl::entries::Entries;
use super::crl::head::Head;
pub(crate) use super::crl::scope::{Coverage, Scope};
pub(crate) use super::crl::unusable::Unusable;
use super::identity::sha256;
use crate::hex::hex;

/// A complete revocation list, read. Its signature is checked by whoever reads it.
///
/// Version 1 is read too, which has no extensions and so no number (RFC 5280, section 5.1.2.1), and version 2 without a number:
/// the RFC asks the issuer for one (section 5.2.3), and no reader (section 6.3.3).
pub(crate) struct RevocationList {
    /// Raw DER of the issuer's name, as in a certificate.
    pub(crate) issuer: Vec<u8>,
    pub(crate) number: Option<Number>,
    pub(crate) this_update: SystemTime,
    /// From then on it is stale.
    pub(crate) next_update: SystemTime,
    /// Of which certificates of its issuer it speaks.
    pub(crate) scope: Scope,
    /// SHA-256 of what is signed, to tell two lists of one number.
    pub(crate) digest: [u8; 32],
    entries: Entries,
}

/// A CRL number (RFC 5280, section 5.2.3): without leading zeros, big-endian, at most 20 octets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Number(Box<[u8]>);

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

/// How a list stands to another one of the same issuer and scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Same,
    Older,
    Newer,
    /// They differ, and have the same number; or the same date, where one has no number, and each names what the other does not.
    Twin,
    /// By their numbers it is the other way round than by their dates.
    Crossed,
}

impl RevocationList {
    /// Reads a list in DER. Never panics, whatever the bytes are.
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

    /// Whether a certificate of its issuer with this serial number (a signed integer, big-endian, as it stands in the
    /// certificate) is revoked.
    pub(crate) fn find(&self, serial: &[u8]) -> Option<Revocation> {
        self.entries.find(serial)
    }

    /// Every serial number that it revokes, as a signed integer in its shortest form.
    #[cfg(feature = "pki")]
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&[u8], Revocation)> {
        self.entries.iter()
    }

    /// The serial numbers that it revokes for good and `newer` does not.
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

    /// How it stands to another list of the same issuer and scope: by their numbers (RFC 5280, section 5.2.3), which their dates
    /// must not contradict; by their dates, if one has no number.
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
            // Lists without a number that are issued within a second: the one that names more is the later one.
            (O::Equal, _) if !numbered && other.entries.are_all_in(&self.entries) => Order::Newer,
            (O::Equal, _) if !numbered && self.entries.are_all_in(&other.entries) => Order::Older,
            (O::Equal, _) => Order::Twin,
            (by_number, by_date) if contradict(by_number, by_date) => Order::Crossed,
            (O::Less, _) => Order::Older,
            (O::Greater, _) => Order::Newer,
        }
    }

    /// The CRL number for people, if it has one.
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

/// In decimal digits if it is small, else in hexadecimal ones.
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
