//! Heads of responses that another program sent, and their framing.

use http::Method;
use proptest::prelude::*;

use super::*;
use crate::http1::answer::MAX_ANSWER_HEAD;

fn read(method: &Method, text: &str) -> Result<Option<(AnswerHead, usize)>, HttpError> {
    AnswerParser::default().parse(text.as_bytes(), method)
}

#[track_caller]
fn understood(method: &Method, text: &str) -> (u16, Framing, bool) {
    let (head, consumed) = read(method, text).unwrap().expect("a whole head");
    assert_eq!(consumed, text.len(), "{text:?}");
    (head.parts.status.as_u16(), head.framing, head.keep_alive)
}

/// RFC 9112, sections 6.3 and 9.3.
#[test]
fn the_end_of_a_response_is_found_as_the_rfc_says() {
    use Framing::{Chunked, Length, UntilClose};
    for (head, status, framing, keep) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 200, Length(5), true),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n", 200, Chunked, true),
        ("HTTP/1.1 200 OK\r\n\r\n", 200, UntilClose, false),
        ("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n", 200, UntilClose, false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: x, CLOSE\r\n\r\n", 200, Length(5), false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", 200, Length(5), false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n", 200, Length(5), true),
        ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive, close\r\n\r\n", 200, Length(5), false),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, Framing::None, true),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", 204, Framing::None, true),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n", 304, Framing::None, true),
        ("HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", 304, Framing::None, true),
        ("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", 103, Framing::None, true),
        ("HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n", 299, Length(0), true),
        ("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, Length(0), true),
        ("HTTP/1.1 404 \u{e9}t\u{e9}\t!\r\nContent-Length: 0\r\n\r\n", 404, Length(0), true),
    ] {
        assert_eq!(understood(&Method::GET, head), (status, framing, keep), "{head:?}");
    }
    for fields in ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", ""] {
        let head = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
        assert_eq!(understood(&Method::HEAD, &head), (200, Framing::None, true));
    }
}

