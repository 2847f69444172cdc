//! Bodies that arrive on a socket: each byte goes out as it comes, and waiting for the next holds no thread.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use mtls_min::{Stopped, Trust};

use crate::support::behind::{Behind, behind, get};
use crate::support::client::{GET, TLS13, Tls, VERSIONS, config, connect, exchange, read_reply, read_to_end};
use crate::support::pki::{Ca, Holder};
use crate::support::server::trust;

const SECOND: Duration = Duration::from_secs(1);

fn plain() -> (Behind, Holder) {
    let ca = Ca::new("ca");
    (behind(trust(&ca), |builder| builder), ca.client("alice"))
}

#[track_caller]
fn head(client: &mut Tls) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        bytes.extend(byte);
    }
    String::from_utf8(bytes).unwrap()
}

#[track_caller]
fn next(client: &mut Tls, expected: &str) {
    let mut seen = vec![0; expected.len()];
    client.read_exact(&mut seen).unwrap();
    assert_eq!(String::from_utf8_lossy(&seen), expected);
}

#[test]
fn each_event_goes_out_before_the_next_is_made() {
    let (behind, alice) = plain();
    for version in VERSIONS {
        let mut client = connect(behind.running.addr, config(Some(&alice), version));
        client.write_all(get("/stream").as_bytes()).unwrap();
        let mut end = behind.end();
        assert!(head(&mut client).contains("transfer-encoding: chunked\r\n"), "the head comes first");
        for number in 0..10 {
            end.write_all(format!("event {number}").as_bytes()).unwrap();
            next(&mut client, &format!("7\r\nevent {number}\r\n"));
        }
        drop(end);
        next(&mut client, "0\r\n\r\n");
        assert_eq!(exchange(&mut client, GET).unwrap().body, "served");
    }
}

#[test]
fn idle_streams_hold_no_worker() {
    let ca = Ca::new("ca");
    let behind = behind(trust(&ca), |builder| builder.workers(1));
    let alice = ca.client("alice");
    let mut streams: Vec<_> = (0..20).map(|_| behind.ask(Some(&alice), &get("/stream"))).collect();
    let mut other = connect(behind.running.addr, config(Some(&alice), &TLS13));
    for (client, end) in &mut streams {
        assert_eq!(exchange(&mut other, GET).unwrap().body, "served");
        head(client);
        end.write_all(b"x").unwrap();
        next(client, "1\r\nx\r\n");
    }
}

