//! From the first byte of a request to its whole head: who asks, and may they?

use std::ops::ControlFlow;

use http::Method;

use super::admission::Admission;
use super::buffered_body::BufferedBody;
use super::exchange;
use super::link::{Due, Link};
use super::queued::Queued;
use super::sending::{Asked, Sending};
use super::worker::Worker;
use super::{Stage, Turn};
use crate::handler::body::Body;
use crate::handler::pages;
use crate::http1::{BodyDecoder, CONTINUE, Head, HeadParser, HttpError};

/// Between two requests.
pub(super) fn await_request(link: &mut Link, worker: &mut Worker<'_>) -> Turn {
    if link.input.is_empty() {
        return receive_more(Stage::Idle, link, worker);
    }
    link.begin(worker.now.instant, worker.context.timeouts.head);
    receive_head(HeadParser::default(), link, worker)
}

/// A head has begun, or the handshake is over.
pub(super) fn receive_head(mut parser: HeadParser, link: &mut Link, worker: &mut Worker<'_>) -> Turn {
    match parser.parse(&link.input, &worker.context.limits.head, worker.parts.spare()) {
        Ok(Some((head, consumed))) => {
            link.input.drain(..consumed);
            admit(head, None, link, worker)
        }
        Ok(None) => receive_more(Stage::Head(parser), link, worker),
        Err(error) => reject_head(&parser, error, link, worker).send(link, worker),
    }
}

/// Answers a head that is not acceptable, or that has not come to its end.
pub(super) fn reject_head(parser: &HeadParser, error: HttpError, link: &mut Link, worker: &mut Worker<'_>) -> Sending {
    let mut response = pages::rejected(error.status);
    let is_head_request = parser.is_head_request(&link.input);
    if is_head_request.is_none() {
        // An answer without content is right for every method.
        *response.body_mut() = Body::empty();
    }
    let method = if is_head_request == Some(true) { Method::HEAD } else { Method::GET };
    let asked = Asked::unread(method, link.verdict().clone(), worker.now);
    exchange::answer(asked, response, Some(error.reason), link, worker)
}

fn receive_more(stage: Stage, link: &mut Link, worker: &mut Worker<'_>) -> Turn {
    match link.receive_more() {
        ControlFlow::Continue(()) => stage.go_on(),
        ControlFlow::Break(halt) => stage.halt(halt, link, worker),
    }
}

/// The head is complete. `due`: it has waited for its turn already.
pub(super) fn admit(head: Head, due: Option<Due>, link: &mut Link, worker: &mut Worker<'_>) -> Turn {
    let (verdict, admission) = link.admit(&head.parts, worker);
    match admission {
        Admission::Refused(refusal) => exchange::refuse(head, refusal, link, worker).send(link, worker),
        Admission::Client => match BodyDecoder::new(head.framing, worker.context.limits.body) {
            Ok(decoder) => match due.map_or_else(|| link.ask_for_a_turn(worker), Ok) {
                Ok(due) => exchange::call_with_upload(head, decoder, verdict, due, link, worker),
                Err(place) => Queued::wait(head, None, place, link, worker),
            },
            Err(error) => exchange::reject(head, error, link, worker).send(link, worker),
        },
        Admission::Stranger => match BodyDecoder::new(head.framing, worker.context.limits.unauthenticated_body) {
            Ok(decoder) => {
                if head.expects_continue && !decoder.is_done() {
                    link.session.send(CONTINUE);
                }
                Stage::Body(Box::new(BufferedBody::new(head, decoder))).enter(link, worker).go_on()
            }
            Err(error) => exchange::reject(head, error, link, worker).send(link, worker),
        },
    }
}
