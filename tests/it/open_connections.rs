//! Row R5 of the immunity matrix: a change of files, of trust or of the time takes effect on open connections.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use mtls_min::{Request, Response, Trust};
use rcgen::CertificateParams;
use rustls::HandshakeKind;

use crate::support::client::{GET, PATIENCE, TLS12, TLS13, Tls, VERSIONS, config, connect, eventually, exchange, get};
use crate::support::crl::Crl;
use crate::support::pki::{self, Ca, HOUR};
use crate::support::server::{start_with, trust};
use crate::support::watched::{files, site, trust_in, watch};

#[test]
fn a_verdict_changes_when_a_date_passes_on_an_open_connection() {
    let ca = Ca::new("ca");
    let start_of_test = SystemTime::now();
    let clock = std::sync::Arc::new(AtomicUsize::new(0));
    let told = std::sync::Arc::clone(&clock);
    let now = move || start_of_test + Duration::from_secs(told.load(Ordering::SeqCst) as u64);
    let short = |params: &mut CertificateParams| params.not_after = (start_of_test + Duration::from_secs(100)).into();
    let (bygone, pinned) = (Ca::with("bygone", short), pki::self_signed_with("pinned", short));
    let trusted = Trust::builder().pem(ca.pem() + &bygone.pem(), "CAs").pem(pinned.pem(), "pins").build().unwrap();
    let holders = [
        ca.client_with("alice", short),
        ca.intermediate_with("short", short).client("alice"),
        bygone.client("alice"),
        pinned,
    ];
    let running = start_with(
        trusted,
        |builder| builder.clock(now),
        |request: &mut Request<'_>| Response::new(request.peer().subject().to_owned().into()),
    );
    for (version, holder) in
        VERSIONS.into_iter().flat_map(|version| holders.iter().map(move |holder| (version, holder)))
    {
        clock.store(0, Ordering::SeqCst);
        let mut stream = connect(running.addr, config(Some(holder), version));
        for (seconds, status) in [(0, 200), (99, 200), (102, 401)] {
            clock.store(seconds, Ordering::SeqCst);
            assert_eq!(exchange(&mut stream, GET).unwrap().status, status, "after {seconds} seconds");
        }
    }
}

/// RFC 5280, section 4.1.2.5: a certificate is not valid before notBefore, also on a connection that is open already.
#[test]
fn a_clock_that_is_set_back_counts_on_an_open_connection() {
    let ca = Ca::new("ca");
    let start_of_test = SystemTime::now();
    let back = std::sync::Arc::new(AtomicUsize::new(0));
    let told = std::sync::Arc::clone(&back);
    let running = start_with(
        trust(&ca),
        |builder| builder.clock(move || start_of_test - HOUR / 4 * told.load(Ordering::SeqCst) as u32),
        |_: &mut Request<'_>| Response::default(),
    );
    let alice = ca.client_with("alice", |params| params.not_before = (start_of_test - HOUR / 2).into());
    let mut stream = connect(running.addr, config(Some(&alice), &TLS13));
    for (quarters, status) in [(0, 200), (1, 200), (3, 401)] {
        back.store(quarters, Ordering::SeqCst);
        assert_eq!(exchange(&mut stream, GET).unwrap().status, status, "{quarters} quarters of an hour back");
    }
}

/// A connection that is never closed is judged once; still its client must be reported every day.
#[test]
fn a_client_that_stays_connected_is_told_of_once_a_day_when_it_expires_soon() {
    const DAY: u64 = 24 * 60 * 60;
    let ca = Ca::new("ca");
    // The first day begins an hour after midnight, so that none of the times below is near another day.
    let today = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() / DAY;
    let start_of_test = SystemTime::UNIX_EPOCH + Duration::from_secs((today + 1) * DAY) + HOUR;
    let clock = std::sync::Arc::new(AtomicUsize::new(0));
    let told = std::sync::Arc::clone(&clock);
    let running = start_with(
        trust(&ca),
        |builder| builder.clock(move || start_of_test + HOUR * told.load(Ordering::SeqCst) as u32),
        |_: &mut Request<'_>| Response::default(),
    );
    let alice = ca.client_with("alice", |params| params.not_after = (start_of_test + 24 * HOUR * 15).into());
    let mut stream = connect(running.addr, config(Some(&alice), &TLS13));
    let expires = |event: &String| event.contains("ClientExpires");
    for (hours, times) in [(0, 0), (2, 0), (24, 0), (30, 1), (40, 1), (48, 2), (60, 2)] {
        clock.store(hours, Ordering::SeqCst);
        assert_eq!(exchange(&mut stream, GET).unwrap().status, 200);
        assert_eq!(running.seen.events().iter().filter(|event| expires(event)).count(), times, "after {hours} hours");
    }
}

