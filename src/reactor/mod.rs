//! Waiting for many sockets at once, and limits for what runs and waits: threads and connections.
//!
//! On Linux the poller is `epoll`, on other Unix systems `poll`.

pub(crate) mod concurrency;
#[cfg(target_os = "linux")]
mod epoll;
pub(crate) mod eviction;
pub(crate) mod listener;
#[cfg(any(not(target_os = "linux"), test))]
mod poll;
pub(crate) mod round_trip;
pub(crate) mod shares;
mod slots;
pub(crate) mod table;
pub(crate) mod throttle;

use std::io::{self, PipeReader, PipeWriter, Write};
use std::net::SocketAddr;
#[cfg(feature = "admin")]
use std::os::fd::OwnedFd;
use std::os::fd::{AsFd, BorrowedFd};
#[cfg(feature = "admin")]
use std::os::unix::net::UnixListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix};

#[cfg(not(target_os = "linux"))]
pub(crate) use self::poll::{Poller, accept, acknowledge_at_once, before_close, prepare_listener, stream_socket};
#[cfg(target_os = "linux")]
pub(crate) use epoll::{Poller, accept, acknowledge_at_once, before_close, prepare_listener, stream_socket};

/// What a parked connection waits for on a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interest {
    Readable,
    Writable,
    /// Whichever comes first.
    Both,
    /// The peer hangs up. Bytes that come are left where they are.
    End,
}

/// Why a poller's `wait` returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ready {
    /// What has this token can go on.
    Token(u64, Signal),
    /// The stop signal was raised: no wait blocks any more.
    Stopped,
    /// Nothing has happened.
    TimeIsUp,
}

/// What events say of the sockets of a connection. (That one is ready to be read or written may turn out wrong.)
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Signal {
    /// The client's socket is ready.
    pub(crate) client: bool,
    /// The client sends nothing more, or the connection is broken: reading comes to an end.
    pub(crate) hung_up: bool,
    /// The other socket is ready.
    pub(crate) other: bool,
}

impl Signal {
    /// Combines two events.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            client: self.client || other.client,
            hung_up: self.hung_up || other.hung_up,
            other: self.other || other.other,
        }
    }
}

/// A connection may wait for a second socket, that of the program which makes its answer. It is registered with the token of the
/// connection and this bit, which no token has: it is the highest of an index of slots.
const OTHER: u64 = 1 << 31;

/// An event of a socket that was registered with `token`.
fn ready(token: u64, hung_up: bool) -> Ready {
    let is_other = token & OTHER != 0;
    Ready::Token(token & !OTHER, Signal { client: !is_other, hung_up: hung_up && !is_other, other: is_other })
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

    /// Raises the signal. The pipe is never read, so it stays readable for all threads.
    pub(crate) fn raise(&self) {
        // This fails only if the pipe is full, and then the signal is raised already.
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

/// The same for two sockets: which of them are ready. Neither: the time is up.
pub(crate) fn wait_for_either(sockets: [(BorrowedFd<'_>, Interest); 2], timeout: Duration) -> io::Result<[bool; 2]> {
    let mut fds = sockets.map(|(socket, interest)| PollFd::from_borrowed_fd(socket, flags(interest)));
    poll_retrying(&mut fds, Some(timeout))?;
    Ok(fds.map(|fd| !fd.revents().is_empty()))
}

/// A socket for [`connect_unix`], non-blocking.
pub(crate) fn unix_socket() -> io::Result<UnixStream> {
    Ok(stream_socket(AddressFamily::UNIX)?.into())
}

/// Connects to a Unix socket. It does not wait: the error `WouldBlock` says that too many others are waiting there.
pub(crate) fn connect_unix(socket: &UnixStream, path: &Path) -> io::Result<()> {
    Ok(rustix::net::connect(socket, &SocketAddrUnix::new(path)?)?)
}

/// Begins to connect by TCP, and does not wait: when the socket is writable it is connected, or `take_error` says why not. It is
/// non-blocking, and sends small writes at once. Its type is that of Unix sockets, whose methods do the same for all.
pub(crate) fn begin_tcp(address: SocketAddr) -> io::Result<UnixStream> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = stream_socket(family)?;
    rustix::net::sockopt::set_tcp_nodelay(&socket, true)?;
    match rustix::net::connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(socket.into()),
        Err(error) => Err(error.into()),
    }
}

/// Listens on a new Unix socket, which only its user can connect to.
#[cfg(feature = "admin")]
pub(crate) fn listen_unix(path: &Path) -> io::Result<UnixListener> {
    use rustix::fs::Mode;
    let own = Mode::RUSR | Mode::WUSR;
    let socket = unix_socket()?;
    // On Linux its file has this mode from the first moment, less what the umask takes away.
    let _ = rustix::fs::fchmod(&socket, own);
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    rustix::fs::chmod(path, own)?;
    rustix::net::listen(&socket, 128)?;
    Ok(UnixListener::from(OwnedFd::from(socket)))
}

/// Sleeps for `time`. `false`: the stop signal was raised meanwhile.
pub(crate) fn sleep_unless_stopped(stop: &StopSignal, time: Duration) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(stop.as_fd(), PollFlags::IN)];
    !matches!(poll_retrying(&mut fds, Some(time)), Ok(n) if n > 0)
}

