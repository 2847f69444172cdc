//! A response on its way, until it is logged; then the next request, or the end.

use std::borrow::Cow;
use std::mem;
use std::os::fd::BorrowedFd;
use std::time::Instant;

use http::Method;
use http::uri::PathAndQuery;

use super::closing::half_close;
use super::context::Context;
use super::link::Link;
use super::response_body::{Answer, GivenUp, Progress};
use super::worker::Worker;
use super::{Stage, Turn};
use crate::clock::Moment;
use crate::deadline::{Pace, Phase};
use crate::escape::visible;
use crate::http1::{Framing, Head, empty_parts};
use crate::observer::{Access, Event};
use crate::reactor::Interest;
use crate::trust::Verdict;

/// A response on its way.
pub(super) struct Sending {
    pub(super) answer: Answer,
    pub(super) pace: Pace,
    pub(super) keep: bool,
    /// The client has said that it sends nothing more, and everything it sent was read.
    pub(super) client_is_done: bool,
    pub(super) asked: Asked,
    pub(super) status: u16,
    /// Why the server itself answers, or why the handler answers so.
    pub(super) note: Option<Cow<'static, str>>,
    /// Server-sent events, which end when one side goes.
    pub(super) is_event_stream: bool,
    /// Since when the client has had all that has arrived of the body, and more is waited for.
    pub(super) starved: Option<Instant>,
}

/// How a request was answered, for the log.
pub(super) struct Done<'a> {
    pub(super) now: Instant,
    pub(super) status: u16,
    /// Handed to TLS.
    pub(super) bytes: u64,
    pub(super) note: Option<&'a str>,
}

impl<'a> Done<'a> {
    /// There was no response, most likely because the client left before: there is no status, and this number is known from nginx.
    pub(super) fn left(why: &'a str, now: Instant) -> Self {
        Self { now, status: 499, bytes: 0, note: Some(why) }
    }
}

/// A request, for the response and for the log.
pub(super) struct Asked {
    /// When its connection was taken up to read the end of its head.
    pub(super) since: Moment,
    pub(super) parts: Box<http::request::Parts>,
    pub(super) keep_alive: bool,
    /// The client asked for the connection to be closed, and no body of it is left unread.
    pub(super) client_is_done: bool,
    /// Whether `parts` is what the client sent.
    pub(super) readable: bool,
    pub(super) verdict: Verdict,
    /// The id in the page that a refused client gets.
    pub(super) request_id: Option<String>,
    /// What has become of it so far, if it was forwarded: see [`Access::forwarded`].
    pub(super) forwarded: Option<&'static str>,
}

/// After a response of at most this many bytes, a client that said it is done needs no lingering: all of it is on its way
/// in one flight.
const QUICK_FAREWELL: u64 = 8 * 1024;

const CLIENT_LEFT: &str = "the client left before the response's end";

/// Why an answer without an end in sight ends all the same.
pub(super) const NO_LONGER_LET_IN: &str = "the client is no longer let in";

impl Sending {
    pub(super) fn send(mut self, link: &mut Link, worker: &mut Worker<'_>) -> Turn {
        let context = worker.context;
        let begun = worker.now.instant;
        if self.has_no_end_in_sight()
            && !link.still_admits(&self.asked.parts, &self.asked.verdict, worker.now.time, context)
        {
            return self.cut(NO_LONGER_LET_IN, begun, link, context);
        }
        if self.starved.is_some() && link.session.has_left() {
            return self.cut(CLIENT_LEFT, begun, link, context);
        }
        // It comes from a socket that may be replaced by another.
        link.other_armed = None;
        let sent = self.answer.sent;
        let has_reader = self.answer.has_reader();
        let mut scratch = mem::take(&mut worker.scratch);
        let mut advance = || self.answer.advance(&mut link.session, !self.keep, &mut scratch);
        let advanced = if has_reader {
            worker.may_block(advance)
        } else {
            let advanced = advance();
            worker.time_has_passed();
            advanced
        };
        worker.scratch = scratch;
        match advanced {
            Ok(Progress::Starved) => self.starve(sent, link, worker),
            Ok(Progress::Blocked | Progress::Paused) => {
                match self.starved.take() {
                    Some(_) => self.pace.restart(sent, worker.now.instant, &context.timeouts),
                    // The body's reader may have taken its time.
                    None => self.pace.excuse(worker.now.instant - begun),
                }
                link.deadline = self.pace.deadline;
                link.times.heard = begun;
                self.answer.part_with_memory(&mut worker.output);
                Stage::Answer(Box::new(self)).wait(Interest::Writable)
            }
            Ok(Progress::Done) => {
                self.log(None, worker.now.instant, link, context);
                self.end(link, worker)
            }
            Err(given_up) => {
                let note = match given_up {
                    GivenUp::Tls => {
                        // The note says so already, and the alert is on its way; let it arrive.
                        self.log(None, worker.now.instant, link, context);
                        return half_close(link, worker);
                    }
                    GivenUp::Network => CLIENT_LEFT.to_owned(),
                    GivenUp::Reader(error) => {
                        format!("the reader of the response's body failed: {}", visible(&error.to_string()))
                    }
                    GivenUp::Panicked(message) => {
                        context.observer.event(&Event::Panicked { remote: link.remote, message: &message });
                        "the reader of the response's body panicked".to_owned()
                    }
                };
                // What came before the failure goes out. A client that got nothing at all may take it for an unlucky moment of
                // a kept connection, and ask again for what was done already (RFC 9110, section 9.2.2).
                let _ = link.session.flush();
                self.cut(&note, worker.now.instant, link, context)
            }
        }
    }