/// The same strictness as towards clients.
#[test]
fn a_response_that_could_be_read_in_two_ways_is_refused() {
    for fields in BAD_FIELDS {
        for method in [Method::GET, Method::HEAD] {
            assert!(read(&method, &format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n")).is_err(), "{fields:?}");
        }
    }
    for head in [
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\nX: y\r\n\r\n",
        "HTTP/1.1 200 O\rK\r\n\r\n",
        "HTTP/1.1 200 O\0K\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1\t200 OK\r\n\r\n",
        " HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 +20 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 600 OK\r\n\r\n",
        "HTTP/1.1 \r\n\r\n",
        "HTTP/1.1\r\n\r\n",
        "HTTP/1.2 200 OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "http/1.1 200 OK\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        assert!(read(&Method::GET, head).is_err(), "{head:?}");
    }
}

const BAD_FIELDS: &[&str] = &[
    "Content-Length: 4\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nContent-Length: 4",
    "Content-Length: 4\r\nContent-Length: 4",
    "Content-Length: 4\r\nContent-Length: 5",
    "Content-Length: 4, 4",
    "Content-Length: +4",
    "Content-Length: -4",
    "Content-Length: 0x4",
    "Content-Length: 4 4",
    "Content-Length:",
    "Content-Length: 99999999999999999999",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: identity",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunked;x=y",
    "Transfer-Encoding: \u{b}chunked",
    "Transfer-Encoding:",
    "X: a\r\n folded",
    " X: a",
    "X : a",
    "X",
    ": a",
    "X y: a",
    "X: a\nY: b",
    "X: a\rb",
    "X: a\0b",
    "X: a\x7fb",
];

#[test]
fn each_limit_of_a_response_head_allows_what_reaches_it_and_refuses_what_passes_it() {
    let fields = |number: usize| format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: 1\r\n".repeat(number));
    assert!(read(&Method::GET, &fields(100)).unwrap().is_some());
    assert!(read(&Method::GET, &fields(101)).is_err());
    let head = |length: usize| {
        let start = "HTTP/1.1 200 OK\r\nX: ";
        format!("{start}{}\r\n\r\n", "x".repeat(length - start.len() - 4))
    };
    assert!(read(&Method::GET, &head(MAX_ANSWER_HEAD)).unwrap().is_some());
    assert!(read(&Method::GET, &head(MAX_ANSWER_HEAD + 1)).is_err());
    assert!(read(&Method::GET, &format!("HTTP/1.1 200 {}", "x".repeat(1012))).unwrap().is_none());
    assert!(read(&Method::GET, &format!("HTTP/1.1 200 {}", "x".repeat(1013))).is_err(), "before its end came");
}

#[test]
fn a_request_head_is_written_as_it_is_read() {
    let head = accepted("PUT /a?b HTTP/1.1\r\nHost: a\r\nX: \u{e9} y\r\n\r\n");
    let mut written = RequestHead::new(&head.parts.method, head.parts.uri.path_and_query().unwrap());
    head.parts.headers.iter().for_each(|(name, value)| written.field(name, value));
    let written = written.end();
    assert_eq!(written, "PUT /a?b HTTP/1.1\r\nhost: a\r\nx: \u{e9} y\r\n\r\n".as_bytes());
    let star = RequestHead::new(&Method::OPTIONS, http::Uri::from_static("*").path_and_query().unwrap()).end();
    assert_eq!(star, b"OPTIONS * HTTP/1.1\r\n\r\n");
}

#[test]
fn trailers_are_handed_over_after_the_last_chunk() {
    let coded = "1\r\na\r\n0\r\nDigest: x\r\nx:\r\nx: y \r\n\r\nHTTP";
    let mut decoder = BodyDecoder::new(Framing::Chunked, u64::MAX).unwrap();
    let mut input = coded.as_bytes().to_vec();
    assert_eq!(decoder.decode_all(&mut input, None), Ok(true));
    let trailers = decoder.trailers();
    let all: Vec<_> = trailers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    assert_eq!(all, [("digest", &b"x"[..]), ("x", b""), ("x", b"y")]);
    let mut out = Vec::new();
    write_last_chunk(&trailers, &mut out);
    assert_eq!(out, b"0\r\ndigest: x\r\nx: \r\nx: y\r\n\r\n");
}

#[test]
fn a_body_until_the_end_of_the_connection_ends_there_and_no_other_does() {
    let mut decoder = BodyDecoder::new(Framing::UntilClose, u64::MAX).unwrap();
    let mut output = [0; 4];
    assert_eq!(decoder.decode(&mut b"abcdef".to_vec(), &mut output), Ok(4));
    assert_eq!(decoder.read_directly(&mut output, |room| room.len()), 4);
    assert!(!decoder.is_done() && decoder.close() && decoder.is_done());
    for framing in [Framing::Length(1), Framing::Chunked] {
        assert!(!BodyDecoder::new(framing, u64::MAX).unwrap().close());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_bytes_split_otherwise_are_the_same_response(
        words in prop::collection::vec(prop::sample::select(vec![
            "HTTP/1.1 ", "HTTP/1.0 ", "200", " OK", "204", "103", "\r\n", "\r\n", "\r\n\r\n", "\n", "\r", "X: y", ":", " ",
            "Content-Length: 1", "Transfer-Encoding: chunked", "\0", "\u{e9}", "HTTP/1.1 200 OK\r\n",
        ]), 0..20),
        piece in 1_usize..9,
    ) {
        let bytes = words.concat().into_bytes();
        let mut parser = AnswerParser::default();
        let mut last = Ok(None);
        let mut end = 0;
        while matches!(last, Ok(None)) && end < bytes.len() {
            end = (end + piece).min(bytes.len());
            last = parser.parse(&bytes[..end], &Method::GET);
        }
        let whole = AnswerParser::default().parse(&bytes, &Method::GET);
        prop_assert_eq!(format!("{last:?}"), format!("{whole:?}"));
    }
}
