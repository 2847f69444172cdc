//! Row D1 of the immunity matrix: slow clients, in any phase, do not hold up the server.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use mtls_min::{Body, Request, Response, Stopped};

use crate::support::client::{PATIENCE, TLS13, Tls, config, connect, get, read_reply};
use crate::support::pki::{Ca, Holder};
use crate::support::server::{Running, start_with, trust};
use crate::support::wire::{SLOW_CLIENTS, client_hello};

const WORKERS: usize = 8;

/// Serves a good client while 500 others each hold a connection in some phase; the 500 are cut at their deadline.
///
/// `hold` makes one slow client: a connection that has reached the phase and stays there.
fn good_clients_are_served_beside<S: Send>(phase: &str, hold: impl Fn(&Running) -> S + Sync, drip: impl Fn(&mut S)) {
    let ca = Ca::new("ca");
    let deadline = Duration::from_secs(3);
    let running = start_with(
        trust(&ca),
        |builder| {
            builder
                .workers(WORKERS)
                .open_gate()
                .handshake_timeout(deadline)
                .head_timeout(deadline)
                .transfer_timeout(deadline)
                .linger_timeout(deadline)
        },
        |request: &mut Request<'_>| match request.uri().path() {
            "/endless" => Response::new(Body::from_reader(std::io::repeat(b'x'), None)),
            _ => Response::new("served".into()),
        },
    );
    let mut slow: Vec<S> = std::thread::scope(|scope| {
        let makers: Vec<_> =
            (0..4).map(|_| scope.spawn(|| (0..SLOW_CLIENTS / 4).map(|_| hold(&running)).collect::<Vec<_>>())).collect();
        makers.into_iter().flat_map(|maker| maker.join().unwrap()).collect()
    });
    let alice = ca.client("alice");
    let mut worst = Duration::ZERO;
    for _ in 0..5 {
        slow.iter_mut().for_each(&drip);
        let start = Instant::now();
        assert_eq!(get(running.addr, Some(&alice), &TLS13).unwrap().body, "served", "{phase}");
        worst = worst.max(start.elapsed());
    }
    println!("{SLOW_CLIENTS} slow clients in {phase}: a good client waited at most {worst:?}");
    // The others are cut at their deadline, dripping or not.
    let end = Instant::now() + PATIENCE;
    let connections = || running.seen.events().iter().filter(|event| event.contains("TimedOut")).count();
    if phase != "linger" {
        while connections() < SLOW_CLIENTS && Instant::now() < end {
            slow.iter_mut().for_each(&drip);
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(connections(), SLOW_CLIENTS, "{phase}");
    }
    drop(slow);
    assert_eq!(running.stop(), Stopped::Drained, "{phase}");
}

fn handshaken(running: &Running, holder: Option<&Holder>, request: &str) -> Tls {
    let mut stream = connect(running.addr, config(holder, &TLS13));
    stream.write_all(request.as_bytes()).unwrap();
    stream.flush().unwrap();
    stream
}

fn drip_text(stream: &mut Tls) {
    let _ = stream.write_all(b"a").and_then(|()| stream.flush());
}

#[test]
fn d1_a_slow_clients_in_the_client_hello() {
    let hello = client_hello();
    good_clients_are_served_beside(
        "the ClientHello",
        |running| {
            let mut socket = TcpStream::connect(running.addr).unwrap();
            socket.write_all(&hello[..20]).unwrap();
            (socket, 20)
        },
        |(socket, sent)| {
            if let Some(byte) = hello.get(*sent..=*sent) {
                let _ = socket.write(byte);
                *sent += 1;
            }
        },
    );
}

#[test]
fn d1_b_slow_clients_between_the_flights() {
    let hello = client_hello();
    good_clients_are_served_beside(
        "the middle of the handshake",
        |running| {
            let mut socket = TcpStream::connect(running.addr).unwrap();
            socket.write_all(&hello).unwrap();
            // The server's flight is there; ours never comes.
            socket.read_exact(&mut [0; 200]).unwrap();
            socket
        },
        |_| {},
    );
}

#[test]
fn d1_c_slow_clients_in_the_head() {
    good_clients_are_served_beside("the head", |running| handshaken(running, None, "GET / HT"), |_| {});
    good_clients_are_served_beside(
        "a dripping head",
        |running| handshaken(running, None, "GET / HTTP/1.1\r\nHost: a\r\nX: "),
        drip_text,
    );
}

#[test]
fn d1_d_slow_clients_in_a_body() {
    good_clients_are_served_beside(
        "the body",
        |running| handshaken(running, None, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n"),
        drip_text,
    );
}

#[test]
fn d1_e_clients_that_do_not_read_the_answer() {
    good_clients_are_served_beside(
        "the answer",
        |running| handshaken(running, None, "GET /endless HTTP/1.1\r\nHost: a\r\n\r\n"),
        |_| {},
    );
}

#[test]
fn d1_refused_clients_that_never_close_are_closed() {
    good_clients_are_served_beside(
        "linger",
        |running| {
            let request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n";
            let mut stream = handshaken(running, None, request);
            assert_eq!(read_reply(&mut stream).unwrap().status, 413);
            stream
        },
        drip_text,
    );
}
