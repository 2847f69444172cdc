//! The fields of an answer as the client gets them.

use std::time::Duration;

use http::HeaderMap;
use http::header::{CONTENT_LENGTH, HeaderName};

use super::fields::{is_of_the_connection, named_by_connection};
use crate::http1::list;

/// Removes what is the connection's own. `Content-Length` stays: in an answer to HEAD, and with a 304, it is that of another answer.
pub(super) fn clean(headers: &mut HeaderMap) {
    let named = named_by_connection(headers);
    let stays = |name: &HeaderName| *name == CONTENT_LENGTH || !is_of_the_connection(name) && !named.contains(name);
    // To remove one would put another into its place; the others stay in their order.
    if !headers.keys().all(stays) {
        let left = headers.iter().filter(|(name, _)| stays(name));
        *headers = left.map(|(name, value)| (name.clone(), value.clone())).collect();
    }
}

/// For how long the application says that it keeps the connection: `Keep-Alive: timeout=5`.
pub(super) fn keep_alive(headers: &HeaderMap) -> Option<Duration> {
    let seconds = list(headers, &HeaderName::from_static("keep-alive"))
        .find_map(|member| std::str::from_utf8(member).ok()?.strip_prefix("timeout=")?.parse().ok())?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn fields(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn what_is_the_connections_own_does_not_reach_the_client() {
        let mut headers = fields(&[
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("trailer", "digest"),
            ("proxy-authenticate", "Basic"),
            ("server", "app"),
            ("set-cookie", "a=1"),
            ("content-length", "7"),
        ]);
        headers.append("set-cookie", HeaderValue::from_static("b=2"));
        clean(&mut headers);
        let left: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(left, [("server", "app"), ("set-cookie", "a=1"), ("set-cookie", "b=2"), ("content-length", "7")]);
    }

    #[test]
    fn the_application_says_how_long_it_keeps_a_connection() {
        let hint = |value| keep_alive(&fields(&[("keep-alive", value)])).map(|time| time.as_secs());
        assert_eq!(hint("timeout=5"), Some(5));
        assert_eq!(hint("max=100, timeout=2"), Some(2));
        assert_eq!(hint("timeout=x"), None);
        assert_eq!(keep_alive(&HeaderMap::new()), None);
    }
}
