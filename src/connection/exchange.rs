//! From a complete head to the response: who asks, what they are told.

use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use http::{Method, StatusCode};

use super::admission::Admission;
use super::context::Context;
use super::request_body::{Failure, Upload};
use super::response_body::Answer;
use super::{Connection, Next, Stage, Step, close, wait};
use crate::deadline::{Pace, Phase};
use crate::handler::pages;
use crate::handler::request::Request;
use crate::handler::{Body, Content, Response};
use crate::http1::{BodyDecoder, BodyLength, CONTINUE, Framing, Head, HttpError, ResponseContext, write_head};
use crate::observer::{Access, Event};
use crate::panic::caught;
use crate::reactor::Interest;
use crate::tls::session::TlsVersion;
use crate::trust::{Refusal, Verdict};

/// A request whose body is read before the handler is called.
pub(super) struct BodyInAdvance {
    head: Head,
    decoder: BodyDecoder,
    body: Vec<u8>,
}

/// A response on its way.
pub(super) struct Sending {
    pub(super) answer: Answer,
    pub(super) pace: Pace,
    pub(super) keep: bool,
    /// The client has said that it sends nothing more, and everything it sent was read.
    pub(super) client_is_done: bool,
    record: Record,
}

/// What the access log will say.
struct Record {
    asked: Asked,
    status: u16,
    request_id: Option<String>,
    note: Option<&'static str>,
}

/// A request, for the response and for the log.
struct Asked {
    time: SystemTime,
    started: Instant,
    parts: http::request::Parts,
    keep_alive: bool,
    /// The client asked for the connection to be closed, and no body of it is left unread.
    client_is_done: bool,
    /// Whether `parts` is what the client sent.
    readable: bool,
    /// On this request, if it is another than on the client.
    verdict: Option<Verdict>,
}

impl Connection {
    /// The head is complete: who is asking, and may they?
    pub(super) fn decide(&mut self, head: Head, context: &Context) -> Step {
        let was_authorised = self.is_authorised();
        let (verdict, admission) = self.admit(&head.parts, context);
        match admission {
            Admission::Refused(refusal) => self.refuse(head, refusal, context),
            Admission::Client => match BodyDecoder::new(head.framing, context.limits.body) {
                Ok(decoder) => self.call_with_upload(head, decoder, &verdict, context),
                Err(rejection) => self.reject(head, rejection, context),
            },
            Admission::Stranger => match BodyDecoder::new(head.framing, context.limits.unauthenticated_body) {
                Ok(decoder) => {
                    if head.expects_continue && !decoder.is_done() {
                        self.session.send(CONTINUE);
                    }
                    self.enter(Stage::Body(Box::new(BodyInAdvance { head, decoder, body: Vec::new() })), context);
                }
                Err(rejection) => self.reject(head, rejection, context),
            },
        }
        if self.is_authorised() == was_authorised { Step::Go } else { Step::Stop(Next::Classified) }
    }

    /// The body of a client that is not authorised: read here, while the connection can be parked, so that it cannot
    /// hold the worker in the handler.
    pub(super) fn receive_body(&mut self, context: &Context) -> Step {
        match self.session.flush() {
            Ok(true) => {}
            Ok(false) => return wait(Interest::Writable),
            Err(_) => return close(),
        }
        self.session.take_plaintext(&mut self.input);
        let Stage::Body(advance) = &mut self.stage else { return Step::Go };
        match advance.decoder.decode_all(&mut self.input, Some(&mut advance.body)) {
            Ok(false) => return self.receive_more(context),
            Ok(true) => {
                if let Stage::Body(advance) = std::mem::replace(&mut self.stage, Stage::Idle) {
                    let BodyInAdvance { head, body, .. } = *advance;
                    // Judged anew: the body may have taken a while.
                    match self.admit(&head.parts, context) {
                        (_, Admission::Refused(refusal)) => self.refuse(head, refusal, context),
                        (verdict, Admission::Client | Admission::Stranger) => {
                            let (response, asked) = call(head, self.client(&verdict), &mut &body[..], context);
                            self.answer(asked, response, None, context);
                        }
                    }
                }
            }
            Err(rejection) => self.reject_body(rejection, context),
        }
        Step::Go
    }

