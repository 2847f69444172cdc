//! Upgrades: a connection that becomes a tunnel holds no thread, passes everything on, and ends when it has to.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use mtls_min::{Policy, Request, Stopped, Trust, response};

use crate::support::behind::{Behind, behind, get, upgrade};
use crate::support::client::{GET, TLS13, Tls, VERSIONS, config, connect, exchange, read_reply};
use crate::support::crl::Crl;
use crate::support::pki::{Ca, Holder};
use crate::support::rules::trusting;
use crate::support::server::{start_with, trust};

/// How long it may take until a client that is no longer let in is out.
const SECOND: Duration = Duration::from_secs(1);

fn plain() -> (Behind, Holder) {
    let ca = Ca::new("ca");
    (behind(trust(&ca), |builder| builder), ca.client("alice"))
}

#[track_caller]
fn passes(client: &mut Tls, end: &mut UnixStream) {
    let mut seen = [0; 4];
    client.write_all(b"ping").unwrap();
    end.read_exact(&mut seen).unwrap();
    end.write_all(&seen).unwrap();
    client.read_exact(&mut seen).unwrap();
    assert_eq!(&seen, b"ping");
}

/// Both sides learn that it is over: the client by a close_notify (an end without it would be an error here).
#[track_caller]
fn is_over(client: &mut Tls, end: &mut UnixStream) {
    assert_eq!(client.read(&mut [0; 9]).unwrap(), 0);
    assert_eq!(end.read(&mut [0; 9]).unwrap(), 0);
}

#[test]
fn bytes_go_both_ways_and_those_behind_the_request_come_first() {
    let (behind, alice) = plain();
    for version in VERSIONS {
        let mut client = connect(behind.running.addr, config(Some(&alice), version));
        client.write_all(format!("{}first", upgrade("/tunnel")).as_bytes()).unwrap();
        let mut end = behind.end();
        end.write_all(b"hello").unwrap();
        let reply = read_reply(&mut client).unwrap();
        assert_eq!((reply.status, reply.field("connection")), (101, Some("upgrade")));
        assert_eq!((reply.field("content-length"), reply.field("transfer-encoding")), (None, None));
        let mut seen = [0; 5];
        client.read_exact(&mut seen).unwrap();
        assert_eq!(&seen, b"hello");
        end.read_exact(&mut seen).unwrap();
        assert_eq!(&seen, b"first");
        (0..100).for_each(|_| passes(&mut client, &mut end));
    }
}

#[test]
fn idle_tunnels_hold_no_worker() {
    let ca = Ca::new("ca");
    let behind = behind(trust(&ca), |builder| builder.workers(1));
    let alice = ca.client("alice");
    let mut tunnels: Vec<_> = (0..20).map(|_| behind.tunnel(Some(&alice), "/tunnel")).collect();
    let mut other = connect(behind.running.addr, config(Some(&alice), &TLS13));
    for (client, end) in &mut tunnels {
        assert_eq!(exchange(&mut other, GET).unwrap().body, "served");
        passes(client, end);
    }
}

#[test]
fn only_who_asks_for_an_upgrade_gets_one() {
    let (behind, alice) = plain();
    for request in [
        get("/tunnel"),
        upgrade("/tunnel").replace("HTTP/1.1", "HTTP/1.0"),
        upgrade("/tunnel").replace("Upgrade: echo", "Upgrade: other"),
        upgrade("/tunnel").replace("Connection: upgrade", "Connection: keep-alive"),
        // What follows the head may be its body, or be for the tunnel.
        upgrade("/tunnel").replace("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\n"),
    ] {
        let (mut client, mut end) = behind.ask(Some(&alice), &request);
        assert_eq!(read_reply(&mut client).unwrap().status, 500, "{request}");
        assert_eq!(end.read(&mut [0; 9]).unwrap(), 0, "{request}");
    }
    let no_tunnel = |_: &mut Request<'_>| {
        let mut response = response::status(http::StatusCode::SWITCHING_PROTOCOLS);
        response.headers_mut().insert("upgrade", http::HeaderValue::from_static("echo"));
        response
    };
    let running = start_with(trust(&Ca::new("ca")), mtls_min::Builder::open_gate, no_tunnel);
    let mut client = connect(running.addr, config(Some(&alice), &TLS13));
    assert_eq!(exchange(&mut client, upgrade("/")).unwrap().status, 500);
}

