//! How a server stops.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use mtls_min::{Body, Request, Response, Server, ServerCertificate, Stopped};

use crate::support::client::{GET, TLS13, config, connect, eventually, exchange, read_reply, read_to_end};
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

/// As behind a balancer, which notices after a while.
#[test]
fn after_a_shutdown_it_serves_on_for_the_delay_and_asks_clients_to_leave_in_its_second_half() {
    let ca = Ca::new("ca");
    let delay = Duration::from_secs(4);
    let running = start_with(
        trust(&ca),
        |builder| builder.drain_delay(delay),
        |_: &mut Request<'_>| Response::new("served".into()),
    );
    let alice = ca.client("alice");
    let mut kept = connect(running.addr, config(Some(&alice), &TLS13));
    let mut idle = connect(running.addr, config(Some(&alice), &TLS13));
    assert_eq!(exchange(&mut kept, GET).unwrap().field("connection"), None);
    assert_eq!(exchange(&mut idle, GET).unwrap().field("connection"), None);
    let asked = Instant::now();
    running.shutdown.shutdown();
    running.shutdown.shutdown();
    assert_eq!(exchange(&mut kept, GET).unwrap().field("connection"), None, "{:?}", asked.elapsed());
    assert_eq!(
        exchange(&mut connect(running.addr, config(Some(&alice), &TLS13)), GET).unwrap().field("connection"),
        None
    );
    // Every request is answered until the server says that it was the last.
    eventually(|| exchange(&mut kept, GET).unwrap().field("connection") == Some("close"));
    assert!(asked.elapsed() >= delay / 2);
    assert_eq!(kept.read(&mut [0; 1]).unwrap(), 0);
    let again = exchange(&mut connect(running.addr, config(Some(&alice), &TLS13)), GET).unwrap();
    assert_eq!((again.status, again.field("connection")), (200, Some("close")));
    // Who has not asked is closed in order at the end.
    assert_eq!(idle.read(&mut [0; 1]).unwrap(), 0);
    assert!(asked.elapsed() >= delay);
    eventually(|| TcpStream::connect(running.addr).is_err());
    assert_eq!(running.stop(), Stopped::Drained);
}

#[test]
fn a_server_that_is_stopped_before_it_serves_waits_for_nobody() {
    let ca = Ca::new("ca");
    let holder = ca.server();
    let certificate = ServerCertificate::from_pem(holder.pem().as_bytes(), holder.key_pem().as_bytes()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let builder = Server::builder(listener, certificate, trust(&ca)).drain_delay(Duration::from_secs(3600));
    let server = builder.build().unwrap();
    server.shutdown_handle().shutdown();
    assert_eq!(server.serve(|_: &mut Request<'_>| Response::new("served".into())).unwrap(), Stopped::Drained);
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
    let seen = std::sync::Arc::clone(&running.seen);
    assert_eq!(running.stop(), Stopped::Cut { connections: 1 });
    assert_eq!(seen.last_note(1), (200, "cut at the drain timeout".to_owned()));
}

#[test]
fn stopping_before_serving_serves_nothing() {
    let ca = Ca::new("ca");
    let running = start(trust(&ca));
    running.shutdown.shutdown();
    running.shutdown.shutdown();
    assert_eq!(running.stop(), Stopped::Drained);
}

/// A stream of events has no end, and its client asks again. Any other body is finished.
#[test]
fn stopping_ends_streams_of_events_at_once_and_finishes_other_bodies() {
    let ca = Ca::new("ca");
    let (hand_over, ends) = std::sync::mpsc::channel();
    let hand_over = std::sync::Mutex::new(hand_over);
    let running = start_with(
        trust(&ca),
        |builder| builder.drain_timeout(Duration::from_secs(60)),
        move |request: &mut Request<'_>| {
            let (own, other) = std::os::unix::net::UnixStream::pair().unwrap();
            hand_over.lock().unwrap().send(own).unwrap();
            let mut response = Response::new(Body::from_socket(other, None).unwrap());
            if request.uri().path() == "/events" {
                let media = "Text/Event-Stream;charset=utf-8".parse().unwrap();
                response.headers_mut().insert("content-type", media);
            }
            response
        },
    );
    let alice = ca.client("alice");
    let begin = |path: &str| {
        let mut client = connect(running.addr, config(Some(&alice), &TLS13));
        client.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).unwrap();
        let mut end = ends.recv().unwrap();
        end.write_all(b"begun").unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"begun\r\n") {
            let mut byte = [0];
            client.read_exact(&mut byte).unwrap();
            seen.extend(byte);
        }
        (client, end)
    };
    let ((mut events, _source), (mut page, mut end)) = (begin("/events"), begin("/page"));
    let asked = Instant::now();
    running.shutdown.shutdown();
    assert_eq!(read_to_end(&mut events).unwrap(), b"");
    running.seen.wait_for_line("GET /events 200 the server stops");
    end.write_all(b"ended").unwrap();
    drop(end);
    let mut rest = [0; 15];
    page.read_exact(&mut rest).unwrap();
    assert_eq!(&rest, b"5\r\nended\r\n0\r\n\r\n");
    drop(page);
    assert_eq!(running.stop(), Stopped::Drained);
    assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
}
