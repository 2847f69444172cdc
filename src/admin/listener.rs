//! Where the admin port listens: on a TCP address, or on a Unix socket.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::file::identity;
use crate::reactor::listen_unix;

/// A socket on which an [`Admin`](super::Admin) listens. One of your own becomes it by `into()`.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    /// Removed at the end.
    file: Option<SocketFile>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self { socket: Socket::Tcp(listener), file: None }
    }
}

/// Its file stays when the server ends.
impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self { socket: Socket::Unix(listener), file: None }
    }
}

impl Listener {
    /// A new Unix socket, whose file is removed at the end. Only the user that runs the server, and root, can connect (mode 0600): a
    /// group may have members whom nobody thought of. For others, have the socket made by who starts the server (in systemd,
    /// `SocketMode=` and `SocketGroup=`), or listen on loopback.
    ///
    /// A socket that an earlier server left is removed first, but only if nobody listens there, and never any other file.
    ///
    /// # Errors
    /// Something else is there, somebody listens there, or the system refuses it.
    pub fn unix(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let failed = |error: io::Error| {
            Error::new(format!("cannot listen on the socket {}", path.display()))
                .caused_by(error)
                .hint("its directory has to exist, and this user has to be allowed to write there; a path has at most 107 bytes")
        };
        remove_stale(path)?;
        let listener = listen_unix(path).map_err(failed)?;
        let file = SocketFile::at(path).map_err(failed)?;
        Ok(Self { socket: Socket::Unix(listener), file: Some(file) })
    }

    /// Its address, with the real port. `None`: it is a Unix socket.
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr().ok(),
            Socket::Unix(_) => None,
        }
    }

    /// The path of its Unix socket, which is removed at the end. `None`: it was not made by [`unix`](Self::unix).
    pub fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|file| file.path.as_path())
    }

    pub(super) fn prepare(&self) -> io::Result<()> {
        match &self.socket {
            Socket::Tcp(listener) => listener.set_nonblocking(true),
            Socket::Unix(listener) => listener.set_nonblocking(true),
        }
    }

    /// A connection. It is used as a Unix socket whatever it is: what is done with it are the same system calls for both.
    pub(super) fn accept(&self) -> io::Result<UnixStream> {
        let socket = match &self.socket {
            Socket::Tcp(listener) => UnixStream::from(OwnedFd::from(listener.accept()?.0)),
            Socket::Unix(listener) => listener.accept()?.0,
        };
        socket.set_nonblocking(false)?;
        Ok(socket)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::Tcp(listener) => listener.as_fd(),
            Socket::Unix(listener) => listener.as_fd(),
        }
    }
}

/// The file of a socket of ours.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn at(path: &Path) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(path)?;
        // The directory may be another by the end, if the path is relative.
        Ok(Self { path: std::path::absolute(path)?, identity: identity(&metadata) })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another server may have taken the place.
        if fs::symlink_metadata(&self.path).is_ok_and(|file| identity(&file) == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes a socket on which nobody listens any more.
fn remove_stale(path: &Path) -> Result<(), Error> {
    let name = path.display();
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        return Err(Error::new(format!("{name} is there already, and is not a socket"))
            .hint("choose another path for the socket, or remove the file yourself"));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)
            .map_err(|error| Error::new(format!("cannot remove the old socket {name}")).caused_by(error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(_) => Err(Error::new(format!("another program listens on the socket {name}"))
            .hint("stop it, or choose another path for the socket")),
        Err(error) => Err(Error::new(format!(
            "the socket {name} is there already, and whether anybody listens there cannot be told"
        ))
        .caused_by(error)
        .hint("choose another path for the socket, or remove the file yourself")),
    }
}
