//! The plainest way to read a head: byte by byte, and one question at a time. `comparison.rs` has it read the same bytes as the
//! quick way. What both do alike is not repeated.

use std::net::Ipv6Addr;

use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::uri::{PathAndQuery, Uri};
use http::{Method, StatusCode, Version};

use crate::http1::fields::{members, number};
use crate::http1::head::LONGEST_METHOD;
use crate::http1::scanner::MOST_FIELDS;
use crate::http1::{Framing, Head, HeadLimits, HttpError, framing, head, is_head_request, target};

#[derive(Debug, Default)]
pub(super) struct SlowParser {
    scanned: usize,
    line: usize,
    lines: usize,
}

impl SlowParser {
    pub(super) fn parse(&mut self, received: &[u8], limits: &HeadLimits) -> Result<Option<(Head, usize)>, HttpError> {
        let Some(end) = self.scan(received, limits)? else { return Ok(None) };
        let head = interpret(&received[head::leading_line_end(received)..end])?;
        *self = Self::default();
        Ok(Some((head, end)))
    }

    pub(super) fn is_head_request(&self, received: &[u8]) -> Option<bool> {
        is_head_request(received.get(..self.scanned)?)
    }

    fn scan(&mut self, received: &[u8], limits: &HeadLimits) -> Result<Option<usize>, HttpError> {
        while let Some(&byte) = received.get(self.scanned) {
            let at = self.scanned;
            let after_cr = at > 0 && received[at - 1] == b'\r';
            match byte {
                b'\n' if after_cr => {}
                _ if after_cr => return Err(HttpError::bad("a bare carriage return in the head")),
                b'\n' => return Err(HttpError::bad("a bare line feed in the head")),
                b'\r' | b'\t' => {}
                0..=0x1f | 0x7f => return Err(HttpError::bad("a control character in the head")),
                0x80.. if self.lines == 0 => {
                    return Err(HttpError::bad("a character in the request line that is not ASCII"));
                }
                _ => {}
            }
            if at >= limits.max_head {
                return Err(HttpError::head_too_large("the head is too large"));
            }
            self.scanned += 1;
            if byte == b'\n' {
                let line = &received[self.line..at - 1];
                self.line = at + 1;
                match (self.lines, line) {
                    // One empty line before the request line is skipped (RFC 9112, section 2.2).
                    (0, b"") if at == 1 => {}
                    (0, b"") => return Err(HttpError::bad("an empty request line")),
                    (0, line) => {
                        check_request_line(line, limits)?;
                        self.lines = 1;
                    }
                    (_, b"") => return Ok(Some(at + 1)),
                    (lines, _) if lines > limits.max_fields.min(MOST_FIELDS) => {
                        return Err(HttpError::head_too_large("too many fields"));
                    }
                    (_, line) => {
                        check_field_line(line)?;
                        self.lines += 1;
                    }
                }
            } else if self.lines == 0 && at - self.line > limits.max_target + LONGEST_METHOD {
                // The request line is not complete, but too long already.
                return Err(HttpError::new(StatusCode::URI_TOO_LONG, "the target is too long"));
            }
        }
        Ok(None)
    }
}

fn check_request_line(line: &[u8], limits: &HeadLimits) -> Result<(), HttpError> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(HttpError::bad("a request line that is not method, target and version"));
    };
    if !is_token(method) || method.len() > LONGEST_METHOD {
        return Err(HttpError::bad("a method that is not a token"));
    }
    if target.is_empty() || !target.iter().all(u8::is_ascii_graphic) {
        return Err(HttpError::bad("a target with characters that do not belong there"));
    }
    match version {
        b"HTTP/1.1" | b"HTTP/1.0" => {}
        // The preface of HTTP/2 (RFC 9113, section 3.4), which was not negotiated.
        b"HTTP/2.0" if method == b"PRI" => return Err(HttpError::bad("HTTP/2 was not negotiated")),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            return Err(HttpError::new(StatusCode::HTTP_VERSION_NOT_SUPPORTED, "a version that is not 1.0 or 1.1"));
        }
        _ => return Err(HttpError::bad("not a valid version")),
    }
    head::check_length(target, limits)
}

