//! Accepts connections: whether there is room for one, who has to go for it, and whether it is wanted.

use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use super::pool::Pool;
use crate::client_network::ClientNetwork;
use crate::connection::Connection;
use crate::connection::worker::Worker;
use crate::observer::{Event, Progress};
use crate::proxy_protocol::ProxyFailure;
use crate::reactor::listener::Failed;
use crate::reactor::table::{Entry, Token};
use crate::reactor::throttle::Entrance;
use crate::tls::session::Session;

impl Pool {
    /// A listener has a connection to accept. If there is no room for it, it waits in the backlog, and the poller does not
    /// watch the listener until there is.
    pub(super) fn accept(&self, number: usize, worker: &mut Worker<'_>) {
        let now = Instant::now();
        let token = match self.table.enter(now, Connection::is_quiet) {
            Entry::Admitted(token) => token,
            Entry::InPlaceOf(token, evicted) => {
                self.evict(evicted);
                token
            }
            Entry::Full => return,
        };
        let mut entrance = Entrance::default();
        let unwanted = |remote| match self.admit(remote, token, now) {
            Some(admitted) => {
                entrance = admitted;
                false
            }
            None => true,
        };
        match self.listeners.accept(number, &self.poller, unwanted) {
            Ok(Some((socket, remote))) => {
                self.context.observer.progress(&Progress::Accepted { remote });
                self.begin(token, socket, remote, entrance, worker);
            }
            Ok(None) => self.leave(token),
            Err(Failed { error, pause }) => {
                self.leave(token);
                self.context.observer.event(&Event::AcceptFailed { error: &error, pause });
                // The timekeeper tries again.
                self.table.wake();
            }
        }
    }

    /// `None`: it is to be closed.
    fn admit(&self, remote: SocketAddr, token: Token, now: Instant) -> Option<Entrance> {
        if self.context.proxies.is_some() {
            // The header of the balancer has to be read first.
            return Some(Entrance::default());
        }
        let admitted = self.context.throttle.admit(ClientNetwork::of(remote.ip()), token, now);
        if admitted.is_none() {
            self.context.observer.progress(&Progress::Accepted { remote });
            self.context.observer.event(&Event::TurnedAway { remote });
        }
        admitted
    }

    fn begin(&self, token: Token, socket: TcpStream, remote: SocketAddr, entrance: Entrance, worker: &mut Worker<'_>) {
        if self.context.proxies.as_ref().is_some_and(|proxies| !proxies.contain(remote)) {
            self.context.observer.event(&Event::ProxyRefused { remote, failure: &ProxyFailure::untrusted() });
            return self.leave(token);
        }
        match Session::new(&self.tls.get(), socket) {
            Ok(session) => {
                let connection = Box::new(Connection::new(session, remote, token, entrance, &self.context));
                self.drive(token, connection, worker);
            }
            // There are no random bytes, or there is no memory.
            Err(_) => self.leave(token),
        }
    }

    /// Closes a connection in favour of another.
    fn evict(&self, (token, mut evicted): (Token, Box<Connection>)) {
        self.shed(evicted.link.remote);
        self.poller.release_other(token.as_u64());
        self.guarded(evicted.link.remote, || evicted.make_room(&self.context));
        self.let_go(evicted);
    }

    pub(super) fn leave(&self, token: Token) {
        self.table.leave(token);
        self.make_use_of_room();
    }

    /// There may be room for a connection: if some wait for it in the backlog, they are accepted now.
    pub(super) fn make_use_of_room(&self) {
        if self.table.has_room_again() {
            self.go_on_accepting();
        }
    }

    pub(super) fn go_on_accepting(&self) {
        if !self.listeners.go_on(&self.poller) {
            self.table.turn_away();
        }
    }

    fn shed(&self, remote: SocketAddr) {
        let (connections, _) = self.table.count();
        self.context.observer.event(&Event::Shed { remote, connections });
    }
}
