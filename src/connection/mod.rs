//! The life of one connection: perhaps the header of a balancer; handshake, head, judgement, handler, answer; then the next request, or the end.
//!
//! A worker drives a connection as far as the bytes that are there carry it. Where it would have to wait for its
//! client, or for a program that makes the answer, it returns, and is parked. Only a handler (and what it reads of a body) holds
//! the worker.

mod admission;
mod awaited;
mod buffered_body;
mod closing;
pub(crate) mod context;
mod exchange;
mod handshake;
mod head;
mod link;
mod proxied;
mod queued;
mod request_body;
mod response_body;
mod sending;
#[cfg(test)]
mod tests;
mod tunnel;
mod waits;
pub(crate) mod worker;

use std::mem;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant, SystemTime};

use crate::deadline::Phase;
use crate::handler::Response;
use crate::handler::body::Content;
use crate::http1::{HeadParser, HttpError};
use crate::proxy_protocol::ProxyHeader;
use crate::reactor::eviction::Standing;
use crate::reactor::table::{Token, Waiting};
use crate::reactor::throttle::Entrance;
use crate::reactor::{self, Interest};
use crate::tls::session::Session;
use context::Context;

use awaited::Awaiting;
use buffered_body::BufferedBody;
use closing::Linger;
use link::Link;
use queued::Queued;
use sending::{Asked, NO_LONGER_LET_IN, Sending};
use tunnel::Tunnelling;
use worker::Worker;

/// One accepted connection.
pub(crate) struct Connection {
    pub(crate) link: Link,
    stage: Stage,
}

/// What a connection is doing. A stage owns what only it needs.
enum Stage {
    /// A balancer says whose connection it is.
    Proxied(Box<ProxyHeader>),
    Handshake(Entrance),
    Head(HeadParser),
    /// Between two requests.
    Idle,
    /// The body of a client that is not authorised, behind an open gate.
    Body(Box<BufferedBody>),
    /// A request that waits until others of its client are out of their handlers.
    Queued(Box<Queued>),
    /// The response is made by another program, and has not come.
    Awaited(Box<Awaiting>),
    /// The client takes the answer more slowly than it is given, or more of it is still to come.
    Answer(Box<Sending>),
    /// The connection was upgraded: bytes go both ways.
    Tunnel(Box<Tunnelling>),
    /// Everything is said; the client may still be talking.
    Linger(Linger),
}

/// How a stage ends its turn: with the next stage, or itself; and whether that goes on at once.
type Turn = (Stage, ControlFlow<Next>);

/// What the pool is to do with a connection that was driven.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Park it until its client sends something (or takes something).
    Wait(Interest),
    /// Note whether its client is authorised, and drive on.
    Classified,
    /// Close it.
    Close,
}

/// How a connection is registered with the poller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Polled {
    /// Nothing yet.
    Never,
    /// It was armed, for one event.
    Armed,
    /// It reports all bytes that come.
    Watched,
}

/// How many turns a connection has before the others have theirs: some fifty pipelined requests.
const TURNS: u32 = 50;

impl Connection {
    pub(crate) fn new(
        session: Session,
        remote: SocketAddr,
        token: Token,
        entrance: Entrance,
        context: &Context,
    ) -> Self {
        let stage = match &context.proxies {
            Some(_) => Stage::Proxied(Box::default()),
            None => Stage::Handshake(entrance),
        };
        Self { link: Link::new(session, remote, token, context), stage }
    }

    /// Goes as far as possible without waiting for the client.
    pub(crate) fn drive(&mut self, worker: &mut Worker<'_>) -> Next {
        worker.look_at_the_clocks();
        self.link.borrow_memory(worker);
        let next = self.advance(worker);
        self.link.give_back_memory(worker);
        self.link.noted(next)
    }

    /// Called instead of `drive` when the deadline has passed.
    pub(crate) fn expire(&mut self, worker: &mut Worker<'_>) -> Next {
        worker.look_at_the_clocks();
        if self.is_spared(worker) {
            return Next::Wait(self.link.interest);
        }
        match self.turn(|stage, link| stage.expire(link, worker)) {
            ControlFlow::Continue(()) => self.drive(worker),
            ControlFlow::Break(next) => self.link.noted(next),
        }
    }

    /// Called instead of `drive` when trust has changed: ends an idle connection, and an answer without an end in sight, if its
    /// client was let in and no longer is. Where any other request is under way, it gets its answer.
    pub(crate) fn judge_again(&mut self, context: &Context) -> Next {
        let (now, link) = (context.clock.now(), &mut self.link);
        link.looked_at = Instant::now();
        if let Some(asked) = self.stage.request_without_end() {
            return match link.still_admits(&asked.parts, &asked.verdict, now, context) {
                true => Next::Wait(link.interest),
                false => self.end(NO_LONGER_LET_IN, context),
            };
        }
        let is_idle = self.phase() == Phase::Idle && self.link.input.is_empty();
        match self.link.is_refused_by(now, context) && is_idle {
            true => {
                context.count_idle_closed();
                self.close_politely()
            }
            false => Next::Wait(self.link.interest),
        }
    }

