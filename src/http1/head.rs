//! The head of a request: request line and fields (RFC 9112, sections 2 to 5).
//!
//! `httparse` accepts more than we do: what a [`Scanner`] has accepted before is read by it.

use std::mem::MaybeUninit;

use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Method, StatusCode, Version};

use super::error::HttpError;
use super::fields::{Sole, TOKEN, members};
use super::framing::{self, Framing};
use super::scanner::{Grammar, MOST_FIELDS, Scanner};
use super::target::{self, Authority};
use crate::byte_set::ByteSet;

/// How large a head may be.
#[derive(Debug, Clone)]
pub(crate) struct HeadLimits {
    /// Bytes of the whole head.
    pub(crate) max_head: usize,
    /// Number of fields; at most [`MOST_FIELDS`].
    pub(crate) max_fields: usize,
    /// Bytes of the target.
    pub(crate) max_target: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { max_head: 16 * 1024, max_fields: MOST_FIELDS, max_target: 8 * 1024 }
    }
}

/// A head that is acceptable.
#[derive(Debug)]
pub(crate) struct Head {
    /// The target is in origin form, its path normalised.
    pub(crate) parts: Box<Parts>,
    pub(crate) framing: Framing,
    /// The client wants to send another request on this connection.
    pub(crate) keep_alive: bool,
    /// The client waits for `100 Continue` before it sends the body.
    pub(crate) expects_continue: bool,
}

/// Reads one head after the other. It remembers how far it has looked, so that a client that drips bytes costs linear,
/// not quadratic, time.
#[derive(Debug, Default)]
pub(crate) struct HeadParser(Scanner);

impl HeadParser {
    /// `received` is all that has arrived since the head's beginning. `None`: more is needed. `Some`: the head, and how
    /// many bytes it took; the parser is ready for the next. `spare` is the memory of an earlier head, without fields.
    pub(crate) fn parse(
        &mut self,
        received: &[u8],
        limits: &HeadLimits,
        spare: &mut Option<Box<Parts>>,
    ) -> Result<Option<(Head, usize)>, HttpError> {
        let Some(end) = self.0.scan(received, limits)? else { return Ok(None) };
        let head = interpret(&received[leading_line_end(received)..end], spare)?;
        self.0 = Scanner::default();
        Ok(Some((head, end)))
    }

    /// Whether the bytes that `parse` has accepted so far are those of a HEAD request: see [`is_head_request`].
    pub(crate) fn is_head_request(&self, received: &[u8]) -> Option<bool> {
        is_head_request(received.get(..self.0.scanned())?)
    }
}

/// Heads that begin with a request line.
impl Grammar for HeadLimits {
    const START: &'static ByteSet = &ByteSet::PRINTABLE.with(b"\t");
    const NOT_IN_START: HttpError = HttpError::bad("a character in the request line that is not ASCII");
    // One empty line before the request line is skipped (RFC 9112, section 2.2).
    const SKIPS_EMPTY_LINE: bool = true;
    const EMPTY_START: HttpError = HttpError::bad("an empty request line");
    const START_TOO_LONG: HttpError = HttpError::new(StatusCode::URI_TOO_LONG, "the target is too long");

    fn max_head(&self) -> usize {
        self.max_head
    }

    fn max_fields(&self) -> usize {
        self.max_fields
    }

    /// No request line that is longer can be acceptable: method, target and version are looked at one by one once it is complete.
    fn max_unfinished_start(&self) -> usize {
        self.max_target + LONGEST_METHOD
    }

    fn check_start(&self, line: &[u8]) -> Result<(), HttpError> {
        check_request_line(line, self)
    }
}

/// A method is no longer than this; the longest registered one has 17 letters.
pub(super) const LONGEST_METHOD: usize = 32;

/// Whether these bytes, which may be only a part of a request or none at all, begin like a HEAD request: the answer to HEAD
/// has no content, whatever the status (RFC 9110, section 9.3.2). `None`: there are too few bytes to say.
pub(crate) fn is_head_request(received: &[u8]) -> Option<bool> {
    let line = received.trim_ascii_start();
    match line.iter().position(|byte| !byte.is_ascii_graphic()) {
        Some(end) => Some(&line[..end] == b"HEAD"),
        None => (!b"HEAD".starts_with(line)).then_some(false),
    }
}

pub(super) fn leading_line_end(received: &[u8]) -> usize {
    if received.starts_with(b"\r\n") { 2 } else { 0 }
}

/// Method, target and version, with one space between them.
fn check_request_line(line: &[u8], limits: &HeadLimits) -> Result<(), HttpError> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(HttpError::bad("a request line that is not method, target and version"));
    };
    if method.is_empty() || !TOKEN.contains_all(method) || method.len() > LONGEST_METHOD {
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
    check_length(target, limits)
}

/// The path that the rules and the handler see of such a request, or why it is not answered.
#[cfg(feature = "cli")]
pub(crate) fn seen_path(method: &Method, target: &str, limits: &HeadLimits) -> Result<String, HttpError> {
    check_length(target.as_bytes(), limits)?;
    check_method(method)?;
    Ok(target::parse(method, target.as_bytes())?.uri.path().to_owned())
}

