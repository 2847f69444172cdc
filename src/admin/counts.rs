//! What is counted: numbers that any thread may add to, without a lock, and that no client can make more.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::deadline::Phase;
use crate::sync::lock;
use crate::tls::session::TlsVersion;
use crate::trust::RefusalCode;

/// The methods that are told apart. Any other is a word of a client's, and counts as `other`.
pub(super) const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", OTHER];

/// The classes of statuses.
pub(super) const CLASSES: [&str; 6] = [OTHER, "1xx", "2xx", "3xx", "4xx", "5xx"];

/// How a handshake ended.
pub(super) const HANDSHAKES: [&str; 5] = ["full", "resumed", "failed", "timed_out", "plain_http"];
pub(super) const FULL: usize = 0;
pub(super) const RESUMED: usize = 1;
pub(super) const FAILED: usize = 2;
pub(super) const TIMED_OUT: usize = 3;
pub(super) const PLAIN_HTTP: usize = 4;

pub(super) const VERSIONS: [TlsVersion; 3] = [TlsVersion::Tls12, TlsVersion::Tls13, TlsVersion::Unknown];

/// What became of what was forwarded: see [`Access::forwarded`](crate::Access::forwarded).
pub(super) const FORWARDED: [&str; 7] =
    ["answered", "unreachable", "timed_out", "closed", "bad_answer", "client_left", OTHER];

const OTHER: &str = "other";

/// In microseconds. Most requests are in the first.
const REQUEST_BOUNDS: &[u64] = &[
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000, 30_000_000, 60_000_000,
];

const HANDSHAKE_BOUNDS: &[u64] = &[
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000,
];

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add_one(&self) {
        self.add(1);
    }

    pub(super) fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Numbers by code. The codes are this crate's, a dozen or two.
#[derive(Debug, Default)]
pub(super) struct ByCode(Mutex<BTreeMap<&'static str, u64>>);

impl ByCode {
    pub(super) fn add_one(&self, code: &'static str) {
        *lock(&self.0).entry(code).or_default() += 1;
    }

    /// Those that have happened.
    pub(super) fn get(&self) -> Vec<(&'static str, u64)> {
        lock(&self.0).iter().map(|(code, count)| (*code, *count)).collect()
    }
}

/// How many durations were at most so long.
#[derive(Debug)]
pub(super) struct Histogram {
    bounds: &'static [u64],
    /// One more than bounds.
    buckets: Box<[Count]>,
    microseconds: Count,
}

impl Histogram {
    fn new(bounds: &'static [u64]) -> Self {
        Self { bounds, buckets: (0..=bounds.len()).map(|_| Count::default()).collect(), microseconds: Count::default() }
    }

    pub(super) fn observe(&self, duration: Duration) {
        let microseconds = duration.as_secs() * 1_000_000 + u64::from(duration.subsec_micros());
        let bucket = self.bounds.iter().position(|bound| microseconds <= *bound).unwrap_or(self.bounds.len());
        self.buckets[bucket].add_one();
        self.microseconds.add(microseconds);
    }

    /// In seconds: the sum; then how many there were in all; then each upper bound, and how many there are up to it and not up to the
    /// one before.
    pub(super) fn read(&self) -> (f64, u64, Vec<(f64, u64)>) {
        let bounds = self.bounds.iter().map(|bound| seconds(*bound)).chain([f64::INFINITY]);
        let buckets: Vec<_> = bounds.zip(self.buckets.iter().map(Count::get)).collect();
        (seconds(self.microseconds.get()), buckets.iter().map(|(_, count)| count).sum(), buckets)
    }
}

fn seconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1e6
}

