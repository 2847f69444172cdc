//! The workers: each takes a connection that can go on, drives it until it would wait, and parks it again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::answer::panic_message;
use crate::connection::{Connection, Next};
use crate::context::Context;
use crate::deadline::Phase;
use crate::observer::Event;
use crate::parking::{ParkingLot, Token};
use crate::sys::{self, Interest, Poller, Ready, StopSignal};

/// How often deadlines are looked at; each is met this much late at most.
const TICK: Duration = Duration::from_millis(100);

/// What workers, listeners and the timekeeper share.
pub(crate) struct Pool {
    pub(crate) context: Context,
    pub(crate) lot: ParkingLot<Connection>,
    pub(crate) poller: Poller,
    /// Ends the workers and the timekeeper, when the last connection is gone or has to go.
    pub(crate) stop: StopSignal,
}

impl Pool {
    /// A worker's life.
    pub(crate) fn work(&self) {
        loop {
            match self.poller.wait() {
                Ok(Ready::Token(token)) => {
                    let token = Token::from_u64(token);
                    if let Some(connection) = self.lot.take(token) {
                        self.drive(token, connection, Connection::drive);
                    }
                }
                Ok(Ready::Stopped) => return,
                // The poller is broken for good (it cannot be out of memory each time); nothing can be served without.
                Err(_) if self.context.draining.load(Ordering::Relaxed) => return,
                Err(_) => std::thread::sleep(TICK),
            }
        }
    }

    /// The timekeeper's life: expires what is past its deadline.
    pub(crate) fn keep_time(&self) {
        // Without connections there is nothing to expire and no reason to wake up.
        while self.lot.wait_while_empty() {
            if !sys::sleep_unless_stopped(&self.stop, TICK) {
                return;
            }
            let now = Instant::now();
            for (token, connection) in self.lot.take_where(usize::MAX, |_, waiting| waiting.deadline <= now) {
                self.drive(token, connection, Connection::expire);
            }
        }
    }

    /// After a change of trust: closes the idle connections of clients that are now refused.
    pub(crate) fn judge_idle(&self) {
        // Some at a time: those that are taken cannot be served meanwhile.
        const MOST: usize = 16;
        let stale = |connection: &Connection| {
            matches!(connection.phase(), Phase::Head | Phase::Idle) && connection.is_judged_by_another(&self.context)
        };
        loop {
            let taken = self.lot.take_where(MOST, |connection, _| stale(connection));
            if taken.is_empty() {
                return;
            }
            for (token, connection) in taken {
                self.drive(token, connection, Connection::judge_again);
            }
        }
    }

    /// Closes the connections that are not answering anything, with close_notify.
    pub(crate) fn close_idle(&self) {
        let idle = |connection: &Connection| matches!(connection.phase(), Phase::Handshake | Phase::Head | Phase::Idle);
        for (token, connection) in self.lot.take_where(usize::MAX, |connection, _| idle(connection)) {
            self.drive(token, connection, |connection, _| connection.close_politely());
        }
    }

    /// Cuts the connections that no worker has; returns how many there were in all.
    pub(crate) fn close_all_parked(&self) -> usize {
        let (connections, _) = self.lot.count();
        for (token, connection) in self.lot.take_where(usize::MAX, |_, _| true) {
            drop(connection);
            self.lot.leave(token);
        }
        connections
    }

    /// Ends the workers and the timekeeper.
    pub(crate) fn stop(&self) {
        self.lot.close();
        self.stop.raise();
    }

    /// Starts to wait for a new connection's first bytes.
    pub(crate) fn admit(&self, token: Token, connection: Box<Connection>) {
        let waiting = connection.waiting();
        let mut armed = self.poller.add(connection.session(), token.as_u64(), Interest::Readable);
        let mut connection = connection;
        while armed.is_ok() {
            match self.lot.park(token, connection, waiting) {
                None => return,
                // Its bytes are there already. A worker is to have them, not the accepting thread.
                Some(back) => connection = back,
            }
            armed = self.poller.arm(connection.session(), token.as_u64(), Interest::Readable);
        }
        drop(connection);
        self.lot.leave(token);
    }

    fn drive(&self, token: Token, mut connection: Box<Connection>, start: fn(&mut Connection, &Context) -> Next) {
        let mut step = start;
        loop {
            // A bug must cost one connection, not a worker.
            let next =
                catch_unwind(AssertUnwindSafe(|| step(&mut connection, &self.context))).unwrap_or_else(|panic| {
                    let message = panic_message(&*panic);
                    self.context.observer.event(&Event::Panicked { remote: connection.remote(), message: &message });
                    Next::Close
                });
            step = Connection::drive;
            match next {
                Next::Classified => self.lot.set_authorised(token, connection.is_authorised()),
                Next::Wait(interest) => {
                    let waiting = connection.waiting();
                    if self.poller.arm(connection.session(), token.as_u64(), interest).is_err() {
                        break;
                    }
                    match self.lot.park(token, connection, waiting) {
                        None => return,
                        Some(back) => connection = back,
                    }
                }
                Next::Close => break,
            }
        }
        drop(connection);
        self.lot.leave(token);
    }
}
