//! An application behind the gate: requests are forwarded to it by plain HTTP/1.1, with the identity of the client.
//!
//! ```text
//!  Forward ── fields   the head of the request, for the application   (lookalikes: what a client may not say; identity: what we say)
//!     │
//!     ├── address      where the application is
//!     ├── connecting   a new connection to it
//!     ├── kept         connections that wait for the next request
//!     ▼
//!  Exchange            one request and its response: sends, watches for an early answer, begins anew if it may
//!     │   upload       the body of the request, from the client to the application
//!     ▼
//!  Arrival             the body of the response, as it comes
//! ```

mod address;
mod answer_fields;
mod arrival;
mod connecting;
mod exchange;
mod failure;
mod fields;
mod identity;
mod kept;
mod lookalikes;
mod socket;
mod taking;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::uri::PathAndQuery;

use super::Response;
use super::body::{Body, Content};
use super::pages;
use super::request::Request;
use crate::error::Error;
use crate::http1::read_prefix;
use address::Address;
#[cfg(feature = "cli")]
pub(crate) use address::Reach;
#[cfg(feature = "cli")]
pub(crate) use kept::MOST_KEPT;
use kept::Upstream;
use upload::Manner;

/// Forwards requests to an application that speaks plain HTTP/1.1: a reverse proxy.
///
/// ```no_run
/// use mtls_min::{Forward, Handler};
///
/// fn handler() -> Result<impl Handler, mtls_min::Error> {
///     let application = Forward::to("http://127.0.0.1:8080")?;
///     Ok(move |request: &mut mtls_min::Request<'_>| application.answer(request))
/// }
/// # let _ = handler;
/// ```
/// The application is told who the client is, in fields that no client can set: `Client-Cert` (RFC 9440), `X-Client-Subject`,
/// `X-Client-Name` and `X-Client-Sha256`. They are absent if the client is not authorised. `docs/behind-the-gate.md` has a table
/// of all fields, and of those that are removed.
///
/// Bodies stream both ways. Connections to the application are kept for later requests, and shared by clones.
#[derive(Debug, Clone)]
pub struct Forward {
    upstream: Arc<Upstream>,
    prefix: Option<String>,
    manner: Manner,
}

impl Forward {
    /// To the application at `http://host[:port]` or `unix:/path/of/socket`.
    ///
    /// A host name is resolved for each new connection. A static build takes IP addresses and `localhost` only.
    ///
    /// # Errors
    /// It is not such an address, or it has a path, or begins with `https:`, which is not possible yet.
    pub fn to(url: &str) -> Result<Self, Error> {
        let upstream = Arc::new(Upstream::new(Address::parse(url)?, url.to_owned()));
        Ok(Self { upstream, prefix: None, manner: Manner { chain: false, timeout: DEFAULT_TIMEOUT } })
    }

    /// Takes this prefix off the path before it is forwarded: with `/api`, the path `/api/users` becomes `/users`. A request for
    /// another path is answered 404.
    ///
    /// # Errors
    /// It is no path, or not written as paths are seen (see [`Request::uri`]).
    pub fn strip_prefix(mut self, prefix: &str) -> Result<Self, Error> {
        let plain = read_prefix(prefix).map_err(|why| Error::new(format!("the prefix {why}")))?;
        self.prefix = Some(plain.to_owned());
        Ok(self)
    }

    /// Also sends `Client-Cert-Chain`: the certificates that the client sent beside its own.
    pub fn with_chain(mut self) -> Self {
        self.manner.chain = true;
        self
    }

    /// How long the application may take to accept a connection, to take the next bytes of a request, and to begin its answer,
    /// each. Then the client gets a 504. Defaults to 60 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.manner.timeout = timeout.clamp(Duration::from_millis(1), LONGEST_TIMEOUT);
        self
    }

    /// Forwards one request. The response is still to come when this returns, so it has no status or body that could be looked
    /// at; fields that are set in it are set in the response when it has come.
    ///
    /// The client gets a 502 if the application is not there, ends the connection early, or sends something that is not HTTP,
    /// and a 504 if it is too slow. The reason is in the log.
    pub fn answer(&self, request: &mut Request<'_>) -> Response {
        let Some(target) = self.target(request) else { return pages::rejected(StatusCode::NOT_FOUND) };
        match upload::send(&self.upstream, self.manner, &target, request) {
            Ok(exchange) => Response::new(Body(Content::Awaited(Box::new(exchange)))),
            Err(failure) => failure.into_response(),
        }
    }

    /// What has to be reached for it.
    #[cfg(feature = "cli")]
    pub(crate) fn reach(&self) -> Reach {
        self.upstream.reach()
    }

    /// What is asked of the application. `None`: it is not under the prefix.
    fn target(&self, request: &Request<'_>) -> Option<PathAndQuery> {
        let target = request.uri().path_and_query()?;
        let Some(prefix) = &self.prefix else { return Some(target.clone()) };
        let rest = target.as_str().strip_prefix(prefix.as_str())?;
        match rest.as_bytes().first() {
            Some(b'/') => PathAndQuery::try_from(rest).ok(),
            Some(b'?') | None => PathAndQuery::try_from(format!("/{rest}")).ok(),
            Some(_) => None,
        }
    }
}

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// Short enough to be added to a time.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 60 * 60);
