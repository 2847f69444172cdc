//! What the operating system gives: waiting for many sockets at once, one TCP option, file locks, the terminal's echo.
//!
//! Everything that is Linux only stands in this file. Linux uses epoll; other Unix systems use the `portable` poller
//! below, which is built on poll(2) and is tested on Linux too.

use std::io::{self, PipeReader, PipeWriter, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

#[cfg(target_os = "linux")]
pub(crate) use linux::{Poller, accept, acknowledge_at_once, before_close, prepare_listener};
#[cfg(not(target_os = "linux"))]
pub(crate) use portable::{Poller, accept, acknowledge_at_once, before_close, prepare_listener};

/// What a parked connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interest {
    Readable,
    Writable,
}

/// Why a poller's `wait` returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ready {
    /// The socket with this token can go on.
    Token(u64, Signal),
    /// The stop signal was raised: no wait blocks any more.
    Stopped,
}

/// What an event says of a socket: bytes came, or there is room for more of them. It may be wrong about that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Signal {
    /// The peer sends nothing more, or the connection is broken: reading comes to an end.
    pub(crate) hung_up: bool,
}

impl Signal {
    /// What two events say together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self { hung_up: self.hung_up || other.hung_up }
    }
}

/// A signal that is raised once and wakes every thread that waits on it.
#[derive(Debug)]
pub(crate) struct StopSignal {
    reader: PipeReader,
    writer: PipeWriter,
}

impl StopSignal {
    pub(crate) fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        Ok(Self { reader, writer })
    }

    /// Raises the signal. Nobody reads the pipe, so it stays readable for all, for ever.
    pub(crate) fn raise(&self) {
        // A pipe with room for kilobytes takes one byte; if it is full, it is raised already.
        let _ = (&self.writer).write(&[1]);
    }
}

impl AsFd for StopSignal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

/// Waits until one socket is ready, at most `timeout`. `false`: the time is up.
///
/// For the few waits that hold a thread: a handler that reads a request body.
pub(crate) fn wait_for(socket: impl AsFd, interest: Interest, timeout: Duration) -> io::Result<bool> {
    let mut fds = [PollFd::from_borrowed_fd(socket.as_fd(), flags(interest))];
    Ok(poll_retrying(&mut fds, Some(timeout))? > 0)
}

/// Sleeps for `time`. `false`: the stop signal was raised meanwhile.
pub(crate) fn sleep_unless_stopped(stop: &StopSignal, time: Duration) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(stop.as_fd(), PollFlags::IN)];
    !matches!(poll_retrying(&mut fds, Some(time)), Ok(n) if n > 0)
}

