//! Responses over real sockets: status, fields (row H6 of the immunity matrix), and a handler that panics (D2).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::SystemTime;

use mtls_min::http::{HeaderValue, Method, StatusCode};
use mtls_min::{Request, Response, Stopped};

use crate::support::client::{GET, TLS13, VERSIONS, config, connect, exchange, get, read_to_end};
use crate::support::echo::{authorised, echo};
use crate::support::pki::{self, CN, Ca};
use crate::support::server::{start, start_with, trust};

#[test]
fn h6_a_name_cannot_reach_a_response_as_a_field() {
    const UTF8: u8 = 12;
    let ca = Ca::new("ca");
    let running = start_with(
        trust(&ca),
        |builder| builder,
        |request: &mut Request<'_>| {
            // What a careless application would do; the types do not let it happen.
            let mut response = Response::default();
            let name = request.peer().common_name().unwrap_or_default();
            match HeaderValue::from_str(name) {
                Ok(value) => drop(response.headers_mut().insert("x-user", value)),
                Err(_) => *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY,
            }
            response
        },
    );
    let evil = pki::name(&[&[(CN, UTF8, b"a\r\nSet-Cookie: x")]]);
    let holder = ca.with_subject(&ca.client("x"), &evil);
    let reply = get(running.addr, Some(&holder), &TLS13).unwrap();
    assert_eq!((reply.status, reply.field("set-cookie")), (422, None));
}

#[test]
fn h6_a_very_long_name_is_served() {
    const UTF8: u8 = 12;
    let ca = Ca::new("ca");
    let running = start(trust(&ca));
    let long = pki::name(&[&[(CN, UTF8, &[b'x'; 40_000])]]);
    let reply = get(running.addr, Some(&ca.with_subject(&ca.client("x"), &long)), &TLS13).unwrap();
    assert_eq!(reply.body.len(), "hello CN=\n".len() + 40_000);
}

#[test]
fn each_status_belongs_to_its_fault() {
    let (running, ca) = echo();
    for (status, request) in [
        (400, "GET / HTTP/1.1\r\n\r\n".to_owned()),
        (411, "POST / HTTP/1.0\r\n\r\n".to_owned()),
        (414, format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(8192))),
        (417, "POST / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n".to_owned()),
        (431, format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(16_384))),
        (501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n".to_owned()),
        (505, "GET / HTTP/3.0\r\nHost: a\r\n\r\n".to_owned()),
    ] {
        let mut stream = authorised(&running, &ca);
        let reply = exchange(&mut stream, request).unwrap();
        assert_eq!((reply.status, reply.field("connection")), (status, Some("close")));
        assert_eq!(read_to_end(&mut stream).unwrap(), b"");
    }
    assert_eq!(running.calls(), 0);
}

#[test]
fn d2_a_handler_that_panics_costs_one_500_and_no_worker() {
    let ca = Ca::new("ca");
    let running = start_with(
        trust(&ca),
        |builder| builder.workers(1),
        |request: &mut Request<'_>| {
            assert_ne!(request.method(), Method::DELETE, "boom");
            Response::new("fine".into())
        },
    );
    for _ in 0..5 {
        let mut stream = authorised(&running, &ca);
        let delete = "DELETE / HTTP/1.1\r\nHost: a\r\n\r\n";
        assert_eq!(exchange(&mut stream, delete).unwrap().status, 500);
        assert_eq!(exchange(&mut stream, GET).unwrap().body, "fine", "on the same connection");
    }
    running.seen.wait_for_event("boom");
}

/// A clock is code of the application, as is a handler.
#[test]
fn d2_a_clock_that_panics_costs_its_clients_and_no_worker() {
    let ca = Ca::new("ca");
    let broken = Arc::new(AtomicBool::new(false));
    let breaks = Arc::clone(&broken);
    let clock = move || {
        let on_worker = thread::current().name().is_some_and(|name| name.starts_with("worker"));
        assert!(!on_worker || !breaks.load(Ordering::SeqCst), "no time");
        SystemTime::now()
    };
    let running = start_with(
        trust(&ca),
        |builder| builder.workers(2).clock(clock),
        |_: &mut Request<'_>| Response::new("fine".into()),
    );
    broken.store(true, Ordering::SeqCst);
    for _ in 0..5 {
        assert!(get(running.addr, Some(&ca.client("alice")), &TLS13).is_err());
    }
    running.seen.wait_for_event("no time");
    broken.store(false, Ordering::SeqCst);
    assert_eq!(get(running.addr, Some(&ca.client("alice")), &TLS13).unwrap().status, 200);
    assert_eq!(running.stop(), Stopped::Drained);
}

#[test]
fn the_refusal_has_its_fields_and_closes() {
    let running = start(trust(&Ca::new("ca")));
    for version in VERSIONS {
        let mut stream = connect(running.addr, config(None, version));
        let reply = exchange(&mut stream, GET).unwrap();
        assert_eq!((reply.status, reply.body.as_str()), (401, "User is not authorized\n"));
        assert_eq!(reply.field("connection"), Some("close"));
        assert_eq!(reply.field("cache-control"), Some("no-store"));
        assert!(reply.field("www-authenticate").is_some());
        assert_eq!(reply.field("x-request-id").unwrap().len(), 12);
        assert_eq!(read_to_end(&mut stream).unwrap(), b"");
        let html = "GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html,*/*;q=0.8\r\n\r\n";
        let page = exchange(&mut connect(running.addr, config(None, version)), html).unwrap();
        assert_eq!(page.status, 401);
        assert!(
            page.body.contains("<h1>User is not authorized</h1>")
                && page.body.contains(page.field("x-request-id").unwrap())
        );
    }
}
