//! How many workers run at once. A running worker waits for events or drives a connection; it never blocks on a client, so
//! as many as there are processors suffice, and more would only take the work from each other and fall asleep again.
//! The others stand by: what may block is the handler, and whoever goes into one is away for as long. When the last
//! runner goes away another worker is called at once, and for each who goes while handlers are slow. The timekeeper calls
//! more if runners stay away, or are stuck in what should not block: an observer, or the end of a body's reader.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::sync::{lock, unpoisoned};

/// Who was away for longer was missed.
const SLOW: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub(crate) struct Runners {
    most: usize,
    running: AtomicUsize,
    /// The last who came back had been away for long: whoever goes next is replaced at once.
    are_slow: AtomicBool,
    /// A runner has come round to wait for an event since the timekeeper looked.
    came_round: AtomicBool,
    standby: Mutex<Standby>,
    called: Condvar,
}

#[derive(Debug, Default)]
struct Standby {
    waiting: usize,
    /// So many of the waiting have been called, and count as running already.
    called: usize,
    stopped: bool,
}

/// A worker that may block; it runs again when this is dropped.
#[derive(Debug)]
pub(crate) struct Away<'r>(&'r Runners, Instant);

impl Runners {
    /// With `processors`, but at least two: then a worker that is away for a moment need not call another.
    pub(crate) fn new(processors: usize) -> Self {
        Self {
            most: processors.max(2),
            running: AtomicUsize::new(0),
            are_slow: AtomicBool::new(false),
            came_round: AtomicBool::new(false),
            standby: Mutex::default(),
            called: Condvar::new(),
        }
    }

    /// A worker begins: it runs, or stands by until it is called. `false`: it is not needed any more.
    pub(crate) fn begin(&self) -> bool {
        let begun = self.change(|running| (running < self.most).then_some(running + 1));
        begun || self.stand_by()
    }

    /// A running worker goes on, or stands by if too many run. `false`: it is not needed any more.
    pub(crate) fn go_on(&self) -> bool {
        self.came_round.store(true, Ordering::Relaxed);
        let ended = self.change(|running| (running > self.most).then(|| running - 1));
        !ended || self.stand_by()
    }

    /// A running worker does what may block, from `now` on.
    pub(crate) fn away(&self, now: Instant) -> Away<'_> {
        let left = self.running.fetch_sub(1, Ordering::SeqCst) - 1;
        if left == 0 || (left < self.most && self.are_slow.load(Ordering::Relaxed)) {
            self.call();
        }
        Away(self, now)
    }

    /// From time to time: calls as many as are missing; and one more if nobody came round since, though events wait, because
    /// those who run are stuck.
    pub(crate) fn relieve(&self, events_wait: impl FnOnce() -> bool) {
        while self.running.load(Ordering::SeqCst) < self.most && self.call() {}
        if !self.came_round.swap(false, Ordering::Relaxed) && events_wait() {
            self.call();
        }
    }

    /// Ends all standing by.
    pub(crate) fn stop(&self) {
        lock(&self.standby).stopped = true;
        self.called.notify_all();
    }

    fn call(&self) -> bool {
        let mut standby = lock(&self.standby);
        let is_one_there = standby.waiting > standby.called;
        if is_one_there {
            standby.called += 1;
            self.running.fetch_add(1, Ordering::SeqCst);
            self.called.notify_one();
        }
        is_one_there
    }

    fn stand_by(&self) -> bool {
        let mut standby = lock(&self.standby);
        // The last runner may have gone away just before, and found nobody to call.
        if self.change(|running| (running == 0).then_some(1)) {
            return true;
        }
        standby.waiting += 1;
        let wait = self.called.wait_while(standby, |standby| standby.called == 0 && !standby.stopped);
        let mut standby = unpoisoned(wait);
        standby.waiting -= 1;
        let called = standby.called > 0;
        standby.called -= usize::from(called);
        called
    }

    fn change(&self, to: impl Fn(usize) -> Option<usize>) -> bool {
        self.running.fetch_update(Ordering::SeqCst, Ordering::SeqCst, to).is_ok()
    }
}

impl Drop for Away<'_> {
    fn drop(&mut self) {
        self.0.are_slow.store(self.1.elapsed() > SLOW, Ordering::Relaxed);
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
    fn who_goes_away_last_calls_another_until_nobody_is_left() {
        let runners = Runners::new(2);
        let (say, heard) = mpsc::channel();
        thread::scope(|scope| {
            let _stop = Stop(&runners);
            assert!(runners.begin() && runners.begin());
            for number in 0..2 {
                let (runners, say) = (&runners, say.clone());
                scope.spawn(move || {
                    if runners.begin() {
                        say.send(number).unwrap();
                    }
                });
            }
            let first = runners.away(Instant::now());
            assert!(heard.try_recv().is_err(), "one still runs");
            let second = runners.away(Instant::now());
            heard.recv_timeout(PATIENCE).unwrap();
            let third = runners.away(Instant::now());
            heard.recv_timeout(PATIENCE).unwrap();
            let fourth = runners.away(Instant::now());
            assert_eq!(runners.running.load(Ordering::SeqCst), 0);
            drop((first, second, third, fourth));
            assert_eq!(runners.running.load(Ordering::SeqCst), 4);
        });
    }

    #[test]
    fn too_many_stand_by_until_they_are_missed() {
        let runners = Runners::new(2);
        let (say, heard) = mpsc::channel();
        thread::scope(|scope| {
            let _stop = Stop(&runners);
            assert!(runners.begin() && runners.begin() && runners.go_on());
            let away = runners.away(Instant::now());
            runners.running.fetch_add(1, Ordering::SeqCst);
            drop(away);
            scope.spawn(|| {
                assert!(runners.go_on(), "the third of two");
                say.send(()).unwrap();
            });
            while lock(&runners.standby).waiting == 0 {
                thread::yield_now();
            }
            runners.relieve(|| false);
            assert!(heard.try_recv().is_err(), "none is missing");
            let _away = runners.away(Instant::now());
            runners.relieve(|| false);
            heard.recv_timeout(PATIENCE).unwrap();
        });
    }

    #[test]
    fn who_goes_while_handlers_are_slow_is_replaced_at_once() {
        let runners = Runners::new(2);
        let (say, heard) = mpsc::channel();
        thread::scope(|scope| {
            let _stop = Stop(&runners);
            assert!(runners.begin() && runners.begin());
            scope.spawn(|| say.send(runners.begin()).unwrap());
            while lock(&runners.standby).waiting == 0 {
                thread::yield_now();
            }
            drop(runners.away(Instant::now().checked_sub(SLOW * 2).unwrap()));
            let _away = runners.away(Instant::now());
            assert!(heard.recv_timeout(PATIENCE).unwrap());
        });
    }

    #[test]
    fn none_stands_by_after_the_stop() {
        let runners = Runners::new(2);
        runners.stop();
        assert!(runners.begin() && runners.begin());
        assert!(!runners.begin());
    }

    /// Ends the threads of a test, also if it fails.
    struct Stop<'r>(&'r Runners);

    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.stop();
        }
    }
}
