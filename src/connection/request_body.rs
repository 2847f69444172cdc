//! The body of a request, on its way in: decoded, counted, and bounded in time.

use std::io::{self, Read};
use std::time::Instant;

use crate::config::Timeouts;
use crate::deadline::Pace;
use crate::http1::{CONTINUE, ChunkedDecoder, Framing, HttpError};
use crate::reactor::{self, Interest, Signal};
use crate::tls::failure::TlsFailure;
use crate::tls::session::{Broken, Received, Session};

/// Decodes a body from the bytes that have arrived. No I/O.
#[derive(Debug)]
pub(crate) struct BodyDecoder {
    framing: DecoderState,
    limit: u64,
    received: u64,
}

#[derive(Debug)]
enum DecoderState {
    Length { left: u64 },
    Chunked(Box<ChunkedDecoder>),
    Done,
}

impl BodyDecoder {
    /// For a body of at most `limit` bytes.
    pub(crate) fn new(framing: Framing, limit: u64) -> Result<Self, HttpError> {
        let framing = match framing {
            Framing::None | Framing::Length(0) => DecoderState::Done,
            Framing::Length(length) if length > limit => return Err(HttpError::body_too_large()),
            Framing::Length(left) => DecoderState::Length { left },
            Framing::Chunked => DecoderState::Chunked(Box::new(ChunkedDecoder::new())),
        };
        Ok(Self { framing, limit, received: 0 })
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self.framing, DecoderState::Done)
    }

    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Decodes from the front of `input`, which loses what was used, into `output`; returns how much it produced.
    pub(crate) fn decode(&mut self, input: &mut Vec<u8>, output: &mut [u8]) -> Result<usize, HttpError> {
        let (consumed, produced) = match &mut self.framing {
            DecoderState::Done => (0, 0),
            DecoderState::Length { left } => {
                let n = output.len().min(input.len()).min(usize::try_from(*left).unwrap_or(usize::MAX));
                output[..n].copy_from_slice(&input[..n]);
                *left -= n as u64;
                if *left == 0 {
                    self.framing = DecoderState::Done;
                }
                (n, n)
            }
            DecoderState::Chunked(decoder) => {
                let decoded = decoder.decode(input, output)?;
                if decoded.done {
                    self.framing = DecoderState::Done;
                }
                (decoded.consumed, decoded.produced)
            }
        };
        input.drain(..consumed);
        self.received += produced as u64;
        if self.received > self.limit {
            return Err(HttpError::body_too_large());
        }
        Ok(produced)
    }

    /// For a body of known length: reads what has been decrypted straight into `output`, past `input`.
    fn read_directly(&mut self, session: &mut Session, output: &mut [u8]) -> usize {
        let DecoderState::Length { left } = &mut self.framing else { return 0 };
        let room = output.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
        let n = session.read_plaintext(&mut output[..room]);
        *left -= n as u64;
        self.received += n as u64;
        if *left == 0 {
            self.framing = DecoderState::Done;
        }
        n
    }
}

/// The body as the handler of an authorised client reads it: reading waits on the socket.
pub(crate) struct Upload<'c> {
    pub(crate) session: &'c mut Session,
    /// Plaintext that arrived together with the head.
    pub(crate) input: &'c mut Vec<u8>,
    pub(crate) decoder: &'c mut BodyDecoder,
    pub(crate) timeouts: &'c Timeouts,
    pub(crate) pace: Pace,
    /// Since when nobody has waited for the client.
    pub(crate) busy_since: Instant,
    /// The client waits for `100 Continue` (RFC 9110, section 10.1.1).
    pub(crate) continue_awaited: bool,
    /// Why the body could not be read, if it could not.
    pub(crate) failure: Option<Failure>,
}

/// Why a body could not be read.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It is not acceptable: the client is told.
    Rejected(HttpError),
    /// The client is too slow: it is told.
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
                let produced = self.decoder.read_directly(self.session, output);
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
        if matches!(self.decoder.framing, DecoderState::Chunked(_)) {
            self.session.take_plaintext(self.input);
        }
        Ok(())
    }

    fn wait(&mut self, interest: Interest) -> Result<(), Failure> {
        // What the handler did meanwhile took the time of the server, not of the client.
        self.pace.excuse(self.busy_since.elapsed());
        let waited = self.wait_for_client(interest);
        self.busy_since = Instant::now();
        waited
    }

    fn wait_for_client(&mut self, interest: Interest) -> Result<(), Failure> {
        loop {
            let left = self.pace.deadline.saturating_duration_since(Instant::now());
            match reactor::wait_for(&*self.session, interest, left) {
                // Also if something is there: a byte now and then is no pace.
                _ if left.is_zero() => {
                    if !self.pace.next_period(self.decoder.received(), Instant::now(), self.timeouts) {
                        return Err(Failure::TimedOut);
                    }
                }
                Ok(true) => {
                    self.session.notice(Signal::default());
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
            Failure::Rejected(rejection) => io::Error::new(io::ErrorKind::InvalidData, rejection.reason),
            Failure::TimedOut => io::Error::new(io::ErrorKind::TimedOut, "the request body came too slowly"),
            Failure::Broken(failure) => io::Error::new(io::ErrorKind::ConnectionAborted, failure.to_string()),
            Failure::Gone => io::Error::new(io::ErrorKind::UnexpectedEof, "the client left before the body's end"),
        }
    }
}
