//! A connection to an application that is being made: address by address, without waiting.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::address::Address;
use super::socket::Socket;
use crate::reactor::{self, Interest};

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum Unreachable {
    Refused(io::Error),
    TimedOut,
}

/// A connection that is being made.
#[derive(Debug)]
pub(super) struct Connecting {
    to: Destination,
    /// Of this attempt: when the next begins.
    until: Instant,
    /// Of all attempts.
    deadline: Instant,
}

#[derive(Debug)]
enum Destination {
    /// The addresses that come next. Each gets its share of the time that is left.
    Tcp(VecDeque<SocketAddr>),
    /// While too many others wait to be accepted there, it is tried again.
    Unix(PathBuf),
}

/// How long after one attempt at a Unix socket the next is made.
const PAUSE: Duration = Duration::from_millis(5);

impl Connecting {
    /// The socket, and what is still to be done until it is connected.
    ///
    /// To resolve a name takes as long as the system takes for it.
    pub(super) fn begin(address: &Address, timeout: Duration) -> Result<(Socket, Self), Unreachable> {
        let now = Instant::now();
        let deadline = now + timeout;
        if let Address::Unix(path) = address {
            let socket = reactor::unix_socket().map_err(Unreachable::Refused)?;
            return Ok((Arc::new(socket), Self { to: Destination::Unix(path.clone()), until: now, deadline }));
        }
        let mut connecting =
            Self { to: Destination::Tcp(address.resolve().map_err(Unreachable::Refused)?), until: now, deadline };
        let none = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        Ok((connecting.next(now, Unreachable::Refused(none))?, connecting))
    }

    /// Goes on. `true`: the socket is connected. It may have become another.
    pub(super) fn proceed(&mut self, socket: &mut Socket, now: Instant) -> Result<bool, Unreachable> {
        if let Destination::Unix(path) = &self.to {
            let connected = connect_unix(socket, path)?;
            if !connected && now >= self.deadline {
                return Err(Unreachable::TimedOut);
            }
            self.until = self.deadline.min(now + PAUSE);
            return Ok(connected);
        }
        loop {
            let failure = match reactor::wait_for(&**socket, Interest::Writable, Duration::ZERO) {
                Ok(false) if now < self.until => return Ok(false),
                Ok(false) => Unreachable::TimedOut,
                Ok(true) => match socket.take_error() {
                    Ok(None) => return Ok(true),
                    Ok(Some(error)) | Err(error) => Unreachable::Refused(error),
                },
                Err(error) => Unreachable::Refused(error),
            };
            *socket = self.next(now, failure)?;
        }
    }

    /// The same, and waits for it.
    pub(super) fn finish(mut self, mut socket: Socket) -> Result<Socket, Unreachable> {
        loop {
            let now = Instant::now();
            if self.proceed(&mut socket, now)? {
                return Ok(socket);
            }
            let left = self.until.saturating_duration_since(now);
            match self.waits_for() {
                // `proceed` looks what became of it.
                Some(interest) => _ = reactor::wait_for(&*socket, interest, left),
                None => thread::sleep(left),
            }
        }
    }

    /// What the socket has to report. `None`: nothing, only time has to pass.
    pub(super) fn waits_for(&self) -> Option<Interest> {
        match self.to {
            Destination::Tcp(_) => Some(Interest::Writable),
            Destination::Unix(_) => None,
        }
    }

    /// When it has to go on at the latest.
    pub(super) fn until(&self) -> Instant {
        self.until
    }

    /// Begins with the next address. `failure`: what became of the one before.
    fn next(&mut self, now: Instant, mut failure: Unreachable) -> Result<Socket, Unreachable> {
        let Destination::Tcp(addresses) = &mut self.to else { return Err(failure) };
        while let Some(address) = addresses.pop_front() {
            let left = self.deadline.saturating_duration_since(now);
            if left.is_zero() {
                return Err(Unreachable::TimedOut);
            }
            match reactor::begin_tcp(address) {
                Ok(socket) => {
                    self.until = now + left / u32::try_from(addresses.len() + 1).unwrap_or(u32::MAX);
                    return Ok(Arc::new(socket));
                }
                Err(error) => failure = Unreachable::Refused(error),
            }
        }
        Err(failure)
    }
}

