//! What a worker has at hand for whichever connection it drives: what all of them share, the time, and memory that it uses
//! again. Each method leaves a worker whole, so that a panic in between spoils nothing.

use std::mem;
use std::time::{Instant, SystemTime};

use http::Uri;
use http::request::Parts;

use super::context::Context;
use crate::clock::{Moment, SecondText};
use crate::http1::empty_parts;

/// Handed down from a thread to what it does for a connection.
pub(crate) struct Worker<'c> {
    pub(crate) context: &'c Context,
    /// As of when the connection was taken up, or of what took long since.
    pub(super) now: Moment,
    /// For what comes in, and for what goes out.
    pub(super) input: Buffer,
    pub(super) output: Buffer,
    pub(super) parts: SpareParts,
    /// For bytes that pass through: whoever reads into it uses only what it has read. Empty until it is first needed.
    pub(super) scratch: Vec<u8>,
    date: SecondText,
}

impl<'c> Worker<'c> {
    /// Allocates at once: what is allocated during a burst may keep the burst's memory from being returned to the system.
    pub(crate) fn new(context: &'c Context) -> Self {
        let mut parts = empty_parts();
        parts.headers.reserve(SpareParts::USUAL_FIELDS);
        Self {
            context,
            // The clock is the application's and may fail, and nobody is judged before it is asked.
            now: Moment { instant: Instant::now(), time: SystemTime::UNIX_EPOCH },
            input: Buffer(Vec::with_capacity(Buffer::MOST)),
            output: Buffer(Vec::with_capacity(Buffer::MOST)),
            parts: SpareParts(Some(Box::new(parts))),
            scratch: Vec::new(),
            date: SecondText::new(httpdate::fmt_http_date),
        }
    }

    /// A connection is taken up, or a request of it: reads both clocks.
    pub(super) fn look_at_the_clocks(&mut self) {
        self.now = self.context.clock.moment();
    }

    /// Something took its time: reads the monotonic clock, and takes the time of day to have moved with it.
    pub(super) fn time_has_passed(&mut self) {
        self.now = self.now.later();
    }

    /// Does what may block, such as code of the application; another worker may take this one's place meanwhile.
    pub(super) fn may_block<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let blocking = self.context.concurrency.blocking(self.now.instant);
        let done = work();
        self.time_has_passed();
        blocking.end(self.now.instant);
        done
    }

    /// The value of `Date` as of now (RFC 9110, section 6.6.1).
    pub(super) fn date(&mut self) -> &str {
        self.date.at(self.now.time)
    }
}

/// Memory for bytes that is used again.
pub(super) struct Buffer(Vec<u8>);

impl Buffer {
    /// No more than this is kept.
    const MOST: usize = 4096;

    /// Empty.
    pub(super) fn take(&mut self) -> Vec<u8> {
        mem::take(&mut self.0)
    }

    /// Keeps this memory for the next, unless it has better.
    pub(super) fn give_back(&mut self, mut used: Vec<u8>) {
        if used.capacity().min(Self::MOST) > self.0.capacity() {
            used.clear();
            used.shrink_to(Self::MOST);
            self.0 = used;
        }
    }

    /// Bytes that last longer than the turn of a connection, from `start` on: they get memory of about their own size, so that a
    /// client which is waited for costs no more than that.
    pub(super) fn part_with(&mut self, bytes: &mut Vec<u8>, start: usize) {
        let length = bytes.len() - start;
        if length <= Self::MOST.max(bytes.capacity() / 2) {
            let kept = bytes[start..].to_vec();
            self.give_back(mem::replace(bytes, kept));
        } else {
            bytes.drain(..start);
        }
    }
}

/// Memory for the head of a request that is used again.
pub(super) struct SpareParts(Option<Box<Parts>>);

impl SpareParts {
    /// A browser sends about as many.
    const USUAL_FIELDS: usize = 12;