fn interpret(head: &[u8]) -> Result<Head, HttpError> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let complete = request.parse(head).is_ok_and(|status| status.is_complete());
    let (true, Some(method), Some(target), Some(version)) = (complete, request.method, request.path, request.version)
    else {
        return Err(HttpError::bad("a head that cannot be read"));
    };
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| HttpError::bad("a method that is not a token"))?;
    head::check_method(&method)?;
    let version = if version == 1 { Version::HTTP_11 } else { Version::HTTP_10 };
    let target = parse_target(&method, target.as_bytes())?;

    let mut headers = HeaderMap::new();
    for field in request.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes())
            .map_err(|_| HttpError::bad("a field name that is not a token"))?;
        let value =
            HeaderValue::from_bytes(field.value).map_err(|_| HttpError::bad("a control character in a field value"))?;
        headers.append(name, value);
    }
    check_host(&headers, version, target.authority.as_ref())?;
    let framing = read_framing(&method, version, &headers)?;
    let expects_continue = expects_continue(&headers, version)?;
    let keep_alive = keep_alive(&headers, version);

    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.method = method;
    parts.uri = target.uri;
    parts.version = version;
    parts.headers = headers;
    Ok(Head { parts: Box::new(parts), framing, keep_alive, expects_continue })
}

fn check_host(fields: &HeaderMap, version: Version, target: Option<&Authority<'_>>) -> Result<(), HttpError> {
    let mut hosts = fields.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => Authority::parse(host.as_bytes())?,
        (Some(_), Some(_)) => return Err(HttpError::bad("more than one Host")),
        (None, _) if version == Version::HTTP_10 => return Ok(()),
        (None, _) => return Err(HttpError::bad("no Host")),
    };
    if target.is_some_and(|target| *target != host) {
        return Err(HttpError::bad("a Host that is not the target's"));
    }
    Ok(())
}

fn expects_continue(fields: &HeaderMap, version: Version) -> Result<bool, HttpError> {
    if version == Version::HTTP_10 {
        return Ok(false);
    }
    let mut expectations = fields.get_all(EXPECT).iter().peekable();
    let any = expectations.peek().is_some();
    if expectations.all(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        Ok(any)
    } else {
        Err(HttpError::new(StatusCode::EXPECTATION_FAILED, "an expectation that is not 100-continue"))
    }
}

fn keep_alive(fields: &HeaderMap, version: Version) -> bool {
    let mut keep = version == Version::HTTP_11;
    for value in fields.get_all(CONNECTION) {
        for option in members(value.as_bytes()) {
            if option.eq_ignore_ascii_case(b"close") {
                return false;
            }
            keep |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }
    keep
}

pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().copied().all(is_token_byte)
}

pub(super) fn is_value_byte(byte: u8) -> bool {
    byte == b'\t' || byte >= b' ' && byte != 0x7f
}

pub(super) fn check_field_line(line: &[u8]) -> Result<(), HttpError> {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else {
        return Err(HttpError::bad("a field line without a colon"));
    };
    let (name, value) = line.split_at(colon);
    if line[0] == b' ' || line[0] == b'\t' {
        return Err(HttpError::bad("a folded field line"));
    }
    if name.last().is_some_and(|byte| *byte == b' ' || *byte == b'\t') {
        return Err(HttpError::bad("a space before the colon of a field"));
    }
    if !is_token(name) {
        return Err(HttpError::bad("a field name that is not a token"));
    }
    if !value.iter().copied().all(is_value_byte) {
        return Err(HttpError::bad("a control character in a field value"));
    }
    Ok(())
}

fn read_framing(method: &Method, version: Version, fields: &HeaderMap) -> Result<Framing, HttpError> {
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
            framing::transfer_encoding(coding.as_bytes())
        }
        (None, None) if version == Version::HTTP_10 && framing::has_content_by_custom(method) => {
            Err(HttpError::new(StatusCode::LENGTH_REQUIRED, "an HTTP/1.0 body without Content-Length"))
        }
        (None, None) => Ok(Framing::None),
    }
}

pub(super) struct Target<'t> {
    pub(super) uri: Uri,
    pub(super) authority: Option<Authority<'t>>,
}

#[derive(Debug)]
pub(super) struct Authority<'t> {
    host: &'t str,
    port: u16,
}

