//! Accepts connections. Nothing that happens here ends the loop but the order to stop.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crate::connection::Connection;
use crate::control::Control;
use crate::observer::Event;
use crate::parking::Entry;
use crate::pool::Pool;
use crate::sys;
use crate::tls::Session;

/// After a failed accept: the first pause, which doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Accepts until the stop signal is raised. `listener` does not block.
pub(crate) fn accept_until_stopped(listener: &TcpListener, control: &Control, pool: &Pool) {
    let stop = &control.stop;
    let mut pause = FIRST_PAUSE;
    loop {
        let failed = match sys::wait_to_accept(listener, stop) {
            Ok(true) => accept_all(listener, control, pool),
            Ok(false) => return,
            Err(error) => Err(error),
        };
        match failed {
            Ok(()) => pause = FIRST_PAUSE,
            // The client gave up while it waited: its business only.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                pool.context.observer.event(&Event::AcceptFailed { error: &error, pause });
                if !sys::sleep_unless_stopped(stop, pause) {
                    return;
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

fn accept_all(listener: &TcpListener, control: &Control, pool: &Pool) -> io::Result<()> {
    loop {
        match listener.accept() {
            Ok((socket, remote)) => admit(socket, remote, control, pool),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn admit(socket: TcpStream, remote: SocketAddr, control: &Control, pool: &Pool) {
    let token = match pool.lot.enter() {
        Entry::Admitted(token) => token,
        Entry::InPlaceOf(token, evicted) => {
            shed(evicted.remote(), pool);
            token
        }
        Entry::Full => return shed(remote, pool),
    };
    match Session::new(&control.tls(), socket) {
        Ok(session) => pool.admit(token, Box::new(Connection::new(session, remote, &pool.context))),
        // The socket died in its first instant.
        Err(_) => pool.lot.leave(token),
    }
}

fn shed(remote: SocketAddr, pool: &Pool) {
    let (connections, _) = pool.lot.count();
    pool.context.observer.event(&Event::Shed { remote, connections });
}
