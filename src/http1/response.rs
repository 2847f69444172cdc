//! The head of a response, as bytes. The server decides on the framing: what a handler says about it is dropped.

use http::header::{self, HeaderName};
use http::{StatusCode, Version};

use super::error::HttpError;
use super::fields::{members, number};

/// The interim response that asks the client to send the body (RFC 9110, section 15.2.1).
pub(crate) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// How long a response's body is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum BodyLength {
    Known(u64),
    Unknown,
}

/// How a response's body is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transfer {
    /// Not at all.
    None,
    /// With this many bytes.
    Length(u64),
    /// In chunks.
    Chunked,
    /// Until the connection is closed.
    UntilClose,
}

/// What the head of a response depends on beside the response itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResponseContext<'a> {
    pub(crate) request_version: Version,
    pub(crate) head_request: bool,
    /// The connection can be kept open.
    pub(crate) keep_alive: bool,
    /// The value of `Date`.
    pub(crate) date: &'a str,
}

/// Appends the head to `out`; returns how the body is sent and whether the connection is kept.
///
/// An error means that a handler made a response that cannot be sent; the client gets a 500.
pub(crate) fn write_head(
    parts: &http::response::Parts,
    body: BodyLength,
    context: &ResponseContext<'_>,
    out: &mut Vec<u8>,
) -> Result<(Transfer, bool), HttpError> {
    if parts.status.is_informational() {
        return Err(HttpError::new(StatusCode::INTERNAL_SERVER_ERROR, "the handler answered with an interim status"));
    }
    let transfer = transfer(parts.status, body, context);
    let keep = context.keep_alive && transfer != Transfer::UntilClose && !asks_to_close(parts);

    out.reserve(256);
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(parts.status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(parts.status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
    for (name, value) in parts.headers.iter().filter(|(name, _)| !is_ours(name)) {
        write_field(name.as_str(), value.as_bytes(), out);
    }
    write_field("date", context.date.as_bytes(), out);
    if let Some(length) = content_length(parts, body, context) {
        write_field("content-length", length.as_bytes(), out);
    }
    if transfer == Transfer::Chunked || (context.head_request && would_be_chunked(parts.status, body, context)) {
        write_field("transfer-encoding", b"chunked", out);
    }
    if !keep {
        write_field("connection", b"close", out);
    } else if context.request_version == Version::HTTP_10 {
        write_field("connection", b"keep-alive", out);
    }
    out.extend_from_slice(b"\r\n");
    Ok((transfer, keep))
}

fn transfer(status: StatusCode, body: BodyLength, context: &ResponseContext<'_>) -> Transfer {
    if context.head_request || is_bodiless(status) {
        return Transfer::None;
    }
    match body {
        BodyLength::Known(length) => Transfer::Length(length),
        BodyLength::Unknown if context.request_version == Version::HTTP_11 => Transfer::Chunked,
        BodyLength::Unknown => Transfer::UntilClose,
    }
}

/// Responses that end with their head (RFC 9112, section 6.3).
fn is_bodiless(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

fn would_be_chunked(status: StatusCode, body: BodyLength, context: &ResponseContext<'_>) -> bool {
    matches!(body, BodyLength::Unknown) && context.request_version == Version::HTTP_11 && !is_bodiless(status)
}

/// The value of `Content-Length`, if the response has one. In a response to HEAD it is the length that GET would send, which
/// the handler may give without the body. The same goes for 304; a 204 has none (RFC 9110, section 8.6).
fn content_length(parts: &http::response::Parts, body: BodyLength, context: &ResponseContext<'_>) -> Option<String> {
    if parts.status == StatusCode::NO_CONTENT {
        return None;
    }
    if context.head_request || parts.status == StatusCode::NOT_MODIFIED {
        if let (BodyLength::Known(0), Some(length)) = (body, sole_length(parts)) {
            return Some(length.to_string());
        }
        if parts.status == StatusCode::NOT_MODIFIED {
            return None;
        }
    }
    match body {
        BodyLength::Known(length) => Some(length.to_string()),
        BodyLength::Unknown => None,
    }
}

fn sole_length(parts: &http::response::Parts) -> Option<u64> {
    let mut lengths = parts.headers.get_all(header::CONTENT_LENGTH).iter();
    number(lengths.next().filter(|_| lengths.next().is_none())?.as_bytes())
}

fn asks_to_close(parts: &http::response::Parts) -> bool {
    let mut options = parts.headers.get_all(header::CONNECTION).iter().flat_map(|value| members(value.as_bytes()));
    options.any(|option| option.eq_ignore_ascii_case(b"close"))
}

/// Fields that only the server writes.
fn is_ours(name: &HeaderName) -> bool {
    matches!(
        *name,
        header::CONTENT_LENGTH
            | header::TRANSFER_ENCODING
            | header::CONNECTION
            | header::DATE
            | header::TRAILER
            | header::UPGRADE
    ) || name.as_str() == "keep-alive"
}

fn write_field(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}
