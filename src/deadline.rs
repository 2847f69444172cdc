//! What a connection waits for, and how long at most. Every wait belongs to a phase, so that a log line can say *what* timed
//! out. Every deadline is a total for its phase, and single bytes do not push it back; only that of a tunnel is for its
//! silence.

use std::fmt;
use std::time::{Duration, Instant};

use crate::config::Timeouts;

/// The phase of a connection's life in which it waits: for its client, or for another program that makes the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// From the accepted connection to the end of a balancer's PROXY header, where each connection begins with one. Its time is
    /// part of that of the handshake.
    Proxy,
    /// From the accepted connection, or the end of the PROXY header, to the end of the TLS handshake.
    Handshake,
    /// From the end of the handshake, or the first byte of a later request, to the end of the request head.
    Head,
    /// While the request body arrives.
    Body,
    /// While the request waits until others of the same client are out of their handlers.
    Turn,
    /// While another program makes the response, and nothing of it is there that the client could take.
    Upstream,
    /// While the client takes the response.
    Answer,
    /// After an upgrade, while bytes go both ways.
    Tunnel,
    /// Between two requests.
    Idle,
    /// After the last response, until the client has closed too.
    Linger,
}

impl Phase {
    /// Every phase, in the order of its number.
    pub(crate) const ALL: [Phase; 10] = [
        Phase::Proxy,
        Phase::Handshake,
        Phase::Head,
        Phase::Body,
        Phase::Turn,
        Phase::Upstream,
        Phase::Answer,
        Phase::Tunnel,
        Phase::Idle,
        Phase::Linger,
    ];

    /// The phase's name in logs: one lower-case word.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Proxy => "proxy",
            Phase::Handshake => "handshake",
            Phase::Head => "head",
            Phase::Body => "body",
            Phase::Turn => "turn",
            Phase::Upstream => "upstream",
            Phase::Answer => "answer",
            Phase::Tunnel => "tunnel",
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

/// The pace of a body. Time is cut into periods, and in each of them enough bytes have to move.
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

    /// Begins anew: what is there to be taken has only just come. `moved` is how many bytes have moved in all.
    pub(crate) fn restart(&mut self, moved: u64, now: Instant, timeouts: &Timeouts) {
        *self = Self { deadline: now + timeouts.transfer, moved };
    }

    /// Adds the time for which the server itself was busy.
    pub(crate) fn excuse(&mut self, time: Duration) {
        self.deadline += time;
    }

    /// At the end of a period: begins the next one. `moved` is how many bytes have moved in all. `false`: too few in this period.
    pub(crate) fn next_period(&mut self, moved: u64, now: Instant, timeouts: &Timeouts) -> bool {
        let enough = moved.saturating_sub(self.moved) >= timeouts.least_transfer();
        self.restart(moved, now, timeouts);
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_phase_has_its_number() {
        assert!(Phase::ALL.iter().enumerate().all(|(number, phase)| *phase as usize == number));
    }

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
