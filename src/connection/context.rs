//! What every connection of a server shares.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime};

use crate::clock::{Clock, Daily, day, days};
use crate::config::{EXPIRES_SOON, Gate, Limits, Timeouts};
use crate::handler::Handler;
use crate::handler::refusal::RefusalPage;
use crate::observer::Observer;
use crate::proxy_protocol::TrustedProxies;
use crate::reactor::concurrency::Concurrency;
use crate::reactor::shares::Shares;
use crate::reactor::throttle::Throttle;
use crate::sync::lock;
use crate::trust::{Refusal, TrustStore};
use crate::x509::identity::Identity;

/// Shared by all connections; nothing here belongs to one of them.
pub(crate) struct Context {
    pub(crate) handler: Box<dyn Handler>,
    pub(crate) refusal_page: Option<RefusalPage>,
    pub(crate) gate: Gate,
    /// The balancers that each connection has to come from, and whose header it has to begin with; if there are any.
    pub(crate) proxies: Option<TrustedProxies>,
    pub(crate) timeouts: Timeouts,
    pub(crate) limits: Limits,
    pub(crate) trust: Arc<TrustStore>,
    /// What a client is refused by that has not shown a certificate.
    pub(crate) no_certificate: Arc<Refusal>,
    pub(crate) observer: Box<dyn Observer>,
    pub(crate) clock: Clock,
    pub(crate) request_ids: RequestIds,
    pub(crate) expiry_notices: ExpiryNotices,
    pub(crate) concurrency: Concurrency,
    pub(crate) shares: Shares,
    pub(crate) throttle: Arc<Throttle>,
    /// The server will stop soon: every response is the last on its connection.
    pub(crate) leaving: AtomicBool,
    /// The server is stopping: nothing new begins.
    pub(crate) draining: AtomicBool,
    /// How many idle connections of clients that are now refused were closed and not reported yet.
    pub(crate) idle_closed: AtomicUsize,
}

impl Context {
    /// Whether every response is the last on its connection.
    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// A shutdown was asked for: goes on for this long, so that clients go elsewhere first. Those of kept connections are asked to in
    /// the second half, when a balancer should not send them back.
    pub(crate) fn leave_within(&self, delay: Duration) {
        thread::sleep(delay / 2);
        self.leaving.store(true, Ordering::SeqCst);
        thread::sleep(delay - delay / 2);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// An idle connection is closed, since its client is now refused.
    pub(super) fn count_idle_closed(&self) {
        self.idle_closed.fetch_add(1, Ordering::Relaxed);
    }

    /// How many such connections there were since the last call.
    pub(crate) fn take_idle_closed(&self) -> usize {
        self.idle_closed.swap(0, Ordering::Relaxed)
    }
}

/// Makes the ids that refused clients are told. They are distinct and carry no information; they need not be secret.
pub(crate) struct RequestIds {
    seed: RandomState,
    count: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new() -> Self {
        Self { seed: RandomState::new(), count: AtomicU64::new(0) }
    }

    pub(crate) fn next(&self) -> String {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        format!("{:012x}", self.seed.hash_one(count) >> 16)
    }
}

/// Reports clients whose certificates expire soon, each once a day.
#[derive(Debug, Default)]
pub(crate) struct ExpiryNotices(Mutex<Daily>);

impl ExpiryNotices {
    /// Whether to report this client now.
    pub(crate) fn are_due(&self, identity: &Identity, now: SystemTime) -> bool {
        if identity.expires_in(now).is_none_or(|left| left >= EXPIRES_SOON) {
            return false;
        }
        lock(&self.0).is_due(identity.sha256(), now)
    }

    /// When this client may have to be reported next, if it stays connected.
    pub(crate) fn next(identity: &Identity, now: SystemTime) -> SystemTime {
        let first = identity.not_after().checked_sub(EXPIRES_SOON);
        let tomorrow = SystemTime::UNIX_EPOCH + days(day(now) + 1);
        first.filter(|first| now <= *first).unwrap_or(tomorrow)
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("gate", &self.gate).finish_non_exhaustive()
    }
}
