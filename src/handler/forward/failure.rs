//! Why a request could not be forwarded: what the client gets, and what the operator reads.

use std::borrow::Cow;

use http::StatusCode;
use http::header::{CONNECTION, HeaderValue};

use crate::handler::Response;
use crate::handler::pages;
use crate::handler::upstream::Note;

/// The server answers instead of the application.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    note: Cow<'static, str>,
    kind: Option<&'static str>,
    /// The client's connection ends too.
    closes: bool,
}

impl Failure {
    /// The application is not there.
    pub(super) fn unreachable(note: impl Into<Cow<'static, str>>) -> Self {
        Self { kind: Some("unreachable"), ..Self::bad_gateway(note) }
    }

    /// The application has closed the connection before its answer.
    pub(super) fn closed(note: impl Into<Cow<'static, str>>) -> Self {
        Self { kind: Some("closed"), ..Self::bad_gateway(note) }
    }

    /// There is no answer that could be passed on.
    pub(super) fn bad_gateway(note: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::BAD_GATEWAY, note: note.into(), kind: None, closes: false }
    }

    /// The application is too slow.
    pub(super) fn timed_out(note: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::GATEWAY_TIMEOUT, note: note.into(), kind: Some("timed_out"), closes: false }
    }

    /// What the application sent could be read in two ways: both connections end.
    pub(super) fn bad_answer(reason: &str) -> Self {
        Self {
            closes: true,
            kind: Some("bad_answer"),
            ..Self::bad_gateway(format!("the application's answer is not acceptable: {reason}"))
        }
    }

    /// What would have to be said of the client is too long.
    pub(super) fn too_long(note: &'static str) -> Self {
        Self { status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, note: note.into(), kind: None, closes: false }
    }

    /// The body of the request cannot be read. The connection knows why, and answers itself.
    pub(super) fn of_client() -> Self {
        Self { status: StatusCode::BAD_REQUEST, note: "the body could not be read".into(), kind: None, closes: true }
    }

    pub(super) fn into_response(self) -> Response {
        let mut response = pages::rejected_because(self.status, Note { reason: self.note, kind: self.kind });
        if self.closes {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
