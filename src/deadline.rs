//! What a connection waits for, and how long at most. Every wait is in one of these phases, so that a log line can say
//! *what* timed out; every deadline is a total for its phase and is not pushed back by single bytes.

use std::fmt;
use std::time::Duration;

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

/// The longest time each phase may take.
#[derive(Debug, Clone)]
pub(crate) struct Timeouts {
    pub(crate) handshake: Duration,
    pub(crate) head: Duration,
    pub(crate) idle: Duration,
    pub(crate) linger: Duration,
    pub(crate) drain: Duration,
    /// Bodies, up and down: how long before the pace counts.
    pub(crate) transfer: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            linger: Duration::from_secs(5),
            drain: Duration::from_secs(10),
            transfer: Duration::from_secs(30),
        }
    }
}

impl Timeouts {
    /// How long a body may take of which `bytes` have moved so far: a fixed time, and a second for every
    /// [`BYTES_PER_SECOND`]. A large body may take long, a slow one may not.
    pub(crate) fn transfer_of(&self, bytes: u64) -> Duration {
        self.transfer.saturating_add(Duration::from_millis(bytes.saturating_mul(1000) / BYTES_PER_SECOND))
    }
}

/// The slowest pace of a body that is waited for.
pub(crate) const BYTES_PER_SECOND: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_a_second_does_not_hold_a_transfer_open() {
        let timeouts = Timeouts::default();
        assert!(timeouts.transfer_of(31) < Duration::from_secs(31));
        assert_eq!(timeouts.transfer_of(4096 * 60), Duration::from_secs(90));
        assert!(timeouts.transfer_of(u64::MAX) > Duration::from_secs(90), "no overflow");
    }
}
