//! Who has to go when there is no room for a new connection.
//!
//! Of the clients that are not authorised, in this order:
//! 1. who has sent nothing at all, the longest first: a TCP connection costs its client nothing;
//! 2. who makes no progress: nothing has come from it for [`GRACE`], the longest first;
//! 3. who has shaken hands and was refused;
//! 4. who is still shaking hands, but for longer than [`GRACE`], the longest first.
//!
//! A handshake younger than [`GRACE`] is never cut: its cost is paid already, and it may be that of a good client. Nor is
//! who has been silent for less, while most of those who are silent do speak in time: the first bytes of a good client may be on
//! their way. If nobody else is there, accepting stops for a moment, and new connections wait in the backlog of the listener.
//!
//! That cannot be made to last. Neither bytes that drip nor a flight that is held back makes a handshake younger, so each of
//! those that are spared can go (as 1, 2 or 4) once [`GRACE`] is over: however many strangers keep shaking hands, accepting
//! goes on after one second at most, and then each second at least as many are accepted as strangers may be connected. Who
//! waits in the backlog is accepted in the order of arrival, so a flood of handshakes delays others but locks nobody out.
//! Silent connections are so cheap that a flood of them would fill the backlog too. So in a flood, which is when many had to
//! be cut, no more of them are spared: then they delay nobody. A good client has sent its ClientHello by then, most likely.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// So long a client is given to make progress before it counts as one that makes none.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// After a flood of silent connections it takes so long until they are spared again.
const AFTER_FLOOD: Duration = Duration::from_secs(10);

/// What a connection counts for when there are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Its client has sent nothing yet.
    Silent,
    /// Its client is shaking hands.
    ShakingHands,
    /// Its client has shaken hands and is not authorised.
    Refused,
    /// Its client is authorised, and nothing is under way.
    Idle,
    /// Its client is authorised, and is asking or being answered.
    Busy,
}

impl Standing {
    pub(crate) fn is_authorised(self) -> bool {
        matches!(self, Self::Idle | Self::Busy)
    }
}

/// The times of a parked connection that tell who goes first.
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
    /// All that are not silent, by when they last made progress.
    heard: BTreeSet<(Instant, K)>,
    /// Of these, the refused, likewise.
    refused: BTreeSet<(Instant, K)>,
    /// The others, by when they began.
    shaking_hands: BTreeSet<(Instant, K)>,
    /// So many of the silent were cut, within [`GRACE`] of the first of these.
    cuts: Option<(Instant, usize)>,
    flood_until: Option<Instant>,
}

impl<K: Ord + Copy> Strangers<K> {
    pub(crate) fn new() -> Self {
        Self {
            silent: BTreeSet::new(),
            heard: BTreeSet::new(),
            refused: BTreeSet::new(),
            shaking_hands: BTreeSet::new(),
            cuts: None,
            flood_until: None,
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

    /// Who goes first, to be cut now. `None`: nobody may be.
    pub(crate) fn first_to_go(&mut self, now: Instant) -> Option<K> {
        let in_flood = self.flood_until.is_some_and(|until| now < until);
        let overdue = |set: &BTreeSet<(Instant, K)>| set.first().copied().filter(|entry| is_overdue(entry.0, now));
        let first = match self.silent.first().copied() {
            Some(silent) if in_flood || is_overdue(silent.0, now) => {
                self.note_cut_of_silent(now);
                Some(silent)
            }
            // It speaks soon, or is the next to go: no handshake is cut before it.
            Some(_) => self.refused.first().copied(),
            None => {
                overdue(&self.heard).or_else(|| self.refused.first().copied()).or_else(|| overdue(&self.shaking_hands))
            }
        };
        first.map(|(_, key)| key)
    }

    /// It is a flood if within [`GRACE`] a quarter of those who are silent had to go.
    fn note_cut_of_silent(&mut self, now: Instant) {
        let (since, before) = self.cuts.filter(|(since, _)| !is_overdue(*since, now)).unwrap_or((now, 0));
        self.cuts = Some((since, before + 1));
        if (before + 1) * 4 >= self.silent.len() {
            self.flood_until = Some(now + AFTER_FLOOD);
        }
    }

    /// The same, of those only that have let [`GRACE`] pass.
    pub(crate) fn overdue(&self, now: Instant) -> Option<K> {
        let overdue = |set: &BTreeSet<(Instant, K)>| set.first().filter(|entry| is_overdue(entry.0, now)).copied();
        let first = if self.silent.is_empty() { overdue(&self.heard) } else { overdue(&self.silent) };
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
