//! The workers: each takes a connection that can go on, drives it until it would have to wait, and parks it again.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::crew::Crew;
use crate::connection::context::Context;
use crate::connection::worker::Worker;
use crate::connection::{Connection, Next, Polled};
use crate::deadline::Phase;
use crate::observer::Event;
use crate::panic::caught;
use crate::reactor::listener::Listeners;
use crate::reactor::round_trip::{self, RoundTrip};
use crate::reactor::table::{ConnectionTable, Token, Waiting};
use crate::reactor::throttle::{Named, Report};
use crate::reactor::{Interest, Poller, Ready, Signal, StopSignal};
use crate::sync::Current;
use crate::tls::acceptor::Tls;

/// How often deadlines are checked. None is noticed later than this.
const TICK: Duration = Duration::from_millis(100);

/// What workers and the timekeeper share.
pub(crate) struct Pool {
    pub(crate) context: Context,
    pub(crate) tls: Arc<Current<Tls>>,
    pub(crate) listeners: Listeners,
    pub(crate) table: ConnectionTable<Connection>,
    pub(crate) poller: Arc<Poller>,
    pub(crate) crew: Arc<Crew>,
    pub(crate) round_trip: Arc<RoundTrip>,
    /// Ends the workers and the timekeeper, once all connections are closed.
    pub(crate) stop: StopSignal,
}

impl Pool {
    /// A worker's life. `true`: it ends because it is not needed any more.
    pub(crate) fn work(&self) -> bool {
        let mut worker = Worker::new(&self.context);
        let concurrency = &self.context.concurrency;
        let mut is_needed = concurrency.begin();
        while is_needed {
            let event = match self.context.throttle.next() {
                Named::Now(token) => {
                    self.go_on(token, Signal::default(), &mut worker);
                    // Events have their turn, too, if there are any.
                    self.poller.wait(Some(Duration::ZERO))
                }
                Named::In(time) => self.poller.wait(Some(time)),
                Named::Nobody => self.poller.wait(None),
            };
            match event {
                Ok(Ready::Token(round_trip::TOKEN, _)) => self.answer_round_trip(),
                Ok(Ready::Token(token, signal)) => match Listeners::number(token) {
                    Some(number) => self.accept(number, &mut worker),
                    None => self.go_on(Token::from_u64(token), signal, &mut worker),
                },
                Ok(Ready::TimeIsUp) => {}
                Ok(Ready::Stopped) => return false,
                // The poller cannot be used any more (it is not out of memory each time), and nothing can be served without it.
                Err(_) if self.context.draining.load(Ordering::Relaxed) => return false,
                Err(_) => std::thread::sleep(TICK),
            }
            if self.context.throttle.is_flooded() {
                // There is always something to do, and so this thread would use up its time while another, which serves a known
                // client, waits for the same processor.
                std::thread::yield_now();
            }
            is_needed = concurrency.go_on();
        }
        !concurrency.has_stopped()
    }

    /// Somebody asks whether this server works.
    fn answer_round_trip(&self) {
        if !self.round_trip.answer(&self.poller) {
            // The timekeeper tries again.
            self.table.wake();
        }
    }

    /// Starts a worker while others serve: a failure is no reason to end, as those that are there go on.
    pub(crate) fn start_further(&self) -> bool {
        self.crew.start().inspect_err(|error| self.warn(error)).is_ok()
    }

    fn warn(&self, error: &io::Error) {
        if self.crew.is_warning_due(self.context.clock.now()) {
            let text = format!(
                "no further worker can be started ({error}): {} answer all requests; raise the limit of memory or of threads \
                 (ulimit -v, -u), or have fewer workers",
                self.context.concurrency.workers() - 1,
            );
            self.context.observer.event(&Event::Warning { text: &text });
        }
    }

    /// The timekeeper's life: ends what is past its deadline.
    pub(crate) fn keep_time(&self) {
        let mut worker = Worker::new(&self.context);
        // Without connections there is nothing to expire and no reason to wake up.
        while self.table.wait_while_empty() {
            if !self.context.concurrency.sleep(TICK) {
                return;
            }
            let now = Instant::now();
            if self.listeners.resume(now, &self.poller) | !self.round_trip.arm_again(&self.poller) {
                self.table.wake();
            }
            if self.table.try_again() {
                self.go_on_accepting();
            }
            self.sweep(|_, waiting| waiting.deadline <= now, |connection| connection.expire(&mut worker));
            self.judge_by_date(now);
            self.look_after_handshakes(now);
            self.context.concurrency.compensate(|| self.poller.has_events());
        }
    }

