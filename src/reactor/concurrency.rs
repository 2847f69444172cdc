//! How many workers run at once, as the concurrency limit of an I/O completion port, and how many there are.
//!
//! A running worker waits for events or drives a connection. It never blocks on a client, so as many workers as there are
//! processors suffice; more would only take work from each other. The other workers are on standby. They replace those that
//! are in a handler, which may block:
//! - When the last running worker blocks, another is released at once.
//! - While handlers are slow, every worker that blocks is replaced at once.
//! - The timekeeper compensates for those that block for longer, or are stuck where nothing should block: in an observer, or
//!   while a reader of a body is dropped.
//!
//! If none is on standby, a thread is started: while handlers are very slow by the worker that is about to block, else by the
//! timekeeper, which looks again a little later. Handlers that are quick need no further thread, even if all workers
//! happen to be in one. So there are as many threads as block, and as may run. Who was put on standby last is released first:
//! then those that are not needed any more stay on standby, and end after a while.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::sync::lock;

/// A handler that takes longer than this is slow.
const SLOW: Duration = Duration::from_millis(1);

/// One that takes longer than this has not only lost its processor to another thread for a while.
const VERY_SLOW: Duration = Duration::from_millis(10);

/// How often the timekeeper looks before a thread is started for handlers that may be quick.
const LOOKS: u32 = 5;

/// How long a worker is on standby before it ends, if there are more than at the start.
pub(crate) const LONGEST_STANDBY: Duration = Duration::from_secs(10);

/// How many workers there are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// How many may run at once.
    limit: usize,
    /// Of these there are never fewer.
    pub(crate) at_start: usize,
    most: usize,
}

impl Sizes {
    /// One worker runs for each processor, but at least two: then a worker that blocks for a moment need not be replaced. At the
    /// start one more is on standby. With so many in `handlers` at most, there are still as many that run.
    pub(crate) fn new(processors: usize, handlers: usize) -> Self {
        let limit = processors.max(2);
        Self { limit, at_start: limit.saturating_add(1), most: limit.saturating_add(handlers) }
    }

    /// How many handlers there can be with this many threads.
    pub(crate) fn handlers(processors: usize, threads: usize) -> usize {
        threads.saturating_sub(processors.max(2))
    }
}

/// How many workers may run, how many do, and those on standby.
pub(crate) struct Concurrency {
    sizes: Sizes,
    longest_standby: Duration,
    /// Starts a thread that then is a worker. `false`: it cannot.
    start: Box<dyn Fn() -> bool + Send + Sync>,
    running: AtomicUsize,
    /// For how long the worker that unblocked last had been blocking, in microseconds. If that was long, the next one that blocks is
    /// replaced at once.
    last_blocked: AtomicU32,
    /// A worker has returned to wait for an event since the timekeeper last looked.
    has_progressed: AtomicBool,
    /// Too few run, and none was on standby: the timekeeper is to look whether that lasts.
    is_short: AtomicBool,
    timekeeper: OnceLock<Thread>,
    /// The last thread could not be started. Until the timekeeper looks again, no other is tried.
    cannot_start: AtomicBool,
    standby: Mutex<Standby>,
}

#[derive(Debug, Default)]
struct Standby {
    /// Who was put on standby last is last. The others count as running, or are blocked.
    waiting: Vec<Thread>,
    /// How many workers there are in all.
    workers: usize,
    stopped: bool,
}

/// How many workers do what, at about the same moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) running: usize,
    pub(crate) standing_by: usize,
    pub(crate) blocked: usize,
    pub(crate) most: usize,
}

/// A worker that may block. It runs again when this is dropped, at the latest.
pub(crate) struct Blocking<'c>(&'c Concurrency, Instant);

