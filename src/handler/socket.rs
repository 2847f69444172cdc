//! Sockets on which a body arrives, or to which a tunnel leads.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use super::upstream::{Arriving, Duplex};

/// A stream socket of any family: reading, writing and shutting down are the same for all.
pub(super) struct Socket(Arc<UnixStream>);

impl Socket {
    /// One that an application hands over.
    ///
    /// # Errors
    /// It is not a socket.
    pub(super) fn new(socket: impl Into<OwnedFd>) -> io::Result<Self> {
        let socket = UnixStream::from(socket.into());
        // Fails for anything but a socket; one that is broken will say so when it is used.
        socket.take_error()?;
        socket.set_nonblocking(true)?;
        Ok(Self(Arc::new(socket)))
    }

    /// One that is non-blocking already.
    pub(super) fn shared(socket: Arc<UnixStream>) -> Self {
        Self(socket)
    }
}

impl Read for Socket {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(output)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self.0).flush()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Arriving for Socket {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(output)
    }
}

impl Duplex for Socket {
    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.shutdown(how)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sockets_are_taken() {
        assert!(Socket::new(std::fs::File::open("/dev/null").unwrap()).is_err());
        let (one, mut other) = UnixStream::pair().unwrap();
        let mut socket = Socket::new(one).unwrap();
        assert_eq!(Read::read(&mut socket, &mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        other.write_all(b"x").unwrap();
        assert_eq!(Read::read(&mut socket, &mut [0; 2]).unwrap(), 1);
    }
}
