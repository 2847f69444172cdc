//! Answers to HEAD, row H8 of the immunity matrix among them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use mtls_min::{Policy, Request, Response, Trust};

use crate::support::client::{self, TLS13, config, connect, read_to_end};
use crate::support::echo::{authorised, echo};
use crate::support::pki::Ca;
use crate::support::server::start_with;

#[test]
fn head_is_answered_without_a_body() {
    let (running, ca) = echo();
    let mut stream = authorised(&running, &ca);
    stream.write_all(b"HEAD /abc HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let all = String::from_utf8(read_to_end(&mut stream).unwrap()).unwrap();
    assert!(all.starts_with("HTTP/1.1 200 OK\r\n") && all.ends_with("\r\n\r\n"), "{all}");
    assert!(all.contains("content-length: 10\r\n"), "{all}");
}

/// Sends `request` and returns the status. The answer must be a head and nothing else (RFC 9110, section 9.3.2).
#[track_caller]
fn status_without_content(stream: &mut (impl Read + Write), request: &str) -> u16 {
    stream.write_all(request.as_bytes()).unwrap();
    let all = String::from_utf8(read_to_end(stream).unwrap()).unwrap();
    let (_, content) = all.split_once("\r\n\r\n").unwrap();
    assert_eq!(content, "", "{request:?}: {all}");
    all.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn h8_what_the_server_itself_answers_to_head_has_no_content() {
    let ca = Ca::new("ca");
    let policy = Policy::parse("/ any\n/bob cn:bob\n/open anyone\n", "policy").unwrap();
    let trusted = Trust::builder().pem(ca.pem(), "ca").policy(policy).build().unwrap();
    let short = Duration::from_millis(300);
    let running = start_with(
        trusted,
        |builder| builder.head_timeout(short).transfer_timeout(short).max_body(10).max_unauthenticated_body(10),
        |request: &mut Request<'_>| {
            assert_ne!(request.uri().path(), "/panic", "boom");
            let _ = std::io::copy(request.body(), &mut std::io::sink());
            Response::new("a handler's".into())
        },
    );
    let alice = ca.client("alice");
    let head =
        |target: &str, fields: &str| format!("HEAD {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n");
    let chunked = "Transfer-Encoding: chunked\r\n";
    for (status, request) in [
        (200, head("/", "")),
        (400, "HEAD / HTTP/1.1\r\n\r\n".to_owned()),
        (400, "HEAD  / HTTP/1.1\r\n".to_owned()),
        (400, "HEAD\r\n".to_owned()),
        (400, "HEAD /\n".to_owned()),
        (400, "HEAD\t/ HTTP/1.1\r\n".to_owned()),
        (400, " HEAD / HTTP/1.1\r\n".to_owned()),
        (400, "\r\nHEAD /\0".to_owned()),
        (400, "HEAD\0".to_owned()),
        (400, "\r\n\r\n".to_owned()),
        (400, "\0".to_owned()),
        (400, head("//", "")),
        (400, head("/", "Host: b\r\n")),
        (400, head("/", "X : y\r\n")),
        (400, head("/", "Content-Length: 1\r\nContent-Length: 1\r\n")),
        (400, head("/", chunked) + "x"),
        (400, head("/open", chunked) + "x"),
        (403, head("/bob", "")),
        (403, head("/bob", "Accept: text/html\r\n")),
        (408, "HEAD / HT".to_owned()),
        (408, "H".to_owned()),
        (408, "\r\n".to_owned()),
        (408, head("/", "Content-Length: 5\r\n") + "hel"),
        (413, head("/", "Content-Length: 11\r\n")),
        (413, head("/", chunked) + "b\r\n01234567890\r\n"),
        (414, head(&format!("/{}", "x".repeat(8192)), "")),
        (414, format!("HEAD /{}", "x".repeat(8300))),
        (417, head("/", "Expect: tea\r\n")),
        (431, head("/", &format!("X: {}\r\n", "x".repeat(16_384)))),
        (431, head("/", &"X: y\r\n".repeat(100))),
        (500, head("/panic", "")),
        (501, head("/", "Transfer-Encoding: gzip, chunked\r\n")),
        (505, "HEAD / HTTP/3.0\r\n".to_owned()),
    ] {
        let mut stream = connect(running.addr, config(Some(&alice), &TLS13));
        assert_eq!(status_without_content(&mut stream, &request), status, "{request:?}");
    }
    for (status, request) in [
        (401, head("/", "")),
        (401, head("/", "Accept: text/html\r\n")),
        (400, head("/open", chunked) + "x"),
        (408, head("/open", "Content-Length: 5\r\n") + "hel"),
        (413, head("/open", "Content-Length: 11\r\n")),
        (413, head("/open", chunked) + "b\r\n01234567890\r\n"),
    ] {
        let mut stream = connect(running.addr, config(None, &TLS13));
        assert_eq!(status_without_content(&mut stream, &request), status, "{request:?}");
    }
    for request in [head("/", ""), "H".to_owned()] {
        let mut plain = TcpStream::connect(running.addr).unwrap();
        plain.set_read_timeout(Some(client::PATIENCE)).unwrap();
        assert_eq!(status_without_content(&mut plain, &request), 400, "without TLS");
    }
}

/// RFC 9110, section 8.6: HEAD is told the length that GET would get.
#[test]
fn a_rejection_says_to_head_the_length_of_what_it_says_to_get() {
    let (running, ca) = echo();
    let reply = |method: &str| {
        let mut stream = authorised(&running, &ca);
        stream.write_all(format!("{method} / HTTP/3.0\r\n").as_bytes()).unwrap();
        String::from_utf8(read_to_end(&mut stream).unwrap()).unwrap()
    };
    let without_date =
        |text: String| text.lines().filter(|line| !line.starts_with("date")).collect::<Vec<_>>().join("\n");
    let (get, head) = (without_date(reply("GET")), without_date(reply("HEAD")));
    assert_eq!(get, head + "\nHTTP Version Not Supported");
}
