//! Clients that send single octets, or a part of a handshake.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;

use rustls::ClientConnection;

use crate::support::client::{TLS13, config};
use crate::support::server::Running;

pub(crate) const SLOW_CLIENTS: usize = 500;

/// The bytes of a ClientHello.
pub(crate) fn client_hello() -> Vec<u8> {
    let mut tls = ClientConnection::new(Arc::new(config(None, &TLS13)), "localhost".try_into().unwrap()).unwrap();
    let mut bytes = Vec::new();
    tls.write_tls(&mut bytes).unwrap();
    bytes
}

/// A connection that has sent these bytes.
pub(crate) fn sent(running: &Running, bytes: &[u8]) -> TcpStream {
    let mut socket = TcpStream::connect(running.addr).unwrap();
    socket.write_all(bytes).unwrap();
    socket
}
