//! Whom the server trusts, and the verdict on a client.
//!
//! [`Trust`] is a snapshot: what is in hand is valid. [`judge()`] is a function of the client's chain, the snapshot and the
//! time; nothing else ever decides. `diagnose` explains a refusal afterwards and can change no verdict.

mod authorized;
mod blocks;
mod diagnose;
mod judge;
mod known;
mod load;
mod possession;
mod refusal;
mod revocation;
mod signature;
mod store;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustls::DistinguishedName;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::TrustAnchor;

use crate::clock::timestamp;
use crate::error::Error;
use crate::identity::{Identity, sha256};
use crate::policy::Policy;

pub(crate) use authorized::client_name;
pub use judge::{Judgement, Verdict, judge};
use known::KnownClients;
pub use load::TrustBuilder;
pub(crate) use possession::{prove_possession, refusal_in};
pub use refusal::{Refusal, RefusalCode};
use revocation::RevocationRules;
pub use revocation::{Crl, StaleCrl};
#[cfg(all(feature = "pki", any(feature = "aws-lc-rs", feature = "ring")))]
pub(crate) use signature::has_signed_list;
pub(crate) use store::TrustStore;

/// Whom a server trusts: CAs, which vouch for all that they signed and have not revoked, and pinned client certificates,
/// which are let in by themselves; and what those who are let in may do.
///
/// ```no_run
/// # fn main() -> Result<(), mtls_min::Error> {
/// let trust = mtls_min::Trust::from_pem_files(["certs/ca.pem"])?;
/// for entry in trust.entries() {
///     println!("{} {}", entry.kind(), entry.identity().subject());
/// }
/// # Ok(())
/// # }
/// ```
pub struct Trust {
    entries: Vec<TrustEntry>,
    /// One for each entry that is a CA, in the same order as `authorities`.
    anchors: Vec<TrustAnchor<'static>>,
    authorities: Vec<Authority>,
    pins: HashMap<Digest, Pin>,
    /// How many of the pins are from the directory of authorised clients; `None`: there is none.
    authorized_clients: Option<usize>,
    /// Why files in that directory were not read, one sentence each.
    left_as_they_were: Vec<String>,
    accept_v1: bool,
    revocation: RevocationRules,
    policy: Policy,
    algorithms: WebPkiSupportedAlgorithms,
    hints: Vec<DistinguishedName>,
    known: KnownClients,
}

/// SHA-256 of a certificate.
type Digest = [u8; 32];

/// A certificate that is let in by itself.
#[derive(Debug, Clone, Default)]
struct Pin {
    /// The name of its file, if it is from the directory of authorised clients.
    name: Option<Box<str>>,
}

/// A CA of trust: what the judgement needs of it at hand.
struct Authority {
    identity: Identity,
    /// Raw DER, as it is compared.
    subject: Box<[u8]>,
    spki: Box<[u8]>,
    may_sign_crls: bool,
    may_authenticate_clients: bool,
    /// How many intermediates may follow it.
    path_length: Option<u32>,
    crl: Option<Crl>,
    /// A loaded list revokes it: how.
    revoked: Option<String>,
}

impl Trust {
    /// Trust in the certificates of these PEM files, judged to be current by the system's clock.
    /// [`builder`](Self::builder) has more choices.
    ///
    /// # Errors
    /// As [`TrustBuilder::build`].
    pub fn from_pem_files<P: AsRef<Path>>(files: impl IntoIterator<Item = P>) -> Result<Self, Error> {
        files.into_iter().fold(Self::builder(), |builder, file| builder.pem_file(file)).build()
    }

    /// Starts to say whom to trust.
    pub fn builder() -> TrustBuilder {
        TrustBuilder::default()
    }

    /// The certificates of the CA files, in their order, each once.
    pub fn entries(&self) -> &[TrustEntry] {
        &self.entries
    }

    /// How many certificates are in the directory of authorised clients; `None` if none was named.
    pub fn authorized_clients(&self) -> Option<usize> {
        self.authorized_clients
    }

    /// What those who are let in may do.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What the operator should know at `now`, one sentence each: stale revocation lists and those that are about to be, CAs
    /// without one, CAs that expire within 30 days, a clock that is wrong, files of authorised clients that could not be read
    /// while the server ran.
    pub fn warnings(&self, now: SystemTime) -> Vec<String> {
        const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);
        let mut warnings = self.left_as_they_were.clone();
        warnings.extend(self.crl_warnings(now));
        let mut authorities = self.authorities.iter().map(|authority| &authority.identity).peekable();
        if authorities.peek().is_some()
            && self.authorities.iter().all(|authority| now < authority.identity.not_before())
        {
            // Without the time of now: a warning that is met again is the same warning.
            let first = self.authorities.iter().map(|authority| authority.identity.not_before()).min();
            let first = first.map_or_else(String::new, timestamp);
            warnings.push(format!(
                "the system clock is wrong: by it no CA is valid yet, the first from {first} on; set it, or nobody is let in"
            ));
        }
        for identity in authorities {
            let until = timestamp(identity.not_after());
            match identity.expires_in(now) {
                None => {
                    warnings.push(format!("the CA {} expired on {until}: its clients are refused", identity.subject()))
                }
                Some(left) if left < MONTH => {
                    warnings.push(format!("the CA {} expires on {until}", identity.subject()))
                }
                Some(_) => {}
            }
        }
        warnings
    }

    pub(crate) fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.algorithms
    }

    /// The names that a client is told, so that a browser can choose among its certificates; empty if they are too many
    /// to be told.
    pub(crate) fn hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn has_authority(&self, der: &[u8]) -> bool {
        self.authorities.iter().any(|authority| authority.identity.der() == der)
    }

    fn pin(&self, end_entity: &[u8]) -> Option<&Pin> {
        if self.pins.is_empty() { None } else { self.pins.get(&sha256(end_entity)) }
    }

    /// The anchors with the CAs they were made of.
    fn authorities(&self) -> impl Iterator<Item = (&TrustAnchor<'static>, &Authority)> {
        self.anchors.iter().zip(&self.authorities)
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust")
            .field("entries", &self.entries)
            .field("accept_v1", &self.accept_v1)
            .finish_non_exhaustive()
    }
}

/// One certificate that is trusted, and how.
#[derive(Debug, Clone)]
pub struct TrustEntry {
    kind: TrustKind,
    identity: Identity,
}

impl TrustEntry {
    /// What it is trusted to do.
    pub fn kind(&self) -> TrustKind {
        self.kind
    }

    /// The certificate.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }
}

/// What a certificate in a `--ca` file is trusted to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustKind {
    /// It vouches for the certificates that it signed (and is let in itself).
    Ca,
    /// It is let in itself, and never vouches for another.
    PinnedClient,
}

impl fmt::Display for TrustKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TrustKind::Ca => "ca",
            TrustKind::PinnedClient => "pinned client",
        })
    }
}