/// A thousand clients with open connections, TLS 1.2 and 1.3 in turn, all asking in a loop while one list is replaced by a
/// rename: after that, each is refused within a second, and never let in again.
#[test]
fn r5_a_revocation_reaches_a_thousand_open_connections() {
    const CLIENTS: usize = 1000;
    const THREADS: usize = 4;
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let running = watch(&dir);
    let alice = ca.client("alice");
    let renamed = std::sync::OnceLock::new();
    let ready = std::sync::Barrier::new(THREADS + 1);
    let mut delays: Vec<Duration> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    let mut streams: Vec<Option<Tls>> = (0..CLIENTS / THREADS)
                        .map(|n| Some(connect(running.addr, config(Some(&alice), VERSIONS[n % 2]))))
                        .collect();
                    let mut last: Vec<Option<Instant>> = vec![None; streams.len()];
                    for stream in streams.iter_mut().flatten() {
                        assert_eq!(exchange(stream, GET).unwrap().status, 200);
                    }
                    ready.wait();
                    while streams.iter().any(Option::is_some) {
                        assert!(
                            renamed.get().is_none_or(|renamed: &Instant| renamed.elapsed() < PATIENCE),
                            "not refused"
                        );
                        for (stream, last) in streams.iter_mut().zip(&mut last) {
                            let Some(open) = stream else { continue };
                            match exchange(open, GET).map(|reply| reply.status) {
                                Ok(200) => *last = Some(Instant::now()),
                                // Refused, or closed while it idled.
                                Ok(401) | Err(_) => *stream = None,
                                Ok(other) => panic!("status {other}"),
                            }
                        }
                    }
                    // New connections are refused after that.
                    assert_eq!(get(running.addr, Some(&alice), &TLS12).unwrap().status, 401);
                    let renamed: &Instant = renamed.get().expect("refused before it was revoked");
                    last.into_iter()
                        .map(|last| last.map_or(Duration::ZERO, |last| last.saturating_duration_since(*renamed)))
                        .collect()
                })
            })
            .collect();
        ready.wait();
        let new = dir.write("crl.new", Crl::number(2).revoking(&alice).pem(&ca));
        renamed.set(Instant::now()).unwrap();
        fs::rename(new, dir.path().join("crl.pem")).unwrap();
        clients.into_iter().flat_map(|client| -> Vec<Duration> { client.join().unwrap() }).collect()
    });
    delays.sort_unstable();
    println!(
        "from the rename to the last 200: median {:?}, maximum {:?}",
        delays[delays.len() / 2],
        delays[delays.len() - 1]
    );
    assert_eq!(delays.len(), CLIENTS);
    running.seen.wait_for_event("Reloaded");
}

#[test]
fn idle_connections_of_clients_that_are_now_refused_are_closed_and_the_others_stay() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let running = watch(&dir);
    let (alice, bob) = (ca.client("alice"), ca.client("bob"));
    let open = |holder, version| {
        let mut stream = connect(running.addr, config(Some(holder), version));
        assert_eq!(exchange(&mut stream, GET).unwrap().status, 200);
        stream
    };
    let mut alices: Vec<_> = (0..40).map(|n| open(&alice, VERSIONS[n % 2])).collect();
    let mut bobs: Vec<_> = (0..40).map(|n| open(&bob, VERSIONS[n % 2])).collect();
    dir.replace("crl.pem", Crl::number(2).revoking(&alice).pem(&ca));
    for alice in &mut alices {
        // A close_notify, without any HTTP.
        assert_eq!(std::io::Read::read(alice, &mut [0; 16]).unwrap(), 0);
    }
    for bob in &mut bobs {
        assert_eq!(exchange(bob, GET).unwrap().status, 200);
    }
}