/// How many connections may wait to be accepted. The system may have a lower limit (net.core.somaxconn). The standard library
/// asks for 128; a second call of listen changes only this.
const BACKLOG: i32 = 4096;

fn poll_retrying(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> io::Result<usize> {
    let end = timeout.map(|timeout| std::time::Instant::now() + timeout);
    loop {
        let left = end.map(|end| end.saturating_duration_since(std::time::Instant::now()));
        // A timeout that is too long for the system call never ends.
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(fds, left.as_ref()) {
            Err(Errno::INTR) => continue,
            result => return Ok(result?),
        }
    }
}

fn flags(interest: Interest) -> PollFlags {
    match interest {
        Interest::Readable => PollFlags::IN,
        Interest::Writable => PollFlags::OUT,
        Interest::Both => PollFlags::IN | PollFlags::OUT,
        // Always reported.
        Interest::End => PollFlags::empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    const BYTES: Signal = Signal { client: true, hung_up: false, other: false };
    const OTHER_BYTES: Signal = Signal { client: false, hung_up: false, other: true };

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
                    poller.add(&server, 7, Interest::Readable).unwrap();
                    client.write_all(b"x").unwrap();
                    assert_eq!(poller.wait(None).unwrap(), Ready::Token(7, BYTES));
                    // The byte is still unread; nothing but the stop signal may be reported now.
                    stop.raise();
                    assert_eq!(poller.wait(None).unwrap(), Ready::Stopped);
                }

                #[test]
                fn a_watched_socket_is_reported_at_each_arrival() {
                    let stop = StopSignal::new().unwrap();
                    let poller = <$poller>::new(&stop).unwrap();
                    let (mut client, mut server) = pair();
                    poller.add(&server, 7, Interest::Readable).unwrap();
                    let mut watched = poller.watch(&server, 7).unwrap();
                    for _ in 0..3 {
                        client.write_all(b"x").unwrap();
                        assert_eq!(poller.wait(None).unwrap(), Ready::Token(7, BYTES));
                        server.read_exact(&mut [0]).unwrap();
                        watched = watched || poller.watch(&server, 7).unwrap();
                    }
                }

                #[test]
                fn a_socket_is_watched_from_the_first_on() {
                    let stop = StopSignal::new().unwrap();
                    let poller = <$poller>::new(&stop).unwrap();
                    let (mut client, mut server) = pair();
                    client.write_all(b"x").unwrap();
                    assert!(wait_for(&server, Interest::Readable, Duration::from_secs(5)).unwrap());
                    let watched = poller.add_watched(&server, 7).unwrap();
                    for _ in 0..3 {
                        assert_eq!(poller.wait(None).unwrap(), Ready::Token(7, BYTES));
                        server.read_exact(&mut [0]).unwrap();
                        assert!(watched || !poller.watch(&server, 7).unwrap());
                        client.write_all(b"x").unwrap();
                    }
                }

                #[test]
                fn bytes_and_room_that_are_there_already_are_reported() {
                    let stop = StopSignal::new().unwrap();
                    let poller = <$poller>::new(&stop).unwrap();
                    let (mut client, server) = pair();
                    client.write_all(b"x").unwrap();
                    assert!(wait_for(&server, Interest::Readable, Duration::from_secs(5)).unwrap());
                    poller.add(&server, 7, Interest::Readable).unwrap();
                    assert_eq!(poller.wait(None).unwrap(), Ready::Token(7, BYTES));
                    for _ in 0..2 {
                        poller.arm(&server, 7, Interest::Writable).unwrap();
                        assert_eq!(poller.wait(None).unwrap(), Ready::Token(7, BYTES));
                    }
                }

                #[test]
                fn events_that_nobody_has_taken_are_seen() {
                    let stop = StopSignal::new().unwrap();
                    let poller = <$poller>::new(&stop).unwrap();
                    let (mut client, server) = pair();
                    poller.add(&server, 7, Interest::Readable).unwrap();
                    assert!(!poller.has_events());
                    client.write_all(b"x").unwrap();
                    assert!(wait_for(&server, Interest::Readable, Duration::from_secs(5)).unwrap());
                    assert!(poller.has_events());
                    assert_eq!(poller.wait(None).unwrap(), Ready::Token(7, BYTES));
                    assert!(!poller.has_events());
                }

                #[test]
                fn a_removed_socket_is_not_reported() {
                    let stop = StopSignal::new().unwrap();
                    let poller = <$poller>::new(&stop).unwrap();
                    let (mut client, server) = pair();
                    poller.add(&server, 7, Interest::Readable).unwrap();
                    poller.remove(&server, 7);
                    client.write_all(b"x").unwrap();
                    assert!(wait_for(&server, Interest::Readable, Duration::from_secs(5)).unwrap());
                    stop.raise();
                    assert_eq!(poller.wait(None).unwrap(), Ready::Stopped);
                }

                #[test]
                fn either_socket_of_a_connection_is_reported_under_its_token() {
                    let stop = StopSignal::new().unwrap();
                    let poller = <$poller>::new(&stop).unwrap();
                    let ((mut client, server), (mut application, other)) = (pair(), pair());
                    poller.add(&server, 7, Interest::Readable).unwrap();
                    poller.arm_other(&other, 7, Interest::Readable).unwrap();
                    application.write_all(b"x").unwrap();
                    assert_eq!(poller.wait(None).unwrap(), Ready::Token(7, OTHER_BYTES));
                    client.write_all(b"x").unwrap();
                    assert_eq!(poller.wait(None).unwrap(), Ready::Token(7, BYTES));
                    // Its end is no hang-up of the client.
                    drop(application);
                    poller.arm_other(&other, 7, Interest::Both).unwrap();
                    assert_eq!(poller.wait(None).unwrap(), Ready::Token(7, OTHER_BYTES));
                    poller.arm_other(&other, 7, Interest::Readable).unwrap();
                    assert_eq!(poller.wait(None).unwrap(), Ready::Token(7, OTHER_BYTES));
                }

                #[test]
                fn a_kept_socket_is_reported_to_the_connection_that_has_it_now() {
                    let stop = StopSignal::new().unwrap();
                    let poller = <$poller>::new(&stop).unwrap();
                    let (mut application, mut other) = pair();
                    for token in [7, 8, 9] {
                        poller.arm_other(&other, token, Interest::Readable).unwrap();
                        application.write_all(b"x").unwrap();
                        assert_eq!(poller.wait(None).unwrap(), Ready::Token(token, OTHER_BYTES));
                        other.read_exact(&mut [0]).unwrap();
                        poller.release_other(token);
                    }
                    // While nobody has it, nothing is reported, not even its end.
                    application.write_all(b"x").unwrap();
                    drop(application);
                    assert!(wait_for(&other, Interest::Readable, Duration::from_secs(5)).unwrap());
                    stop.raise();
                    assert_eq!(poller.wait(None).unwrap(), Ready::Stopped);
                }

                #[test]
                fn another_socket_can_take_the_place_of_one_that_was_closed() {
                    let stop = StopSignal::new().unwrap();
                    let poller = <$poller>::new(&stop).unwrap();
                    // The number of the descriptor is used again.
                    for _ in 0..3 {
                        let (mut application, other) = pair();
                        poller.arm_other(&other, 7, Interest::Readable).unwrap();
                        application.write_all(b"x").unwrap();
                        assert_eq!(poller.wait(None).unwrap(), Ready::Token(7, OTHER_BYTES));
                        poller.arm_other(&other, 7, Interest::Writable).unwrap();
                        assert_eq!(poller.wait(None).unwrap(), Ready::Token(7, OTHER_BYTES));
                    }
                    let (mut client, server) = pair();
                    let (mut application, other) = pair();
                    poller.arm_other(&server, 7, Interest::Readable).unwrap();
                    drop(server);
                    poller.arm_other(&other, 7, Interest::Readable).unwrap();
                    let _ = client.write_all(b"x");
                    application.write_all(b"x").unwrap();
                    assert_eq!(poller.wait(None).unwrap(), Ready::Token(7, OTHER_BYTES));
                    assert_eq!((&other).read(&mut [0; 2]).unwrap(), 1, "it is the one that takes its place");
                }

                /// A connection would else be kept open by the poller.
                #[test]
                fn a_released_socket_that_is_closed_is_closed_for_its_peer() {
                    let stop = StopSignal::new().unwrap();
                    let poller = <$poller>::new(&stop).unwrap();
                    let (mut application, other) = pair();
                    std::thread::scope(|scope| {
                        let waiting = scope.spawn(|| poller.wait(None).unwrap());
                        poller.arm_other(&other, 7, Interest::Readable).unwrap();
                        std::thread::sleep(Duration::from_millis(20));
                        poller.release_other(7);
                        drop(other);
                        application.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                        assert_eq!(application.read(&mut [0]).unwrap(), 0);
                        stop.raise();
                        assert_eq!(waiting.join().unwrap(), Ready::Stopped);
                    });
                }

                #[test]
                fn the_stop_signal_wakes_every_waiting_thread() {
                    let stop = StopSignal::new().unwrap();
                    let poller = <$poller>::new(&stop).unwrap();
                    std::thread::scope(|scope| {
                        let waits: Vec<_> = (0..4).map(|_| scope.spawn(|| poller.wait(None).unwrap())).collect();
                        stop.raise();
                        for wait in waits {
                            assert_eq!(wait.join().unwrap(), Ready::Stopped);
                        }
                    });
                }

                #[test]
                fn a_wait_that_has_a_limit_ends() {
                    let stop = StopSignal::new().unwrap();
                    let poller = <$poller>::new(&stop).unwrap();
                    for time in [Duration::ZERO, Duration::from_millis(5)] {
                        assert_eq!(poller.wait(Some(time)).unwrap(), Ready::TimeIsUp);
                    }
                }

                #[test]
                fn a_socket_can_be_added_for_its_end_alone() {
                    let stop = StopSignal::new().unwrap();
                    let poller = <$poller>::new(&stop).unwrap();
                    let (mut client, server) = pair();
                    poller.add(&server, 7, Interest::End).unwrap();
                    client.write_all(b"x").unwrap();
                    assert!(wait_for(&server, Interest::Readable, Duration::from_secs(5)).unwrap());
                    assert_eq!(poller.wait(Some(Duration::ZERO)).unwrap(), Ready::TimeIsUp);
                    poller.arm(&server, 7, Interest::Readable).unwrap();
                    assert_eq!(poller.wait(None).unwrap(), Ready::Token(7, BYTES));
                }

                #[test]
                fn a_peer_that_closes_is_reported() {
                    let stop = StopSignal::new().unwrap();
                    let poller = <$poller>::new(&stop).unwrap();
                    let (client, server) = pair();
                    poller.add(&server, 3, Interest::Readable).unwrap();
                    drop(client);
                    assert!(matches!(poller.wait(None).unwrap(), Ready::Token(3, _)));
                }
            }
        };
    }

    poller_tests!(the_poller_of_this_system, Poller);
    poller_tests!(the_portable_poller, poll::Poller);

    /// More often than a pipe holds bytes.
    #[test]
    fn the_portable_poller_can_be_armed_without_end() {
        let stop = StopSignal::new().unwrap();
        let poller = poll::Poller::new(&stop).unwrap();
        let (mut client, server) = pair();
        for _ in 0..70_000 {
            poller.arm(&server, 7, Interest::Readable).unwrap();
        }
        client.write_all(b"x").unwrap();
        for _ in 0..10 {
            assert_eq!(poller.wait(None).unwrap(), Ready::Token(7, BYTES));
            poller.arm(&server, 7, Interest::Readable).unwrap();
        }
    }

    #[test]
    fn the_portable_poller_gives_each_socket_its_turn() {
        let stop = StopSignal::new().unwrap();
        let poller = poll::Poller::new(&stop).unwrap();
        let pairs: Vec<_> = (0..3).map(|_| pair()).collect();
        for (token, (client, server)) in (0..).zip(&pairs) {
            (&mut &*client).write_all(b"x").unwrap();
            assert!(wait_for(server, Interest::Readable, Duration::from_secs(5)).unwrap());
            poller.add(server, token, Interest::Readable).unwrap();
        }
        let mut seen = [0; 3];
        for _ in 0..9 {
            let Ready::Token(token, _) = poller.wait(None).unwrap() else { panic!("stopped") };
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
