//! The life of one connection: handshake, head, judgement, handler, answer, and again, or farewell.
//!
//! A worker drives a connection as far as the bytes that are there carry it. Where it would have to wait for its
//! client it returns, and is parked. Only a handler (and what it reads of a body) holds the worker.

mod admission;
mod closing;
pub(crate) mod context;
mod exchange;
pub(crate) mod request_body;
pub(crate) mod response_body;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::deadline::Phase;
use crate::http1::HeadParser;
use crate::observer::Event;
use crate::reactor::eviction::{Standing, Times};
use crate::reactor::table::Waiting;
use crate::reactor::{Interest, Signal};
use crate::tls::session::{Broken, Received, Session};
use crate::x509::identity::visible;
use context::Context;
use response_body::{GivenUp, Progress};

use admission::Judged;
use exchange::{BodyInAdvance, Sending};

/// One accepted connection.
pub(crate) struct Connection {
    session: Session,
    remote: SocketAddr,
    stage: Stage,
    /// When the stage began, and when its client last made progress.
    times: Times,
    /// When the stage must be over.
    deadline: Instant,
    /// What it waits for while it is parked.
    interest: Interest,
    /// The stage was given more time, because its client had done something that was not seen in time.
    spared: bool,
    /// Plaintext that nobody has used yet.
    input: Vec<u8>,
    judged: Option<Judged>,
    pub(crate) polled: Polled,
}

/// What a connection is doing. Each stage is one method below.
enum Stage {
    Handshake,
    Head(HeadParser),
    /// Between two requests.
    Idle,
    /// The body of a client that is not authorised, behind an open gate.
    Body(Box<BodyInAdvance>),
    Answer(Box<Sending>),
    /// Everything is said; the client may still be talking.
    Linger {
        budget: u64,
    },
}

/// How many stages a connection goes through before the others have their turn: some thirty pipelined requests.
const TURNS: u32 = 100;

/// After a response of so many bytes at most, a client that said it is done needs no lingering: all of it is on its way in
/// one flight.
const QUICK_FAREWELL: u64 = 8 * 1024;

/// What the poller knows of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Polled {
    /// Nothing yet.
    Never,
    /// It was armed, for one event.
    Armed,
    /// It tells of all bytes that come.
    Watched,
}

/// What the pool is to do with a connection that was driven.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Park it until its client can be heard (or can listen).
    Wait(Interest),
    /// Note whether its client is authorised, and drive on.
    Classified,
    /// Close it.
    Close,
}

/// What a stage says: go on with the next one, or stop here.
enum Step {
    Go,
    Stop(Next),
}

impl Connection {
    pub(crate) fn new(session: Session, remote: SocketAddr, context: &Context) -> Self {
        let since = Instant::now();
        Self {
            session,
            remote,
            stage: Stage::Handshake,
            times: Times { since, heard: since },
            deadline: since + context.timeouts.handshake,
            interest: Interest::Readable,
            spared: false,
            input: Vec::new(),
            judged: None,
            polled: Polled::Never,
        }
    }

    /// Takes note of an event, before it is driven on.
    pub(crate) fn notice(&mut self, signal: Signal) {
        self.session.notice(signal);
    }

    /// Goes as far as possible without waiting for the client.
    pub(crate) fn drive(&mut self, context: &Context) -> Next {
        let mut turns = TURNS;
        loop {
            turns -= 1;
            if turns == 0 {
                // Others are waiting. The socket takes bytes, most likely, so its turn comes again at once.
                return self.wait_for(Interest::Writable);
            }
            let step = match self.stage {
                Stage::Handshake => self.shake_hands(context),
                Stage::Head(_) | Stage::Idle => self.receive_head(context),
                Stage::Body(_) => self.receive_body(context),
                Stage::Answer(_) => self.send_answer(context),
                Stage::Linger { .. } => self.linger(),
            };
            if let Step::Stop(next) = step {
                // Nobody tells again of bytes that were there before.
                if next == Next::Wait(Interest::Readable) && self.session.may_be_readable() {
                    continue;
                }
                if self.input.is_empty() {
                    self.input = Vec::new();
                }
                return match next {
                    Next::Wait(interest) => self.wait_for(interest),
                    next => next,
                };
            }
        }
    }

    /// Nobody asks when an authorised client last made progress.
    fn note_progress(&mut self) {
        if !self.is_authorised() {
            self.times.heard = Instant::now();
        }
    }

