//! Keeps strangers (clients that are not authorised) from flooding the log: of the lines of one kind that one address causes, a
//! few are written at once and then one a second. The others are counted, and the count is written.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::client_network::ClientNetwork;
use crate::sync::{lock, unpoisoned};

/// How often a line of one kind from one address is written.
const PACE: Duration = Duration::from_secs(1);

/// How many are written at once after a pause of as many times the pace: a browser has several connections.
const AT_ONCE: u32 = 4;

/// The most addresses and kinds that are told apart. Beyond that, each kind has one count for all addresses.
const MOST: usize = 1024;

/// The most request ids that are written with a count.
const MOST_REQUEST_IDS: usize = 16;

/// An address and a kind of line.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// `None`: all addresses beyond those that are told apart.
    pub(super) address: Option<IpAddr>,
    pub(super) kind: Kind,
}

/// A kind of line: its name, and the code in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    /// Whether it is a line of the access log.
    pub(super) is_request: bool,
    pub(super) name: &'static str,
    pub(super) code: &'static str,
}

impl Key {
    pub(super) fn new(address: IpAddr, kind: Kind) -> Self {
        Self { address: Some(ClientNetwork::of(address).address()), kind }
    }
}

/// The lines of one kind that were left out since the last one that was written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct LeftOut {
    pub(super) count: u64,
    /// The ids of the first of these requests.
    pub(super) request_ids: Vec<String>,
}

/// How many lines each address and kind has had lately.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    table: Mutex<Table>,
    changed: Condvar,
}

impl Strangers {
    /// `Some`: the line is to be written, with the count of those left out before it. `None`: it is left out.
    pub(super) fn turn(&self, key: Key, request_id: Option<&str>, now: Instant) -> Option<LeftOut> {
        let mut table = self.lock();
        let turn = table.turn(key, request_id, now);
        if std::mem::take(&mut table.is_asleep) {
            self.changed.notify_all();
        }
        turn
    }

    /// Waits until counts are due for which no further line has come. `None`: the log has ended.
    pub(super) fn wait_for_due(&self) -> Option<Vec<(Key, LeftOut)>> {
        let mut table = self.lock();
        while table.entries.is_empty() && !table.is_over {
            table.is_asleep = true;
            table = unpoisoned(self.changed.wait(table));
        }
        let waited = self.changed.wait_timeout_while(table, PACE, |table| !table.is_over);
        table = unpoisoned(waited).0;
        (!table.is_over).then(|| table.due(Instant::now()))
    }

    /// All counts that are not written yet.
    pub(super) fn take_counts(&self) -> Vec<(Key, LeftOut)> {
        let mut table = self.lock();
        let counts = table.entries.iter_mut().filter(|(_, entry)| entry.left_out.count > 0);
        counts.map(|(key, entry)| (key.clone(), std::mem::take(&mut entry.left_out))).collect()
    }

    /// The same, and ends the wait for counts.
    pub(super) fn end(&self) -> Vec<(Key, LeftOut)> {
        self.lock().is_over = true;
        self.changed.notify_all();
        self.take_counts()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // The counts are consistent at any moment.
        lock(&self.table)
    }
}

#[derive(Debug, Default)]
struct Table {
    entries: HashMap<Key, Entry>,
    /// The thread that writes counts waits for the first entry.
    is_asleep: bool,
    is_over: bool,
}

#[derive(Debug)]
struct Entry {
    /// Each line that is written moves it on by the pace. If it is too far ahead of the clock, no line is written.
    paid_until: Instant,
    left_out: LeftOut,
}

impl Entry {
    fn may_write(&self, now: Instant) -> bool {
        self.paid_until <= now + PACE * (AT_ONCE - 1)
    }

    /// Two lines could be written: for one pace no line has come that would have carried the count.
    fn is_due(&self, now: Instant) -> bool {
        self.left_out.count > 0 && self.paid_until <= now + PACE * (AT_ONCE - 2)
    }

