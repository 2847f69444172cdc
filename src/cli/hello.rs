//! What the command answers to an authorised client.

use std::time::SystemTime;

use http::header::{self, HeaderValue};
use http::{Method, StatusCode};

use crate::clock::{timestamp, whole_days};
use crate::config::EXPIRES_SOON;
use crate::escape;
use crate::handler::pages;
use crate::handler::request::Request;
use crate::handler::{Response, response};
use crate::trust::Verdict;
use crate::x509::identity::Identity;

/// `hello world` as text, or for a browser a page with what its certificate says.
pub(super) fn hello(request: &mut Request<'_>) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return response::get_and_head_only();
    }
    let mut response = match request.peer_verdict() {
        Verdict::Authorised(identity) if pages::prefers_html(request.headers()) => {
            pages::html(StatusCode::OK, who_you_are(identity, SystemTime::now()))
        }
        // A client without a valid certificate gets here only if the policy says `anyone`.
        Verdict::Authorised(_) | Verdict::Refused(_) => response::text(StatusCode::OK, "hello world\n"),
    };
    // The answer depends on the client and on the `Accept` field.
    response.headers_mut().insert(header::CACHE_CONTROL, pages::NO_STORE);
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    response
}

fn who_you_are(identity: &Identity, now: SystemTime) -> String {
    let mut rows = vec![("Issuer", identity.issuer().to_owned())];
    if !identity.subject().is_empty() {
        rows.insert(0, ("Subject", identity.subject().to_owned()));
    }
    if let Some(name) = identity.known_as() {
        rows.insert(0, ("Known here as", name.to_owned()));
    }
    let names = identity.alternative_names();
    if !names.is_empty() {
        rows.push(("Also known as", names.join(", ")));
    }
    rows.push(("Valid from", timestamp(identity.not_before())));
    rows.push(("Valid until", timestamp(identity.not_after())));
    if let Some(left) = identity.expires_in(now) {
        rows.push(("Expires in", format!("{} days", whole_days(left))));
    }
    rows.push(("Serial number", identity.serial().to_owned()));
    rows.push(("SHA-256", identity.sha256().to_owned()));
    let rows: String =
        rows.iter().map(|(term, value)| format!("<dt>{term}</dt><dd>{}</dd>\n", escape::html(value))).collect();
    let soon = match identity.expires_in(now).is_some_and(|left| left < EXPIRES_SOON) {
        true => "<p><strong>It expires soon: ask for a new one.</strong></p>\n",
        false => "",
    };
    pages::page(
        "ok",
        "hello world",
        &format!(
            "<p>You are <strong>{}</strong>. Your certificate was accepted.</p>\n{soon}<dl>\n{rows}</dl>",
            escape::html(&identity.display_name())
        ),
    )
}
