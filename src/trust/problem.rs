//! What is wrong with a certificate, and whether its dates are valid.

use std::time::{Duration, SystemTime};

use crate::clock::timestamp;
use crate::x509::certificate::Certificate;
use crate::x509::identity::Identity;

use super::refusal::RefusalCode;

/// Why a certificate is refused, and until when at least.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    pub(super) code: RefusalCode,
    pub(super) detail: String,
    /// The repair for this case, if that of the code would not help.
    pub(super) repair: Option<&'static str>,
    pub(super) until: Option<SystemTime>,
    /// The trusted CA that the path leads to nevertheless.
    pub(super) anchor: Option<Identity>,
}

impl Problem {
    pub(super) fn new(code: RefusalCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), repair: None, until: None, anchor: None }
    }

    pub(super) fn repaired_by(self, repair: &'static str) -> Self {
        Self { repair: Some(repair), ..self }
    }

    pub(super) fn under(self, anchor: &Identity) -> Self {
        Self { anchor: Some(anchor.clone()), ..self }
    }
}

/// What is wrong with the dates of a certificate (RFC 5280, section 4.1.2.5: both ends are inclusive).
pub(super) fn date_problem(certificate: &Certificate<'_>, now: SystemTime) -> Option<Problem> {
    let (from, to) = (certificate.not_before, certificate.not_after);
    if now < from {
        let detail = format!("valid from {}, and it is {}", timestamp(from), timestamp(now));
        return Some(Problem { until: Some(from), ..Problem::new(RefusalCode::NotYetValid, detail) });
    }
    if now >= last_moment(certificate) {
        let detail = format!("valid until {}, and it is {}", timestamp(to), timestamp(now));
        return Some(Problem::new(RefusalCode::Expired, detail));
    }
    None
}

/// The first moment after its validity.
pub(super) fn last_moment(certificate: &Certificate<'_>) -> SystemTime {
    after(certificate.not_after)
}

pub(super) fn after(last_second: SystemTime) -> SystemTime {
    last_second.checked_add(Duration::from_secs(1)).unwrap_or(last_second)
}
