//! Rows D3, D5, D7, D8 and D10 of the immunity matrix: nobody who is not authorised can hold the server up, and good
//! clients do not keep each other out.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use mtls_min::{Body, Request, Response};
use rcgen::CustomExtension;
use rustls::StreamOwned;

use crate::support::client::{
    GET, PATIENCE, TLS13, Tls, VERSIONS, config, connect, eventually, exchange, get, read_reply, read_to_end,
};
use crate::support::pki::{Ca, Holder};
use crate::support::server::{Running, start, start_with, trust};
use crate::support::wire::{SLOW_CLIENTS, client_hello, sent};

#[test]
fn d3_costs_before_authorisation_are_bounded() {
    let ca = Ca::new("ca");
    let running = start(trust(&ca));
    // A hundred certificates: refused before any signature is checked.
    let mut hundred = Ca::new("other").client("mallory");
    hundred.chain.extend((0..99).map(|number| ca.client(&number.to_string()).chain[0].clone()));
    // More bytes than a handshake may have: cut off.
    let weight = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![0; 70_000]);
    let heavy = ca.client_with("mallory", |params| params.custom_extensions = vec![weight]);
    let start = Instant::now();
    for version in VERSIONS {
        assert_eq!(get(running.addr, Some(&hundred), version).unwrap().status, 401);
        assert!(get(running.addr, Some(&heavy), version).is_err());
    }
    assert!(start.elapsed() < PATIENCE);
    assert_eq!(running.seen.codes(2), ["chain_too_long", "chain_too_long"]);
}

#[test]
fn d3_authorised_clients_keep_a_share_of_the_connections() {
    let ca = Ca::new("ca");
    let alice = ca.client("alice");
    let running =
        start_with(trust(&ca), |builder| builder.max_connections(8), |_: &mut Request<'_>| Response::new("ok".into()));
    let mut known: Vec<Tls> = Vec::new();
    // Strangers may have six of the eight; each further one pushes out the one that has waited longest.
    let strangers: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(running.addr).unwrap()).collect();
    eventually(|| running.seen.events().iter().filter(|event| event.contains("Shed")).count() == 14);
    for _ in 0..8 {
        let mut stream = connect(running.addr, config(Some(&alice), &TLS13));
        assert_eq!(exchange(&mut stream, GET).unwrap().body, "ok");
        known.push(stream);
    }
    // Now all eight are authorised. Strangers push out two of them, which is their guaranteed share, and no more.
    let hello = client_hello();
    let stalled: Vec<TcpStream> = (0..20).map(|_| sent(&running, &hello)).collect();
    eventually(|| running.seen.events().iter().filter(|event| event.contains("Shed")).count() >= 14 + 8);
    let served = known.iter_mut().filter_map(|stream| exchange(stream, GET).ok()).count();
    assert_eq!(served, 6);
    drop((strangers, stalled));
}

/// A good client that waits in the middle of its handshake.
fn half_way(running: &Running, holder: &Holder) -> Tls {
    let mut stream = connect(running.addr, config(Some(holder), &TLS13));
    stream.conn.write_tls(&mut stream.sock).unwrap();
    while !stream.conn.wants_write() {
        stream.conn.read_tls(&mut stream.sock).unwrap();
        stream.conn.process_new_packets().unwrap();
    }
    stream
}

