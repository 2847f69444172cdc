//! Heads of requests: what is accepted, and with which status the rest is rejected.

use http::{Method, Version};

use super::*;

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
        parser.parse(received.as_bytes(), &HeadLimits::default(), &mut None).unwrap_err();
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
