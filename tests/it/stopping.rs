//! How a server stops.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use mtls_min::{Body, Request, Response, Stopped};

use crate::support::client::{GET, TLS13, config, connect, eventually, exchange, read_reply};
use crate::support::pki::Ca;
use crate::support::server::{start, start_with, trust};

#[test]
fn stopping_finishes_running_answers_and_closes_idle_connections() {
    let ca = Ca::new("ca");
    let (tell, told) = std::sync::mpsc::channel::<()>();
    let told = std::sync::Mutex::new(told);
    let running = start_with(
        trust(&ca),
        |builder| builder,
        move |request: &mut Request<'_>| {
            if request.uri().path() == "/slow" {
                told.lock().unwrap().recv().unwrap();
            }
            Response::new("finished".into())
        },
    );
    let alice = ca.client("alice");
    let mut idle = connect(running.addr, config(Some(&alice), &TLS13));
    assert_eq!(exchange(&mut idle, GET).unwrap().field("connection"), None);
    let mut busy = connect(running.addr, config(Some(&alice), &TLS13));
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    eventually(|| running.calls() == 2);
    running.shutdown.shutdown();
    // Idle: closed in order, with close_notify (an end without it would be an error here).
    assert_eq!(idle.read(&mut [0; 1]).unwrap(), 0);
    eventually(|| TcpStream::connect(running.addr).is_err());
    tell.send(()).unwrap();
    let reply = read_reply(&mut busy).unwrap();
    assert_eq!((reply.body.as_str(), reply.field("connection")), ("finished", Some("close")));
    assert_eq!(busy.read(&mut [0; 1]).unwrap(), 0);
    drop(busy);
    assert_eq!(running.stop(), Stopped::Drained);
}

#[test]
fn stopping_ends_at_the_drain_timeout() {
    let ca = Ca::new("ca");
    let running = start_with(
        trust(&ca),
        |builder| builder.drain_timeout(Duration::from_millis(200)),
        |_: &mut Request<'_>| Response::new(Body::from_reader(std::io::repeat(b'x'), None)),
    );
    let mut endless = connect(running.addr, config(Some(&ca.client("alice")), &TLS13));
    endless.write_all(GET.as_bytes()).unwrap();
    endless.read_exact(&mut [0; 1000]).unwrap();
    assert_eq!(running.stop(), Stopped::Cut { connections: 1 });
}

#[test]
fn stopping_before_serving_serves_nothing() {
    let ca = Ca::new("ca");
    let running = start(trust(&ca));
    running.shutdown.shutdown();
    running.shutdown.shutdown();
    assert_eq!(running.stop(), Stopped::Drained);
}
