//! What a connection waits for, and how long at most. Every wait is in one of these phases, so that a log line can say
//! *what* timed out; every deadline is a total for its phase and is not pushed back by single bytes.

use std::fmt;
use std::time::{Duration, Instant};

use crate::config::Timeouts;

/// The phase of a connection's life in which it waits for its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// From the accepted connection to the end of the TLS handshake.
    Handshake,
    /// From the end of the handshake, or the first byte of a later request, to the end of the request head.
    Head,
    /// While the request body arrives.
    Body,
    /// While the client takes the response.
    Answer,
    /// Between two requests.
    Idle,
    /// After the last response, until the client has closed too.
    Linger,
}

impl Phase {
    /// The phase's name in logs: one lower-case word.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Handshake => "handshake",
            Phase::Head => "head",
            Phase::Body => "body",
            Phase::Answer => "answer",
            Phase::Idle => "idle",
            Phase::Linger => "linger",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Watches the pace of a body. Time is cut into periods; in each, enough has to move.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// When the period ends.
    pub(crate) deadline: Instant,
    /// How much had moved when it began.
    moved: u64,
}

impl Pace {
    pub(crate) fn start(now: Instant, timeouts: &Timeouts) -> Self {
        Self { deadline: now + timeouts.transfer, moved: 0 }
    }

    /// The server itself was busy for a while, which is no fault of the client.
    pub(crate) fn excuse(&mut self, time: Duration) {
        self.deadline += time;
    }

    /// At the end of a period: begins the next one if enough has moved, of `moved` bytes in all. `false`: too slow.
    pub(crate) fn next_period(&mut self, moved: u64, now: Instant, timeouts: &Timeouts) -> bool {
        let enough = moved.saturating_sub(self.moved) >= timeouts.least_transfer();
        *self = Self { deadline: now + timeouts.transfer, moved };
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_may_take_long_but_not_be_slow() {
        let timeouts = Timeouts::default();
        let enough = 30 * 4096;
        assert_eq!(timeouts.least_transfer(), enough);
        let mut now = Instant::now();
        let mut pace = Pace::start(now, &timeouts);
        for period in 1..100 {
            now += timeouts.transfer;
            assert_eq!(pace.deadline, now);
            assert!(pace.next_period(period * enough, now, &timeouts));
        }
        assert!(!pace.next_period(100 * enough - 1, now, &timeouts), "a byte short");
    }
}
