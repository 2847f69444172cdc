//! The trust that is in force now.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::Trust;

/// Holds the snapshot in force, and a number that grows with each new one: while the number is the same, a verdict that
/// was reached before needs no new judgement.
#[derive(Debug)]
pub(crate) struct TrustStore {
    current: RwLock<Arc<Trust>>,
    generation: AtomicU64,
}

impl TrustStore {
    pub(crate) fn new(trust: Arc<Trust>) -> Self {
        Self { current: RwLock::new(trust), generation: AtomicU64::new(0) }
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) fn current(&self) -> Arc<Trust> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn replace(&self, trust: Arc<Trust>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = trust;
        // After the snapshot: who sees the new number finds the new snapshot.
        self.generation.fetch_add(1, Ordering::Release);
    }
}
