//! One request to an application, and its answer as it comes.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::mem;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::response::Parts;
use http::{Method, StatusCode, Version};

use super::answer_fields;
use super::arrival::Arrival;
use super::connecting::Connecting;
use super::failure::Failure;
use super::kept::Upstream;
use super::socket::{Socket, read_more};
use super::taking::Taking;
use crate::handler::Response;
use crate::handler::body::{Body, Content};
use crate::handler::socket;
use crate::handler::upstream::{Awaited, Step, Tunnel};
use crate::http1::{AnswerHead, AnswerParser, BodyDecoder, Framing, list};
use crate::reactor::{self, Interest};

/// How many interim responses may come before an answer.
pub(super) const MOST_INTERIM: usize = 16;

const TOO_LONG_TO_TAKE: &str = "the application took too long to take the request";

/// What was asked, as far as the answer depends on it.
pub(super) struct Question {
    pub(super) method: Method,
    /// That the client speaks.
    pub(super) version: Version,
    /// The protocols that it would change to.
    pub(super) upgrade: Vec<HeaderValue>,
    /// The head, and a body that is there.
    pub(super) message: Vec<u8>,
    /// It may be sent twice: its method is idempotent (RFC 9110, section 9.2.2), and it has no body.
    pub(super) again: bool,
}

pub(super) struct Exchange {
    upstream: Arc<Upstream>,
    question: Question,
    timeout: Duration,
    socket: Socket,
    /// The socket is not connected yet.
    connecting: Option<Connecting>,
    /// How much of the message was sent.
    sent: usize,
    /// It was kept from an earlier request, and nothing has come yet in answer to this one.
    may_be_stale: bool,
    /// What has come and is not understood yet.
    received: Vec<u8>,
    parser: AnswerParser,
    interim: VecDeque<Parts>,
    interim_seen: usize,
    /// `100 Continue` has come.
    pub(super) continued: bool,
    /// Nothing but the message is still to be sent.
    complete: bool,
    /// The application takes no more of it.
    cut: bool,
    outcome: Option<Outcome>,
    deadline: Instant,
    taking: Taking,
    /// The answer has ended, and the connection is good for another request: for how long, if the application said so.
    reusable: Option<Option<Duration>>,
}

/// What became of a request.
enum Outcome {
    Head(AnswerHead),
    Unacceptable(&'static str),
    /// The application has closed the connection.
    Ended,
    Broken(io::Error),
}

impl Exchange {
    /// For a request whose body is there, if it has one: all of it is sent by and by, without waiting.
    pub(super) fn begin(upstream: &Arc<Upstream>, question: Question, timeout: Duration) -> Result<Self, Failure> {
        let (socket, connecting) = match upstream.take(question.again) {
            Some(kept) => (kept, None),
            None => upstream.connect(timeout).map(|(socket, connecting)| (socket, Some(connecting)))?,
        };
        let mut exchange = Self::on(socket, upstream, question, timeout);
        (exchange.may_be_stale, exchange.connecting) = (connecting.is_none(), connecting);
        Ok(exchange)
    }

    /// For a request whose body is read as it is sent. Waits for a connection, and sends what is there.
    pub(super) fn open(upstream: &Arc<Upstream>, question: Question, timeout: Duration) -> Result<Self, Failure> {
        let socket = match upstream.take(question.again) {
            Some(kept) => kept,
            None => {
                let (socket, connecting) = upstream.connect(timeout)?;
                connecting.finish(socket).map_err(|unreachable| upstream.failure(unreachable))?
            }
        };
        let mut exchange = Self::on(socket, upstream, question, timeout);
        exchange.complete = false;
        let message = mem::take(&mut exchange.question.message);
        exchange.send(&message)?;
        Ok(exchange)
    }

    fn on(socket: Socket, upstream: &Arc<Upstream>, question: Question, timeout: Duration) -> Self {
        Self {
            upstream: Arc::clone(upstream),
            question,
            timeout,
            socket,
            may_be_stale: false,
            connecting: None,
            sent: 0,
            received: Vec::new(),
            parser: AnswerParser::default(),
            interim: VecDeque::new(),
            interim_seen: 0,
            continued: false,
            complete: true,
            cut: false,
            outcome: None,
            deadline: Instant::now() + timeout,
            taking: Taking::default(),
            reusable: None,
        }
    }