impl Concurrency {
    /// `start` is called on demand, from several threads at a time.
    pub(crate) fn new(
        sizes: Sizes,
        longest_standby: Duration,
        start: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            sizes,
            longest_standby,
            start: Box::new(start),
            running: AtomicUsize::new(0),
            last_blocked: AtomicU32::new(0),
            has_progressed: AtomicBool::new(false),
            is_short: AtomicBool::new(false),
            timekeeper: OnceLock::new(),
            cannot_start: AtomicBool::new(false),
            standby: Mutex::default(),
        }
    }

    /// A thread is about to be started, by another than this: it counts as a running worker from now on.
    pub(crate) fn expect_one(&self) {
        self.count_in(&mut lock(&self.standby));
    }

    /// A worker begins. `false`: it is no longer needed.
    pub(crate) fn begin(&self) -> bool {
        let is_surplus = self.change(|running| (running > self.sizes.limit).then(|| running - 1));
        !is_surplus || self.stand_by()
    }

    /// A running worker goes on, or is put on standby if too many run. `false`: it is no longer needed.
    pub(crate) fn go_on(&self) -> bool {
        self.has_progressed.store(true, Ordering::Relaxed);
        self.begin()
    }

    /// A running worker does what may block, from `now` on.
    pub(crate) fn blocking(&self, now: Instant) -> Blocking<'_> {
        let left = self.running.fetch_sub(1, Ordering::SeqCst) - 1;
        if left < self.sizes.limit {
            let blocked = Duration::from_micros(self.last_blocked.load(Ordering::Relaxed).into());
            if blocked > SLOW || left == 0 {
                self.release(blocked > VERY_SLOW);
            }
        }
        Blocking(self, now)
    }

    /// Called by the timekeeper: releases as many workers as are missing. One more if events wait, but no worker has returned
    /// for one since the last call: then the running ones are stuck.
    pub(crate) fn compensate(&self, events_wait: impl FnOnce() -> bool) {
        self.cannot_start.store(false, Ordering::Relaxed);
        self.release_missing(false);
        if !self.has_progressed.swap(false, Ordering::Relaxed) && events_wait() {
            self.release(true);
        }
    }

    /// The timekeeper sleeps, and looks after the workers if it is needed meanwhile. `false`: the server stops.
    pub(crate) fn sleep(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        let _ = self.timekeeper.set(thread::current());
        while !self.has_stopped() {
            let left = end.saturating_duration_since(Instant::now());
            if self.is_short.swap(false, Ordering::SeqCst) {
                self.look_again();
            } else if left.is_zero() {
                return true;
            } else {
                thread::park_timeout(left);
            }
        }
        false
    }

    /// Too few ran a moment ago. If too few run each time that this looks, or if meanwhile none was done, handlers are slow.
    fn look_again(&self) {
        let mut has_progressed = false;
        for _ in 0..LOOKS {
            has_progressed |= self.has_progressed.swap(false, Ordering::Relaxed);
            thread::sleep(SLOW);
            if self.running.load(Ordering::SeqCst) >= self.sizes.limit {
                has_progressed = true;
                break;
            }
            if !self.has_progressed.load(Ordering::Relaxed) {
                break;
            }
        }
        self.has_progressed.fetch_or(has_progressed, Ordering::Relaxed);
        if self.running.load(Ordering::SeqCst) < self.sizes.limit {
            self.note_blocked(VERY_SLOW * 2);
            self.release_missing(true);
        }
    }

    fn note_blocked(&self, time: Duration) {
        self.last_blocked.store(u32::try_from(time.as_micros()).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// Ends the standby of all workers, for good.
    pub(crate) fn stop(&self) {
        let mut standby = lock(&self.standby);
        standby.stopped = true;
        standby.waiting.iter().chain(self.timekeeper.get()).for_each(Thread::unpark);
    }

    pub(crate) fn has_stopped(&self) -> bool {
        lock(&self.standby).stopped
    }

    /// How many workers there are.
    pub(crate) fn workers(&self) -> usize {
        lock(&self.standby).workers
    }

    /// How many workers run, are on standby, and are in what may block; and how many there may be.
    pub(crate) fn tally(&self) -> Tally {
        let standby = lock(&self.standby);
        let (running, standing_by) = (self.running.load(Ordering::Relaxed), standby.waiting.len());
        let blocked = standby.workers.saturating_sub(running + standing_by);
        Tally { running, standing_by, blocked, most: self.sizes.most }
    }

    fn release_missing(&self, start: bool) {
        while self.running.load(Ordering::SeqCst) < self.sizes.limit && self.release(start) {}
    }

    /// Releases a worker on standby. If there is none, but there can be more, starts one, or has the timekeeper look. `false`:
    /// none is released.
    fn release(&self, start: bool) -> bool {
        let mut standby = lock(&self.standby);
        if let Some(worker) = standby.waiting.pop() {
            self.running.fetch_add(1, Ordering::SeqCst);
            drop(standby);
            worker.unpark();
            return true;
        }
        if standby.stopped || standby.workers >= self.sizes.most || self.cannot_start.load(Ordering::Relaxed) {
            return false;
        }
        if !start {
            drop(standby);
            self.call_the_timekeeper();
            return false;
        }
        self.count_in(&mut standby);
        drop(standby);
        (self.start)() || self.make_do()
    }

    fn call_the_timekeeper(&self) {
        if !self.is_short.swap(true, Ordering::SeqCst)
            && let Some(timekeeper) = self.timekeeper.get()
        {
            timekeeper.unpark();
        }
    }

    /// A thread that was counted could not be started. `true`: another worker was released instead.
    fn make_do(&self) -> bool {
        self.cannot_start.store(true, Ordering::Relaxed);
        lock(&self.standby).workers -= 1;
        // Another worker may have been put on standby in favour of this one.
        self.running.fetch_sub(1, Ordering::SeqCst) == 1 && self.release(false)
    }

    fn count_in(&self, standby: &mut Standby) {
        standby.workers += 1;
        self.running.fetch_add(1, Ordering::SeqCst);
    }

    fn stand_by(&self) -> bool {
        let this = thread::current();
        let mut standby = lock(&self.standby);
        // The last running worker may have blocked just before, and found none to release.
        if self.change(|running| (running == 0).then_some(1)) {
            return true;
        }
        standby.waiting.push(this.clone());
        let end = Instant::now() + self.longest_standby;
        loop {
            if standby.stopped {
                return false;
            }
            let is_surplus = standby.workers > self.sizes.at_start;
            let left = end.saturating_duration_since(Instant::now());
            if is_surplus && left.is_zero() {
                standby.workers -= 1;
                standby.waiting.retain(|waiting| waiting.id() != this.id());
                return false;
            }
            drop(standby);
            if is_surplus {
                thread::park_timeout(left)
            } else {
                thread::park()
            }
            standby = lock(&self.standby);
            if !standby.waiting.iter().any(|waiting| waiting.id() == this.id()) {
                return true;
            }
        }
    }

    fn change(&self, to: impl Fn(usize) -> Option<usize>) -> bool {
        self.running.fetch_update(Ordering::SeqCst, Ordering::SeqCst, to).is_ok()
    }
}

impl Blocking<'_> {
    /// It is over, as of `now`.
    pub(crate) fn end(self, now: Instant) {
        self.0.note_blocked(now.saturating_duration_since(self.1));
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
    use std::sync::mpsc::{Receiver, channel};

    const PATIENCE: Duration = Duration::from_secs(20);

    /// Two may run, and there may be this many. The channel tells of each that is to be started.
    fn two_of(most: usize) -> (Concurrency, Receiver<()>) {
        with_standby_of(PATIENCE, most)
    }

    fn with_standby_of(longest: Duration, most: usize) -> (Concurrency, Receiver<()>) {
        let (say, heard) = channel();
        (
            Concurrency::new(Sizes { limit: 2, at_start: most.min(3), most }, longest, move || say.send(()).is_ok()),
            heard,
        )
    }

    /// As if a thread ran.
    fn run(concurrency: &Concurrency) {
        concurrency.expect_one();
        assert!(concurrency.begin());
    }

    /// As if the one that unblocked last had been in its handler for long.
    fn handlers_are_slow(concurrency: &Concurrency) {
        concurrency.blocking(Instant::now().checked_sub(VERY_SLOW * 2).unwrap()).end(Instant::now());
    }

    fn running(concurrency: &Concurrency) -> usize {
        concurrency.running.load(Ordering::SeqCst)
    }

    fn wait_until_one_is_on_standby(concurrency: &Concurrency) {
        while lock(&concurrency.standby).waiting.is_empty() {
            thread::yield_now();
        }
    }

    #[test]
    fn the_last_worker_that_blocks_releases_another_until_none_is_left() {
        let (concurrency, started) = two_of(4);
        let (say, heard) = channel();
        thread::scope(|scope| {
            let _stop = Stop(&concurrency);
            run(&concurrency);
            run(&concurrency);
            for number in 0..2 {
                let (concurrency, say) = (&concurrency, say.clone());
                concurrency.expect_one();
                scope.spawn(move || {
                    if concurrency.begin() {
                        say.send(number).unwrap();
                    }
                });
            }
            while lock(&concurrency.standby).waiting.len() < 2 {
                thread::yield_now();
            }
            let first = concurrency.blocking(Instant::now());
            assert!(heard.try_recv().is_err(), "one still runs");
            let second = concurrency.blocking(Instant::now());
            heard.recv_timeout(PATIENCE).unwrap();
            let third = concurrency.blocking(Instant::now());
            heard.recv_timeout(PATIENCE).unwrap();
            let fourth = concurrency.blocking(Instant::now());
            assert_eq!(running(&concurrency), 0);
            drop((first, second, third, fourth));
            assert_eq!(running(&concurrency), 4);
            assert!(started.try_recv().is_err(), "there may be no more than four");
        });
    }

    #[test]
    fn who_is_missing_is_replaced_when_the_timekeeper_looks_and_who_is_too_many_stands_by() {
        let (concurrency, started) = two_of(3);
        let (say, heard) = channel();
        thread::scope(|scope| {
            let _stop = Stop(&concurrency);
            run(&concurrency);
            run(&concurrency);
            assert!(concurrency.go_on());
            concurrency.expect_one();
            scope.spawn(|| {
                assert!(concurrency.go_on(), "the third of two");
                say.send(()).unwrap();
            });
            wait_until_one_is_on_standby(&concurrency);
            concurrency.compensate(|| false);
            assert!(heard.try_recv().is_err(), "none is missing");
            let _blocking = concurrency.blocking(Instant::now());
            concurrency.compensate(|| false);
            heard.recv_timeout(PATIENCE).unwrap();
            assert!(started.try_recv().is_err(), "one was on standby");
        });
    }

    #[test]
    fn who_blocks_while_handlers_are_slow_is_replaced_at_once() {
        let (concurrency, started) = two_of(4);
        let (say, heard) = channel();
        thread::scope(|scope| {
            let _stop = Stop(&concurrency);
            run(&concurrency);
            run(&concurrency);
            concurrency.expect_one();
            scope.spawn(|| say.send(concurrency.begin()).unwrap());
            wait_until_one_is_on_standby(&concurrency);
            handlers_are_slow(&concurrency);
            let _blocking = concurrency.blocking(Instant::now());
            assert!(heard.recv_timeout(PATIENCE).unwrap());
            assert!(started.try_recv().is_err(), "one was on standby");
            let _next = concurrency.blocking(Instant::now());
            assert_eq!((started.try_iter().count(), running(&concurrency)), (1, 2), "now none is");
        });
    }

    #[test]
    fn as_many_are_started_as_block_and_may_run_but_no_more_than_the_most() {
        for (most, wanted) in [(1, 1), (2, 2), (3, 3), (10, 10)] {
            let (concurrency, started) = two_of(most);
            (0..concurrency.sizes.at_start.min(2)).for_each(|_| run(&concurrency));
            handlers_are_slow(&concurrency);
            started.try_iter().count();
            let blocked: Vec<_> = (0..most)
                .map(|_| {
                    assert!(running(&concurrency) > 0, "of {most}");
                    concurrency.blocking(Instant::now())
                })
                .collect();
            assert_eq!((running(&concurrency), concurrency.workers()), (0, wanted));
            concurrency.compensate(|| true);
            assert_eq!(started.try_iter().count(), wanted.saturating_sub(2));
            drop(blocked);
        }
    }

    #[test]
    fn none_is_started_for_a_worker_that_blocks_while_another_runs_and_handlers_are_quick() {
        let (concurrency, started) = two_of(10);
        run(&concurrency);
        run(&concurrency);
        for _ in 0..1000 {
            concurrency.blocking(Instant::now()).end(Instant::now());
        }
        let blocked = [(); 2].map(|()| concurrency.blocking(Instant::now()));
        blocked.into_iter().for_each(|blocking| blocking.end(Instant::now()));
        assert!(concurrency.is_short.swap(false, Ordering::SeqCst), "both were in a handler");
        concurrency.look_again();
        assert!(started.try_recv().is_err(), "and are not any more");
        let _blocking = concurrency.blocking(Instant::now());
        concurrency.compensate(|| false);
        assert!(started.try_recv().is_err() && concurrency.is_short.load(Ordering::SeqCst));
        concurrency.look_again();
        assert_eq!(started.try_iter().count(), 1, "it blocks for longer");
        concurrency.compensate(|| true);
        assert_eq!(started.try_iter().count(), 1, "none of those that run has returned, and events wait");
    }

    #[test]
    fn the_timekeeper_looks_soon_when_all_are_in_handlers() {
        let (concurrency, started) = two_of(10);
        run(&concurrency);
        run(&concurrency);
        thread::scope(|scope| {
            let _stop = Stop(&concurrency);
            let sleep = scope.spawn(|| concurrency.sleep(PATIENCE));
            let _blocked = [(); 2].map(|()| concurrency.blocking(Instant::now()));
            (0..2).for_each(|_| started.recv_timeout(PATIENCE / 2).unwrap());
            let _next = concurrency.blocking(Instant::now());
            started.recv_timeout(PATIENCE / 2).expect("handlers are known to be slow");
            concurrency.stop();
            assert!(!sleep.join().unwrap());
        });
    }

    /// No memory, or no more threads of this user: the timekeeper tries again.
    #[test]
    fn what_cannot_be_started_is_not_counted_and_not_tried_again_at_once() {
        let (concurrency, started) = two_of(10);
        run(&concurrency);
        run(&concurrency);
        handlers_are_slow(&concurrency);
        drop(started);
        let blocked = [(); 2].map(|()| concurrency.blocking(Instant::now()));
        assert_eq!((running(&concurrency), concurrency.workers()), (0, 2));
        assert!(concurrency.cannot_start.load(Ordering::Relaxed));
        concurrency.compensate(|| true);
        assert_eq!((running(&concurrency), concurrency.workers()), (0, 2));
        drop(blocked);
        assert_eq!(running(&concurrency), 2);
    }

    /// The timekeeper looks again before it starts one.
    #[test]
    fn no_thread_is_started_while_workers_are_done_in_between() {
        let (concurrency, started) = two_of(10);
        run(&concurrency);
        run(&concurrency);
        let blocked = [(); 2].map(|()| concurrency.blocking(Instant::now()));
        assert!(concurrency.is_short.load(Ordering::SeqCst), "the timekeeper is to look");
        drop(blocked);
        concurrency.look_again();
        assert!(started.try_recv().is_err(), "both run again");
        let _blocked = [(); 2].map(|()| concurrency.blocking(Instant::now()));
        concurrency.look_again();
        assert!(started.try_recv().is_ok() && started.try_recv().is_ok(), "both are stuck");
        assert!(started.try_recv().is_err());
    }

    /// It made room for the one that was expected.
    #[test]
    fn who_is_on_standby_takes_the_place_of_a_thread_that_cannot_be_started() {
        let concurrency = OnceLock::<Concurrency>::new();
        let concurrency: &'static _ = Box::leak(Box::new(concurrency));
        let (say, heard) = channel();
        let start = move || {
            // While it is being started, a worker that had blocked goes on, and the third of two is on standby.
            let concurrency: &'static Concurrency = concurrency.get().unwrap();
            concurrency.running.fetch_add(2, Ordering::SeqCst);
            let say = say.clone();
            thread::spawn(move || say.send(concurrency.go_on()));
            wait_until_one_is_on_standby(concurrency);
            concurrency.running.fetch_sub(1, Ordering::SeqCst);
            false
        };
        let concurrency = concurrency.get_or_init(|| Concurrency::new(Sizes::new(2, 8), PATIENCE, start));
        run(concurrency);
        concurrency.note_blocked(VERY_SLOW * 2);
        let _blocking = concurrency.blocking(Instant::now());
        assert!(heard.recv_timeout(PATIENCE).unwrap());
        assert_eq!((running(concurrency), concurrency.workers()), (1, 1));
    }

    #[test]
    fn who_is_on_standby_for_long_ends_but_those_of_the_start_stay() {
        let (concurrency, _started) = with_standby_of(Duration::from_millis(20), 10);
        let (say, heard) = channel();
        thread::scope(|scope| {
            let _stop = Stop(&concurrency);
            run(&concurrency);
            run(&concurrency);
            for _ in 2..10 {
                concurrency.expect_one();
            }
            for _ in 2..10 {
                let (concurrency, say) = (&concurrency, say.clone());
                scope.spawn(move || say.send(concurrency.begin()));
            }
            for _ in 3..10 {
                assert!(!heard.recv_timeout(PATIENCE).unwrap(), "it has ended");
            }
            assert_eq!(concurrency.workers(), 3);
            assert!(heard.recv_timeout(Duration::from_millis(60)).is_err(), "one more than may run stays");
            let blocked = [(); 2].map(|()| concurrency.blocking(Instant::now()));
            assert!(heard.recv_timeout(PATIENCE).unwrap(), "it was released");
            drop(blocked);
        });
    }

    #[test]
    fn who_was_put_on_standby_last_is_released_first() {
        let (concurrency, _started) = two_of(4);
        let (say, heard) = channel();
        thread::scope(|scope| {
            let _stop = Stop(&concurrency);
            run(&concurrency);
            run(&concurrency);
            for number in 1..=2 {
                let (concurrency, say) = (&concurrency, say.clone());
                concurrency.expect_one();
                scope.spawn(move || {
                    if concurrency.begin() {
                        say.send(number).unwrap();
                    }
                });
                while lock(&concurrency.standby).waiting.len() < number {
                    thread::yield_now();
                }
            }
            let blocked = [(); 2].map(|()| concurrency.blocking(Instant::now()));
            assert_eq!(heard.recv_timeout(PATIENCE), Ok(2));
            drop(blocked);
        });
    }

    #[test]
    fn no_worker_is_on_standby_after_the_stop_and_none_is_started() {
        let (concurrency, started) = two_of(10);
        run(&concurrency);
        run(&concurrency);
        concurrency.stop();
        concurrency.expect_one();
        assert!(!concurrency.begin());
        concurrency.note_blocked(VERY_SLOW * 2);
        let _blocked = [(); 2].map(|()| concurrency.blocking(Instant::now()));
        concurrency.compensate(|| true);
        assert!(started.try_recv().is_err());
    }

    /// Ends the threads of a test, also if it fails.
    struct Stop<'c>(&'c Concurrency);

    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.stop();
        }
    }
}
