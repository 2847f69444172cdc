//! A request, as a handler sees it.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use http::{HeaderMap, Method, StatusCode, Uri, Version, header};
use rustls::pki_types::CertificateDer;

use crate::tls::session::TlsVersion;
use crate::trust::Verdict;
use crate::x509::identity::Identity;

/// One request, the client behind it, and the body, which is read from the network as the handler reads it.
pub struct Request<'c> {
    pub(crate) parts: &'c http::request::Parts,
    pub(crate) verdict: &'c Verdict,
    pub(crate) remote: SocketAddr,
    pub(crate) tls: TlsVersion,
    pub(crate) body: &'c mut dyn Incoming,
}

/// What the connection of a request gives to it beside its head: the body, and the client's certificates.
pub(crate) trait Incoming: Read {
    /// The chain that the client showed, its own certificate first; empty if it showed none.
    fn peer_chain(&self) -> &[CertificateDer<'static>];

    /// Whether the client waits for `100 Continue`, which it is sent when the body is read.
    fn awaits_continue(&self) -> bool;

    /// As `Read::read`. But if it would have to wait for the client, it waits for another socket too: `None` if that is readable.
    fn read_beside(&mut self, output: &mut [u8], other: BorrowedFd<'_>) -> io::Result<Option<usize>>;

    /// The trailer fields, after the body's end.
    fn trailers(&self) -> HeaderMap;
}

impl<'c> Request<'c> {
    /// Who the client is, as its certificate says. The certificate was judged for this request.
    ///
    /// # Panics
    /// If the client is not authorised. A handler sees such clients only behind an open gate
    /// ([`Builder::open_gate`](crate::Builder::open_gate)) and where a policy has a line for `anyone`: use
    /// [`peer_verdict`](Self::peer_verdict) there. The panic fails closed: the client gets a 500.
    #[track_caller]
    pub fn peer(&self) -> &'c Identity {
        match self.verdict {
            Verdict::Authorised(identity) => identity,
            Verdict::Refused(refusal) => panic!("the client of this request is not authorised: {}", refusal.code()),
        }
    }

    /// The verdict on the client, reached anew for this request. It is [`Verdict::Authorised`], except behind an open gate and
    /// where a policy has a line for `anyone`.
    pub fn peer_verdict(&self) -> &'c Verdict {
        self.verdict
    }

