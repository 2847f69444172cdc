//! A connection to an application, non-blocking. It is of the type of Unix sockets, whatever it is: reading, writing and shutting
//! down are the same for all.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

/// How many bytes are read at once.
pub(super) const PIECE: usize = 16 * 1024;

/// Several can hold it, as long as one of them uses it.
pub(super) type Socket = Arc<UnixStream>;

/// Reads once, to the end of `received`; returns how many bytes came.
pub(super) fn read_more(mut socket: &UnixStream, received: &mut Vec<u8>) -> io::Result<usize> {
    let mut piece = [0; PIECE];
    let n = socket.read(&mut piece)?;
    received.extend_from_slice(&piece[..n]);
    Ok(n)
}
