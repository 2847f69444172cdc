//! Row D13 of the immunity matrix: while the machine is busy, handshakes of strangers come after everything else. Whether it is, these
//! tests say. Where a client comes from, the header of a balancer says.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::handler::Response;
use crate::handler::request::Request;
use crate::reactor::throttle::{MOST_WAITING, Throttle};
use crate::server::builder::Builder;
use crate::support::client::{GET, PATIENCE, TLS13, Tls, VERSIONS, config, eventually, exchange};
use crate::support::pki::{Ca, Holder};
use crate::support::server::{Running, start_with, trust};

/// How many handshakes a network may begin at once.
const TOKENS: usize = 8;

struct Site {
    running: Running,
    alice: Holder,
    is_behind_balancer: bool,
}

fn site_with(change: impl FnOnce(Builder) -> Builder) -> Site {
    let balancers = vec!["127.0.0.0/8".parse().unwrap()];
    let site = site_without_balancer(|builder| change(builder.proxy_protocol(balancers)));
    Site { is_behind_balancer: true, ..site }
}

fn site_without_balancer(change: impl FnOnce(Builder) -> Builder) -> Site {
    let ca = Ca::new("ca");
    let handler = |request: &mut Request<'_>| Response::new(request.peer().subject().to_owned().into());
    let running = start_with(trust(&ca), change, handler);
    Site { running, alice: ca.client("alice"), is_behind_balancer: false }
}

/// Where nobody waits until a deadline.
fn site() -> Site {
    site_with(|builder| builder.handshake_timeout(PATIENCE * 3))
}

impl Site {
    fn throttle(&self) -> Arc<Throttle> {
        let mut pool = None;
        eventually(|| {
            pool = self.running.trust.0.pool.get().and_then(Weak::upgrade);
            pool.is_some()
        });
        Arc::clone(&pool.unwrap().context.throttle)
    }

    fn is_busy(&self, is_busy: bool) {
        self.throttle().told_busy.store(is_busy, Ordering::SeqCst);
    }

    /// A client from 192.0.2.`network` that has sent nothing but the header of the balancer.
    fn connect(&self, network: u8, config: ClientConfig) -> Tls {
        let mut socket = TcpStream::connect(self.running.addr).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        if self.is_behind_balancer {
            socket.write_all(format!("PROXY TCP4 192.0.2.{network} 192.0.2.255 4096 443\r\n").as_bytes()).unwrap();
        }
        StreamOwned::new(ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap(), socket)
    }

    /// A client that has sent its hello.
    fn begin(&self, network: u8, config: ClientConfig) -> Tls {
        let mut client = self.connect(network, config);
        client.conn.write_tls(&mut client.sock).unwrap();
        client
    }

    fn stranger(&self, network: u8) -> Tls {
        self.begin(network, config(None, &TLS13))
    }

    /// As many as use up the tokens of their network. Each has the server's flight.
    fn strangers_with_tokens(&self, network: u8) -> Vec<Tls> {
        let strangers: Vec<_> = (0..TOKENS).map(|_| self.stranger(network)).collect();
        strangers.iter().for_each(has_answer);
        strangers
    }

    fn strangers_held(&self, count: usize, network: u8) -> Vec<Tls> {
        self.held(count, || self.stranger(network))
    }

    /// About as many that wait: clients without a token.
    fn held(&self, count: usize, begin: impl Fn() -> Tls) -> Vec<Tls> {
        let throttle = self.throttle();
        let before = throttle.waiting_without_token();
        let mut clients: Vec<_> = (0..count).map(|_| begin()).collect();
        // Meanwhile one of them may have got a token.
        eventually(|| {
            let held = clients.iter().filter(|client| has_no_answer(client)).count();
            throttle.waiting_without_token() == before + held
        });
        clients.retain(has_no_answer);
        assert!(!clients.is_empty());
        clients
    }

    /// What a client with alice's certificate is answered.
    fn alice(&self, network: u8) -> String {
        let mut alice = self.connect(network, config(Some(&self.alice), &TLS13));
        exchange(&mut alice, GET).unwrap().body
    }
}

/// Waits until something has come.
#[track_caller]
fn has_answer(stranger: &Tls) {
    assert_eq!(stranger.sock.peek(&mut [0]).unwrap(), 1);
}

fn has_no_answer(stranger: &Tls) -> bool {
    stranger.sock.set_nonblocking(true).unwrap();
    let nothing = stranger.sock.peek(&mut [0]).is_err();
    stranger.sock.set_nonblocking(false).unwrap();
    nothing
}

