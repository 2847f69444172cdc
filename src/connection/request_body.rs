//! The body of a request while the handler reads it, bounded in time, and for as long as its client is let in.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, StatusCode};
use rustls::pki_types::CertificateDer;

use super::admission::Judged;
use super::context::Context;
use super::sending::{Asked, NO_LONGER_LET_IN};
use crate::deadline::Pace;
use crate::handler::request::Incoming;
use crate::http1::{BodyDecoder, CONTINUE, HttpError};
use crate::reactor::{self, Interest, Signal};
use crate::tls::failure::TlsFailure;
use crate::tls::session::{Broken, Received, Session};
use crate::trust::{Refusal, Verdict};

/// The body as the handler of an authorised client reads it: reading waits on the socket.
pub(super) struct Upload<'c> {
    pub(super) session: &'c mut Session,
    /// The request, for which its client was let in, and has to be for as long as it sends.
    pub(super) asked: &'c Asked,
    pub(super) judged: &'c mut Judged,
    pub(super) context: &'c Context,
    /// Plaintext that arrived together with the head.
    pub(super) input: &'c mut Vec<u8>,
    pub(super) decoder: &'c mut BodyDecoder,
    pub(super) pace: Pace,
    /// Since when the client has not been waited for.
    pub(super) busy_since: Instant,
    /// The client waits for `100 Continue` before it sends the body (RFC 9110, section 10.1.1).
    pub(super) continue_awaited: bool,
    /// Why the body could not be read, if it could not.
    pub(super) failure: Option<Failure>,
}

/// The body of a request that was read before the handler is called.
pub(super) struct Whole {
    pub(super) bytes: Vec<u8>,
    pub(super) trailers: HeaderMap,
}

/// The same, as the handler reads it.
pub(super) struct Buffered<'c> {
    pub(super) body: &'c [u8],
    pub(super) trailers: &'c HeaderMap,
    pub(super) chain: &'c [CertificateDer<'static>],
}

/// Why a body could not be read.
#[derive(Debug)]
pub(super) enum Failure {
    /// It is not acceptable: the client gets the status.
    Rejected(HttpError),
    /// The client is too slow: it gets a 408.
    TimedOut,
    /// TLS cannot go on.
    Broken(TlsFailure),
    /// The client is gone.
    Gone,
    /// The client is no longer let in: it gets a 401, or a 403.
    Refused(Arc<Refusal>),
}

/// How often it is looked whether a client that is waited for is still let in.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

impl Read for Upload<'_> {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        // Without another socket it is read.
        self.read_unless(output, None).map(Option::unwrap_or_default)
    }
}

impl Incoming for Upload<'_> {
    fn peer_chain(&self) -> &[CertificateDer<'static>] {
        self.session.peer_chain()
    }

    fn awaits_continue(&self) -> bool {
        self.continue_awaited
    }

    fn read_beside(&mut self, output: &mut [u8], other: BorrowedFd<'_>) -> io::Result<Option<usize>> {
        self.read_unless(output, Some(other))
    }

    fn trailers(&self) -> HeaderMap {
        self.decoder.trailers()
    }
}

