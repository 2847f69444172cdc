//! The slots of the table of connections: which are driven, which are parked, and who has to go when there is no room.

use std::time::Instant;

use super::Signal;
use super::eviction::{Standing, Strangers, Times, is_overdue};

/// Names one connection for as long as it lives; never used again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Token(u64);

impl Token {
    fn new(generation: u32, index: u32) -> Self {
        Self(u64::from(generation) << 32 | u64::from(index))
    }

    pub(super) fn index(self) -> usize {
        (self.0 & u64::from(u32::MAX)) as usize
    }

    fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    pub(crate) fn as_u64(self) -> u64 {
        self.0
    }

    pub(crate) fn from_u64(value: u64) -> Self {
        Self(value)
    }
}

/// How many connections there may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Capacity {
    pub(crate) connections: usize,
    /// Of these, how many only authorised clients can have.
    pub(crate) reserved: usize,
}

/// How a parked connection waits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    pub(crate) standing: Standing,
    pub(crate) times: Times,
    /// When it is taken out even if nothing has arrived.
    pub(crate) deadline: Instant,
    /// Its request may last for ever, so that its client has to be judged meanwhile.
    pub(crate) has_no_end_in_sight: bool,
}

/// All connections of a server.
#[derive(Debug)]
pub(super) struct Slots<T> {
    capacity: Capacity,
    slots: Vec<Slot<T>>,
    /// The indices of free slots.
    free: Vec<u32>,
    /// Parked connections of clients that are not authorised.
    strangers: Strangers<Token>,
    connections: usize,
    authorised: usize,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    authorised: bool,
    state: State<T>,
}

#[derive(Debug)]
enum State<T> {
    Free,
    /// A worker has it. `signal`: an event has come meanwhile.
    Driven {
        signal: Option<Signal>,
    },
    Parked {
        connection: Box<T>,
        waiting: Waiting,
    },
}

/// Memory for at most this many slots is allocated at the start.
const MOST_AT_START: usize = 16_384;

impl<T> Slots<T> {
    pub(super) fn new(capacity: Capacity) -> Self {
        // Allocated at once: if it grew during a burst, it would keep the allocator from returning the burst's memory.
        let slots = capacity.connections.min(MOST_AT_START);
        Self {
            capacity,
            slots: Vec::with_capacity(slots),
            free: Vec::with_capacity(slots),
            strangers: Strangers::new(),
            connections: 0,
            authorised: 0,
        }
    }

    /// How many connections there are.
    pub(super) fn connections(&self) -> usize {
        self.connections
    }

    /// How many there may be.
    pub(super) fn most(&self) -> usize {
        self.capacity.connections
    }

    /// How many of them are authorised.
    pub(super) fn authorised(&self) -> usize {
        self.authorised
    }

    /// Whether a new connection, which is a stranger's at first, may enter. Strangers cannot have the reserved share.
    pub(super) fn has_room(&self) -> bool {
        let Capacity { connections, reserved } = self.capacity;
        let strangers = self.connections - self.authorised;
        self.connections < connections && strangers < connections.saturating_sub(reserved)
    }

    /// Where authorised clients have all the connections, the one that has been idle longest makes room, so that none can
    /// keep another out. But a newcomer is a stranger at first, and strangers may not push the authorised out one by one: as
    /// many as the reserved share are let in like that, and from then on they replace each other. For a moment after its last
    /// answer no client counts as idle: the answer may still be on its way.
    pub(super) fn first_to_go(&mut self, now: Instant, is_quiet: impl FnOnce(&T) -> bool) -> Option<Token> {
        let is_full = self.connections >= self.capacity.connections;
        if is_full && self.connections - self.authorised < self.capacity.reserved {
            let idle = || {
                let (token, connection, since) = self.longest_idle()?;
                (is_overdue(since, now) && is_quiet(connection)).then_some(token)
            };
            if let Some(token) = self.strangers.overdue(now).or_else(idle) {
                return Some(token);
            }
        }
        self.strangers.first_to_go(now)
    }

