//! Looks at the bytes of a head as they arrive, of a request or of a response: its lines, what may stand in them, and how many
//! there may be (RFC 9112, sections 2 to 5).
//!
//! Bytes are looked at in the order of arrival, so that what is said of them is the same however they were split.

use super::error::HttpError;
use super::fields::{VALUE, check_field_line};
use crate::byte_set::ByteSet;

/// There is room on the stack for this many fields.
pub(super) const MOST_FIELDS: usize = 100;

/// What the first line of a head may be, and how large the head.
pub(super) trait Grammar {
    /// What may stand in the first line; no control character but a tab.
    const START: &'static ByteSet;
    /// What is wrong with other characters there.
    const NOT_IN_START: HttpError;
    /// Whether one empty line may come before it.
    const SKIPS_EMPTY_LINE: bool;
    /// What is wrong with an empty line in its place.
    const EMPTY_START: HttpError;
    const START_TOO_LONG: HttpError;

    /// Bytes of the whole head.
    fn max_head(&self) -> usize;

    /// Number of fields; at most [`MOST_FIELDS`].
    fn max_fields(&self) -> usize;

    /// A first line that is longer is wrong before its end has come.
    fn max_unfinished_start(&self) -> usize;

    fn check_start(&self, line: &[u8]) -> Result<(), HttpError>;
}

/// How far a head was looked at.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    /// How many bytes were looked at and may be part of a head.
    scanned: usize,
    /// Where the current line began.
    line: usize,
    lines: usize,
}

impl Scanner {
    pub(super) fn scanned(&self) -> usize {
        self.scanned
    }

    /// Looks at the bytes that are new. `Some(end)`: the empty line was found.
    pub(super) fn scan<G: Grammar>(&mut self, received: &[u8], grammar: &G) -> Result<Option<usize>, HttpError> {
        loop {
            self.pass_over_text(received, grammar);
            let Some(&byte) = received.get(self.scanned) else { return Ok(None) };
            let at = self.scanned;
            let after_cr = at > 0 && received[at - 1] == b'\r';
            match byte {
                b'\n' if after_cr => {}
                _ if after_cr => return Err(HttpError::bad("a bare carriage return in the head")),
                b'\n' => return Err(HttpError::bad("a bare line feed in the head")),
                b'\r' | b'\t' => {}
                0..=0x1f | 0x7f => return Err(HttpError::bad("a control character in the head")),
                _ if self.lines == 0 && !G::START.contains(byte) => return Err(G::NOT_IN_START),
                _ => {}
            }
            if at >= grammar.max_head() {
                return Err(HttpError::head_too_large("the head is too large"));
            }
            self.scanned += 1;
            if byte == b'\n' {
                let line = &received[self.line..at - 1];
                self.line = at + 1;
                match (self.lines, line) {
                    (0, b"") if at == 1 && G::SKIPS_EMPTY_LINE => {}
                    (0, b"") => return Err(G::EMPTY_START),
                    (0, line) => {
                        grammar.check_start(line)?;
                        self.lines = 1;
                    }
                    (_, b"") => return Ok(Some(at + 1)),
                    (lines, _) if lines > grammar.max_fields().min(MOST_FIELDS) => {
                        return Err(HttpError::head_too_large("too many fields"));
                    }
                    (_, line) => {
                        check_field_line(line)?;
                        self.lines += 1;
                    }
                }
            } else if self.lines == 0 && at - self.line > grammar.max_unfinished_start() {
                return Err(G::START_TOO_LONG);
            }
        }
    }

    /// Passes over bytes of which there is nothing to say: they may stand in this line, and reach no limit. After the text that
    /// may be a carriage return: what has to follow it is looked at next.
    fn pass_over_text<G: Grammar>(&mut self, received: &[u8], grammar: &G) {
        let (text, limit) = match self.lines {
            0 => (G::START, self.line + grammar.max_unfinished_start()),
            _ => (VALUE, grammar.max_head()),
        };
        let end = limit.min(grammar.max_head()).min(received.len());
        if self.scanned < end && !received[..self.scanned].ends_with(b"\r") {
            self.scanned += text.run(&received[self.scanned..end]);
            self.scanned += usize::from(received[..end].get(self.scanned) == Some(&b'\r'));
        }
    }
}
