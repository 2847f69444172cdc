//! The logs: observers that write a line for each request and for each event.
//!
//! [`AccessLog`] writes text for people or JSON for programs; it is the log of the command `mtls-min`. With the feature `log`,
//! `Facade` hands the same text to the `log` crate.
//!
//! ```no_run
//! # use mtls_min::{Server, ServerCertificate, Trust, log::AccessLog};
//! # fn builder() -> Result<mtls_min::Builder, Box<dyn std::error::Error>> {
//! # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! # let certificate = ServerCertificate::from_pem_files("crt.pem", "key.pem")?;
//! # let trust = Trust::from_pem_files(["ca.pem"])?;
//! let log = AccessLog::text(std::io::stderr())?;
//! let builder = Server::builder(listener, certificate, trust).observer(log);
//! # Ok(builder) }
//! ```
//!
//! # What a line holds
//! A request, as text:
//!
//! ```text
//! 2026-11-23T20:41:39.363Z 127.0.0.1:39872 "GET /" 200 81B 34us TLSv1.3 subject="CN=alice"
//! 2026-11-23T20:41:39.371Z 127.0.0.1:39874 "GET /" 401 276B 26us TLSv1.3 refused=no_certificate because="the client sent …" repair="have the client …" ref=dc4092909c2e
//! ```
//!
//! As JSON, an object with `time`, `remote`, `method`, `target`, `status`, `bytes`, `microseconds` and `tls`; then `subject` and
//! `sha256` of an authorised client, or `refused` (the code), `because` and `repair`, and `reference`, the id that the client was
//! told. A refused client's own certificate is `unverified_subject`. `verdict` instead of `refused`: the client is not
//! authorised, but that was not the reason for the answer. `note` is why the server itself answered, or gave up.
//!
//! An event, as text, is a time, `mtls-min:` and a sentence; as JSON, `time`, `event` (its kind), `message`, and where there are
//! any, `remote`, `code` and `repair`.
//!
//! # Limits
//! - A value is cut after 256 characters, and ends with `…`. Control characters, and those that change the direction of text,
//!   are escaped. A line is one line, whatever a client sends.
//! - **Strangers** (clients that are not authorised) cannot flood it: of the lines of one kind that one address causes, four are
//!   written at once and then one a second. The rest are counted: the next line of the kind, or one of its own within three
//!   seconds, has the count as `left_out`, and the first 16 ids that those clients were told as `left_out_refs` (in JSON,
//!   `left_out_references`). An address of IPv6 is its network of 64 bits. Beyond 1,024 addresses and kinds, the rest of each
//!   kind share a count. Lines of authorised clients are never left out.
//! - Lines are written by a thread of its own, some 10 ms after they were made. If the writer stalls, up to 1 MiB of lines wait;
//!   the line that finds no room waits 0.2 s once, and from then on lines are dropped, until there is room. Lines that were
//!   dropped, or could not be written (a writer that panics is one that fails), are counted, and a line says how many, where they would have been.
//! - The last lines are written when the last clone of the log is dropped, as the server does when it has stopped, and by
//!   [`AccessLog::flush`]. Both wait at most a second for each writer. If [connections were cut](crate::Stopped::Cut), their
//!   threads still hold the log, so flush it before the process ends. A process that is killed loses the last 10 ms.

mod access;
mod events;
#[cfg(feature = "log")]
mod facade;
mod file;
mod line;
mod plain;
mod strangers;
mod writer;

use std::io::{self, Write};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Instant, SystemTime};

#[cfg(feature = "cli")]
pub(crate) use self::events::summary;
#[cfg(feature = "log")]
pub use self::facade::Facade;
pub use self::file::{LogFile, Reopener};
pub use self::line::Format;
pub(crate) use self::line::Style;
use self::line::alone;
use self::strangers::{Key, LeftOut, Strangers};
use self::writer::{LineWriter, Lost};
use crate::config::STACK;
use crate::error::Error;
use crate::observer::{Access, Event, Observer};

