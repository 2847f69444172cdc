//! The request target in a normal form, so that a path means the same to a rule and to a handler (RFC 3986).

use std::borrow::Cow;
use std::net::Ipv6Addr;

use http::Method;
use http::uri::{PathAndQuery, Uri};

use super::error::HttpError;
use crate::byte_set::ByteSet;

/// A target that was read.
pub(super) struct Target<'t> {
    /// Path and query, normalised; or `*`.
    pub(super) uri: Uri,
    /// The host and port of a target in absolute form.
    pub(super) authority: Option<Authority<'t>>,
}

/// A host and its port, in an absolute target or in `Host`. Two are equal if they name the same place.
#[derive(Debug)]
pub(super) struct Authority<'t> {
    host: &'t [u8],
    port: u16,
}

/// Reads a target in one of the forms that an origin server gets (RFC 9112, section 3.2): origin form (`/path?query`), absolute
/// form (`https://host/path`; `http:` names another resource, RFC 9110, section 4.2), and `*` with OPTIONS.
pub(super) fn parse<'t>(method: &Method, target: &'t [u8]) -> Result<Target<'t>, HttpError> {
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
    let rest = match rest.first() {
        Some(b'/') => Cow::Borrowed(rest),
        // An empty path of an absolute target is the same as `/` (RFC 9110, section 4.2.3).
        _ => Cow::Owned([b"/", rest].concat()),
    };
    let path_and_query = match &*normalise(&rest)? {
        // The usual one, without an allocation.
        b"/" => Ok(PathAndQuery::from_static("/")),
        normal => PathAndQuery::try_from(normal),
    };
    let path_and_query = path_and_query.map_err(|_| HttpError::bad("a target that is not a path"))?;
    Ok(Target { uri: Uri::from(path_and_query), authority })
}

/// The form in which rules and handlers see a path, or why a request for it is refused.
pub(crate) fn normal_path(path: &str) -> Result<String, &'static str> {
    if path.contains(['?', '#']) {
        return Err("a path with a query");
    }
    let normal = normalise(path.as_bytes()).map_err(|rejection| rejection.reason)?;
    String::from_utf8(normal.into_owned()).map_err(|_| "a path that is not text")
}

impl<'t> Authority<'t> {
    /// Reads `uri-host [ ":" port ]` (RFC 9110, section 7.2). The host is an address or a name, and must not be empty (RFC 9110,
    /// section 4.2.2); a port that is empty or missing is 443 (RFC 3986, section 3.2.3). Encoded characters in a name are refused:
    /// programs read such names in different ways.
    pub(super) fn parse(value: &'t [u8]) -> Result<Self, HttpError> {
        let length = match NAME.run(value) {
            0 => ip_literal(value).unwrap_or_default(),
            length => length,
        };
        let (host, port) = value.split_at(length);
        match read_port(port) {
            Some(port) if !host.is_empty() => Ok(Self { host, port }),
            _ if value.contains(&b'@') => Err(HttpError::bad("user information in a host")),
            _ => Err(HttpError::bad("not a valid host")),
        }
    }
}

impl PartialEq for Authority<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.host.eq_ignore_ascii_case(other.host) && self.port == other.port
    }
}

/// `[ ":" *DIGIT ]`, up to 65535.
fn read_port(port: &[u8]) -> Option<u16> {
    match port {
        b"" | b":" => Some(443),
        [b':', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => str::from_utf8(digits).ok()?.parse().ok(),
        _ => None,
    }
}

/// How long the `IP-literal` is that comes first (RFC 3986, section 3.2.2). Zones, which mean something only to one machine, are
/// not addresses.
fn ip_literal(value: &[u8]) -> Option<usize> {
    let address = value.strip_prefix(b"[")?;
    let length = address.iter().position(|byte| *byte == b']')?;
    str::from_utf8(&address[..length]).ok()?.parse::<Ipv6Addr>().ok()?;
    Some(length + 2)
}

/// The authority of a target in absolute form, and what follows it.
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

/// Path and query in a normal form: every character of the path is decoded if a path may contain it, and encoded if not. So a
/// path has one form, whoever decodes it. Refuses what two programs could read differently.
fn normalise(target: &[u8]) -> Result<Cow<'_, [u8]>, HttpError> {
    let (path, query) = match target.iter().position(|byte| *byte == b'?') {
        Some(at) => (&target[..at], Some(&target[at + 1..])),
        None => (target, None),
    };
    if PATH.contains_all(path) && query.is_none_or(|query| QUERY.contains_all(query)) {
        check_segments(path)?;
        return Ok(Cow::Borrowed(target));
    }
    let mut normal = Vec::with_capacity(target.len());
    copy_path(path, &mut normal)?;
    check_segments(&normal)?;
    if let Some(query) = query {
        normal.push(b'?');
        copy_query(query, &mut normal)?;
    }
    Ok(Cow::Owned(normal))
}

