//! A request as a handler sees it.

use std::fmt;
use std::io::Read;
use std::net::SocketAddr;

use http::{HeaderMap, Method, Uri, Version};

use crate::tls::session::TlsVersion;
use crate::trust::Verdict;
use crate::x509::identity::Identity;

/// One request, the client behind it, and the body, which is read from the network as the handler reads it.
pub struct Request<'c> {
    pub(crate) parts: http::request::Parts,
    pub(crate) verdict: &'c Verdict,
    pub(crate) remote: SocketAddr,
    pub(crate) tls: TlsVersion,
    pub(crate) body: &'c mut dyn Read,
}

impl Request<'_> {
    /// The client: who its certificate, judged for this request, says it is.
    ///
    /// # Panics
    /// If the client is not authorised, which a handler meets only behind an open gate
    /// ([`Builder::open_gate`](crate::Builder::open_gate)); use [`peer_verdict`](Self::peer_verdict) there. (The panic
    /// fails closed: the client gets a 500.)
    #[track_caller]
    pub fn peer(&self) -> &Identity {
        match self.verdict {
            Verdict::Authorised(identity) => identity,
            Verdict::Refused(refusal) => panic!("the client of this request is not authorised: {}", refusal.code()),
        }
    }

    /// The verdict on the client, reached anew for this request. Behind the default, closed gate it is always
    /// [`Verdict::Authorised`].
    pub fn peer_verdict(&self) -> &Verdict {
        self.verdict
    }

    /// The client's address. Behind a proxy, the proxy's.
    pub fn remote_addr(&self) -> SocketAddr {
        self.remote
    }

    /// The version of TLS that carried the request.
    pub fn tls_version(&self) -> TlsVersion {
        self.tls
    }

    /// The method; any token is possible.
    pub fn method(&self) -> &Method {
        &self.parts.method
    }

    /// The target in origin form, its path normalised: no empty, `.` or `..` segments, and no character encoded without
    /// need, or without encoding where RFC 3986 (section 3.3) has it encoded, so that a path means one thing. The query is as
    /// it was sent, and need not be well encoded; but `"`, `<` and `>` in it are encoded. `*` for `OPTIONS *`.
    pub fn uri(&self) -> &Uri {
        &self.parts.uri
    }

    /// The header fields.
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// The version of HTTP: 1.0 or 1.1.
    pub fn version(&self) -> Version {
        self.parts.version
    }

    /// The head as the `http` crate has it.
    pub fn parts(&self) -> &http::request::Parts {
        &self.parts
    }

    /// The body, decoded from its framing. Reading waits for the client, at the pace and up to the size that the server
    /// allows.
    ///
    /// # Errors
    /// Reading fails with [`TimedOut`](std::io::ErrorKind::TimedOut) when the client is too slow, with
    /// [`UnexpectedEof`](std::io::ErrorKind::UnexpectedEof) when it leaves early, and with
    /// [`InvalidData`](std::io::ErrorKind::InvalidData) when the body is too large or its framing broken. A handler can
    /// just return: the server then answers 408, 413 or 400 whatever the handler returned.
    pub fn body(&mut self) -> &mut dyn Read {
        self.body
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("parts", &self.parts)
            .field("verdict", &self.verdict)
            .field("remote", &self.remote)
            .finish_non_exhaustive()
    }
}
