//! The trust that is in force now.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Trust;
use crate::sync::Current;

/// Holds the snapshot in force, and a number that grows with each new snapshot. While the number is the same, an earlier
/// verdict needs no new judgement.
#[derive(Debug)]
pub(crate) struct TrustStore {
    current: Current<Trust>,
    generation: AtomicU64,
}

impl TrustStore {
    pub(crate) fn new(trust: Trust) -> Self {
        Self { current: Current::new(trust), generation: AtomicU64::new(0) }
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) fn current(&self) -> Arc<Trust> {
        self.current.get()
    }

    pub(crate) fn replace(&self, trust: Trust) {
        self.current.replace(trust);
        // After the snapshot: who sees the new number finds the new snapshot.
        self.generation.fetch_add(1, Ordering::Release);
    }
}