/// Opens a file to be read, if it is a regular one. What else a name may stand for (a pipe, a device) can hold who opens
/// or reads it for ever.
pub(crate) fn open_regular(path: &std::path::Path) -> io::Result<std::fs::File> {
    use rustix::fs::{Mode, OFlags, open};
    let file = std::fs::File::from(open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    Ok(file)
}

/// So many connections may wait to be accepted; the system may have a lower limit (net.core.somaxconn). To listen once more
/// changes nothing but this, for which the standard library takes 128.
const BACKLOG: i32 = 4096;

fn poll_retrying(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> io::Result<usize> {
    let end = timeout.map(|timeout| std::time::Instant::now() + timeout);
    loop {
        let left = end.map(|end| end.saturating_duration_since(std::time::Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok()); // too long to be said: for ever
        match poll(fds, left.as_ref()) {
            Err(rustix::io::Errno::INTR) => continue,
            result => return Ok(result?),
        }
    }
}

fn flags(interest: Interest) -> PollFlags {
    match interest {
        Interest::Readable => PollFlags::IN,
        Interest::Writable => PollFlags::OUT,
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use crate::reactor::sys::{Interest, Ready, Signal, StopSignal};
    use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
    use std::io;
    use std::mem::MaybeUninit;
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::os::fd::{AsFd, OwnedFd};

    /// The token of the stop signal; connections never get it.
    const STOP: u64 = u64::MAX;

    /// One epoll set that all workers wait on. A socket is armed one-shot, so that nothing it does while it is driven wakes
    /// another worker; or, where that is rare, watched: then waiting for the next request costs no system call. A closed
    /// socket leaves the set by itself.
    #[derive(Debug)]
    pub(crate) struct Poller {
        epoll: OwnedFd,
    }

    impl Poller {
        pub(crate) fn new(stop: &StopSignal) -> io::Result<Self> {
            let epoll = epoll::create(CreateFlags::CLOEXEC)?;
            // Not one-shot: every worker is to see it.
            epoll::add(&epoll, stop, EventData::new_u64(STOP), EventFlags::IN)?;
            Ok(Self { epoll })
        }

        /// Adds a socket, armed for reading: bytes, or a connection to accept.
        pub(crate) fn add(&self, socket: impl AsFd, token: u64) -> io::Result<()> {
            Ok(epoll::add(&self.epoll, socket, EventData::new_u64(token), once(Interest::Readable))?)
        }

        /// Arms a socket: its next event is reported, once. An event that is there already counts.
        pub(crate) fn arm(&self, socket: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
            Ok(epoll::modify(&self.epoll, socket, EventData::new_u64(token), once(interest))?)
        }

        /// Watches a socket until it is armed again: each arrival of bytes is reported. Those that are there count, now; later
        /// on, who was told has to read all there is before the next are waited for. `false`: it is only armed.
        pub(crate) fn watch(&self, socket: impl AsFd, token: u64) -> io::Result<bool> {
            epoll::modify(&self.epoll, socket, EventData::new_u64(token), BYTES | EventFlags::ET)?;
            Ok(true)
        }

        /// Forgets a socket, which may live on.
        pub(crate) fn remove(&self, socket: impl AsFd, _token: u64) {
            // It fails if the socket is not there.
            let _ = epoll::delete(&self.epoll, socket);
        }

        /// Whether there are events that no worker has taken.
        pub(crate) fn has_events(&self) -> bool {
            matches!(super::wait_for(&self.epoll, Interest::Readable, std::time::Duration::ZERO), Ok(true))
        }

        /// Waits, without limit of time, for one event.
        pub(crate) fn wait(&self) -> io::Result<Ready> {
            let mut room = [MaybeUninit::uninit(); 1];
            loop {
                let (events, _) = match epoll::wait(&self.epoll, &mut room, None) {
                    Ok(events) => events,
                    Err(rustix::io::Errno::INTR) => continue,
                    Err(error) => return Err(error.into()),
                };
                let Some(event) = events.first() else { continue };
                let (token, flags) = (event.data.u64(), event.flags);
                return Ok(match token {
                    STOP => Ready::Stopped,
                    _ => Ready::Token(token, Signal { hung_up: flags.intersects(HUNG_UP) }),
                });
            }
        }
    }

    fn once(interest: Interest) -> EventFlags {
        let wanted = match interest {
            Interest::Readable => BYTES,
            Interest::Writable => EventFlags::OUT,
        };
        wanted | EventFlags::ONESHOT
    }

    const BYTES: EventFlags = EventFlags::IN.union(EventFlags::RDHUP);

    const HUNG_UP: EventFlags = EventFlags::RDHUP.union(EventFlags::HUP).union(EventFlags::ERR);

    /// Sends the acknowledgement of what was just received now, not after the delay of up to 40 ms.
    ///
    /// A client without TCP_NODELAY holds its request back until its certificate flight is acknowledged, and in TLS 1.3
    /// the server has nothing to send that would carry the acknowledgement. The option wears off, so it is set each time.
    pub(crate) fn acknowledge_at_once(socket: impl AsFd) {
        // Failing costs time only.
        let _ = rustix::net::sockopt::set_tcp_quickack(socket, true);
    }

    /// Lets a listener never block, and its connections send small writes at once.
    pub(crate) fn prepare_listener(listener: &TcpListener) -> io::Result<()> {
        rustix::net::listen(listener, crate::reactor::sys::BACKLOG)?;
        listener.set_nonblocking(true)?;
        // Accepted sockets inherit it.
        Ok(rustix::net::sockopt::set_tcp_nodelay(listener, true)?)
    }

    /// Accepts a connection, which does not block.
    pub(crate) fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
        use rustix::net::{SocketFlags, acceptfrom_with};
        let (socket, remote) = acceptfrom_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
        let remote = remote.and_then(|remote| SocketAddr::try_from(remote).ok());
        let nameless = || io::Error::new(io::ErrorKind::ConnectionAborted, "the client has no address");
        Ok((TcpStream::from(socket), remote.ok_or_else(nameless)?))
    }

    /// Nothing to do here: closing the only descriptor of a socket closes the connection.
    pub(crate) fn before_close(_socket: &TcpStream) {}
}

#[cfg(any(not(target_os = "linux"), test))]
mod portable {
    use crate::reactor::sys::{Interest, Ready, Signal, StopSignal, flags, poll_retrying};
    use crate::sync::lock;
    use rustix::event::{PollFd, PollFlags};
    use std::collections::HashMap;
    use std::io::{self, PipeReader, PipeWriter, Read, Write};
    use std::os::fd::{AsFd, OwnedFd};
    use std::sync::{Arc, Mutex};

    /// The same as the Linux poller, by poll(2). One worker at a time polls for all; slower with many connections.
    #[derive(Debug)]
    pub(crate) struct Poller {
        armed: Mutex<HashMap<u64, (Arc<OwnedFd>, Interest)>>,
        /// Held by the worker that polls.
        turn: Mutex<Turn>,
        stop: OwnedFd,
        /// A byte here makes the polling worker look at `armed` again.
        changed: (PipeReader, PipeWriter),
    }

    /// The token that was reported last: the next one after it comes first, so that each has its turn.
    #[derive(Debug, Default)]
    struct Turn(u64);

    impl Poller {
        pub(crate) fn new(stop: &StopSignal) -> io::Result<Self> {
            let stop = stop.as_fd().try_clone_to_owned()?;
            let changed = io::pipe()?;
            // With the pipe full nobody may hang; it says what it has to say all the same.
            rustix::io::ioctl_fionbio(&changed.1, true)?;
            rustix::io::ioctl_fionbio(&changed.0, true)?;
            Ok(Self { armed: Mutex::default(), turn: Mutex::default(), stop, changed })
        }

        pub(crate) fn add(&self, socket: impl AsFd, token: u64) -> io::Result<()> {
            self.arm(socket, token, Interest::Readable)
        }

        pub(crate) fn arm(&self, socket: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
            // A descriptor of its own, so that a socket closed meanwhile is not mistaken for a later one.
            let socket = Arc::new(socket.as_fd().try_clone_to_owned()?);
            lock(&self.armed).insert(token, (socket, interest));
            match (&self.changed.1).write(&[1]) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
                _ => Ok(()),
            }
        }

        pub(crate) fn watch(&self, socket: impl AsFd, token: u64) -> io::Result<bool> {
            self.arm(socket, token, Interest::Readable)?;
            Ok(false)
        }

        pub(crate) fn remove(&self, _socket: impl AsFd, token: u64) {
            lock(&self.armed).remove(&token);
        }

        #[cfg(not(target_os = "linux"))] // Nobody knows, and a worker more does no harm.
        pub(crate) fn has_events(&self) -> bool {
            true
        }

        pub(crate) fn wait(&self) -> io::Result<Ready> {
            let mut turn = lock(&self.turn);
            loop {
                let mut armed: Vec<_> = lock(&self.armed).iter().map(|(t, (s, i))| (*t, Arc::clone(s), *i)).collect();
                armed.sort_unstable_by_key(|(token, ..)| token.wrapping_sub(turn.0).wrapping_sub(1));
                let mut fds = vec![
                    PollFd::from_borrowed_fd(self.stop.as_fd(), PollFlags::IN),
                    PollFd::from_borrowed_fd(self.changed.0.as_fd(), PollFlags::IN),
                ];
                fds.extend(armed.iter().map(|(_, s, i)| PollFd::from_borrowed_fd(s.as_fd(), flags(*i))));
                poll_retrying(&mut fds, None)?;
                if !fds[0].revents().is_empty() {
                    return Ok(Ready::Stopped);
                }
                if !fds[1].revents().is_empty() {
                    let _ = (&self.changed.0).read(&mut [0; 512]);
                }
                if let Some(at) = fds[2..].iter().position(|fd| !fd.revents().is_empty()) {
                    let (token, socket, _) = &armed[at];
                    let mut map = lock(&self.armed);
                    // It may have been armed anew since the copy was made; then the next round reports it.
                    if map.get(token).is_some_and(|(s, _)| Arc::ptr_eq(s, socket)) {
                        map.remove(token);
                        *turn = Turn(*token);
                        // An end that is there is reported again when it is waited for.
                        return Ok(Ready::Token(*token, Signal::default()));
                    }
                }
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn prepare_listener(listener: &std::net::TcpListener) -> io::Result<()> {
        rustix::net::listen(listener, crate::reactor::sys::BACKLOG)?;
        listener.set_nonblocking(true)
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn accept(listener: &std::net::TcpListener) -> io::Result<(std::net::TcpStream, std::net::SocketAddr)> {
        let (socket, remote) = listener.accept()?;
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        Ok((socket, remote))
    }

    /// Other systems acknowledge soon enough, or have no such option.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn acknowledge_at_once(_socket: impl AsFd) {}

    /// The poller may hold a second descriptor of the socket; this closes the connection all the same.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn before_close(socket: &std::net::TcpStream) {
        let _ = socket.shutdown(std::net::Shutdown::Both);
    }
}

/// Takes the lock of a file for as long as it is open; the system frees it when the process ends, however it does.
/// False: another process holds it still after `patience`.
#[cfg(feature = "pki")]
pub(crate) fn lock_file(file: &std::fs::File, patience: Duration) -> io::Result<bool> {
    use rustix::fs::{FlockOperation, flock};
    use rustix::io::Errno;
    let deadline = std::time::Instant::now() + patience;
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK | Errno::INTR) if std::time::Instant::now() >= deadline => return Ok(false),
            // There is no waiting for a lock with a deadline.
            Err(Errno::WOULDBLOCK | Errno::INTR) => std::thread::sleep(Duration::from_millis(20)),
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    const BYTES: Signal = Signal { hung_up: false };

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    macro_rules! poller_tests {
        ($name:ident, $poller:ty) => {
            mod $name {
                use super::*;

                #[test]
                fn an_armed_socket_is_reported_once_until_it_is_armed_again() {
                    let stop = StopSignal::new().unwrap();
                    let poller = <$poller>::new(&stop).unwrap();
                    let (mut client, server) = pair();
                    poller.add(&server, 7).unwrap();
                    client.write_all(b"x").unwrap();
                    assert_eq!(poller.wait().unwrap(), Ready::Token(7, BYTES));
                    // The byte is still unread; nothing but the stop signal may be reported now.
                    stop.raise();
                    assert_eq!(poller.wait().unwrap(), Ready::Stopped);
                }

                #[test]
                fn a_watched_socket_is_reported_at_each_arrival() {
                    let stop = StopSignal::new().unwrap();
                    let poller = <$poller>::new(&stop).unwrap();
                    let (mut client, mut server) = pair();
                    poller.add(&server, 7).unwrap();
                    let mut watched = poller.watch(&server, 7).unwrap();
                    for _ in 0..3 {
                        client.write_all(b"x").unwrap();
                        assert_eq!(poller.wait().unwrap(), Ready::Token(7, BYTES));
                        server.read_exact(&mut [0]).unwrap();
                        watched = watched || poller.watch(&server, 7).unwrap();
                    }
                }

                #[test]
                fn bytes_and_room_that_are_there_already_are_reported() {
                    let stop = StopSignal::new().unwrap();
                    let poller = <$poller>::new(&stop).unwrap();
                    let (mut client, server) = pair();
                    client.write_all(b"x").unwrap();
                    assert!(wait_for(&server, Interest::Readable, Duration::from_secs(5)).unwrap());
                    poller.add(&server, 7).unwrap();
                    assert_eq!(poller.wait().unwrap(), Ready::Token(7, BYTES));
                    for _ in 0..2 {
                        poller.arm(&server, 7, Interest::Writable).unwrap();
                        assert_eq!(poller.wait().unwrap(), Ready::Token(7, BYTES));
                    }
                }

                #[test]
                fn a_removed_socket_is_not_reported() {
                    let stop = StopSignal::new().unwrap();
                    let poller = <$poller>::new(&stop).unwrap();
                    let (mut client, server) = pair();
                    poller.add(&server, 7).unwrap();
                    poller.remove(&server, 7);
                    client.write_all(b"x").unwrap();
                    assert!(wait_for(&server, Interest::Readable, Duration::from_secs(5)).unwrap());
                    stop.raise();
                    assert_eq!(poller.wait().unwrap(), Ready::Stopped);
                }

                #[test]
                fn the_stop_signal_wakes_every_waiting_thread() {
                    let stop = StopSignal::new().unwrap();
                    let poller = <$poller>::new(&stop).unwrap();
                    std::thread::scope(|scope| {
                        let waits: Vec<_> = (0..4).map(|_| scope.spawn(|| poller.wait().unwrap())).collect();
                        stop.raise();
                        for wait in waits {
                            assert_eq!(wait.join().unwrap(), Ready::Stopped);
                        }
                    });
                }

                #[test]
                fn a_peer_that_closes_is_reported() {
                    let stop = StopSignal::new().unwrap();
                    let poller = <$poller>::new(&stop).unwrap();
                    let (client, server) = pair();
                    poller.add(&server, 3).unwrap();
                    drop(client);
                    assert!(matches!(poller.wait().unwrap(), Ready::Token(3, _)));
                }
            }
        };
    }

    poller_tests!(the_poller_of_this_system, Poller);
    poller_tests!(the_portable_poller, portable::Poller);

    /// More often than a pipe holds bytes.
    #[test]
    fn the_portable_poller_can_be_armed_without_end() {
        let stop = StopSignal::new().unwrap();
        let poller = portable::Poller::new(&stop).unwrap();
        let (mut client, server) = pair();
        for _ in 0..70_000 {
            poller.arm(&server, 7, Interest::Readable).unwrap();
        }
        client.write_all(b"x").unwrap();
        for _ in 0..10 {
            assert_eq!(poller.wait().unwrap(), Ready::Token(7, BYTES));
            poller.arm(&server, 7, Interest::Readable).unwrap();
        }
    }

    #[test]
    fn the_portable_poller_gives_each_socket_its_turn() {
        let stop = StopSignal::new().unwrap();
        let poller = portable::Poller::new(&stop).unwrap();
        let pairs: Vec<_> = (0..3).map(|_| pair()).collect();
        for (token, (client, server)) in (0..).zip(&pairs) {
            (&mut &*client).write_all(b"x").unwrap();
            assert!(wait_for(server, Interest::Readable, Duration::from_secs(5)).unwrap());
            poller.add(server, token).unwrap();
        }
        let mut seen = [0; 3];
        for _ in 0..9 {
            let Ready::Token(token, _) = poller.wait().unwrap() else { panic!("stopped") };
            seen[token as usize] += 1;
            poller.arm(&pairs[token as usize].1, token, Interest::Readable).unwrap();
        }
        assert_eq!(seen, [3; 3]);
    }

    #[test]
    fn a_wait_for_a_silent_socket_ends_at_its_timeout() {
        let (_client, server) = pair();
        assert!(!wait_for(&server, Interest::Readable, Duration::from_millis(5)).unwrap());
        assert!(wait_for(&server, Interest::Writable, Duration::from_secs(5)).unwrap());
    }
}