#[test]
fn tunnels_of_a_revoked_client_end_within_a_second() {
    let ca = Ca::new("ca");
    let with = |list: Vec<u8>| Trust::builder().pem(ca.pem(), "ca").crl(list, "crl").build().unwrap();
    let behind = behind(with(Crl::number(1).der(&ca)), |builder| builder);
    let (alice, bob) = (ca.client("alice"), ca.client("bob"));
    let mut tunnels: Vec<_> = (0..30).map(|_| behind.tunnel(Some(&alice), "/tunnel")).collect();
    let (mut client, mut end) = behind.tunnel(Some(&bob), "/tunnel");
    // One that is not idle, and one whose client takes nothing.
    let (mut busy, mut echo) = behind.tunnel(Some(&alice), "/tunnel");
    let (stuck, mut pushing) = behind.tunnel(Some(&alice), "/tunnel");
    std::thread::scope(|scope| {
        let echoing = scope.spawn(move || std::io::copy(&mut echo.try_clone().unwrap(), &mut echo));
        let busy =
            scope.spawn(move || while busy.write_all(b"x").is_ok() && busy.read(&mut [0; 1]).is_ok_and(|n| n > 0) {});
        let pushing = scope.spawn(move || while pushing.write_all(&[0; 4096]).is_ok() {});
        std::thread::sleep(Duration::from_millis(100));
        let start = Instant::now();
        behind.running.trust.replace(with(Crl::number(2).revoking(&alice).der(&ca))).unwrap();
        for (client, end) in &mut tunnels {
            is_over(client, end);
        }
        busy.join().unwrap();
        pushing.join().unwrap();
        let _ = echoing.join().unwrap();
        assert!(start.elapsed() < SECOND, "{:?}", start.elapsed());
    });
    drop(stuck);
    passes(&mut client, &mut end);
}

#[test]
fn a_tunnel_ends_when_the_certificate_of_its_client_expires() {
    let ca = Ca::new("ca");
    let start = SystemTime::now();
    let clock = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&clock);
    let now = move || start + Duration::from_secs(told.load(Ordering::SeqCst));
    let behind = behind(trust(&ca), |builder| builder.clock(now));
    let alice = ca.client_with("alice", |params| params.not_after = (start + Duration::from_secs(1000)).into());
    let (mut client, mut end) = behind.tunnel(Some(&alice), "/tunnel");
    let (mut lasting, mut other) = behind.tunnel(Some(&ca.client("bob")), "/tunnel");
    clock.store(998, Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(300));
    passes(&mut client, &mut end);
    let passed = Instant::now();
    clock.store(1002, Ordering::SeqCst);
    is_over(&mut client, &mut end);
    assert!(passed.elapsed() < SECOND, "{:?}", passed.elapsed());
    passes(&mut lasting, &mut other);
}

#[test]
fn a_tunnel_ends_when_no_rule_lets_its_client_make_its_request() {
    let ca = Ca::new("ca");
    let policy = |text: &str| trusting(&ca, None, Policy::parse(text, "policy").unwrap());
    let behind =
        behind(policy("/tunnel/a cn:alice\n/tunnel/b cn:alice\n/tunnel/c anyone\n/tunnel/d anyone\n"), |builder| {
            builder
        });
    let alice = ca.client("alice");
    let [mut a, mut b] = ["/tunnel/a", "/tunnel/b"].map(|path| behind.tunnel(Some(&alice), path));
    let [mut c, mut d] = ["/tunnel/c", "/tunnel/d"].map(|path| behind.tunnel(None, path));
    let start = Instant::now();
    behind
        .running
        .trust
        .replace(policy("POST /tunnel/a cn:alice\nGET /tunnel/b cn:alice\n/tunnel/c cn:alice\n/tunnel/d anyone\n"))
        .unwrap();
    is_over(&mut a.0, &mut a.1);
    is_over(&mut c.0, &mut c.1);
    assert!(start.elapsed() < SECOND, "{:?}", start.elapsed());
    passes(&mut b.0, &mut b.1);
    passes(&mut d.0, &mut d.1);
}

