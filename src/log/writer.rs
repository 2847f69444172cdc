//! Writes lines on a thread of its own, so that a stalled reader holds up the server only for a moment. Lines wait up to a limit;
//! beyond it they are dropped and counted. None is dropped only because the thread is late. Lines that cannot be written (the
//! disk is full, the pipe is closed) are lost, and counted too.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use super::line::Lines;
use crate::config::STACK;
use crate::panic::caught;
use crate::sync::{lock, unpoisoned};

/// While this many bytes of lines wait, there is no room for another line.
const MOST: usize = 1024 * 1024;

/// More memory for lines than this is only kept while it is needed.
const KEPT: usize = 16 * 1024;

/// How long lines are collected and then written together, which costs far less than a write and a wake-up for each.
const COLLECTING: Duration = Duration::from_millis(10);

/// How long a line waits for room. If there is none then, the reader has stalled.
const PATIENCE: Duration = Duration::from_millis(200);

/// How long `flush` and the end wait for the last lines to be written.
const FAREWELL: Duration = Duration::from_secs(1);

/// Takes lines for one stream. Clones write to the same stream.
#[derive(Debug, Clone)]
pub(super) struct LineWriter(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: Lines,
    /// How many lines were dropped since the last count was written.
    dropped: u64,
    /// The thread waits for a line: all before are written.
    is_idle: bool,
    /// The reader has stalled: lines that find no room do not wait.
    is_stalled: bool,
    /// No more lines come.
    is_over: bool,
    /// The thread has ended.
    is_done: bool,
}

impl State {
    fn has_no_room(&self) -> bool {
        self.lines.text.len() >= MOST
    }
}

/// How many lines are missing, and why.
#[derive(Debug)]
pub(super) enum Lost<'e> {
    /// The reader has stalled.
    Unread(u64),
    /// They could not be written.
    Unwritable(u64, &'e io::Error),
}

impl fmt::Display for Lost<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lost::Unread(lines) => write!(f, "{lines} lines of the log were dropped here, since nobody read them"),
            Lost::Unwritable(lines, error) => {
                write!(f, "{lines} lines of the log were lost here, since they could not be written: {error}")
            }
        }
    }
}

