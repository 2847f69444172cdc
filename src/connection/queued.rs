//! A request that waits for its turn: its client has as many in handlers as one client may. It holds no worker.

use std::time::Instant;

use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};

use super::context::Context;
use super::exchange;
use super::link::{Due, Link};
use super::request_body::Whole;
use super::sending::{Asked, Done, Sending};
use super::worker::Worker;
use super::{Stage, Turn};
use crate::clock::Moment;
use crate::handler::pages;
use crate::http1::Head;
use crate::reactor::Interest;
use crate::reactor::shares::Place;

/// A request in the queue of its client.
pub(super) struct Queued {
    head: Head,
    /// Of a client that was not authorised. Otherwise the handler reads it.
    body: Option<Whole>,
    /// When it came.
    since: Moment,
    place: Place,
}

/// In seconds. By then, some of those that were before it are over.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("10");

impl Queued {
    pub(super) fn wait(head: Head, body: Option<Whole>, place: Place, link: &mut Link, worker: &Worker<'_>) -> Turn {
        let queued = Self { head, body, since: worker.now, place };
        Stage::Queued(Box::new(queued)).enter(link, worker).wait(Interest::End)
    }

    /// It was woken, or its client has left. `Err`: it is not its turn.
    pub(super) fn go_on(self, link: &Link, worker: &Worker<'_>) -> Result<(Head, Option<Whole>, Due), Turn> {
        let Self { head, body, since, place } = self;
        match place.into_permit(link.token) {
            Ok(permit) => Ok((head, body, Due { permit, since })),
            Err(_) if link.session.has_left() => {
                let asked = Asked::new(head, link.verdict().clone(), since);
                asked.log(Done::left("the client left before its turn", worker.now.instant), link, worker.context);
                Err(Stage::Idle.close())
            }
            Err(place) => Err(Stage::Queued(Box::new(Self { head, body, since, place })).wait(Interest::End)),
        }
    }

    /// It has waited for as long as it may.
    pub(super) fn expire(self: Box<Self>, link: &mut Link, worker: &mut Worker<'_>) -> Turn {
        // Its turn has just come, and a worker has to go on, since a handler follows.
        if self.place.is_due() {
            return Stage::Queued(self).wait(Interest::Writable);
        }
        self.turn_away(link, worker).send(link, worker)
    }

    /// Ends the connection before its turn.
    pub(super) fn cut(self, why: &str, link: &mut Link, context: &Context) -> Turn {
        let asked = Asked::new(self.head, link.verdict().clone(), self.since);
        asked.log(Done::left(why, Instant::now()), link, context);
        Stage::Idle.close_politely(link)
    }

    fn turn_away(self, link: &mut Link, worker: &mut Worker<'_>) -> Sending {
        let Self { head, since, .. } = self;
        let asked = Asked::new(head, link.verdict().clone(), since);
        // RFC 9110, section 15.6.4.
        let mut response = pages::rejected(StatusCode::SERVICE_UNAVAILABLE);
        response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
        exchange::answer(asked, response, Some("waited too long for its turn"), link, worker)
    }
}