    /// Counts a line that is written now.
    fn write(&mut self, now: Instant) -> LeftOut {
        self.paid_until = self.paid_until.max(now) + PACE;
        std::mem::take(&mut self.left_out)
    }
}

impl Table {
    fn turn(&mut self, mut key: Key, request_id: Option<&str>, now: Instant) -> Option<LeftOut> {
        if self.entries.len() >= MOST && !self.entries.contains_key(&key) {
            key.address = None;
        }
        let entry = self.entries.entry(key).or_insert(Entry { paid_until: now, left_out: LeftOut::default() });
        if entry.may_write(now) {
            return Some(entry.write(now));
        }
        let LeftOut { count, request_ids } = &mut entry.left_out;
        *count += 1;
        request_ids.extend(request_id.filter(|_| request_ids.len() < MOST_REQUEST_IDS).map(str::to_owned));
        None
    }

    /// The counts that are to be written now. Entries without a line for a while are forgotten.
    fn due(&mut self, now: Instant) -> Vec<(Key, LeftOut)> {
        let mut due = Vec::new();
        self.entries.retain(|key, entry| {
            if entry.is_due(now) {
                due.push((key.clone(), entry.write(now)));
            }
            entry.left_out.count > 0 || entry.paid_until > now
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: Kind = Kind { is_request: true, name: "refused", code: "no_certificate" };

    fn key(number: u32) -> Key {
        Key::new(IpAddr::from(number.to_be_bytes()), REFUSED)
    }

    #[test]
    fn some_lines_are_written_at_once_and_then_one_a_second_with_the_count() {
        let (mut table, start) = (Table::default(), Instant::now());
        for _ in 0..AT_ONCE {
            assert_eq!(table.turn(key(1), Some("a"), start), Some(LeftOut::default()));
        }
        let mut written = 0;
        let mut counted = 0;
        // A thousand a second, for ten seconds.
        for millisecond in 0..10_000 {
            let now = start + Duration::from_millis(millisecond);
            if let Some(left_out) = table.turn(key(1), Some("b"), now) {
                written += 1;
                counted += left_out.count;
                assert_eq!(left_out.request_ids.len(), MOST_REQUEST_IDS);
            }
        }
        assert_eq!(written, 9, "at 1 s, 2 s … 9 s");
        let due = |table: &mut Table, milliseconds| table.due(start + Duration::from_millis(milliseconds));
        assert!(due(&mut table, 10_999).is_empty(), "a line may still come, and tell it");
        let due = due(&mut table, 11_000);
        assert_eq!(due.len(), 1);
        assert_eq!(counted + due[0].1.count + written, 10_000, "none is lost");
        assert!(table.due(start + Duration::from_secs(12)).is_empty(), "and none is told twice");
    }

    #[test]
    fn addresses_and_kinds_do_not_keep_each_other_out() {
        let (mut table, now) = (Table::default(), Instant::now());
        while table.turn(key(1), None, now).is_some() {}
        assert!(table.turn(key(2), None, now).is_some());
        assert!(table.turn(Key { kind: Kind { code: "expired", ..REFUSED }, ..key(1) }, None, now).is_some());
        assert!(table.turn(Key { kind: Kind { is_request: false, ..REFUSED }, ..key(1) }, None, now).is_some());
    }

    #[test]
    fn a_million_addresses_take_no_more_room_than_a_thousand() {
        let (mut table, now) = (Table::default(), Instant::now());
        let mut written = 0;
        for number in 0..1_000_000 {
            written += u32::from(table.turn(key(number), Some("0123456789ab"), now).is_some());
        }
        assert_eq!(table.entries.len(), MOST + 1);
        assert_eq!(written as usize, MOST + AT_ONCE as usize);
        // A while later they are forgotten, and others are told apart.
        let later = now + Duration::from_secs(60);
        assert_eq!(table.due(later).len(), 1);
        table.due(later + PACE);
        assert!(table.entries.is_empty());
    }
}