fn with_connections(ca: &Ca, connections: usize) -> Running {
    let change = |builder: mtls_min::Builder| builder.max_connections(connections);
    start_with(trust(ca), change, |_: &mut Request<'_>| Response::new("ok".into()))
}

#[test]
fn d7_silent_connections_do_not_push_out_who_is_shaking_hands() {
    let ca = Ca::new("ca");
    let alice = ca.client("alice");
    let running = with_connections(&ca, 8);
    let mut patient = half_way(&running, &alice);
    let begun = Instant::now();
    let mut silent = Vec::new();
    // Past the first second, in which a handshake is never cut.
    while begun.elapsed() < Duration::from_millis(1500) || silent.len() < 200 {
        silent.push(TcpStream::connect(running.addr).unwrap());
        std::thread::sleep(Duration::from_millis(2));
    }
    eventually(|| running.seen.events().iter().any(|event| event.contains("Shed")));
    assert_eq!(exchange(&mut patient, GET).unwrap().body, "ok");
    assert_eq!(get(running.addr, Some(&alice), &TLS13).unwrap().body, "ok", "nor does the flood keep anybody out");
}

/// Nobody is cut in the first second of a handshake. Still nobody is locked out: in the second after that, all of them are cut.
#[test]
fn d7_clients_that_stall_after_their_hello_lock_nobody_out() {
    let ca = Ca::new("ca");
    let running = with_connections(&ca, 100);
    let hello = client_hello();
    let stalled: Vec<TcpStream> = (0..SLOW_CLIENTS).map(|_| sent(&running, &hello)).collect();
    let alice = ca.client("alice");
    // Longer than a test waits, on a busy machine.
    let mut late = connect(running.addr, config(Some(&alice), &TLS13));
    late.sock.set_read_timeout(Some(PATIENCE * 3)).unwrap();
    assert_eq!(exchange(&mut late, GET).unwrap().body, "ok");
    drop(stalled);
}

/// The backlog is longer than a small table: filling it with handshakes must not keep others waiting until all of
/// these have had their second.
#[test]
fn d7_stalled_handshakes_in_the_backlog_keep_nobody_out_of_a_small_table() {
    let ca = Ca::new("ca");
    let running = with_connections(&ca, 8);
    let stalled: Vec<TcpStream> = (0..SLOW_CLIENTS).map(|_| sent(&running, b"\x16")).collect();
    let alice = ca.client("alice");
    let begun = Instant::now();
    let mut late = connect(running.addr, config(Some(&alice), &TLS13));
    late.sock.set_read_timeout(Some(PATIENCE * 3)).unwrap();
    assert_eq!(exchange(&mut late, GET).unwrap().body, "ok");
    // At six a second it would be 83 seconds.
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    drop(stalled);
}

/// Each byte is progress, and yet a handshake does not get younger by it.
#[test]
fn d7_clients_that_drip_their_hello_lock_nobody_out() {
    let ca = Ca::new("ca");
    let alice = ca.client("alice");
    let for_long = |builder: mtls_min::Builder| builder.max_connections(8).handshake_timeout(PATIENCE * 3);
    let running = start_with(trust(&ca), for_long, |_: &mut Request<'_>| Response::new("ok".into()));
    let hello = client_hello();
    let mut dripping: Vec<TcpStream> = (0..6).map(|_| sent(&running, &hello[..20])).collect();
    std::thread::scope(|scope| {
        let good = scope.spawn(|| get(running.addr, Some(&alice), &TLS13).map(|reply| reply.status));
        // The length that it announces is never reached.
        for byte in hello[20..hello.len() - 1].chunks(1) {
            if good.is_finished() {
                break;
            }
            dripping.iter_mut().for_each(|socket| drop(socket.write(byte)));
            std::thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(good.join().unwrap().unwrap(), 200);
    });
}

/// Far more clients at once than connections are allowed, each with a pause between its steps.
#[test]
fn d8_of_a_burst_of_good_clients_none_is_lost() {
    const CLIENTS: usize = 100;
    let ca = Ca::new("ca");
    let alice = ca.client("alice");
    let running = with_connections(&ca, 8);
    for away in [0, 50].map(Duration::from_millis) {
        let visit = || {
            let mut stream = connect(running.addr, config(Some(&alice), &TLS13));
            std::thread::sleep(away);
            while stream.conn.is_handshaking() {
                stream.conn.complete_io(&mut stream.sock)?;
            }
            std::thread::sleep(away);
            exchange(&mut stream, GET).map(|reply| reply.status)
        };
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(visit)).collect();
            for client in clients {
                assert_eq!(client.join().unwrap().unwrap(), 200, "{away:?} away");
            }
        });
    }
    assert_eq!(running.seen.events(), [""; 0], "nobody is cut");
}

#[test]
fn d8_a_thousand_connections_wait_until_they_are_accepted() {
    // Older systems allow fewer.
    let allowed =
        std::fs::read_to_string("/proc/sys/net/core/somaxconn").ok().and_then(|text| text.trim().parse().ok());
    let holder = Ca::new("server CA").server();
    let certificate =
        mtls_min::ServerCertificate::from_pem(holder.pem().as_bytes(), holder.key_pem().as_bytes()).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = mtls_min::Server::builder(listener, certificate, trust(&Ca::new("ca"))).build().unwrap();
    let connect = |_| TcpStream::connect_timeout(&server.local_addrs()[0], PATIENCE);
    let begun = Instant::now();
    let waiting: Vec<_> = (0..allowed.unwrap_or(128_usize).min(1000)).map(connect).collect::<Result<_, _>>().unwrap();
    // Where there is no room, the first packet is lost and sent again: after 1 s, 3 s, 7 s.
    assert!(begun.elapsed() < PATIENCE, "{} connections took {:?}", waiting.len(), begun.elapsed());
}