#[test]
fn r5_resumed_sessions_end_with_the_rest() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let loaded = files(dir.path(), trust_in(dir.path())).load().unwrap();
    let server = mtls_min::Server::watching(listener, loaded).resumption().build().unwrap();
    let shutdown = server.shutdown_handle();
    let thread = std::thread::spawn(move || server.serve(|_: &mut Request<'_>| Response::default()));
    let alice = ca.client("alice");
    for (number, version) in (2..).zip(VERSIONS) {
        let config = std::sync::Arc::new(config(Some(&alice), version));
        let visit = || {
            let mut stream = crate::support::client::connect_as(addr, std::sync::Arc::clone(&config), "localhost");
            let status = exchange(&mut stream, GET).unwrap().status;
            (stream, status)
        };
        dir.replace("crl.pem", Crl::number(number * 2).pem(&ca));
        eventually(|| visit().1 == 200);
        eventually(|| visit().0.conn.handshake_kind() == Some(HandshakeKind::Resumed));
        let (mut open, _) = visit();
        dir.replace("crl.pem", Crl::number(number * 2 + 1).revoking(&alice).pem(&ca));
        eventually(|| !matches!(exchange(&mut open, GET), Ok(reply) if reply.status == 200));
        for _ in 0..6 {
            assert_eq!(visit().1, 401, "{version:?}");
        }
    }
    shutdown.shutdown();
    thread.join().unwrap().unwrap();
}

/// A change while an answer is being sent takes effect as soon as the answer is sent.
#[test]
fn a_client_that_is_refused_while_it_is_answered_does_not_stay_idle() {
    let ca = Ca::new("ca");
    let handle = std::sync::Arc::new(std::sync::OnceLock::<mtls_min::TrustHandle>::new());
    let in_handler = std::sync::Arc::clone(&handle);
    let other = Ca::new("other").pem();
    let running = start_with(
        trust(&ca),
        |builder| builder,
        move |_: &mut Request<'_>| {
            in_handler.get().unwrap().replace(Trust::builder().pem(other.clone(), "other").build().unwrap()).unwrap();
            Response::new("the last".into())
        },
    );
    handle.set(running.trust.clone()).unwrap();
    let mut stream = connect(running.addr, config(Some(&ca.client("alice")), &TLS13));
    assert_eq!(exchange(&mut stream, GET).unwrap().body, "the last");
    assert_eq!(std::io::Read::read(&mut stream, &mut [0; 16]).unwrap(), 0, "it was left open");
}

/// A client that has finished its handshake, and whose request is on its way, gets 401 and is not just cut off.
#[test]
fn a_client_that_is_refused_before_its_first_request_is_answered_all_the_same() {
    let (ca, other) = (Ca::new("ca"), Ca::new("other"));
    let running = crate::support::server::start(trust(&ca));
    let mut waiting: Vec<_> =
        (0..20).map(|_| connect(running.addr, config(Some(&ca.client("alice")), &TLS13))).collect();
    for stream in &mut waiting {
        stream.conn.complete_io(&mut stream.sock).unwrap();
    }
    let mut idle = connect(running.addr, config(Some(&ca.client("alice")), &TLS13));
    assert_eq!(exchange(&mut idle, GET).unwrap().status, 200);
    running.trust.replace(trust(&other)).unwrap();
    // Once this one is closed, all have been looked at.
    assert_eq!(std::io::Read::read(&mut idle, &mut [0; 16]).unwrap(), 0);
    for stream in &mut waiting {
        assert_eq!(exchange(stream, GET).unwrap().status, 401);
    }
}

#[test]
fn idle_connections_that_are_closed_after_a_change_of_trust_are_reported_once() {
    let (ca, other) = (Ca::new("ca"), Ca::new("other"));
    let running = start_with(trust(&ca), |builder| builder, |_: &mut Request<'_>| Response::default());
    let open = |version| {
        let mut stream = connect(running.addr, config(Some(&ca.client("alice")), version));
        assert_eq!(exchange(&mut stream, GET).unwrap().status, 200);
        stream
    };
    let mut streams: Vec<_> = [&TLS12, &TLS13].into_iter().cycle().take(8).map(open).collect();
    // Nobody is refused by this change.
    running.trust.replace(trust(&ca)).unwrap();
    assert!(streams.iter_mut().all(|stream| exchange(stream, GET).unwrap().status == 200));
    running.trust.replace(trust(&other)).unwrap();
    let reports = || {
        let count = |event: String| event.strip_prefix("IdleClosed { connections: ")?.strip_suffix(" }")?.parse().ok();
        running.seen.events().into_iter().filter_map(count).collect::<Vec<usize>>()
    };
    // A worker that has sent its answer may be late to see that its connection is idle, so that there is a second report.
    eventually(|| reports().iter().sum::<usize>() == 8);
    assert!(reports().len() < 8, "{:?}", reports());
}
