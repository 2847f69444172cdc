//! Whom the server trusts, and the verdict on a client.
//!
//! [`Trust`] is a snapshot: what is in hand is valid. [`judge()`] is a function of the client's chain, the snapshot and the
//! time; nothing else ever decides. `diagnose` explains a refusal afterwards and can change no verdict.

mod diagnose;
mod judge;
mod load;
mod possession;
mod refusal;
mod signature;
mod store;

use std::collections::HashSet;
use std::fmt;
use std::path::Path;

use rustls::DistinguishedName;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, TrustAnchor};

use crate::error::Error;
use crate::identity::Identity;

pub use judge::{Judgement, Verdict, judge};
pub use load::TrustBuilder;
pub(crate) use possession::{prove_possession, refusal_in};
pub use refusal::{Refusal, RefusalCode};
pub(crate) use store::TrustStore;

/// Whom a server trusts: CAs, which vouch for all that they signed, and pinned client certificates, which are let in by
/// themselves.
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
    authorities: Vec<Identity>,
    /// Every certificate of the files, byte for byte.
    pins: HashSet<Vec<u8>>,
    accept_v1: bool,
    algorithms: WebPkiSupportedAlgorithms,
    hints: Vec<DistinguishedName>,
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

    /// The certificates it was made of, in the order of the files, each once.
    pub fn entries(&self) -> &[TrustEntry] {
        &self.entries
    }

    pub(crate) fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.algorithms
    }

    /// The names that a client is told, so that a browser can choose among its certificates; empty if they are too many
    /// to be told.
    pub(crate) fn hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn is_pinned(&self, end_entity: &CertificateDer<'_>) -> bool {
        self.pins.contains(&end_entity[..])
    }

    /// The anchors with the certificates they were made of.
    fn authorities(&self) -> impl Iterator<Item = (&TrustAnchor<'static>, &Identity)> {
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
