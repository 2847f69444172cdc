//! A response that another program makes. While it is on its way, its connection is parked, and wakes up for the socket on which it
//! comes.

use std::ops::ControlFlow;
use std::os::fd::BorrowedFd;
use std::time::Instant;

use http::{HeaderMap, StatusCode};

use super::context::Context;
use super::link::{Halt, Link};
use super::sending::{Asked, Done};
use super::worker::Worker;
use super::{Stage, Turn};
use crate::handler::upstream::{Awaited, Step};
use crate::handler::{Response, pages};
use crate::http1::write_interim;
use crate::observer::Event;
use crate::panic::caught;
use crate::reactor::Interest;
use crate::tls::session::Broken;

/// A response that is still to come.
pub(super) struct Awaiting {
    response: Box<dyn Awaited>,
    asked: Asked,
    /// Those that the handler has set.
    fields: HeaderMap,
    /// Why no further request can be read on this connection.
    last: Option<&'static str>,
    /// Interim responses that TLS has not taken yet.
    interim: Vec<u8>,
    /// Its deadline has passed.
    is_late: bool,
}

impl Awaiting {
    /// Its fields are those that the handler has set in the response that stands for it.
    pub(super) fn new(
        response: Box<dyn Awaited>,
        fields: HeaderMap,
        mut asked: Asked,
        last: Option<&'static str>,
    ) -> Box<Self> {
        asked.forwarded = Some("client_left");
        Box::new(Self { response, asked, fields, last, interim: Vec::new(), is_late: false })
    }

    /// Goes on as far as the bytes that are there carry it.
    pub(super) fn proceed(mut self: Box<Self>, link: &mut Link, worker: &mut Worker<'_>) -> Turn {
        // Nobody would get the response, so whoever makes it can stop. A client that sends its next request has not left.
        if link.session.has_left() {
            return self.leave("the client left before the response", link, worker);
        }
        match self.send_interim(link) {
            ControlFlow::Continue(()) => {}
            ControlFlow::Break(Halt::Wait(interest)) => return Stage::Awaited(self).wait(interest),
            ControlFlow::Break(_) => return self.leave("the client left before the response", link, worker),
        }
        match self.step(link, worker) {
            Step::Wait => {
                link.deadline = self.response.deadline();
                Stage::Awaited(self).wait(Interest::End)
            }
            Step::Interim(parts) => {
                link.deadline = self.response.deadline();
                write_interim(&parts, self.asked.parts.version, &mut self.interim);
                Stage::Awaited(self).go_on()
            }
            Step::Response(response) => self.arrive(response, link, worker),
        }
    }

    /// The deadline has passed. A worker has to go on: the response may just have come.
    pub(super) fn expire(mut self: Box<Self>, link: &mut Link, worker: &Worker<'_>) -> Turn {
        if self.is_late {
            return self.leave("the client took the response too slowly", link, worker);
        }
        self.is_late = true;
        link.deadline = worker.now.instant + worker.context.timeouts.transfer;
        Stage::Awaited(self).wait(Interest::Writable)
    }

    fn step(&mut self, link: &mut Link, worker: &mut Worker<'_>) -> Step {
        // It may go on with another socket.
        link.other_armed = None;
        let (now, remote, context) = (worker.now.instant, link.remote, worker.context);
        let Self { response, is_late, .. } = self;
        let step = || match response.advance(now) {
            Step::Wait if *is_late && response.deadline() <= now => Step::Response(response.expire()),
            step => {
                *is_late = false;
                step
            }
        };
        worker.may_block(|| caught(step)).unwrap_or_else(|message| {
            context.observer.event(&Event::Panicked { remote, message: &message });
            Step::Response(pages::rejected(StatusCode::INTERNAL_SERVER_ERROR))
        })
    }

    /// The socket on which the response comes, and what that has to report; not while the client has to read first.
    pub(super) fn source(&self) -> Option<(BorrowedFd<'_>, Interest)> {
        let interest = self.response.waits_for().filter(|_| self.interim.is_empty());
        interest.map(|interest| (self.response.as_fd(), interest))
    }

    pub(super) fn asked(&self) -> &Asked {
        &self.asked
    }

    /// Ends the connection before there is a response.
    pub(super) fn cut(&self, why: &str, link: &mut Link, context: &Context) -> Turn {
        self.asked.log(Done::left(why, Instant::now()), link, context);
        Stage::Idle.close_politely(link)
    }

    /// The response has come.
    fn arrive(self, mut response: Response, link: &mut Link, worker: &mut Worker<'_>) -> Turn {
        let Self { mut asked, fields, last, response: awaited, .. } = self;
        asked.forwarded = Some("answered");
        // Before it is sent: the socket may be kept for others.
        drop(awaited);
        let set = response.headers_mut();
        for name in fields.keys() {
            set.remove(name);
        }
        // Each name comes with its first value.
        let mut name = None;
        for (next, value) in fields {
            name = next.or(name);
            if let Some(name) = &name {
                set.append(name, value);
            }
        }
        Stage::respond(asked, response, last, link, worker)
    }

    fn send_interim(&mut self, link: &mut Link) -> ControlFlow<Halt> {
        while !self.interim.is_empty() {
            let taken = link.session.send(&self.interim);
            self.interim.drain(..taken);
            if taken == 0 {
                // TLS takes no more after a failure.
                if !link.session.wants_write() {
                    return ControlFlow::Break(Halt::Broken(Broken::Network));
                }
                link.flush()?;
            }
        }
        self.interim = Vec::new();
        link.flush()
    }

    fn leave(self: Box<Self>, why: &str, link: &Link, worker: &Worker<'_>) -> Turn {
        self.asked.log(Done::left(why, worker.now.instant), link, worker.context);
        Stage::Idle.close()
    }
}
