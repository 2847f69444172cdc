//! The feature `tiny_http`: what a response of tiny_http is on the wire.

use std::io::{self, Cursor, Read, Write};

use mtls_min::{Request, response};
use tiny_http::{Header, Response, ResponseBox, StatusCode};

use crate::support::client::{Reply, TLS13, Tls, config, connect, exchange, read_to_end};
use crate::support::pki::Ca;
use crate::support::server::{Running, start_with, trust};

/// Above the length from which tiny_http sends chunks.
const LARGE: usize = 100_000;

fn field(name: &str, value: &str) -> Header {
    Header::from_bytes(name, value).unwrap()
}

fn of(status: u16, reader: impl Read + Send + 'static, length: Option<usize>) -> ResponseBox {
    Response::new(StatusCode(status), Vec::new(), reader, length, None).boxed()
}

fn answer(request: &mut Request<'_>) -> ResponseBox {
    let text = || Response::from_string("hello");
    match request.uri().path() {
        "/echo" => {
            let mut body = Vec::new();
            request.body().read_to_end(&mut body).unwrap();
            Response::from_data(body).boxed()
        }
        "/ours" => text().with_header(field("Date", "never")).with_header(field("Keep-Alive", "timeout=999")).boxed(),
        "/large" => of(200, io::repeat(b'x').take(LARGE as u64), Some(LARGE)),
        "/unknown" => of(200, Cursor::new(vec![b'x'; LARGE]), None),
        "/longer" => of(200, Cursor::new("hello, HTTP/1.1 200 OK"), Some(5)),
        "/shorter" => of(200, Cursor::new("hell"), Some(5)),
        "/broken" => text().with_header(field("X-User", "1\r\nSet-Cookie: x")).boxed(),
        path => text().with_status_code(path[1..].parse::<u16>().unwrap()).boxed(),
    }
}

fn serving() -> (Running, Ca) {
    let ca = Ca::new("ca");
    let handler = |request: &mut Request<'_>| response::from_tiny_http(answer(request));
    (start_with(trust(&ca), |builder| builder, handler), ca)
}

fn client(running: &Running, ca: &Ca) -> Tls {
    connect(running.addr, config(Some(&ca.client("alice")), &TLS13))
}

fn get(stream: &mut Tls, path: &str) -> Reply {
    exchange(stream, format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).unwrap()
}

#[test]
fn a_body_arrives_whole_with_or_without_a_length() {
    let (running, ca) = serving();
    let mut stream = client(&running, &ca);
    let reply = exchange(&mut stream, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc").unwrap();
    assert_eq!((reply.status, reply.field("content-length"), reply.body.as_str()), (200, Some("3"), "abc"));
    let reply = get(&mut stream, "/large");
    assert_eq!((reply.field("content-length"), reply.body.len()), (Some("100000"), LARGE), "no chunks");
    let reply = get(&mut stream, "/unknown");
    assert_eq!((reply.field("transfer-encoding"), reply.body.len()), (Some("chunked"), LARGE));
    assert_eq!(running.calls(), 3);
}

#[test]
fn framing_and_date_are_the_servers() {
    let (running, ca) = serving();
    let reply = get(&mut client(&running, &ca), "/ours");
    let names: Vec<_> = reply.fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["content-type", "date", "content-length"]);
    assert_ne!(reply.field("date"), Some("never"));
}

/// The bytes behind the length would be read as the next response.
#[test]
fn a_reader_is_cut_at_the_announced_length() {
    let (running, ca) = serving();
    let mut stream = client(&running, &ca);
    assert_eq!(get(&mut stream, "/longer").body, "hello");
    assert_eq!(get(&mut stream, "/200").body, "hello");
}

#[test]
fn a_reader_that_ends_early_cuts_the_connection() {
    let (running, ca) = serving();
    let reply = exchange(&mut client(&running, &ca), "GET /shorter HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(reply.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn a_response_without_content_has_none() {
    let (running, ca) = serving();
    let mut stream = client(&running, &ca);
    for path in ["/204", "/304"] {
        assert_eq!(get(&mut stream, path).body, "", "{path}");
    }
    stream.write_all(b"HEAD /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let all = String::from_utf8(read_to_end(&mut stream).unwrap()).unwrap();
    assert!(all.contains("content-length: 100000\r\n") && all.ends_with("\r\n\r\n"), "{all}");
}

#[test]
fn a_response_that_is_not_valid_is_a_500() {
    let (running, ca) = serving();
    let mut stream = client(&running, &ca);
    let reply = get(&mut stream, "/broken");
    assert_eq!((reply.status, reply.field("set-cookie"), reply.field("x-user")), (500, None, None));
    for path in ["/99", "/1000", "/101"] {
        assert_eq!(get(&mut client(&running, &ca), path).status, 500, "{path}");
    }
}