#[test]
fn d10_where_all_are_taken_the_longest_idle_authorised_client_goes_politely() {
    let ca = Ca::new("ca");
    let alice = ca.client("alice");
    let running = with_connections(&ca, 8);
    let idle = || {
        let mut stream = connect(running.addr, config(Some(&alice), &TLS13));
        assert_eq!(exchange(&mut stream, GET).unwrap().status, 200);
        stream
    };
    let mut known: Vec<Tls> = (0..8).map(|_| idle()).collect();
    // The first one asks again: now it is the second that has been idle longest.
    assert_eq!(exchange(&mut known[0], GET).unwrap().status, 200);
    let mut newcomer = idle();
    // With close_notify: an end without it would be an error here.
    assert_eq!(known.remove(1).read(&mut [0; 1]).unwrap(), 0);
    for stream in known.iter_mut().chain([&mut newcomer]) {
        assert_eq!(exchange(stream, GET).unwrap().status, 200);
    }
    // A whole table more, and each client gets in.
    let further: Vec<Tls> = (0..10).map(|_| idle()).collect();
    drop(further);
}

#[test]
fn d10_who_is_being_answered_is_not_given_up() {
    let ca = Ca::new("ca");
    let alice = ca.client("alice");
    let endless = |request: &mut Request<'_>| match request.uri().path() {
        "/endless" => Response::new(Body::from_reader(std::io::repeat(b'x'), None)),
        _ => Response::new("ok".into()),
    };
    let running = start_with(trust(&ca), |builder| builder.max_connections(4), endless);
    let mut busy: Vec<Tls> = (0..4).map(|_| connect(running.addr, config(Some(&alice), &TLS13))).collect();
    for stream in &mut busy {
        stream.write_all(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        stream.read_exact(&mut [0; 1000]).unwrap();
    }
    let mut waiting = connect(running.addr, config(Some(&alice), &TLS13));
    waiting.sock.set_read_timeout(Some(Duration::from_millis(2500))).unwrap();
    assert!(exchange(&mut waiting, GET).is_err(), "there is no room yet");
    for stream in &mut busy {
        stream.read_exact(&mut [0; 100_000]).unwrap();
    }
    // There is, once one of them leaves.
    drop(busy.pop());
    assert_eq!(get(running.addr, Some(&alice), &TLS13).unwrap().status, 200);
}

/// A client that leaves Nagle's algorithm on holds its request back until its last flight is acknowledged, and the second half of
/// a request, or of a record, until the first is. If the system delays that, it is by 40 ms each.
#[cfg(target_os = "linux")]
#[test]
fn clients_that_leave_nagles_algorithm_on_do_not_wait_for_acknowledgements() {
    let ca = Ca::new("ca");
    let alice = ca.client("alice");
    let running = start(trust(&ca));
    for version in VERSIONS {
        let took = || {
            let mut stream = connect(running.addr, config(Some(&alice), version));
            stream.sock.set_nodelay(false).unwrap();
            while stream.conn.is_handshaking() {
                stream.conn.complete_io(&mut stream.sock).unwrap();
            }
            let asked = Instant::now();
            for part in ["GET / HTTP/1.1\r\n", "Host: a\r\n", "\r\n"] {
                stream.write_all(part.as_bytes()).unwrap();
                stream.flush().unwrap();
            }
            assert_eq!(read_reply(&mut stream).unwrap().status, 200);
            stream.conn.writer().write_all(GET.as_bytes()).unwrap();
            let mut record = Vec::new();
            stream.conn.write_tls(&mut record).unwrap();
            for half in record.chunks(record.len().div_ceil(2)) {
                stream.sock.write_all(half).unwrap();
            }
            assert_eq!(read_reply(&mut stream).unwrap().status, 200);
            asked.elapsed()
        };
        let quickest = (0..10).map(|_| took()).min().unwrap();
        assert!(quickest < Duration::from_millis(35), "{quickest:?}");
    }
}

