//! A look at a running server from outside of its connections.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use super::handle::Control;
use super::pool::Pool;
use crate::deadline::Phase;
use crate::panic::caught;
use crate::tls::server_certificate::ServerCertificate;
use crate::trust::Trust;

/// Looks at a running server, for an operator's health checks and figures. Clones look at the same server.
#[derive(Clone)]
pub struct StatusHandle(pub(crate) Arc<Control>);

impl StatusHandle {
    /// Whether the server works: a question goes through its poller to one of its workers, and is answered within this time. The
    /// caller waits, so it should not be one of the server's handlers.
    ///
    /// `false` if it is stuck, or overloaded beyond that time, and before and after [`Server::serve`](crate::Server::serve). While it
    /// drains, it works.
    pub fn responds_within(&self, time: Duration) -> bool {
        self.0.round_trip.is_answered_within(time)
    }

    /// Whether the server was asked to stop ([`ShutdownHandle::shutdown`](crate::ShutdownHandle::shutdown)): a balancer should send its
    /// clients elsewhere from now on.
    pub fn is_stopping(&self) -> bool {
        self.0.shutdown_asked()
    }

    /// What the server is doing, at about this moment. To count the connections takes a microsecond or so for a hundred of them.
    pub fn status(&self) -> Status {
        let control = &self.0;
        let pool = control.pool.get().and_then(Weak::upgrade);
        let (connections, threads) = pool.map(|pool| (connections(&pool), threads(&pool))).unwrap_or_default();
        let reload = control.last_reload();
        Status {
            time: caught(|| control.clock.now()).unwrap_or_else(|_| SystemTime::now()),
            connections,
            threads,
            generation: control.trust.generation(),
            last_reload: reload.time,
            reload_failure: reload.failure,
            is_stopping: self.is_stopping(),
            trust: control.trust.current(),
            certificate: control.certificate(),
        }
    }
}

impl fmt::Debug for StatusHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StatusHandle")
    }
}

/// What a server is doing.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Status {
    /// The time by the server's clock, by which dates are judged.
    pub time: SystemTime,
    /// The connections; none before and after serving.
    pub connections: Connections,
    /// The threads that serve them; none before and after serving.
    pub threads: Threads,
    /// How often trust was replaced since the start.
    pub generation: u64,
    /// When trust and certificate were last read, or put in force, or should have been.
    pub last_reload: SystemTime,
    /// Why that failed: what was in force before still is. `None`: it did not.
    pub reload_failure: Option<String>,
    /// A shutdown was asked for.
    pub is_stopping: bool,
    /// The trust in force.
    pub trust: Arc<Trust>,
    /// The certificate that new connections are shown.
    pub certificate: ServerCertificate,
}

/// How many connections do what.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Connections {
    /// How many there are.
    pub total: usize,
    /// How many there may be.
    pub most: usize,
    /// A thread works on them, or they are in a handler.
    pub active: usize,
    waiting: [usize; Phase::ALL.len()],
}

impl Connections {
    /// How many wait, without a thread, in this phase.
    pub fn waiting(&self, phase: Phase) -> usize {
        self.waiting[phase as usize]
    }
}

/// How many threads do what.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Threads {
    /// They work on connections, or wait for events.
    pub running: usize,
    /// They take the place of those that are in handlers.
    pub standing_by: usize,
    /// They are in a handler, or in other code of the application.
    pub in_handlers: usize,
    /// How many there may be in all.
    pub most: usize,
}

fn connections(pool: &Pool) -> Connections {
    let (total, most, waiting) = pool.table.tally(|connection| connection.phase() as usize);
    Connections { total, most, active: total.saturating_sub(waiting.iter().sum()), waiting }
}

fn threads(pool: &Pool) -> Threads {
    let tally = pool.context.concurrency.tally();
    Threads { running: tally.running, standing_by: tally.standing_by, in_handlers: tally.blocked, most: tally.most }
}
