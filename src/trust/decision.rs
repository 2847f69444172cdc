//! May this client make this request? This is the only place that decides: for the server, its log and pages, and for
//! `check`.

use std::sync::Arc;

use http::Method;

use crate::policy::{Permission, Policy};
use crate::x509::identity::Identity;

use super::refusal::{Refusal, RefusalCode};
use super::verdict::Verdict;

/// The decision on one request, from the verdict on the client and the policy. It borrows from both.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Decision<'a> {
    /// The certificate is valid, and its holder may make the request.
    Allowed,
    /// Everyone may make it, so it does not matter if the certificate is refused or missing.
    ForAnyone,
    /// The certificate is refused: 401.
    Unauthorised(&'a Arc<Refusal>),
    /// The certificate is valid, but no rule lets its holder make the request: 403.
    NotAllowed { identity: &'a Identity, why: Permission<'a> },
}

/// Decides without allocating; also returns what the policy said. The certificate is judged first: the names in a refused
/// certificate are never compared with rules.
pub(crate) fn decide<'a>(
    verdict: &'a Verdict,
    policy: &'a Policy,
    method: &Method,
    path: &'a str,
) -> (Decision<'a>, Permission<'a>) {
    let identity = match verdict {
        Verdict::Authorised(identity) => Some(identity),
        Verdict::Refused(_) => None,
    };
    let permission = policy.permission(method, path, identity);
    let decision = match (verdict, permission) {
        (Verdict::Authorised(_), Permission::Anyone | Permission::Granted(_)) => Decision::Allowed,
        (Verdict::Authorised(identity), Permission::Denied(_)) => Decision::NotAllowed { identity, why: permission },
        (Verdict::Refused(_), Permission::Anyone) => Decision::ForAnyone,
        (Verdict::Refused(refusal), Permission::Granted(_) | Permission::Denied(_)) => Decision::Unauthorised(refusal),
    };
    (decision, permission)
}

/// The refusal of a request that no rule allows, though the certificate is valid.
pub(crate) fn not_allowed(identity: &Identity, why: Permission<'_>) -> Refusal {
    Refusal::new(RefusalCode::NotAllowed, why.to_string(), Some(identity.clone()))
}
