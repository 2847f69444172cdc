//! Where the server listens: the addresses of `--listen`, the sockets for them, and those that systemd passes.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use crate::error::Error;

/// Reads the addresses that are asked for, without using them yet. The default is in place of any other socket: with those that
/// `are_passed`, only the addresses that are asked for are added.
pub(super) fn addresses(texts: &[String], are_passed: bool) -> Result<Vec<SocketAddr>, Error> {
    let default = ["127.0.0.1:4433".to_owned()];
    let texts = if texts.is_empty() && !are_passed { &default[..] } else { texts };
    let addresses = texts.iter().map(|text| asked(text)).collect::<Result<Vec<_>, _>>()?;
    for (at, address) in addresses.iter().enumerate().filter(|(_, address)| address.port() != 0) {
        if addresses[..at].contains(address) {
            return Err(Error::new(format!("--listen {address} is given twice")).hint("leave one of them out"));
        }
    }
    Ok(addresses)
}

/// The sockets that systemd passed, and one bound for each address.
pub(super) fn listeners(passed: Vec<TcpListener>, addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, Error> {
    let taken: Vec<SocketAddr> = passed.iter().filter_map(|socket| socket.local_addr().ok()).collect();
    let mut listeners = passed;
    for (at, address) in addresses.iter().enumerate() {
        listeners.push(listen(*address, &[&taken, &addresses[..at]].concat())?);
    }
    Ok(listeners)
}

/// Names are not looked up: a static binary would need the system's shared libraries for that, and a name may mean another
/// address tomorrow. `localhost` is 127.0.0.1 only.
pub(super) fn address(text: &str) -> Option<SocketAddr> {
    match text.strip_prefix("localhost:") {
        Some(port) => Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().ok()?))),
        None => text.parse().ok(),
    }
}

fn asked(text: &str) -> Result<SocketAddr, Error> {
    address(text).ok_or_else(|| {
        Error::new(format!("--listen {text} is not a valid address"))
            .hint("write address:port with an IP address or localhost, like 0.0.0.0:443 or [::]:443")
    })
}

/// `before` are the addresses on which this process listens already.
fn listen(address: SocketAddr, before: &[SocketAddr]) -> Result<TcpListener, Error> {
    TcpListener::bind(address).map_err(|error| {
        let covers = |other: &SocketAddr| {
            other.port() == address.port() && (other.ip().is_unspecified() || address.ip().is_unspecified())
        };
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse if before.contains(&address) => {
                "systemd passes a socket for it: leave this --listen out"
            }
            io::ErrorKind::AddrInUse if before.iter().any(covers) => {
                "an unspecified address (0.0.0.0 or [::]) covers all others of its port: leave the other --listen out"
            }
            io::ErrorKind::AddrInUse => "another program listens there; choose another port with --listen",
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 are reserved; choose another, or grant CAP_NET_BIND_SERVICE"
            }
            _ => "choose another address with --listen",
        };
        Error::new(format!("cannot listen on {address}")).caused_by(error).hint(hint)
    })
}