pub(super) fn check_length(target: &[u8], limits: &HeadLimits) -> Result<(), HttpError> {
    match target.len() > limits.max_target {
        true => Err(HttpError::new(StatusCode::URI_TOO_LONG, "the target is too long")),
        false => Ok(()),
    }
}

pub(super) fn check_method(method: &Method) -> Result<(), HttpError> {
    match matches!(*method, Method::CONNECT | Method::TRACE) {
        true => Err(HttpError::new(StatusCode::NOT_IMPLEMENTED, "a method that is not implemented")),
        false => Ok(()),
    }
}

/// The meaning of a whole head whose lines are well formed.
fn interpret(head: &[u8], spare: &mut Option<Box<Parts>>) -> Result<Head, HttpError> {
    let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
    let mut request = httparse::Request::new(&mut []);
    let parsed = request.parse_with_uninit_headers(head, &mut fields);
    let complete = parsed.is_ok_and(|status| status.is_complete());
    let (true, Some(method), Some(target), Some(version)) = (complete, request.method, request.path, request.version)
    else {
        return Err(HttpError::bad("a head that cannot be read"));
    };
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| HttpError::bad("a method that is not a token"))?;
    check_method(&method)?;
    let version = if version == 1 { Version::HTTP_11 } else { Version::HTTP_10 };
    let target = target::parse(&method, target.as_bytes())?;

    let mut parts = spare.take().unwrap_or_else(|| Box::new(empty_parts()));
    parts.headers.reserve(request.headers.len());
    let mut special = Special::default();
    take_fields(request.headers, &mut parts.headers, |name, value| special.note(name, value))?;
    check_host(special.host, version, target.authority.as_ref())?;
    let framing = framing::of_request(&method, version, special.content_length, special.transfer_encoding)?;
    let expects_continue = special.expects_continue(version)?;
    let keep_alive = special.keep_alive(version);

    (parts.method, parts.uri, parts.version) = (method, target.uri, version);
    Ok(Head { parts, framing, keep_alive, expects_continue })
}

/// Moves the fields of a head to `headers`; each is shown to `note`.
pub(super) fn take_fields<'h>(
    fields: &[httparse::Header<'h>],
    headers: &mut HeaderMap,
    mut note: impl FnMut(&HeaderName, &'h [u8]),
) -> Result<(), HttpError> {
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes())
            .map_err(|_| HttpError::bad("a field name that is not a token"))?;
        let value =
            HeaderValue::from_bytes(field.value).map_err(|_| HttpError::bad("a control character in a field value"))?;
        note(&name, field.value);
        headers.append(name, value);
    }
    Ok(())
}

/// Those of a GET for `/`, without fields.
pub(crate) fn empty_parts() -> Parts {
    http::Request::new(()).into_parts().0
}

/// RFC 9112, section 3.2: exactly one `Host`, equal to the host of an absolute target. In HTTP/1.0 it may be missing.
fn check_host(host: Sole<'_>, version: Version, target: Option<&Authority<'_>>) -> Result<(), HttpError> {
    let host = match host {
        Sole::One(host) => Authority::parse(host)?,
        Sole::Several => return Err(HttpError::bad("more than one Host")),
        Sole::None if version == Version::HTTP_10 => return Ok(()),
        Sole::None => return Err(HttpError::bad("no Host")),
    };
    if target.is_some_and(|target| *target != host) {
        return Err(HttpError::bad("a Host that is not the target's"));
    }
    Ok(())
}

/// The fields that say how a request is to be read.
#[derive(Default)]
struct Special<'h> {
    host: Sole<'h>,
    content_length: Sole<'h>,
    transfer_encoding: Sole<'h>,
    expects_continue: bool,
    expects_something_else: bool,
    /// Options of `Connection`.
    close: bool,
    keep_alive: bool,
}

impl<'h> Special<'h> {
    fn note(&mut self, name: &HeaderName, value: &'h [u8]) {
        match *name {
            HOST => self.host.add(value),
            CONTENT_LENGTH => self.content_length.add(value),
            TRANSFER_ENCODING => self.transfer_encoding.add(value),
            EXPECT if value.eq_ignore_ascii_case(b"100-continue") => self.expects_continue = true,
            EXPECT => self.expects_something_else = true,
            CONNECTION => {
                for option in members(value) {
                    self.close |= option.eq_ignore_ascii_case(b"close");
                    self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            _ => {}
        }
    }

    /// RFC 9110, section 10.1.1: it is the only expectation that is defined; that of an HTTP/1.0 client is ignored.
    fn expects_continue(&self, version: Version) -> Result<bool, HttpError> {
        if version == Version::HTTP_10 {
            return Ok(false);
        }
        match self.expects_something_else {
            true => Err(HttpError::new(StatusCode::EXPECTATION_FAILED, "an expectation that is not 100-continue")),
            false => Ok(self.expects_continue),
        }
    }

    /// RFC 9112, section 9.3. `close` wins.
    fn keep_alive(&self, version: Version) -> bool {
        !self.close && (version == Version::HTTP_11 || self.keep_alive)
    }
}
