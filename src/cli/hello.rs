//! What the command answers to an authorised client: `hello world`, or to a browser who it is.

use http::header::{self, HeaderValue};
use http::{Method, StatusCode};

use crate::clock::timestamp;
use crate::handler::Response;
use crate::identity::{Identity, visible};
use crate::pages::{self, escaped};
use crate::request::Request;

/// The answer of the command `mtls-min` to an authorised client: `hello world`, or to a browser who it is.
pub(super) fn hello(request: &mut Request<'_>) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = pages::rejected(StatusCode::METHOD_NOT_ALLOWED);
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let mut response = if pages::prefers_html(request.headers()) {
        pages::html(StatusCode::OK, who_you_are(request.peer()))
    } else {
        pages::text(StatusCode::OK, "hello world\n")
    };
    // The same address answers differently to each client and each preference.
    response.headers_mut().insert(header::CACHE_CONTROL, pages::NO_STORE);
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    response
}

fn who_you_are(identity: &Identity) -> String {
    let name = identity.common_name().map_or_else(|| identity.subject().to_owned(), visible);
    let names: Vec<String> = (identity.dns_names().iter().map(|name| visible(name)))
        .chain(identity.emails().iter().map(|name| visible(name)))
        .chain(identity.uris().iter().map(|name| visible(name)))
        .chain(identity.ip_addresses().iter().map(ToString::to_string))
        .collect();
    let mut rows = vec![("Subject", identity.subject().to_owned()), ("Issuer", identity.issuer().to_owned())];
    if !names.is_empty() {
        rows.push(("Also known as", names.join(", ")));
    }
    rows.push(("Valid from", timestamp(identity.not_before())));
    rows.push(("Valid until", timestamp(identity.not_after())));
    rows.push(("Serial number", identity.serial().to_owned()));
    rows.push(("SHA-256", identity.sha256().to_owned()));
    let rows: String =
        rows.iter().map(|(term, value)| format!("<dt>{term}</dt><dd>{}</dd>\n", escaped(value))).collect();
    pages::page(
        "ok",
        "hello world",
        &format!(
            "<p>You are <strong>{}</strong>. Your certificate was accepted.</p>\n<dl>\n{rows}</dl>",
            escaped(&name)
        ),
    )
}
