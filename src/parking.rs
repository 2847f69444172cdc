//! Where connections wait for their clients: a table of slots, not a thread each.
//!
//! A connection is *driven* by one worker or *parked* here. An event may come while it is driven; the slot remembers that,
//! and `park` hands the connection back to be driven on.
//! The table also counts: it knows the cap on connections, keeps a share of it for authorised clients, and says who
//! has to go when it is full: the unauthenticated connection that has waited longest.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::sys::Signal;

/// Names one connection for as long as it lives; never used again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Token(u64);

impl Token {
    fn new(generation: u32, index: u32) -> Self {
        Self(u64::from(generation) << 32 | u64::from(index))
    }

    fn index(self) -> usize {
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

/// What `enter` found.
#[derive(Debug)]
pub(crate) enum Entry<T> {
    /// There was room.
    Admitted(Token),
    /// There was none, so this parked connection of another client has to be closed in favour of the new one.
    InPlaceOf(Token, Box<T>),
    /// Every connection is authorised or being driven: the new one has to be closed.
    Full,
}

/// When a parked connection is taken out although nothing arrived, and since when its phase has lasted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    pub(crate) since: Instant,
    pub(crate) deadline: Instant,
}

#[derive(Debug)]
pub(crate) struct ParkingLot<T> {
    capacity: Capacity,
    table: Mutex<Table<T>>,
    /// Told when the first connection enters and when the last one leaves.
    changed: Condvar,
}

#[derive(Debug)]
struct Table<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    /// Parked connections of clients that are not authorised, longest waiting first.
    strangers: BTreeSet<(Instant, Token)>,
    connections: usize,
    authorised: usize,
    /// So many threads wait for the first connection, or for the last one to leave.
    waiters: usize,
    /// The timekeeper is to look, though there is no connection.
    stirred: bool,
    closed: bool,
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

impl<T> ParkingLot<T> {
    pub(crate) fn new(capacity: Capacity) -> Self {
        let table = Table {
            slots: Vec::new(),
            free: Vec::new(),
            strangers: BTreeSet::new(),
            connections: 0,
            authorised: 0,
            waiters: 0,
            stirred: false,
            closed: false,
        };
        Self { capacity, table: Mutex::new(table), changed: Condvar::new() }
    }

    /// Makes room for a new connection, which counts as a stranger's and as driven until it is parked.
    pub(crate) fn enter(&self) -> Entry<T> {
        let mut table = self.lock();
        let strangers = table.connections - table.authorised;
        let full = table.connections >= self.capacity.connections
            || strangers >= self.capacity.connections.saturating_sub(self.capacity.reserved);
        let mut evicted = None;
        if full {
            let Some((_, token)) = table.strangers.pop_first() else { return Entry::Full };
            evicted = table.take(token, None);
            table.leave(token);
        }
        let token = table.enter();
        if table.connections == 1 {
            self.tell(&table);
        }
        match evicted {
            Some(connection) => Entry::InPlaceOf(token, connection),
            None => Entry::Admitted(token),
        }
    }

    /// Puts a driven connection back, and notes whether its client is authorised. `Some`: an event has come already; drive
    /// it on.
    pub(crate) fn park(
        &self,
        token: Token,
        connection: Box<T>,
        waiting: Waiting,
        authorised: bool,
    ) -> Option<(Box<T>, Signal)> {
        let mut table = self.lock();
        table.set_authorised(token, authorised);
        let slot = table.slot(token)?;
        if let State::Driven { signal } = &mut slot.state
            && let Some(signal) = signal.take()
        {
            return Some((connection, signal));
        }
        slot.state = State::Parked { connection, waiting };
        if !slot.authorised {
            table.strangers.insert((waiting.since, token));
        }
        None
    }

    /// Takes the connection whose event came, to drive it. `None`: it is driven (and will go on), or gone.
    pub(crate) fn take(&self, token: Token, signal: Signal) -> Option<Box<T>> {
        self.lock().take(token, Some(signal))
    }

    /// Notes whether the client of a driven connection is authorised.
    pub(crate) fn set_authorised(&self, token: Token, authorised: bool) {
        self.lock().set_authorised(token, authorised);
    }

