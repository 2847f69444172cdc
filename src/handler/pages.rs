//! What the server itself says: the refusal and the errors. Pure: no I/O, no clock.

use http::StatusCode;
use http::header::{self, HeaderMap, HeaderValue};

use super::{Body, Response};
use crate::escape;

/// For a client that speaks HTTP to this port without TLS; to HEAD, without the content (RFC 9110, section 9.3.2).
pub(crate) fn speak_https(with_content: bool) -> &'static [u8] {
    match with_content {
        true => SPEAK_HTTPS,
        false => &SPEAK_HTTPS[..SPEAK_HTTPS.len() - SPEAK_HTTPS_CONTENT],
    }
}

const SPEAK_HTTPS_CONTENT: usize = 46;
const SPEAK_HTTPS: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
Content-Type: text/plain; charset=utf-8\r\n\
Content-Length: 46\r\n\
Connection: close\r\n\
\r\n\
This port speaks HTTPS: use https:// instead.\n";

/// The authentication scheme of the challenge that a 401 has to carry (RFC 9110, section 15.5.2). Browsers and curl
/// know no such scheme, so they show the page and ask for no password.
const CHALLENGE: HeaderValue = HeaderValue::from_static("ClientCertificate realm=\"mtls-min\"");

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
pub(crate) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// The answer to a client that is not authorised. It does not say why: that is in the operator's log, under `request_id`.
pub(crate) fn refused(as_html: bool, request_id: &str) -> Response {
    let status = StatusCode::UNAUTHORIZED;
    let mut response = match as_html {
        true => html(status, how_to_import(request_id)),
        false => text(status, "User is not authorized\n"),
    };
    response.headers_mut().insert(header::WWW_AUTHENTICATE, CHALLENGE);
    with_request_id(response, request_id)
}

/// The answer to a client whose certificate is valid, but whom no rule lets do this.
pub(crate) fn not_allowed(as_html: bool, request_id: &str) -> Response {
    let status = StatusCode::FORBIDDEN;
    let explanation = format!(
        "<p>Your certificate is valid, but its holder may not do this.</p>
<p>Ask the operator of this site, and quote the reference <code>{}</code>.</p>",
        escape::html(request_id)
    );
    let response = match as_html {
        true => html(status, page("no", "User is not allowed to do this", &explanation)),
        false => text(status, "User is not allowed to do this\n"),
    };
    with_request_id(response, request_id)
}

fn with_request_id(mut response: Response, request_id: &str) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    // Hexadecimal digits, so always a valid value.
    if let Ok(request_id) = HeaderValue::from_str(request_id) {
        headers.insert("x-request-id", request_id);
    }
    response
}

/// The answer to what is not an acceptable request, and to a request whose handler failed: the status in words.
pub(crate) fn rejected(status: StatusCode) -> Response {
    let mut response = Response::new(format!("{}\n", status.canonical_reason().unwrap_or("Error")).into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, TEXT);
    response
}

/// Whether a client would rather have `text/html` than `text/plain` (RFC 9110, section 12.5.1): browsers say so, curl
/// does not.
pub(crate) fn prefers_html(headers: &HeaderMap) -> bool {
    let mut html = 0;
    let mut plain = 0;
    for value in headers.get_all(header::ACCEPT) {
        for range in value.to_str().unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default();
            let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(1000, per_mille);
            if kind.eq_ignore_ascii_case("text/html") {
                html = quality;
            } else if kind.eq_ignore_ascii_case("text/plain") {
                plain = quality;
            }
        }
    }
    html > plain
}

/// A quality value (`0.8`) in thousandths; what cannot be read is 0.
fn per_mille(quality: &str) -> u32 {
    match quality.parse::<f32>() {
        Ok(quality) if (0.0..=1.0).contains(&quality) => (quality * 1000.0) as u32,
        _ => 0,
    }
}

