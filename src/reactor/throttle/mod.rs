//! Whose handshake has to wait while the machine is busy.
//!
//! A handshake costs the server far more than it costs a client that only begins it. So while events wait that no worker has
//! taken, the handshakes of *unknown* networks, those from which no client was authorised lately, come after everything else:
//! - Each unknown network has a bucket of tokens. A handshake takes one.
//! - Handshakes with a token share a part of the processors' time, however busy these are. So a stranger gets through who
//!   asks for little.
//! - The others get only time that nobody else wants.
//!
//! Who waits is parked and holds no thread; its deadline runs. If some wait for long, that is a flood. Then, if too many wait,
//! further connections are closed as soon as they are accepted: nothing is cheaper, except that the system drops them, and it
//! would drop those of known clients, too. In a flood from very many networks a stranger that asks for little is one of them.
//!
//! A handshake has parts: what comes from the client, and what the server computes of it. Each part is asked for, since a client
//! may send a first byte while the machine is idle, and the rest when it is not. Whose hello was answered needs no token for the
//! rest, and comes before those that begin: the dear part is done, and it may turn out to be a client whom to know.

mod allowance;
mod flood;
mod known;
mod queues;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::table::Token;
use crate::client_network::ClientNetwork;
use crate::sync::lock;
use allowance::{Buckets, Budget};
use flood::Flood;
pub(crate) use flood::Report;
use known::Known;
use queues::{Queue, Queues, Waiting};

/// In a flood, so many wait with a token, and so many without.
pub(crate) const MOST_WAITING: usize = 64;

/// Decides which handshakes go on.
pub(crate) struct Throttle {
    /// Whether events wait that no worker has taken.
    have_events: Box<dyn Fn() -> bool + Send + Sync>,
    /// A test says that they do.
    #[cfg(test)]
    pub(crate) told_busy: AtomicBool,
    state: Mutex<State>,
    /// Copies, to be read without the lock: how many wait, the generation of known networks, and whether there is a flood.
    waiting: AtomicUsize,
    generation: AtomicU64,
    is_flooded: AtomicBool,
}

struct State {
    known: Known,
    buckets: Buckets,
    budget: Budget,
    queues: Queues,
    flood: Flood,
}

/// What a connection has of the throttle, as long as it is in its handshake.
#[derive(Default)]
pub(crate) struct Entrance {
    has_token: bool,
    /// The server has answered the client's hello.
    pub(crate) is_under_way: bool,
    place: Option<Place>,
}

/// A handshake waits. It gives up its place when this is dropped.
struct Place {
    throttle: Arc<Throttle>,
    number: u64,
}

/// Whether a part of a handshake may be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It may, or there is nothing to do. `is_metered`: the time that it takes is to be told to [`Throttle::spend`].
    GoOn { is_metered: bool },
    /// It has to wait until [`Throttle::next`] names it.
    Wait,
    /// Too many wait already.
    TurnAway,
}

/// Whose handshake may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// That of this connection.
    Now(Token),
    /// In this time one may.
    In(Duration),
    /// None, until something else was done.
    Nobody,
}

impl Throttle {
    /// `have_events` says whether events wait that no worker has taken. It is asked from any thread, and often.
    pub(crate) fn new(processors: usize, have_events: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        let state = State {
            known: Known::default(),
            buckets: Buckets::new(),
            budget: Budget::new(processors),
            queues: Queues::default(),
            flood: Flood::default(),
        };
        Self {
            have_events: Box::new(have_events),
            #[cfg(test)]
            told_busy: false.into(),
            state: Mutex::new(state),
            waiting: AtomicUsize::new(0),
            generation: AtomicU64::new(0),
            is_flooded: false.into(),
        }
    }

    /// May the connection with this token, which comes from `network`, do a part of its handshake? `has_come` is asked only while
    /// the machine is busy: whether there is anything to do.
    pub(crate) fn ask(
        self: &Arc<Self>,
        entrance: &mut Entrance,
        network: ClientNetwork,
        token: Token,
        now: Instant,
        has_come: impl FnOnce() -> bool,
    ) -> Answer {
        if entrance.place.is_some() {
            return self.ask_again(entrance);
        }
        let is_known = lock(&self.state).known.contains(network, now);
        if is_known || !(self.are_others_waiting() && has_come()) {
            return Answer::GoOn { is_metered: false };
        }
        let state = &mut *lock(&self.state);
        let queue = if entrance.is_under_way {
            Queue::UnderWay
        } else {
            entrance.has_token = entrance.has_token || state.buckets.take(network, now);
            if entrance.has_token { Queue::Next } else { Queue::Last }
        };
        if queue != Queue::Last && state.queues.are_empty_up_to(queue) && state.budget.pause(now).is_zero() {
            return Answer::GoOn { is_metered: true };
        }
        entrance.place = self.hold(state, queue, Waiting { token, network });
        if entrance.is_held() { Answer::Wait } else { Answer::TurnAway }
    }

