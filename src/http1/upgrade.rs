//! What a head says of what comes after it or beside it: interim responses, upgrades, trailers (RFC 9110).

use http::header::{self, HeaderMap, HeaderName};
use http::{StatusCode, Version, request, response};

use super::error::HttpError;
use super::fields::list;
use super::response::{write_field, write_status_line};

/// Appends the head of an interim response (RFC 9110, section 15.2), unless its status is another, or `101`. An HTTP/1.0 client
/// gets none.
pub(crate) fn write_interim(parts: &response::Parts, request_version: Version, out: &mut Vec<u8>) {
    let is_interim = parts.status.is_informational() && parts.status != StatusCode::SWITCHING_PROTOCOLS;
    if is_interim && request_version == Version::HTTP_11 {
        write_status_line(parts.status, out);
        write_fields_but(&parts.headers, is_of_the_message, out);
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends the head of a `101 Switching Protocols`.
///
/// An error means that the client did not ask for it: it would take what follows for responses (RFC 9110, section 7.8).
pub(crate) fn write_switching(
    request: &request::Parts,
    response: &response::Parts,
    date: &str,
    out: &mut Vec<u8>,
) -> Result<(), HttpError> {
    let refused = |why| Err(HttpError::new(StatusCode::INTERNAL_SERVER_ERROR, why));
    if response.status != StatusCode::SWITCHING_PROTOCOLS {
        return refused("the handler made a tunnel without the status 101");
    }
    let mut protocols = values(&response.headers, &header::UPGRADE).peekable();
    if protocols.peek().is_none() || !protocols.all(|protocol| asks_for(request, protocol)) {
        return refused("the handler upgraded to what the client did not ask for");
    }
    write_status_line(response.status, out);
    write_fields_but(&response.headers, is_of_the_message, out);
    write_field("date", date.as_bytes(), out);
    write_field("connection", b"upgrade", out);
    for protocol in response.headers.get_all(header::UPGRADE) {
        write_field("upgrade", protocol.as_bytes(), out);
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// Whether a request offers to switch to this protocol. `Upgrade` counts in HTTP/1.1 only, and only if `Connection` names it
/// (RFC 9110, section 7.8).
fn asks_for(request: &request::Parts, protocol: &[u8]) -> bool {
    let has = |name, wanted| values(&request.headers, name).any(|member: &[u8]| member.eq_ignore_ascii_case(wanted));
    request.version == Version::HTTP_11 && has(&header::CONNECTION, b"upgrade") && has(&header::UPGRADE, protocol)
}

/// Whether the client of a request wants the trailer fields of the response (RFC 9110, section 6.5.1 and 10.1.4).
pub(crate) fn takes_trailers(request: &request::Parts) -> bool {
    request.version == Version::HTTP_11
        && values(&request.headers, &header::TE).any(|member| member.eq_ignore_ascii_case(b"trailers"))
}

/// Appends the end of a chunked body with trailer fields (RFC 9112, section 7.1.2). Those that may not come after the body are
/// left out (RFC 9110, section 6.5.1): framing, routing, authentication, control of the response, and the format of the content.
pub(crate) fn write_last_chunk(trailers: &HeaderMap, out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n");
    write_fields_but(trailers, |name| is_of_the_message(name) || is_of_the_head(name), out);
    out.extend_from_slice(b"\r\n");
}

fn write_fields_but(fields: &HeaderMap, but: impl Fn(&HeaderName) -> bool, out: &mut Vec<u8>) {
    for (name, value) in fields.iter().filter(|(name, _)| !but(name)) {
        write_field(name.as_str(), value.as_bytes(), out);
    }
}

/// Fields that are about one connection, or about how the message is sent.
fn is_of_the_message(name: &HeaderName) -> bool {
    matches!(
        *name,
        header::CONNECTION
            | header::CONTENT_LENGTH
            | header::DATE
            | header::TE
            | header::TRAILER
            | header::TRANSFER_ENCODING
            | header::UPGRADE
    ) || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

/// Fields that mean something only before the body: those of requests and of responses in one list, since neither has a use for
/// the other's.
fn is_of_the_head(name: &HeaderName) -> bool {
    matches!(
        *name,
        header::AGE
            | header::AUTHORIZATION
            | header::CACHE_CONTROL
            | header::CONTENT_ENCODING
            | header::CONTENT_RANGE
            | header::CONTENT_TYPE
            | header::COOKIE
            | header::EXPECT
            | header::EXPIRES
            | header::HOST
            | header::LOCATION
            | header::MAX_FORWARDS
            | header::PRAGMA
            | header::PROXY_AUTHENTICATE
            | header::PROXY_AUTHORIZATION
            | header::RANGE
            | header::RETRY_AFTER
            | header::SET_COOKIE
            | header::VARY
            | header::WARNING
            | header::WWW_AUTHENTICATE
    ) || name.as_str().starts_with("if-")
}

/// The members of a list, without the empty ones.
fn values<'h>(fields: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> {
    list(fields, name).filter(|member| !member.is_empty())
}
