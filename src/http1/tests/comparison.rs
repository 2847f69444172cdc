//! Heads are read as in the plainest way: the same ones, with the same meaning, and the others refused
//! for the same reason.

use proptest::prelude::*;

use super::reference::{self, SlowParser};
use super::*;
use crate::http1::fields::{TOKEN, VALUE, check_field_line};
use crate::http1::target::{self, NAME, PATH, QUERY};

#[test]
fn tables_hold_what_the_questions_say() {
    for byte in 0..=255_u8 {
        assert_eq!(TOKEN.contains(byte), reference::is_token_byte(byte), "{byte}");
        assert_eq!(VALUE.contains(byte), reference::is_value_byte(byte), "{byte}");
        let in_name = reference::is_unreserved(byte) || reference::is_sub_delim(byte);
        assert_eq!(NAME.contains(byte), in_name, "{byte}");
        assert_eq!(PATH.contains(byte), reference::is_path_byte(byte), "{byte}");
        let mut copied = Vec::new();
        let stays = reference::copy_query(&[byte], &mut copied).is_ok() && copied == [byte];
        assert_eq!(QUERY.contains(byte), stays, "{byte}");
    }
}

/// The texts in the tests of heads and of requests.
fn corpus() -> Vec<Vec<u8>> {
    let sources = [
        include_str!("heads.rs"),
        include_str!("targets.rs"),
        include_str!("properties.rs"),
        include_str!("../../../tests/it/http/head.rs"),
        include_str!("../../../tests/it/http/bodies.rs"),
        include_str!("../../../tests/it/http/requests.rs"),
    ];
    let mut corpus: Vec<_> = sources.into_iter().flat_map(literals).collect();
    corpus.sort();
    corpus.dedup();
    assert!(corpus.len() > 300 && corpus.iter().any(|text| text == b"X: a\0b"), "{}", corpus.len());
    corpus
}

/// The string literals of a source.
fn literals(source: &str) -> Vec<Vec<u8>> {
    let mut literals = Vec::new();
    let mut rest = source;
    while let Some((_, after)) = rest.split_once('"') {
        let mut literal = String::new();
        let mut chars = after.chars();
        loop {
            match chars.next() {
                None | Some('"') => break,
                Some('\\') => match chars.next() {
                    Some('r') => literal.push('\r'),
                    Some('n') => literal.push('\n'),
                    Some('t') => literal.push('\t'),
                    Some('0') => literal.push('\0'),
                    Some('u') => {
                        let digits: String = chars.by_ref().take_while(|c| *c != '}').skip(1).collect();
                        literal.extend(u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32));
                    }
                    other => literal.extend(other),
                },
                Some(other) => literal.push(other),
            }
        }
        literals.push(literal.into_bytes());
        rest = chars.as_str();
    }
    literals
}

/// A text at each place of a request where it may matter.
fn placed(text: &[u8]) -> Vec<Vec<u8>> {
    let places: [(&[u8], &[u8]); 7] = [
        (b"", b""),
        (b"", b" HTTP/1.1\r\nHost: a\r\n\r\n"),
        (b"GET ", b" HTTP/1.1\r\nHost: a.test\r\n\r\n"),
        (b"GET https://", b"/ HTTP/1.1\r\nHost: a.test\r\n\r\n"),
        (b"GET / HTTP/1.1\r\nHost: ", b"\r\n\r\n"),
        (b"POST / HTTP/1.1\r\nHost: a\r\n", b"\r\n\r\n"),
        (b"POST / HTTP/1.0\r\n", b"\r\n\r\n"),
    ];
    places.iter().map(|(before, after)| [before, text, after].concat()).collect()
}

/// What was made of one head, in words; and what is known of a head that is refused.
type Read = (String, Option<bool>);

/// Has both read this, in pieces that end here.
#[track_caller]
fn compare(bytes: &[u8], ends: &[usize], limits: &HeadLimits) {
    let (mut fast, mut slow) = (HeadParser::default(), SlowParser::default());
    for end in ends.iter().copied().filter(|end| *end < bytes.len()).chain([bytes.len()]) {
        let part = &bytes[..end];
        let by_fast: Read = (format!("{:?}", fast.parse(part, limits, &mut None)), fast.is_head_request(part));
        let by_slow: Read = (format!("{:?}", slow.parse(part, limits)), slow.is_head_request(part));
        assert_eq!(by_fast, by_slow, "{:?} up to {end}", String::from_utf8_lossy(bytes));
        if !by_fast.0.starts_with("Ok(None)") {
            return;
        }
    }
}

