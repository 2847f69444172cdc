//! The body of a response.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;

use super::socket::Socket;
use super::upstream::{Arriving, Awaited, Tunnel};

/// The body of a response: bytes in memory, or something to read from.
///
/// ```
/// use mtls_min::Body;
/// let text: Body = "hello world\n".into();
/// let read: Body = Body::from_reader(std::io::empty(), Some(0));
/// # let _ = (text, read);
/// ```
#[derive(Default)]
pub struct Body(pub(crate) Content);

pub(crate) enum Content {
    Bytes(Cow<'static, [u8]>),
    Reader {
        reader: Box<dyn Read + Send>,
        length: Option<u64>,
    },
    /// The whole response is still to come. Fields that the handler sets meanwhile are set in it.
    Awaited(Box<dyn Awaited>),
    /// It arrives on a socket.
    Arriving {
        body: Box<dyn Arriving>,
        length: Option<u64>,
    },
    /// Behind the head of a `101 Switching Protocols`.
    Tunnel(Box<Tunnel>),
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

    /// Streams from `reader`, with at most a few tens of kilobytes in memory at a time. A worker thread reads as fast as the
    /// client takes the bytes.
    ///
    /// If `length` (in bytes) is given, it is announced as the `Content-Length`, and exactly that many bytes are sent: the rest
    /// of the reader is left unread, and if it ends early, the connection is cut, so that the client notices. Without a length
    /// the response is chunked (for HTTP/1.0: ended by closing). If the reader fails or panics, the connection is cut.
    pub fn from_reader(reader: impl Read + Send + 'static, length: Option<u64>) -> Self {
        Self(Content::Reader { reader: Box::new(reader), length })
    }

    /// Streams the whole of a regular file. Its length is taken now and announced: if the file shrinks while it is sent, the
    /// connection is cut, and what is appended to it is not sent. Files of `/proc` and `/sys` say that their length is 0 or a page, whatever
    /// they contain: read them into memory first.
    ///
    /// [`response::file`](crate::response::file) also answers ranges and conditional requests.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if it is not a regular file; or it cannot be examined or read.
    pub fn from_file(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        Self::part_of(file, 0, metadata.len())
    }

    /// Streams `length` bytes of a file, from the byte at `first` on.
    pub(super) fn part_of(mut file: File, first: u64, length: u64) -> io::Result<Self> {
        file.seek(SeekFrom::Start(first))?;
        Ok(Self::from_reader(file, Some(length)))
    }

    /// Streams what arrives on a stream socket (a `TcpStream` or a `UnixStream`), until its other end is closed. While nothing
    /// arrives, it holds no thread, and what has arrived is sent at once: for server-sent events and long answers, whose bytes come
    /// one by one. Another thread writes to the other end:
    ///
    /// ```
    /// use std::io::Write;
    /// use std::os::unix::net::UnixStream;
    ///
    /// use mtls_min::http::{HeaderValue, header};
    /// use mtls_min::{Body, Request, Response};
    ///
    /// fn ticks(_: &mut Request<'_>) -> Response {
    ///     let (mut events, socket) = UnixStream::pair().expect("a file descriptor is left");
    ///     // A real program has one thread for all that listen.
    ///     std::thread::spawn(move || {
    ///         // It ends when the client has left.
    ///         while events.write_all(b"data: tick\n\n").is_ok() {
    ///             std::thread::sleep(std::time::Duration::from_secs(1));
    ///         }
    ///     });
    ///     let mut response = Response::new(Body::from_socket(socket, None).expect("it is a socket"));
    ///     response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    ///     response
    /// }
    /// # let _ = ticks;
    /// ```
    ///
    /// For `length` see [`from_reader`](Self::from_reader). Without one, the client is judged for as long as the body lasts: if it
    /// is no longer let in, the connection is cut within a second. It is cut too if no byte comes for
    /// [`Builder::tunnel_timeout`](crate::Builder::tunnel_timeout).
    ///
    /// # Errors
    /// It is no socket.
    pub fn from_socket(socket: impl Into<OwnedFd>, length: Option<u64>) -> io::Result<Self> {
        Ok(Self(Content::Arriving { body: Box::new(Socket::new(socket)?), length }))
    }

    /// Whether all of it is in memory, so that sending it never waits for a reader.
    pub(super) fn is_in_memory(&self) -> bool {
        matches!(self.0, Content::Bytes(_))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Content::Bytes(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Content::Reader { length: Some(length), .. } => write!(f, "Body(reader of {length} bytes)"),
            Content::Reader { length: None, .. } => f.write_str("Body(reader)"),
            Content::Awaited(_) => f.write_str("Body(awaited)"),
            Content::Arriving { .. } => f.write_str("Body(arriving)"),
            Content::Tunnel(_) => f.write_str("Body(tunnel)"),
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
