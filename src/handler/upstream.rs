//! What another program makes of a request: a response that is still to come, its body, or a tunnel. Each arrives on a socket, and
//! waits there in the poller, without a thread.

use std::borrow::Cow;
use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::time::Instant;

use http::HeaderMap;
use http::response::Parts;

use super::Response;
use crate::reactor::Interest;

/// A response that is still to come. Its methods are called on a worker, and never wait for the other program. It is dropped when
/// the client has left, and before its response is sent.
///
/// A socket of which the connection has let go, here and below, may be kept for others: see `Poller::arm_other`.
pub(crate) trait Awaited: AsFd + Send {
    /// Goes on as far as the bytes that are there carry it.
    fn advance(&mut self, now: Instant) -> Step;

    /// What its socket has to report before it can go on. `None`: nothing; it goes on at its deadline.
    fn waits_for(&self) -> Option<Interest> {
        Some(Interest::Readable)
    }

    /// When it must have come, or goes on in any case. It may change with each step.
    fn deadline(&self) -> Instant;

    /// The deadline has passed, and the last step has not put it off: what the client gets instead.
    fn expire(&mut self) -> Response;
}

/// Why a response is not the one that was awaited: for the note of the access log. An extension of the response.
#[derive(Debug, Clone)]
pub(crate) struct Note {
    pub(crate) reason: Cow<'static, str>,
    /// The kind of failure, if it is one of the other program: see [`Access::forwarded`](crate::Access::forwarded).
    pub(crate) kind: Option<&'static str>,
}

/// How far a response that is awaited has come.
pub(crate) enum Step {
    /// Not far enough: wait for its socket, which may be another than before.
    Wait,
    /// An interim response, to be passed on (RFC 9110, section 15.2).
    Interim(Parts),
    /// The response.
    Response(Response),
}

/// A body that arrives.
pub(crate) trait Arriving: AsFd + Send {
    /// As `Read::read`, but an error of the kind `WouldBlock` says: nothing is there, wait until the socket is readable.
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize>;

    /// The trailer fields, after the end (RFC 9110, section 6.5).
    fn trailers(&mut self) -> Option<HeaderMap> {
        None
    }
}

/// What a connection becomes after `101 Switching Protocols` (RFC 9110, section 7.8): all bytes go both ways.
pub(crate) struct Tunnel {
    /// Non-blocking.
    pub(crate) socket: Box<dyn Duplex>,
    /// Bytes that arrived behind the head of the 101.
    pub(crate) received: Vec<u8>,
}

/// A stream socket.
pub(crate) trait Duplex: io::Read + io::Write + AsFd + Send {
    /// Says that nothing more will be written.
    fn shutdown(&self, how: Shutdown) -> io::Result<()>;
}
