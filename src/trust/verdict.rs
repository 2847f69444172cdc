//! The verdict on a client, and how long it stands.

use std::sync::Arc;
use std::time::SystemTime;

use crate::x509::identity::Identity;

use super::refusal::Refusal;

/// Whether a client is authorised.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// Yes: its certificate is valid, and this is its holder.
    Authorised(Identity),
    /// No, and why.
    Refused(Arc<Refusal>),
}

/// A verdict, and how long it stands.
#[derive(Debug, Clone)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// When the verdict may change with the same trust: a certificate on the path expires or becomes valid, or a revocation
    /// list becomes stale. `None`: never, as far as is known.
    pub valid_until: Option<SystemTime>,
    /// The trusted CA that the client's chain leads to, if any. That alone does not authorise the client.
    pub anchor: Option<Identity>,
}