    fn wait_for(&mut self, interest: Interest) -> Next {
        self.interest = interest;
        Next::Wait(interest)
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    pub(crate) fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// How it waits: what it counts for meanwhile, since when, and until when it may.
    pub(crate) fn waiting(&self) -> Waiting {
        Waiting { standing: self.standing(), times: self.times, deadline: self.deadline }
    }

    fn standing(&self) -> Standing {
        match (self.is_authorised(), &self.stage) {
            (false, Stage::Handshake) if self.session.is_silent() => Standing::Silent,
            (false, Stage::Handshake) => Standing::ShakingHands,
            (false, _) => Standing::Refused,
            (true, Stage::Idle | Stage::Linger { .. }) => Standing::Idle,
            (true, Stage::Head(_)) if self.input.is_empty() => Standing::Idle,
            (true, _) => Standing::Busy,
        }
    }

    /// Whether nothing has come from its client that no worker has seen.
    pub(crate) fn is_quiet(&self) -> bool {
        self.session.has_nothing_unread()
    }

    /// What it waits for.
    pub(crate) fn phase(&self) -> Phase {
        match self.stage {
            Stage::Handshake => Phase::Handshake,
            Stage::Head(_) => Phase::Head,
            Stage::Idle => Phase::Idle,
            Stage::Body(_) => Phase::Body,
            Stage::Answer(_) => Phase::Answer,
            Stage::Linger { .. } => Phase::Linger,
        }
    }

    fn shake_hands(&mut self, context: &Context) -> Step {
        match self.session.flush() {
            Ok(true) => {}
            Ok(false) => return wait(Interest::Writable),
            Err(_) => return self.give_up(&Broken::Network, context),
        }
        if !self.session.is_handshaking() {
            self.judge(context);
            self.enter(Stage::Head(HeadParser::default()), context);
            return Step::Stop(Next::Classified);
        }
        match self.session.receive() {
            Ok(Received::Bytes) => {
                self.note_progress();
                Step::Go
            }
            Ok(Received::Nothing) => {
                self.session.acknowledge_at_once();
                wait(Interest::Readable)
            }
            Ok(Received::End) => self.give_up(&Broken::Network, context),
            Err(broken) => self.give_up(&broken, context),
        }
    }

    fn receive_head(&mut self, context: &Context) -> Step {
        self.session.take_plaintext(&mut self.input);
        if let Stage::Idle = self.stage {
            if self.input.is_empty() {
                return self.receive_more(context);
            }
            self.enter(Stage::Head(HeadParser::default()), context);
        }
        let Stage::Head(parser) = &mut self.stage else { return Step::Go };
        match parser.parse(&self.input, &context.limits.head) {
            Ok(Some((head, consumed))) => {
                self.input.drain(..consumed);
                self.decide(head, context)
            }
            Ok(None) => self.receive_more(context),
            Err(rejection) => {
                self.reject_head(rejection, context);
                Step::Go
            }
        }
    }

    /// Reads once; `Step::Go` if there is something new to look at.
    fn receive_more(&mut self, context: &Context) -> Step {
        match self.session.receive() {
            Ok(Received::Bytes) => {
                self.note_progress();
                // What TLS itself has to say, a key update for example.
                match self.session.flush() {
                    Ok(true) => Step::Go,
                    Ok(false) => wait(Interest::Writable),
                    Err(_) => close(),
                }
            }
            Ok(Received::Nothing) => {
                // The last flight of the handshake has had no answer that would acknowledge it, and the first request may
                // be waiting for that. Between requests the answer does it.
                if let Stage::Head(_) = self.stage {
                    self.session.acknowledge_at_once();
                }
                wait(Interest::Readable)
            }
            Ok(Received::End) => Step::Stop(self.close_politely()),
            Err(broken) => self.give_up(&broken, context),
        }
    }

    fn send_answer(&mut self, context: &Context) -> Step {
        let Stage::Answer(sending) = &mut self.stage else { return Step::Go };
        let (keep, client_is_done) = (sending.keep, sending.client_is_done);
        let begun = Instant::now();
        let blocking = sending.answer.has_reader().then(|| context.concurrency.blocking(begun));
        let advanced = sending.answer.advance(&mut self.session, !keep);
        drop(blocking);
        match advanced {
            Ok(Progress::Blocked | Progress::Paused) => {
                // The body's reader may have taken its time.
                sending.pace.excuse(begun.elapsed());
                self.deadline = sending.pace.deadline;
                self.times.heard = begun;
                wait(Interest::Writable)
            }
            Ok(Progress::Done) => {
                let small = sending.answer.sent <= QUICK_FAREWELL;
                self.log(None, context);
                match keep {
                    // The client will hear all of it, unless bytes of its own that nobody reads cross our last words.
                    false if client_is_done && small && self.input.is_empty() && self.session.has_nothing_unread() => {
                        return close();
                    }
                    false => return self.say_goodbye(context),
                    true => {}
                }
                self.enter(Stage::Idle, context);
                self.session.take_plaintext(&mut self.input);
                if !self.input.is_empty() {
                    return Step::Go;
                }
                // Trust may have changed while the answer was under way: an idle connection has to be judged by it.
                match self.is_judged_by_another(context) && self.judge_again(context) == Next::Close {
                    true => close(),
                    false => wait(Interest::Readable),
                }
            }
            Err(given_up) => {
                let note = match given_up {
                    GivenUp::Network => "the client left before the response's end".to_owned(),
                    GivenUp::Reader(error) => {
                        format!("the reader of the response's body failed: {}", visible(&error.to_string()))
                    }
                    GivenUp::Panicked(message) => {
                        context.observer.event(&Event::Panicked { remote: self.remote, message: &message });
                        "the reader of the response's body panicked".to_owned()
                    }
                };
                self.log(Some(&note), context);
                close()
            }
        }
    }

    fn enter(&mut self, stage: Stage, context: &Context) {
        self.stage = stage;
        self.spared = false;
        let since = Instant::now();
        self.times = Times { since, heard: since };
        self.deadline = since + self.time_of_phase(context);
    }

    fn time_of_phase(&self, context: &Context) -> Duration {
        let timeouts = &context.timeouts;
        match self.phase() {
            Phase::Handshake => timeouts.handshake,
            Phase::Head => timeouts.head,
            Phase::Idle => timeouts.idle,
            Phase::Body | Phase::Answer => timeouts.transfer,
            Phase::Linger => timeouts.linger,
        }
    }
}

fn wait(interest: Interest) -> Step {
    Step::Stop(Next::Wait(interest))
}

fn close() -> Step {
    Step::Stop(Next::Close)
}
