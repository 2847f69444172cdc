//! The body of a request, or of a response that another program sent, decoded from its framing as it arrives, and counted.

use http::HeaderMap;

use super::chunked::{ChunkedDecoder, trailers};
use super::error::HttpError;
use super::framing::Framing;

/// Decodes a body from the bytes that have arrived.
#[derive(Debug)]
pub(crate) struct BodyDecoder {
    state: State,
    limit: u64,
    received: u64,
    /// Their lines, once the body is over.
    trailers: Vec<u8>,
}

#[derive(Debug)]
enum State {
    Length { left: u64 },
    Chunked(Box<ChunkedDecoder>),
    UntilClose,
    Done,
}

impl BodyDecoder {
    /// For a body of at most `limit` bytes.
    pub(crate) fn new(framing: Framing, limit: u64) -> Result<Self, HttpError> {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(length) if length > limit => return Err(HttpError::body_too_large()),
            Framing::Length(left) => State::Length { left },
            Framing::Chunked => State::Chunked(Box::new(ChunkedDecoder::new())),
            Framing::UntilClose => State::UntilClose,
        };
        Ok(Self { state, limit, received: 0, trailers: Vec::new() })
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    pub(crate) fn is_chunked(&self) -> bool {
        matches!(self.state, State::Chunked(_))
    }

    /// How many bytes of the body have been decoded.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Decodes from the front of `input`, which loses what was used, into `output`; returns how many bytes it produced.
    pub(crate) fn decode(&mut self, input: &mut Vec<u8>, output: &mut [u8]) -> Result<usize, HttpError> {
        let (consumed, produced) = match &mut self.state {
            State::Done => (0, 0),
            State::Length { left } => {
                let n = up_to(*left, output.len().min(input.len()));
                output[..n].copy_from_slice(&input[..n]);
                self.took(n);
                (n, n)
            }
            State::UntilClose => {
                let n = output.len().min(input.len());
                output[..n].copy_from_slice(&input[..n]);
                self.took(n);
                (n, n)
            }
            State::Chunked(decoder) => {
                let decoded = decoder.decode(input, output)?;
                if decoded.done {
                    self.trailers = decoder.take_trailers();
                    self.state = State::Done;
                }
                self.received += decoded.produced as u64;
                (decoded.consumed, decoded.produced)
            }
        };
        input.drain(..consumed);
        if self.received > self.limit {
            return Err(HttpError::body_too_large());
        }
        Ok(produced)
    }

    /// Decodes all of `input` that is part of the body, into `body` or nowhere. `true`: that was the body's end.
    pub(crate) fn decode_all(
        &mut self,
        input: &mut Vec<u8>,
        mut body: Option<&mut Vec<u8>>,
    ) -> Result<bool, HttpError> {
        if self.is_done() {
            return Ok(true);
        }
        let mut scratch = [0; 4096];
        loop {
            match self.decode(input, &mut scratch)? {
                0 => return Ok(self.is_done()),
                n => {
                    if let Some(body) = &mut body {
                        body.extend_from_slice(&scratch[..n]);
                    }
                }
            }
        }
    }

    /// For a body without chunks: has `read` write as much as belongs to the body into `output`, without a copy in between.
    pub(crate) fn read_directly(&mut self, output: &mut [u8], read: impl FnOnce(&mut [u8]) -> usize) -> usize {
        let room = match self.state {
            State::Length { left } => up_to(left, output.len()),
            State::UntilClose => output.len(),
            State::Chunked(_) | State::Done => return 0,
        };
        let n = read(&mut output[..room]);
        self.took(n);
        n
    }

    /// Nothing more will come. Whether that is the body's end.
    pub(crate) fn close(&mut self) -> bool {
        if matches!(self.state, State::UntilClose) {
            self.state = State::Done;
        }
        self.is_done()
    }

    /// The trailer fields of a body that is over (RFC 9110, section 6.5).
    pub(crate) fn trailers(&self) -> HeaderMap {
        trailers(&self.trailers)
    }

    /// This many more bytes of a body without chunks have come.
    fn took(&mut self, n: usize) {
        self.received += n as u64;
        if let State::Length { left } = &mut self.state {
            *left -= n as u64;
            if *left == 0 {
                self.state = State::Done;
            }
        }
    }
}

/// The smaller of the two.
fn up_to(left: u64, room: usize) -> usize {
    room.min(usize::try_from(left).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_of_known_length_is_read_directly_and_no_further_than_its_end() {
        let mut decoder = BodyDecoder::new(Framing::Length(5), 5).unwrap();
        let mut input = b"ab".to_vec();
        let mut output = [0; 8];
        assert_eq!(decoder.decode(&mut input, &mut output), Ok(2));
        assert!(input.is_empty() && !decoder.is_done());
        let read = |room: &mut [u8]| {
            assert_eq!(room.len(), 3, "the rest is another request's");
            room.fill(b'c');
            room.len()
        };
        assert_eq!(decoder.read_directly(&mut output, read), 3);
        assert_eq!((&output[..3], decoder.is_done(), decoder.received()), (&b"ccc"[..], true, 5));
        assert_eq!(decoder.read_directly(&mut output, |_| panic!("nothing is missing")), 0);
    }

    #[test]
    fn a_body_is_decoded_to_its_end_and_what_follows_stays() {
        for (framing, sent) in
            [(Framing::Length(5), "helloGET"), (Framing::Chunked, "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\nGET")]
        {
            let mut decoder = BodyDecoder::new(framing, 5).unwrap();
            let (mut input, mut body) = (sent.as_bytes().to_vec(), Vec::new());
            assert_eq!(decoder.decode_all(&mut input, Some(&mut body)), Ok(true));
            assert_eq!((&body[..], &input[..]), (&b"hello"[..], &b"GET"[..]));
        }
    }

    #[test]
    fn a_body_over_the_limit_is_refused() {
        let too_large = Some(HttpError::body_too_large());
        assert_eq!(BodyDecoder::new(Framing::Length(6), 5).err(), too_large);
        let mut decoder = BodyDecoder::new(Framing::Chunked, 5).unwrap();
        assert_eq!(decoder.decode_all(&mut b"6\r\nabcdef\r\n".to_vec(), None).err(), too_large);
    }
}
