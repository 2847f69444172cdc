//! For Unix systems other than Linux: the same as `epoll` has, by poll(2). It is tested on Linux too.

use super::{Interest, Ready, Signal, StopSignal, flags, poll_retrying};
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

/// Other systems acknowledge soon enough, or have no such option.
#[cfg(not(target_os = "linux"))]
pub(crate) fn acknowledge_at_once(_socket: impl AsFd) {}

/// The poller may hold a second descriptor of the socket; this closes the connection all the same.
#[cfg(not(target_os = "linux"))]
pub(crate) fn before_close(socket: &std::net::TcpStream) {
    let _ = socket.shutdown(std::net::Shutdown::Both);
}