    /// Forgets a driven connection that was closed.
    pub(crate) fn leave(&self, token: Token) {
        let mut table = self.lock();
        table.leave(token);
        if table.connections == 0 {
            self.tell(&table);
        }
    }

    /// Takes the parked connections for which `wanted` says so, `most` at once, to drive them.
    pub(crate) fn take_where(&self, most: usize, wanted: impl Fn(&T, Waiting) -> bool) -> Vec<(Token, Box<T>)> {
        let mut table = self.lock();
        let tokens: Vec<_> = (0..)
            .zip(&table.slots)
            .filter(|(_, slot)| matches!(&slot.state, State::Parked { connection, waiting } if wanted(connection, *waiting)))
            .map(|(index, slot)| Token::new(slot.generation, index))
            .take(most)
            .collect();
        tokens.into_iter().filter_map(|token| Some((token, table.take(token, None)?))).collect()
    }

    /// Waits until there is at least one connection, or `stir` was called. `false`: the lot was closed.
    pub(crate) fn wait_while_empty(&self) -> bool {
        let mut table = self.lock();
        table.waiters += 1;
        let wait = self.changed.wait_while(table, |table| table.connections == 0 && !table.stirred && !table.closed);
        let mut table = wait.unwrap_or_else(PoisonError::into_inner);
        table.waiters -= 1;
        table.stirred = false;
        !table.closed
    }

    /// Ends `wait_while_empty` once.
    pub(crate) fn stir(&self) {
        self.lock().stirred = true;
        self.changed.notify_all();
    }

    /// Ends `wait_while_empty`, for good.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Waits until the last connection has left. `false`: the time was up first.
    pub(crate) fn wait_until_empty(&self, time: Duration) -> bool {
        let mut table = self.lock();
        table.waiters += 1;
        let wait = self.changed.wait_timeout_while(table, time, |table| table.connections > 0);
        let (mut table, result) = wait.unwrap_or_else(PoisonError::into_inner);
        table.waiters -= 1;
        !result.timed_out()
    }

    /// How many connections there are, and how many of them are authorised.
    pub(crate) fn count(&self) -> (usize, usize) {
        let table = self.lock();
        (table.connections, table.authorised)
    }

