//! What those who can connect to the admin port, and should not, can do to it and to the server: little.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use crate::support::admin::{connect, start};
use crate::support::client::{TLS13, eventually, get};
use crate::support::pki::Ca;
use crate::support::server::trust;

/// Of this process, which has other tests' too, so only a difference of hundreds says something.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, |tasks| tasks.count())
}

#[test]
fn silent_connections_neither_keep_others_out_nor_take_threads() {
    let ca = Ca::new("ca");
    let watched = start(trust(&ca), |builder| builder);
    eventually(|| watched.ask("/readyz").status == 200);
    let before = threads();
    let mut silent: Vec<_> = (0..400).map(|_| connect(watched.admin)).collect();
    let begun = Instant::now();
    assert_eq!(watched.ask("/healthz").status, 200);
    assert!(begun.elapsed() < Duration::from_secs(4), "it waited for the silent ones");
    assert!(threads() < before + 200, "{before} threads became {}", threads());
    assert_eq!(get(watched.running.addr, Some(&ca.client("alice")), &TLS13).unwrap().status, 200);
    // Those that had to go were closed.
    assert!(matches!(silent[0].read(&mut [0]), Ok(0) | Err(_)));
    // The youngest are closed in time too.
    assert!(matches!(silent[399].read(&mut [0]), Ok(0)));
    assert!(begun.elapsed() > Duration::from_secs(3));
}

#[test]
fn a_client_that_drips_or_does_not_read_is_cut_at_its_deadline() {
    let watched = start(trust(&Ca::new("ca")), |builder| builder);
    let begun = Instant::now();
    let mut dripping = connect(watched.admin);
    // Each byte would push back a deadline for each read.
    while dripping.write_all(b"\r").is_ok() || begun.elapsed() < Duration::from_secs(1) {
        std::thread::sleep(Duration::from_millis(50));
        assert!(begun.elapsed() < Duration::from_secs(15), "it may drip for ever");
        if let Ok(0) = peek(&dripping) {
            break;
        }
    }
    let mut endless = connect(watched.admin);
    endless.write_all(b"GET /").unwrap();
    let piece = [b'a'; 4096];
    let mut sent = 0;
    while endless.write_all(&piece).is_ok() && sent < 100_000_000 {
        sent += piece.len();
    }
    assert!(sent < 50_000_000, "{sent} bytes of a head");
}

fn peek(socket: &std::net::TcpStream) -> std::io::Result<usize> {
    socket.set_nonblocking(true)?;
    let peeked = socket.peek(&mut [0]);
    socket.set_nonblocking(false)?;
    peeked
}