    /// Sends bytes of the request, unless the answer begins meanwhile (see [`is_over`](Self::is_over)): then the rest is
    /// not wanted. This holds a thread, so the application may neither pause for long nor be slow.
    pub(super) fn send(&mut self, mut bytes: &[u8]) -> Result<(), Failure> {
        let mut deadline = Instant::now() + self.timeout;
        while !bytes.is_empty() && !self.is_over() {
            match (&*self.socket).write(bytes) {
                Ok(n) if n > 0 => {
                    bytes = &bytes[n..];
                    self.taking.bytes += n as u64;
                    deadline = Instant::now() + self.timeout;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let socket = self.socket.as_fd();
                    let begun = Instant::now();
                    let left = deadline.saturating_duration_since(begun);
                    let either = [(socket, Interest::Writable), (socket, Interest::Readable)];
                    let ready = reactor::wait_for_either(either, left);
                    let is_in_time = self.taking.goes_on(begun.elapsed(), self.timeout);
                    match ready {
                        Ok([_, true]) => self.look(),
                        Ok([true, false]) if is_in_time => {}
                        Ok([_, false]) => return Err(Failure::timed_out(TOO_LONG_TO_TAKE)),
                        Err(_) => self.cut = true,
                    }
                }
                // It may have answered before it closed: reading tells.
                Ok(_) | Err(_) => self.cut = true,
            }
        }
        Ok(())
    }

    /// Goes on with connecting and sending. `false`: there is no connection yet.
    fn go_on(&mut self, now: Instant) -> Result<bool, Failure> {
        if let Some(connecting) = &mut self.connecting {
            let connected = connecting.proceed(&mut self.socket, now);
            if !connected.map_err(|unreachable| self.upstream.failure(unreachable))? {
                return Ok(false);
            }
            self.connecting = None;
            self.deadline = now + self.timeout;
        }
        while self.has_unsent() && !self.is_over() {
            match (&*self.socket).write(&self.question.message[self.sent..]) {
                Ok(n) if n > 0 => self.sent += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // It may have answered before it closed: reading tells.
                Ok(_) | Err(_) => self.cut = true,
            }
            if !self.has_unsent() {
                self.await_answer(now);
            }
        }
        Ok(true)
    }

    fn has_unsent(&self) -> bool {
        self.sent < self.question.message.len()
    }

    /// All of the body was sent, unless the answer has begun before that.
    pub(super) fn sent_all(&mut self) {
        self.complete = !self.is_over();
    }

    /// Nothing more will be sent: the time for the answer begins.
    pub(super) fn await_answer(&mut self, now: Instant) {
        self.deadline = now + self.timeout;
    }

    /// Waits for `100 Continue` or an answer, for some time: the application may know neither (RFC 9110, section 10.1.1).
    pub(super) fn wait_for_continue(&mut self) {
        let deadline = Instant::now() + self.timeout.min(Duration::from_secs(1));
        while !self.continued && !self.is_over() {
            let left = deadline.saturating_duration_since(Instant::now());
            match reactor::wait_for(&*self.socket, Interest::Readable, left) {
                Ok(true) => self.look(),
                Ok(false) | Err(_) => return,
            }
        }
    }

    /// Whether the answer has begun or will not come, so that no more of the request is to be sent.
    pub(super) fn is_over(&self) -> bool {
        self.cut || self.outcome.is_some()
    }

    /// Reads what is there, up to the end of the head of the answer.
    pub(super) fn look(&mut self) {
        while self.outcome.is_none() {
            match self.parser.parse(&self.received, &self.question.method) {
                Ok(Some((head, consumed))) => {
                    self.received.drain(..consumed);
                    self.note(head);
                }
                Ok(None) => match read_more(&self.socket, &mut self.received) {
                    Ok(0) => self.outcome = Some(Outcome::Ended),
                    Ok(_) => self.may_be_stale = false,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                    Err(error) => self.outcome = Some(Outcome::Broken(error)),
                },
                Err(error) => self.outcome = Some(Outcome::Unacceptable(error.reason)),
            }
        }
    }