    /// Lets the handler answer an authorised client, with the body read as it comes.
    fn call_with_upload(&mut self, head: Head, mut decoder: BodyDecoder, verdict: &Verdict, context: &Context) {
        let client = self.client(verdict);
        let now = Instant::now();
        let mut upload = Upload {
            session: &mut self.session,
            input: &mut self.input,
            decoder: &mut decoder,
            timeouts: &context.timeouts,
            pace: Pace::start(now, &context.timeouts),
            busy_since: now,
            continue_awaited: head.expects_continue,
            failure: None,
        };
        let (response, asked) = call(head, client, &mut upload, context);
        let failure = upload.failure;
        let rejection = match failure {
            None => None,
            Some(Failure::Rejected(rejection)) => Some(rejection),
            Some(Failure::TimedOut) => {
                context.observer.event(&Event::TimedOut { remote: self.remote, phase: Phase::Body });
                Some(HttpError { status: StatusCode::REQUEST_TIMEOUT, reason: "the body came too slowly" })
            }
            Some(Failure::Broken(failure)) => {
                let (remote, phase) = (self.remote, Phase::Body);
                context.observer.event(&Event::SessionFailed { remote, phase, failure: &failure });
                Some(HttpError { status: StatusCode::BAD_REQUEST, reason: "TLS failed before the body's end" })
            }
            Some(Failure::Gone) => {
                Some(HttpError { status: StatusCode::BAD_REQUEST, reason: "the client left before the body's end" })
            }
        };
        if let Some(rejection) = rejection {
            return self.answer(asked, pages::rejected(rejection.status), Some(rejection.reason), context);
        }
        // What has arrived of a body that the handler did not read is skipped. If more is to come (or not: a client that
        // awaits our leave may do without), the next request cannot be found.
        self.session.take_plaintext(&mut self.input);
        let complete = matches!(decoder.decode_all(&mut self.input, None), Ok(true));
        let last = (!complete).then_some("the body was not read to its end");
        self.answer(asked, response, last, context);
    }

    /// The answer to a client that is not authorised, or may not do this: it says so, and no more.
    fn refuse(&mut self, head: Head, refusal: Arc<Refusal>, context: &Context) {
        let request_id = context.request_ids.next();
        let may_stay = refusal.code().status() == StatusCode::FORBIDDEN;
        let as_html = pages::prefers_html(&head.parts.headers);
        let response = match may_stay {
            true => pages::not_allowed(as_html, &request_id),
            false => pages::refused(as_html, &request_id),
        };
        let bodiless = matches!(head.framing, Framing::None | Framing::Length(0));
        let mut asked = Asked::new(head, context);
        asked.client_is_done &= bodiless;
        asked.keep_alive &= may_stay && bodiless;
        asked.verdict = Some(Verdict::Refused(refusal));
        self.answer(asked, response, None, context);
        if let Stage::Answer(sending) = &mut self.stage {
            sending.record.request_id = Some(request_id);
        }
    }

    /// Answers what is no request, or not the whole of one, as far as its head has come.
    pub(super) fn reject_head(&mut self, rejection: HttpError, context: &Context) {
        let mut response = pages::rejected(rejection.status);
        let is_head_request = match &self.stage {
            Stage::Head(parser) => parser.is_head_request(&self.input),
            _ => None,
        };
        if is_head_request.is_none() {
            // An answer without content is right for every method.
            *response.body_mut() = Body::empty();
        }
        let method = if is_head_request == Some(true) { Method::HEAD } else { Method::GET };
        self.answer(Asked::unread(method, context), response, Some(rejection.reason), context);
    }

    /// Answers a request whose body, as far as it has come, is not acceptable.
    pub(super) fn reject_body(&mut self, rejection: HttpError, context: &Context) {
        if let Stage::Body(advance) = std::mem::replace(&mut self.stage, Stage::Idle) {
            self.reject(advance.head, rejection, context);
        }
    }

    fn reject(&mut self, head: Head, rejection: HttpError, context: &Context) {
        self.answer(Asked::new(head, context), pages::rejected(rejection.status), Some(rejection.reason), context);
    }

