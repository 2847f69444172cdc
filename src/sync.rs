//! Locks, and values that are replaced while others use them.

use std::sync::{Arc, LockResult, Mutex, MutexGuard, PoisonError, RwLock};

/// Locks a mutex, even if a thread panicked while it held it. No caller panics halfway through a change, so the data is
/// consistent in any case.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    unpoisoned(mutex.lock())
}

/// The same for the other ways to get a lock: `read`, `write`, and the waits of a condition variable.
pub(crate) fn unpoisoned<G>(result: LockResult<G>) -> G {
    result.unwrap_or_else(PoisonError::into_inner)
}

/// A value that can be replaced at any time. A caller keeps the value it got.
#[derive(Debug)]
pub(crate) struct Current<T>(RwLock<Arc<T>>);

impl<T> Current<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(RwLock::new(Arc::new(value)))
    }

    pub(crate) fn get(&self) -> Arc<T> {
        Arc::clone(&*unpoisoned(self.0.read()))
    }

    pub(crate) fn replace(&self, value: T) {
        *unpoisoned(self.0.write()) = Arc::new(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_was_taken_outlives_its_replacement() {
        let current = Current::new(1);
        let taken = current.get();
        current.replace(2);
        assert_eq!((*taken, *current.get()), (1, 2));
    }

    #[test]
    fn a_thread_that_panicked_keeps_nobody_out() {
        let mutex = Mutex::new(1);
        let panicked = std::thread::scope(|scope| {
            let hold = || {
                let _guard = lock(&mutex);
                std::panic::resume_unwind(Box::new(()));
            };
            scope.spawn(hold).join()
        });
        assert!(panicked.is_err() && mutex.is_poisoned());
        assert_eq!(*lock(&mutex), 1);
    }
}
