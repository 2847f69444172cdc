//! One revocation list in force: what it says, who signed it, and which series of lists it belongs to.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::clock::timestamp;
use crate::x509::certificate::is_same_key;
use crate::x509::crl::RevocationList;
use crate::x509::identity::Identity;

/// A revocation list in force.
#[derive(Debug, Clone)]
pub struct Crl {
    pub(super) list: Arc<RevocationList>,
    pub(super) issuer: Identity,
    /// The keys of the loaded CAs that signed it: one key, possibly in several encodings.
    pub(super) keys: Arc<[Box<[u8]>]>,
    /// The positions of those CAs among the trusted authorities; empty if the list is no longer among the files.
    pub(super) signers: Vec<usize>,
    /// Where it was read, for messages.
    pub(super) place: String,
    /// What the list before it revoked and this one does not, in a sentence.
    pub(super) forgotten: Option<String>,
}

impl Crl {
    /// The CA that issued it.
    pub fn issuer(&self) -> &Identity {
        &self.issuer
    }

    /// Its CRL number, which grows with each list of a CA and scope (RFC 5280, section 5.2.3): decimal, or `0x…` beyond 64 bits.
    /// `None`: it has no number, and is told from older ones by its date.
    pub fn number(&self) -> Option<String> {
        self.list.number_text()
    }

    /// When it was issued. Before that moment all clients of its CA are refused, because the clocks disagree.
    pub fn this_update(&self) -> SystemTime {
        self.list.this_update
    }

    /// When it becomes stale.
    pub fn next_update(&self) -> SystemTime {
        self.list.next_update
    }

    /// How many certificates it revokes.
    pub fn revoked(&self) -> usize {
        self.list.len()
    }

    /// When and why it revokes the certificate with this serial number; `None`: it does not.
    #[cfg(feature = "cli")]
    pub(crate) fn entry(&self, serial: &[u8]) -> Option<(SystemTime, &'static str)> {
        self.list.find(serial).map(|entry| (entry.date, entry.reason))
    }

    /// `number 7`, or `the one of` and its date.
    pub(super) fn edition(&self) -> String {
        match self.number() {
            Some(number) => format!("number {number}"),
            None => format!("the one of {}", timestamp(self.this_update())),
        }
    }

    /// Its issuer, and its scope if that is limited: `CN=ca`.
    pub(super) fn series(&self) -> String {
        let issuer = self.issuer.subject();
        match self.list.scope.text() {
            Some(scope) => format!("{issuer} ({scope})"),
            None => issuer.to_owned(),
        }
    }

    /// Whether it was signed with this key.
    pub(super) fn is_signed_with(&self, spki: &[u8]) -> bool {
        self.keys().any(|key| is_same_key(key, spki))
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.keys.iter().map(|key| &**key)
    }

    /// The same list, no longer among the files.
    pub(super) fn remembered(&self) -> Self {
        Self { signers: Vec::new(), ..self.clone() }
    }

    /// Whether it is no longer among the files: what it revoked stays revoked, but it says nothing else.
    pub(crate) fn is_only_remembered(&self) -> bool {
        self.signers.is_empty()
    }

    /// Whether one may replace the other: they have the same CA, key and scope.
    pub(super) fn is_in_line_with(&self, other: &Self) -> bool {
        self.list.scope == other.list.scope && self.keys().any(|key| other.is_signed_with(key))
    }
}

/// `list number 7 of CN=ca`, or with its date if it has no number; then its scope, if that is limited.
impl fmt::Display for Crl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let series = self.series();
        match self.number() {
            Some(number) => write!(f, "list number {number} of {series}"),
            None => write!(f, "list of {} of {series}", timestamp(self.this_update())),
        }
    }
}
