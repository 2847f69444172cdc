//! Who has to go when there is no room for a new connection.
//!
//! Of the clients that are not authorised, in this order:
//! 1. a client that has sent nothing at all, the longest first: a TCP connection costs its client nothing;
//! 2. a client that makes no progress: nothing has come from it for [`GRACE`], the longest first;
//! 3. a client that has completed its handshake and was refused;
//! 4. a client that has been in its handshake for longer than [`GRACE`], the longest first.
//!
//! A handshake younger than [`GRACE`] is not cut: its cost is paid already, and it may be that of a good client. Neither is a
//! client that has been silent for less, because the first bytes of a good client may be on their way. If there is no other
//! client to cut, accepting stops for a moment, and new connections wait in the backlog of the listener.
//!
//! Strangers cannot make this last. Neither dripping bytes nor holding back a flight makes a handshake younger, so each one that
//! is spared can be cut (as 1, 2 or 4) once [`GRACE`] is over. However many strangers keep making handshakes, accepting goes on
//! after one second at most.
//!
//! But the backlog may be longer than the table, and connections are accepted from it in the order of arrival. Strangers who
//! fill it could keep others waiting for a minute, because only as many connections a second are accepted as the table holds. So
//! in a flood, that is when many clients of one kind had to be cut, no more of that kind are spared for a while: the oldest goes
//! for each newcomer, and nobody waits. A good client is most likely not among the silent by then, because it has sent its
//! ClientHello. It may be among those in their handshake, and has as long as the flood needs to fill the table.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long a client has to make progress.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// How long after a flood no connections of its kind are spared.
const AFTER_FLOOD: Duration = Duration::from_secs(10);

/// In which order a connection has to go when there are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Its client has sent nothing yet.
    Silent,
    /// Its client is in its handshake.
    ShakingHands,
    /// Its client has completed the handshake and is not authorised.
    Refused,
    /// Its client is authorised, and there is no request.
    Idle,
    /// Its client is authorised, and there is a request or an answer under way.
    Busy,
}

impl Standing {
    pub(crate) fn is_authorised(self) -> bool {
        matches!(self, Self::Idle | Self::Busy)
    }
}

/// The times of a parked connection that decide who goes first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// When its phase began.
    pub(crate) since: Instant,
    /// When its client last made progress.
    pub(crate) heard: Instant,
}

/// The parked connections of clients that are not authorised.
#[derive(Debug)]
pub(crate) struct Strangers<K> {
    silent: BTreeSet<(Instant, K)>,
    /// All others, by when they last made progress.
    heard: BTreeSet<(Instant, K)>,
    /// Of these, the refused, by the same.
    refused: BTreeSet<(Instant, K)>,
    /// The rest of them, by when they began.
    shaking_hands: BTreeSet<(Instant, K)>,
    flood_of_silent: Flood,
    flood_of_handshakes: Flood,
}

/// Whether there is a flood of connections of one kind.
#[derive(Debug, Default)]
struct Flood {
    /// When the current series of cuts began, and how many followed within [`GRACE`].
    cuts: Option<(Instant, usize)>,
    until: Option<Instant>,
}

impl Flood {
    fn is_on(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// It is a flood if at least `many` were cut within [`GRACE`].
    fn note_cut(&mut self, many: usize, now: Instant) {
        let (since, before) = self.cuts.filter(|(since, _)| !is_overdue(*since, now)).unwrap_or((now, 0));
        self.cuts = Some((since, before + 1));
        if before + 1 >= many {
            self.until = Some(now + AFTER_FLOOD);
        }
    }
}

impl<K: Ord + Copy> Strangers<K> {
    pub(crate) fn new() -> Self {
        Self {
            silent: BTreeSet::new(),
            heard: BTreeSet::new(),
            refused: BTreeSet::new(),
            shaking_hands: BTreeSet::new(),
            flood_of_silent: Flood::default(),
            flood_of_handshakes: Flood::default(),
        }
    }

    pub(crate) fn insert(&mut self, key: K, standing: Standing, times: Times) {
        self.change(key, standing, times, |set, entry| {
            set.insert(entry);
        });
    }

    pub(crate) fn remove(&mut self, key: K, standing: Standing, times: Times) {
        self.change(key, standing, times, |set, entry| {
            set.remove(&entry);
        });
    }