/// So that limits are reached.
const SMALL: HeadLimits = HeadLimits { max_head: 120, max_fields: 3, max_target: 20 };

#[test]
fn each_text_of_the_tests_is_read_as_before_wherever_it_stands() {
    for request in corpus().iter().flat_map(|text| placed(text)) {
        let halves = [request.len() / 3, request.len() / 2];
        compare(&request, &[], &HeadLimits::default());
        compare(&request, &halves, &HeadLimits::default());
        compare(&request, &halves, &SMALL);
    }
}

#[test]
fn each_byte_at_each_place_of_a_request_is_read_as_before() {
    let requests: [&[u8]; 2] = [
        b"GET /a%41;b?c=d#e HTTP/1.1\r\nHost: a.b:1\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
        b"\r\nPUT https://[::1]:4/ HTTP/1.1\r\nHost: [::1]:4\r\nTransfer-Encoding: gzip, chunked\r\nX: y \t\r\n\r\n",
    ];
    for request in requests {
        for at in 0..=request.len() {
            for byte in 0..=255 {
                let with = |rest: &[u8]| [&request[..at], &[byte], rest].concat();
                compare(&with(&request[at..]), &[], &HeadLimits::default());
                compare(&with(&request[(at + 1).min(request.len())..]), &[], &HeadLimits::default());
            }
        }
    }
}

#[test]
fn limits_are_reached_at_the_same_byte() {
    let request = format!("GET /{} HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n", "x".repeat(60));
    let each: Vec<_> = (0..request.len()).collect();
    for limit in 0..=request.len() + 1 {
        let of_head = HeadLimits { max_head: limit, ..HeadLimits::default() };
        let of_target = HeadLimits { max_target: limit, ..HeadLimits::default() };
        for limits in [of_head, of_target] {
            compare(request.as_bytes(), &each, &limits);
            compare(request.as_bytes(), &[], &limits);
        }
    }
}

/// A change of a text: at a place (in thousandths) this many bytes are replaced by these.
fn change() -> impl Strategy<Value = (usize, usize, Vec<u8>)> {
    let bytes = prop::sample::select(b"\r\n\t :/.;%?#@[],=-\0\x7f\x80\xffaA0*HTP".to_vec());
    (0..1000_usize, 0..4_usize, prop::collection::vec(bytes, 0..4))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_nearly_a_text_of_the_tests_is_read_as_before(
        mut bytes in prop::sample::select(corpus().iter().flat_map(|text| placed(text)).collect::<Vec<_>>()),
        changes in prop::collection::vec(change(), 0..6),
        end in 0..200_usize,
    ) {
        for (place, removed, added) in changes {
            let at = place * bytes.len() / 1000;
            bytes.splice(at..(at + removed).min(bytes.len()), added);
        }
        compare(&bytes, &[end], &HeadLimits::default());
        compare(&bytes, &[end / 2, end], &SMALL);
    }

    #[test]
    fn field_lines_are_read_as_before(line in "[!-~ \t\u{1}\u{7f}\u{e9}:]{1,12}") {
        prop_assert_eq!(check_field_line(line.as_bytes()), reference::check_field_line(line.as_bytes()));
    }

    #[test]
    fn hosts_are_the_same_as_before(one in host(), other in host()) {
        let (one, other) = (one.as_bytes(), other.as_bytes());
        let fast = |host| target::Authority::parse(host);
        let slow = |host| reference::Authority::parse(host);
        prop_assert_eq!(fast(one).err(), slow(one).err());
        if let (Ok(fast_one), Ok(fast_other), Ok(one), Ok(other)) = (fast(one), fast(other), slow(one), slow(other)) {
            prop_assert_eq!(fast_one == fast_other, one == other);
        }
    }
}

fn host() -> impl Strategy<Value = String> {
    (
        "(a|A|b[.]c|[.]|127[.]0[.]0[.]1|\\[::1\\]|\\[::\\]|\\[|\\]|%61|u@a|é|)",
        "(:|:443|:0443|:1|:65535|:65536|:+1|:x|::1|\\]|)",
    )
        .prop_map(|(name, port)| name + &port)
}