/// Writes a line for each request and for each event; see [the module](self) for what a line holds and for its limits.
///
/// Clones write the same log.
#[derive(Debug, Clone)]
pub struct AccessLog(Arc<Running>);

impl AccessLog {
    /// Lines of text for people.
    ///
    /// A `writer` without a buffer of its own ([`LogFile`], [`Stderr`](io::Stderr)) is best: lines come to it in
    /// batches, and what it keeps back cannot be counted when it is lost. It is flushed after each batch.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn text(writer: impl Write + Send + 'static) -> Result<Self, Error> {
        Self::to_one(Format::Text.into(), writer)
    }

    /// Lines of JSON for programs, one object a line. The rest is as for [`text`](Self::text).
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn json(writer: impl Write + Send + 'static) -> Result<Self, Error> {
        Self::to_one(Format::Json.into(), writer)
    }

    /// Writes the requests to one writer and the events to another, as the command does with stdout and stderr. If the
    /// requests cannot be written, an event says so.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn split(
        format: Format,
        requests: impl Write + Send + 'static,
        events: impl Write + Send + 'static,
    ) -> Result<Self, Error> {
        Self::split_in(format.into(), requests, events)
    }

    pub(crate) fn split_in(
        style: Style,
        requests: impl Write + Send + 'static,
        events: impl Write + Send + 'static,
    ) -> Result<Self, Error> {
        let events = events_writer(style, events)?;
        let to_say = events.clone();
        let unwritable = move |error: &io::Error| {
            let text = format!("the access log cannot be written, so its lines are lost and counted: {error}");
            to_say.line(|lines| events::notice(style, SystemTime::now(), "access_log_failed", &text, lines));
        };
        let words = move |lost: Lost<'_>| alone(|lines| access::lost(style, SystemTime::now(), &lost, lines));
        let requests = LineWriter::start(requests, words, unwritable).map_err(cannot_start)?;
        Self::start(style, Requests::To(requests), events)
    }

    /// Writes the events only.
    #[cfg(feature = "cli")]
    pub(crate) fn of_events(style: Style, events: impl Write + Send + 'static) -> Result<Self, Error> {
        Self::start(style, Requests::Off, events_writer(style, events)?)
    }

    /// Writes an event of your own, such as where the server listens. `kind` is a word of letters and `_`, for programs.
    pub fn notice(&self, kind: &'static str, text: &str) {
        let Log { style, events, .. } = &*self.0.log;
        events.line(|lines| events::notice(*style, SystemTime::now(), kind, text, lines));
    }

    /// Writes what was left out so far, and waits until all lines are written; at most a second for each writer.
    pub fn flush(&self) {
        let log = &self.0.log;
        log.write_counts(&log.strangers.take_counts());
        log.writers().for_each(LineWriter::flush);
    }

    pub(crate) fn to_one(style: Style, writer: impl Write + Send + 'static) -> Result<Self, Error> {
        Self::start(style, Requests::AmongEvents, events_writer(style, writer)?)
    }

    fn start(style: Style, requests: Requests, events: LineWriter) -> Result<Self, Error> {
        let log = Arc::new(Log { style, requests, events, strangers: Strangers::default() });
        let counting = Arc::clone(&log);
        let thread = thread::Builder::new().name("log-counts".to_owned()).stack_size(STACK);
        let count_writer = thread.spawn(move || counting.write_counts_when_due()).map_err(cannot_start)?;
        Ok(Self(Arc::new(Running { log, count_writer: Some(count_writer) })))
    }
}

impl Observer for AccessLog {
    fn request(&self, access: &Access<'_>) {
        let log = &self.0.log;
        if let Some(requests) = log.requests()
            && let Some(left_out) = log.turn(access::stranger(access), access.request_id)
        {
            requests.line(access::line(log.style, access, &left_out));
        }
    }