    fn note(&mut self, mut head: AnswerHead) {
        let status = head.parts.status;
        if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
            self.outcome = Some(Outcome::Head(head));
            return;
        }
        self.interim_seen += 1;
        if self.interim_seen > MOST_INTERIM {
            self.outcome = Some(Outcome::Unacceptable("too many interim responses"));
        } else if status == StatusCode::CONTINUE {
            self.continued = true;
        } else if self.question.version == Version::HTTP_11 {
            // RFC 9110, section 15.2: a client of HTTP/1.0 knows none.
            answer_fields::clean(&mut head.parts.headers);
            self.interim.push_back(head.parts);
        }
    }

    /// Sends the request once more, on a new connection.
    fn begin_anew(&mut self) -> Result<(), Failure> {
        let (socket, connecting) = self.upstream.connect(self.timeout)?;
        (self.socket, self.connecting, self.sent) = (socket, Some(connecting), 0);
        (self.may_be_stale, self.cut) = (false, false);
        Ok(())
    }

    fn conclude(&mut self, outcome: Outcome) -> Result<Option<Response>, Failure> {
        match outcome {
            Outcome::Head(head) if head.parts.status == StatusCode::SWITCHING_PROTOCOLS => self.switch(head).map(Some),
            Outcome::Head(head) => self.answer(head).map(Some),
            Outcome::Unacceptable(reason) => Err(Failure::bad_answer(reason)),
            Outcome::Ended | Outcome::Broken(_) if self.may_be_stale && self.question.again => {
                self.begin_anew().map(|()| None)
            }
            Outcome::Ended => Err(Failure::closed("the application closed the connection before its answer was there")),
            Outcome::Broken(error) => Err(Failure::closed(format!(
                "the connection to the application broke before its answer was there: {error}"
            ))),
        }
    }

    /// The connection becomes a tunnel (RFC 9110, section 7.8), if it was asked to.
    fn switch(&mut self, AnswerHead { mut parts, .. }: AnswerHead) -> Result<Response, Failure> {
        let protocol = {
            let mut protocols = list(&parts.headers, &UPGRADE);
            protocols.next().filter(|_| protocols.next().is_none()).and_then(|name| HeaderValue::from_bytes(name).ok())
        };
        let asked = |name: &HeaderValue| {
            self.question.upgrade.iter().any(|asked| asked.as_bytes().eq_ignore_ascii_case(name.as_bytes()))
        };
        let Some(protocol) = protocol.filter(asked) else {
            return Err(Failure::bad_answer("it changes to a protocol that was not asked for"));
        };
        answer_fields::clean(&mut parts.headers);
        parts.headers.insert(UPGRADE, protocol);
        parts.headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        let tunnel = Tunnel {
            socket: Box::new(socket::Socket::shared(Arc::clone(&self.socket))),
            received: mem::take(&mut self.received),
        };
        Ok(Response::from_parts(parts, Body(Content::Tunnel(Box::new(tunnel)))))
    }

    fn answer(&mut self, head: AnswerHead) -> Result<Response, Failure> {
        let AnswerHead { mut parts, framing, keep_alive } = head;
        let hint = answer_fields::keep_alive(&parts.headers);
        let keep = (keep_alive && self.complete && !self.has_unsent()).then_some(hint);
        answer_fields::clean(&mut parts.headers);
        let unacceptable = |error: crate::http1::HttpError| Failure::bad_answer(error.reason);
        let mut decoder = BodyDecoder::new(framing, u64::MAX).map_err(unacceptable)?;
        let mut ready = Vec::new();
        let done = decoder.decode_all(&mut self.received, Some(&mut ready)).map_err(unacceptable)?;
        let length = match framing {
            Framing::Length(length) => Some(length),
            Framing::None | Framing::Chunked | Framing::UntilClose => None,
        };
        let content = if framing == Framing::None && self.is_of_unknown_length(&parts) {
            Content::Reader { reader: Box::new(io::empty()), length: None }
        } else if done && decoder.trailers().is_empty() {
            Content::Bytes(ready.into())
        } else {
            let body = Arrival {
                upstream: Arc::clone(&self.upstream),
                socket: Arc::clone(&self.socket),
                ready,
                offset: 0,
                received: mem::take(&mut self.received),
                decoder,
                keep,
            };
            return Ok(Response::from_parts(parts, Body(Content::Arriving { body: Box::new(body), length })));
        };
        // Bytes behind the end belong to no request.
        self.reusable = keep.filter(|_| self.received.is_empty());
        Ok(Response::from_parts(parts, Body(content)))
    }

