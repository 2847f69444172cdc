//! What is Linux only: epoll, accept4, and how socket options work.

use super::{BACKLOG, Interest, OTHER, Ready, StopSignal, ready, wait_for};
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use std::io;
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// The token of the stop signal; connections never get it.
const STOP: u64 = u64::MAX;

/// One epoll set that all workers wait on. A socket is either armed or watched. Armed is one-shot: nothing that happens while
/// its connection is driven wakes another worker. Watched saves the system call before each wait, for sockets on which hardly
/// anything happens while they are driven. A closed socket leaves the set by itself.
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
}

impl Poller {
    /// Whether sockets can be watched.
    pub(crate) const WATCHES: bool = true;

    pub(crate) fn new(stop: &StopSignal) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        // Not one-shot: every worker has to see it.
        epoll::add(&epoll, stop, EventData::new_u64(STOP), EventFlags::IN)?;
        Ok(Self { epoll })
    }

    /// Adds a socket, armed.
    pub(crate) fn add(&self, socket: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, socket, EventData::new_u64(token), once(interest))?)
    }

    /// Arms a socket: its next event is reported, once. An event that is there already counts.
    pub(crate) fn arm(&self, socket: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, socket, EventData::new_u64(token), once(interest))?)
    }

    /// Watches a socket until it is armed again: each arrival of bytes is reported, beginning with those that are there now.
    /// After each report, all bytes have to be read before the next wait. `false`: this poller cannot watch, and has armed it.
    pub(crate) fn watch(&self, socket: impl AsFd, token: u64) -> io::Result<bool> {
        epoll::modify(&self.epoll, socket, EventData::new_u64(token), BYTES | EventFlags::ET)?;
        Ok(true)
    }

    /// Adds a socket, watched: see [`watch`](Self::watch).
    pub(crate) fn add_watched(&self, socket: impl AsFd, token: u64) -> io::Result<bool> {
        epoll::add(&self.epoll, socket, EventData::new_u64(token), BYTES | EventFlags::ET)?;
        Ok(true)
    }

    /// Arms the other socket of the connection with this token, also one that is not here yet.
    ///
    /// A socket that is kept for the next connection stays in the set, disarmed by the event that was reported. So in most
    /// cases this is one system call. If it was let go of before there was an event, that event may still come, once: to the
    /// connection that it was armed for, which finds nothing, or to none, since no other connection ever has its token.
    pub(crate) fn arm_other(&self, socket: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        let (data, events) = (EventData::new_u64(token | OTHER), once(interest));
        match epoll::modify(&self.epoll, &socket, data, events) {
            Err(rustix::io::Errno::NOENT) => Ok(epoll::add(&self.epoll, &socket, data, events)?),
            armed => Ok(armed?),
        }
    }

    /// The connection with this token no longer waits for its other socket, which may be closed, or kept for another.
    pub(crate) fn release_other(&self, _token: u64) {}

    /// Forgets a socket, which may live on.
    pub(crate) fn remove(&self, socket: impl AsFd, _token: u64) {
        // It fails if the socket is not there.
        let _ = epoll::delete(&self.epoll, socket);
    }

    /// Whether there are events that no worker has taken.
    pub(crate) fn has_events(&self) -> bool {
        matches!(wait_for(&self.epoll, Interest::Readable, Duration::ZERO), Ok(true))
    }

    /// Waits for one event, at most this long.
    pub(crate) fn wait(&self, longest: Option<Duration>) -> io::Result<Ready> {
        let longest = longest.and_then(|time| Timespec::try_from(time).ok());
        let mut room = [MaybeUninit::uninit(); 1];
        loop {
            let (events, _) = match epoll::wait(&self.epoll, &mut room, longest.as_ref()) {
                Ok(events) => events,
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            let Some(event) = events.first() else { return Ok(Ready::TimeIsUp) };
            let (token, flags) = (event.data.u64(), event.flags);
            return Ok(match token {
                STOP => Ready::Stopped,
                _ => ready(token, flags.intersects(HUNG_UP)),
            });
        }
    }
}

fn once(interest: Interest) -> EventFlags {
    let wanted = match interest {
        Interest::Readable => BYTES,
        Interest::Writable => EventFlags::OUT,
        Interest::Both => BYTES | EventFlags::OUT,
        Interest::End => EventFlags::RDHUP,
    };
    wanted | EventFlags::ONESHOT
}

const BYTES: EventFlags = EventFlags::IN.union(EventFlags::RDHUP);

const HUNG_UP: EventFlags = EventFlags::RDHUP.union(EventFlags::HUP).union(EventFlags::ERR);

/// Acknowledges at once what was just received, instead of after a delay of up to 40 ms.
///
/// A client without TCP_NODELAY holds back what does not fill a packet until all that it sent before is acknowledged: its request
/// until its flight is, in TLS 1.3, and the second part of a record until the first is. The server has nothing to send then that
/// would carry the acknowledgement. The kernel resets the option, so it is set each time.
pub(crate) fn acknowledge_at_once(socket: impl AsFd) {
    // A failure costs only time.
    let _ = rustix::net::sockopt::set_tcp_quickack(socket, true);
}

/// Makes a listener non-blocking, and its connections send small writes at once.
pub(crate) fn prepare_listener(listener: &TcpListener) -> io::Result<()> {
    rustix::net::listen(listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    // Accepted sockets inherit it.
    Ok(rustix::net::sockopt::set_tcp_nodelay(listener, true)?)
}

/// Accepts a connection, and makes it non-blocking.
pub(crate) fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    use rustix::net::{SocketFlags, acceptfrom_with};
    let (socket, remote) = acceptfrom_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
    let remote = remote.and_then(|remote| SocketAddr::try_from(remote).ok());
    let nameless = || io::Error::new(io::ErrorKind::ConnectionAborted, "the client has no address");
    Ok((TcpStream::from(socket), remote.ok_or_else(nameless)?))
}

/// A socket that is non-blocking.
pub(crate) fn stream_socket(family: rustix::net::AddressFamily) -> io::Result<OwnedFd> {
    use rustix::net::{SocketFlags, SocketType, socket_with};
    Ok(socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?)
}

/// Nothing to do here: closing the only descriptor of a socket closes the connection.
pub(crate) fn before_close(_socket: &TcpStream) {}
