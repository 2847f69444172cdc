//! The answer to a request that the server refuses: the application's page, or the server's own.

use std::fmt;

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode, Uri};

use super::{Response, pages};
use crate::panic::caught;

/// A request that is refused, as [`Builder::refusal_page`](crate::Builder::refusal_page) sees it: what the client sent and what
/// it may know. The reason is not here: that is told to the [`Observer`](crate::Observer), not to a stranger.
///
/// Everything that the client sent is to be escaped before it is shown.
pub struct RefusedRequest<'a> {
    pub(crate) status: StatusCode,
    pub(crate) request_id: &'a str,
    pub(crate) parts: &'a http::request::Parts,
}

impl RefusedRequest<'_> {
    /// 401 if the client has no valid certificate, 403 if it has one and no rule allows the request.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The id by which the operator finds the reason in the log: 12 hexadecimal digits. It is also sent in the field
    /// `X-Request-Id`.
    pub fn request_id(&self) -> &str {
        self.request_id
    }

    /// The method. Any token is possible.
    pub fn method(&self) -> &Method {
        &self.parts.method
    }

    /// The target, as in [`Request::uri`](crate::Request::uri).
    pub fn uri(&self) -> &Uri {
        &self.parts.uri
    }

    /// The header fields: `Accept` says what the client can read.
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }
}

/// Makes the application's pages.
pub(crate) type RefusalPage = Box<dyn Fn(&RefusedRequest<'_>) -> Response + Send + Sync>;

/// The response to a refused request. If the application's page fails, it is the server's own, with the reason of the failure.
///
/// Whatever the page is, the status, the challenge, the request id and `Cache-Control` are the server's.
pub(crate) fn respond(page: Option<&RefusalPage>, refused: &RefusedRequest<'_>) -> (Response, Option<String>) {
    let (made, failure) = match page.map(|page| made_by(page, refused)).transpose() {
        Ok(made) => (made, None),
        Err(failure) => (None, Some(failure)),
    };
    let own = || pages::refused(refused.status, refused.request_id, pages::prefers_html(refused.headers()));
    let mut response = made.unwrap_or_else(own);
    *response.status_mut() = refused.status;
    let fields = response.headers_mut();
    fields.insert(header::CACHE_CONTROL, pages::NO_STORE);
    match refused.status {
        StatusCode::UNAUTHORIZED => fields.insert(header::WWW_AUTHENTICATE, CHALLENGE),
        _ => fields.remove(header::WWW_AUTHENTICATE),
    };
    // Hexadecimal digits, so always a valid value.
    if let Ok(request_id) = HeaderValue::from_str(refused.request_id) {
        fields.insert("x-request-id", request_id);
    }
    (response, failure)
}

/// The application's response, or why it cannot be used.
fn made_by(page: &RefusalPage, refused: &RefusedRequest<'_>) -> Result<Response, String> {
    // Waiting for a reader would let a stranger hold a thread. It is dropped in here because its `Drop` may panic too.
    let made = caught(|| Some(page(refused)).filter(|response| response.body().is_in_memory()));
    let made = made.map_err(|message| format!("it panicked: {message}"))?;
    made.ok_or_else(|| "its body is a reader, not bytes in memory".to_owned())
}

/// The authentication scheme of the challenge that a 401 must carry (RFC 9110, section 15.5.2). Browsers and curl do not know
/// this scheme, so they show the page and do not ask for a password.
const CHALLENGE: HeaderValue = HeaderValue::from_static("ClientCertificate realm=\"mtls-min\"");

impl fmt::Debug for RefusedRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefusedRequest")
            .field("status", &self.status)
            .field("request_id", &self.request_id)
            .field("parts", &self.parts)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handler::body::{Body, Content};
    use crate::handler::response;

    fn respond_with(status: StatusCode, page: Option<RefusalPage>) -> (Response, Option<String>) {
        respond_to("*/*", status, page)
    }

    fn respond_to(accept: &str, status: StatusCode, page: Option<RefusalPage>) -> (Response, Option<String>) {
        let (parts, ()) = http::Request::builder().header("accept", accept).body(()).unwrap().into_parts();
        respond(page.as_ref(), &RefusedRequest { status, request_id: "0123456789ab", parts: &parts })
    }

    fn content(response: Response) -> String {
        let Body(Content::Bytes(body)) = response.into_body() else { panic!("a reader") };
        String::from_utf8_lossy(&body).into_owned()
    }

    #[test]
    fn the_refusal_says_nothing_but_its_request_id() {
        let (html, _) = respond_to("text/html", StatusCode::UNAUTHORIZED, None);
        assert!(content(html).contains("0123456789ab"));
        let (plain, _) = respond_with(StatusCode::UNAUTHORIZED, None);
        assert_eq!(plain.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(plain.headers()["x-request-id"], "0123456789ab");
        assert_eq!(plain.headers()["www-authenticate"], CHALLENGE);
        assert_eq!(content(plain), "User is not authorized\n");
    }

    #[test]
    fn a_page_of_the_application_can_weaken_nothing() {
        let page = |_: &RefusedRequest<'_>| {
            let mut response = response::json_bytes(StatusCode::OK, "{}");
            for name in ["www-authenticate", "cache-control", "x-request-id"] {
                response.headers_mut().append(name, HeaderValue::from_static("Basic"));
                response.headers_mut().append(name, HeaderValue::from_static("public"));
            }
            response
        };
        for status in [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN] {
            let (response, failure) = respond_with(status, Some(Box::new(page)));
            assert_eq!((response.status(), failure), (status, None));
            let values = |name| response.headers().get_all(name).iter().collect::<Vec<_>>();
            assert_eq!(values("cache-control"), ["no-store"]);
            assert_eq!(values("x-request-id"), ["0123456789ab"]);
            let challenges: &[HeaderValue] = if status == 401 { &[CHALLENGE] } else { &[] };
            assert_eq!(values("www-authenticate"), challenges.iter().collect::<Vec<_>>());
            assert_eq!(response.headers()["content-type"], "application/json");
            assert_eq!(content(response), "{}");
        }
    }

    /// A reader that panics when it is dropped: during another panic, that would end the process.
    struct Explosive;

    impl std::io::Read for Explosive {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Ok(0)
        }
    }

    impl Drop for Explosive {
        fn drop(&mut self) {
            panic!("while it was dropped");
        }
    }

    #[test]
    fn a_page_that_fails_is_replaced() {
        let reads = |_: &RefusedRequest<'_>| Response::new(Body::from_reader(std::io::empty(), Some(0)));
        let panics = |_: &RefusedRequest<'_>| -> Response { panic!("on purpose") };
        let explodes = |_: &RefusedRequest<'_>| Response::new(Body::from_reader(Explosive, None));
        let pages: [(RefusalPage, &str); 3] = [
            (Box::new(reads), "its body is a reader, not bytes in memory"),
            (Box::new(panics), "it panicked: on purpose"),
            (Box::new(explodes), "it panicked: while it was dropped"),
        ];
        for (page, reason) in pages {
            let (response, failure) = respond_with(StatusCode::UNAUTHORIZED, Some(page));
            assert_eq!(failure.as_deref(), Some(reason));
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
            assert_eq!(response.headers()["www-authenticate"], CHALLENGE);
            assert_eq!(content(response), "User is not authorized\n");
        }
    }
}
