//! What an application gives to the server: a handler, its responses and their bodies.

pub(crate) mod body;
mod conditional;
pub(crate) mod files;
pub(crate) mod forward;
pub(crate) mod pages;
mod range;
pub(crate) mod refusal;
pub(crate) mod request;
pub mod response;
pub(crate) mod routes;
mod socket;
pub(crate) mod upstream;
mod weight;

use body::Body;
use request::Request;

/// A response: status and fields of the `http` crate, and a [`Body`]. The module [`response`] makes the usual ones.
///
/// The server itself writes `Date`, `Content-Length`, `Transfer-Encoding` and `Connection`. Those of a handler are dropped,
/// except `Connection: close`, which closes the connection after the response.
pub type Response = http::Response<Body>;

/// What answers requests: every closure or function `Fn(&mut Request<'_>) -> Response` that can be shared between threads.
///
/// ```
/// use mtls_min::http::StatusCode;
/// use mtls_min::{Handler, response};
///
/// fn handler() -> impl Handler {
///     |request| response::text(StatusCode::OK, format!("hello {}\n", request.peer().display_name()))
/// }
/// # let _ = handler();
/// ```
/// A handler that is a struct is called from a closure: `move |request| app.answer(request)`.
///
/// A handler is called from several threads at once. While it runs, it has one of the server's worker threads to itself. If
/// it panics, the client gets a 500, the panic is reported to the [`Observer`](crate::Observer), and the worker goes on.
pub trait Handler: Fn(&mut Request<'_>) -> Response + Send + Sync {
    /// Answers one request.
    fn handle(&self, request: &mut Request<'_>) -> Response {
        self(request)
    }
}

impl<F> Handler for F where F: Fn(&mut Request<'_>) -> Response + Send + Sync {}
