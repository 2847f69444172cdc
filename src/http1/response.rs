//! The head of a response, as bytes. The server decides on the framing: what a handler says about it is dropped.

use http::header::{self, HeaderName};
use http::{StatusCode, Version};

use super::error::HttpError;
use super::fields::{Sole, members, number};

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
    out.reserve(256);
    write_status_line(parts.status, out);
    let mut announced = Sole::None;
    let mut asks_to_close = false;
    for (name, value) in &parts.headers {
        let value = value.as_bytes();
        match *name {
            header::CONTENT_LENGTH => announced.add(value),
            header::CONNECTION => asks_to_close |= members(value).any(|option| option.eq_ignore_ascii_case(b"close")),
            _ if is_ours(name) => {}
            _ => write_field(name.as_str(), value, out),
        }
    }
    let transfer = transfer(parts.status, body, context);
    let keep = context.keep_alive && transfer != Transfer::UntilClose && !asks_to_close;
    write_field("date", context.date.as_bytes(), out);
    if let Some(length) = content_length(parts.status, body, announced, context) {
        out.extend_from_slice(b"content-length: ");
        out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
        out.extend_from_slice(b"\r\n");
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
fn content_length(
    status: StatusCode,
    body: BodyLength,
    announced: Sole<'_>,
    context: &ResponseContext<'_>,
) -> Option<u64> {
    if status == StatusCode::NO_CONTENT {
        return None;
    }
    if context.head_request || status == StatusCode::NOT_MODIFIED {
        if let (BodyLength::Known(0), Sole::One(length)) = (body, announced)
            && let Some(length) = number(length)
        {
            return Some(length);
        }
        if status == StatusCode::NOT_MODIFIED {
            return None;
        }
    }
    match body {
        BodyLength::Known(length) => Some(length),
        BodyLength::Unknown => None,
    }
}

/// Other fields that only the server writes.
fn is_ours(name: &HeaderName) -> bool {
    matches!(*name, header::TRANSFER_ENCODING | header::DATE | header::TRAILER | header::UPGRADE)
        || name.as_str() == "keep-alive"
}

pub(super) fn write_status_line(status: StatusCode, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
}

pub(super) fn write_field(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}