    /// Telling nobody would cost a system call all the same, and with one client at a time there is much to tell.
    fn tell(&self, table: &Table<T>) {
        if table.waiters > 0 {
            self.changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table<T>> {
        // Nothing here panics half way through a change, so the table is whole even if a thread died.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Table<T> {
    fn slot(&mut self, token: Token) -> Option<&mut Slot<T>> {
        self.slots.get_mut(token.index()).filter(|slot| slot.generation == token.generation())
    }

    fn set_authorised(&mut self, token: Token, authorised: bool) {
        let Some(slot) = self.slot(token) else { return };
        if std::mem::replace(&mut slot.authorised, authorised) != authorised {
            if authorised { self.authorised += 1 } else { self.authorised -= 1 }
        }
    }

    fn enter(&mut self) -> Token {
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
                // Far fewer than 2^32 descriptors can be open.
                Token::new(0, (self.slots.len() - 1) as u32)
            }
        }
    }

    fn take(&mut self, token: Token, event: Option<Signal>) -> Option<Box<T>> {
        let slot = self.slot(token)?;
        match &mut slot.state {
            State::Free => None,
            State::Driven { signal } => {
                *signal = event.map(|event| signal.unwrap_or_default().and(event)).or(*signal);
                None
            }
            State::Parked { .. } => {
                let authorised = slot.authorised;
                let State::Parked { connection, waiting } =
                    std::mem::replace(&mut slot.state, State::Driven { signal: None })
                else {
                    return None;
                };
                if !authorised {
                    self.strangers.remove(&(waiting.since, token));
                }
                Some(connection)
            }
        }
    }

    fn leave(&mut self, token: Token) {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_AND_A_RESERVED_ONE: Capacity = Capacity { connections: 3, reserved: 1 };

    const BYTES: Signal = Signal { hung_up: false };
    const END: Signal = Signal { hung_up: true };

    fn waiting(order: u64) -> Waiting {
        // One base for all, so that the order of `since` is the order asked for.
        static BASE: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        let since = *BASE.get_or_init(Instant::now) + Duration::from_millis(order);
        Waiting { since, deadline: since + Duration::from_secs(1) }
    }

    fn enter_and_park(lot: &ParkingLot<&'static str>, name: &'static str, order: u64) -> Token {
        let Entry::Admitted(token) = lot.enter() else { panic!("no room for {name}") };
        assert!(lot.park(token, Box::new(name), waiting(order), false).is_none());
        token
    }

    #[test]
    fn an_event_that_comes_before_the_parking_is_not_lost() {
        let lot = ParkingLot::new(TWO_AND_A_RESERVED_ONE);
        let Entry::Admitted(token) = lot.enter() else { panic!() };
        for signal in [BYTES, END, BYTES] {
            assert!(lot.take(token, signal).is_none(), "it is driven");
        }
        let (back, signal) = lot.park(token, Box::new("a"), waiting(0), false).expect("handed back at once");
        assert_eq!(signal, END);
        assert!(lot.park(token, back, waiting(0), false).is_none(), "the events count once");
        assert_eq!(lot.take(token, BYTES), Some(Box::new("a")));
    }

    #[test]
    fn when_full_the_stranger_that_has_waited_longest_goes() {
        let lot = ParkingLot::new(TWO_AND_A_RESERVED_ONE);
        enter_and_park(&lot, "younger", 2);
        enter_and_park(&lot, "older", 1);
        let Entry::InPlaceOf(_, gone) = lot.enter() else { panic!("the third may not just enter") };
        assert_eq!(*gone, "older");
        assert_eq!(lot.count(), (2, 0));
    }

    #[test]
    fn authorised_connections_are_never_given_up_for_a_stranger() {
        let lot = ParkingLot::new(TWO_AND_A_RESERVED_ONE);
        for name in ["a", "b", "c"] {
            let Entry::Admitted(token) = lot.enter() else { panic!("no room for {name}") };
            assert!(lot.park(token, Box::new(name), waiting(0), true).is_none());
        }
        assert!(matches!(lot.enter(), Entry::Full));
        assert_eq!(lot.count(), (3, 3));
    }

    #[test]
    fn driven_connections_are_never_taken_away() {
        let lot: ParkingLot<&str> = ParkingLot::new(TWO_AND_A_RESERVED_ONE);
        assert!(matches!(lot.enter(), Entry::Admitted(_)));
        assert!(matches!(lot.enter(), Entry::Admitted(_)));
        assert!(matches!(lot.enter(), Entry::Full));
    }

    #[test]
    fn a_token_never_fits_a_later_connection_in_the_same_slot() {
        let lot = ParkingLot::new(TWO_AND_A_RESERVED_ONE);
        let old = enter_and_park(&lot, "old", 0);
        assert!(lot.take(old, BYTES).is_some());
        lot.leave(old);
        let new = enter_and_park(&lot, "new", 1);
        assert_eq!(new.index(), old.index());
        assert!(lot.take(old, BYTES).is_none());
        assert!(lot.take(new, BYTES).is_some());
    }

    #[test]
    fn what_is_past_its_deadline_can_be_taken_and_nothing_else() {
        let lot = ParkingLot::new(TWO_AND_A_RESERVED_ONE);
        enter_and_park(&lot, "late", 0);
        enter_and_park(&lot, "in time", 500);
        let now = waiting(0).deadline;
        let late = lot.take_where(usize::MAX, |_, waiting| waiting.deadline <= now);
        assert_eq!(late.iter().map(|(_, name)| **name).collect::<Vec<_>>(), ["late"]);
    }

    #[test]
    fn the_last_to_leave_ends_the_wait() {
        let lot: ParkingLot<&str> = ParkingLot::new(TWO_AND_A_RESERVED_ONE);
        let Entry::Admitted(token) = lot.enter() else { panic!() };
        assert!(!lot.wait_until_empty(Duration::ZERO));
        std::thread::scope(|scope| {
            let wait = scope.spawn(|| lot.wait_until_empty(Duration::from_secs(60)));
            lot.leave(token);
            assert!(wait.join().unwrap());
        });
    }
}