    /// In a flood, a connection that was just accepted is held from the start, so that no more is done for it than has to be. `None`:
    /// it is to be closed, too many wait already.
    pub(crate) fn admit(self: &Arc<Self>, network: ClientNetwork, token: Token, now: Instant) -> Option<Entrance> {
        if !self.is_flooded() {
            return Some(Entrance::default());
        }
        let state = &mut *lock(&self.state);
        if state.known.contains(network, now) {
            return Some(Entrance::default());
        }
        let has_token = state.queues.of(Queue::Next).len() < MOST_WAITING && state.buckets.take(network, now);
        let queue = if has_token { Queue::Next } else { Queue::Last };
        let place = self.hold(state, queue, Waiting { token, network })?;
        Some(Entrance { has_token, place: Some(place), ..Entrance::default() })
    }

    /// `None`: in a flood, too many wait already.
    fn hold(self: &Arc<Self>, state: &mut State, queue: Queue, waiting: Waiting) -> Option<Place> {
        // Who is under way has cost the most already.
        if state.flood.is_on() && queue != Queue::UnderWay && state.queues.of(queue).len() >= MOST_WAITING {
            state.flood.turned_away += 1;
            return None;
        }
        let number = state.queues.push(queue, waiting);
        self.copy(state);
        Some(Place { throttle: Arc::clone(self), number })
    }

    /// It is held: it still waits, unless it was named meanwhile.
    fn ask_again(&self, entrance: &mut Entrance) -> Answer {
        entrance.place = entrance.place.take().filter(|place| lock(&self.state).queues.have(place.number));
        match entrance.place {
            Some(_) => Answer::Wait,
            None => Answer::GoOn { is_metered: true },
        }
    }

    /// Who waits already comes first.
    fn are_others_waiting(&self) -> bool {
        self.waiting() > 0 || self.is_busy()
    }

    pub(crate) fn is_busy(&self) -> bool {
        #[cfg(test)]
        if self.told_busy.load(Ordering::SeqCst) {
            return true;
        }
        (self.have_events)()
    }

    /// How many handshakes wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// A part of a metered handshake has taken this long.
    pub(crate) fn spend(&self, time: Duration, now: Instant) {
        lock(&self.state).budget.spend(time, now);
    }

    /// Which of those that wait goes on next.
    pub(crate) fn next(&self) -> Named {
        // Most of the time none does, and then this costs nothing.
        if self.waiting() > 0 { self.next_at(Instant::now()) } else { Named::Nobody }
    }

    fn next_at(&self, now: Instant) -> Named {
        let is_busy = self.is_busy();
        let state = &mut *lock(&self.state);
        let pause = if is_busy { state.budget.pause(now) } else { Duration::ZERO };
        // The last that may go on now, and all before it.
        let last = match (is_busy, pause.is_zero()) {
            (false, _) => Queue::Last,
            (true, true) => Queue::Next,
            (true, false) => Queue::First,
        };
        let next = state.queues.pop_up_to(last);
        self.copy(state);
        match next {
            Some(waiting) => Named::Now(waiting.token),
            None if pause.is_zero() => Named::Nobody,
            None => Named::In(pause),
        }
    }

    /// A client from this network is authorised. Its neighbours need not wait any more. To be called again when there is another
    /// [generation](Self::generation) than the one that is returned.
    pub(crate) fn remember(&self, network: ClientNetwork, now: Instant) -> u64 {
        let state = &mut *lock(&self.state);
        if state.known.remember(network, now) {
            state.queues.promote(network);
        }
        self.copy(state);
        state.known.generation
    }

    /// A network that was remembered in this generation or the one before is known. 0: there is none yet.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Called regularly: forgets who was not authorised lately, and says what there is to report.
    pub(crate) fn look(&self, now: Instant) -> Option<Report> {
        let state = &mut *lock(&self.state);
        state.known.forget(now);
        let report = state.flood.look(state.queues.length() > 0, now);
        self.copy(state);
        report
    }

    /// Whether there is a flood, so that its end will have to be reported.
    pub(crate) fn is_flooded(&self) -> bool {
        self.is_flooded.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(crate) fn waiting_without_token(&self) -> usize {
        lock(&self.state).queues.of(Queue::Last).len()
    }

    fn leave(&self, number: u64) {
        let state = &mut *lock(&self.state);
        state.queues.remove(number);
        self.copy(state);
    }

    /// What is read without the lock follows each change.
    fn copy(&self, state: &State) {
        self.waiting.store(state.queues.length(), Ordering::SeqCst);
        self.generation.store(state.known.generation, Ordering::Relaxed);
        self.is_flooded.store(state.flood.is_on(), Ordering::Relaxed);
    }
}

impl Entrance {
    /// Whether the handshake waits, or has just been named.
    pub(crate) fn is_held(&self) -> bool {
        self.place.is_some()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.throttle.leave(self.number);
    }
}
