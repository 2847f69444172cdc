//! From a request to the response: the handler, or the server itself, answers.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, StatusCode};

use super::context::Context;
use super::link::{Due, Link};
use super::request_body::{Buffered, Failure, Upload, Whole};
use super::response_body::Answer;
use super::sending::{Asked, NO_LONGER_LET_IN, Sending};
use super::worker::Worker;
use super::{Stage, Turn};
use crate::deadline::{Pace, Phase};
use crate::handler::Response;
use crate::handler::body::{Body, Content};
use crate::handler::pages;
use crate::handler::refusal::{self, RefusedRequest};
use crate::handler::request::{Incoming, Request};
use crate::handler::upstream::Note;
use crate::http1::{BodyDecoder, BodyLength, Framing, Head, HttpError, ResponseContext, takes_trailers, write_head};
use crate::observer::Event;
use crate::panic::caught;
use crate::reactor::shares::Permit;
use crate::tls::session::TlsVersion;
use crate::trust::{Refusal, Verdict};

/// Lets the handler answer an authorised client, with the body read as it comes.
pub(super) fn call_with_upload(
    head: Head,
    mut decoder: BodyDecoder,
    verdict: Verdict,
    due: Due,
    link: &mut Link,
    worker: &mut Worker<'_>,
) -> Turn {
    let (remote, tls) = (link.remote, link.session.version());
    let (context, now) = (worker.context, worker.now.instant);
    let continue_awaited = head.expects_continue;
    let Due { permit, since } = due;
    let mut asked = Asked::new(head, verdict, since);
    let has_body = !decoder.is_done();
    let mut upload = Upload {
        session: &mut link.session,
        asked: &asked,
        judged: &mut link.judged,
        context,
        input: &mut link.input,
        decoder: &mut decoder,
        pace: Pace::start(now, &context.timeouts),
        busy_since: now,
        continue_awaited,
        failure: None,
    };
    let response = call(&asked, remote, tls, &mut upload, permit, worker);
    if let Some(failure) = upload.failure {
        let error = match explain(failure, link, context) {
            Ok(error) => error,
            Err(why) => {
                asked.verdict = Verdict::Refused(why);
                asked.client_is_done = false;
                return answer_refused(asked, Some(NO_LONGER_LET_IN), link, worker).send(link, worker);
            }
        };
        return answer(asked, pages::rejected(error.status), Some(error.reason), link, worker).send(link, worker);
    }
    // Skips what has arrived of a body that the handler did not read. If the rest has not arrived, the next request cannot be
    // found. (A client that waits for 100 Continue may never send it.) What has arrived behind the body is taken too.
    if has_body {
        link.take_plaintext();
    }
    let complete = matches!(decoder.decode_all(&mut link.input, None), Ok(true));
    let last = (!complete).then_some("the body was not read to its end");
    Stage::respond(asked, response, last, link, worker)
}

/// Lets the handler answer a request whose body is there.
pub(super) fn call_with_body(
    head: Head,
    body: &Whole,
    verdict: Verdict,
    due: Due,
    link: &mut Link,
    worker: &mut Worker<'_>,
) -> Turn {
    let Due { permit, since } = due;
    let asked = Asked::new(head, verdict, since);
    let mut body = Buffered { body: &body.bytes, trailers: &body.trailers, chain: link.session.peer_chain() };
    let response = call(&asked, link.remote, link.session.version(), &mut body, permit, worker);
    Stage::respond(asked, response, None, link, worker)
}

/// The answer to a client that is not authorised, or may not do this: it says so, and no more.
pub(super) fn refuse(head: Head, why: Arc<Refusal>, link: &mut Link, worker: &mut Worker<'_>) -> Sending {
    let may_stay = why.code().status() == StatusCode::FORBIDDEN;
    let bodiless = matches!(head.framing, Framing::None | Framing::Length(0));
    let mut asked = Asked::new(head, Verdict::Refused(why), worker.now);
    asked.client_is_done &= bodiless;
    asked.keep_alive &= may_stay && bodiless;
    answer_refused(asked, None, link, worker)
}

/// The same, where a part of the body was read before. `last`: why no further request can be read on this connection.
fn answer_refused(mut asked: Asked, last: Option<&'static str>, link: &mut Link, worker: &mut Worker<'_>) -> Sending {
    let context = worker.context;
    let request_id = context.request_ids.next();
    let status = match &asked.verdict {
        Verdict::Refused(why) => why.code().status(),
        Verdict::Authorised(_) => StatusCode::UNAUTHORIZED,
    };
    let refused = RefusedRequest { status, request_id: &request_id, parts: &asked.parts };
    let page = context.refusal_page.as_ref();
    let respond = || refusal::respond(page, &refused);
    // The application's page should not block, but might.
    let (response, failure) = if page.is_some() { worker.may_block(respond) } else { respond() };
    if let Some(reason) = failure {
        context.observer.event(&Event::RefusalPageFailed { remote: link.remote, reason: &reason });
    }
    asked.request_id = Some(request_id);
    answer(asked, response, last, link, worker)
}

