//! Behind an open gate the handler decides.

use std::io::Write;

use mtls_min::{Request, Response, Verdict};

use crate::support::client::{self, GET, TLS13, VERSIONS, config, connect, exchange, read_reply};
use crate::support::pki::Ca;
use crate::support::server::{start_with, trust};

#[test]
fn behind_an_open_gate_the_handler_decides() {
    let ca = Ca::new("ca");
    let running = start_with(
        trust(&ca),
        |builder| builder.open_gate().max_unauthenticated_body(1000),
        |request: &mut Request<'_>| {
            let mut body = String::new();
            request.body().read_to_string(&mut body).unwrap();
            match request.peer_verdict() {
                Verdict::Authorised(identity) => Response::new(format!("{} {body}", identity.subject()).into()),
                Verdict::Refused(refusal) => Response::new(format!("{} {body}", refusal.code()).into()),
            }
        },
    );
    let post =
        |length: usize| format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{}", "x".repeat(length));
    for version in VERSIONS {
        let mut stranger = connect(running.addr, config(None, version));
        assert_eq!(exchange(&mut stranger, GET).unwrap().body, "no_certificate ");
        assert_eq!(exchange(&mut stranger, post(3)).unwrap().body, "no_certificate xxx", "the connection is kept");
        assert_eq!(exchange(&mut stranger, post(1000)).unwrap().status, 200);
        assert_eq!(exchange(&mut stranger, post(1001)).unwrap().status, 413);
        let mut known = connect(running.addr, config(Some(&ca.client("alice")), version));
        assert_eq!(exchange(&mut known, post(1001)).unwrap().status, 200);
    }
}

#[test]
fn behind_an_open_gate_asking_for_a_peer_that_is_not_authorised_fails_closed() {
    let ca = Ca::new("ca");
    let running = start_with(
        trust(&ca),
        |builder| builder.open_gate(),
        |request: &mut Request<'_>| Response::new(request.peer().subject().to_owned().into()),
    );
    assert_eq!(client::get(running.addr, None, &TLS13).unwrap().status, 500);
}

#[test]
fn behind_an_open_gate_a_stranger_that_expects_continue_gets_it() {
    let ca = Ca::new("ca");
    let running = start_with(
        trust(&ca),
        |builder| builder.open_gate(),
        |request: &mut Request<'_>| {
            let mut body = String::new();
            request.body().read_to_string(&mut body).unwrap();
            Response::new(body.into())
        },
    );
    let mut stream = connect(running.addr, config(None, &TLS13));
    stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n").unwrap();
    assert_eq!(read_reply(&mut stream).unwrap().status, 100);
    assert_eq!(exchange(&mut stream, "hi").unwrap().body, "hi");
}