    /// Handshakes that are held up go on when a worker is done with something; one is named here, for when all workers wait.
    fn look_after_handshakes(&self, now: Instant) {
        let throttle = &self.context.throttle;
        if let Named::Now(token) = throttle.next() {
            self.wake(token);
        }
        match throttle.look(now) {
            Some(Report::Began) => self.context.observer.event(&Event::FloodBegan),
            Some(Report::Ended { duration, turned_away }) => {
                self.context.observer.event(&Event::FloodEnded { duration, turned_away });
            }
            None => {}
        }
        // Its end has to be noticed, even if there are no connections.
        if throttle.is_flooded() {
            self.table.wake();
        }
    }

    /// After a change of trust: closes the idle connections of clients that are now refused.
    pub(crate) fn judge_idle(&self) {
        let stale = |connection: &Connection, waiting: Waiting| {
            (matches!(connection.phase(), Phase::Head | Phase::Idle) || waiting.has_no_end_in_sight)
                && connection.link.is_judged_by_another(&self.context)
        };
        self.sweep(stale, |connection| connection.judge_again(&self.context));
    }

    /// Ends the tunnels, and the answers without an end in sight, of clients whose time is over, or that were just being driven when
    /// trust has changed. Others are judged at their next request.
    fn judge_by_date(&self, tick: Instant) {
        let now = caught(|| self.context.clock.now()).ok();
        let over = |connection: &Connection, waiting: Waiting| {
            waiting.has_no_end_in_sight
                && (connection.is_judged_for_another_time(tick, now)
                    || connection.link.is_judged_by_another(&self.context))
        };
        self.sweep(over, |connection| connection.judge_again(&self.context));
    }

    /// Closes the connections that are not answering anything, and what would go on for as long as both sides like: tunnels, and
    /// streams of events.
    pub(crate) fn close_idle(&self) {
        self.sweep(|connection, _| connection.may_end(), |connection| connection.close_for_good(&self.context));
    }

    /// Does a step with each parked connection that is `wanted`, and parks those again that stay. It never waits and calls no
    /// handler: the threads that call this have other things to do.
    fn sweep(&self, wanted: impl Fn(&Connection, Waiting) -> bool, mut step: impl FnMut(&mut Connection) -> Next) {
        // Only some at a time: those that are taken cannot be served meanwhile.
        const MOST: usize = 16;
        loop {
            let taken = self.table.take_where(MOST, &wanted);
            if taken.is_empty() {
                return;
            }
            for (token, mut connection) in taken {
                match self.step(&mut connection, &mut step) {
                    // Whatever is to be done next, a worker has to do it. There is always room to write, so one is woken at once.
                    Next::Classified => self.park_for_a_worker(token, connection, Interest::Writable),
                    Next::Wait(interest) => self.park_for_a_worker(token, connection, interest),
                    Next::Close => self.close(token, connection),
                }
            }
        }
    }

    /// A connection that waited for its turn can go on.
    pub(crate) fn wake(&self, token: Token) {
        if let Some(connection) = self.table.take(token, Signal::default()) {
            self.park_for_a_worker(token, connection, Interest::Writable);
        }
    }

    fn park_for_a_worker(&self, token: Token, mut connection: Box<Connection>, mut interest: Interest) {
        while self.arm(&mut connection, token, interest).is_ok() {
            match self.park(token, connection) {
                None => return,
                Some(back) => (connection, interest) = (back, Interest::Writable),
            }
        }
        self.close(token, connection);
    }

    /// Cuts the connections that no worker has; returns how many there were in all.
    pub(crate) fn close_all_parked(&self) -> usize {
        let (connections, _) = self.table.count();
        for (token, mut connection) in self.table.take_where(usize::MAX, |_, _| true) {
            self.step(&mut connection, |connection| connection.cut(&self.context));
            self.close(token, connection);
        }
        connections
    }

