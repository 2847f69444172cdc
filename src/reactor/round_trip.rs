//! Shows that the server works: a question that only a worker which takes events from the poller can answer.
//!
//! A timer would go on while every worker is stuck. This does not: the question is a byte in a pipe that is registered with the
//! poller like any socket.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use super::{Interest, Poller};
use crate::sync::{lock, unpoisoned};

/// The token of the pipe. It is one of those that are kept for listeners, and the number of no listener.
pub(crate) const TOKEN: u64 = (u32::MAX as u64) << 32 | (i32::MAX as u64);

/// Questions of other threads to the workers.
#[derive(Debug)]
pub(crate) struct RoundTrip {
    reader: PipeReader,
    writer: PipeWriter,
    questions: Mutex<Questions>,
    answered: Condvar,
    /// The poller could not be told to report the next question.
    is_disarmed: AtomicBool,
}

/// How many there were. An answer is for all that were asked before it.
#[derive(Debug, Default)]
struct Questions {
    asked: u64,
    answered: u64,
}

impl RoundTrip {
    pub(crate) fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        // Nobody may wait here: a full pipe wakes a worker as well as one byte does, and an empty one was read by another.
        rustix::io::ioctl_fionbio(&reader, true)?;
        rustix::io::ioctl_fionbio(&writer, true)?;
        Ok(Self { reader, writer, questions: Mutex::default(), answered: Condvar::new(), is_disarmed: false.into() })
    }

    /// Has the poller report questions.
    pub(crate) fn start(&self, poller: &Poller) -> io::Result<()> {
        poller.add(&self.reader, TOKEN, Interest::Readable)
    }

    /// Asks, and waits for the answer. `false`: there was none in this time.
    pub(crate) fn is_answered_within(&self, time: Duration) -> bool {
        let mut questions = lock(&self.questions);
        questions.asked += 1;
        let this = questions.asked;
        drop(questions);
        match (&self.writer).write(&[1]) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return false,
            _ => {}
        }
        let unanswered = |questions: &mut Questions| questions.answered < this;
        let wait = self.answered.wait_timeout_while(lock(&self.questions), time, unanswered);
        unpoisoned(wait).0.answered >= this
    }

    /// A worker answers. `false`: the next question would not be reported, until [`arm_again`](Self::arm_again).
    pub(crate) fn answer(&self, poller: &Poller) -> bool {
        // First the bytes, then the count: the byte of a question that is not answered here is still to come.
        let _ = (&self.reader).read(&mut [0; 512]);
        let mut questions = lock(&self.questions);
        questions.answered = questions.asked;
        drop(questions);
        self.answered.notify_all();
        self.arm(poller)
    }

    /// Tries again to have questions reported, if that has failed. `false`: it failed again.
    pub(crate) fn arm_again(&self, poller: &Poller) -> bool {
        !self.is_disarmed.load(Ordering::Relaxed) || self.arm(poller)
    }

    fn arm(&self, poller: &Poller) -> bool {
        let is_armed = poller.arm(&self.reader, TOKEN, Interest::Readable).is_ok();
        self.is_disarmed.store(!is_armed, Ordering::Relaxed);
        is_armed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::{Ready, StopSignal};
    use std::thread;

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(50);

    #[test]
    fn only_a_worker_that_takes_events_answers() {
        let stop = StopSignal::new().unwrap();
        let poller = Poller::new(&stop).unwrap();
        let round_trip = RoundTrip::new().unwrap();
        assert!(!round_trip.is_answered_within(SHORT), "nobody works yet");
        round_trip.start(&poller).unwrap();
        assert!(!round_trip.is_answered_within(SHORT), "still nobody");
        thread::scope(|scope| {
            let worker = scope.spawn(|| {
                while let Ok(Ready::Token(TOKEN, _)) = poller.wait(None) {
                    assert!(round_trip.answer(&poller));
                }
            });
            let askers: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..500).all(|_| round_trip.is_answered_within(LONG)))).collect();
            assert!(askers.into_iter().all(|asker| asker.join().unwrap()));
            stop.raise();
            worker.join().unwrap();
            assert!(!round_trip.is_answered_within(SHORT), "it has gone");
        });
    }

    #[test]
    fn questions_that_nobody_takes_block_nobody() {
        let round_trip = RoundTrip::new().unwrap();
        // More than a pipe holds.
        assert!((0..100_000).all(|_| !round_trip.is_answered_within(Duration::ZERO)));
    }
}
