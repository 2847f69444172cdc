//! The HTTP layer of mtls-min, from its own source, for the benchmarks.

#[path = "../../src/byte_set.rs"]
#[allow(dead_code, reason = "a part of it is measured")]
mod byte_set;
#[path = "../../src/http1/mod.rs"]
#[allow(dead_code, unused_imports, unreachable_pub, reason = "a part of it is measured")]
mod http1;

use http1::chunked::ChunkedDecoder;
use http1::{HeadLimits, HeadParser, encode_chunk};

/// Reads a request's head, framing included: how many bytes it took.
pub fn parse_head(bytes: &[u8]) -> usize {
    let parsed = HeadParser::default().parse(bytes, &HeadLimits::default(), &mut None);
    parsed.ok().flatten().expect("a good head").1
}

/// A body in chunks of this size.
pub fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut encoded = Vec::new();
    body.chunks(size).for_each(|chunk| encode_chunk(chunk, &mut encoded));
    encoded.extend_from_slice(http1::LAST_CHUNK);
    encoded
}

/// Decodes it: how many bytes it has.
pub fn decode_chunked(mut encoded: &[u8]) -> usize {
    let mut decoder = ChunkedDecoder::new();
    let (mut buffer, mut length) = ([0; 4096], 0);
    loop {
        let decoded = decoder.decode(encoded, std::hint::black_box(&mut buffer)).expect("a good body");
        (encoded, length) = (&encoded[decoded.consumed..], length + decoded.produced);
        if decoded.done {
            return length;
        }
    }
}
