//! What unknown networks may have while the machine is busy: tokens, and time.

use std::hash::BuildHasher;
use std::time::{Duration, Instant};

use crate::client_network::ClientNetwork;

/// How many handshakes an unknown network may begin at once, after a pause: a browser makes six connections.
const TOKENS: u32 = 8;

/// How long it takes until it has one more.
const TOKEN_TIME: Duration = Duration::from_millis(250);

/// For how many networks there are buckets. Networks that share one by chance share its tokens.
const BUCKETS: usize = 8192;

/// The handshakes with a token get this part of the time of all processors: one of so many.
const SHARE: u32 = 8;

/// As much of that time as comes in this long can be saved up. It is short, since everybody else waits meanwhile.
const SAVED: Duration = Duration::from_millis(4);

/// After what they had while the machine was idle, they wait no longer than this, and for the last part of it.
const OVERDRAWN: Duration = Duration::from_millis(20);

/// By chance two of the few networks of a test could share a bucket.
#[cfg(test)]
type Secret = std::hash::BuildHasherDefault<std::hash::DefaultHasher>;
#[cfg(not(test))]
type Secret = std::hash::RandomState;

/// The tokens of unknown networks. Which of them share a bucket cannot be foretold, so nobody can use up those of a certain other.
pub(super) struct Buckets {
    secret: Secret,
    start: Instant,
    /// When each is full again, in milliseconds since the start. Zeroed memory is not used before it is touched.
    full_at: Box<[u64]>,
}

impl Buckets {
    pub(super) fn new() -> Self {
        Self { secret: Secret::default(), start: Instant::now(), full_at: vec![0; BUCKETS].into() }
    }

    /// Takes a token. `false`: there is none.
    pub(super) fn take(&mut self, network: ClientNetwork, now: Instant) -> bool {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let now = milliseconds(now.saturating_duration_since(self.start));
        let full_at = &mut self.full_at[self.secret.hash_one(network) as usize % BUCKETS];
        let after = now.max(*full_at) + milliseconds(TOKEN_TIME);
        let has_one = after <= now + milliseconds(TOKEN_TIME * TOKENS);
        if has_one {
            *full_at = after;
        }
        has_one
    }
}

/// The time that handshakes with a token get.
pub(super) struct Budget {
    processors: u32,
    /// What they had is paid by then, as their part of the time passes. If that is over, they can have more.
    paid_until: Option<Instant>,
}

impl Budget {
    pub(super) fn new(processors: usize) -> Self {
        Self { processors: u32::try_from(processors).unwrap_or(u32::MAX).max(1), paid_until: None }
    }

    /// How long they have to wait for more.
    pub(super) fn pause(&self, now: Instant) -> Duration {
        self.paid_until.map_or(Duration::ZERO, |paid| paid.saturating_duration_since(now))
    }

    pub(super) fn spend(&mut self, time: Duration, now: Instant) {
        let saved = now.checked_sub(SAVED).unwrap_or(now);
        let from = self.paid_until.map_or(saved, |paid| paid.max(saved));
        let price = time * SHARE / self.processors;
        self.paid_until = Some((from + price).min(now + price.max(OVERDRAWN)));
    }
}
