//! The observer that counts.

use std::fmt;
use std::sync::Arc;

use crate::deadline::Phase;
use crate::observer::{Access, Event, Observer, Progress, Silent};
use crate::trust::Verdict;

use super::counts::{Counts, FAILED, FULL, PLAIN_HTTP, RESUMED, TIMED_OUT};
use super::ledger::{Client, Ledger};

/// Counts what happens, and hands it on to another observer. Clones count together; one of them is the observer of one server.
#[derive(Clone)]
pub struct Metrics(Arc<Counting>);

struct Counting {
    counts: Counts,
    ledger: Ledger,
    inner: Box<dyn Observer>,
}

impl Metrics {
    /// Counts, and does nothing else.
    pub fn new() -> Self {
        Self::around(Silent)
    }

    /// Counts, and hands everything on to `observer`, a log for example.
    pub fn around(observer: impl Observer + 'static) -> Self {
        Self(Arc::new(Counting { counts: Counts::default(), ledger: Ledger::default(), inner: Box::new(observer) }))
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.0.counts
    }

    /// The authorised clients that are remembered, who was seen last first.
    pub(super) fn clients(&self) -> Vec<Client> {
        self.0.ledger.clients()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Observer for Metrics {
    fn request(&self, access: &Access<'_>) {
        let Counting { counts, ledger, inner } = &*self.0;
        counts.request(access.method, access.status, access.duration, access.bytes);
        match access.verdict {
            Verdict::Authorised(identity) => ledger.note(identity, access.time),
            Verdict::Refused(_) => {
                if let Some(refusal) = access.refusal() {
                    counts.refusal(refusal.code());
                }
            }
        }
        if let Some(outcome) = access.forwarded {
            counts.forwarded(outcome);
        }
        inner.request(access);
    }

    fn progress(&self, progress: &Progress) {
        let Counting { counts, inner, .. } = &*self.0;
        match *progress {
            Progress::Accepted { .. } => counts.accepted.add_one(),
            Progress::Handshake { tls, resumed, duration, .. } => {
                counts.handshake(if resumed { RESUMED } else { FULL }, tls);
                counts.handshake_durations.observe(duration);
            }
        }
        inner.progress(progress);
    }

    fn event(&self, event: &Event<'_>) {
        let Counting { counts, inner, .. } = &*self.0;
        let failed = |result| counts.handshake(result, crate::TlsVersion::Unknown);
        match event {
            Event::HandshakeFailed { failure, .. } => {
                failed(FAILED);
                counts.handshake_failures.add_one(failure.code());
                if let Some(refusal) = failure.refusal() {
                    counts.refusal(refusal.code());
                }
            }
            Event::ProxyRefused { failure, .. } => counts.proxy_refused.add_one(failure.code()),
            Event::PlainHttp { .. } => failed(PLAIN_HTTP),
            Event::TimedOut { phase, .. } => {
                counts.timeouts[*phase as usize].add_one();
                if *phase == Phase::Handshake {
                    failed(TIMED_OUT);
                }
            }
            Event::SessionFailed { .. } => counts.session_failures.add_one(),
            Event::Panicked { .. } => counts.panics.add_one(),
            Event::Shed { .. } => counts.shed.add_one(),
            Event::FloodBegan => counts.floods.add_one(),
            Event::TurnedAway { .. } => counts.turned_away.add_one(),
            Event::AcceptFailed { .. } => counts.accept_failures.add_one(),
            Event::IdleClosed { connections } => counts.idle_closed.add(*connections as u64),
            Event::Reloaded { .. } => counts.reloads[0].add_one(),
            Event::ReloadFailed { .. } => counts.reloads[1].add_one(),
            _ => {}
        }
        inner.event(event);
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floods_and_those_that_are_turned_away_in_them_are_counted() {
        let metrics = Metrics::new();
        metrics.event(&Event::FloodBegan);
        for _ in 0..3 {
            metrics.event(&Event::TurnedAway { remote: ([192, 0, 2, 1], 1).into() });
        }
        assert_eq!((metrics.counts().floods.get(), metrics.counts().turned_away.get()), (1, 3));
    }
}
