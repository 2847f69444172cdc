//! Bodies of requests and responses over real sockets: chunks, limits, streams, early ends.

use std::io::{Read, Write};
use std::sync::mpsc;
use std::time::Duration;

use mtls_min::{Access, Body, Observer, Request, Response};

use crate::support::client::{self, GET, TLS13, VERSIONS, config, connect, exchange, read_reply, read_to_end};
use crate::support::echo::{authorised, echo};
use crate::support::pki::Ca;
use crate::support::server::{start, start_observed, start_with, trust};

/// RFC 9112, sections 7.1 and 7.1.1.
#[test]
fn a_chunked_body_with_zeros_before_its_sizes_and_white_space_around_its_extensions_is_read() {
    let (running, ca) = echo();
    let mut stream = authorised(&running, &ca);
    let post = "POST /a HTTP/1.1\r\nHost: a=b\r\nTransfer-Encoding: chunked\r\n\r\n00000000000000000003 ; x = \"y z\"\r\nabc\r\n\
                000; ieof\r\n\r\n";
    assert_eq!(exchange(&mut stream, format!("{post}{GET}")).unwrap().body, "POST /a abc");
    assert_eq!(read_reply(&mut stream).unwrap().body, "GET / ", "the next request is found");
}

#[test]
fn a_request_whose_body_is_rejected_before_the_handler_is_logged_by_its_method_and_target() {
    struct Lines(mpsc::Sender<String>);
    impl Observer for Lines {
        fn request(&self, access: &Access<'_>) {
            let _ = self.0.send(format!("{} {} {}", access.method, access.target, access.status));
        }
    }
    let (lines, logged) = mpsc::channel();
    let running = start_observed(
        trust(&Ca::new("ca")),
        |builder| builder.open_gate().transfer_timeout(Duration::from_millis(300)),
        Lines(lines),
    );
    for (body, status) in [("Content-Length: 5\r\n\r\nhel", 408), ("Transfer-Encoding: chunked\r\n\r\nx", 400)] {
        let mut stream = connect(running.addr, config(None, &TLS13));
        let reply = exchange(&mut stream, format!("PUT /a HTTP/1.1\r\nHost: a\r\n{body}")).unwrap();
        assert_eq!(reply.status, status);
        assert_eq!(logged.recv_timeout(client::PATIENCE).unwrap(), format!("PUT /a {status}"));
    }
}

#[test]
fn a_client_that_expects_continue_is_told_to_when_the_handler_reads() {
    let (running, ca) = echo();
    let mut stream = authorised(&running, &ca);
    stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n").unwrap();
    assert_eq!(read_reply(&mut stream).unwrap().status, 100);
    assert_eq!(exchange(&mut stream, "hello").unwrap().body, "POST / hello");
    assert_eq!(exchange(&mut stream, GET).unwrap().status, 200, "the connection is kept");
}

#[test]
fn a_body_that_the_handler_does_not_read_ends_the_connection_unless_it_is_there() {
    let ca = Ca::new("ca");
    let running = start(trust(&ca));
    let mut stream = authorised(&running, &ca);
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
    let reply = exchange(&mut stream, format!("{post}hello{GET}")).unwrap();
    assert_eq!((reply.status, reply.field("connection")), (200, None));
    assert_eq!(read_reply(&mut stream).unwrap().status, 200);
    // Never sent, because nobody asked for it.
    let expecting = post.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    let reply = exchange(&mut stream, expecting).unwrap();
    assert_eq!((reply.status, reply.field("connection")), (200, Some("close")));
    assert_eq!(read_to_end(&mut stream).unwrap(), b"");
}

#[test]
fn bodies_past_the_limit_are_413_whatever_the_handler_says() {
    let (running, ca) = echo();
    for request in [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100001\r\n\r\n".to_owned(),
        format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n186a1\r\n{}\r\n0\r\n\r\n",
            "x".repeat(100_001)
        ),
    ] {
        let reply = exchange(&mut authorised(&running, &ca), request).unwrap();
        assert_eq!((reply.status, reply.field("connection")), (413, Some("close")));
    }
    let at_limit = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n{}", "x".repeat(100_000));
    assert_eq!(exchange(&mut authorised(&running, &ca), at_limit).unwrap().status, 200);
}

