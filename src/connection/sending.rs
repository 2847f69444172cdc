//! A response on its way, until it is logged; then the next request, or the end.

use http::Method;
use http::uri::PathAndQuery;

use super::closing::half_close;
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
    /// Why the server itself answers.
    pub(super) note: Option<&'static str>,
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
}

/// After a response of at most this many bytes, a client that said it is done needs no lingering: all of it is on its way
/// in one flight.
const QUICK_FAREWELL: u64 = 8 * 1024;

impl Sending {
    pub(super) fn send(mut self, link: &mut Link, worker: &mut Worker<'_>) -> Turn {
        let context = worker.context;
        let begun = worker.now.instant;
        let has_reader = self.answer.has_reader();
        let mut advance = || self.answer.advance(&mut link.session, !self.keep);
        let advanced = if has_reader {
            worker.may_block(advance)
        } else {
            let advanced = advance();
            worker.time_has_passed();
            advanced
        };
        match advanced {
            Ok(Progress::Blocked | Progress::Paused) => {
                // The body's reader may have taken its time.
                self.pace.excuse(worker.now.instant - begun);
                link.deadline = self.pace.deadline;
                link.times.heard = begun;
                self.answer.part_with_memory(&mut worker.output);
                Stage::Answer(Box::new(self)).wait(Interest::Writable)
            }
            Ok(Progress::Done) => {
                self.log(None, link, worker);
                self.end(link, worker)
            }
            Err(given_up) => {
                let note = match given_up {
                    GivenUp::Tls => {
                        // The note says so already, and the alert is on its way; let it arrive.
                        self.log(None, link, worker);
                        return half_close(link, worker);
                    }
                    GivenUp::Network => "the client left before the response's end".to_owned(),
                    GivenUp::Reader(error) => {
                        format!("the reader of the response's body failed: {}", visible(&error.to_string()))
                    }
                    GivenUp::Panicked(message) => {
                        context.observer.event(&Event::Panicked { remote: link.remote, message: &message });
                        "the reader of the response's body panicked".to_owned()
                    }
                };
                self.log(Some(&note), link, worker);
                Stage::Idle.close()
            }
        }
    }

    /// At the end of a period: the next one begins if the client has taken enough of the answer.
    pub(super) fn next_period(mut self: Box<Self>, link: &mut Link, worker: &Worker<'_>) -> Turn {
        if self.pace.next_period(self.answer.sent, worker.now.instant, &worker.context.timeouts) {
            link.deadline = self.pace.deadline;
            // A worker has to go on: what follows the answer may be a handler.
            return Stage::Answer(self).wait(Interest::Writable);
        }
        link.report_timeout(Phase::Answer, worker.context);
        self.log(Some("the client took the response too slowly"), link, worker);
        Stage::Answer(self).close()
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

    /// Writes the access log's line.
    fn log(&self, given_up: Option<&str>, link: &Link, worker: &Worker<'_>) {
        let asked = &self.asked;
        // It was read from a path and a query.
        let target = asked.parts.uri.path_and_query().filter(|_| asked.readable);
        worker.context.observer.request(&Access {
            time: asked.since.time,
            remote: link.remote,
            tls: link.session.version(),
            method: if target.is_some() { asked.parts.method.as_str() } else { "-" },
            target: target.map_or("-", PathAndQuery::as_str),
            status: self.status,
            bytes: self.answer.sent,
            duration: worker.now.instant.saturating_duration_since(asked.since.instant),
            verdict: &asked.verdict,
            request_id: asked.request_id.as_deref(),
            note: given_up.or(self.note),
        });
    }
}

impl Asked {
    /// A request, with the verdict on it.
    pub(super) fn new(head: Head, verdict: Verdict, since: Moment) -> Self {
        let Head { parts, keep_alive, .. } = head;
        Self { since, parts, keep_alive, client_is_done: !keep_alive, readable: true, verdict, request_id: None }
    }

    /// For a request whose head could not be read: answered as HTTP/1.1 with this method.
    pub(super) fn unread(method: Method, verdict: Verdict, since: Moment) -> Self {
        let mut parts = empty_parts();
        parts.method = method;
        let head = Head { parts: Box::new(parts), framing: Framing::None, keep_alive: false, expects_continue: false };
        Self { client_is_done: false, readable: false, ..Self::new(head, verdict, since) }
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