    /// Who is to be cut now. `None`: nobody may be cut.
    pub(crate) fn first_to_go(&mut self, now: Instant) -> Option<K> {
        let first = match self.silent.first().copied() {
            Some(silent) if self.flood_of_silent.is_on(now) || is_overdue(silent.0, now) => {
                self.flood_of_silent.note_cut(self.silent.len().div_ceil(4), now);
                Some(silent)
            }
            // It will send something soon or be the next to go. No handshake is cut before it.
            Some(_) => self.refused.first().copied(),
            None => self.first_that_is_not_silent(now),
        };
        first.map(|(_, key)| key)
    }

    /// In a flood no handshake lasts until it is overdue. So the flood ends from time to time, and has to prove itself again:
    /// many good clients at once are not a flood.
    fn first_that_is_not_silent(&mut self, now: Instant) -> Option<(Instant, K)> {
        let first = overdue(&self.heard, now)
            .or_else(|| self.refused.first().copied())
            .or_else(|| overdue(&self.shaking_hands, now));
        if first.is_some_and(|first| !self.refused.contains(&first)) {
            // Half of those in their handshake, and more than one.
            self.flood_of_handshakes.note_cut(self.shaking_hands.len().div_ceil(2).max(2), now);
        }
        first.or_else(|| self.shaking_hands.first().copied().filter(|_| self.flood_of_handshakes.is_on(now)))
    }

    /// The same, but only of those for which [`GRACE`] is over.
    pub(crate) fn overdue(&self, now: Instant) -> Option<K> {
        let first = overdue(if self.silent.is_empty() { &self.heard } else { &self.silent }, now);
        first.map(|(_, key)| key)
    }

    fn change(
        &mut self,
        key: K,
        standing: Standing,
        times: Times,
        change: impl Fn(&mut BTreeSet<(Instant, K)>, (Instant, K)),
    ) {
        let Times { since, heard } = times;
        match standing {
            Standing::Silent => change(&mut self.silent, (since, key)),
            Standing::ShakingHands => {
                change(&mut self.heard, (heard, key));
                change(&mut self.shaking_hands, (since, key));
            }
            Standing::Refused => {
                change(&mut self.heard, (heard, key));
                change(&mut self.refused, (heard, key));
            }
            Standing::Idle | Standing::Busy => {}
        }
    }
}

/// The first, if it is overdue.
fn overdue<K: Ord + Copy>(set: &BTreeSet<(Instant, K)>, now: Instant) -> Option<(Instant, K)> {
    set.first().copied().filter(|entry| is_overdue(entry.0, now))
}

pub(crate) fn is_overdue(since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) >= GRACE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::eviction::Standing::{Busy, Idle, Refused, ShakingHands, Silent};

    const MS: Duration = Duration::from_millis(1);