/// A response of plain text.
pub(crate) fn text(status: StatusCode, body: &'static str) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, TEXT);
    response
}

/// A response of HTML that loads nothing.
pub(crate) fn html(status: StatusCode, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HTML);
    // The page needs its own style and nothing else.
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
    );
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn how_to_import(request_id: &str) -> String {
    let body = format!(
        "<p>This site lets in only holders of a client certificate that it knows. Your browser showed none, or none that \
         is accepted.</p>
<h2>If you were given a certificate</h2>
<p>It is a file that ends in <code>.p12</code> or <code>.pfx</code>, with a password. Import it, close the windows of this \
         site, and come back; when the browser asks, choose the certificate.</p>
<ul>
<li><strong>Chrome, Edge, Chromium</strong>: Settings, Privacy and security, Security, Manage certificates, Your \
         certificates, Import</li>
<li><strong>Firefox</strong>: Settings, Privacy &amp; Security, Certificates, View Certificates, Your Certificates, \
         Import</li>
<li><strong>macOS, iOS, Windows, Android</strong>: open the file and follow the system</li>
</ul>
<h2>If you were given none</h2>
<p>Ask the operator of this site, and quote the reference <code>{}</code>.</p>",
        escape::html(request_id)
    );
    page("no", "User is not authorized", &body)
}

/// A whole page; `title` and `body` are HTML.
pub(crate) fn page(class: &str, title: &str, body: &str) -> String {
    format!(
        "<!doctype html>
<html lang=\"en\" class=\"{class}\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<title>{title}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"
    )
}

const STYLE: &str = "
:root { color-scheme: light dark; --accent: #1a7f4b; --line: #8884; }
.no { --accent: #b3261e; }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 42rem; margin: 8vh auto; padding: 0 1.5rem; }
h1 { font-size: 1.9rem; margin: 0 0 .5rem; padding-left: .8rem; border-left: .35rem solid var(--accent); }
h2 { font-size: 1.1rem; margin: 1.8rem 0 .3rem; }
p { margin: .6rem 0; }
ul { padding-left: 1.2rem; }
li { margin: .3rem 0; }
dl { display: grid; grid-template-columns: max-content 1fr; margin: 1.5rem 0; border-top: 1px solid var(--line); }
dt, dd { margin: 0; padding: .5rem 0; border-bottom: 1px solid var(--line); }
dt { padding-right: 1.5rem; opacity: .7; }
dd { font-family: ui-monospace, monospace; font-size: .9rem; overflow-wrap: anywhere; }
code { font-size: .95em; }
";

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(value))])
    }

    #[test]
    fn browsers_get_html_and_tools_get_text() {
        let chromium = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
        assert!(prefers_html(&accept(chromium)));
        assert!(prefers_html(&accept("text/plain;q=0.5, text/html;q=0.9")));
        assert!(!prefers_html(&accept("*/*")), "curl");
        assert!(!prefers_html(&HeaderMap::new()));
        assert!(!prefers_html(&accept("text/plain, text/html;q=0.9")));
        assert!(!prefers_html(&accept("text/html;q=0")));
        assert!(!prefers_html(&accept("text/html;q=nonsense")));
    }

    #[test]
    fn the_plain_answer_states_its_true_length() {
        let text = std::str::from_utf8(speak_https(true)).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{}", body.len());
        assert_eq!(speak_https(false), format!("{head}\r\n\r\n").as_bytes());
    }

    #[test]
    fn the_refusal_says_nothing_but_its_request_id() {
        let Body(crate::handler::Content::Bytes(body)) = refused(true, "0123abcd").into_body() else { panic!() };
        assert!(String::from_utf8_lossy(&body).contains("0123abcd"));
        let plain = refused(false, "0123abcd");
        assert_eq!(plain.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(plain.headers()["x-request-id"], "0123abcd");
        assert!(plain.headers().contains_key(header::WWW_AUTHENTICATE));
    }
}
