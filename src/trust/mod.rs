//! Whom the server trusts, and the verdict on a client.
//!
//! [`Trust`] is a snapshot, and always valid. [`judge()`] is a function of the client's chain, the snapshot and the time;
//! nothing else decides. `diagnose` explains a refusal afterwards and cannot change a verdict.

mod authorities;
mod authorized_clients;
mod builder;
mod cache;
mod crl;
mod decision;
mod diagnose;
mod faults;
mod judge;
mod lists;
mod path;
mod possession;
mod problem;
mod refusal;
mod revocation;
mod store;
mod succession;
mod verdict;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustls::DistinguishedName;
use rustls::crypto::WebPkiSupportedAlgorithms;

use crate::clock::{days, timestamp};
use crate::error::{Error, Words};
use crate::policy::Policy;
use crate::x509::certificate::Certificate;
use crate::x509::identity::{Identity, sha256};

pub(crate) use authorized_clients::client_name;
pub use builder::TrustBuilder;
use cache::KnownClients;
pub use crl::Crl;
pub(crate) use decision::{Decision, decide, not_allowed};
pub use judge::judge;
use lists::Lists;
pub(crate) use possession::prove_possession;
use problem::Problem;
pub use refusal::{Refusal, RefusalCode};
use revocation::RevocationRules;
pub use revocation::StaleCrl;
pub(crate) use store::TrustStore;
pub use verdict::{Judgement, Verdict};

/// Whom a server trusts: CAs, which vouch for the certificates that they signed and have not revoked, and pinned client
/// certificates, which are let in by themselves; and what those who are let in may do.
///
/// ```no_run
/// # fn main() -> Result<(), mtls_min::Error> {
/// let trust = mtls_min::Trust::from_pem_file("certs/ca.pem")?;
/// for entry in trust.entries() {
///     println!("{} {}", entry.kind(), entry.identity().subject());
/// }
/// # Ok(())
/// # }
/// ```
pub struct Trust {
    entries: Vec<TrustEntry>,
    /// The CAs, trust anchors and intermediates, in the order of their files.
    authorities: Vec<Authority>,
    /// The positions of the CAs with the same name, by its normal form (RFC 5280, section 7.1).
    namesakes: HashMap<Box<[u8]>, Vec<usize>>,
    /// The positions in `entries` of certificates that are not CAs, by the normal form of their subject.
    pinned: HashMap<Box<[u8]>, Vec<usize>>,
    pins: HashMap<Digest, Pin>,
    /// How many of the pins are from the directory of authorised clients; `None`: no directory was named.
    authorized_clients: Option<usize>,
    /// What the operator should know about the CAs, one sentence each.
    notes: Vec<String>,
    /// Why files in that directory were not read, one sentence each.
    left_as_they_were: Vec<String>,
    words: Words,
    accept_v1: bool,
    lists: Lists,
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

/// A loaded CA: what judging needs of it.
struct Authority {
    identity: Identity,
    /// The normal form of its subject (RFC 5280, section 7.1).
    name: Box<[u8]>,
    spki: Box<[u8]>,
    subject_key_id: Option<Box<[u8]>>,
    may_sign_crls: bool,
    /// It vouches for what it signed. Otherwise it only completes paths to a CA that does.
    is_anchor: bool,
    /// The positions of the trust anchors that its own path leads to; for an anchor, its own position.
    anchors: Vec<usize>,
    /// Those of them that it reaches without passing a revoked CA.
    unrevoked: Vec<usize>,
    /// Why it is revoked, if a loaded list revokes it.
    revoked: Option<Problem>,
}

impl Trust {
    /// Trusts the certificates of a PEM file, whose expiry is checked by the system's clock. [`builder`](Self::builder) has more
    /// options.
    ///
    /// # Errors
    /// As [`TrustBuilder::build`].
    pub fn from_pem_file(file: impl AsRef<Path>) -> Result<Self, Error> {
        Self::builder().pem_file(file).build()
    }

    /// The same of several files: `Trust::from_pem_files(["a.pem", "b.pem"])`.
    ///
    /// # Errors
    /// As [`TrustBuilder::build`].
    pub fn from_pem_files<P: AsRef<Path>>(files: impl IntoIterator<Item = P>) -> Result<Self, Error> {
        files.into_iter().fold(Self::builder(), |builder, file| builder.pem_file(file)).build()
    }