    /// Memory for more fields is not kept. The map has room for three quarters of a power of two.
    const MOST_FIELDS: usize = 24;

    /// To be taken; its fields are empty.
    pub(super) fn spare(&mut self) -> &mut Option<Box<Parts>> {
        &mut self.0
    }

    /// Keeps this memory for the next.
    pub(super) fn give_back(&mut self, mut used: Box<Parts>) {
        if used.headers.capacity() <= Self::MOST_FIELDS {
            used.headers.clear();
            used.uri = Uri::default();
            self.0 = Some(used);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn no_more_memory_is_kept_than_a_usual_request_needs() {
        let mut buffer = Buffer(Vec::new());
        buffer.give_back(Vec::with_capacity(100_000));
        assert!((Buffer::MOST..=2 * Buffer::MOST).contains(&buffer.0.capacity()), "{}", buffer.0.capacity());
        let with_room_for = |fields| {
            let mut parts = Box::new(empty_parts());
            parts.headers.reserve(fields);
            let mut spare = SpareParts(None);
            spare.give_back(parts);
            spare.0.map(|parts| parts.headers.capacity())
        };
        assert_eq!(with_room_for(24), Some(24));
        assert_eq!(with_room_for(25), None);
    }

    #[test]
    fn what_is_used_again_is_empty_and_no_worse_than_what_was_there() {
        let mut buffer = Buffer(Vec::new());
        buffer.give_back(b"secret".to_vec());
        buffer.give_back(Vec::new());
        let again = buffer.take();
        assert_eq!((&again[..], again.capacity()), (&b""[..], 6));
        let mut full = Buffer(Vec::with_capacity(Buffer::MOST));
        let own = full.0.as_ptr();
        full.give_back(Vec::with_capacity(100_000));
        assert_eq!(full.0.as_ptr(), own, "memory of a burst does not take its place");
        let (mut spare, mut used) = (SpareParts(None), Box::new(empty_parts()));
        used.headers.insert(http::header::HOST, http::HeaderValue::from_static("a"));
        used.uri = Uri::from_static("/secret");
        spare.give_back(used);
        let again = spare.0.unwrap();
        assert!(again.headers.is_empty() && again.headers.capacity() > 0 && again.uri == "/");
    }

    #[test]
    fn what_lasts_gets_memory_of_its_own_size_and_the_rest_is_used_again() {
        for (length, start, kept) in
            [(100, 0, 100), (100, 40, 60), (100, 100, 0), (2048, 0, 2048), (4096, 0, 4096), (5000, 0, 8192)]
        {
            let mut buffer = Buffer(Vec::new());
            let mut bytes = Vec::with_capacity(4096);
            bytes.extend((0..length).map(|n| n as u8));
            let rest = bytes[start..].to_vec();
            buffer.part_with(&mut bytes, start);
            assert_eq!(bytes, rest);
            assert_eq!((bytes.capacity(), buffer.0.capacity() > 0), (kept, kept <= 4096));
        }
    }

    #[test]
    fn a_date_is_that_of_its_second() {
        let mut date = SecondText::new(httpdate::fmt_http_date);
        let at = |milliseconds| SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds);
        for (time, text) in [
            (at(0), "Thu, 01 Jan 1970 00:00:00 GMT"),
            (at(999), "Thu, 01 Jan 1970 00:00:00 GMT"),
            (at(1000), "Thu, 01 Jan 1970 00:00:01 GMT"),
            (at(784_111_777_500), "Sun, 06 Nov 1994 08:49:37 GMT"),
            (at(500), "Thu, 01 Jan 1970 00:00:00 GMT"),
            (at(u64::MAX / 2), "Fri, 31 Dec 9999 23:59:59 GMT"),
            (SystemTime::UNIX_EPOCH - Duration::from_secs(2), "Thu, 01 Jan 1970 00:00:00 GMT"),
        ] {
            assert_eq!(date.at(time), text);
        }
    }
}
