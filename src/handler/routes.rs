//! Handlers by path prefix.

use std::collections::hash_map::Entry;
use std::fmt;

use http::StatusCode;

use super::request::Request;
use super::{Handler, Response, response};
use crate::error::Error;
use crate::http1::{Prefixes, read_prefix};

/// Handlers by path prefix: the handler with the longest prefix answers.
///
/// ```
/// use mtls_min::http::StatusCode;
/// use mtls_min::{Request, Response, Routes, response};
///
/// fn api(request: &mut Request<'_>) -> Response {
///     response::text(StatusCode::OK, format!("{} was asked for\n", request.uri().path()))
/// }
///
/// let routes = Routes::new().at("/api", api)?.at("/", |_| response::text(StatusCode::OK, "hello\n"))?;
/// let handler = move |request: &mut Request<'_>| routes.answer(request);
/// # let _ = handler;
/// # Ok::<(), mtls_min::Error>(())
/// ```
/// A prefix is one of whole segments: `/api` and `/api/` both mean `/api` and everything below it, and not `/apis`. It is compared with
/// the path as handlers and policies see it ([`Request::uri`]), and the handler sees the whole path, its prefix included. A path
/// that has no route is answered with 404.
#[derive(Default)]
pub struct Routes(Prefixes<Box<dyn Handler>>);

impl Routes {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, with a handler for this prefix; `/` is for all paths that have no longer one.
    ///
    /// # Errors
    /// The prefix can never match, since paths are never seen in this form, or it has a handler already.
    pub fn at(mut self, prefix: &str, handler: impl Handler + 'static) -> Result<Self, Error> {
        let key = read_prefix(prefix).map_err(|why| Error::new(format!("the route {why}")))?;
        match self.0.entry(key) {
            Entry::Occupied(_) => Err(Error::new(format!("there are two routes for {prefix}"))),
            Entry::Vacant(vacant) => {
                vacant.insert(Box::new(handler));
                Ok(self)
            }
        }
    }

    /// Has the handler answer whose prefix is the longest.
    pub fn answer(&self, request: &mut Request<'_>) -> Response {
        let first = self.0.of(request.uri().path()).next();
        match first {
            Some(handler) => handler.handle(request),
            None => response::status(StatusCode::NOT_FOUND),
        }
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Routes({} prefixes)", self.0.values().count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(_: &mut Request<'_>) -> Response {
        Response::default()
    }

    #[test]
    fn a_prefix_that_is_given_twice_or_can_never_match_is_an_error() {
        let routes = || Routes::new().at("/a", nothing).unwrap();
        for (prefix, why) in [
            ("/a", "there are two routes for /a"),
            ("/a/", "there are two routes for /a/"),
            ("a", "the route \"a\" can never match"),
            ("/%61", "the route \"/%61\" can never match: requests are seen as \"/a\""),
            ("/b/../c", "can never match"),
        ] {
            let error = routes().at(prefix, nothing).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        assert_eq!(format!("{:?}", routes().at("/", nothing).unwrap()), "Routes(2 prefixes)");
    }
}