    /// Ends the workers and the timekeeper.
    pub(crate) fn stop(&self) {
        self.table.close();
        self.stop.raise();
        self.context.concurrency.stop();
    }

    /// A parked connection can go on.
    fn go_on(&self, token: Token, signal: Signal, worker: &mut Worker<'_>) {
        if let Some(mut connection) = self.table.take(token, signal) {
            connection.link.notice(signal);
            self.drive(token, connection, worker);
        }
    }

    /// Has the poller report when the connection can go on.
    fn arm(&self, connection: &mut Connection, token: Token, interest: Interest) -> io::Result<()> {
        // Then hardly anything comes while the connection is driven: its client waits for our flight, or for an answer.
        let is_client_quiet = match interest {
            Interest::Readable => !matches!(connection.phase(), Phase::Body | Phase::Linger),
            // What has come may be left unread only if the poller does not report it again and again.
            Interest::End => {
                connection.phase() != Phase::Handshake
                    && (Poller::WATCHES || !connection.link.session.may_be_readable())
            }
            Interest::Writable | Interest::Both => false,
        };
        let token = token.as_u64();
        let armed = match connection.other() {
            Some((_, interest)) if connection.link.other_armed == Some(interest) => Some(interest),
            Some((socket, interest)) => {
                self.poller.arm_other(socket, token, interest)?;
                Some(interest)
            }
            None => {
                self.poller.release_other(token);
                None
            }
        };
        let link = &mut connection.link;
        link.other_armed = armed;
        let socket = &link.session;
        let watched = |is_watched| if is_watched { Polled::Watched } else { Polled::Armed };
        link.polled = match (link.polled, is_client_quiet) {
            (Polled::Watched, true) => Polled::Watched,
            (Polled::Never, true) => watched(self.poller.add_watched(socket, token)?),
            (Polled::Armed, true) => watched(self.poller.watch(socket, token)?),
            (Polled::Never, false) => {
                self.poller.add(socket, token, interest)?;
                Polled::Armed
            }
            (Polled::Watched | Polled::Armed, false) => {
                self.poller.arm(socket, token, interest)?;
                Polled::Armed
            }
        };
        Ok(())
    }

    /// A worker drives a connection until it would wait, and parks it, or closes it.
    pub(super) fn drive(&self, token: Token, mut connection: Box<Connection>, worker: &mut Worker<'_>) {
        loop {
            match self.step(&mut connection, |connection| connection.drive(worker)) {
                Next::Classified => {
                    self.table.set_authorised(token, connection.link.is_authorised());
                    self.make_use_of_room();
                }
                Next::Wait(interest) => {
                    if self.arm(&mut connection, token, interest).is_err() {
                        break;
                    }
                    match self.park(token, connection) {
                        None => return,
                        Some(back) => connection = back,
                    }
                }
                Next::Close => break,
            }
        }
        self.close(token, connection);
    }

    fn step(&self, connection: &mut Connection, step: impl FnOnce(&mut Connection) -> Next) -> Next {
        self.guarded(connection.link.remote, || step(connection)).unwrap_or(Next::Close)
    }

    /// A bug must cost one connection, not a thread.
    pub(super) fn guarded<R>(&self, remote: SocketAddr, work: impl FnOnce() -> R) -> Option<R> {
        let told = |message: String| self.context.observer.event(&Event::Panicked { remote, message: &message });
        caught(work).map_err(told).ok()
    }

    /// `Some`: it can already go on.
    fn park(&self, token: Token, connection: Box<Connection>) -> Option<Box<Connection>> {
        let waiting = connection.waiting();
        let (mut back, signal) = self.table.park(token, connection, waiting)?;
        back.link.notice(signal);
        Some(back)
    }

    fn close(&self, token: Token, connection: Box<Connection>) {
        self.poller.release_other(token.as_u64());
        self.let_go(connection);
        self.leave(token);
    }

    /// Guarded, since the reader of a body that was given up is dropped too, and that is not our code.
    pub(super) fn let_go(&self, connection: Box<Connection>) {
        self.guarded(connection.link.remote, || drop(connection));
    }
}
