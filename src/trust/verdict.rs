//! The verdict on a client, and how long it stands.

use std::sync::Arc;
use std::time::SystemTime;

use crate::x509::identity::Identity;

use super::refusal::Refusal;

/// Whether a client is authorised.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// Yes: its certificate is valid, and this is who it says it is.
    Authorised(Identity),
    /// No, and why.
    Refused(Arc<Refusal>),
}

/// A verdict, and how long it stands.
#[derive(Debug, Clone)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// The first moment at which it may be another for the same trust: a certificate on the path expires or becomes
    /// valid, or a revocation list becomes stale. `None`: never, as far as can be told of a refusal.
    pub valid_until: Option<SystemTime>,
    /// The CA of trust that the client's chain leads to, if it leads to one. That it does is not enough to be let in.
    pub anchor: Option<Identity>,
}
