//! The head of a response that another program sent: status line and fields (RFC 9112, section 4), and where its body ends
//! (section 6.3). As strict as with the heads of requests, and by the same code.

use std::mem::MaybeUninit;

use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::response::Parts;
use http::{Method, StatusCode, Version};

use super::error::HttpError;
use super::fields::{Sole, VALUE, members};
use super::framing::{self, Framing};
use super::head::take_fields;
use super::scanner::{Grammar, MOST_FIELDS, Scanner};
use crate::byte_set::ByteSet;

/// The largest head of a response, in bytes.
pub(crate) const MAX_ANSWER_HEAD: usize = 64 * 1024;

/// A head that is acceptable.
#[derive(Debug)]
pub(crate) struct AnswerHead {
    /// The reason phrase is dropped.
    pub(crate) parts: Parts,
    pub(crate) framing: Framing,
    /// After its body another request can be sent.
    pub(crate) keep_alive: bool,
}

/// Reads one head after the other, and remembers how far it has looked.
#[derive(Debug, Default)]
pub(crate) struct AnswerParser(Scanner);

impl AnswerParser {
    /// `received` is all that has arrived since the head's beginning, `method` that of the request. `None`: more is needed.
    /// `Some`: the head, and how many bytes it took.
    pub(crate) fn parse(&mut self, received: &[u8], method: &Method) -> Result<Option<(AnswerHead, usize)>, HttpError> {
        let Some(end) = self.0.scan(received, &StatusLine)? else { return Ok(None) };
        let head = interpret(&received[..end], method)?;
        self.0 = Scanner::default();
        Ok(Some((head, end)))
    }
}

/// Heads that begin with a status line.
struct StatusLine;

impl Grammar for StatusLine {
    // The reason phrase may hold what a field value may.
    const START: &'static ByteSet = VALUE;
    const NOT_IN_START: HttpError = HttpError::bad("a control character in the head");
    const SKIPS_EMPTY_LINE: bool = false;
    const EMPTY_START: HttpError = HttpError::bad("an empty status line");
    const START_TOO_LONG: HttpError = HttpError::bad("a status line that is too long");

    fn max_head(&self) -> usize {
        MAX_ANSWER_HEAD
    }

    fn max_fields(&self) -> usize {
        MOST_FIELDS
    }

    fn max_unfinished_start(&self) -> usize {
        1024
    }

    /// `HTTP-version SP status-code SP [ reason-phrase ]`. Many programs leave the last space out with the phrase, and it could
    /// mean nothing else.
    fn check_start(&self, line: &[u8]) -> Result<(), HttpError> {
        let (version, rest) = line.split_at_checked(b"HTTP/1.1 ".len()).unwrap_or((line, b""));
        match version {
            b"HTTP/1.1 " | b"HTTP/1.0 " => {}
            _ => return Err(HttpError::bad("a status line that does not begin with HTTP/1.1 or HTTP/1.0")),
        }
        // RFC 9110, section 15: other codes are invalid.
        match rest {
            [b'1'..=b'5', b'0'..=b'9', b'0'..=b'9'] | [b'1'..=b'5', b'0'..=b'9', b'0'..=b'9', b' ', ..] => Ok(()),
            _ => Err(HttpError::bad("a status that is not a number from 100 to 599")),
        }
    }
}

/// The meaning of a whole head whose lines are well formed.
fn interpret(head: &[u8], method: &Method) -> Result<AnswerHead, HttpError> {
    const UNREADABLE: HttpError = HttpError::bad("a head that cannot be read");
    let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
    let mut response = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut response, head, &mut fields);
    let complete = parsed.is_ok_and(|status| status.is_complete());
    let (true, Some(code), Some(version)) = (complete, response.code, response.version) else {
        return Err(UNREADABLE);
    };
    let (mut parts, ()) = http::Response::new(()).into_parts();
    parts.status = StatusCode::from_u16(code).map_err(|_| UNREADABLE)?;
    parts.version = if version == 1 { Version::HTTP_11 } else { Version::HTTP_10 };
    let mut special = Special::default();
    take_fields(response.headers, &mut parts.headers, |name, value| match *name {
        CONTENT_LENGTH => special.content_length.add(value),
        TRANSFER_ENCODING => special.transfer_encoding.add(value),
        CONNECTION => {
            for option in members(value) {
                special.close |= option.eq_ignore_ascii_case(b"close");
                special.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        }
        _ => {}
    })?;
    let framing =
        framing::of_response(method, parts.status, parts.version, special.content_length, special.transfer_encoding)?;
    // RFC 9112, section 9.3. `close` wins.
    let keep_alive =
        !special.close && (parts.version == Version::HTTP_11 || special.keep_alive) && framing != Framing::UntilClose;
    Ok(AnswerHead { parts, framing, keep_alive })
}

/// The fields that say how a response is to be read.
#[derive(Default)]
struct Special<'h> {
    content_length: Sole<'h>,
    transfer_encoding: Sole<'h>,
    /// Options of `Connection`.
    close: bool,
    keep_alive: bool,
}