#[test]
fn slow_heads_and_bodies_are_told_408() {
    let ca = Ca::new("ca");
    let short = Duration::from_millis(300);
    let running = start_with(
        trust(&ca),
        |builder| builder.head_timeout(short).transfer_timeout(short),
        |request: &mut Request<'_>| {
            let _ = std::io::copy(request.body(), &mut std::io::sink());
            Response::default()
        },
    );
    for beginning in ["GET / HT", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel"] {
        let mut stream = authorised(&running, &ca);
        let reply = exchange(&mut stream, beginning).unwrap();
        assert_eq!((reply.status, reply.field("connection")), (408, Some("close")), "{beginning:?}");
    }
    let events = running.seen.events();
    assert!(
        events.iter().any(|event| event.contains("Head")) && events.iter().any(|event| event.contains("Body")),
        "{events:?}"
    );
}

#[test]
fn a_response_reaches_a_client_that_is_still_sending() {
    let ca = Ca::new("ca");
    let running = start(trust(&ca));
    for holder in [None, Some(ca.client("alice"))] {
        let mut stream = connect(running.addr, config(holder.as_ref(), &TLS13));
        let length = 8 * 1024 * 1024;
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        // All of it, before looking at the answer. The server throws it away, but does not cut it off.
        stream.write_all(&vec![b'x'; length]).unwrap();
        let reply = read_reply(&mut stream).unwrap();
        assert_eq!(reply.status, if holder.is_some() { 200 } else { 401 });
    }
}

#[test]
fn bodies_stream_in_both_directions() {
    let ca = Ca::new("ca");
    let running = start_with(
        trust(&ca),
        |builder| builder,
        |request: &mut Request<'_>| {
            let mut sum = 0_u64;
            let mut buffer = [0; 10_000];
            while let Ok(n @ 1..) = request.body().read(&mut buffer) {
                sum += buffer[..n].iter().map(|byte| u64::from(*byte)).sum::<u64>();
            }
            let length = 3_000_000;
            let known = request.uri().path() == "/known";
            let bytes = std::io::repeat(b'y').take(length);
            let mut response = Response::new(Body::from_reader(bytes, known.then_some(length)));
            response.headers_mut().insert("x-sum", sum.into());
            response
        },
    );
    for version in VERSIONS {
        let mut stream = connect(running.addr, config(Some(&ca.client("alice")), version));
        for path in ["/known", "/unknown", "/known"] {
            let request =
                format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n{}", "a".repeat(2_000_000));
            let reply = exchange(&mut stream, request).unwrap();
            assert_eq!(reply.field("x-sum"), Some("194000000"));
            assert_eq!(reply.body.len(), 3_000_000);
            assert_eq!(reply.field("transfer-encoding").is_some(), path == "/unknown");
        }
    }
    let mut stream = connect(running.addr, config(Some(&ca.client("alice")), &TLS13));
    stream.write_all(b"GET /unknown HTTP/1.0\r\n\r\n").unwrap();
    let all = read_to_end(&mut stream).unwrap();
    assert!(all.len() > 3_000_000 && all.ends_with(b"yyy"), "until the end of the connection");
}

#[test]
fn a_body_that_ends_early_is_cut_so_that_the_client_notices() {
    let ca = Ca::new("ca");
    let running = start_with(
        trust(&ca),
        |builder| builder,
        |request: &mut Request<'_>| {
            let short = std::io::repeat(b'y').take(10);
            match request.uri().path() {
                "/short" => Response::new(Body::from_reader(short, Some(100_000))),
                "/long" => Response::new(Body::from_reader(std::io::repeat(b'y'), Some(10))),
                _ => Response::new(Body::from_reader(Panics, None)),
            }
        },
    );
    let ask = |path: &str| {
        let mut stream = authorised(&running, &ca);
        exchange(&mut stream, format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"))
    };
    for path in ["/short", "/panic"] {
        let error = ask(path).unwrap_err();
        assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "{path}: cut, not left waiting");
    }
    assert_eq!(ask("/long").unwrap().body, "y".repeat(10), "no more than announced");
    running.seen.wait_for_event("boom in a reader");
}

struct Panics;

impl Read for Panics {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        panic!("boom in a reader")
    }
}
