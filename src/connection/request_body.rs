//! The body of a request while the handler reads it, bounded in time.

use std::io::{self, Read};
use std::time::Instant;

use http::StatusCode;

use crate::config::Timeouts;
use crate::deadline::Pace;
use crate::http1::{BodyDecoder, CONTINUE, HttpError};
use crate::reactor::{self, Interest, Signal};
use crate::tls::failure::TlsFailure;
use crate::tls::session::{Broken, Received, Session};

/// The body as the handler of an authorised client reads it: reading waits on the socket.
pub(crate) struct Upload<'c> {
    pub(crate) session: &'c mut Session,
    /// Plaintext that arrived together with the head.
    pub(crate) input: &'c mut Vec<u8>,
    pub(crate) decoder: &'c mut BodyDecoder,
    pub(crate) timeouts: &'c Timeouts,
    pub(crate) pace: Pace,
    /// Since when the client has not been waited for.
    pub(crate) busy_since: Instant,
    /// The client waits for `100 Continue` before it sends the body (RFC 9110, section 10.1.1).
    pub(crate) continue_awaited: bool,
    /// Why the body could not be read, if it could not.
    pub(crate) failure: Option<Failure>,
}

/// Why a body could not be read.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It is not acceptable: the client gets the status.
    Rejected(HttpError),
    /// The client is too slow: it gets a 408.
    TimedOut,
    /// TLS cannot go on.
    Broken(TlsFailure),
    /// The client is gone.
    Gone,
}

impl Read for Upload<'_> {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        if output.is_empty() {
            return Ok(0);
        }
        if let Some(failure) = &self.failure {
            return Err(failure.to_io());
        }
        self.read_or_wait(output).map_err(|failure| {
            let error = failure.to_io();
            self.failure = Some(failure);
            error
        })
    }
}

impl Upload<'_> {
    fn read_or_wait(&mut self, output: &mut [u8]) -> Result<usize, Failure> {
        loop {
            if !self.input.is_empty() {
                let produced = self.decoder.decode(self.input, output).map_err(Failure::Rejected)?;
                if produced > 0 {
                    return Ok(produced);
                }
            } else {
                let produced = self.decoder.read_directly(output, |room| self.session.read_plaintext(room));
                if produced > 0 {
                    return Ok(produced);
                }
            }
            if self.decoder.is_done() {
                return Ok(0);
            }
            self.receive()?;
        }
    }

    fn receive(&mut self) -> Result<(), Failure> {
        if std::mem::take(&mut self.continue_awaited) {
            self.session.send(CONTINUE);
        }
        while !self.session.flush().map_err(|_| Failure::Gone)? {
            self.wait(Interest::Writable)?;
        }
        match self.session.receive() {
            Ok(Received::Bytes) => {}
            Ok(Received::Nothing) => self.wait(Interest::Readable)?,
            Err(Broken::Tls(failure)) => return Err(Failure::Broken(failure)),
            Ok(Received::End) | Err(Broken::PlainHttp { .. } | Broken::Network) => return Err(Failure::Gone),
        }
        if self.decoder.is_chunked() {
            self.session.take_plaintext(self.input);
        }
        Ok(())
    }

    fn wait(&mut self, interest: Interest) -> Result<(), Failure> {
        // The time that the handler took meanwhile is not the client's.
        self.pace.excuse(self.busy_since.elapsed());
        let waited = self.wait_for_client(interest);
        self.busy_since = Instant::now();
        waited
    }

    fn wait_for_client(&mut self, interest: Interest) -> Result<(), Failure> {
        loop {
            let left = self.pace.deadline.saturating_duration_since(Instant::now());
            match reactor::wait_for(&*self.session, interest, left) {
                // Even if something is there: otherwise a byte now and then would be fast enough.
                _ if left.is_zero() => {
                    if !self.pace.next_period(self.decoder.received(), Instant::now(), self.timeouts) {
                        return Err(Failure::TimedOut);
                    }
                }
                Ok(true) => {
                    self.session.notice(Signal { client: true, ..Signal::default() });
                    return Ok(());
                }
                Ok(false) => {}
                Err(_) => return Err(Failure::Gone),
            }
        }
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
            Failure::Gone => io::Error::new(io::ErrorKind::UnexpectedEof, "the client left before the body's end"),
        }
    }
}
