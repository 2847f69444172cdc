//! How many workers run at once, as the concurrency limit of an I/O completion port.
//!
//! A running worker waits for events or drives a connection. It never blocks on a client, so as many workers as there are
//! processors suffice; more would only take work from each other. The other workers are on standby. They replace those that
//! are in a handler, which may block:
//! - When the last running worker blocks, another is released at once.
//! - While handlers are slow, every worker that blocks is replaced at once.
//! - The timekeeper compensates for those that block for longer, or are stuck where nothing should block: in an observer, or
//!   while a reader of a body is dropped.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::sync::{lock, unpoisoned};

/// A handler that takes longer than this is slow.
const SLOW: Duration = Duration::from_millis(1);

/// How many workers may run, how many do, and those on standby.
#[derive(Debug)]
pub(crate) struct Concurrency {
    limit: usize,
    running: AtomicUsize,
    /// The worker that unblocked last had been blocking for long: the next one that blocks is replaced at once.
    handlers_are_slow: AtomicBool,
    /// A worker has returned to wait for an event since the timekeeper last looked.
    has_progressed: AtomicBool,
    standby: Mutex<Standby>,
    released: Condvar,
}

#[derive(Debug, Default)]
struct Standby {
    waiting: usize,
    /// How many of the waiting have been released. They count as running already.
    released: usize,
    stopped: bool,
}

/// A worker that may block. It runs again when this is dropped, at the latest.
#[derive(Debug)]
pub(crate) struct Blocking<'c>(&'c Concurrency, Instant);

impl Concurrency {
    /// One worker for each processor, but at least two: then a worker that blocks for a moment need not be replaced.
    pub(crate) fn new(processors: usize) -> Self {
        Self {
            limit: processors.max(2),
            running: AtomicUsize::new(0),
            handlers_are_slow: AtomicBool::new(false),
            has_progressed: AtomicBool::new(false),
            standby: Mutex::default(),
            released: Condvar::new(),
        }
    }

    /// A worker begins: it runs, or is on standby until it is released. `false`: it is no longer needed.
    pub(crate) fn begin(&self) -> bool {
        let begun = self.change(|running| (running < self.limit).then_some(running + 1));
        begun || self.stand_by()
    }

    /// A running worker goes on, or is put on standby if too many run. `false`: it is no longer needed.
    pub(crate) fn go_on(&self) -> bool {
        self.has_progressed.store(true, Ordering::Relaxed);
        let ended = self.change(|running| (running > self.limit).then(|| running - 1));
        !ended || self.stand_by()
    }

    /// A running worker does what may block, from `now` on.
    pub(crate) fn blocking(&self, now: Instant) -> Blocking<'_> {
        let left = self.running.fetch_sub(1, Ordering::SeqCst) - 1;
        if left == 0 || (left < self.limit && self.handlers_are_slow.load(Ordering::Relaxed)) {
            self.release();
        }
        Blocking(self, now)
    }

    /// Called by the timekeeper: releases as many workers as are missing. One more if events wait, but no worker has returned
    /// for one since the last call: then the running ones are stuck.
    pub(crate) fn compensate(&self, events_wait: impl FnOnce() -> bool) {
        while self.running.load(Ordering::SeqCst) < self.limit && self.release() {}
        if !self.has_progressed.swap(false, Ordering::Relaxed) && events_wait() {
            self.release();
        }
    }

    /// Ends the standby of all workers, for good.
    pub(crate) fn stop(&self) {
        lock(&self.standby).stopped = true;
        self.released.notify_all();
    }

    /// Releases a worker on standby. `false`: there is none.
    fn release(&self) -> bool {
        let mut standby = lock(&self.standby);
        let is_one_there = standby.waiting > standby.released;
        if is_one_there {
            standby.released += 1;
            self.running.fetch_add(1, Ordering::SeqCst);
            self.released.notify_one();
        }
        is_one_there
    }

    fn stand_by(&self) -> bool {
        let mut standby = lock(&self.standby);
        // The last running worker may have blocked just before, and found none to release.
        if self.change(|running| (running == 0).then_some(1)) {
            return true;
        }
        standby.waiting += 1;
        let wait = self.released.wait_while(standby, |standby| standby.released == 0 && !standby.stopped);
        let mut standby = unpoisoned(wait);
        standby.waiting -= 1;
        let released = standby.released > 0;
        standby.released -= usize::from(released);
        released
    }

    fn change(&self, to: impl Fn(usize) -> Option<usize>) -> bool {
        self.running.fetch_update(Ordering::SeqCst, Ordering::SeqCst, to).is_ok()
    }
}

