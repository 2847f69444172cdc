//! The same as `epoll`, by poll(2), for Unix systems other than Linux. It is tested on Linux too.

use super::{Interest, OTHER, Ready, StopSignal, flags, poll_retrying, ready};
use crate::sync::lock;
use rustix::event::{PollFd, PollFlags};
use std::collections::HashMap;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One worker at a time polls for all. This is slower with many connections.
#[derive(Debug)]
pub(crate) struct Poller {
    armed: Mutex<HashMap<u64, (Arc<OwnedFd>, Interest)>>,
    /// Held by the worker that polls.
    turn: Mutex<Turn>,
    stop: OwnedFd,
    /// A byte here makes the polling worker look at `armed` again.
    changed: (PipeReader, PipeWriter),
}

/// The token that was reported last. The next one after it comes first, so that each has its turn.
#[derive(Debug, Default)]
struct Turn(u64);

impl Poller {
    #[cfg(not(target_os = "linux"))]
    pub(crate) const WATCHES: bool = false;

    pub(crate) fn new(stop: &StopSignal) -> io::Result<Self> {
        let stop = stop.as_fd().try_clone_to_owned()?;
        let changed = io::pipe()?;
        // A full pipe must block nobody; it wakes the polling worker as well as one byte does.
        rustix::io::ioctl_fionbio(&changed.1, true)?;
        rustix::io::ioctl_fionbio(&changed.0, true)?;
        Ok(Self { armed: Mutex::default(), turn: Mutex::default(), stop, changed })
    }

    pub(crate) fn add(&self, socket: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        self.arm(socket, token, interest)
    }

    pub(crate) fn arm(&self, socket: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        // A duplicate, so that if the socket is closed, its number is not reused while it is polled.
        let socket = Arc::new(socket.as_fd().try_clone_to_owned()?);
        lock(&self.armed).insert(token, (socket, interest));
        self.look_again()
    }

    fn look_again(&self) -> io::Result<()> {
        match (&self.changed.1).write(&[1]) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }

    pub(crate) fn arm_other(&self, socket: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        self.arm(socket, token | OTHER, interest)
    }

    /// The duplicates of the socket are closed, or its peer would not learn that it is.
    pub(crate) fn release_other(&self, token: u64) {
        if lock(&self.armed).remove(&(token | OTHER)).is_some() {
            // It fails only if there is no memory; then the next change does it.
            let _ = self.look_again();
        }
    }

    pub(crate) fn watch(&self, socket: impl AsFd, token: u64) -> io::Result<bool> {
        self.arm(socket, token, Interest::Readable)?;
        Ok(false)
    }

    pub(crate) fn add_watched(&self, socket: impl AsFd, token: u64) -> io::Result<bool> {
        self.watch(socket, token)
    }

    pub(crate) fn remove(&self, _socket: impl AsFd, token: u64) {
        lock(&self.armed).remove(&token);
    }

    /// Whether there are events that no worker has taken.
    pub(crate) fn has_events(&self) -> bool {
        let armed: Vec<_> = lock(&self.armed).values().cloned().collect();
        let mut fds: Vec<_> = armed.iter().map(|(s, i)| PollFd::from_borrowed_fd(s.as_fd(), flags(*i))).collect();
        matches!(poll_retrying(&mut fds, Some(Duration::ZERO)), Ok(n) if n > 0)
    }

    /// Another worker that polls may take longer.
    pub(crate) fn wait(&self, longest: Option<Duration>) -> io::Result<Ready> {
        let mut turn = lock(&self.turn);
        loop {
            let mut armed: Vec<_> = lock(&self.armed).iter().map(|(t, (s, i))| (*t, Arc::clone(s), *i)).collect();
            armed.sort_unstable_by_key(|(token, ..)| token.wrapping_sub(turn.0).wrapping_sub(1));
            let mut fds = vec![
                PollFd::from_borrowed_fd(self.stop.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(self.changed.0.as_fd(), PollFlags::IN),
            ];
            fds.extend(armed.iter().map(|(_, s, i)| PollFd::from_borrowed_fd(s.as_fd(), flags(*i))));
            if poll_retrying(&mut fds, longest)? == 0 {
                return Ok(Ready::TimeIsUp);
            }
            if !fds[0].revents().is_empty() {
                return Ok(Ready::Stopped);
            }
            if !fds[1].revents().is_empty() {
                let _ = (&self.changed.0).read(&mut [0; 512]);
            }
            if let Some(at) = fds[2..].iter().position(|fd| !fd.revents().is_empty()) {
                let (token, socket, _) = &armed[at];
                let has_ended = fds[at + 2].revents().intersects(PollFlags::HUP | PollFlags::ERR);
                let mut map = lock(&self.armed);
                // It may have been armed again since the copy was made. Then the next round reports it.
                if map.get(token).is_some_and(|(s, _)| Arc::ptr_eq(s, socket)) {
                    map.remove(token);
                    *turn = Turn(*token);
                    // Any other end of the stream is found when it is read.
                    return Ok(ready(*token, has_ended));
                }
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn prepare_listener(listener: &std::net::TcpListener) -> io::Result<()> {
    rustix::net::listen(listener, super::BACKLOG)?;
    listener.set_nonblocking(true)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn accept(listener: &std::net::TcpListener) -> io::Result<(std::net::TcpStream, std::net::SocketAddr)> {
    let (socket, remote) = listener.accept()?;
    socket.set_nonblocking(true)?;
    socket.set_nodelay(true)?;
    Ok((socket, remote))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn stream_socket(family: rustix::net::AddressFamily) -> io::Result<std::os::fd::OwnedFd> {
    let socket = rustix::net::socket(family, rustix::net::SocketType::STREAM, None)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    Ok(socket)
}

/// Other systems acknowledge early enough, or have no such option.
#[cfg(not(target_os = "linux"))]
pub(crate) fn acknowledge_at_once(_socket: impl AsFd) {}

/// The poller may hold a duplicate of the socket, which would keep the connection open.
#[cfg(not(target_os = "linux"))]
pub(crate) fn before_close(socket: &std::net::TcpStream) {
    let _ = socket.shutdown(std::net::Shutdown::Both);
}