#[track_caller]
fn is_refused(stranger: &mut Tls) {
    assert_eq!(exchange(stranger, GET).unwrap().status, 401);
}

#[test]
fn d13_while_the_machine_is_busy_strangers_without_a_token_wait_until_it_is_not() {
    let site = site();
    site.is_busy(true);
    let mut first = site.strangers_with_tokens(1);
    let mut held = site.strangers_held(20, 1);
    // Another network has tokens of its own, for both parts of a handshake.
    assert_eq!(site.alice(2), "CN=alice");
    is_refused(&mut first[0]);
    assert!(held.iter().all(has_no_answer));
    site.is_busy(false);
    first[1..].iter_mut().chain(&mut held).for_each(is_refused);
    assert_eq!(site.throttle().waiting(), 0);
}

#[test]
fn d13_the_machine_is_busy_while_there_are_events_that_no_worker_has_taken() {
    let site = site();
    let throttle = site.throttle();
    assert_eq!(site.alice(1), "CN=alice");
    eventually(|| !throttle.is_busy());
    let pool = site.running.trust.0.pool.get().and_then(Weak::upgrade).unwrap();
    site.running.shutdown.shutdown();
    // Nobody takes the one that ends the workers.
    eventually(|| throttle.is_busy());
    drop(pool);
}

#[test]
fn d13_both_versions_of_tls_wait_and_go_on() {
    for version in VERSIONS {
        let site = site();
        site.is_busy(true);
        let _first = site.strangers_with_tokens(1);
        let held = site.held(20, || site.begin(1, config(Some(&site.alice), version)));
        site.is_busy(false);
        for mut alice in held {
            assert_eq!(exchange(&mut alice, GET).unwrap().body, "CN=alice");
        }
    }
}

#[test]
fn d13_from_where_a_client_was_authorised_lately_nobody_waits() {
    let site = site();
    assert_eq!(site.alice(1), "CN=alice");
    site.is_busy(true);
    for _ in 0..5 * TOKENS {
        assert_eq!(site.alice(1), "CN=alice");
    }
    // What counts is the network, as nobody can tell who it is before the handshake is over.
    let strangers: Vec<_> = (0..5 * TOKENS).map(|_| site.stranger(1)).collect();
    strangers.iter().for_each(has_answer);
    assert_eq!(site.throttle().waiting(), 0);
}

#[test]
fn d13_lately_is_when_the_last_request_came() {
    let site = site();
    let mut alice = site.connect(1, config(Some(&site.alice), &TLS13));
    let now = Instant::now();
    for generation in 0..5 {
        assert_eq!(exchange(&mut alice, GET).unwrap().body, "CN=alice");
        site.throttle().look(now + Duration::from_secs(generation * 600));
    }
    site.is_busy(true);
    let strangers: Vec<_> = (0..5 * TOKENS).map(|_| site.stranger(1)).collect();
    strangers.iter().for_each(has_answer);
    site.is_busy(false);
    // Two generations without a request.
    site.throttle().look(now + Duration::from_secs(5 * 600));
    site.throttle().look(now + Duration::from_secs(6 * 600));
    site.is_busy(true);
    site.strangers_held(20, 1);
}

#[test]
fn d13_who_is_refused_does_not_make_its_network_known() {
    let site = site();
    for _ in 0..5 * TOKENS {
        is_refused(&mut site.connect(1, config(None, &TLS13)));
    }
    site.is_busy(true);
    let strangers: Vec<_> = (0..20).map(|_| site.stranger(1)).collect();
    eventually(|| site.throttle().waiting_without_token() >= strangers.len() / 2);
}

#[test]
fn d13_when_a_client_is_authorised_those_that_wait_beside_it_go_on() {
    let site = site();
    site.is_busy(true);
    let mut alice = site.begin(1, config(Some(&site.alice), &TLS13));
    has_answer(&alice);
    let mut first: Vec<_> = (1..TOKENS).map(|_| site.stranger(1)).collect();
    first.iter().for_each(has_answer);
    let (mut held, others) = (site.strangers_held(20, 1), site.strangers_with_tokens(2));
    let others_held = site.strangers_held(5, 2);
    assert_eq!(exchange(&mut alice, GET).unwrap().body, "CN=alice");
    held.iter_mut().chain(&mut first).for_each(is_refused);
    assert!(others_held.iter().all(has_no_answer));
    drop(others);
}

