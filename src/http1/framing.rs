//! Where a body ends (RFC 9112, section 6).

use http::{Method, StatusCode, Version};

use super::error::HttpError;
use super::fields::{Sole, members, number};

/// How the end of a body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is no body.
    None,
    /// The body has this many bytes.
    Length(u64),
    /// The body comes in chunks.
    Chunked,
    /// The body ends with the connection; only that of a response.
    UntilClose,
}

/// Reads the framing of a request from its `Content-Length` and its `Transfer-Encoding`. Whatever is doubtful is an error.
pub(super) fn of_request(
    method: &Method,
    version: Version,
    length: Sole<'_>,
    coding: Sole<'_>,
) -> Result<Framing, HttpError> {
    match (length, coding) {
        (Sole::None, Sole::None) if version == Version::HTTP_10 && has_content_by_custom(method) => {
            Err(HttpError::new(StatusCode::LENGTH_REQUIRED, "an HTTP/1.0 body without Content-Length"))
        }
        _ => Ok(announced(version, length, coding)?.unwrap_or(Framing::None)),
    }
}

/// Reads the framing of the response to a request with this method, likewise (RFC 9112, section 6.3).
pub(super) fn of_response(
    method: &Method,
    status: StatusCode,
    version: Version,
    length: Sole<'_>,
    coding: Sole<'_>,
) -> Result<Framing, HttpError> {
    let announced = announced(version, length, coding)?;
    if status.is_informational() || status == StatusCode::NO_CONTENT {
        // It has no content and must not announce any (RFC 9112, section 6.1, and RFC 9110, section 8.6), but some say that it
        // has none.
        return match announced {
            None | Some(Framing::Length(0)) => Ok(Framing::None),
            Some(_) => Err(HttpError::bad("content announced with a status that has none")),
        };
    }
    match method == Method::HEAD || status == StatusCode::NOT_MODIFIED {
        true => Ok(Framing::None),
        false => Ok(announced.unwrap_or(Framing::UntilClose)),
    }
}

/// What the two fields say. `None`: nothing.
fn announced(version: Version, length: Sole<'_>, coding: Sole<'_>) -> Result<Option<Framing>, HttpError> {
    match (length, coding) {
        (Sole::None, Sole::None) => Ok(None),
        (Sole::One(length), Sole::None) => match number(length) {
            Some(length) => Ok(Some(Framing::Length(length))),
            None => Err(HttpError::bad("a Content-Length that is not a plain number")),
        },
        (Sole::None, Sole::One(_)) if version != Version::HTTP_11 => {
            Err(HttpError::bad("Transfer-Encoding in HTTP/1.0"))
        }
        (Sole::None, Sole::One(coding)) => transfer_encoding(coding).map(Some),
        (Sole::Several, Sole::None) => Err(HttpError::bad("more than one Content-Length")),
        (Sole::None, Sole::Several) => Err(HttpError::bad("more than one Transfer-Encoding")),
        (_, _) => Err(HttpError::bad("both Content-Length and Transfer-Encoding")),
    }
}

/// In HTTP/1.0 the end of such a request's content cannot be found without a length.
pub(super) fn has_content_by_custom(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

pub(super) fn transfer_encoding(value: &[u8]) -> Result<Framing, HttpError> {
    let mut codings: Vec<_> = members(value).collect();
    let last = codings.pop().unwrap_or_default();
    if !last.eq_ignore_ascii_case(b"chunked") {
        return Err(HttpError::bad("a Transfer-Encoding that is not chunked"));
    }
    if codings.is_empty() {
        return Ok(Framing::Chunked);
    }
    let known = [&b"gzip"[..], b"x-gzip", b"deflate", b"compress", b"x-compress"];
    match codings.iter().all(|coding| known.iter().any(|known| coding.eq_ignore_ascii_case(known))) {
        true => Err(HttpError::new(StatusCode::NOT_IMPLEMENTED, "a transfer coding that is not implemented")),
        false => Err(HttpError::bad("a Transfer-Encoding that is not chunked")),
    }
}
