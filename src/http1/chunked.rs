//! The chunked transfer coding, both ways (RFC 9112, section 7.1).

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

use super::error::HttpError;
use super::fields::{TOKEN, VALUE, check_field_line};

/// Ends a chunked body.
pub(crate) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Appends `data` as one chunk. Empty data would end the body, so it appends nothing.
pub(crate) fn encode_chunk(data: &[u8], out: &mut Vec<u8>) {
    if data.is_empty() {
        return;
    }
    out.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// The longest chunk line, and the longest line of a trailer, in bytes.
const MAX_LINE: usize = 512;

/// All chunk extensions and trailers of a body together, in bytes.
const MAX_EXTRA: usize = 4096;

/// Decodes a chunked body as it arrives.
#[derive(Debug)]
pub(crate) struct ChunkedDecoder {
    state: State,
    /// The line being collected, without its line end.
    line: Vec<u8>,
    /// Bytes of chunk extensions and trailers so far.
    extra: usize,
    /// The lines of the trailers, each with a line feed.
    trailers: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// In the line with a chunk's size.
    Size,
    /// In a chunk's data.
    Data {
        left: u64,
    },
    /// In the line end that follows the data; `seen` of its two bytes have come.
    DataEnd {
        seen: usize,
    },
    /// In the lines after the last chunk.
    Trailer,
    Done,
}

/// What one call to `decode` did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    /// Bytes of the input that were used.
    pub(crate) consumed: usize,
    /// Bytes of the output that were filled.
    pub(crate) produced: usize,
    /// The body is over; the input after `consumed` is not part of it.
    pub(crate) done: bool,
}

impl ChunkedDecoder {
    pub(crate) fn new() -> Self {
        Self { state: State::Size, line: Vec::new(), extra: 0, trailers: Vec::new() }
    }

    /// Uses as much of `input` as possible, until `output` is full or the body is over.
    pub(crate) fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Decoded, HttpError> {
        let (mut consumed, mut produced) = (0, 0);
        while let Some(&byte) = input.get(consumed) {
            match self.state {
                State::Done => break,
                State::Data { left } => {
                    let room = (output.len() - produced).min(usize::try_from(left).unwrap_or(usize::MAX));
                    let n = room.min(input.len() - consumed);
                    if n == 0 {
                        break;
                    }
                    output[produced..produced + n].copy_from_slice(&input[consumed..consumed + n]);
                    consumed += n;
                    produced += n;
                    let left = left - n as u64;
                    self.state = if left == 0 { State::DataEnd { seen: 0 } } else { State::Data { left } };
                }
                State::DataEnd { seen } => {
                    if byte != b"\r\n"[seen] {
                        return Err(HttpError::bad("a chunk that is longer than its size"));
                    }
                    consumed += 1;
                    self.state = if seen == 0 { State::DataEnd { seen: 1 } } else { State::Size };
                }
                State::Size | State::Trailer => {
                    consumed += 1;
                    if self.collect(byte)? {
                        self.end_line()?;
                    }
                }
            }
        }
        Ok(Decoded { consumed, produced, done: matches!(self.state, State::Done) })
    }

    /// The lines of the trailers; see [`trailers`].
    pub(crate) fn take_trailers(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.trailers)
    }

    /// Takes one byte of a line. `true`: the line is over.
    fn collect(&mut self, byte: u8) -> Result<bool, HttpError> {
        match (self.line.last(), byte) {
            (Some(b'\r'), b'\n') => {
                self.line.pop();
                return Ok(true);
            }
            (Some(b'\r'), _) => return Err(HttpError::bad("a bare carriage return in a chunk line")),
            (_, b'\n') => return Err(HttpError::bad("a bare line feed in a chunk line")),
            (_, b'\r') => {}
            (_, byte) if !VALUE.contains(byte) => return Err(HttpError::bad("a control character in a chunk line")),
            // Wrong already at its first character; there is no need to wait for the line's end.
            (None, byte) if matches!(self.state, State::Size) && !byte.is_ascii_hexdigit() => {
                return Err(HttpError::bad("a chunk size that is not a plain number"));
            }
            _ => {}
        }
        if self.line.len() >= MAX_LINE {
            return Err(HttpError::bad("a chunk line that is too long"));
        }
        self.line.push(byte);
        Ok(false)
    }

    fn end_line(&mut self) -> Result<(), HttpError> {
        match self.state {
            State::Size => {
                let digits = self.line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
                let size = chunk_size(&self.line[..digits])?;
                check_extensions(&self.line[digits..])?;
                self.count_extra(self.line.len() - digits.min(PLAIN_DIGITS))?;
                self.state = if size == 0 { State::Trailer } else { State::Data { left: size } };
            }
            _ if self.line.is_empty() => self.state = State::Done,
            _ => {
                check_field_line(&self.line)?;
                self.count_extra(self.line.len())?;
                self.trailers.extend_from_slice(&self.line);
                self.trailers.push(b'\n');
            }
        }
        self.line.clear();
        Ok(())
    }

    fn count_extra(&mut self, bytes: usize) -> Result<(), HttpError> {
        self.extra += bytes;
        if self.extra > MAX_EXTRA {
            return Err(HttpError::bad("too many chunk extensions or trailers"));
        }
        Ok(())
    }
}

/// The fields in lines of trailers, whose form was checked when they came.
pub(super) fn trailers(lines: &[u8]) -> HeaderMap {
    let fields = lines.split(|byte| *byte == b'\n').filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        Some((name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?))
    });
    let mut trailers = HeaderMap::new();
    for (name, value) in fields {
        trailers.append(name, value);
    }
    trailers
}

/// `1*HEXDIG`; leading zeros are allowed.
fn chunk_size(digits: &[u8]) -> Result<u64, HttpError> {
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    if digits.is_empty() || digits.len() - zeros > PLAIN_DIGITS {
        return Err(HttpError::bad("a chunk size that is not a plain number"));
    }
    let digit = |byte: &u8| u64::from(char::from(*byte).to_digit(16).unwrap_or_default());
    Ok(digits.iter().fold(0, |size, byte| size << 4 | digit(byte)))
}

/// This many hexadecimal digits always fit a u64. More can only be leading zeros, which count as extra.
const PLAIN_DIGITS: usize = 16;

/// Extensions are ignored, but have to be well formed.
fn check_extensions(mut rest: &[u8]) -> Result<(), HttpError> {
    while !rest.is_empty() {
        rest = skip_extension(rest).ok_or(HttpError::bad("not a valid chunk extension"))?;
    }
    Ok(())
}

/// `BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ]` (RFC 9112, section 7.1.1): white space is allowed around the
/// signs, but not at the end.
fn skip_extension(bytes: &[u8]) -> Option<&[u8]> {
    let name = skip_space(bytes).strip_prefix(b";")?;
    let after = skip_token(skip_space(name))?;
    let Some(value) = skip_space(after).strip_prefix(b"=") else { return Some(after) };
    let value = skip_space(value);
    match value.strip_prefix(b"\"") {
        Some(quoted) => skip_quoted(quoted),
        None => skip_token(value),
    }
}

/// "Bad" white space (RFC 9110, section 5.6.3).
fn skip_space(bytes: &[u8]) -> &[u8] {
    let length = bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    &bytes[length..]
}

fn skip_token(bytes: &[u8]) -> Option<&[u8]> {
    let length = TOKEN.run(bytes);
    (length > 0).then(|| &bytes[length..])
}

/// From after the opening quote to after the closing one.
fn skip_quoted(bytes: &[u8]) -> Option<&[u8]> {
    let mut at = 0;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(&bytes[at + 1..]),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}
