//! Where connections wait for their clients: a table of slots, not a thread each.
//!
//! A connection is *driven* by one worker or *parked* here. An event may come while it is driven; the slot remembers that,
//! and `park` hands the connection back to be driven on.
//! The table also counts: it knows the cap on connections, keeps a share of it for authorised clients, and says who
//! has to go when it is full: a stranger (`eviction` says which), or the authorised client that has been idle longest.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use super::Signal;
use super::eviction::{Standing, Strangers, Times, is_overdue};
use crate::sync::{lock, unpoisoned};

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
    /// There is none, and nobody may be cut: nothing is to be accepted until [`ParkingLot::has_room_again`].
    Full,
}

/// How a parked connection waits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    pub(crate) standing: Standing,
    pub(crate) times: Times,
    /// When it is taken out although nothing arrived.
    pub(crate) deadline: Instant,
}

#[derive(Debug)]
pub(crate) struct ParkingLot<T> {
    capacity: Capacity,
    table: Mutex<Table<T>>,
    /// Somebody did not find room. Set with the table locked.
    turned_away: AtomicBool,
    /// Told when the first connection enters and when the last one leaves.
    changed: Condvar,
}

#[derive(Debug)]
struct Table<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    /// Parked connections of clients that are not authorised.
    strangers: Strangers<Token>,
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

/// For so many slots there is room from the beginning.
const MOST_AT_ONCE: usize = 16_384;

impl<T> ParkingLot<T> {
    pub(crate) fn new(capacity: Capacity) -> Self {
        // All of it now. What grows in the middle of a burst stays in the midst of the burst's memory, and then the allocator
        // could give back none of what lies below.
        let slots = capacity.connections.min(MOST_AT_ONCE);
        let table = Table {
            slots: Vec::with_capacity(slots),
            free: Vec::with_capacity(slots),
            strangers: Strangers::new(),
            connections: 0,
            authorised: 0,
            waiters: 0,
            stirred: false,
            closed: false,
        };
        Self { capacity, table: Mutex::new(table), turned_away: false.into(), changed: Condvar::new() }
    }

