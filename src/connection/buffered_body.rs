//! The body of a client that is not authorised, behind an open gate: it is read before the handler is called, while the
//! connection can be parked, so that the client cannot hold a worker in the handler.

use std::ops::ControlFlow;

use super::admission::Admission;
use super::exchange;
use super::link::{Due, Halt, Link};
use super::queued::Queued;
use super::request_body::Whole;
use super::sending::Sending;
use super::worker::Worker;
use super::{Stage, Turn};
use crate::http1::{BodyDecoder, Head, HttpError};

/// A request whose body is on its way.
pub(super) struct BufferedBody {
    head: Head,
    decoder: BodyDecoder,
    body: Vec<u8>,
}

impl BufferedBody {
    pub(super) fn new(head: Head, decoder: BodyDecoder) -> Self {
        Self { head, decoder, body: Vec::new() }
    }

    pub(super) fn receive(mut self: Box<Self>, link: &mut Link, worker: &mut Worker<'_>) -> Turn {
        match self.collect(link) {
            ControlFlow::Continue(Ok(false)) => Stage::Body(self).go_on(),
            ControlFlow::Continue(Ok(true)) => {
                let body = Whole { trailers: self.decoder.trailers(), bytes: self.body };
                admit(self.head, body, None, link, worker)
            }
            ControlFlow::Continue(Err(error)) => self.reject(error, link, worker).send(link, worker),
            ControlFlow::Break(halt) => Stage::Body(self).halt(halt, link, worker),
        }
    }

    /// Answers a request whose body, as far as it has come, is not acceptable.
    pub(super) fn reject(self, error: HttpError, link: &mut Link, worker: &mut Worker<'_>) -> Sending {
        exchange::reject(self.head, error, link, worker)
    }

    /// `true`: all of it is there.
    fn collect(&mut self, link: &mut Link) -> ControlFlow<Halt, Result<bool, HttpError>> {
        link.flush()?;
        let decoded = self.decoder.decode_all(&mut link.input, Some(&mut self.body));
        if decoded == Ok(false) {
            link.receive_more()?;
        }
        ControlFlow::Continue(decoded)
    }
}

/// All of it is there. The client is judged once more: the body may have taken a while. `due`: the request has waited for its turn
/// already.
pub(super) fn admit(head: Head, body: Whole, due: Option<Due>, link: &mut Link, worker: &mut Worker<'_>) -> Turn {
    match link.admit(&head.parts, worker) {
        (_, Admission::Refused(refusal)) => exchange::refuse(head, refusal, link, worker).send(link, worker),
        (verdict, Admission::Client | Admission::Stranger) => {
            match due.map_or_else(|| link.ask_for_a_turn(worker), Ok) {
                Ok(due) => exchange::call_with_body(head, &body, verdict, due, link, worker),
                Err(place) => Queued::wait(head, Some(body), place, link, worker),
            }
        }
    }
}