/// Bytes that nobody reads make the system reset a connection that is closed.
#[test]
fn a_farewell_that_comes_before_the_last_answer_does_not_destroy_it() {
    let ca = Ca::new("ca");
    static ASKED: Barrier = Barrier::new(2);
    static FAREWELL: Barrier = Barrier::new(2);
    let handler = |_: &mut Request<'_>| {
        ASKED.wait();
        FAREWELL.wait();
        Response::new("bye".into())
    };
    let running = start_with(trust(&ca), |builder| builder, handler);
    for closes in [false, true] {
        let mut stream = connect(running.addr, config(Some(&ca.client("alice")), &TLS13));
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        ASKED.wait();
        stream.conn.send_close_notify();
        stream.flush().unwrap();
        if closes {
            stream.sock.shutdown(Shutdown::Write).unwrap();
        }
        FAREWELL.wait();
        assert_eq!(read_reply(&mut stream).unwrap().body, "bye");
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "a close_notify");
        assert_eq!(stream.sock.read(&mut [0]).unwrap(), 0, "no reset");
    }
}

/// As much as a thousand frames may need.
#[test]
fn handlers_have_as_much_stack_as_was_asked_for() {
    fn deep(left: usize) -> usize {
        let frame = std::hint::black_box([left; 128]);
        if left == 0 { 0 } else { deep(left - 1) + frame[left % 128] / left }
    }
    let ca = Ca::new("ca");
    let running = start_with(
        trust(&ca),
        |builder| builder.stack_size(8 * 1024 * 1024),
        |_: &mut Request<'_>| Response::new(deep(1000).to_string().into()),
    );
    assert_eq!(get(running.addr, Some(&ca.client("alice")), &TLS13).unwrap().body, "1000");
    let holder = ca.server();
    let certificate =
        mtls_min::ServerCertificate::from_pem(holder.pem().as_bytes(), holder.key_pem().as_bytes()).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let builder = mtls_min::Server::builder(listener, certificate, trust(&ca)).stack_size(128 * 1024 - 1);
    assert!(builder.build().unwrap_err().to_string().contains("at least 131072"));
}

#[test]
fn d5_what_is_not_tls_does_no_harm() {
    let ca = Ca::new("ca");
    let alice = ca.client("alice");
    let running = start(trust(&ca));
    let hello = client_hello();
    let mut old = hello.clone();
    // A ClientHello of TLS 1.0, with nothing newer offered.
    old[1..3].copy_from_slice(&[3, 1]);
    old[9..11].copy_from_slice(&[3, 1]);
    let mut seed = 1_u64;
    let mut noise = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as u8
    };
    let mut inputs = vec![old, vec![0x16, 3, 1, 0xff, 0xff], vec![0x15, 3, 3, 0, 2, 2, 40], vec![0x80, 0x2e, 1, 0, 2]];
    inputs.extend((0..50).map(|_| (0..200).map(|_| noise()).collect()));
    inputs.extend((1..hello.len()).step_by(17).map(|end| hello[..end].to_vec()));
    inputs.extend((0..hello.len()).step_by(11).map(|at| {
        let mut flipped = hello.clone();
        flipped[at] ^= 0x55;
        flipped
    }));
    for input in inputs {
        let mut socket = TcpStream::connect(running.addr).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let _ = socket.write_all(&input);
        let _ = socket.shutdown(Shutdown::Write);
        read_to_end(&mut socket).unwrap();
    }
    assert_eq!(get(running.addr, Some(&alice), &TLS13).unwrap().status, 200);
    assert_eq!(running.calls(), 1);
}

#[test]
fn idle_connections_end_at_the_idle_timeout_with_close_notify() {
    let ca = Ca::new("ca");
    let running = start_with(
        trust(&ca),
        |builder| builder.idle_timeout(Duration::from_millis(200)),
        |_: &mut Request<'_>| Response::new("ok".into()),
    );
    let mut stream: StreamOwned<_, _> = connect(running.addr, config(Some(&ca.client("alice")), &TLS13));
    assert_eq!(exchange(&mut stream, GET).unwrap().status, 200);
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
    assert_eq!(running.seen.events(), [""; 0], "that is no surprise");
}
