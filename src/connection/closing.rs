//! The ends of a connection: too late, broken, or over.

use std::time::{Duration, Instant};

use super::context::Context;
use super::{Connection, Next, Stage, Step, close, wait};
use crate::deadline::Phase;
use crate::handler::pages;
use crate::http1::HttpError;
use crate::observer::Event;
use crate::reactor::{self, Interest};
use crate::tls::failure::TlsFailure;
use crate::tls::session::{Broken, Received};

impl Connection {
    /// Called instead of `drive` when the deadline has passed.
    pub(crate) fn expire(&mut self, context: &Context) -> Next {
        let phase = self.phase();
        // What the client did that no worker has seen yet is no fault of its own. Once, or who drips would never be late.
        let unseen = || matches!(reactor::wait_for(&self.session, self.interest, Duration::ZERO), Ok(true));
        if !self.spared && unseen() {
            self.spared = true;
            self.deadline = Instant::now() + self.time_of_phase(context);
            if let Stage::Answer(sending) = &mut self.stage {
                sending.pace.deadline = self.deadline;
            }
            return self.wait_for(self.interest);
        }
        if let Stage::Answer(sending) = &mut self.stage {
            let now = Instant::now();
            if sending.pace.next_period(sending.answer.sent, now, &context.timeouts) {
                self.deadline = sending.pace.deadline;
                // A worker has to go on: what follows the answer may be a handler.
                return self.wait_for(Interest::Writable);
            }
        }
        if !matches!(phase, Phase::Idle | Phase::Linger) {
            context.observer.event(&Event::TimedOut { remote: self.remote, phase });
        }
        match phase {
            Phase::Head if !self.input.is_empty() => {
                self.reject_head(HttpError::timed_out("the head came too slowly"), context)
            }
            Phase::Body => self.reject_body(HttpError::timed_out("the body came too slowly"), context),
            Phase::Head | Phase::Idle => return self.close_politely(),
            Phase::Answer => {
                self.log(Some("the client took the response too slowly"), context);
                return Next::Close;
            }
            Phase::Handshake | Phase::Linger => return Next::Close,
        }
        self.drive(context)
    }

    /// Ends a session that cannot go on.
    pub(super) fn give_up(&mut self, broken: &Broken, context: &Context) -> Step {
        self.report_broken(broken, context);
        match broken {
            Broken::Network => close(),
            // An alert or a plain answer is on its way; let it arrive.
            Broken::Tls(_) | Broken::PlainHttp { .. } => self.say_goodbye(context),
        }
    }

    fn report_broken(&mut self, broken: &Broken, context: &Context) {
        let remote = self.remote;
        match broken {
            Broken::Network if self.session.is_handshaking() && self.session.has_negotiated() => {
                context.observer.event(&Event::HandshakeFailed { remote, failure: &TlsFailure::left() });
            }
            // Whoever tries ports, or leaves between two requests.
            Broken::Network => {}
            Broken::PlainHttp { wants_content } => {
                self.session.send_unencrypted(pages::speak_https(*wants_content));
                context.observer.event(&Event::PlainHttp { remote });
            }
            Broken::Tls(failure) => context.observer.event(&match self.phase() {
                Phase::Handshake => Event::HandshakeFailed { remote, failure },
                phase => Event::SessionFailed { remote, phase, failure },
            }),
        }
    }

    /// Says goodbye to a client that is not being answered, without waiting.
    pub(crate) fn close_politely(&mut self) -> Next {
        self.session.send_close_notify();
        let _ = self.session.flush();
        Next::Close
    }

    /// Ends our side; the client's may still be sending, and closing now could destroy our last words on their way.
    pub(super) fn say_goodbye(&mut self, context: &Context) -> Step {
        self.session.half_close();
        self.enter(Stage::Linger { budget: context.limits.linger }, context);
        Step::Go
    }

    pub(super) fn linger(&mut self) -> Step {
        let Stage::Linger { budget } = &mut self.stage else { return Step::Go };
        match self.session.discard(budget) {
            Received::Nothing => wait(Interest::Readable),
            Received::Bytes => wait(Interest::Writable),
            Received::End => close(),
        }
    }
}
