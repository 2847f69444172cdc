//! The server's own answers: refusals and errors. Pure: no I/O, no clock.

use http::StatusCode;
use http::header::{self, HeaderMap, HeaderValue};

use super::Response;
use super::response::{self, text};
use super::upstream::Note;
use super::weight::weighted;
use crate::escape;

/// The answer to a client that speaks HTTP without TLS to this port. The answer to HEAD has no content (RFC 9110, section 9.3.2).
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

pub(crate) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// The answer to a client that is not authorised, or that no rule allows to do this. It does not say why: that is in the
/// operator's log, under the request id.
pub(super) fn refused(status: StatusCode, request_id: &str, as_html: bool) -> Response {
    match (status, as_html) {
        (StatusCode::FORBIDDEN, true) => html(status, not_allowed(request_id)),
        (StatusCode::FORBIDDEN, false) => text(status, "User is not allowed to do this\n"),
        (_, true) => html(status, how_to_import(request_id)),
        (_, false) => text(status, "User is not authorized\n"),
    }
}

/// The answer to a request that is not acceptable, or whose handler failed: the status in words.
pub(crate) fn rejected(status: StatusCode) -> Response {
    response::status(status)
}

/// The same, with the reason for the log.
pub(crate) fn rejected_because(status: StatusCode, note: Note) -> Response {
    let mut response = rejected(status);
    response.extensions_mut().insert(note);
    response
}

/// Whether a client prefers `text/html` to `text/plain` (RFC 9110, section 12.5.1). Browsers do, curl does not.
pub(crate) fn prefers_html(headers: &HeaderMap) -> bool {
    let mut html = 0;
    let mut plain = 0;
    for (kind, weight) in weighted(headers, header::ACCEPT) {
        if kind.eq_ignore_ascii_case("text/html") {
            html = weight;
        } else if kind.eq_ignore_ascii_case("text/plain") {
            plain = weight;
        }
    }
    html > plain
}

/// A page of the server's own. It loads nothing.
pub(crate) fn html(status: StatusCode, body: String) -> Response {
    let mut response = response::html(status, body);
    let headers = response.headers_mut();
    // The page needs only its own style.
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

fn not_allowed(request_id: &str) -> String {
    let body = format!(
        "<p>Your certificate is valid, but its holder may not do this.</p>
<p>Ask the operator of this site, and quote the reference <code>{}</code>.</p>",
        escape::html(request_id)
    );
    page("no", "User is not allowed to do this", &body)
}

/// A whole page; `title` and `body` are HTML.
pub(crate) fn page(class: &str, title: &str, body: &str) -> String {
    styled_page("", class, title, body)
}

/// The same with some style of its own.
pub(super) fn styled_page(style: &str, class: &str, title: &str, body: &str) -> String {
    format!(
        "<!doctype html>
<html lang=\"en\" class=\"{class}\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<title>{title}</title>
<style>{STYLE}{style}</style>
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
}
