//! A response on its way out: a head, a body, and how far they have come.

use std::borrow::Cow;
use std::io::{self, Read};

use super::worker::Buffer;
use crate::handler::body::Content;
use crate::http1::{LAST_CHUNK, Transfer, encode_chunk};
use crate::panic::caught;
use crate::tls::session::Session;

/// How many bytes of a streamed body are in memory at a time.
const READ_AHEAD: usize = 32 * 1024;

/// A body of at most this many bytes is sent together with the head, in one TLS record and one write.
const SMALL: usize = 8 * 1024;

/// A response being sent.
pub(crate) struct Answer {
    /// Bytes that TLS has not taken yet, from `offset` on.
    pending: Vec<u8>,
    offset: usize,
    body: Rest,
    /// How many bytes TLS has taken so far, head included.
    pub(crate) sent: u64,
}

/// What comes after `pending`.
enum Rest {
    Nothing,
    Bytes { bytes: Cow<'static, [u8]>, offset: usize },
    Reader { reader: Box<dyn Read + Send>, left: Left, buffer: Vec<u8> },
}

/// What is still to come from a reader.
enum Left {
    Bytes(u64),
    Chunks,
    UntilEnd,
}

/// How far an answer is sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The system has taken all of it.
    Done,
    /// The client has to read first.
    Blocked,
    /// The client takes all it is given, but it is the turn of other connections.
    Paused,
}

/// How many bytes are sent in a turn.
const TURN: u64 = 1024 * 1024;

/// Why an answer is given up halfway. The connection is cut, so that the client notices.
#[derive(Debug)]
pub(crate) enum GivenUp {
    /// The client is gone.
    Network,
    /// TLS has failed. After its alert it takes no more bytes.
    Tls,
    /// The body's reader failed.
    Reader(io::Error),
    /// The body's reader panicked.
    Panicked(String),
}

impl Answer {
    /// `head` is the serialised head, `transfer` how the body goes with it.
    pub(crate) fn new(mut head: Vec<u8>, body: Content, transfer: Transfer) -> Self {
        let rest = match (body, transfer) {
            (_, Transfer::None) | (Content::Awaited(_) | Content::Arriving { .. } | Content::Tunnel(_), _) => {
                Rest::Nothing
            }
            (Content::Bytes(bytes), _) if bytes.len() <= SMALL => {
                head.extend_from_slice(&bytes);
                Rest::Nothing
            }
            (Content::Bytes(bytes), _) => Rest::Bytes { bytes, offset: 0 },
            (Content::Reader { reader, .. }, transfer) => {
                let left = match transfer {
                    Transfer::Length(length) => Left::Bytes(length),
                    Transfer::Chunked => Left::Chunks,
                    Transfer::None | Transfer::UntilClose => Left::UntilEnd,
                };
                Rest::Reader { reader, left, buffer: Vec::new() }
            }
        };
        Self { pending: head, offset: 0, body: rest, sent: 0 }
    }

    /// Whether the next bytes come from a reader, which may block.
    pub(crate) fn has_reader(&self) -> bool {
        matches!(self.body, Rest::Reader { .. })
    }

    /// Sends as much as the client takes. With `last`, the end of the stream follows the last byte, in the same write.
    pub(crate) fn advance(&mut self, session: &mut Session, last: bool) -> Result<Progress, GivenUp> {
        let pause = self.sent + TURN;
        loop {
            if self.sent >= pause {
                return Ok(Progress::Paused);
            }
            let taken = match &self.body {
                _ if self.offset < self.pending.len() => {
                    let taken = session.send(&self.pending[self.offset..]);
                    self.offset += taken;
                    taken
                }
                Rest::Bytes { bytes, offset } if *offset < bytes.len() => {
                    let taken = session.send(&bytes[*offset..]);
                    let Rest::Bytes { offset, .. } = &mut self.body else { continue };
                    *offset += taken;
                    taken
                }
                Rest::Reader { .. } => {
                    self.read_on()?;
                    continue;
                }
                Rest::Nothing | Rest::Bytes { .. } => {
                    if last {
                        session.send_close_notify();
                    }
                    return match session.flush().map_err(|_| GivenUp::Network)? {
                        true => Ok(Progress::Done),
                        false => Ok(Progress::Blocked),
                    };
                }
            };
            self.sent += taken as u64;
            // Nothing taken: the buffer of TLS is full, and has to go out first.
            if taken == 0 {
                if !session.wants_write() {
                    return Err(GivenUp::Tls);
                }
                if !session.flush().map_err(|_| GivenUp::Network)? {
                    return Ok(Progress::Blocked);
                }
            }
        }
    }

    /// While it waits for the client, it has no more memory than what is left needs.
    pub(super) fn part_with_memory(&mut self, buffer: &mut Buffer) {
        buffer.part_with(&mut self.pending, self.offset);
        self.offset = 0;
    }

    pub(super) fn into_memory(self) -> Vec<u8> {
        self.pending
    }

    /// Reads the next piece of the body into `pending`.
    fn read_on(&mut self) -> Result<(), GivenUp> {
        let Rest::Reader { reader, left, buffer } = &mut self.body else { return Ok(()) };
        self.pending.clear();
        self.offset = 0;
        let wanted = match left {
            Left::Bytes(left) => usize::try_from(*left).unwrap_or(READ_AHEAD).min(READ_AHEAD),
            Left::Chunks | Left::UntilEnd => READ_AHEAD,
        };
        buffer.resize(wanted, 0);
        let n = if wanted == 0 { 0 } else { read_caught(reader, buffer)? };
        match left {
            Left::Bytes(left) => {
                if n == 0 && *left > 0 {
                    return Err(GivenUp::Reader(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the response body ended before its announced length",
                    )));
                }
                *left -= n as u64;
                self.pending.extend_from_slice(&buffer[..n]);
                if *left == 0 {
                    self.body = Rest::Nothing;
                }
            }
            Left::Chunks if n == 0 => {
                self.pending.extend_from_slice(LAST_CHUNK);
                self.body = Rest::Nothing;
            }
            Left::Chunks => encode_chunk(&buffer[..n], &mut self.pending),
            Left::UntilEnd if n == 0 => self.body = Rest::Nothing,
            Left::UntilEnd => self.pending.extend_from_slice(&buffer[..n]),
        }
        Ok(())
    }
}

fn read_caught(reader: &mut Box<dyn Read + Send>, buffer: &mut [u8]) -> Result<usize, GivenUp> {
    loop {
        // After a panic the reader is not used again.
        return match caught(|| reader.read(buffer)) {
            Ok(Ok(n)) => Ok(n.min(buffer.len())),
            Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => continue,
            Ok(Err(error)) => Err(GivenUp::Reader(error)),
            Err(message) => Err(GivenUp::Panicked(message)),
        };
    }
}
