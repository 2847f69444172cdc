//! The networks from which a client was authorised lately.

use std::collections::HashSet;
use std::mem;
use std::time::{Duration, Instant};

use crate::client_network::ClientNetwork;

/// How long a network is remembered at least; at most twice as long.
const LATELY: Duration = Duration::from_secs(10 * 60);

/// How many are at least, if more come in that time.
const KNOWN: usize = 8192;

/// The networks from which a client was authorised lately: in this generation, and in the one before.
#[derive(Default)]
pub(super) struct Known {
    current: HashSet<ClientNetwork>,
    previous: HashSet<ClientNetwork>,
    pub(super) generation: u64,
    /// When it began.
    since: Option<Instant>,
}

impl Known {
    pub(super) fn contains(&mut self, network: ClientNetwork, now: Instant) -> bool {
        self.forget(now);
        self.current.contains(&network) || self.previous.contains(&network)
    }

    /// `true`: it was not known.
    pub(super) fn remember(&mut self, network: ClientNetwork, now: Instant) -> bool {
        self.forget(now);
        if self.current.contains(&network) {
            return false;
        }
        if self.current.len() >= KNOWN {
            self.begin_generation(now);
        }
        self.current.insert(network);
        !self.previous.contains(&network)
    }

    pub(super) fn forget(&mut self, now: Instant) {
        match self.since.map(|since| (since, now.saturating_duration_since(since))) {
            Some((_, age)) if age < LATELY => {}
            Some((since, age)) if age < 2 * LATELY => self.begin_generation(since + LATELY),
            _ => {
                self.current.clear();
                self.begin_generation(now);
            }
        }
    }

    fn begin_generation(&mut self, since: Instant) {
        self.previous = mem::take(&mut self.current);
        self.generation += 1;
        self.since = Some(since);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_networks_take_no_more_room_than_some_thousands() {
        let (mut known, now) = (Known::default(), Instant::now());
        let of = |number: u32| ClientNetwork::of(number.to_be_bytes().into());
        for number in 0..1_000_000 {
            assert!(known.remember(of(number), now));
        }
        assert!(known.current.len() + known.previous.len() <= 2 * KNOWN);
        assert!((1_000_000 - KNOWN as u32..1_000_000).all(|number| known.contains(of(number), now)));
    }
}
