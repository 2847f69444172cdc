//! The rules of the HTTP layer, as examples and as properties.

mod answers;
mod chunks;
mod comparison;
mod heads;
mod properties;
mod reference;
mod responses;
mod targets;
mod upgrades;

use crate::http1::chunked::ChunkedDecoder;
use crate::http1::*;

fn parse_with(bytes: &[u8], limits: &HeadLimits) -> Result<Option<(Head, usize)>, HttpError> {
    HeadParser::default().parse(bytes, limits, &mut None)
}

fn parse(text: &str) -> Result<Option<(Head, usize)>, HttpError> {
    parse_with(text.as_bytes(), &HeadLimits::default())
}

#[track_caller]
fn accepted(text: &str) -> Head {
    let (head, consumed) = parse(text).unwrap().expect("a whole head");
    assert_eq!(consumed, text.len());
    head
}

#[track_caller]
fn status(text: &str) -> u16 {
    match parse(text) {
        Err(rejection) => rejection.status.as_u16(),
        Ok(head) => panic!("not rejected: {text:?} → {head:?}"),
    }
}

/// A good request with these fields added.
fn with(fields: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n")
}

fn asking(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n")
}

fn decode_all(mut input: &[u8], step: usize) -> Result<(Vec<u8>, usize, bool), HttpError> {
    let total = input.len();
    let mut decoder = ChunkedDecoder::new();
    let (mut body, mut done) = (Vec::new(), false);
    let mut available = step.min(input.len());
    while !done {
        let mut output = [0; 7];
        let decoded = decoder.decode(&input[..available], &mut output)?;
        body.extend_from_slice(&output[..decoded.produced]);
        input = &input[decoded.consumed..];
        available -= decoded.consumed;
        done = decoded.done;
        if decoded.consumed == 0 && decoded.produced == 0 && !done && available == input.len() {
            break;
        }
        available = (available + step).min(input.len());
    }
    Ok((body, total - input.len(), done))
}