    /// An answer to HEAD need not say how long that to GET would be.
    fn is_of_unknown_length(&self, parts: &Parts) -> bool {
        self.question.method == Method::HEAD
            && !parts.headers.contains_key(http::header::CONTENT_LENGTH)
            && !matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
    }
}

impl Awaited for Exchange {
    fn advance(&mut self, now: Instant) -> Step {
        loop {
            match self.go_on(now) {
                Ok(true) => self.look(),
                Ok(false) => return Step::Wait,
                Err(failure) => return Step::Response(failure.into_response()),
            }
            if let Some(interim) = self.interim.pop_front() {
                return Step::Interim(interim);
            }
            let Some(outcome) = self.outcome.take() else { return Step::Wait };
            match self.conclude(outcome) {
                Ok(Some(response)) => return Step::Response(response),
                Ok(None) => {}
                Err(failure) => return Step::Response(failure.into_response()),
            }
        }
    }

    fn waits_for(&self) -> Option<Interest> {
        match &self.connecting {
            Some(connecting) => connecting.waits_for(),
            None if self.has_unsent() && !self.is_over() => Some(Interest::Both),
            None => Some(Interest::Readable),
        }
    }

    fn deadline(&self) -> Instant {
        self.connecting.as_ref().map_or(self.deadline, Connecting::until)
    }

    fn expire(&mut self) -> Response {
        const TO_BEGIN: &str = "the application took too long to begin its answer";
        Failure::timed_out(if self.has_unsent() { TOO_LONG_TO_TAKE } else { TO_BEGIN }).into_response()
    }
}

impl AsFd for Exchange {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Exchange {
    /// Not before: until then the socket may be in the poller.
    fn drop(&mut self) {
        if let Some(hint) = self.reusable {
            self.upstream.keep(Arc::clone(&self.socket), hint);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::sync::mpsc::channel;
    use std::thread;

    use super::super::address::Address;
    use super::*;

    /// What follows on such a connection would be taken for the rest of this request.
    #[test]
    fn a_connection_that_has_not_got_the_whole_request_is_not_kept() {
        const TIME: Duration = Duration::from_secs(20);
        let path = std::env::temp_dir().join(format!("mtls-min-early-{}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let upstream = Arc::new(Upstream::new(Address::Unix(path.clone()), "unix:app".to_owned()));
        let (mut first, ours) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        upstream.keep(Arc::new(ours), None);
        let message = vec![b'x'; 4 * 1024 * 1024];
        let mut whole = vec![0; message.len()];
        // It takes all of it and ends, as one that was about to end does; the next answers before it has read a byte.
        let ends = thread::spawn(move || first.read_exact(&mut whole).unwrap());
        let (done, is_done) = channel::<()>();
        let answers = thread::spawn(move || {
            let (mut second, _) = listener.accept().unwrap();
            second.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
            assert!(is_done.recv().is_err());
        });
        let question =
            Question { method: Method::GET, version: Version::HTTP_11, upgrade: Vec::new(), message, again: true };
        let mut exchange = Exchange::begin(&upstream, question, TIME).unwrap();
        let response = loop {
            match exchange.advance(Instant::now()) {
                Step::Wait => {
                    let interest = exchange.waits_for().unwrap_or(Interest::Writable);
                    assert!(reactor::wait_for(exchange.as_fd(), interest, TIME).unwrap());
                }
                Step::Response(response) => break response,
                Step::Interim(_) => panic!("there is none"),
            }
        };
        assert_eq!(response.status(), StatusCode::OK);
        drop(exchange);
        assert!(upstream.take(true).is_none());
        drop(done);
        ends.join().unwrap();
        answers.join().unwrap();
        std::fs::remove_file(&path).unwrap();
    }
}