impl LineWriter {
    /// `words` makes the line that says how many lines were lost, where they would have been. `failing` is called when the
    /// stream cannot be written any more, and again only after it could be written meanwhile.
    pub(super) fn start(
        stream: impl Write + Send + 'static,
        words: impl Fn(Lost<'_>) -> String + Send + 'static,
        failing: impl Fn(&io::Error) + Send + 'static,
    ) -> io::Result<Self> {
        // Allocated now: memory that is taken in a burst would keep the burst's from being given back.
        let state = State { lines: Lines::with_capacity(KEPT), ..State::default() };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let own = Arc::clone(&shared);
        let output = Output { stream, words, failing, failed: None, torn: false };
        let thread = thread::Builder::new().name("log".to_owned()).stack_size(STACK);
        thread.spawn(move || own.write_all_to(output))?;
        Ok(Self(shared))
    }

    /// Has a line made, with its line end, to be written soon. It is made where it waits, so other lines wait for it: `make` has
    /// only to write.
    pub(super) fn line(&self, make: impl FnOnce(&mut Lines)) {
        let mut state = self.0.lock();
        if state.has_no_room() && !state.is_stalled {
            // If all processors are busy, the thread gets to write once those that make its lines wait.
            let waits = |state: &mut State| state.has_no_room() && !state.is_stalled;
            let (waited, time) = unpoisoned(self.0.changed.wait_timeout_while(state, PATIENCE, waits));
            state = waited;
            state.is_stalled |= time.timed_out();
        }
        if state.has_no_room() {
            state.dropped += 1;
            return;
        }
        make(&mut state.lines);
        if std::mem::take(&mut state.is_idle) {
            self.0.changed.notify_all();
        }
    }

    /// Waits until all is written, but not for a reader that has stalled.
    pub(super) fn flush(&self) {
        let waits = |state: &mut State| !state.is_idle && !state.is_done;
        let _ = self.0.changed.wait_timeout_while(self.0.lock(), FAREWELL, waits);
    }

    /// The same, and ends the thread: no line comes after it.
    pub(super) fn end(&self) {
        let mut state = self.0.lock();
        state.is_over = true;
        self.0.changed.notify_all();
        let _ = self.0.changed.wait_timeout_while(state, FAREWELL, |state| !state.is_done);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is consistent at any moment: whole lines only, since what makes them does not panic.
        lock(&self.state)
    }

    fn write_all_to(&self, mut output: Output<impl Write, impl Fn(Lost<'_>) -> String, impl Fn(&io::Error)>) {
        // Changes places with those that wait.
        let mut lines = String::with_capacity(KEPT);
        loop {
            let mut state = self.lock();
            while state.lines.text.is_empty() && state.dropped == 0 && !state.is_over {
                state.is_idle = true;
                // Wakes `flush`.
                self.changed.notify_all();
                state = unpoisoned(self.changed.wait(state));
            }
            if !state.is_over {
                // More lines may come, unless the end does.
                let collecting = self.changed.wait_timeout_while(state, COLLECTING, |state| !state.is_over);
                state = unpoisoned(collecting).0;
            }
            std::mem::swap(&mut state.lines.text, &mut lines);
            state.is_stalled = false;
            let (dropped, is_over) = (std::mem::take(&mut state.dropped), state.is_over);
            drop(state);
            // Wakes those who wait for room.
            self.changed.notify_all();
            // An error is counted; serving goes on.
            output.write(&lines, dropped);
            lines.clear();
            lines.shrink_to(KEPT);
            if is_over {
                self.lock().is_done = true;
                return self.changed.notify_all();
            }
        }
    }
}

/// The stream, and the lines that could not be written to it.
struct Output<S, W, F> {
    stream: S,
    words: W,
    failing: F,
    /// While it cannot be written: the first error, and how many lines are lost.
    failed: Option<(io::Error, u64)>,
    /// The last line was written only in part.
    torn: bool,
}

impl<S: Write, W: Fn(Lost<'_>) -> String, F: Fn(&io::Error)> Output<S, W, F> {
    /// Writes lines, and after them how many were `dropped`; before them, how many were lost since the last success.
    fn write(&mut self, lines: &str, dropped: u64) {
        if let Some((error, lost)) = &self.failed {
            let mut told = (self.words)(Lost::Unwritable(*lost, error));
            if self.torn {
                told.insert(0, '\n');
            }
            match self.try_to_write(&told) {
                Ok(()) => self.failed = None,
                Err(_) => return self.lose(lines.as_bytes(), dropped),
            }
        }
        if let Err((error, written)) = self.try_to_write(lines) {
            (self.failing)(&error);
            self.failed = Some((error, 0));
            return self.lose(&lines.as_bytes()[written..], dropped);
        }
        if dropped > 0
            && let Err((error, _)) = self.try_to_write(&(self.words)(Lost::Unread(dropped)))
        {
            (self.failing)(&error);
            self.failed = Some((error, dropped));
        }
    }

    fn lose(&mut self, lines: &[u8], dropped: u64) {
        if let Some((_, lost)) = &mut self.failed {
            *lost += lines.iter().filter(|byte| **byte == b'\n').count() as u64 + dropped;
        }
    }

    /// The error comes with how much was written before it.
    fn try_to_write(&mut self, lines: &str) -> Result<(), (io::Error, usize)> {
        let mut written = 0;
        while written < lines.len() {
            let rest = &lines.as_bytes()[written..];
            match patiently(|| self.stream.write(rest)) {
                Ok(0) => return Err((io::ErrorKind::WriteZero.into(), written)),
                Ok(taken) => {
                    // The stream is code of the application, which may count wrongly.
                    written += taken.min(rest.len());
                    self.torn = lines.as_bytes()[written - 1] != b'\n';
                }
                Err(error) => return Err((error, written)),
            }
        }
        // A stream with a buffer does not say how much of this batch is lost, so all of it counts.
        patiently(|| self.stream.flush()).map_err(|error| (error, 0))
    }
}

/// Tries again if the stream would block: another program that shares it may have made it non-blocking. A panic is an error.
fn patiently<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        let done = caught(&mut attempt);
        match done.unwrap_or_else(|panic| Err(io::Error::other(format!("the writer panicked: {panic}")))) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(COLLECTING),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    /// Everything that is written, up to the end.
    fn read(mut pipe: io::PipeReader) -> thread::JoinHandle<String> {
        thread::spawn(move || {
            let mut text = String::new();
            pipe.read_to_string(&mut text).unwrap();
            text
        })
    }

    fn told(lost: Lost<'_>) -> String {
        match lost {
            Lost::Unread(lines) => format!("{lines} dropped\n"),
            Lost::Unwritable(lines, _) => format!("{lines} lost\n"),
        }
    }

    fn write(log: &LineWriter, line: &str) {
        log.line(|lines| lines.text.push_str(line));
    }

    #[test]
    fn every_line_is_written_in_order_before_the_end() {
        let (reader, writer) = io::pipe().unwrap();
        let log = LineWriter::start(writer, |_| String::new(), |_| {}).unwrap();
        let reading = read(reader);
        let wanted: String = (0..10_000).map(|number| format!("line {number}\n")).collect();
        wanted.split_inclusive('\n').for_each(|line| write(&log, line));
        log.end();
        assert_eq!(reading.join().unwrap(), wanted);
    }

    #[test]
    fn when_flush_returns_all_is_written() {
        let disk = Arc::new(Mutex::new((Vec::new(), usize::MAX)));
        let log = LineWriter::start(io::BufWriter::new(Disk(Arc::clone(&disk))), told, |_| {}).unwrap();
        for number in 1..=3 {
            write(&log, "line\n");
            log.flush();
            assert_eq!(disk.lock().unwrap().0.len(), number * "line\n".len());
        }
        log.end();
    }

    #[test]
    fn memory_is_used_again_and_what_a_burst_took_is_given_back() {
        let log = LineWriter::start(io::sink(), told, |_| {}).unwrap();
        for _ in 0..3 {
            write(&log, &"x".repeat(MOST));
            log.flush();
            assert_eq!(log.0.lock().lines.text.capacity(), KEPT);
        }
        log.end();
    }

    #[test]
    fn no_line_is_dropped_because_lines_come_faster_than_they_are_written() {
        let (reader, writer) = io::pipe().unwrap();
        let log = LineWriter::start(writer, told, |_| {}).unwrap();
        let reading = read(reader);
        let line = "x".repeat(1023) + "\n";
        let wanted = line.repeat(8 * MOST / line.len());
        wanted.split_inclusive('\n').for_each(|line| write(&log, line));
        log.end();
        assert!(reading.join().unwrap() == wanted);
    }

    /// Takes at most 100 bytes at a time, and every other time none.
    struct Reluctant {
        stream: io::PipeWriter,
        refuses: bool,
    }

    impl Reluctant {
        fn unless_refused<T>(&mut self, does: impl FnOnce(&mut io::PipeWriter) -> io::Result<T>) -> io::Result<T> {
            self.refuses = !self.refuses;
            if self.refuses { Err(io::ErrorKind::WouldBlock.into()) } else { does(&mut self.stream) }
        }
    }

    impl Write for Reluctant {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.unless_refused(|stream| stream.write(&bytes[..bytes.len().min(100)]))
        }

        fn flush(&mut self) -> io::Result<()> {
            self.unless_refused(Write::flush)
        }
    }

