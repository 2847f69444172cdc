//! The table of connections: where they wait for their clients, or for who makes the answer, without a thread each.
//!
//! A connection is *driven* by one worker or *parked* here. An event may come while it is driven; its slot remembers that, and
//! `park` hands the connection back to be driven on.
//! The table also limits how many connections there are. It keeps a share for authorised clients, and when it is full, it
//! says which connection has to go: a stranger's (`eviction` says which), or the authorised one that has been idle longest.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use super::Signal;
use super::slots::Slots;
pub(crate) use super::slots::{Capacity, Token, Waiting};
use crate::sync::{lock, unpoisoned};

/// What `enter` found.
#[derive(Debug)]
pub(crate) enum Entry<T> {
    /// There was room.
    Admitted(Token),
    /// There was none, so this parked connection of another client (and its token) has to be closed in favour of the new one.
    InPlaceOf(Token, (Token, Box<T>)),
    /// There is none, and no connection may be closed: nothing is to be accepted until [`ConnectionTable::has_room_again`].
    Full,
}

/// All connections of a server, shared by its threads.
#[derive(Debug)]
pub(crate) struct ConnectionTable<T> {
    table: Mutex<Table<T>>,
    /// A connection did not find room. Set with the table locked.
    turned_away: AtomicBool,
    /// Notified when the first connection enters and when the last one leaves.
    changed: Condvar,
}

#[derive(Debug)]
struct Table<T> {
    slots: Slots<T>,
    /// How many threads wait for the first connection, or for the last one to leave.
    waiters: usize,
    /// The timekeeper is to wake up, though there is no connection.
    is_woken: bool,
    is_closed: bool,
}

impl<T> ConnectionTable<T> {
    pub(crate) fn new(capacity: Capacity) -> Self {
        let table = Table { slots: Slots::new(capacity), waiters: 0, is_woken: false, is_closed: false };
        Self { table: Mutex::new(table), turned_away: false.into(), changed: Condvar::new() }
    }

    /// Makes room for a new connection, which counts as a stranger's and as driven until it is parked. `is_quiet` says of an
    /// idle connection whether nothing has just arrived from its client.
    pub(crate) fn enter(&self, now: Instant, is_quiet: impl FnOnce(&T) -> bool) -> Entry<T> {
        let mut table = lock(&self.table);
        let mut evicted = None;
        if !table.slots.has_room() {
            let Some(token) = table.slots.first_to_go(now, is_quiet) else {
                self.turn_away();
                return Entry::Full;
            };
            evicted = table.slots.take(token, None).map(|connection| (token, connection));
            table.slots.leave(token);
        }
        let token = table.slots.enter();
        if table.slots.connections() == 1 {
            self.notify(&table);
        }
        match evicted {
            Some(evicted) => Entry::InPlaceOf(token, evicted),
            None => Entry::Admitted(token),
        }
    }

    /// Whether a connection was turned away, and there is room now. Asked whenever there may be room. Says so once.
    pub(crate) fn has_room_again(&self) -> bool {
        // Most of the time none was, and then this costs nothing.
        self.turned_away.load(Ordering::SeqCst)
            && lock(&self.table).slots.has_room()
            && self.turned_away.swap(false, Ordering::SeqCst)
    }

    /// Whether a connection was turned away since the last call. Asked regularly, because connections that were spared may be
    /// evicted later.
    pub(crate) fn try_again(&self) -> bool {
        self.turned_away.swap(false, Ordering::SeqCst)
    }

    /// Notes that a connection did not find room, or cannot be accepted yet.
    pub(crate) fn turn_away(&self) {
        self.turned_away.store(true, Ordering::SeqCst);
    }

    /// Parks a driven connection, and notes whether its client is authorised. `Some`: an event has come already; drive it on.
    pub(crate) fn park(&self, token: Token, connection: Box<T>, waiting: Waiting) -> Option<(Box<T>, Signal)> {
        lock(&self.table).slots.park(token, connection, waiting)
    }

    /// Takes the connection whose event came, to drive it. `None`: it is driven (and will go on), or gone.
    pub(crate) fn take(&self, token: Token, signal: Signal) -> Option<Box<T>> {
        lock(&self.table).slots.take(token, Some(signal))
    }

    /// Notes whether the client of a driven connection is authorised.
    pub(crate) fn set_authorised(&self, token: Token, authorised: bool) {
        lock(&self.table).slots.set_authorised(token, authorised);
    }

    /// Forgets a driven connection that was closed.
    pub(crate) fn leave(&self, token: Token) {
        let mut table = lock(&self.table);
        table.slots.leave(token);
        if table.slots.connections() == 0 {
            self.notify(&table);
        }
    }

    /// Takes at most `most` parked connections that match `wanted`.
    pub(crate) fn take_where(&self, most: usize, wanted: impl Fn(&T, Waiting) -> bool) -> Vec<(Token, Box<T>)> {
        let slots = &mut lock(&self.table).slots;
        let parked = slots.parked().filter(|(_, connection, waiting)| wanted(connection, *waiting));
        let tokens: Vec<_> = parked.map(|(token, ..)| token).take(most).collect();
        tokens.into_iter().filter_map(|token| Some((token, slots.take(token, None)?))).collect()
    }