    /// Starts to send a response. `last`: why no further request can be read on this connection.
    fn answer(&mut self, asked: Asked, response: Response, last: Option<&'static str>, context: &Context) {
        let (written, note) = match Written::new(&asked, response, last.is_none(), context) {
            Ok(written) => (written, last),
            Err(rejection) => match Written::new(&asked, pages::rejected(rejection.status), false, context) {
                Ok(written) => (written, Some(rejection.reason)),
                // Our own pages are valid responses.
                Err(_) => unreachable!("a page of the server's own cannot be sent"),
            },
        };
        let client_is_done = asked.client_is_done && last.is_none();
        let record = Record { asked, status: written.status, request_id: None, note };
        let pace = Pace::start(Instant::now(), &context.timeouts);
        self.enter(
            Stage::Answer(Box::new(Sending {
                answer: written.answer,
                pace,
                keep: written.keep,
                client_is_done,
                record,
            })),
            context,
        );
    }

    /// Writes the access log's line for the answer that is being sent.
    pub(super) fn log(&mut self, given_up: Option<&str>, context: &Context) {
        let Stage::Answer(sending) = &self.stage else { return };
        let Sending { answer, record: Record { asked, status, request_id, note }, .. } = &**sending;
        let Some(verdict) = asked.verdict.as_ref().or(self.verdict()) else { return };
        let target = asked.readable.then(|| asked.parts.uri.to_string());
        context.observer.request(&Access {
            time: asked.time,
            remote: self.remote,
            tls: self.session.version(),
            method: if target.is_some() { asked.parts.method.as_str() } else { "-" },
            target: target.as_deref().unwrap_or("-"),
            status: *status,
            bytes: answer.sent,
            duration: asked.started.elapsed(),
            verdict,
            request_id: request_id.as_deref(),
            note: given_up.or(*note),
        });
    }

    fn client<'v>(&self, verdict: &'v Verdict) -> Client<'v> {
        Client { verdict, remote: self.remote, tls: self.session.version() }
    }
}

/// Who a handler is called for.
struct Client<'v> {
    verdict: &'v Verdict,
    remote: SocketAddr,
    tls: TlsVersion,
}

/// Calls the handler; a panic becomes a 500.
fn call(head: Head, client: Client<'_>, body: &mut dyn Read, context: &Context) -> (Response, Asked) {
    let Head { parts, keep_alive, .. } = head;
    let (time, started) = (context.clock.now(), Instant::now());
    let Client { verdict, remote, tls } = client;
    let mut request = Request { parts, verdict, remote, tls, body };
    let blocking = context.concurrency.blocking(started);
    // After a panic nothing of the request is used but its head, which the handler cannot change.
    let response = caught(|| context.handler.handle(&mut request)).unwrap_or_else(|message| {
        context.observer.event(&Event::Panicked { remote, message: &message });
        pages::rejected(StatusCode::INTERNAL_SERVER_ERROR)
    });
    drop(blocking);
    let verdict = Some(verdict.clone());
    (
        response,
        Asked { time, started, parts: request.parts, keep_alive, client_is_done: !keep_alive, readable: true, verdict },
    )
}

impl Asked {
    fn new(head: Head, context: &Context) -> Self {
        let Head { parts, keep_alive, .. } = head;
        let (time, started) = (context.clock.now(), Instant::now());
        Self { time, started, parts, keep_alive, client_is_done: !keep_alive, readable: true, verdict: None }
    }

    /// Stands for a request whose head could not be read. It is answered as HTTP/1.1, and as if its method was this.
    fn unread(method: Method, context: &Context) -> Self {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        parts.method = method;
        let (time, started) = (context.clock.now(), Instant::now());
        Self { time, started, parts, keep_alive: false, client_is_done: false, readable: false, verdict: None }
    }
}

/// A response that is ready to be sent.
struct Written {
    answer: Answer,
    keep: bool,
    status: u16,
}

impl Written {
    fn new(asked: &Asked, response: Response, keep: bool, context: &Context) -> Result<Self, HttpError> {
        let (parts, Body(content)) = response.into_parts();
        let length = match &content {
            Content::Bytes(bytes) => BodyLength::Known(bytes.len() as u64),
            Content::Reader { length: Some(length), .. } => BodyLength::Known(*length),
            Content::Reader { length: None, .. } => BodyLength::Unknown,
        };
        let response_context = ResponseContext {
            request_version: asked.parts.version,
            head_request: asked.parts.method == Method::HEAD,
            keep_alive: asked.keep_alive && keep && !context.is_draining(),
            date: &httpdate::fmt_http_date(context.clock.now()),
        };
        let mut head = Vec::new();
        let (transfer, keep) = write_head(&parts, length, &response_context, &mut head)?;
        Ok(Self { answer: Answer::new(head, content, transfer), keep, status: parts.status.as_u16() })
    }
}