    /// The certificates that the client showed, in DER, its own first, as they were sent. Only the first was proven to be the
    /// client's, and only if the [verdict](Self::peer_verdict) says so. Empty if it showed none.
    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.body.peer_chain().iter().map(|certificate| &**certificate)
    }

    /// The client's address. Behind a proxy, the proxy's.
    pub fn remote_addr(&self) -> SocketAddr {
        self.remote
    }

    /// The version of TLS that carried the request.
    pub fn tls_version(&self) -> TlsVersion {
        self.tls
    }

    /// The method. Any token is possible.
    pub fn method(&self) -> &Method {
        &self.parts.method
    }

    /// The target in origin form (path and query); `*` for `OPTIONS *`.
    ///
    /// The path is normalised, so that it means one thing: it has no empty, `.` or `..` segments, and a character is
    /// percent-encoded if and only if RFC 3986 (section 3.3) has it encoded. The query is as it was sent, well encoded or not;
    /// only `"`, `<` and `>` in it are encoded.
    pub fn uri(&self) -> &Uri {
        &self.parts.uri
    }

    /// The path, percent-decoded once: `/a%20b` is `/a b`. `None` if it is not UTF-8.
    ///
    /// The server has already answered 400 to a path with an encoded slash, a backslash, a NUL or another ASCII control
    /// character, an empty segment (`//`), or a segment `.` or `..`, encoded or not. So the segments of the decoded path are
    /// those of [`uri`](Self::uri). As a file name it still needs care: it may begin with a dot, or be a symbolic link. It may
    /// contain characters that mislead on a terminal (control characters beyond ASCII, marks that reverse the direction of text):
    /// escape it before you show it.
    pub fn path_decoded(&self) -> Option<Cow<'_, str>> {
        percent_encoding::percent_decode_str(self.uri().path()).decode_utf8().ok()
    }

    /// The names and values of the query, in their order: `?a=1&b=x+y` is `("a", "1")` and `("b", "x y")`.
    ///
    /// Decoded as a form is (`application/x-www-form-urlencoded`, URL Standard): `+` is a space, a percent sign that encodes
    /// nothing stays, and what is not UTF-8 becomes U+FFFD. A name may occur more than once. Names and values may contain
    /// anything, also control characters.
    pub fn query(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        form_urlencoded::parse(self.uri().query().unwrap_or_default().as_bytes())
    }

    /// The header fields.
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// The version of HTTP: 1.0 or 1.1.
    pub fn version(&self) -> Version {
        self.parts.version
    }

    /// The head, as a type of the `http` crate.
    pub fn parts(&self) -> &http::request::Parts {
        self.parts
    }

    /// The body, to be read as it arrives; chunks are decoded. Reading waits for the client, at the pace
    /// ([`Builder::transfer_timeout`](crate::Builder::transfer_timeout)) and up to the size
    /// ([`Builder::max_body`](crate::Builder::max_body)) that the server allows.
    ///
    /// # Errors
    /// [`TimedOut`](io::ErrorKind::TimedOut): the client is too slow. [`UnexpectedEof`](io::ErrorKind::UnexpectedEof): it left
    /// early. [`FileTooLarge`](io::ErrorKind::FileTooLarge): the body is larger than the server allows.
    /// [`InvalidData`](io::ErrorKind::InvalidData): its framing is broken. A handler can simply return: the server answers 408,
    /// 413 or 400, whatever the handler returns.
    pub fn body(&mut self) -> &mut dyn Read {
        &mut self.body
    }

    /// The trailer fields of a chunked body (RFC 9110, section 6.5), once it was read to its end; empty before, and if there are none.
    pub fn trailers(&self) -> HeaderMap {
        self.body.trailers()
    }

    /// The whole body in memory, if it has at most `limit` bytes.
    ///
    /// ```
    /// use mtls_min::http::StatusCode;
    /// use mtls_min::{Request, Response, response};
    ///
    /// fn echo(request: &mut Request<'_>) -> Response {
    ///     match request.body_bytes(64 * 1024) {
    ///         Ok(body) => response::text(StatusCode::OK, body),
    ///         Err(error) => response::status(error.status()),
    ///     }
    /// }
    /// # let _ = echo;
    /// ```
    /// A body that announces more is not read at all.
    ///
    /// Only a body that is larger than `limit` gets the handler's own answer. If it is larger than
    /// [`Builder::max_body`](crate::Builder::max_body), comes too slowly, or is broken, the server's own answer is sent, whatever
    /// the handler returns. So leave `max_body` larger than `limit`.
    ///
    /// # Errors
    /// The body has more bytes, or [cannot be read](Self::body): [`BodyError::status`] is the answer.
    pub fn body_bytes(&mut self, limit: usize) -> Result<Vec<u8>, BodyError> {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        let announced =
            self.parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if announced.is_some_and(|length: u64| length > limit) {
            return Err(BodyError(too_large()));
        }
        let mut body = Vec::new();
        self.body().take(limit.saturating_add(1)).read_to_end(&mut body).map_err(BodyError)?;
        match body.len() as u64 > limit {
            true => Err(BodyError(too_large())),
            false => Ok(body),
        }
    }
}

/// Why [`Request::body_bytes`] has no body. Converts into [`io::Error`], for `?`.
#[derive(Debug)]
pub struct BodyError(io::Error);

impl BodyError {
    /// What to answer: 413 if the body is too large, 408 if the client is too slow, otherwise 400. The server itself answers
    /// so, whatever the handler returns, unless the body is only larger than the `limit` of [`Request::body_bytes`].
    pub fn status(&self) -> StatusCode {
        match self.0.kind() {
            io::ErrorKind::FileTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            io::ErrorKind::TimedOut => StatusCode::REQUEST_TIMEOUT,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, "the body is too large")
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for BodyError {}

impl From<BodyError> for io::Error {
    fn from(error: BodyError) -> Self {
        error.0
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
