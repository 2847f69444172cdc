//! The rules of the HTTP layer, as examples and as properties.

use http::{Method, StatusCode, Version};
use proptest::prelude::*;

use crate::http1::*;

fn parse_with(bytes: &[u8], limits: &HeadLimits) -> Result<Option<(Head, usize)>, Rejection> {
    HeadParser::default().parse(bytes, limits)
}

fn parse(text: &str) -> Result<Option<(Head, usize)>, Rejection> {
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

#[test]
fn a_plain_request_is_understood() {
    let head = accepted("GET /a?b=c HTTP/1.1\r\nHost: a.test\r\nX: 1\r\nx:  2 \r\n\r\n");
    assert_eq!(head.parts.method, Method::GET);
    assert_eq!(head.parts.uri, "/a?b=c");
    assert_eq!(head.parts.version, Version::HTTP_11);
    assert_eq!(head.parts.headers.get_all("x").iter().collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!((head.framing, head.keep_alive, head.expects_continue), (Framing::None, true, false));
}

#[test]
fn one_empty_line_before_the_request_is_skipped_and_no_more() {
    accepted("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(status("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
    assert_eq!(status("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
}

#[test]
fn an_unfinished_head_needs_more_and_ends_where_it_ends() {
    let text = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for end in 0..text.len() {
        assert!(parse(&text[..end]).unwrap().is_none(), "{end}");
    }
    let (_, consumed) = parse(&format!("{text}GET /next")).unwrap().unwrap();
    assert_eq!(consumed, text.len());
}

/// Row H1 of the immunity matrix: each of these is read differently by some program.
#[test]
fn h1_what_could_smuggle_a_request_is_400() {
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5,5",
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length: 0x5",
        "Content-Length: 5 5",
        "Content-Length: ",
        "Content-Length: 5a",
        "Content-Length: \u{665}",
        "Content-Length: 99999999999999999999",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: x, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: ",
        "Transfer-Encoding: \u{b}chunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked",
        "Content-Length : 5",
        "X: a\r\n b",
        "X: a\r\n\tb",
        " X: a",
        "X: a\nY: b",
        "X: a\rY: b",
        "X: a\r\r\nY: b",
        "X: a\0b",
        "X: a\u{7f}b",
        "X: a\u{1}b",
        "X",
        ": a",
        "X Y: a",
        "X\u{e9}: a",
        "X(: a",
        "Host: b",
    ] {
        assert_eq!(status(&with(fields)), 400, "{fields:?}");
    }
    assert_eq!(status("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
    assert_eq!(status("GET / HTTP/1.1\r\nHost: a\n\r\n"), 400);
    assert_eq!(status("GET / HTTP/1.1\nHost: a\r\n\r\n"), 400);
}

#[test]
fn request_lines_are_three_words_with_one_space_between() {
    for line in [
        "GET  / HTTP/1.1",
        "GET / HTTP/1.1 ",
        " GET / HTTP/1.1",
        "GET /",
        "GET",
        "GET\t/\tHTTP/1.1",
        "GET / http/1.1",
        "GET / HTTP/1.1x",
        "GET / HTTP/11",
        "GET / HTTP/1.",
        "G(T / HTTP/1.1",
        "GET /\u{e9} HTTP/1.1",
        "PRI * HTTP/2.0",
        "GET  HTTP/1.1",
    ] {
        assert_eq!(status(&format!("{line}\r\nHost: a\r\n\r\n")), 400, "{line:?}");
    }
    for line in ["GET / HTTP/2.0", "GET / HTTP/0.9", "GET / HTTP/1.2", "GET / HTTP/9.9"] {
        assert_eq!(status(&format!("{line}\r\nHost: a\r\n\r\n")), 505, "{line:?}");
    }
    for line in ["CONNECT / HTTP/1.1", "TRACE / HTTP/1.1"] {
        assert_eq!(status(&format!("{line}\r\nHost: a\r\n\r\n")), 501, "{line:?}");
    }
    assert_eq!(accepted("PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n").parts.method.as_str(), "PROPFIND");
}

#[test]
fn known_codings_that_are_not_implemented_are_501() {
    assert_eq!(status(&with("Transfer-Encoding: gzip, chunked")), 501);
    assert_eq!(status(&with("Transfer-Encoding: gzip")), 400, "its end cannot be told");
}

#[test]
fn framing_is_read_from_exact_fields() {
    assert_eq!(accepted(&with("Content-Length: 0005")).framing, Framing::Length(5));
    assert_eq!(accepted(&with("Content-Length: 0")).framing, Framing::Length(0));
    assert_eq!(accepted(&with("Transfer-Encoding: Chunked")).framing, Framing::Chunked);
    assert_eq!(accepted(&with("X: 1")).framing, Framing::None);
    assert_eq!(status("POST / HTTP/1.0\r\n\r\n"), 411);
    assert_eq!(accepted("GET / HTTP/1.0\r\n\r\n").framing, Framing::None);
}

#[test]
fn there_is_one_host_and_it_is_one() {
    assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), 400);
    for host in [
        "", ":", ":443", "a b", "a, b", "a@b", "a/b", "[::1", "[::1]x", "[]", "[zz]", "[v1.a]", "a:x", "a:65536",
        "a:+1", "a::", "a:1:2", "é", "a?b", "a#b", "::1", "%61", "a%zz", "a\"b", "a<b", "a|b", "a\\b", "a{b}", "a^b",
        "a`b",
    ] {
        assert_eq!(status(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")), 400, "{host:?}");
    }
    for host in ["a", "a.test:8443", "a:65535", "127.0.0.1", "[::1]", "[::1]:443", "A_b-c~d."] {
        accepted(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    }
    accepted("GET / HTTP/1.0\r\n\r\n");
}

#[test]
fn a_name_is_made_of_unreserved_characters_and_sub_delims_and_a_port_may_be_empty() {
    // RFC 3986, sections 2.2, 3.2.2 and 3.2.3.
    for sub_delim in "!$&'()*+,;=".chars() {
        accepted(&format!("GET / HTTP/1.1\r\nHost: a{sub_delim}b\r\n\r\n"));
        accepted(&format!("GET https://a{sub_delim}b/ HTTP/1.1\r\nHost: A{sub_delim}b:443\r\n\r\n"));
    }
    for (target, host, same) in [
        ("a", "a:", true),
        ("a:", "a", true),
        ("a:", "a:443", true),
        ("a:0443", "a", true),
        ("[::1]", "[::1]:", true),
        ("A.test", "a.TEST", true),
        ("a:444", "a:", false),
        ("a:444", "a:444", true),
        ("a", "a.", false),
        ("a=b", "a=c", false),
    ] {
        let text = format!("GET https://{target}/ HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(parse(&text).is_ok(), same, "{target} {host}");
    }
}

/// Row H5: a path means one thing, or it is refused.
#[test]
fn h5_paths_are_normal_or_400() {
    for (target, normal) in [
        ("/admin", "/admin"),
        ("/%61dmin", "/admin"),
        ("/a%2dB", "/a-B"),
        ("/a%c3%a9", "/a%C3%A9"),
        ("/a%20b", "/a%20b"),
        ("/a/", "/a/"),
        ("/?x=//..%2f", "/?x=//..%2f"),
        ("https://a.test/admin", "/admin"),
        ("HTTPS://A.TEST:443/admin", "/admin"),
        ("https://a.test", "/"),
        ("/a%40b%2B%3b%2A", "/a@b+;*"),
        ("/a%25b", "/a%25b"),
        ("/posts/[id].js", "/posts/%5Bid%5D.js"),
        ("/a|b{c}^`", "/a%7Cb%7Bc%7D%5E%60"),
        ("/a%7cb%7bc%7d%5e%60", "/a%7Cb%7Bc%7D%5E%60"),
        ("/a%3Fb%23", "/a%3Fb%23"),
        ("/a%22%3c%3E", "/a%22%3C%3E"),
        ("https://a.test?x", "/?x"),
        ("https://a.test:?x=https://b.test", "/?x=https://b.test"),
        ("https://a.test:443", "/"),
        ("/...", "/..."),
        ("/a;b=c,d", "/a;b=c,d"),
        ("/...;x/..a;y/", "/...;x/..a;y/"),
    ] {
        assert_eq!(accepted(&asking(target)).parts.uri, normal, "{target}");
    }
    for target in [
        "//admin",
        "/a//b",
        "/x/../admin",
        "/./admin",
        "/..",
        "/.",
        "/x/..;/admin",
        "/x/.;y=z/admin",
        "/x/%2e%2e%3b/admin",
        "/..;",
        "/;/admin",
        "/x/%3By/admin",
        "/;",
        "/x/%2e%2e/admin",
        "/%2E",
        "/admin%2f",
        "/admin%2F..",
        "/a%5cb",
        "/a\\b",
        "/a%00",
        "/a%0a",
        "/a%7f",
        "/a%",
        "/a%2",
        "/a%zz",
        "/a#b",
        "/a\"b",
        "/a<b",
        "/a>b",
        "/a|b\\c",
        "/[/../]",
        "/|//|",
        "/a|%2f",
        "/[%",
        "https://?x",
        "https://#x",
        "https://a.test#x",
        "https://a.test?x#y",
        "https://a.test\\x",
        "https://a.test/a//b",
        "https:?x",
        "https:/a",
        "/?a#b",
        "/?a b",
        "http://a.test",
        "https://",
        "admin",
        "*",
        "?a",
        "https://b.test/",
        "https://u@a.test/",
        "https:///",
        "https://a.test:444/",
        "ftp://a.test/",
        "a.test:443",
    ] {
        assert_eq!(status(&asking(target)), 400, "{target}");
    }
    assert_eq!(accepted("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").parts.uri, "*");
}

/// RFC 9112, section 3.2, and RFC 3986, section 3.4: what is in a query is for the application to read.
#[test]
fn a_query_passes_as_it_was_sent() {
    let uri = |query: &str| accepted(&asking(&format!("/a?{query}"))).parts.uri;
    for query in ["", "?", "q=100%", "%zz", "%", "%%%", "%2", "%00%0d%0a%2f%5C", "//../.", "[]={b|c}^`\\", "q=%7c|"] {
        assert_eq!(uri(query).query(), Some(query));
        assert_eq!(uri(query).path(), "/a");
    }
    for byte in (b'!'..=b'~').filter(|byte| !b"#\"<>".contains(byte)) {
        let query = char::from(byte).to_string();
        assert_eq!(uri(&query).query(), Some(query.as_str()));
    }
    assert_eq!(uri("\"<>"), "/a?%22%3C%3E", "the type that holds it has no room for them");
    for query in ["#", "x#y", "a b", "\u{e9}", "a\tb", "a\u{7f}"] {
        assert_eq!(status(&asking(&format!("/a?{query}"))), 400, "{query}");
    }
}

#[cfg(feature = "cli")]
#[test]
fn h5_check_and_the_policy_see_the_path_that_a_handler_sees() {
    for (target, path) in
        [("/posts/[id]?x", "/posts/%5Bid%5D"), ("/a%7cb", "/a%7Cb"), ("/%61", "/a"), ("https://a.test?x", "/")]
    {
        assert_eq!(seen_path(&Method::GET, target, &HeadLimits::default()).unwrap(), path);
        assert_eq!(normal_path(path).unwrap(), path);
    }
    assert_eq!(normal_path("/posts/[id]").unwrap(), "/posts/%5Bid%5D");
    for bad in ["/a\\b", "/a#b", "//", "?x", "\u{e9}"] {
        assert!(seen_path(&Method::GET, bad, &HeadLimits::default()).is_err() && normal_path(bad).is_err(), "{bad}");
    }
}

/// RFC 9110, section 9.3.2. What is no request, or not yet one, may have been meant to be HEAD.
#[test]
fn what_was_asked_with_head_is_told_from_the_beginning_of_the_head() {
    for (received, is_head) in [
        ("HEAD / HTTP/1.1\r\n", Some(true)),
        ("HEAD ", Some(true)),
        ("HEAD\t/", Some(true)),
        ("HEAD\r\n", Some(true)),
        ("\r\nHEAD /", Some(true)),
        (" HEAD /", Some(true)),
        ("", None),
        ("\r\n", None),
        ("\r\n\r\n", None),
        ("H", None),
        ("HEAD", None),
        ("GET /", Some(false)),
        ("G", Some(false)),
        ("HEX", Some(false)),
        ("HEADS", Some(false)),
        ("HEAD/", Some(false)),
        ("head /", Some(false)),
        ("/HEAD ", Some(false)),
    ] {
        assert_eq!(is_head_request(received.as_bytes()), is_head, "{received:?}");
    }
    for (received, is_head) in [
        ("HEAD / HTTP/1.1\r\n\r\n", Some(true)),
        ("HEAD / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", Some(true)),
        ("HEAD /\0", Some(true)),
        ("HEAD\0", None),
        ("\r\n\r\nHEAD / HTTP/1.1\r\n", None),
        ("\0HEAD / HTTP/1.1\r\n", None),
        ("GET / HTTP/1.1\r\n\r\nHEAD ", Some(false)),
    ] {
        let mut parser = HeadParser::default();
        parser.parse(received.as_bytes(), &HeadLimits::default()).unwrap_err();
        assert_eq!(parser.is_head_request(received.as_bytes()), is_head, "{received:?}");
    }
}

#[test]
fn connections_are_kept_as_the_version_and_the_client_say() {
    let keep = |version: &str, connection: &str| {
        accepted(&format!("GET / HTTP/{version}\r\nHost: a\r\n{connection}\r\n")).keep_alive
    };
    assert!(keep("1.1", ""));
    assert!(!keep("1.0", ""));
    assert!(!keep("1.1", "Connection: foo, Close\r\n"));
    assert!(keep("1.0", "Connection: Keep-Alive\r\n"));
    assert!(!keep("1.0", "Connection: keep-alive\r\nConnection: close\r\n"));
}

#[test]
fn the_only_expectation_is_100_continue() {
    assert!(accepted(&with("Expect: 100-Continue")).expects_continue);
    assert_eq!(status(&with("Expect: tea")), 417);
    assert!(!accepted("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").expects_continue);
}

#[test]
fn every_limit_holds_one_past_it() {
    let limits = HeadLimits { max_head: 400, max_fields: 3, max_target: 100 };
    let judged =
        |text: &str| parse_with(text.as_bytes(), &limits).map(|head| head.is_some()).map_err(|r| r.status.as_u16());
    let target = |length: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(length - 1));
    assert_eq!(judged(&target(100)), Ok(true));
    assert_eq!(judged(&target(101)), Err(414));
    assert_eq!(judged(&format!("GET /{}", "x".repeat(350))), Err(414), "before its end came");
    let head = |length: usize| {
        let start = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
        format!("{start}{}\r\n\r\n", "x".repeat(length - start.len() - 4))
    };
    assert_eq!(judged(&head(400)), Ok(true));
    assert_eq!(judged(&head(401)), Err(431));
    let fields = |number: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(number - 1));
    assert_eq!(judged(&fields(3)), Ok(true));
    assert_eq!(judged(&fields(4)), Err(431));
}

#[test]
fn as_many_fields_as_the_default_allows_are_read() {
    let fields = |number: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(number - 1));
    assert_eq!(accepted(&fields(100)).parts.headers.len(), 100);
    assert_eq!(status(&fields(101)), 431);
}

fn decode_all(mut input: &[u8], step: usize) -> Result<(Vec<u8>, usize, bool), Rejection> {
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

#[test]
fn chunks_are_decoded_up_to_their_end() {
    let coded = b"3\r\nabc\r\n00A;x=y;z=\"q\\\"\";w\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\nGET";
    let (body, consumed, done) = decode_all(coded, 1).unwrap();
    assert_eq!((&body[..], consumed, done), (&b"abc0123456789"[..], coded.len() - 3, true));
}

/// RFC 9112, section 7.1.1, and RFC 9110, section 5.6.3.
#[test]
fn white_space_may_stand_around_the_signs_of_a_chunk_extension() {
    for extension in
        ["; x", " ;x", " \t ;\t x", ";x =y", ";x= y", ";x = \"y \\\" z\"", " ; x = y ; z ; w = \"\"", "; ieof"]
    {
        let coded = format!("3{extension}\r\nabc\r\n0{extension}\r\n\r\n");
        let (body, consumed, done) = decode_all(coded.as_bytes(), 1).unwrap();
        assert_eq!((&body[..], consumed, done), (&b"abc"[..], coded.len(), true), "{extension:?}");
    }
}

/// RFC 9112, section 7.1: `chunk-size` is `1*HEXDIG`, `last-chunk` begins with `1*"0"`.
#[test]
fn a_chunk_size_may_begin_with_zeros() {
    for zeros in [1, 13, 14, 15, 16, 17, 100, 500] {
        let zeros = "0".repeat(zeros);
        let coded = format!("{zeros}A\r\n0123456789\r\n{zeros}\r\n\r\n");
        let (body, consumed, done) = decode_all(coded.as_bytes(), 1).unwrap();
        assert_eq!((&body[..], consumed, done), (&b"0123456789"[..], coded.len(), true));
    }
    let line = |length: usize| format!("{:0>length$}\r\na\r\n0\r\n\r\n", 1);
    assert!(decode_all(line(511).as_bytes(), 64).is_ok());
    assert!(decode_all(line(512).as_bytes(), 64).is_err());
    let many = |digits: usize, number: usize| format!("{:0>digits$}\r\na\r\n", 1).repeat(number) + "0\r\n\r\n";
    assert!(decode_all(many(16, 5000).as_bytes(), 64).is_ok());
    assert!(decode_all(many(48, 128).as_bytes(), 64).is_ok());
    assert!(
        decode_all(many(48, 129).as_bytes(), 64).is_err(),
        "more than a number needs has a limit for the whole body"
    );
}

#[test]
fn h1_chunks_that_could_be_read_in_two_ways_are_refused() {
    for coded in [
        "0x3\r\nabc\r\n",
        "+3\r\nabc\r\n",
        "-3\r\nabc\r\n",
        " 3\r\nabc\r\n",
        "3 \r\nabc\r\n",
        "\r\nabc\r\n",
        "3\nabc\r\n",
        "3\r\nabcd\r\n",
        "3\r\nabc\n",
        "3\r\nabc\rx",
        "g\r\n",
        "11111111111111111\r\n",
        "00000000000000000011111111111111111\r\n",
        "0000000000000000000x3\r\n",
        "3 3\r\nabc\r\n",
        "3\t\r\nabc\r\n",
        "3 x\r\nabc\r\n",
        "3;\r\nabc\r\n",
        "3 ; \r\nabc\r\n",
        "3;;x\r\nabc\r\n",
        "3; ;x\r\nabc\r\n",
        "3;x \r\nabc\r\n",
        "3;x=y \r\nabc\r\n",
        "3;x=\"y\" \r\nabc\r\n",
        "3;x = \r\nabc\r\n",
        "3;x y\r\nabc\r\n",
        "3;x=y z\r\nabc\r\n",
        "3;x=\"y\"z\r\nabc\r\n",
        "3;x=\"y\\\r\nabc\r\n",
        "3\u{b};x\r\nabc\r\n",
        "3\u{a0};x\r\nabc\r\n",
        "3 \r;x\r\nabc\r\n",
        "3 \n;x\r\nabc\r\n",
        "3; \nx\r\nabc\r\n",
        "3;x= \n\"y\"\r\nabc\r\n",
        "3;x=\r\nabc\r\n",
        "3;x=\"\r\nabc\r\n",
        "3;x\n=1\r\nabc\r\n",
        "3;x\r=1\r\nabc\r\n",
        "3;x\0\r\nabc\r\n",
        "0\r\nX : 1\r\n\r\n",
        "0\r\n X: 1\r\n\r\n",
        "0\r\nX: 1\n\r\n",
        "0\r\nX\r\n\r\n",
        "0\n\r\n",
        "0\r\n\n",
    ] {
        assert!(matches!(decode_all(coded.as_bytes(), 1), Err(rejection) if rejection.status == 400), "{coded:?}");
    }
    let long = |extra: usize| format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(extra));
    assert!(decode_all(long(509).as_bytes(), 64).is_ok());
    assert!(decode_all(long(510).as_bytes(), 64).is_err());
    let many = |number: usize| "1;xxxxxxxxx\r\na\r\n".repeat(number) + "0\r\n\r\n";
    assert!(decode_all(many(400).as_bytes(), 64).is_ok());
    assert!(decode_all(many(420).as_bytes(), 64).is_err(), "extensions have a limit for the whole body");
    let trailers = |number: usize| "0\r\n".to_owned() + &"X: 345678\r\n".repeat(number) + "\r\n";
    assert!(decode_all(trailers(450).as_bytes(), 64).is_ok());
    assert!(decode_all(trailers(460).as_bytes(), 64).is_err());
}

#[test]
fn the_largest_chunk_size_is_no_overflow() {
    let mut decoder = ChunkedDecoder::new();
    let decoded = decoder.decode(b"ffffffffffffffff\r\nx", &mut [0; 4]).unwrap();
    assert_eq!((decoded.produced, decoded.done), (1, false));
}

fn written(
    response: http::Response<()>,
    body: BodyLength,
    version: Version,
    head: bool,
    keep: bool,
) -> (String, Transfer, bool) {
    let (parts, ()) = response.into_parts();
    let context = ResponseContext { request_version: version, head_request: head, keep_alive: keep, date: "today" };
    let mut out = Vec::new();
    let (transfer, kept) = write_head(&parts, body, &context, &mut out).unwrap();
    (String::from_utf8(out).unwrap(), transfer, kept)
}

fn response(status: u16, fields: &[(&'static str, &'static str)]) -> http::Response<()> {
    let builder = http::Response::builder().status(status);
    fields.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value)).body(()).unwrap()
}

#[test]
fn responses_are_framed_by_the_server() {
    use BodyLength::{Known, Unknown};
    const V11: Version = Version::HTTP_11;
    const V10: Version = Version::HTTP_10;
    let lies =
        [("content-length", "99"), ("transfer-encoding", "gzip"), ("date", "never"), ("keep-alive", "1"), ("x", "y")];
    let (text, transfer, kept) = written(response(200, &lies), Known(5), V11, false, true);
    assert_eq!(text, "HTTP/1.1 200 OK\r\nx: y\r\ndate: today\r\ncontent-length: 5\r\n\r\n");
    assert_eq!((transfer, kept), (Transfer::Length(5), true));

    let (text, transfer, kept) = written(response(200, &[]), Unknown, V11, false, true);
    assert!(text.contains("transfer-encoding: chunked\r\n") && !text.contains("content-length"));
    assert_eq!((transfer, kept), (Transfer::Chunked, true));

    let (text, transfer, kept) = written(response(200, &[]), Unknown, V10, false, true);
    assert!(text.contains("connection: close\r\n") && !text.contains("chunked"));
    assert_eq!((transfer, kept), (Transfer::UntilClose, false));

    let (text, transfer, _) = written(response(200, &[]), Known(5), V11, true, true);
    assert!(text.contains("content-length: 5\r\n"));
    assert_eq!(transfer, Transfer::None);
    let (text, ..) = written(response(200, &[("content-length", "77")]), Known(0), V11, true, true);
    assert!(text.contains("content-length: 77\r\n"));

    let (text, transfer, _) = written(response(204, &[("content-length", "7")]), Known(5), V11, false, true);
    assert!(!text.contains("content-length"));
    assert_eq!(transfer, Transfer::None);
    let (text, transfer, _) = written(response(304, &[]), Known(0), V11, false, true);
    assert!(!text.contains("content-length"));
    assert_eq!(transfer, Transfer::None);

    let (text, _, kept) = written(response(200, &[("connection", "x, close")]), Known(0), V11, false, true);
    assert!(text.contains("connection: close\r\n") && !kept);
    let (text, _, kept) = written(response(200, &[]), Known(0), V10, false, true);
    assert!(text.contains("connection: keep-alive\r\n") && kept);
    let (text, ..) = written(response(299, &[]), Known(0), V11, false, true);
    assert!(text.starts_with("HTTP/1.1 299 \r\n"));
}

#[test]
fn an_interim_status_is_no_response() {
    let (parts, ()) = response(101, &[]).into_parts();
    let context =
        ResponseContext { request_version: Version::HTTP_11, head_request: false, keep_alive: true, date: "" };
    let error = write_head(&parts, BodyLength::Known(0), &context, &mut Vec::new()).unwrap_err();
    assert_eq!(error.status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[test]
fn a_field_value_cannot_hold_a_line_end() {
    for value in ["a\r\nX: b", "a\nb", "a\0b"] {
        assert!(http::HeaderValue::from_str(value).is_err());
    }
}

/// What a parser makes of a stream of requests without bodies, fed in pieces of these sizes; and whether what it refuses
/// was asked with HEAD.
fn feed(bytes: &[u8], pieces: &[usize]) -> (Vec<String>, Option<(Rejection, Option<bool>)>) {
    let limits = HeadLimits { max_head: 300, max_fields: 6, max_target: 60 };
    let mut parser = HeadParser::default();
    let (mut buffer, mut heads) = (Vec::new(), Vec::new());
    let mut rest = bytes;
    let mut sizes = pieces.iter().copied().cycle();
    loop {
        match parser.parse(&buffer, &limits) {
            Ok(Some((head, consumed))) => {
                heads.push(format!("{head:?}"));
                buffer.drain(..consumed);
                continue;
            }
            Ok(None) if rest.is_empty() => return (heads, None),
            Ok(None) => {}
            Err(rejection) => return (heads, Some((rejection, parser.is_head_request(&buffer)))),
        }
        let size = sizes.next().unwrap_or(1).clamp(1, rest.len());
        buffer.extend_from_slice(&rest[..size]);
        rest = &rest[size..];
    }
}

/// Bytes that are likely to be a request, nearly.
fn nearly_requests() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(vec![
        "GET ",
        "POST ",
        "HEAD ",
        "HEAD",
        "/",
        "/a%41?b",
        "/../",
        " HTTP/1.1",
        " HTTP/1.0",
        " HTTP/2.0",
        "\r\n",
        "\r\n",
        "\r\n\r\n",
        "\n",
        "\r",
        "Host: a",
        "X: y",
        "Content-Length: 0",
        "Transfer-Encoding: chunked",
        " ",
        ":",
        "\0",
        "é",
        "x",
        "Expect: 100-continue",
        "Connection: close",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n",
    ]);
    prop::collection::vec(word, 0..40).prop_map(|words| words.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_bytes_split_otherwise_are_the_same_requests(
        bytes in nearly_requests(),
        pieces in prop::collection::vec(1_usize..20, 1..8),
    ) {
        let whole = feed(&bytes, &[bytes.len().max(1)]);
        prop_assert_eq!(&feed(&bytes, &pieces), &whole);
        prop_assert_eq!(&feed(&bytes, &[1]), &whole);
    }

    #[test]
    fn no_bytes_make_the_parsers_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        feed(&bytes, &[7]);
        let _ = decode_all(&bytes, 3);
    }

    #[test]
    fn what_is_accepted_round_trips(
        method in "[A-Z]{1,10}",
        path in "(/[a-zA-Z0-9._~-]{1,8}){1,4}/?",
        query in prop::option::of("[a-z=&?/]{0,12}"),
        fields in prop::collection::vec(("x-[a-z]{1,8}", "[!-~]([ -~]{0,20}[!-~])?"), 0..8),
        length in prop::option::of(0_u64..1_000_000),
    ) {
        prop_assume!(!matches!(method.as_str(), "CONNECT" | "TRACE") && !path.contains("/./") && !path.contains("/../"));
        prop_assume!(!path.ends_with("/.") && !path.ends_with("/.."));
        let target = query.map_or(path.clone(), |query| format!("{path}?{query}"));
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: a\r\n");
        for (name, value) in &fields {
            text += &format!("{name}: {value}\r\n");
        }
        if let Some(length) = length {
            text += &format!("Content-Length: {length}\r\n");
        }
        text += "\r\n";
        let head = accepted(&text);
        let mut again = format!("{} {} HTTP/1.1\r\n", head.parts.method, head.parts.uri);
        for (name, value) in &head.parts.headers {
            again += &format!("{name}: {}\r\n", value.to_str().unwrap());
        }
        let second = accepted(&(again + "\r\n"));
        prop_assert_eq!(head.parts.uri, target.as_str());
        prop_assert_eq!(format!("{:?}", second.parts), format!("{:?}", accepted(&text).parts));
        prop_assert_eq!(head.framing, length.map_or(Framing::None, Framing::Length));
    }

    /// Row H5: what a rule is compared with is what a handler sees, and there is one spelling of it.
    #[test]
    fn h5_a_normal_target_is_its_own_normal_form(target in "/[ -~]{0,12}(%[0-9a-f]{2}){0,3}[ -~]{0,12}") {
        if let Ok(Some((head, _))) = parse(&asking(&target)) {
            let normal = head.parts.uri.to_string();
            prop_assert_eq!(accepted(&asking(&normal)).parts.uri.to_string(), normal.clone());
            let path = normal.split('?').next().unwrap();
            prop_assert_eq!(normal_path(path).unwrap(), path);
            prop_assert_eq!(normal_path(target.split('?').next().unwrap()).unwrap(), path);
        }
    }

    #[test]
    fn chunks_round_trip_however_they_are_cut(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..10),
        step in 1_usize..50,
    ) {
        let mut coded = Vec::new();
        for chunk in &chunks {
            encode_chunk(chunk, &mut coded);
        }
        coded.extend_from_slice(LAST_CHUNK);
        let length = coded.len();
        coded.extend_from_slice(b"GET / HTTP/1.1");
        let (body, consumed, done) = decode_all(&coded, step).unwrap();
        prop_assert_eq!((body, consumed, done), (chunks.concat(), length, true));
    }
}
