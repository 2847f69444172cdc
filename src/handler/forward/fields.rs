//! The head of a request as the application gets it: what is the connection's own stays behind, what only we may say is said by
//! us (RFC 9110, section 7.6.1).

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::uri::PathAndQuery;
use http::{Method, Version};

use super::failure::Failure;
use super::identity;
use super::lookalikes::is_ours_to_say;
use crate::handler::request::Request;
use crate::http1::{Framing, RequestHead, list, number};
use crate::trust::Verdict;

/// How the body of a request comes. Its head was read before, so it says one thing.
pub(super) fn framing(headers: &HeaderMap) -> Framing {
    if headers.contains_key(TRANSFER_ENCODING) {
        return Framing::Chunked;
    }
    headers.get(CONTENT_LENGTH).and_then(|length| number(length.as_bytes())).map_or(Framing::None, Framing::Length)
}

pub(super) fn has_body(framing: Framing) -> bool {
    !matches!(framing, Framing::None | Framing::Length(0))
}

fn expects_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

/// The head, up to and with the empty line. `authority` stands in for a `Host` that the client did not send.
pub(super) fn head(
    target: &PathAndQuery,
    request: &Request<'_>,
    upgrade: &[HeaderValue],
    authority: &HeaderValue,
    with_chain: bool,
) -> Result<Vec<u8>, Failure> {
    let headers = request.headers();
    let mut head = RequestHead::new(request.method(), target);
    head.field(&HOST, headers.get(HOST).unwrap_or(authority));
    let named = named_by_connection(headers);
    for (name, value) in headers {
        if !is_of_the_connection(name) && *name != HOST && !named.contains(name) && !is_ours_to_say(name) {
            head.field(name, value);
        }
    }
    let framing = framing(headers);
    match framing {
        Framing::Length(length) => head.field(&CONTENT_LENGTH, &length.into()),
        Framing::Chunked => head.field(&TRANSFER_ENCODING, &HeaderValue::from_static("chunked")),
        // RFC 9110, section 8.6: methods that usually have a body say that there is none.
        Framing::None if expects_body(request.method()) => head.field(&CONTENT_LENGTH, &HeaderValue::from_static("0")),
        Framing::None | Framing::UntilClose => {}
    }
    // RFC 9110, section 10.1.1: not without a body.
    if has_body(framing) && request.body.awaits_continue() {
        head.field(&EXPECT, &HeaderValue::from_static("100-continue"));
    }
    // RFC 9110, section 10.1.4: who sends TE also names it in Connection.
    let takes_trailers = list(headers, &TE).any(|member| member.eq_ignore_ascii_case(b"trailers"));
    if takes_trailers {
        head.field(&TE, &HeaderValue::from_static("trailers"));
    }
    upgrade.iter().for_each(|protocol| head.field(&UPGRADE, protocol));
    match (takes_trailers, upgrade.is_empty()) {
        (true, true) => head.field(&CONNECTION, &HeaderValue::from_static("TE")),
        (true, false) => head.field(&CONNECTION, &HeaderValue::from_static("TE, Upgrade")),
        (false, false) => head.field(&CONNECTION, &HeaderValue::from_static("Upgrade")),
        (false, true) => {}
    }
    for (name, value) in identity::origin(request.remote_addr(), headers.get(HOST))? {
        head.field(&name, &value);
    }
    if let Verdict::Authorised(identity) = request.peer_verdict() {
        let chain: Option<Vec<&[u8]>> = with_chain.then(|| request.certificates().skip(1).collect());
        for (name, value) in identity::of(identity, chain.as_deref())? {
            head.field(&name, &value);
        }
    }
    Ok(head.end())
}

/// The protocols that the client would change to (RFC 9110, section 7.8), each in a value of its own. None, if it has a body, or
/// asks for something that would be HTTP or TLS again: the rules would not be asked about the requests in there.
pub(super) fn upgrade(request: &Request<'_>) -> Vec<HeaderValue> {
    let headers = request.headers();
    let asks = list(headers, &CONNECTION).any(|option| option.eq_ignore_ascii_case(b"upgrade"));
    if !asks || has_body(framing(headers)) || request.version() != Version::HTTP_11 {
        return Vec::new();
    }
    let is_tunnel = |protocol: &&[u8]| {
        let name = protocol.to_ascii_lowercase();
        !name.is_empty() && ![&b"h2"[..], b"h3", b"http", b"tls"].iter().any(|other| name.starts_with(other))
    };
    list(headers, &UPGRADE).filter(is_tunnel).filter_map(|protocol| HeaderValue::from_bytes(protocol).ok()).collect()
}

/// The trailer fields that are passed on: not what is the connection's own, and not what only we may say. Who writes them leaves
/// out what means something only before the body.
pub(super) fn passable_trailers(trailers: &HeaderMap) -> HeaderMap {
    let passes = |name: &HeaderName| !is_of_the_connection(name) && !is_ours_to_say(name);
    trailers.iter().filter(|(name, _)| passes(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Whether a field belongs to one connection only, or says how a message is framed there.
pub(super) fn is_of_the_connection(name: &HeaderName) -> bool {
    matches!(
        *name,
        CONNECTION
            | CONTENT_LENGTH
            | EXPECT
            | PROXY_AUTHENTICATE
            | PROXY_AUTHORIZATION
            | TE
            | TRAILER
            | TRANSFER_ENCODING
            | UPGRADE
    ) || matches!(name.as_str(), "keep-alive" | "proxy-connection" | "http2-settings")
}

/// The fields that `Connection` names. What we write ourselves is written after they were removed, so it can name none of it.
pub(super) fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    list(headers, &CONNECTION).filter_map(|option| HeaderName::from_bytes(option).ok()).collect()
}