    /// Begins to say whom to trust.
    pub fn builder() -> TrustBuilder {
        TrustBuilder::default()
    }

    /// The certificates of the files of CAs and intermediates, in their order, without repetitions.
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

    /// What the operator should know at `now`, one sentence each: revocation lists that are stale or soon will be, CAs
    /// without one, CAs that expire within 30 days, a wrong clock, and files of authorised clients that could not be read
    /// while the server ran.
    pub fn warnings(&self, now: SystemTime) -> Vec<String> {
        let mut warnings = self.left_as_they_were.clone();
        warnings.extend(self.crl_warnings(now));
        warnings.extend(self.notes.clone());
        warnings.extend(self.warnings_of_authorities(now));
        warnings
    }

    fn warnings_of_authorities(&self, now: SystemTime) -> Vec<String> {
        const MONTH: Duration = days(30);
        let mut warnings = Vec::new();
        let anchors = || self.authorities.iter().filter(|authority| authority.is_anchor);
        let first = anchors().map(|authority| authority.identity.not_before()).min();
        if let Some(first) = first.filter(|first| now < *first) {
            // The current time is left out, so that the warning stays the same when it is repeated.
            let first = timestamp(first);
            warnings.push(format!(
                "the system clock is wrong: no CA is valid yet, the first one will be on {first}; set the clock, or nobody is let in"
            ));
        }
        for Authority { identity, is_anchor, anchors, .. } in &self.authorities {
            let (kind, subject, until) = (
                if *is_anchor { "the CA" } else { "the intermediate" },
                identity.subject(),
                timestamp(identity.not_after()),
            );
            match identity.expires_in(now) {
                None => warnings.push(format!("{kind} {subject} expired on {until}: its clients are refused")),
                Some(left) if left < MONTH => warnings.push(format!("{kind} {subject} expires on {until}")),
                Some(_) => {}
            }
            if anchors.is_empty() {
                warnings.push(self.of_no_use(identity));
            }
        }
        warnings
    }

    /// Why an intermediate vouches for nobody.
    fn of_no_use(&self, intermediate: &Identity) -> String {
        let subject = intermediate.subject();
        // It was read before.
        let is_root = Certificate::parse(intermediate.der())
            .is_ok_and(|certificate| diagnose::is_signed_by_itself(&certificate, &self.algorithms));
        let (why, load) = match is_root {
            true => (
                "is a root",
                "if you trust it, load it with `TrustBuilder::pem_file` instead of `TrustBuilder::intermediates_file`",
            ),
            false => (
                "leads to no trusted CA",
                "load the CA that issued it (`TrustBuilder::pem_file`), or the intermediate above it \
                 (`TrustBuilder::intermediates_file`)",
            ),
        };
        format!("the intermediate {subject} {why}, so it is of no use; {}", (self.words)(load))
    }

    pub(crate) fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.algorithms
    }

    /// The CA names that are sent to clients, so that a browser can choose among its certificates; empty if they are too
    /// many.
    pub(crate) fn hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn has_authority(&self, der: &[u8]) -> bool {
        self.authorities.iter().any(|authority| authority.identity.der() == der)
    }

    fn pin(&self, end_entity: &[u8]) -> Option<&Pin> {
        if self.pins.is_empty() { None } else { self.pins.get(&sha256(end_entity)) }
    }

    /// The positions of the CAs with a name, given in normal form.
    fn namesakes(&self, name: &[u8]) -> impl Iterator<Item = usize> {
        self.namesakes.get(name).into_iter().flatten().copied()
    }

    fn add_authority(&mut self, authority: Authority) {
        self.namesakes.entry(authority.name.clone()).or_default().push(self.authorities.len());
        self.authorities.push(authority);
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

/// A trusted certificate, and what it is trusted for.
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

/// What a loaded certificate is trusted to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustKind {
    /// It vouches for the certificates that it signed (and is let in itself).
    Ca,
    /// It is let in itself, but does not vouch for others.
    PinnedClient,
    /// It completes the path from a client to a CA, and its revocation lists count. It does not vouch for clients by itself.
    Intermediate,
}

impl fmt::Display for TrustKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TrustKind::Ca => "ca",
            TrustKind::PinnedClient => "pinned client",
            TrustKind::Intermediate => "intermediate",
        })
    }
}
