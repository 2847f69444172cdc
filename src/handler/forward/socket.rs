//! A connection to an application, non-blocking. It is of the type of Unix sockets, whatever it is: reading, writing and shutting
//! down are the same for all.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use crate::handler::upstream::Duplex;

/// How many bytes are read at once.
pub(super) const PIECE: usize = 16 * 1024;

/// Several can hold it, as long as one of them uses it.
pub(super) type Socket = Arc<UnixStream>;

/// Small writes are sent at once.
pub(super) fn of_tcp(socket: TcpStream) -> io::Result<Socket> {
    socket.set_nonblocking(true)?;
    socket.set_nodelay(true)?;
    Ok(Arc::new(OwnedFd::from(socket).into()))
}

/// Reads once, to the end of `received`; returns how many bytes came.
pub(super) fn read_more(mut socket: &UnixStream, received: &mut Vec<u8>) -> io::Result<usize> {
    let mut piece = [0; PIECE];
    let n = socket.read(&mut piece)?;
    received.extend_from_slice(&piece[..n]);
    Ok(n)
}

/// One end of a tunnel.
pub(super) struct End(pub(super) Socket);

impl Read for End {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(output)
    }
}

impl Write for End {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for End {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Duplex for End {
    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.shutdown(how)
    }
}