    /// The client has had all that has arrived of the body. `sent`: what it had before.
    fn starve(mut self, sent: u64, link: &mut Link, worker: &mut Worker<'_>) -> Turn {
        let now = worker.now.instant;
        let nothing_came = self.answer.sent == sent;
        let since = self.starved.filter(|_| nothing_came).unwrap_or(now);
        self.starved = Some(since);
        link.deadline = since + worker.context.timeouts.tunnel;
        link.spared &= nothing_came;
        self.answer.part_with_memory(&mut worker.output);
        if self.answer.has_no_end_in_sight() {
            // It may last for days, and only method and target are looked at again.
            self.asked.parts.headers = http::HeaderMap::new();
        }
        Stage::Answer(Box::new(self)).wait(Interest::End)
    }

    /// Ends the connection before the end of the answer, so that the client notices.
    pub(super) fn cut(&self, why: &str, now: Instant, link: &Link, context: &Context) -> Turn {
        self.log(Some(why), now, link, context);
        Stage::Idle.close()
    }

    /// The socket that it waits for.
    pub(super) fn source(&self) -> Option<BorrowedFd<'_>> {
        self.starved.and_then(|_| self.answer.source())
    }

    /// Whether it may go on for as long as whoever makes it likes, so that the client has to be judged meanwhile.
    pub(super) fn has_no_end_in_sight(&self) -> bool {
        self.answer.has_no_end_in_sight() || self.starved.is_some()
    }

    /// Whether nothing is missing if it ends now: the next event would be waited for, and its client asks again.
    pub(super) fn may_end_at_any_time(&self) -> bool {
        self.is_event_stream && self.starved.is_some()
    }

    /// At the end of a period: the next one begins if the client has taken enough of the answer.
    pub(super) fn next_period(mut self: Box<Self>, link: &mut Link, worker: &Worker<'_>) -> Turn {
        if self.starved.is_some() {
            let why = "nothing came of the response's body for too long";
            return self.cut(why, worker.now.instant, link, worker.context);
        }
        if self.pace.next_period(self.answer.sent, worker.now.instant, &worker.context.timeouts) {
            link.deadline = self.pace.deadline;
            // A worker has to go on: what follows the answer may be a handler.
            return Stage::Answer(self).wait(Interest::Writable);
        }
        link.report_timeout(Phase::Answer, worker.context);
        self.cut("the client took the response too slowly", worker.now.instant, link, worker.context)
    }

    /// All of it is sent.
    fn end(self, link: &mut Link, worker: &mut Worker<'_>) -> Turn {
        let Self { answer, asked, keep, client_is_done, .. } = self;
        let small = answer.sent <= QUICK_FAREWELL;
        worker.output.give_back(answer.into_memory());
        worker.parts.give_back(asked.parts);
        if keep {
            return idle(link, worker);
        }
        // The client will get all of it, unless it has sent bytes that nobody reads: they would make the system reset the connection.
        match client_is_done && small && link.input.is_empty() && link.session.discard_farewell() {
            true => Stage::Idle.close(),
            false => half_close(link, worker),
        }
    }

    fn log(&self, given_up: Option<&str>, now: Instant, link: &Link, context: &Context) {
        let note = given_up.or(self.note.as_deref());
        self.asked.log(Done { now, status: self.status, bytes: self.answer.sent, note }, link, context);
    }
}

impl Asked {
    /// A request, with the verdict on it.
    pub(super) fn new(head: Head, verdict: Verdict, since: Moment) -> Self {
        let Head { parts, keep_alive, .. } = head;
        Self {
            since,
            parts,
            keep_alive,
            client_is_done: !keep_alive,
            readable: true,
            verdict,
            request_id: None,
            forwarded: None,
        }
    }

    /// For a request whose head could not be read: answered as HTTP/1.1 with this method.
    pub(super) fn unread(method: Method, verdict: Verdict, since: Moment) -> Self {
        let mut parts = empty_parts();
        parts.method = method;
        let head = Head { parts: Box::new(parts), framing: Framing::None, keep_alive: false, expects_continue: false };
        Self { client_is_done: false, readable: false, ..Self::new(head, verdict, since) }
    }

    /// Writes the access log's line.
    pub(super) fn log(&self, done: Done<'_>, link: &Link, context: &Context) {
        // It was read from a path and a query.
        let target = self.parts.uri.path_and_query().filter(|_| self.readable);
        context.observer.request(&Access {
            time: self.since.time,
            remote: link.remote,
            tls: link.session.version(),
            method: if target.is_some() { self.parts.method.as_str() } else { "-" },
            target: target.map_or("-", PathAndQuery::as_str),
            status: done.status,
            bytes: done.bytes,
            duration: done.now.saturating_duration_since(self.since.instant),
            verdict: &self.verdict,
            request_id: self.request_id.as_deref(),
            note: done.note,
            forwarded: self.forwarded,
        });
    }
}

/// The connection is kept for the next request.
fn idle(link: &mut Link, worker: &mut Worker<'_>) -> Turn {
    let context = worker.context;
    let idle = Stage::Idle.enter(link, worker);
    if !link.input.is_empty() {
        // The next request is not judged by a time that was reckoned.
        worker.look_at_the_clocks();
        return idle.go_on();
    }
    // Trust may have changed while the answer was under way: an idle connection has to be judged by the one in force.
    match link.is_judged_by_another(context) && link.is_refused_by(worker.now.time, context) {
        true => {
            context.count_idle_closed();
            idle.close_politely(link)
        }
        false => idle.wait(Interest::Readable),
    }
}
