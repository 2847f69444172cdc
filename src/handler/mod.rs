//! What an application gives to the server: a handler, its responses and their bodies.

pub(crate) mod pages;
pub(crate) mod request;

use std::borrow::Cow;
use std::fmt;
use std::io::Read;

use request::Request;

/// A response: status and fields of the `http` crate, and a [`Body`].
///
/// The server writes `Date`, `Content-Length`, `Transfer-Encoding` and `Connection` itself; a handler's own are
/// dropped, except `Connection: close`, which is honoured.
pub type Response = http::Response<Body>;

/// Answers requests. Closures `Fn(&mut Request<'_>) -> Response` are handlers.
///
/// A handler is called from several threads at once. While it runs it has one of the server's worker threads for
/// itself. If it panics, the client gets a 500, the panic is reported to the [`Observer`](crate::Observer), and the
/// worker lives on.
pub trait Handler: Send + Sync {
    /// Answers one request.
    fn handle(&self, request: &mut Request<'_>) -> Response;
}

impl<F> Handler for F
where
    F: Fn(&mut Request<'_>) -> Response + Send + Sync,
{
    fn handle(&self, request: &mut Request<'_>) -> Response {
        self(request)
    }
}

/// The body of a response: bytes in memory, or something to read from.
///
/// ```
/// use mtls_min::Body;
/// let text: Body = "hello world\n".into();
/// let file: Body = Body::from_reader(std::io::empty(), Some(0));
/// # let _ = (text, file);
/// ```
#[derive(Default)]
pub struct Body(pub(crate) Content);

pub(crate) enum Content {
    Bytes(Cow<'static, [u8]>),
    Reader { reader: Box<dyn Read + Send>, length: Option<u64> },
}

impl Default for Content {
    fn default() -> Self {
        Content::Bytes(Cow::Borrowed(&[]))
    }
}

impl Body {
    /// No bytes.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Streams from `reader`, of which at most some ten kilobytes are in memory at a time. A worker thread reads, as fast
    /// as the client takes the bytes.
    ///
    /// With a `length` in bytes the response says it, and exactly so many are sent: what a reader has beyond them is left
    /// unread, and if it ends early the connection is cut, so that the client notices. Without one the
    /// response is chunked (for HTTP/1.0: ended by closing). If the reader fails or panics, the connection is cut.
    pub fn from_reader(reader: impl Read + Send + 'static, length: Option<u64>) -> Self {
        Self(Content::Reader { reader: Box::new(reader), length })
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Content::Bytes(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Content::Reader { length: Some(length), .. } => write!(f, "Body(reader of {length} bytes)"),
            Content::Reader { length: None, .. } => f.write_str("Body(reader)"),
        }
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self(Content::Bytes(Cow::Borrowed(text.as_bytes())))
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self(Content::Bytes(Cow::Owned(text.into_bytes())))
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Self {
        Self(Content::Bytes(Cow::Borrowed(bytes)))
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Content::Bytes(Cow::Owned(bytes)))
    }
}

impl From<()> for Body {
    fn from((): ()) -> Self {
        Self::empty()
    }
}