    /// Says goodbye to a client that is not being answered, without waiting.
    pub(crate) fn close_politely(&mut self) -> Next {
        self.link.say_goodbye();
        Next::Close
    }

    /// The same when the server stops.
    pub(crate) fn close_for_good(&mut self, context: &Context) -> Next {
        self.end(tunnel::STOPPING, context)
    }

    /// Ends it because the time for answers is over.
    pub(crate) fn cut(&mut self, context: &Context) -> Next {
        self.end("cut at the drain timeout", context)
    }

    /// The same in favour of another connection. If its client is authorised it was idle for a while, so its last answer has
    /// arrived: closing at once destroys nothing (RFC 9112, section 9.6), and the close_notify says that nothing is missing.
    pub(crate) fn make_room(&mut self, context: &Context) {
        if self.link.is_authorised() || self.stage.request_without_end().is_some() {
            self.end("closed in favour of a new connection", context);
        }
    }

    fn end(&mut self, why: &str, context: &Context) -> Next {
        match self.turn(|stage, link| stage.end(why, link, context)) {
            ControlFlow::Continue(()) => Next::Close,
            ControlFlow::Break(next) => next,
        }
    }

    /// Whether a date has passed since its client was judged, unless it was judged again since `tick`. `now` is not known if the
    /// clock of the application failed.
    pub(crate) fn is_judged_for_another_time(&self, tick: Instant, now: Option<SystemTime>) -> bool {
        self.link.looked_at < tick && now.is_none_or(|now| self.link.is_judged_for_another_time(now))
    }

    /// The other socket that it waits for, and what for.
    pub(crate) fn other(&self) -> Option<(BorrowedFd<'_>, Interest)> {
        self.stage.other()
    }

    /// Whether nothing is lost to its client if the server stops now.
    pub(crate) fn may_end(&self) -> bool {
        matches!(self.phase(), Phase::Proxy | Phase::Handshake | Phase::Head | Phase::Idle | Phase::Tunnel)
            || matches!(&self.stage, Stage::Answer(sending) if sending.may_end_at_any_time())
    }

    /// What it waits for.
    pub(crate) fn phase(&self) -> Phase {
        self.stage.phase()
    }

    /// How it waits: what it counts for meanwhile, since when, and until when it may.
    pub(crate) fn waiting(&self) -> Waiting {
        let has_no_end_in_sight = self.stage.request_without_end().is_some();
        Waiting { standing: self.standing(), times: self.link.times, deadline: self.link.deadline, has_no_end_in_sight }
    }

    /// Whether no bytes of its client wait to be read.
    pub(crate) fn is_quiet(&self) -> bool {
        self.link.session.has_nothing_unread()
    }

    fn standing(&self) -> Standing {
        match (self.link.is_authorised(), &self.stage) {
            // It waits for the server, not the server for it.
            (false, Stage::Handshake(entrance)) if entrance.is_held() => Standing::ShakingHands,
            // Of a client behind a balancer, nothing has come but the header.
            (false, Stage::Proxied(_) | Stage::Handshake(_)) if self.link.session.is_silent() => Standing::Silent,
            (false, Stage::Handshake(_)) => Standing::ShakingHands,
            (false, _) => Standing::Refused,
            (true, Stage::Idle | Stage::Linger(_)) => Standing::Idle,
            (true, Stage::Head(_)) if self.link.input.is_empty() => Standing::Idle,
            (true, _) => Standing::Busy,
        }
    }

    /// If the client, or whoever else it waits for, acted before the deadline and no worker has noticed yet, the stage gets its
    /// time again. Only once, or a client that sends a byte now and then would never be too late.
    fn is_spared(&mut self, worker: &Worker<'_>) -> bool {
        // It looks itself whether its response has come.
        if self.link.spared || matches!(self.stage, Stage::Awaited(_)) {
            return false;
        }
        let is_ready = |ready| matches!(ready, Ok(true));
        let other = self.stage.other().map(|(socket, interest)| reactor::wait_for(socket, interest, Duration::ZERO));
        let link = &mut self.link;
        if !other.is_some_and(is_ready) && !is_ready(reactor::wait_for(&link.session, link.interest, Duration::ZERO)) {
            return false;
        }
        link.spared = true;
        link.deadline = worker.now.instant + self.stage.time(worker.context);
        if let Stage::Answer(sending) = &mut self.stage {
            sending.pace.deadline = link.deadline;
        }
        true
    }

    fn advance(&mut self, worker: &mut Worker<'_>) -> Next {
        let was_authorised = self.link.is_authorised();
        for _ in 1..TURNS {
            match self.turn(|stage, link| stage.advance(link, worker)) {
                ControlFlow::Break(Next::Close) => return Next::Close,
                _ if self.link.is_authorised() != was_authorised => return Next::Classified,
                ControlFlow::Continue(()) => {}
                // The poller does not report bytes that were there before.
                ControlFlow::Break(Next::Wait(Interest::Readable)) if self.link.session.may_be_readable() => {
                    worker.look_at_the_clocks();
                }
                ControlFlow::Break(next) => return next,
            }
        }
        // Others are waiting. The socket takes bytes, most likely, so its turn comes again at once.
        Next::Wait(Interest::Writable)
    }