/// Everything that is counted.
#[derive(Debug)]
pub(super) struct Counts {
    pub(super) accepted: Count,
    pub(super) accept_failures: Count,
    pub(super) shed: Count,
    pub(super) floods: Count,
    pub(super) turned_away: Count,
    pub(super) idle_closed: Count,
    pub(super) handshakes: [[Count; VERSIONS.len()]; HANDSHAKES.len()],
    pub(super) handshake_failures: ByCode,
    /// What came before TLS was not the header of a balancer.
    pub(super) proxy_refused: ByCode,
    pub(super) handshake_durations: Histogram,
    pub(super) session_failures: Count,
    pub(super) requests: [[Count; CLASSES.len()]; METHODS.len()],
    pub(super) request_durations: Histogram,
    pub(super) response_bytes: Count,
    refusals: Box<[Count]>,
    pub(super) forwarded: [Count; FORWARDED.len()],
    pub(super) timeouts: [Count; Phase::ALL.len()],
    pub(super) panics: Count,
    pub(super) reloads: [Count; 2],
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            accepted: Count::default(),
            accept_failures: Count::default(),
            shed: Count::default(),
            floods: Count::default(),
            turned_away: Count::default(),
            idle_closed: Count::default(),
            handshakes: Default::default(),
            handshake_failures: ByCode::default(),
            proxy_refused: ByCode::default(),
            handshake_durations: Histogram::new(HANDSHAKE_BOUNDS),
            session_failures: Count::default(),
            requests: Default::default(),
            request_durations: Histogram::new(REQUEST_BOUNDS),
            response_bytes: Count::default(),
            refusals: RefusalCode::ALL.iter().map(|_| Count::default()).collect(),
            forwarded: Default::default(),
            timeouts: Default::default(),
            panics: Count::default(),
            reloads: Default::default(),
        }
    }
}

impl Counts {
    pub(super) fn request(&self, method: &str, status: u16, duration: Duration, bytes: u64) {
        self.requests[method_number(method)][class_number(status)].add_one();
        self.request_durations.observe(duration);
        self.response_bytes.add(bytes);
    }

    pub(super) fn refusal(&self, code: RefusalCode) {
        self.refusals[code as usize].add_one();
    }

    /// Those that have happened.
    pub(super) fn refusals(&self) -> impl Iterator<Item = (RefusalCode, u64)> {
        let counts = self.refusals.iter().map(Count::get);
        RefusalCode::ALL.iter().copied().zip(counts).filter(|(_, count)| *count > 0)
    }

    pub(super) fn handshake(&self, result: usize, version: TlsVersion) {
        let version = VERSIONS.iter().position(|known| *known == version).unwrap_or(VERSIONS.len() - 1);
        self.handshakes[result][version].add_one();
    }

    pub(super) fn forwarded(&self, outcome: &str) {
        let number = FORWARDED.iter().position(|known| *known == outcome).unwrap_or(FORWARDED.len() - 1);
        self.forwarded[number].add_one();
    }
}

fn method_number(method: &str) -> usize {
    // Most ask for something.
    match method {
        "GET" => 0,
        _ => METHODS.iter().position(|known| *known == method).unwrap_or(METHODS.len() - 1),
    }
}

fn class_number(status: u16) -> usize {
    match usize::from(status / 100) {
        class @ 1..=5 => class,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_its_own_count() {
        let counts = Counts::default();
        for (times, code) in RefusalCode::ALL.iter().enumerate() {
            (0..=times).for_each(|_| counts.refusal(*code));
        }
        let expected: Vec<_> = RefusalCode::ALL.iter().copied().zip(1..).collect();
        assert_eq!(counts.refusals().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_duration_is_in_the_first_bucket_that_it_fits() {
        let histogram = Histogram::new(&[10, 20]);
        for microseconds in [0, 10, 11, 20, 21, 1_000_000] {
            histogram.observe(Duration::from_micros(microseconds));
        }
        let (sum, count, buckets) = histogram.read();
        assert_eq!((sum, count), (1.000062, 6));
        assert_eq!(buckets, [(0.00001, 2), (0.00002, 2), (f64::INFINITY, 2)]);
    }

    #[test]
    fn methods_and_statuses_of_strangers_make_no_new_row() {
        let counts = Counts::default();
        for method in ["-", "get", "BREW", "", "other"] {
            counts.request(method, 400, Duration::ZERO, 0);
        }
        counts.request("OPTIONS", 999, Duration::ZERO, 0);
        assert_eq!(counts.requests[7][4].get(), 5);
        assert_eq!(counts.requests[6][0].get(), 1);
    }
}