#[test]
fn a_length_that_was_announced_is_kept_or_the_connection_cut() {
    let (behind, alice) = plain();
    let (mut client, mut end) = behind.ask(Some(&alice), &get("/ten"));
    end.write_all(b"12345").unwrap();
    end.write_all(b"67890abcdef").unwrap();
    let reply = read_reply(&mut client).unwrap();
    assert_eq!((reply.body.as_str(), reply.field("content-length")), ("1234567890", Some("10")));
    // What is left over is not the beginning of the next answer.
    assert_eq!(exchange(&mut client, GET).unwrap().body, "served");
    let (mut client, mut end) = behind.ask(Some(&alice), &get("/ten"));
    end.write_all(b"12345").unwrap();
    drop(end);
    assert!(read_reply(&mut client).is_err());
    behind.running.seen.wait_for_line(
        "GET /ten 200 the reader of the response's body failed: the response body ended before its announced length",
    );
    // Nobody is asked for the body of an answer to HEAD.
    let (mut client, mut end) = behind.ask(Some(&alice), "HEAD /ten HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(head(&mut client).contains("content-length: 10\r\n"));
    assert_eq!(end.read(&mut [0; 1]).unwrap(), 0);
    let (mut client, mut end) = behind.ask(Some(&alice), "GET /stream HTTP/1.0\r\n\r\n");
    end.write_all(b"until the end").unwrap();
    drop(end);
    assert!(String::from_utf8_lossy(&read_to_end(&mut client).unwrap()).ends_with("\r\n\r\nuntil the end"));
}

#[test]
fn who_makes_the_body_learns_that_the_client_has_left() {
    let (behind, alice) = plain();
    for path in ["/stream", "/ten"] {
        let (client, mut end) = behind.ask(Some(&alice), &get(path));
        let leave = |mut client: Tls| {
            head(&mut client);
            drop(client);
        };
        leave(client);
        let start = Instant::now();
        assert_eq!(end.read(&mut [0; 1]).unwrap(), 0);
        assert!(start.elapsed() < SECOND, "{:?}", start.elapsed());
        behind.running.seen.wait_for_line(&format!("GET {path} 200 the client left before the response's end"));
    }
}

#[test]
fn a_client_that_sends_its_next_request_meanwhile_gets_one_answer_after_the_other() {
    let (behind, alice) = plain();
    let (mut client, mut end) = behind.ask(Some(&alice), &get("/stream"));
    head(&mut client);
    // More than one read takes.
    let requests = 500;
    (0..requests).for_each(|_| client.write_all(GET.as_bytes()).unwrap());
    end.write_all(b"x").unwrap();
    next(&mut client, "1\r\nx\r\n");
    drop(end);
    next(&mut client, "0\r\n\r\n");
    for _ in 0..requests {
        assert_eq!(read_reply(&mut client).unwrap().body, "served");
    }
}

#[test]
fn a_stream_of_a_client_that_is_no_longer_let_in_is_cut_within_a_second() {
    let ca = Ca::new("ca");
    let behind = behind(trust(&ca), |builder| builder);
    let alice = ca.client("alice");
    let mut streams: Vec<_> = (0..20).map(|_| behind.ask(Some(&alice), &get("/stream"))).collect();
    // What is known to end gets to its end.
    let (mut known, mut last) = behind.ask(Some(&alice), &get("/ten"));
    // One whose bytes keep coming, and whose client takes them slowly.
    let (slow, mut pushing) = behind.ask(Some(&alice), &get("/stream"));
    std::thread::scope(|scope| {
        scope.spawn(move || while pushing.write_all(&[0; 4096]).is_ok() {});
        for (client, end) in &mut streams {
            head(client);
            end.write_all(b"x").unwrap();
            next(client, "1\r\nx\r\n");
        }
        head(&mut known);
        last.write_all(b"1234567890").unwrap();
        next(&mut known, "1234567890");
        let start = Instant::now();
        behind.running.trust.replace(Trust::builder().pem(Ca::new("other").pem(), "other").build().unwrap()).unwrap();
        for (client, end) in &mut streams {
            // Without the last chunk.
            assert!(read_to_end(client).unwrap().is_empty());
            assert_eq!(end.read(&mut [0; 1]).unwrap(), 0);
        }
        assert!(start.elapsed() < SECOND, "{:?}", start.elapsed());
    });
    drop(slow);
}

#[test]
fn a_stream_is_cut_when_the_certificate_of_its_client_expires() {
    let ca = Ca::new("ca");
    let start = SystemTime::now();
    let clock = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&clock);
    let now = move || start + Duration::from_secs(told.load(Ordering::SeqCst));
    let behind = behind(trust(&ca), |builder| builder.clock(now));
    let alice = ca.client_with("alice", |params| params.not_after = (start + Duration::from_secs(1000)).into());
    let (mut client, mut end) = behind.ask(Some(&alice), &get("/stream"));
    head(&mut client);
    let passed = Instant::now();
    clock.store(1002, Ordering::SeqCst);
    assert!(read_to_end(&mut client).unwrap().is_empty());
    assert_eq!(end.read(&mut [0; 1]).unwrap(), 0);
    assert!(passed.elapsed() < SECOND, "{:?}", passed.elapsed());
}

#[test]
fn a_stream_without_a_byte_is_cut_after_its_time() {
    let ca = Ca::new("ca");
    let time = Duration::from_millis(600);
    let behind = behind(trust(&ca), |builder| builder.tunnel_timeout(time));
    let (mut client, mut end) = behind.ask(Some(&ca.client("alice")), &get("/stream"));
    head(&mut client);
    for _ in 0..4 {
        std::thread::sleep(time / 2);
        end.write_all(b"x").unwrap();
        next(&mut client, "1\r\nx\r\n");
        // What the client sends is no byte of it.
        client.write_all(b"GET").unwrap();
    }
    let last = Instant::now();
    assert!(read_to_end(&mut client).unwrap().is_empty());
    assert!((time / 2..time * 3).contains(&last.elapsed()), "{:?}", last.elapsed());
    assert_eq!(end.read(&mut [0; 1]).unwrap(), 0);
    behind.running.seen.wait_for_line("GET /stream 200 nothing came of the response's body for too long");
}

#[test]
fn who_makes_the_body_waits_for_the_client_and_a_slow_client_is_cut() {
    const MOST: usize = 32 * 1024 * 1024;
    let ca = Ca::new("ca");
    let behind = behind(trust(&ca), |builder| builder.transfer_timeout(Duration::from_millis(500)));
    let (client, mut end) = behind.ask(Some(&ca.client("alice")), &get("/stream"));
    let mut sent = 0;
    // At last the write fails, since the connection is cut.
    while sent < MOST && end.write_all(&[b'x'; 4096]).is_ok() {
        sent += 4096;
    }
    assert!(sent < MOST);
    behind.running.seen.wait_for_line("GET /stream 200 the client took the response too slowly");
    drop(client);
}

#[test]
fn a_server_that_stops_lets_a_stream_come_to_its_end() {
    let (behind, alice) = plain();
    let (mut client, mut end) = behind.ask(Some(&alice), &get("/stream"));
    head(&mut client);
    let stopping = std::thread::spawn(move || behind.running.stop());
    std::thread::sleep(Duration::from_millis(200));
    end.write_all(b"last").unwrap();
    drop(end);
    next(&mut client, "4\r\nlast\r\n0\r\n\r\n");
    drop(client);
    assert_eq!(stopping.join().unwrap(), Stopped::Drained);
}