fn connect_unix(socket: &UnixStream, path: &Path) -> Result<bool, Unreachable> {
    match reactor::connect_unix(socket, path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(Unreachable::Refused(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A place where nobody is accepted, and those who wait there.
    fn crowded() -> (TcpListener, Vec<Socket>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let address = listener.local_addr().unwrap();
        let connects = |_| {
            let (socket, connecting) = Connecting::begin(&Address::Ip(address), SECOND / 4).unwrap();
            connecting.finish(socket).ok()
        };
        let waiting = (0..100).map_while(connects).collect::<Vec<_>>();
        assert!(waiting.len() < 100);
        (listener, waiting)
    }

    fn to(addresses: &[SocketAddr], now: Instant) -> (Connecting, Socket) {
        let to = Destination::Tcp(addresses.iter().copied().collect());
        let mut connecting = Connecting { to, until: now, deadline: now + 8 * SECOND };
        let socket = connecting.next(now, Unreachable::TimedOut).unwrap();
        (connecting, socket)
    }

    #[test]
    fn each_address_has_its_share_of_the_time() {
        let (silent, _waiting) = crowded();
        let good = TcpListener::bind("127.0.0.1:0").unwrap();
        let [silent, good] = [&silent, &good].map(|listener| listener.local_addr().unwrap());
        let now = Instant::now();
        let (mut connecting, mut socket) = to(&[silent, silent, good], now);
        let first = Arc::clone(&socket);
        assert!(!connecting.proceed(&mut socket, now).unwrap());
        assert_eq!(connecting.until(), now + 8 * SECOND / 3);
        assert_eq!(connecting.waits_for(), Some(Interest::Writable));
        assert!(!connecting.proceed(&mut socket, now + 2 * SECOND).unwrap() && Arc::ptr_eq(&first, &socket));
        assert!(!connecting.proceed(&mut socket, now + 4 * SECOND).unwrap() && !Arc::ptr_eq(&first, &socket));
        assert_eq!(connecting.until(), now + 6 * SECOND);
        let reached = connecting.proceed(&mut socket, now + 6 * SECOND).unwrap();
        assert!(reached || reactor::wait_for(&*socket, Interest::Writable, SECOND).unwrap());
        assert!(connecting.proceed(&mut socket, now + 6 * SECOND).unwrap());
    }

    #[test]
    fn after_the_last_address_the_last_failure_is_told() {
        let (silent, _waiting) = crowded();
        let silent = silent.local_addr().unwrap();
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let now = Instant::now();
        let (connecting, socket) = to(&[nobody, nobody], now);
        assert!(matches!(connecting.finish(socket), Err(Unreachable::Refused(_))));
        let (mut connecting, mut socket) = to(&[silent], now);
        assert!(matches!(connecting.proceed(&mut socket, now + 8 * SECOND), Err(Unreachable::TimedOut)));
        let (mut connecting, mut socket) = to(&[silent, nobody], now);
        assert!(matches!(connecting.proceed(&mut socket, now + 8 * SECOND), Err(Unreachable::TimedOut)));
    }

    #[test]
    fn a_unix_socket_with_no_room_for_waiting_is_tried_again() {
        let path = std::env::temp_dir().join(format!("mtls-min-crowded-{}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let waiting = reactor::unix_socket().unwrap();
        reactor::connect_unix(&waiting, &path).unwrap();

        let now = Instant::now();
        let (mut socket, mut connecting) = Connecting::begin(&Address::Unix(path.clone()), SECOND).unwrap();
        assert!(!connecting.proceed(&mut socket, now).unwrap());
        assert!(connecting.waits_for().is_none() && connecting.until() == now + PAUSE);
        assert!(matches!(connecting.proceed(&mut socket, now + 2 * SECOND), Err(Unreachable::TimedOut)));
        listener.accept().unwrap();
        assert!(connecting.proceed(&mut socket, now).unwrap());
        std::fs::remove_file(&path).unwrap();
    }
}