    /// Waits until there is at least one connection, or `wake` was called. `false`: the table was closed.
    pub(crate) fn wait_while_empty(&self) -> bool {
        let mut table = lock(&self.table);
        table.waiters += 1;
        let is_idle = |table: &mut Table<T>| table.slots.connections() == 0 && !table.is_woken && !table.is_closed;
        let mut table = unpoisoned(self.changed.wait_while(table, is_idle));
        table.waiters -= 1;
        table.is_woken = false;
        !table.is_closed
    }

    /// Ends `wait_while_empty` once.
    pub(crate) fn wake(&self) {
        lock(&self.table).is_woken = true;
        self.changed.notify_all();
    }

    /// Ends `wait_while_empty`, for good.
    pub(crate) fn close(&self) {
        lock(&self.table).is_closed = true;
        self.changed.notify_all();
    }

    /// Waits until the last connection has left. `false`: the time was up first.
    pub(crate) fn wait_until_empty(&self, time: Duration) -> bool {
        let mut table = lock(&self.table);
        table.waiters += 1;
        let wait = self.changed.wait_timeout_while(table, time, |table| table.slots.connections() > 0);
        let (mut table, result) = unpoisoned(wait);
        table.waiters -= 1;
        !result.timed_out()
    }

    /// How many connections there are, and how many of them are authorised.
    pub(crate) fn count(&self) -> (usize, usize) {
        let slots = &lock(&self.table).slots;
        (slots.connections(), slots.authorised())
    }

    /// How many connections there are, how many may be, and how many of those that are parked are of each kind.
    pub(crate) fn tally<const KINDS: usize>(&self, kind: impl Fn(&T) -> usize) -> (usize, usize, [usize; KINDS]) {
        let slots = &lock(&self.table).slots;
        let mut parked = [0; KINDS];
        for (_, connection, _) in slots.parked() {
            parked[kind(connection)] += 1;
        }
        (slots.connections(), slots.most(), parked)
    }