    /// The names of those who go, one after the other, at a moment; `(name, standing, began, last heard)` in milliseconds.
    fn order(at: u32, clients: &[(&'static str, Standing, u32, u32)]) -> Vec<&'static str> {
        let zero = Instant::now();
        let mut strangers = Strangers::new();
        let times = |since, heard| Times { since: zero + MS * since, heard: zero + MS * heard };
        for (name, standing, since, heard) in clients {
            strangers.insert(*name, *standing, times(*since, *heard));
        }
        let mut gone = Vec::new();
        while let Some(name) = strangers.first_to_go(zero + MS * at) {
            let (_, standing, since, heard) = clients.iter().find(|client| client.0 == name).unwrap();
            strangers.remove(name, *standing, times(*since, *heard));
            gone.push(name);
        }
        gone
    }

    #[test]
    fn the_silent_go_first_then_who_makes_no_progress_then_the_refused_and_old_handshakes_last() {
        let clients = [
            ("young handshake", ShakingHands, 9_500, 9_500),
            ("old handshake", ShakingHands, 7_000, 9_900),
            ("older handshake", ShakingHands, 6_000, 9_901),
            ("refused", Refused, 9_990, 9_990),
            ("stalled", ShakingHands, 8_000, 8_500),
            ("refused and stalled", Refused, 8_000, 8_600),
            ("silent", Silent, 9_000, 9_000),
            ("silent for long", Silent, 8_999, 8_999),
        ];
        // So many more that those who go are no flood.
        let more = "a b c d e f g h i j k l".split(' ').map(|name| (name, ShakingHands, 9_500, 9_500));
        let clients: Vec<_> = clients.into_iter().chain(more).collect();
        let expected = [
            "silent for long",
            "silent",
            "stalled",
            "refused and stalled",
            "refused",
            "older handshake",
            "old handshake",
        ];
        assert_eq!(order(10_000, &clients), expected);
    }

    #[test]
    fn a_handshake_is_spared_for_a_second_and_not_longer_however_much_it_drips() {
        for heard in [0, 500, 999, 1_000] {
            assert_eq!(order(999, &[("a", ShakingHands, 0, heard)]), [""; 0]);
            assert_eq!(order(1_000, &[("a", ShakingHands, 0, heard)]), ["a"]);
        }
    }

    #[test]
    fn who_is_silent_is_spared_for_a_second_until_many_were_cut() {
        let now = Instant::now();
        let (early, late) = (Times { since: now, heard: now }, Times { since: now + GRACE, heard: now + GRACE });
        let mut strangers = Strangers::new();
        (0..2).for_each(|key| strangers.insert(key, Silent, early));
        (2..8).for_each(|key| strangers.insert(key, Silent, late));
        let mut cut = |at| {
            strangers.first_to_go(at).inspect(|key| {
                strangers.remove(*key, Silent, if *key < 2 { early } else { late });
            })
        };
        assert_eq!(cut(now + GRACE - MS), None);
        // One of eight is a straggler.
        assert_eq!(cut(now + GRACE), Some(0));
        // Two are a flood.
        assert_eq!(cut(now + GRACE), Some(1));
        assert_eq!(cut(now + GRACE), Some(2), "no silent one is spared now");
        assert_eq!(cut(now + GRACE + AFTER_FLOOD - MS), Some(3), "nor later");
        let over = now + GRACE + AFTER_FLOOD * 2;
        strangers.insert(9, Silent, Times { since: over, heard: over });
        (4..8).for_each(|key| strangers.remove(key, Silent, late));
        assert_eq!(strangers.first_to_go(over), None, "the flood is over");
    }

    #[test]
    fn who_shakes_hands_is_spared_for_a_second_until_many_were_cut() {
        let now = Instant::now();
        let mut strangers = Strangers::new();
        let times = |key| {
            let since = if key < 2 { now } else { now + GRACE } + MS * key;
            Times { since, heard: since }
        };
        (0..5).for_each(|key| strangers.insert(key, ShakingHands, times(key)));
        let mut cut = |at| strangers.first_to_go(at).inspect(|key| strangers.remove(*key, ShakingHands, times(*key)));
        assert_eq!(cut(now + GRACE - MS), None);
        // One of five is a straggler.
        assert_eq!(cut(now + GRACE), Some(0));
        assert_eq!(cut(now + GRACE), None);
        // Two are a flood.
        assert_eq!(cut(now + GRACE + MS), Some(1));
        let flood = now + GRACE + MS;
        assert_eq!(cut(flood + MS), Some(2), "none is spared now");
        assert_eq!(cut(flood + MS), Some(3), "the longest goes first");
        // Later: as nobody was overdue, it has not shown that it lasts.
        let over = flood + AFTER_FLOOD;
        strangers.insert(9, ShakingHands, Times { since: over, heard: over });
        (4..5).for_each(|key| strangers.remove(key, ShakingHands, times(key)));
        assert_eq!(strangers.first_to_go(over), None, "the flood is over");
    }

    #[test]
    fn who_was_refused_makes_no_flood_of_handshakes() {
        let now = Instant::now();
        let (early, late) = (Times { since: now, heard: now }, Times { since: now + GRACE, heard: now + GRACE });
        let mut strangers = Strangers::new();
        strangers.insert(0, Refused, early);
        strangers.insert(1, ShakingHands, late);
        assert_eq!(strangers.first_to_go(now + GRACE), Some(0));
        strangers.remove(0, Refused, early);
        assert_eq!(strangers.first_to_go(now + GRACE), None);
    }

    #[test]
    fn no_handshake_is_cut_before_who_is_silent() {
        let clients = [("stalled", ShakingHands, 0, 0), ("silent", Silent, 10, 10)];
        assert_eq!(order(1_005, &clients), [""; 0]);
        assert_eq!(order(1_010, &clients), ["silent", "stalled"]);
    }

    #[test]
    fn the_authorised_are_no_strangers() {
        assert_eq!(order(100_000, &[("idle", Idle, 0, 0), ("busy", Busy, 0, 0)]), [""; 0]);
    }

    #[test]
    fn who_has_let_the_grace_pass_is_overdue_and_nobody_else() {
        let now = Instant::now();
        let early = Times { since: now, heard: now };
        let mut strangers = Strangers::new();
        strangers.insert(1, Silent, early);
        strangers.insert(2, ShakingHands, early);
        assert_eq!(strangers.overdue(now + GRACE - MS), None);
        assert_eq!(strangers.overdue(now + GRACE), Some(1));
        strangers.remove(1, Silent, early);
        assert_eq!(strangers.overdue(now + GRACE), Some(2));
    }
}