/// The application was told who it is.
#[test]
fn a_tunnel_that_anyone_may_have_ends_too_when_its_client_is_no_longer_who_it_was() {
    let ca = Ca::new("ca");
    let policy = |ca: &Ca| trusting(ca, None, Policy::parse("/ anyone\n", "policy").unwrap());
    let behind = behind(policy(&ca), |builder| builder);
    let (mut client, mut end) = behind.tunnel(Some(&ca.client("alice")), "/tunnel");
    let (mut nobody, mut other) = behind.tunnel(None, "/tunnel");
    behind.running.trust.replace(policy(&Ca::new("other"))).unwrap();
    is_over(&mut client, &mut end);
    passes(&mut nobody, &mut other);
}

#[test]
fn a_tunnel_without_a_byte_ends_after_its_time() {
    let ca = Ca::new("ca");
    let time = Duration::from_millis(600);
    let behind = behind(trust(&ca), |builder| builder.tunnel_timeout(time));
    let alice = ca.client("alice");
    let (mut client, mut end) = behind.tunnel(Some(&alice), "/tunnel");
    for way in [true, false, true, false] {
        std::thread::sleep(time / 2);
        match way {
            true => client.write_all(b"x").and_then(|()| end.read_exact(&mut [0])).unwrap(),
            false => end.write_all(b"x").and_then(|()| client.read_exact(&mut [0])).unwrap(),
        }
    }
    let last = Instant::now();
    is_over(&mut client, &mut end);
    let idle = last.elapsed();
    assert!((time / 2..time * 3).contains(&idle), "{idle:?}");
}

#[test]
fn a_server_that_stops_does_not_wait_for_its_tunnels() {
    let (behind, alice) = plain();
    let mut tunnels: Vec<_> = (0..5).map(|_| behind.tunnel(Some(&alice), "/tunnel")).collect();
    let start = Instant::now();
    assert_eq!(behind.running.stop(), Stopped::Drained);
    assert!(start.elapsed() < SECOND, "{:?}", start.elapsed());
    for (client, end) in &mut tunnels {
        is_over(client, end);
    }
}

#[test]
fn much_goes_both_ways_at_once_and_arrives_intact() {
    const LENGTH: usize = 8 * 1024 * 1024;
    let (behind, alice) = plain();
    let (mut client, end) = behind.tunnel(Some(&alice), "/tunnel");
    let byte = |at: usize| (at / 7 + at / 4099) as u8;
    let whole: Vec<u8> = (0..LENGTH).map(byte).collect();
    let mut socket = client.sock.try_clone().unwrap();
    std::thread::scope(|scope| {
        let (mut reading, mut writing) = (end.try_clone().unwrap(), end);
        let whole = &whole;
        scope.spawn(move || {
            writing.write_all(whole).unwrap();
            writing.shutdown(Shutdown::Write).unwrap();
        });
        // It begins late, and takes little at a time.
        let read = scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            let (mut seen, mut piece) = (Vec::new(), [0; 5000]);
            while let n @ 1.. = reading.read(&mut piece).unwrap() {
                seen.extend_from_slice(&piece[..n]);
            }
            seen
        });
        // One thread for both ways, since the client is one session.
        socket.set_nonblocking(true).unwrap();
        let (mut sent, mut seen) = (0, Vec::new());
        let end = Instant::now() + crate::support::client::PATIENCE;
        let mut is_open = true;
        while is_open || sent < LENGTH || client.conn.wants_write() {
            assert!(Instant::now() < end, "sent {sent}, seen {}", seen.len());
            if sent < LENGTH {
                sent += client.conn.writer().write(&whole[sent..LENGTH.min(sent + 20_000)]).unwrap();
                if sent == LENGTH {
                    client.conn.send_close_notify();
                }
            }
            let wrote = client.conn.write_tls(&mut socket).is_ok_and(|n| n > 0);
            let read = match client.conn.read_tls(&mut socket) {
                Ok(n) => n > 0,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    false
                }
            };
            client.conn.process_new_packets().unwrap();
            let before = seen.len();
            match client.conn.reader().read_to_end(&mut seen) {
                Ok(_) => is_open = false,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            if !wrote && !read && seen.len() == before {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        assert!(seen == *whole, "downwards");
        assert!(read.join().unwrap() == *whole, "upwards");
    });
}