impl Blocking<'_> {
    /// It is over, as of `now`.
    pub(crate) fn end(self, now: Instant) {
        self.0.handlers_are_slow.store(now.saturating_duration_since(self.1) > SLOW, Ordering::Relaxed);
    }
}

impl Drop for Blocking<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_add(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn the_last_worker_that_blocks_releases_another_until_none_is_left() {
        let concurrency = Concurrency::new(2);
        let (say, heard) = mpsc::channel();
        thread::scope(|scope| {
            let _stop = Stop(&concurrency);
            assert!(concurrency.begin() && concurrency.begin());
            for number in 0..2 {
                let (concurrency, say) = (&concurrency, say.clone());
                scope.spawn(move || {
                    if concurrency.begin() {
                        say.send(number).unwrap();
                    }
                });
            }
            let first = concurrency.blocking(Instant::now());
            assert!(heard.try_recv().is_err(), "one still runs");
            let second = concurrency.blocking(Instant::now());
            heard.recv_timeout(PATIENCE).unwrap();
            let third = concurrency.blocking(Instant::now());
            heard.recv_timeout(PATIENCE).unwrap();
            let fourth = concurrency.blocking(Instant::now());
            assert_eq!(concurrency.running.load(Ordering::SeqCst), 0);
            drop((first, second, third, fourth));
            assert_eq!(concurrency.running.load(Ordering::SeqCst), 4);
        });
    }

    #[test]
    fn more_than_the_limit_are_on_standby_until_they_are_needed() {
        let concurrency = Concurrency::new(2);
        let (say, heard) = mpsc::channel();
        thread::scope(|scope| {
            let _stop = Stop(&concurrency);
            assert!(concurrency.begin() && concurrency.begin() && concurrency.go_on());
            let blocking = concurrency.blocking(Instant::now());
            concurrency.running.fetch_add(1, Ordering::SeqCst);
            drop(blocking);
            scope.spawn(|| {
                assert!(concurrency.go_on(), "the third of two");
                say.send(()).unwrap();
            });
            while lock(&concurrency.standby).waiting == 0 {
                thread::yield_now();
            }
            concurrency.compensate(|| false);
            assert!(heard.try_recv().is_err(), "none is missing");
            let _blocking = concurrency.blocking(Instant::now());
            concurrency.compensate(|| false);
            heard.recv_timeout(PATIENCE).unwrap();
        });
    }

    #[test]
    fn who_blocks_while_handlers_are_slow_is_replaced_at_once() {
        let concurrency = Concurrency::new(2);
        let (say, heard) = mpsc::channel();
        thread::scope(|scope| {
            let _stop = Stop(&concurrency);
            assert!(concurrency.begin() && concurrency.begin());
            scope.spawn(|| say.send(concurrency.begin()).unwrap());
            while lock(&concurrency.standby).waiting == 0 {
                thread::yield_now();
            }
            concurrency.blocking(Instant::now().checked_sub(SLOW * 2).unwrap()).end(Instant::now());
            let _blocking = concurrency.blocking(Instant::now());
            assert!(heard.recv_timeout(PATIENCE).unwrap());
        });
    }

    #[test]
    fn no_worker_is_on_standby_after_the_stop() {
        let concurrency = Concurrency::new(2);
        concurrency.stop();
        assert!(concurrency.begin() && concurrency.begin());
        assert!(!concurrency.begin());
    }

    /// Ends the threads of a test, also if it fails.
    struct Stop<'c>(&'c Concurrency);

    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.stop();
        }
    }
}