pub(super) fn parse_target<'t>(method: &Method, target: &'t [u8]) -> Result<Target<'t>, HttpError> {
    if target == b"*" {
        return match *method == Method::OPTIONS {
            true => Ok(Target { uri: Uri::from_static("*"), authority: None }),
            false => Err(HttpError::bad("the target * without OPTIONS")),
        };
    }
    let (authority, rest) = match target.first() {
        Some(b'/') => (None, target),
        _ => split_absolute(target).map(|(authority, rest)| (Some(authority), rest))?,
    };
    let normal = match rest.first() {
        Some(b'/') => normalise(rest)?,
        // An empty path of an absolute target is the same as `/` (RFC 9110, section 4.2.3).
        _ => normalise(&[b"/", rest].concat())?,
    };
    let path_and_query =
        PathAndQuery::try_from(normal.as_slice()).map_err(|_| HttpError::bad("a target that is not a path"))?;
    Ok(Target { uri: Uri::from(path_and_query), authority })
}

impl<'t> Authority<'t> {
    pub(super) fn parse(value: &'t [u8]) -> Result<Self, HttpError> {
        if value.contains(&b'@') {
            return Err(HttpError::bad("user information in a host"));
        }
        let text = std::str::from_utf8(value).unwrap_or_default();
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (text, ""),
        };
        match read_port(port) {
            Some(port) if is_host(host) => Ok(Self { host, port }),
            _ => Err(HttpError::bad("not a valid host")),
        }
    }
}

impl PartialEq for Authority<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.host.eq_ignore_ascii_case(other.host) && self.port == other.port
    }
}

fn read_port(port: &str) -> Option<u16> {
    match port {
        "" => Some(443),
        _ if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().ok(),
        _ => None,
    }
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[') {
        Some(address) => address.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        None => !host.is_empty() && host.bytes().all(|byte| is_unreserved(byte) || is_sub_delim(byte)),
    }
}

fn split_absolute(target: &[u8]) -> Result<(Authority<'_>, &[u8]), HttpError> {
    const SCHEME: &[u8] = b"https://";
    let (scheme, after) = target.split_at(target.len().min(SCHEME.len()));
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return Err(HttpError::bad("a target that is neither a path nor an address of https"));
    }
    let end = after.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(after.len());
    let (authority, rest) = after.split_at(end);
    Ok((Authority::parse(authority)?, rest))
}

fn normalise(target: &[u8]) -> Result<Vec<u8>, HttpError> {
    let (path, query) = match target.iter().position(|byte| *byte == b'?') {
        Some(at) => (&target[..at], Some(&target[at + 1..])),
        None => (target, None),
    };
    let mut normal = Vec::with_capacity(target.len());
    copy_path(path, &mut normal)?;
    target::check_segments(&normal)?;
    if let Some(query) = query {
        normal.push(b'?');
        copy_query(query, &mut normal)?;
    }
    Ok(normal)
}

fn copy_path(mut path: &[u8], out: &mut Vec<u8>) -> Result<(), HttpError> {
    while let Some((&byte, rest)) = path.split_first() {
        path = rest;
        match byte {
            b'%' => {
                let (decoded, rest) = target::decode(rest)?;
                path = rest;
                match decoded {
                    b'/' | b'\\' | 0..=0x1f | 0x7f => {
                        return Err(HttpError::bad("an encoded slash, backslash or control character in the path"));
                    }
                    _ if is_path_byte(decoded) => out.push(decoded),
                    _ => target::push_encoded(decoded, out),
                }
            }
            _ if is_path_byte(byte) => out.push(byte),
            _ if target::SENT_RAW_IN_PATHS.contains(&byte) => target::push_encoded(byte, out),
            _ => return Err(HttpError::bad("a character in the path that does not belong there")),
        }
    }
    Ok(())
}

pub(super) fn copy_query(query: &[u8], out: &mut Vec<u8>) -> Result<(), HttpError> {
    for &byte in query {
        match byte {
            b'"' | b'<' | b'>' => target::push_encoded(byte, out),
            b'!'..=b'~' if byte != b'#' => out.push(byte),
            _ => return Err(HttpError::bad("a character in the query that does not belong there")),
        }
    }
    Ok(())
}

pub(super) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

pub(super) fn is_sub_delim(byte: u8) -> bool {
    matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=')
}

pub(super) fn is_path_byte(byte: u8) -> bool {
    is_unreserved(byte) || is_sub_delim(byte) || matches!(byte, b':' | b'@' | b'/')
}