    /// Gives a new connection a slot, driven.
    pub(super) fn enter(&mut self) -> Token {
        self.connections += 1;
        let driven = State::Driven { signal: None };
        match self.free.pop() {
            Some(index) => {
                let slot = &mut self.slots[index as usize];
                slot.state = driven;
                Token::new(slot.generation, index)
            }
            None => {
                self.slots.push(Slot { generation: 0, authorised: false, state: driven });
                // Far fewer than 2^31 descriptors can be open, so the highest bit is free for the poller.
                Token::new(0, (self.slots.len() - 1) as u32)
            }
        }
    }

    /// Parks a driven connection. `Some`: an event has come already.
    pub(super) fn park(&mut self, token: Token, connection: Box<T>, waiting: Waiting) -> Option<(Box<T>, Signal)> {
        self.set_authorised(token, waiting.standing.is_authorised());
        let slot = self.slot(token)?;
        if let State::Driven { signal } = &mut slot.state
            && let Some(signal) = signal.take()
        {
            return Some((connection, signal));
        }
        slot.state = State::Parked { connection, waiting };
        self.strangers.insert(token, waiting.standing, waiting.times);
        None
    }

    /// Takes a parked connection, to drive it. If it is driven already, it is noted that an event has come.
    pub(super) fn take(&mut self, token: Token, event: Option<Signal>) -> Option<Box<T>> {
        let slot = self.slot(token)?;
        match std::mem::replace(&mut slot.state, State::Driven { signal: None }) {
            State::Parked { connection, waiting } => {
                self.strangers.remove(token, waiting.standing, waiting.times);
                return Some(connection);
            }
            State::Driven { signal } => {
                let signal = event.map(|event| signal.unwrap_or_default().and(event)).or(signal);
                slot.state = State::Driven { signal };
            }
            State::Free => slot.state = State::Free,
        }
        None
    }

    /// Frees the slot of a driven connection that is closed.
    pub(super) fn leave(&mut self, token: Token) {
        let Some(slot) = self.slot(token) else { return };
        slot.state = State::Free;
        // Late events of the old connection no longer fit. The largest generation is skipped: with it, the token could
        // be the one that the poller keeps for itself.
        slot.generation = if slot.generation >= u32::MAX - 1 { 0 } else { slot.generation + 1 };
        if std::mem::take(&mut slot.authorised) {
            self.authorised -= 1;
        }
        self.connections -= 1;
        self.free.push(token.index() as u32);
    }

    /// Notes whether the client of a connection is authorised.
    pub(super) fn set_authorised(&mut self, token: Token, authorised: bool) {
        let Some(slot) = self.slot(token) else { return };
        if std::mem::replace(&mut slot.authorised, authorised) != authorised {
            if authorised { self.authorised += 1 } else { self.authorised -= 1 }
        }
    }

    /// The parked connections.
    pub(super) fn parked(&self) -> impl Iterator<Item = (Token, &T, Waiting)> {
        (0..).zip(&self.slots).filter_map(|(index, slot)| match &slot.state {
            State::Parked { connection, waiting } => {
                Some((Token::new(slot.generation, index), &**connection, *waiting))
            }
            _ => None,
        })
    }

    /// Scans all of them: this is rare, and a sorted list would cost every request.
    fn longest_idle(&self) -> Option<(Token, &T, Instant)> {
        let idle = self.parked().filter(|(_, _, waiting)| waiting.standing == Standing::Idle);
        idle.map(|(token, connection, waiting)| (token, connection, waiting.times.since)).min_by_key(|idle| idle.2)
    }

    fn slot(&mut self, token: Token) -> Option<&mut Slot<T>> {
        self.slots.get_mut(token.index()).filter(|slot| slot.generation == token.generation())
    }
}