impl Upload<'_> {
    /// `None`: the client has to be waited for, and the other socket is readable.
    fn read_unless(&mut self, output: &mut [u8], other: Option<BorrowedFd<'_>>) -> io::Result<Option<usize>> {
        if output.is_empty() {
            return Ok(Some(0));
        }
        if let Some(failure) = &self.failure {
            return Err(failure.to_io());
        }
        self.read_or_wait(output, other).map_err(|failure| {
            let error = failure.to_io();
            self.failure = Some(failure);
            error
        })
    }

    fn read_or_wait(&mut self, output: &mut [u8], other: Option<BorrowedFd<'_>>) -> Result<Option<usize>, Failure> {
        loop {
            if !self.input.is_empty() {
                let produced = self.decoder.decode(self.input, output).map_err(Failure::Rejected)?;
                if produced > 0 {
                    return Ok(Some(produced));
                }
            } else {
                let produced = self.decoder.read_directly(output, |room| self.session.read_plaintext(room));
                if produced > 0 {
                    return Ok(Some(produced));
                }
            }
            if self.decoder.is_done() {
                return Ok(Some(0));
            }
            if !self.receive(other)? {
                return Ok(None);
            }
        }
    }

    /// A body may take hours, and its client may be revoked, or its certificate expire, meanwhile.
    fn check_client(&mut self) -> Result<(), Failure> {
        let now = self.context.clock.now();
        if self.judged.stands(now, self.context) {
            return Ok(());
        }
        match self.judged.admit(self.session.peer_chain(), &self.asked.parts, now, self.context) {
            (Verdict::Authorised(_), _) => Ok(()),
            (Verdict::Refused(why), _) => Err(Failure::Refused(why)),
        }
    }

    /// `false`: instead of the client, the other socket is readable.
    fn receive(&mut self, other: Option<BorrowedFd<'_>>) -> Result<bool, Failure> {
        self.check_client()?;
        if std::mem::take(&mut self.continue_awaited) {
            self.session.send(CONTINUE);
        }
        while !self.session.flush().map_err(|_| Failure::Gone)? {
            self.wait(Interest::Writable, None)?;
        }
        match self.session.receive() {
            Ok(Received::Bytes) => {}
            Ok(Received::Nothing) => return self.wait(Interest::Readable, other),
            Err(Broken::Tls(failure)) => return Err(Failure::Broken(failure)),
            Ok(Received::End) | Err(Broken::PlainHttp { .. } | Broken::Network) => return Err(Failure::Gone),
        }
        if self.decoder.is_chunked() {
            self.session.take_plaintext(self.input);
        }
        Ok(true)
    }

    fn wait(&mut self, interest: Interest, other: Option<BorrowedFd<'_>>) -> Result<bool, Failure> {
        // The time that the handler took meanwhile is not the client's.
        self.pace.excuse(self.busy_since.elapsed());
        let waited = self.wait_for_client(interest, other);
        self.busy_since = Instant::now();
        waited
    }

    fn wait_for_client(&mut self, interest: Interest, other: Option<BorrowedFd<'_>>) -> Result<bool, Failure> {
        loop {
            let left = self.pace.deadline.saturating_duration_since(Instant::now());
            let a_while = left.min(LOOK_AGAIN);
            let waited = match other {
                None => reactor::wait_for(&*self.session, interest, a_while),
                Some(other) => {
                    let either = [(self.session.as_fd(), interest), (other, Interest::Readable)];
                    match reactor::wait_for_either(either, a_while) {
                        Ok([false, true]) => return Ok(false),
                        either => either.map(|[client, _]| client),
                    }
                }
            };
            match waited {
                // Even if something is there: otherwise a byte now and then would be fast enough.
                _ if left.is_zero() => {
                    if !self.pace.next_period(self.decoder.received(), Instant::now(), &self.context.timeouts) {
                        return Err(Failure::TimedOut);
                    }
                }
                Ok(true) => {
                    self.session.notice(Signal { client: true, ..Signal::default() });
                    return Ok(true);
                }
                Ok(false) => self.check_client()?,
                Err(_) => return Err(Failure::Gone),
            }
        }
    }
}

impl Read for Buffered<'_> {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        self.body.read(output)
    }
}

impl Incoming for Buffered<'_> {
    fn peer_chain(&self) -> &[CertificateDer<'static>] {
        self.chain
    }

    fn awaits_continue(&self) -> bool {
        false
    }

    fn read_beside(&mut self, output: &mut [u8], _other: BorrowedFd<'_>) -> io::Result<Option<usize>> {
        self.read(output).map(Some)
    }

    fn trailers(&self) -> HeaderMap {
        self.trailers.clone()
    }
}

impl Failure {
    fn to_io(&self) -> io::Error {
        match self {
            Failure::Rejected(rejection) if rejection.status == StatusCode::PAYLOAD_TOO_LARGE => {
                io::Error::new(io::ErrorKind::FileTooLarge, rejection.reason)
            }
            Failure::Rejected(rejection) => io::Error::new(io::ErrorKind::InvalidData, rejection.reason),
            Failure::TimedOut => io::Error::new(io::ErrorKind::TimedOut, "the request body came too slowly"),
            Failure::Broken(failure) => io::Error::new(io::ErrorKind::ConnectionAborted, failure.to_string()),
            Failure::Refused(_) => io::Error::new(io::ErrorKind::PermissionDenied, NO_LONGER_LET_IN),
            Failure::Gone => io::Error::new(io::ErrorKind::UnexpectedEof, "the client left before the body's end"),
        }
    }
}