fn copy_path(mut path: &[u8], out: &mut Vec<u8>) -> Result<(), HttpError> {
    while let Some((&byte, rest)) = path.split_first() {
        path = rest;
        match byte {
            b'%' => {
                let (decoded, rest) = decode(rest)?;
                path = rest;
                match decoded {
                    b'/' | b'\\' | 0..=0x1f | 0x7f => {
                        return Err(HttpError::bad("an encoded slash, backslash or control character in the path"));
                    }
                    _ if PATH.contains(decoded) => out.push(decoded),
                    _ => push_encoded(decoded, out),
                }
            }
            _ if PATH.contains(byte) => out.push(byte),
            _ if SENT_RAW_IN_PATHS.contains(&byte) => push_encoded(byte, out),
            _ => return Err(HttpError::bad("a character in the path that does not belong there")),
        }
    }
    Ok(())
}

/// Characters that are sent in paths without encoding, though RFC 3986 requires it: `|`, `[`, `]` and, until recently, `^` by
/// browsers (URL Standard, path percent-encode set), the others by frameworks. None of them has a meaning to any program. Not
/// among them are `"`, `<`, `>` and `#`, which no browser sends, and the backslash, which some programs read as a slash.
pub(super) const SENT_RAW_IN_PATHS: &[u8] = b"|[]{}^`";

/// With digits in upper case (RFC 3986, section 6.2.2.1).
pub(super) fn push_encoded(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}

pub(super) fn check_segments(path: &[u8]) -> Result<(), HttpError> {
    let Some((b'/', after)) = path.split_first() else {
        return Err(HttpError::bad("a path that does not begin with a slash"));
    };
    let mut segments = after.split(|byte| *byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        // Some programs remove what follows a semicolon before they look at the rest (RFC 3986, section 3.3).
        let name = segment.split(|byte| *byte == b';').next().unwrap_or(segment);
        match name {
            b"." | b".." => return Err(HttpError::bad("a path with . or ..")),
            // The last one may be empty: `/` and `/directory/`.
            b"" if segments.peek().is_some() || !segment.is_empty() => {
                return Err(HttpError::bad("a path with an empty segment"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Only the application reads the query, and no rule depends on it: it stays as it was sent, encoded correctly or not. But `#` is
/// refused, since some programs take it as the end; and `"`, `<` and `>`, which no browser sends (URL Standard, query
/// percent-encode set), are encoded, since `Uri` does not accept them.
fn copy_query(query: &[u8], out: &mut Vec<u8>) -> Result<(), HttpError> {
    for &byte in query {
        match byte {
            b'"' | b'<' | b'>' => push_encoded(byte, out),
            _ if QUERY.contains(byte) => out.push(byte),
            _ => return Err(HttpError::bad("a character in the query that does not belong there")),
        }
    }
    Ok(())
}

/// The byte that the two digits after a percent sign encode, and what follows them.
pub(super) fn decode(after_percent: &[u8]) -> Result<(u8, &[u8]), HttpError> {
    let value = |digit: u8| char::from(digit).to_digit(16);
    if let [high, low, rest @ ..] = after_percent
        && let (Some(high), Some(low)) = (value(*high), value(*low))
    {
        // Two hexadecimal digits fit a byte.
        return Ok(((high * 16 + low) as u8, rest));
    }
    Err(HttpError::bad("a percent sign that encodes nothing"))
}

/// `unreserved` and `sub-delims` (RFC 3986, sections 2.2 and 2.3): what a name is made of.
pub(super) const NAME: &ByteSet = &ByteSet::ALPHANUMERIC.with(b"-._~").with(b"!$&'()*+,;=");

/// `pchar` without `pct-encoded`, and `/` (RFC 3986, section 3.3).
pub(super) const PATH: &ByteSet = &NAME.with(b":@/");

/// What stays in a query as it is.
pub(super) const QUERY: &ByteSet = &ByteSet::EMPTY.with_all(b'!', b'~').without(b"#\"<>");