    /// Makes room for a new connection, which counts as a stranger's and as driven until it is parked. `is_quiet` says of an
    /// idle connection whether its client has not just begun to ask.
    pub(crate) fn enter(&self, now: Instant, is_quiet: impl FnOnce(&T) -> bool) -> Entry<T> {
        let mut table = lock(&self.table);
        let mut evicted = None;
        if !table.has_room(self.capacity) {
            let Some(token) = table.first_to_go(self.capacity, now, is_quiet) else {
                self.turn_away();
                return Entry::Full;
            };
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

    /// Whether somebody was turned away, and there is room now: asked whenever there may be. It says so once.
    pub(crate) fn has_room_again(&self) -> bool {
        // Most of the time nobody was, and then this costs nothing.
        self.turned_away.load(Ordering::SeqCst)
            && lock(&self.table).has_room(self.capacity)
            && self.turned_away.swap(false, Ordering::SeqCst)
    }

    /// Whether somebody was turned away: asked from time to time, as those who were spared then can go now. It says so once.
    pub(crate) fn try_again(&self) -> bool {
        self.turned_away.swap(false, Ordering::SeqCst)
    }

    /// Somebody does not find room, or cannot be let in yet.
    pub(crate) fn turn_away(&self) {
        self.turned_away.store(true, Ordering::SeqCst);
    }

    /// Puts a driven connection back, and notes whether its client is authorised. `Some`: an event has come already; drive
    /// it on.
    pub(crate) fn park(&self, token: Token, connection: Box<T>, waiting: Waiting) -> Option<(Box<T>, Signal)> {
        let mut table = lock(&self.table);
        table.set_authorised(token, waiting.standing.is_authorised());
        let slot = table.slot(token)?;
        if let State::Driven { signal } = &mut slot.state
            && let Some(signal) = signal.take()
        {
            return Some((connection, signal));
        }
        slot.state = State::Parked { connection, waiting };
        table.strangers.insert(token, waiting.standing, waiting.times);
        None
    }

    /// Takes the connection whose event came, to drive it. `None`: it is driven (and will go on), or gone.
    pub(crate) fn take(&self, token: Token, signal: Signal) -> Option<Box<T>> {
        lock(&self.table).take(token, Some(signal))
    }

    /// Notes whether the client of a driven connection is authorised.
    pub(crate) fn set_authorised(&self, token: Token, authorised: bool) {
        lock(&self.table).set_authorised(token, authorised);
    }

    /// Forgets a driven connection that was closed.
    pub(crate) fn leave(&self, token: Token) {
        let mut table = lock(&self.table);
        table.leave(token);
        if table.connections == 0 {
            self.tell(&table);
        }
    }

    /// Takes the parked connections for which `wanted` says so, `most` at once, to drive them.
    pub(crate) fn take_where(&self, most: usize, wanted: impl Fn(&T, Waiting) -> bool) -> Vec<(Token, Box<T>)> {
        let mut table = lock(&self.table);
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
        let mut table = lock(&self.table);
        table.waiters += 1;
        let wait = self.changed.wait_while(table, |table| table.connections == 0 && !table.stirred && !table.closed);
        let mut table = unpoisoned(wait);
        table.waiters -= 1;
        table.stirred = false;
        !table.closed
    }

    /// Ends `wait_while_empty` once.
    pub(crate) fn stir(&self) {
        lock(&self.table).stirred = true;
        self.changed.notify_all();
    }

    /// Ends `wait_while_empty`, for good.
    pub(crate) fn close(&self) {
        lock(&self.table).closed = true;
        self.changed.notify_all();
    }

    /// Waits until the last connection has left. `false`: the time was up first.
    pub(crate) fn wait_until_empty(&self, time: Duration) -> bool {
        let mut table = lock(&self.table);
        table.waiters += 1;
        let wait = self.changed.wait_timeout_while(table, time, |table| table.connections > 0);
        let (mut table, result) = unpoisoned(wait);
        table.waiters -= 1;
        !result.timed_out()
    }

    /// How many connections there are, and how many of them are authorised.
    pub(crate) fn count(&self) -> (usize, usize) {
        let table = lock(&self.table);
        (table.connections, table.authorised)
    }

    /// Telling nobody would cost a system call all the same, and with one client at a time there is much to tell.
    fn tell(&self, table: &Table<T>) {
        if table.waiters > 0 {
            self.changed.notify_all();
        }
    }
}

impl<T> Table<T> {
    /// Strangers have none in the share that is reserved.
    fn has_room(&self, capacity: Capacity) -> bool {
        self.connections < capacity.connections
            && self.connections - self.authorised < capacity.connections.saturating_sub(capacity.reserved)
    }

    /// Where authorised clients have all the connections, the one that has been idle longest makes room, so that none can
    /// keep another out. But who comes is a stranger at first, and strangers may not push the authorised out one by one: as
    /// many as the reserved share are let in like that, and from then on they go for each other. For a moment after its last
    /// answer nobody counts as idle: the answer may be on its way still.
    fn first_to_go(&mut self, capacity: Capacity, now: Instant, is_quiet: impl FnOnce(&T) -> bool) -> Option<Token> {
        let is_full = self.connections >= capacity.connections;
        if is_full && self.connections - self.authorised < capacity.reserved {
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

    /// Looks at each: this is rare, and to keep them in order would cost something at every request.
    fn longest_idle(&self) -> Option<(Token, &T, Instant)> {
        let idle = (0..).zip(&self.slots).filter_map(|(index, slot)| match &slot.state {
            State::Parked { connection, waiting } if waiting.standing == Standing::Idle => {
                Some((Token::new(slot.generation, index), &**connection, waiting.times.since))
            }
            _ => None,
        });
        idle.min_by_key(|(_, _, since)| *since)
    }

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
                let State::Parked { connection, waiting } =
                    std::mem::replace(&mut slot.state, State::Driven { signal: None })
                else {
                    return None;
                };
                self.strangers.remove(token, waiting.standing, waiting.times);
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
    use crate::reactor::eviction::Standing::{Busy, Idle, ShakingHands, Silent};

    const TWO_AND_A_RESERVED_ONE: Capacity = Capacity { connections: 3, reserved: 1 };

    const BYTES: Signal = Signal { hung_up: false };
    const END: Signal = Signal { hung_up: true };

    fn at(milliseconds: u64) -> Instant {
        // One base for all, so that the order is the one asked for.
        static BASE: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        *BASE.get_or_init(Instant::now) + Duration::from_millis(milliseconds)
    }

    fn waiting(standing: Standing, since: u64) -> Waiting {
        let since = at(since);
        Waiting { standing, times: Times { since, heard: since }, deadline: since + Duration::from_secs(1) }
    }

    fn enter<T>(lot: &ParkingLot<T>, now: u64) -> Entry<T> {
        lot.enter(at(now), |_| true)
    }

    fn enter_and_park(lot: &ParkingLot<&'static str>, name: &'static str, standing: Standing, since: u64) -> Token {
        let Entry::Admitted(token) = enter(lot, since) else { panic!("no room for {name}") };
        assert!(lot.park(token, Box::new(name), waiting(standing, since)).is_none());
        token
    }

    #[test]
    fn an_event_that_comes_before_the_parking_is_not_lost() {
        let lot = ParkingLot::new(TWO_AND_A_RESERVED_ONE);
        let Entry::Admitted(token) = enter(&lot, 0) else { panic!() };
        for signal in [BYTES, END, BYTES] {
            assert!(lot.take(token, signal).is_none(), "it is driven");
        }
        let (back, signal) = lot.park(token, Box::new("a"), waiting(Silent, 0)).expect("handed back at once");
        assert_eq!(signal, END);
        assert!(lot.park(token, back, waiting(Silent, 0)).is_none(), "the events count once");
        assert_eq!(lot.take(token, BYTES), Some(Box::new("a")));
    }

    #[test]
    fn when_full_a_stranger_that_is_silent_goes_before_one_that_shakes_hands() {
        let lot = ParkingLot::new(TWO_AND_A_RESERVED_ONE);
        enter_and_park(&lot, "shakes hands", ShakingHands, 0);
        enter_and_park(&lot, "silent", Silent, 2);
        let Entry::InPlaceOf(_, gone) = enter(&lot, 1_002) else { panic!("the third may not just enter") };
        assert_eq!(*gone, "silent");
        assert_eq!(lot.count(), (2, 0));
    }

    #[test]
    fn who_finds_only_young_handshakes_waits_until_one_is_authorised_or_no_longer_young() {
        let lot = ParkingLot::new(TWO_AND_A_RESERVED_ONE);
        let a = enter_and_park(&lot, "a", ShakingHands, 0);
        enter_and_park(&lot, "b", ShakingHands, 1);
        assert!(!lot.try_again(), "nobody was turned away");
        assert!(matches!(enter(&lot, 999), Entry::Full));
        assert!(!lot.has_room_again());
        assert!(lot.try_again() && !lot.try_again(), "it is said once");
        let Entry::InPlaceOf(c, gone) = enter(&lot, 1_000) else { panic!("a is a second old") };
        assert_eq!(*gone, "a");
        assert!(lot.take(a, BYTES).is_none());
        assert!(matches!(enter(&lot, 1_000), Entry::Full));
        lot.set_authorised(c, true);
        assert!(lot.has_room_again() && !lot.has_room_again(), "it is said once");
        assert!(matches!(enter(&lot, 1_000), Entry::Admitted(_)));
    }

    #[test]
    fn where_all_are_authorised_the_longest_idle_goes_after_a_second_and_the_busy_never() {
        let lot = ParkingLot::new(TWO_AND_A_RESERVED_ONE);
        enter_and_park(&lot, "busy", Busy, 0);
        enter_and_park(&lot, "idle", Idle, 2);
        enter_and_park(&lot, "idle longer", Idle, 1);
        assert!(matches!(enter(&lot, 1_000), Entry::Full));
        assert!(matches!(lot.enter(at(1_001), |_| false), Entry::Full), "its client asks just now");
        let Entry::InPlaceOf(_, gone) = enter(&lot, 1_001) else { panic!() };
        assert_eq!(*gone, "idle longer");
        assert_eq!(lot.count(), (3, 2));
    }

    #[test]
    fn strangers_take_no_more_of_the_authorised_than_the_reserved_share() {
        let lot = ParkingLot::new(Capacity { connections: 8, reserved: 2 });
        for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
            enter_and_park(&lot, name, Idle, 0);
        }
        for (name, since) in [("one", 2_000), ("two", 2_001)] {
            let Entry::InPlaceOf(token, _) = enter(&lot, since) else { panic!("no room for {name}") };
            assert!(lot.park(token, Box::new(name), waiting(ShakingHands, since)).is_none());
        }
        assert!(matches!(enter(&lot, 2_500), Entry::Full));
        for (now, gone) in [(3_000, "one"), (3_001, "two")] {
            let Entry::InPlaceOf(token, evicted) = enter(&lot, now) else { panic!() };
            assert_eq!(*evicted, gone, "a stranger goes for a stranger");
            assert!(lot.park(token, Box::new("next"), waiting(ShakingHands, now)).is_none());
        }
        assert_eq!(lot.count(), (8, 6));
    }

    #[test]
    fn driven_connections_are_never_taken_away() {
        let lot: ParkingLot<&str> = ParkingLot::new(TWO_AND_A_RESERVED_ONE);
        assert!(matches!(enter(&lot, 0), Entry::Admitted(_)));
        assert!(matches!(enter(&lot, 0), Entry::Admitted(_)));
        assert!(matches!(enter(&lot, 100_000), Entry::Full));
    }

    #[test]
    fn a_token_never_fits_a_later_connection_in_the_same_slot() {
        let lot = ParkingLot::new(TWO_AND_A_RESERVED_ONE);
        let old = enter_and_park(&lot, "old", Silent, 0);
        assert!(lot.take(old, BYTES).is_some());
        lot.leave(old);
        let new = enter_and_park(&lot, "new", Silent, 1);
        assert_eq!(new.index(), old.index());
        assert!(lot.take(old, BYTES).is_none());
        assert!(lot.take(new, BYTES).is_some());
    }

    #[test]
    fn what_is_past_its_deadline_can_be_taken_and_nothing_else() {
        let lot = ParkingLot::new(TWO_AND_A_RESERVED_ONE);
        enter_and_park(&lot, "late", Silent, 0);
        enter_and_park(&lot, "in time", Silent, 500);
        let now = waiting(Silent, 0).deadline;
        let late = lot.take_where(usize::MAX, |_, waiting| waiting.deadline <= now);
        assert_eq!(late.iter().map(|(_, name)| **name).collect::<Vec<_>>(), ["late"]);
    }

    #[test]
    fn the_last_to_leave_ends_the_wait() {
        let lot: ParkingLot<&str> = ParkingLot::new(TWO_AND_A_RESERVED_ONE);
        let Entry::Admitted(token) = enter(&lot, 0) else { panic!() };
        assert!(!lot.wait_until_empty(Duration::ZERO));
        std::thread::scope(|scope| {
            let wait = scope.spawn(|| lot.wait_until_empty(Duration::from_secs(60)));
            lot.leave(token);
            assert!(wait.join().unwrap());
        });
    }
}