/// The answer to a request whose body is not acceptable.
pub(super) fn reject(head: Head, error: HttpError, link: &mut Link, worker: &mut Worker<'_>) -> Sending {
    let asked = Asked::new(head, link.verdict().clone(), worker.now);
    answer(asked, pages::rejected(error.status), Some(error.reason), link, worker)
}

/// A response, ready to be sent. `last`: why no further request can be read on this connection.
pub(super) fn answer(
    mut asked: Asked,
    response: Response,
    last: Option<&'static str>,
    link: &mut Link,
    worker: &mut Worker<'_>,
) -> Sending {
    let note = response.extensions().get::<Note>().cloned();
    let (note, kind) = note.map_or((None, None), |note| (Some(note.reason), note.kind));
    asked.forwarded = kind.or(asked.forwarded);
    let (written, note) = match Written::new(&asked, response, last.is_none(), worker) {
        Ok(written) => (written, note.or(last.map(Cow::Borrowed))),
        Err(error) => match Written::new(&asked, pages::rejected(error.status), false, worker) {
            Ok(written) => (written, Some(error.reason.into())),
            // Our own pages are valid responses.
            Err(_) => unreachable!("a page of the server's own cannot be sent"),
        },
    };
    let Written { answer, keep, status, is_event_stream } = written;
    let client_is_done = asked.client_is_done && last.is_none();
    let pace = Pace::start(worker.now.instant, &worker.context.timeouts);
    link.begin(worker.now.instant, worker.context.timeouts.transfer);
    Sending { answer, pace, keep, client_is_done, asked, status, note, is_event_stream, starved: None }
}

/// Calls the handler; a panic becomes a 500. What its response reads later needs no permit.
fn call(
    asked: &Asked,
    remote: SocketAddr,
    tls: TlsVersion,
    body: &mut dyn Incoming,
    permit: Permit,
    worker: &mut Worker<'_>,
) -> Response {
    let context = worker.context;
    let mut request = Request { parts: &asked.parts, verdict: &asked.verdict, remote, tls, body };
    let response = worker.may_block(|| {
        caught(|| context.handler.handle(&mut request)).unwrap_or_else(|message| {
            context.observer.event(&Event::Panicked { remote, message: &message });
            pages::rejected(StatusCode::INTERNAL_SERVER_ERROR)
        })
    });
    drop(permit);
    response
}

/// The answer to a request whose body could not be read, and the reason for the log; or why its client is no longer let in.
fn explain(failure: Failure, link: &Link, context: &Context) -> Result<HttpError, Arc<Refusal>> {
    Ok(match failure {
        Failure::Refused(why) => return Err(why),
        Failure::Rejected(error) => error,
        Failure::TimedOut => {
            link.report_timeout(Phase::Body, context);
            HttpError::timed_out("the body came too slowly")
        }
        Failure::Broken(failure) => {
            let (remote, phase) = (link.remote, Phase::Body);
            context.observer.event(&Event::SessionFailed { remote, phase, failure: &failure });
            HttpError::bad("TLS failed before the body's end")
        }
        Failure::Gone => HttpError::bad("the client left before the body's end"),
    })
}

/// A response that is ready to be sent.
struct Written {
    answer: Answer,
    keep: bool,
    status: u16,
    is_event_stream: bool,
}

impl Written {
    fn new(asked: &Asked, response: Response, keep: bool, worker: &mut Worker<'_>) -> Result<Self, HttpError> {
        let (parts, Body(content)) = response.into_parts();
        let length = match &content {
            Content::Bytes(bytes) => BodyLength::Known(bytes.len() as u64),
            Content::Reader { length: Some(length), .. } | Content::Arriving { length: Some(length), .. } => {
                BodyLength::Known(*length)
            }
            Content::Reader { length: None, .. } | Content::Arriving { length: None, .. } => BodyLength::Unknown,
            // These are no bodies.
            Content::Awaited(_) | Content::Tunnel(_) => BodyLength::Known(0),
        };
        let mut head = worker.output.take();
        let response_context = ResponseContext {
            request_version: asked.parts.version,
            head_request: asked.parts.method == Method::HEAD,
            keep_alive: asked.keep_alive && keep && !worker.context.is_leaving(),
            date: worker.date(),
        };
        let (transfer, keep) = write_head(&parts, length, &response_context, &mut head)?;
        let takes_trailers = matches!(content, Content::Arriving { .. }) && takes_trailers(&asked.parts);
        let is_event_stream = matches!(content, Content::Arriving { .. }) && is_event_stream(&parts.headers);
        let answer = Answer::new(head, content, transfer, takes_trailers);
        Ok(Self { answer, keep, status: parts.status.as_u16(), is_event_stream })
    }
}

/// Server-sent events (HTML, section 9.2): their client asks again when the stream ends.
fn is_event_stream(fields: &HeaderMap) -> bool {
    const TYPE: &[u8] = b"text/event-stream";
    let media = fields.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    media.get(..TYPE.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(TYPE))
}