    /// To notify costs a system call even if nobody waits, and with one client at a time it would happen for each.
    fn notify(&self, table: &Table<T>) {
        if table.waiters > 0 {
            self.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::eviction::Standing::{self, Busy, Idle, ShakingHands, Silent};
    use crate::reactor::eviction::Times;

    const TWO_AND_A_RESERVED_ONE: Capacity = Capacity { connections: 3, reserved: 1 };

    const BYTES: Signal = Signal { client: true, hung_up: false, other: false };
    const END: Signal = Signal { client: true, hung_up: true, other: false };
    const OTHER: Signal = Signal { client: false, hung_up: false, other: true };

    fn at(milliseconds: u64) -> Instant {
        // One base for all, so that the order is the one asked for.
        static BASE: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        *BASE.get_or_init(Instant::now) + Duration::from_millis(milliseconds)
    }

    fn waiting(standing: Standing, since: u64) -> Waiting {
        let since = at(since);
        let deadline = since + Duration::from_secs(1);
        Waiting { standing, times: Times { since, heard: since }, deadline, has_no_end_in_sight: false }
    }

    fn enter<T>(table: &ConnectionTable<T>, now: u64) -> Entry<T> {
        table.enter(at(now), |_| true)
    }

    fn enter_and_park(
        table: &ConnectionTable<&'static str>,
        name: &'static str,
        standing: Standing,
        since: u64,
    ) -> Token {
        let Entry::Admitted(token) = enter(table, since) else { panic!("no room for {name}") };
        assert!(table.park(token, Box::new(name), waiting(standing, since)).is_none());
        token
    }

    #[test]
    fn an_event_that_comes_before_the_parking_is_not_lost() {
        let table = ConnectionTable::new(TWO_AND_A_RESERVED_ONE);
        let Entry::Admitted(token) = enter(&table, 0) else { panic!() };
        for signal in [BYTES, END, OTHER, BYTES] {
            assert!(table.take(token, signal).is_none(), "it is driven");
        }
        let (back, signal) = table.park(token, Box::new("a"), waiting(Silent, 0)).expect("handed back at once");
        assert_eq!(signal, Signal { client: true, hung_up: true, other: true });
        assert!(table.park(token, back, waiting(Silent, 0)).is_none(), "the events count once");
        assert_eq!(table.take(token, BYTES), Some(Box::new("a")));
    }

    #[test]
    fn when_full_a_stranger_that_is_silent_goes_before_one_that_shakes_hands() {
        let table = ConnectionTable::new(TWO_AND_A_RESERVED_ONE);
        enter_and_park(&table, "shakes hands", ShakingHands, 0);
        enter_and_park(&table, "silent", Silent, 2);
        let Entry::InPlaceOf(_, (_, gone)) = enter(&table, 1_002) else { panic!("the third may not just enter") };
        assert_eq!(*gone, "silent");
        assert_eq!(table.count(), (2, 0));
    }

    #[test]
    fn who_finds_only_young_handshakes_waits_until_one_is_authorised_or_no_longer_young() {
        let table = ConnectionTable::new(TWO_AND_A_RESERVED_ONE);
        let a = enter_and_park(&table, "a", ShakingHands, 0);
        enter_and_park(&table, "b", ShakingHands, 1);
        assert!(!table.try_again(), "nobody was turned away");
        assert!(matches!(enter(&table, 999), Entry::Full));
        assert!(!table.has_room_again());
        assert!(table.try_again() && !table.try_again(), "it is said once");
        let Entry::InPlaceOf(c, (_, gone)) = enter(&table, 1_000) else { panic!("a is a second old") };
        assert_eq!(*gone, "a");
        assert!(table.take(a, BYTES).is_none());
        assert!(matches!(enter(&table, 1_000), Entry::Full));
        table.set_authorised(c, true);
        assert!(table.has_room_again() && !table.has_room_again(), "it is said once");
        assert!(matches!(enter(&table, 1_000), Entry::Admitted(_)));
    }

    #[test]
    fn where_all_are_authorised_the_longest_idle_goes_after_a_second_and_the_busy_never() {
        let table = ConnectionTable::new(TWO_AND_A_RESERVED_ONE);
        enter_and_park(&table, "busy", Busy, 0);
        enter_and_park(&table, "idle", Idle, 2);
        enter_and_park(&table, "idle longer", Idle, 1);
        assert!(matches!(enter(&table, 1_000), Entry::Full));
        assert!(matches!(table.enter(at(1_001), |_| false), Entry::Full), "its client asks just now");
        let Entry::InPlaceOf(_, (_, gone)) = enter(&table, 1_001) else { panic!() };
        assert_eq!(*gone, "idle longer");
        assert_eq!(table.count(), (3, 2));
    }

    #[test]
    fn strangers_take_no_more_of_the_authorised_than_the_reserved_share() {
        let table = ConnectionTable::new(Capacity { connections: 8, reserved: 2 });
        for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
            enter_and_park(&table, name, Idle, 0);
        }
        for (name, since) in [("one", 2_000), ("two", 2_001)] {
            let Entry::InPlaceOf(token, _) = enter(&table, since) else { panic!("no room for {name}") };
            assert!(table.park(token, Box::new(name), waiting(ShakingHands, since)).is_none());
        }
        assert!(matches!(enter(&table, 2_500), Entry::Full));
        for (now, gone) in [(3_000, "one"), (3_001, "two")] {
            let Entry::InPlaceOf(token, (_, evicted)) = enter(&table, now) else { panic!() };
            assert_eq!(*evicted, gone, "a stranger goes for a stranger");
            assert!(table.park(token, Box::new("next"), waiting(ShakingHands, now)).is_none());
        }
        assert_eq!(table.count(), (8, 6));
    }

    #[test]
    fn driven_connections_are_never_taken_away() {
        let table: ConnectionTable<&str> = ConnectionTable::new(TWO_AND_A_RESERVED_ONE);
        assert!(matches!(enter(&table, 0), Entry::Admitted(_)));
        assert!(matches!(enter(&table, 0), Entry::Admitted(_)));
        assert!(matches!(enter(&table, 100_000), Entry::Full));
    }

    #[test]
    fn a_token_never_fits_a_later_connection_in_the_same_slot() {
        let table = ConnectionTable::new(TWO_AND_A_RESERVED_ONE);
        let old = enter_and_park(&table, "old", Silent, 0);
        assert!(table.take(old, BYTES).is_some());
        table.leave(old);
        let new = enter_and_park(&table, "new", Silent, 1);
        assert_eq!(new.index(), old.index());
        assert!(table.take(old, BYTES).is_none());
        assert!(table.take(new, BYTES).is_some());
    }

    #[test]
    fn what_is_past_its_deadline_can_be_taken_and_nothing_else() {
        let table = ConnectionTable::new(TWO_AND_A_RESERVED_ONE);
        enter_and_park(&table, "late", Silent, 0);
        enter_and_park(&table, "in time", Silent, 500);
        let now = waiting(Silent, 0).deadline;
        let late = table.take_where(usize::MAX, |_, waiting| waiting.deadline <= now);
        assert_eq!(late.iter().map(|(_, name)| **name).collect::<Vec<_>>(), ["late"]);
    }

    #[test]
    fn the_last_to_leave_ends_the_wait() {
        let table: ConnectionTable<&str> = ConnectionTable::new(TWO_AND_A_RESERVED_ONE);
        let Entry::Admitted(token) = enter(&table, 0) else { panic!() };
        assert!(!table.wait_until_empty(Duration::ZERO));
        std::thread::scope(|scope| {
            let wait = scope.spawn(|| table.wait_until_empty(Duration::from_secs(60)));
            table.leave(token);
            assert!(wait.join().unwrap());
        });
    }
}
