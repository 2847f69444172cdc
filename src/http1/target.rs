//! The request target, in a normal form, so that a path means the same to a rule and to a handler (RFC 3986).

use http::Method;
use http::uri::{Authority, PathAndQuery, Uri};

use super::rejection::Rejection;

/// A target that was read.
pub(super) struct Target {
    /// Path and query, normalised; or `*`.
    pub(super) uri: Uri,
    /// The host (and port) of a target in absolute form.
    pub(super) authority: Option<Authority>,
}

/// Reads a target of one of the forms that a server like this one is asked for (RFC 9112, section 3.2): origin form
/// (`/path?query`), absolute form (`https://host/path`; `http:` names another resource, RFC 9110, section 4.2), and `*` with OPTIONS.
pub(super) fn parse(method: &Method, target: &[u8]) -> Result<Target, Rejection> {
    if target == b"*" {
        return match *method == Method::OPTIONS {
            true => Ok(Target { uri: Uri::from_static("*"), authority: None }),
            false => Err(Rejection::bad("the target * without OPTIONS")),
        };
    }
    let (authority, rest) = match target.first() {
        Some(b'/') => (None, target),
        _ => {
            let (authority, rest) = split_absolute(target)?;
            (Some(authority), rest)
        }
    };
    let normal = normalise(rest)?;
    let path_and_query =
        PathAndQuery::try_from(normal.as_slice()).map_err(|_| Rejection::bad("a target that is no path"))?;
    Ok(Target { uri: Uri::from(path_and_query), authority })
}

/// The path that rules see of a request for this target, or why it is refused.
#[cfg(feature = "cli")]
pub(crate) fn path_of(method: &Method, target: &str) -> Result<String, &'static str> {
    let target = parse(method, target.as_bytes()).map_err(|rejection| rejection.reason)?;
    Ok(target.uri.path().to_owned())
}

/// A path as requests are seen, or why a request for it is refused.
pub(crate) fn normal_path(path: &str) -> Result<String, &'static str> {
    if path.contains(['?', '#']) {
        return Err("a path with a query");
    }
    let normal = normalise(path.as_bytes()).map_err(|rejection| rejection.reason)?;
    String::from_utf8(normal).map_err(|_| "a path that is no text")
}

/// An authority as in `Host`: a name or an address, and perhaps a port.
pub(super) fn authority(value: &[u8]) -> Result<Authority, Rejection> {
    let bad = || Rejection::bad("a host that is none");
    if value.contains(&b'@') {
        return Err(Rejection::bad("user information in a host"));
    }
    let authority = Authority::try_from(value).map_err(|_| bad())?;
    // The crate takes more than RFC 3986 does: an empty or overlong port, brackets anywhere.
    let (host, port) = split_port(authority.as_str());
    let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok() && port.bytes().all(|b| b.is_ascii_digit()));
    let host_fits = match host.strip_prefix('[') {
        Some(address) => address.strip_suffix(']').is_some_and(|a| a.parse::<std::net::Ipv6Addr>().is_ok()),
        None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b)),
    };
    if port_fits && host_fits { Ok(authority) } else { Err(bad()) }
}

/// Whether two authorities name the same place, with 443 as the port that may be left out.
pub(super) fn same_authority(a: &Authority, b: &Authority) -> bool {
    let (a_host, a_port) = split_port(a.as_str());
    let (b_host, b_port) = split_port(b.as_str());
    a_host.eq_ignore_ascii_case(b_host) && a_port.unwrap_or("443") == b_port.unwrap_or("443")
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn split_absolute(target: &[u8]) -> Result<(Authority, &[u8]), Rejection> {
    const SCHEME: &[u8] = b"https://";
    let (scheme, after) = target.split_at(target.len().min(SCHEME.len()));
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return Err(Rejection::bad("a target that is neither a path nor an address of https"));
    }
    let end = after.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(after.len());
    let (host, rest) = after.split_at(end);
    Ok((authority(host)?, if rest.is_empty() { b"/" } else { rest }))
}

/// Decodes what may stand in a path as it is, and upper-cases the rest, so that a path is seen in one way whoever decodes
/// it; refuses what two programs could read differently.
fn normalise(target: &[u8]) -> Result<Vec<u8>, Rejection> {
    let (path, query) = match target.iter().position(|byte| *byte == b'?') {
        Some(at) => (&target[..at], Some(&target[at + 1..])),
        None => (target, None),
    };
    if path.first() != Some(&b'/') {
        return Err(Rejection::bad("a path that does not begin with a slash"));
    }
    let mut normal = Vec::with_capacity(target.len());
    copy_path(path, &mut normal)?;
    check_segments(&normal)?;
    if let Some(query) = query {
        check_query(query)?;
        normal.push(b'?');
        normal.extend_from_slice(query);
    }
    Ok(normal)
}

fn copy_path(path: &[u8], out: &mut Vec<u8>) -> Result<(), Rejection> {
    let mut at = 0;
    while let Some(&byte) = path.get(at) {
        at += 1;
        if byte != b'%' {
            if !is_path_byte(byte) {
                return Err(Rejection::bad("a character in the path that does not belong there"));
            }
            out.push(byte);
            continue;
        }
        let decoded = encoded_byte(path, at)?;
        match decoded {
            b'/' | b'\\' | 0..=0x1f | 0x7f => {
                return Err(Rejection::bad("an encoded slash, backslash or control character in the path"));
            }
            decoded if is_path_byte(decoded) => out.push(decoded),
            _ => {
                out.push(b'%');
                out.extend(path[at..at + 2].iter().map(u8::to_ascii_uppercase));
            }
        }
        at += 2;
    }
    Ok(())
}

fn check_segments(path: &[u8]) -> Result<(), Rejection> {
    let mut segments = path[1..].split(|byte| *byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        match segment {
            b"." | b".." => return Err(Rejection::bad("a path with . or ..")),
            // The last one may be empty: `/` and `/directory/`.
            b"" if segments.peek().is_some() => return Err(Rejection::bad("a path with an empty segment")),
            _ => {}
        }
    }
    Ok(())
}

fn check_query(query: &[u8]) -> Result<(), Rejection> {
    for (at, byte) in query.iter().enumerate() {
        if *byte == b'%' {
            encoded_byte(query, at + 1)?;
        } else if !is_path_byte(*byte) && !IN_QUERIES.contains(byte) {
            return Err(Rejection::bad("a character in the query that does not belong there"));
        }
    }
    Ok(())
}

/// What browsers send in a query as it is, beyond RFC 3986 (URL Standard, query percent-encode set). No rule looks at a query.
const IN_QUERIES: &[u8] = br"?[]{}|^`\";

fn encoded_byte(bytes: &[u8], at: usize) -> Result<u8, Rejection> {
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    match (digit(at), digit(at + 1)) {
        // Two digits of base 16 fit a byte.
        (Some(high), Some(low)) => Ok((high * 16 + low) as u8),
        _ => Err(Rejection::bad("a percent sign that encodes nothing")),
    }
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// `pchar` and `/` (RFC 3986, section 3.3).
fn is_path_byte(byte: u8) -> bool {
    is_unreserved(byte) || b"!$&'()*+,;=:@/".contains(&byte)
}
