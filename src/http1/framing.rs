//! Where a request's body ends (RFC 9112, section 6).

use http::header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use http::{Method, StatusCode, Version};

use super::error::HttpError;
use super::fields::{members, number};

/// How the end of a body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is no body.
    None,
    /// The body has this many bytes.
    Length(u64),
    /// The body comes in chunks.
    Chunked,
}

/// Reads the framing of a request from its fields. Whatever is doubtful is an error.
pub(super) fn of_request(method: &Method, version: Version, fields: &HeaderMap) -> Result<Framing, HttpError> {
    let mut lengths = fields.get_all(CONTENT_LENGTH).iter();
    let mut codings = fields.get_all(TRANSFER_ENCODING).iter();
    match (lengths.next(), codings.next()) {
        (Some(_), Some(_)) => Err(HttpError::bad("both Content-Length and Transfer-Encoding")),
        (Some(length), None) => {
            if lengths.next().is_some() {
                return Err(HttpError::bad("more than one Content-Length"));
            }
            let length = number(length.as_bytes());
            length.map(Framing::Length).ok_or(HttpError::bad("a Content-Length that is not a plain number"))
        }
        (None, Some(coding)) => {
            if codings.next().is_some() {
                return Err(HttpError::bad("more than one Transfer-Encoding"));
            }
            if version != Version::HTTP_11 {
                return Err(HttpError::bad("Transfer-Encoding in HTTP/1.0"));
            }
            transfer_encoding(coding.as_bytes())
        }
        (None, None) if version == Version::HTTP_10 && has_content_by_custom(method) => {
            Err(HttpError::new(StatusCode::LENGTH_REQUIRED, "an HTTP/1.0 body without Content-Length"))
        }
        (None, None) => Ok(Framing::None),
    }
}

/// In HTTP/1.0 the end of such a request's content cannot be found without a length.
fn has_content_by_custom(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

fn transfer_encoding(value: &[u8]) -> Result<Framing, HttpError> {
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
