//! A response on its way out: a head, a body, and how far they have come.

use std::borrow::Cow;
use std::io::{self, Read};
use std::os::fd::BorrowedFd;

use super::worker::Buffer;
use crate::handler::body::Content;
use crate::handler::upstream::Arriving;
use crate::http1::{LAST_CHUNK, Transfer, encode_chunk, write_last_chunk};
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
    Arriving { body: Box<dyn Arriving>, left: Left, takes_trailers: bool },
}

/// What is still to come from a reader, or from a socket.
#[derive(Clone, Copy)]
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
    /// The client has taken all that has arrived of the body, and there will be more.
    Starved,
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
    /// `head` is the serialised head, `transfer` how the body goes with it, and whether trailers may follow it.
    pub(crate) fn new(mut head: Vec<u8>, body: Content, transfer: Transfer, takes_trailers: bool) -> Self {
        let left = match transfer {
            Transfer::Length(length) => Left::Bytes(length),
            Transfer::Chunked => Left::Chunks,
            Transfer::None | Transfer::UntilClose => Left::UntilEnd,
        };
        let rest = match (body, transfer) {
            // The last two have no body: what follows them is not sent by an answer.
            (_, Transfer::None) | (Content::Awaited(_) | Content::Tunnel(_), _) => Rest::Nothing,
            (Content::Bytes(bytes), _) if bytes.len() <= SMALL => {
                head.extend_from_slice(&bytes);
                Rest::Nothing
            }
            (Content::Bytes(bytes), _) => Rest::Bytes { bytes, offset: 0 },
            (Content::Reader { reader, .. }, _) => Rest::Reader { reader, left, buffer: Vec::new() },
            (Content::Arriving { body, .. }, _) => Rest::Arriving { body, left, takes_trailers },
        };
        Self { pending: head, offset: 0, body: rest, sent: 0 }
    }

    /// Whether the next bytes come from a reader, which may block.
    pub(crate) fn has_reader(&self) -> bool {
        matches!(self.body, Rest::Reader { .. })
    }

    /// Whether nobody knows how much of it will arrive.
    pub(super) fn has_no_end_in_sight(&self) -> bool {
        matches!(self.body, Rest::Arriving { left: Left::Chunks | Left::UntilEnd, .. })
    }

    /// The socket on which the rest of it arrives.
    pub(super) fn source(&self) -> Option<BorrowedFd<'_>> {
        match &self.body {
            Rest::Arriving { body, .. } => Some(body.as_fd()),
            _ => None,
        }
    }

    /// Sends as much as the client takes. With `last`, the end of the stream follows the last byte, in the same write. What
    /// arrives on a socket passes through `scratch`.
    pub(crate) fn advance(
        &mut self,
        session: &mut Session,
        last: bool,
        scratch: &mut Vec<u8>,
    ) -> Result<Progress, GivenUp> {
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
                Rest::Arriving { .. } => {
                    if self.take_on(scratch)? {
                        continue;
                    }
                    // Bytes go out as they come.
                    return match session.flush().map_err(|_| GivenUp::Network)? {
                        true => Ok(Progress::Starved),
                        false => Ok(Progress::Blocked),
                    };
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
        buffer.resize(left.next_read(), 0);
        // A reader of the application gets memory that no other answer uses.
        let n = if buffer.is_empty() { 0 } else { read_caught(|buffer| reader.read(buffer), buffer)? };
        if !left.frame(&buffer[..n], &mut self.pending)? {
            if matches!(left, Left::Chunks) {
                self.pending.extend_from_slice(LAST_CHUNK);
            }
            self.body = Rest::Nothing;
        }
        Ok(())
    }

    /// Takes the next piece of the body that has arrived into `pending`. `false`: nothing has.
    fn take_on(&mut self, scratch: &mut Vec<u8>) -> Result<bool, GivenUp> {
        let Rest::Arriving { body, left, takes_trailers } = &mut self.body else { return Ok(true) };
        self.pending.clear();
        self.offset = 0;
        if scratch.len() < READ_AHEAD {
            scratch.resize(READ_AHEAD, 0);
        }
        let scratch = &mut scratch[..left.next_read()];
        let n = match scratch.is_empty() {
            true => 0,
            false => match read_caught(|buffer| body.read(buffer), scratch) {
                Err(GivenUp::Reader(error)) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                read => read?,
            },
        };
        if !left.frame(&scratch[..n], &mut self.pending)? {
            if matches!(left, Left::Chunks) {
                let trailers = match takes_trailers {
                    true => caught(|| body.trailers()).map_err(GivenUp::Panicked)?,
                    false => None,
                };
                write_last_chunk(&trailers.unwrap_or_default(), &mut self.pending);
            }
            self.body = Rest::Nothing;
        }
        Ok(true)
    }
}

impl Left {
    /// How many bytes to read at most.
    fn next_read(self) -> usize {
        match self {
            Left::Bytes(left) => usize::try_from(left).unwrap_or(READ_AHEAD).min(READ_AHEAD),
            Left::Chunks | Left::UntilEnd => READ_AHEAD,
        }
    }

    /// Appends what was read to `out`, as it is sent; nothing was read at the end. `false`: no more comes.
    fn frame(&mut self, read: &[u8], out: &mut Vec<u8>) -> Result<bool, GivenUp> {
        match self {
            Left::Bytes(left) if read.is_empty() && *left > 0 => Err(GivenUp::Reader(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the response body ended before its announced length",
            ))),
            Left::Bytes(left) => {
                *left -= read.len() as u64;
                out.extend_from_slice(read);
                Ok(*left > 0)
            }
            Left::Chunks => {
                encode_chunk(read, out);
                Ok(!read.is_empty())
            }
            Left::UntilEnd => {
                out.extend_from_slice(read);
                Ok(!read.is_empty())
            }
        }
    }
}

fn read_caught(mut read: impl FnMut(&mut [u8]) -> io::Result<usize>, buffer: &mut [u8]) -> Result<usize, GivenUp> {
    loop {
        // After a panic the reader is not used again.
        return match caught(|| read(buffer)) {
            Ok(Ok(n)) => Ok(n.min(buffer.len())),
            Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => continue,
            Ok(Err(error)) => Err(GivenUp::Reader(error)),
            Err(message) => Err(GivenUp::Panicked(message)),
        };
    }
}