    fn turn(&mut self, turn: impl FnOnce(Stage, &mut Link) -> Turn) -> ControlFlow<Next> {
        // A placeholder. If `turn` panics, the connection is closed, so it is never used.
        let stage = mem::replace(&mut self.stage, Stage::Idle);
        let (stage, flow) = turn(stage, &mut self.link);
        self.stage = stage;
        flow
    }
}

impl Stage {
    fn advance(self, link: &mut Link, worker: &mut Worker<'_>) -> Turn {
        match self {
            Stage::Proxied(header) => proxied::receive_header(header, link, worker),
            Stage::Handshake(entrance) => handshake::shake_hands(entrance, link, worker),
            Stage::Idle => head::await_request(link, worker),
            Stage::Head(parser) => head::receive_head(parser, link, worker),
            Stage::Body(body) => body.receive(link, worker),
            Stage::Queued(queued) => match queued.go_on(link, worker) {
                // It is judged once more: it may have waited for long.
                Ok((head, None, due)) => head::admit(head, Some(due), link, worker),
                Ok((head, Some(body), due)) => buffered_body::admit(head, body, Some(due), link, worker),
                Err(turn) => turn,
            },
            Stage::Awaited(awaiting) => awaiting.proceed(link, worker),
            Stage::Answer(answer) => answer.send(link, worker),
            Stage::Tunnel(tunnelling) => tunnelling.pump(link, worker),
            Stage::Linger(linger) => linger.discard(link),
        }
    }

    /// The deadline has passed.
    fn expire(self, link: &mut Link, worker: &mut Worker<'_>) -> Turn {
        // The end of an idle connection, or of one that is over, is not worth an event.
        if matches!(self, Stage::Proxied(_) | Stage::Handshake(_) | Stage::Head(_) | Stage::Body(_)) {
            link.report_timeout(self.phase(), worker.context);
        }
        match self {
            Stage::Head(parser) if !link.input.is_empty() => {
                let error = HttpError::timed_out("the head came too slowly");
                head::reject_head(&parser, error, link, worker).send(link, worker)
            }
            Stage::Body(body) => {
                body.reject(HttpError::timed_out("the body came too slowly"), link, worker).send(link, worker)
            }
            Stage::Queued(queued) => queued.expire(link, worker),
            Stage::Awaited(awaiting) => awaiting.expire(link, worker),
            Stage::Answer(sending) => sending.next_period(link, worker),
            Stage::Tunnel(tunnelling) => tunnelling.close("nothing moved for too long", link, worker.context),
            Stage::Head(_) | Stage::Idle => self.close_politely(link),
            Stage::Proxied(_) | Stage::Handshake(_) | Stage::Linger(_) => self.close(),
        }
    }

    /// What follows from a response: it is sent, or it is still to come, or the connection becomes a tunnel. `last`: why no
    /// further request can be read on this connection.
    fn respond(
        asked: Asked,
        mut response: Response,
        last: Option<&'static str>,
        link: &mut Link,
        worker: &mut Worker<'_>,
    ) -> Turn {
        // To take the whole response apart would cost each request a copy of it.
        match mem::take(&mut response.body_mut().0) {
            Content::Awaited(awaited) => {
                let fields = mem::take(response.headers_mut());
                Awaiting::new(awaited, fields, asked, last).proceed(link, worker)
            }
            Content::Tunnel(tunnel) => tunnel::open(*tunnel, &response.into_parts().0, asked, last, link, worker),
            content => {
                response.body_mut().0 = content;
                exchange::answer(asked, response, last, link, worker).send(link, worker)
            }
        }
    }

    /// Ends this stage before its end.
    fn end(self, why: &str, link: &mut Link, context: &Context) -> Turn {
        match self {
            Stage::Awaited(awaiting) => awaiting.cut(why, link, context),
            // TLS has not begun.
            Stage::Proxied(_) => self.close(),
            Stage::Answer(sending) => sending.cut(why, Instant::now(), link, context),
            Stage::Queued(queued) => queued.cut(why, link, context),
            Stage::Tunnel(tunnelling) => tunnelling.close(why, link, context),
            stage => stage.close_politely(link),
        }
    }

    /// Begins this stage: its time runs from now on.
    fn enter(self, link: &mut Link, worker: &Worker<'_>) -> Self {
        link.begin(worker.now.instant, self.time(worker.context));
        self
    }

    fn go_on(self) -> Turn {
        (self, ControlFlow::Continue(()))
    }

    fn wait(self, interest: Interest) -> Turn {
        (self, ControlFlow::Break(Next::Wait(interest)))
    }

    fn close(self) -> Turn {
        (self, ControlFlow::Break(Next::Close))
    }

    fn close_politely(self, link: &mut Link) -> Turn {
        link.say_goodbye();
        self.close()
    }
}