    fn event(&self, event: &Event<'_>) {
        let log = &self.0.log;
        if let Some(left_out) = log.turn(events::stranger(event), None) {
            let said = events::said(log.style, event);
            log.events.line(|lines| events::line(log.style, SystemTime::now(), &said, &left_out, lines));
        }
    }
}

/// A log whose threads end with it.
#[derive(Debug)]
struct Running {
    log: Arc<Log>,
    count_writer: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let counts = self.log.strangers.end();
        // It ends when the strangers do.
        let _ = self.count_writer.take().map(JoinHandle::join);
        self.log.write_counts(&counts);
        self.log.writers().for_each(LineWriter::end);
    }
}

#[derive(Debug)]
struct Log {
    style: Style,
    requests: Requests,
    events: LineWriter,
    strangers: Strangers,
}

/// Where the lines of requests go.
#[derive(Debug)]
enum Requests {
    To(LineWriter),
    AmongEvents,
    #[cfg(feature = "cli")]
    Off,
}

impl Log {
    fn requests(&self) -> Option<&LineWriter> {
        match &self.requests {
            Requests::To(writer) => Some(writer),
            Requests::AmongEvents => Some(&self.events),
            #[cfg(feature = "cli")]
            Requests::Off => None,
        }
    }

    /// Each of them once. The events come last, since one may say that requests cannot be written.
    fn writers(&self) -> impl Iterator<Item = &LineWriter> {
        let own = if let Requests::To(writer) = &self.requests { Some(writer) } else { None };
        own.into_iter().chain([&self.events])
    }

    /// Counts of lines that were left out are written even if no further line comes.
    fn write_counts_when_due(&self) {
        while let Some(due) = self.strangers.wait_for_due() {
            self.write_counts(&due);
        }
    }

    fn write_counts(&self, counts: &[(Key, LeftOut)]) {
        let now = SystemTime::now();
        for (key, left_out) in counts {
            if !key.kind.is_request {
                self.events.line(|lines| events::left_out(self.style, now, key, left_out, lines));
            } else if let Some(requests) = self.requests() {
                requests.line(|lines| access::left_out(self.style, now, key, left_out, lines));
            }
        }
    }

    /// `None`: this line is left out. Lines that no client can cause at will are all written.
    fn turn(&self, stranger: Option<Key>, request_id: Option<&str>) -> Option<LeftOut> {
        match stranger {
            Some(key) => self.strangers.turn(key, request_id, Instant::now()),
            None => Some(LeftOut::default()),
        }
    }
}

fn events_writer(style: Style, writer: impl Write + Send + 'static) -> Result<LineWriter, Error> {
    let words = move |lost: Lost<'_>| {
        alone(|lines| events::notice(style, SystemTime::now(), "lines_lost", &lost.to_string(), lines))
    };
    // If it cannot be written, there is nowhere to say so.
    LineWriter::start(writer, words, |_| {}).map_err(cannot_start)
}

/// The line of an event of the command's own, for another stream than the log's.
#[cfg(feature = "cli")]
pub(crate) fn notice_line(style: Style, kind: &'static str, text: &str) -> String {
    alone(|lines| events::notice(style, SystemTime::now(), kind, text, lines))
}

fn cannot_start(error: io::Error) -> Error {
    Error::new("cannot start the log").caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each may be waited for.
    #[test]
    fn a_log_with_one_writer_has_one() {
        let writers = |log: Result<AccessLog, Error>| log.unwrap().0.log.writers().count();
        assert_eq!(writers(AccessLog::text(io::sink())), 1);
        assert_eq!(writers(AccessLog::json(io::sink())), 1);
        assert_eq!(writers(AccessLog::split(Format::Text, io::sink(), io::sink())), 2);
        #[cfg(feature = "cli")]
        assert_eq!(writers(AccessLog::of_events(Format::Text.into(), io::sink())), 1);
    }
}