    #[test]
    fn a_stream_that_does_not_block_gets_whole_lines_all_the_same() {
        let (reader, stream) = io::pipe().unwrap();
        let log = LineWriter::start(Reluctant { stream, refuses: false }, |_| String::new(), |_| {}).unwrap();
        let reading = read(reader);
        let wanted: String = (0..100).map(|number| format!("line {number}\n")).collect();
        wanted.split_inclusive('\n').for_each(|line| write(&log, line));
        log.end();
        assert_eq!(reading.join().unwrap(), wanted);
    }

    /// A disk that is full from some byte on, until there is room again.
    struct Disk(Arc<Mutex<(Vec<u8>, usize)>>);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let (written, room) = &mut *self.0.lock().unwrap();
            let taken = bytes.len().min(*room - written.len());
            written.extend_from_slice(&bytes[..taken]);
            if taken == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_cannot_be_written_is_said_once_and_counted_where_it_would_have_been() {
        let disk = Arc::new(Mutex::new((Vec::new(), 9)));
        let said = Mutex::new(Vec::new());
        let failing = |error: &io::Error| said.lock().unwrap().push(error.kind());
        let mut output = Output { stream: Disk(Arc::clone(&disk)), words: told, failing, failed: None, torn: false };
        output.write("one\n", 0);
        // Torn within a character.
        output.write("twö..ü\nthree\n", 0);
        output.write("four\n", 5);
        assert_eq!(*said.lock().unwrap(), [io::ErrorKind::StorageFull]);
        // Room for a part of the count, then for all of it.
        disk.lock().unwrap().1 = 13;
        output.write("five\n", 0);
        disk.lock().unwrap().1 = 1000;
        output.write("six\n", 0);
        output.write("seven\n", 0);
        let written = String::from_utf8(disk.lock().unwrap().0.clone()).unwrap();
        assert_eq!(written, "one\ntwö.\n8 l\n9 lost\nsix\nseven\n");
        assert_eq!(said.lock().unwrap().len(), 1, "it is one failure until it works again");
    }