#[test]
fn d13_a_hello_that_was_begun_while_the_machine_was_idle_needs_a_token_for_its_rest() {
    let site = site();
    let begun: Vec<_> = (0..20)
        .map(|_| {
            let mut stranger = site.connect(1, config(None, &TLS13));
            let mut hello = Vec::new();
            stranger.conn.write_tls(&mut hello).unwrap();
            stranger.sock.write_all(&hello[..1]).unwrap();
            (stranger, hello)
        })
        .collect();
    // The first bytes were read before this one came.
    has_answer(&site.stranger(2));
    site.is_busy(true);
    for (stranger, hello) in &begun {
        (&stranger.sock).write_all(&hello[1..]).unwrap();
    }
    eventually(|| site.throttle().waiting_without_token() >= begun.len() / 2);
}

#[test]
fn d13_who_waits_is_closed_at_the_deadline_of_the_handshake() {
    let site = site_with(|builder| builder.handshake_timeout(Duration::from_secs(1)));
    site.is_busy(true);
    let _first = site.strangers_with_tokens(1);
    let begun = Instant::now();
    let held = site.strangers_held(20, 1);
    for mut stranger in held {
        // The hello was not read, so the connection may end with a reset.
        assert!(matches!(stranger.sock.read(&mut [0]), Ok(0) | Err(_)));
    }
    assert!(begun.elapsed() < PATIENCE);
    assert_eq!(site.throttle().waiting(), 0);
    site.running.seen.wait_for_event("TimedOut { remote: 192.0.2.1:4096, phase: Handshake }");
}

#[test]
fn d13_who_leaves_while_it_waits_gives_up_its_place_and_its_connection() {
    let site = site();
    site.is_busy(true);
    let _first = site.strangers_with_tokens(1);
    let held = site.strangers_held(20, 1);
    for stranger in &held {
        stranger.sock.shutdown(Shutdown::Write).unwrap();
    }
    eventually(|| site.throttle().waiting() == 0);
}

#[test]
fn d13_hundreds_that_wait_hold_no_thread() {
    let site = site_with(|builder| builder.workers(1).handshake_timeout(PATIENCE * 3));
    assert_eq!(site.alice(2), "CN=alice");
    site.is_busy(true);
    let _first = site.strangers_with_tokens(1);
    let held = site.strangers_held(100, 1);
    for _ in 0..20 {
        assert_eq!(site.alice(2), "CN=alice");
    }
    assert!(held.iter().all(has_no_answer));
}

#[test]
fn d13_those_that_wait_make_room_for_others_when_all_connections_are_taken() {
    let site = site_with(|builder| builder.max_connections(32));
    assert_eq!(site.alice(2), "CN=alice");
    site.is_busy(true);
    let _first = site.strangers_with_tokens(1);
    let held: Vec<_> = (0..40).map(|_| site.stranger(1)).collect();
    eventually(|| site.throttle().waiting() > 10);
    assert_eq!(site.alice(2), "CN=alice");
    drop(held);
}

#[test]
fn d13_in_a_flood_those_beyond_the_most_that_wait_are_closed_at_once() {
    for site in [site(), site_without_balancer(|builder| builder.handshake_timeout(PATIENCE * 3))] {
        site.is_busy(true);
        let waiting = site.strangers_held(MOST_WAITING + 40, 1);
        site.running.seen.wait_for_event("FloodBegan");
        // Those with a token have room of their own.
        let mut further: Vec<_> = (0..2 * TOKENS).map(|_| site.connect(1, config(None, &TLS13))).collect();
        for stranger in &mut further {
            let _ = stranger.conn.write_tls(&mut stranger.sock);
        }
        assert!(further.iter_mut().any(|stranger| matches!(stranger.sock.read(&mut [0]), Ok(0) | Err(_))));
        site.running.seen.wait_for_event("TurnedAway { remote: ");
        assert!(waiting.iter().all(has_no_answer));
    }
}

#[test]
fn d13_a_flood_is_reported_and_so_is_its_end() {
    let site = site();
    site.is_busy(true);
    let first = site.strangers_with_tokens(1);
    let held = site.strangers_held(20, 1);
    site.running.seen.wait_for_event("FloodBegan");
    drop((held, first));
    site.is_busy(false);
    site.running.seen.wait_for_event("FloodEnded { duration: ");
    let events = site.running.seen.events();
    assert_eq!(events.iter().filter(|event| event.starts_with("Flood")).count(), 2, "{events:?}");
}
