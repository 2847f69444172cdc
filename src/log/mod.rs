//! The log of a server that runs: on stdout one line a request, on stderr what else happens.

mod access;
mod events;
mod line;
mod strangers;
mod writer;

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;
use std::time::{Instant, SystemTime};

pub(crate) use self::events::summary;
pub(crate) use self::line::Form;
use self::strangers::{Key, LeftOut, Strangers};
use self::writer::LineWriter;
use crate::config::STACK;
use crate::error::Error;
use crate::observer::{Access, Event, Observer};

/// Writes the log. Clones write the same one.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    form: Form,
    requests: LineWriter,
    events: LineWriter,
    strangers: Arc<Strangers>,
}

/// Says something about a server that is about to run, before anything can happen that a line of its log would hold up. That
/// nobody listens is no reason to stop.
pub(crate) fn announce(form: Form, kind: &'static str, text: &str) {
    let _ = io::stderr().lock().write_all(events::notice(form, SystemTime::now(), kind, text).as_bytes());
}

impl Log {
    /// # Errors
    /// A thread cannot be started, or stdout has no descriptor left.
    pub(crate) fn start(form: Form) -> Result<Self, Error> {
        let failed = |error| Error::new("cannot start the log").caused_by(error);
        let notice = move |kind, text: &str| events::notice(form, SystemTime::now(), kind, text);
        // If stderr cannot be written, there is nowhere to say so.
        let events = LineWriter::start(io::stderr(), move |lost| notice("lines_lost", &lost.to_string()), |_| {})
            .map_err(failed)?;
        let said = events.clone();
        let unwritable = move |error: &io::Error| {
            let text = format!("the access log cannot be written, so its lines are lost and counted: {error}");
            said.line(&notice("access_log_failed", &text));
        };
        let stdout = unbuffered_stdout().map_err(failed)?;
        let requests = LineWriter::start(stdout, move |lost| access::lost(form, SystemTime::now(), &lost), unwritable)
            .map_err(failed)?;
        let log = Self { form, requests, events, strangers: Arc::default() };
        let counting = log.clone();
        let thread = thread::Builder::new().name("log-counts".to_owned()).stack_size(STACK);
        thread.spawn(move || counting.write_counts()).map_err(failed)?;
        Ok(log)
    }

    /// Says something about the server itself.
    pub(crate) fn say(&self, kind: &'static str, text: &str) {
        self.events.line(&events::notice(self.form, SystemTime::now(), kind, text));
    }

    /// Waits a moment for the last lines to be taken.
    pub(crate) fn finish(&self) {
        self.strangers.end().iter().for_each(|(key, left_out)| self.write_count(key, left_out));
        self.requests.finish();
        self.events.finish();
    }

    /// Counts of lines that were left out are written though no further line comes.
    fn write_counts(&self) {
        while let Some(due) = self.strangers.wait_for_due() {
            due.iter().for_each(|(key, left_out)| self.write_count(key, left_out));
        }
    }

    fn write_count(&self, key: &Key, left_out: &LeftOut) {
        let now = SystemTime::now();
        match key.kind.is_request {
            true => self.requests.line(&access::left_out(self.form, now, key, left_out)),
            false => self.events.line(&events::left_out(self.form, now, key, left_out)),
        }
    }

    /// `None`: this line is left out. The lines that nobody can cause at will are all written.
    fn turn(&self, stranger: Option<Key>, request_id: Option<&str>) -> Option<LeftOut> {
        match stranger {
            Some(key) => self.strangers.turn(key, request_id, Instant::now()),
            None => Some(LeftOut::default()),
        }
    }
}

impl Observer for Log {
    fn request(&self, access: &Access<'_>) {
        if let Some(left_out) = self.turn(access::stranger(access), access.request_id) {
            self.requests.line(&access::line(self.form, access, &left_out));
        }
    }

    fn event(&self, event: &Event<'_>) {
        if let Some(left_out) = self.turn(events::stranger(event), None) {
            self.events.line(&events::line(self.form, SystemTime::now(), event, &left_out));
        }
    }
}

/// That of std keeps what it could not write, and tries again later: nobody could tell how much of it was lost.
fn unbuffered_stdout() -> io::Result<File> {
    io::stdout().as_fd().try_clone_to_owned().map(File::from)
}