    /// Panics at its first write and at its first flush, and then counts wrongly.
    #[derive(Default)]
    struct Faulty {
        disk: Arc<Mutex<Vec<u8>>>,
        has_written: bool,
        has_flushed: bool,
    }

    impl Write for Faulty {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            assert!(std::mem::replace(&mut self.has_written, true), "no disk");
            self.disk.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len() + 1)
        }

        fn flush(&mut self) -> io::Result<()> {
            assert!(std::mem::replace(&mut self.has_flushed, true), "no cache");
            Ok(())
        }
    }

    #[test]
    fn a_writer_that_panics_or_counts_wrongly_does_not_end_the_log() {
        let disk = Arc::default();
        let (said, errors) = std::sync::mpsc::channel();
        let failing = move |error: &io::Error| said.send(error.to_string()).unwrap();
        let log = LineWriter::start(Faulty { disk: Arc::clone(&disk), ..Faulty::default() }, told, failing).unwrap();
        for line in ["one\n", "two\n", "three\n"] {
            write(&log, line);
            log.flush();
        }
        assert!(!log.0.lock().is_done);
        log.end();
        assert!(log.0.lock().is_done);
        assert_eq!(errors.iter().collect::<Vec<_>>(), ["the writer panicked: no disk"]);
        // The first count was written, but could not be flushed.
        assert_eq!(String::from_utf8(disk.lock().unwrap().clone()).unwrap(), "1 lost\n2 lost\nthree\n");
    }

    #[test]
    fn with_a_reader_that_has_stalled_lines_are_dropped_and_counted() {
        let (reader, writer) = io::pipe().unwrap();
        let log = LineWriter::start(writer, told, |_| {}).unwrap();
        let line = "x".repeat(1023) + "\n";
        // More than twice what may wait, what a pipe takes, and what the thread holds.
        for _ in 0..4 * MOST / line.len() {
            write(&log, &line);
        }
        assert!(log.0.lock().dropped > 0);
        // The end does not wait forever.
        log.end();
        let text = read(reader).join().unwrap();
        let (lines, last) = text.trim_end().rsplit_once('\n').unwrap();
        let kept = lines.lines().count();
        let told: usize = last.strip_suffix(" dropped").unwrap().parse().unwrap();
        assert_eq!(kept + told, 4 * MOST / line.len());
        assert!(kept <= 2 * MOST / line.len() + 128, "{kept}");
    }
}
