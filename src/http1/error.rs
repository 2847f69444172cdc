//! Why a request is not acceptable.

use http::StatusCode;

/// The status that the client gets, and the reason that the operator reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HttpError {
    pub(crate) status: StatusCode,
    /// One short clause in lower case.
    pub(crate) reason: &'static str,
}

impl HttpError {
    pub(crate) const fn new(status: StatusCode, reason: &'static str) -> Self {
        Self { status, reason }
    }

    pub(crate) const fn bad(reason: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason)
    }

    pub(crate) const fn timed_out(reason: &'static str) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, reason)
    }

    pub(crate) const fn body_too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large")
    }

    pub(crate) const fn head_too_large(reason: &'static str) -> Self {
        Self::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, reason)
    }
}