/// What the system buffers for the sockets is all that can be sent to who does not take it.
#[test]
fn who_sends_has_to_wait_for_who_does_not_take_it() {
    const MOST: usize = 32 * 1024 * 1024;
    let (behind, alice) = plain();
    let piece = [b'x'; 64 * 1024];
    let push = |into: &mut dyn Write| {
        let mut sent = 0;
        while sent < MOST {
            match into.write(&piece) {
                Ok(n) => sent += n,
                Err(_) => return sent,
            }
        }
        sent
    };
    let (mut client, end) = behind.tunnel(Some(&alice), "/tunnel");
    client.sock.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    assert!(push(&mut client) < MOST);
    drop(end);
    let (client, mut end) = behind.tunnel(Some(&alice), "/tunnel");
    end.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    assert!(push(&mut end) < MOST);
    drop(client);
}

#[test]
fn each_side_may_end_before_the_other() {
    let (behind, alice) = plain();
    for version in VERSIONS {
        let mut client = connect(behind.running.addr, config(Some(&alice), version));
        client.write_all(upgrade("/tunnel").as_bytes()).unwrap();
        let mut end = behind.end();
        assert_eq!(read_reply(&mut client).unwrap().status, 101);
        client.write_all(b"last").unwrap();
        client.conn.send_close_notify();
        client.flush().unwrap();
        let mut seen = Vec::new();
        end.read_to_end(&mut seen).unwrap();
        assert_eq!(seen, b"last");
        if version == VERSIONS[1] {
            std::thread::sleep(Duration::from_millis(20));
            end.write_all(b"answer").unwrap();
            let mut seen = [0; 6];
            client.read_exact(&mut seen).unwrap();
            assert_eq!(&seen, b"answer");
        }
        drop(end);
        assert_eq!(client.read(&mut [0; 9]).unwrap(), 0);
    }
    let (mut client, mut end) = behind.tunnel(Some(&alice), "/tunnel");
    end.write_all(b"last").unwrap();
    end.shutdown(Shutdown::Write).unwrap();
    let mut seen = Vec::new();
    client.read_to_end(&mut seen).unwrap();
    assert_eq!(seen, b"last");
    client.write_all(b"answer").unwrap();
    client.conn.send_close_notify();
    client.flush().unwrap();
    seen.clear();
    end.read_to_end(&mut seen).unwrap();
    assert_eq!(seen, b"answer");
}

/// The other side may not notice, and never end.
#[test]
fn what_is_left_of_a_tunnel_does_not_last() {
    let ca = Ca::new("ca");
    let behind = behind(trust(&ca), |builder| builder.transfer_timeout(Duration::from_millis(300)));
    let (mut client, end) = behind.tunnel(Some(&ca.client("alice")), "/tunnel");
    end.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.read(&mut [0; 9]).unwrap(), 0);
    let start = Instant::now();
    assert_eq!((&end).read(&mut [0; 9]).unwrap(), 0);
    assert!(start.elapsed() < SECOND * 5, "{:?}", start.elapsed());
}

#[test]
fn whichever_side_hangs_up_the_other_learns_it() {
    let (behind, alice) = plain();
    let (client, mut end) = behind.tunnel(Some(&alice), "/tunnel");
    drop(client);
    assert_eq!(end.read(&mut [0; 9]).unwrap(), 0);
    let (mut client, end) = behind.tunnel(Some(&alice), "/tunnel");
    drop(end);
    assert_eq!(client.read(&mut [0; 9]).unwrap(), 0);
}

#[test]
fn a_tunnel_is_logged_when_it_ends_with_the_reason() {
    let ca = Ca::new("ca");
    let behind = behind(trust(&ca), |builder| builder.tunnel_timeout(Duration::from_millis(500)));
    let alice = ca.client("alice");
    let seen = Arc::clone(&behind.running.seen);
    let (client, end) = behind.tunnel(Some(&alice), "/tunnel/a?b");
    assert!(seen.lines.lock().unwrap().is_empty());
    drop((client, end));
    seen.wait_for_line("GET /tunnel/a?b 101");
    let _idle = behind.tunnel(Some(&alice), "/tunnel/b");
    seen.wait_for_line("GET /tunnel/b 101 nothing moved for too long");
    let _refused = behind.tunnel(Some(&alice), "/tunnel/c");
    behind.running.trust.replace(trust(&Ca::new("other"))).unwrap();
    seen.wait_for_line("GET /tunnel/c 101 the client is no longer let in");
    behind.running.trust.replace(trust(&ca)).unwrap();
    let _stopped = behind.tunnel(Some(&alice), "/tunnel/d");
    behind.running.stop();
    seen.wait_for_line("GET /tunnel/d 101 the server stops");
}
