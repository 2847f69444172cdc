//! One client cannot take all workers: its further requests wait for their turn, and hold none.

use std::io::Read;
use std::net::Shutdown;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mtls_min::{Builder, Request, Response, Stopped};

use crate::support::client::{GET, TLS12, TLS13, Tls, config, connect, exchange, read_reply, read_to_end, send};
use crate::support::gate::{AT_THE_GATE, Gate, with_a_gate};
use crate::support::pki::{Ca, Holder};
use crate::support::server::{Running, start_with, trust};

/// A server in which one client may hold two of four workers. At `/gate` they wait.
struct Site {
    running: Running,
    gate: Gate,
    /// The other paths, with the lengths of the bodies, in the order in which the handler was called.
    handled: Arc<Mutex<Vec<(String, u64)>>>,
}

const SHARE: usize = 2;

fn site(ca: &Ca, change: impl FnOnce(Builder) -> Builder) -> Site {
    let (gate, at_the_gate) = with_a_gate();
    let handled: Arc<Mutex<Vec<_>>> = Arc::default();
    let noted = Arc::clone(&handled);
    let handler = move |request: &mut Request<'_>| {
        if request.uri().path() != "/gate" {
            let path = request.uri().path().to_owned();
            let body = std::io::copy(request.body(), &mut std::io::sink()).unwrap();
            noted.lock().unwrap().push((path, body));
        }
        at_the_gate(request)
    };
    let running = start_with(trust(ca), |builder| change(builder.workers(2 * SHARE)), handler);
    Site { running, gate, handled }
}

impl Site {
    fn client(&self, holder: Option<&Holder>) -> Tls {
        let mut client = connect(self.running.addr, config(holder, &TLS13));
        client.conn.complete_io(&mut client.sock).unwrap();
        client
    }

    /// As many as one client may have, in their handlers.
    fn blocked(&self, holders: [Option<&Holder>; SHARE]) -> [Tls; SHARE] {
        holders.map(|holder| {
            let mut client = self.client(holder);
            send(&mut client, AT_THE_GATE);
            self.gate.wait_for_one();
            client
        })
    }

    /// A request that is in the queue, most likely: others have been answered since.
    fn waiting(&self, holder: Option<&Holder>, request: &str, other: &mut Tls) -> Tls {
        let mut client = self.client(holder);
        send(&mut client, request);
        (0..20).for_each(|_| assert_eq!(exchange(other, GET).unwrap().status, 200));
        client
    }

    fn release(&self, blocked: &mut [Tls]) {
        for client in blocked {
            self.gate.let_one_go();
            assert_eq!(read_reply(client).unwrap().status, 200);
        }
    }

    fn handled(&self) -> Vec<(String, u64)> {
        self.handled.lock().unwrap().iter().filter(|(path, _)| path != "/").cloned().collect()
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

#[test]
fn one_client_leaves_room_for_others_and_is_answered_in_the_order_of_arrival() {
    let ca = Ca::new("ca");
    let site = site(&ca, |builder| builder);
    let (alice, bob) = (ca.client("alice"), ca.client("bob"));
    let mut bob = site.client(Some(&bob));
    let [mut first, mut second] = site.blocked([Some(&alice), Some(&alice)]);
    // More than is read at once, so it waits in the socket.
    let body = "x".repeat(100_000);
    let post = format!("POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n{body}");
    let mut waiting = ["/1", "/2", "/3"].map(|path| {
        let request = if path == "/2" { post.clone() } else { get(path) };
        site.waiting(Some(&alice), &request, &mut bob)
    });
    assert_eq!(site.handled(), []);
    site.gate.let_one_go();
    for client in &mut waiting {
        assert_eq!(read_reply(client).unwrap().status, 200);
    }
    assert_eq!(site.handled(), [("/1".into(), 0), ("/2".into(), 100_000), ("/3".into(), 0)]);
    site.gate.let_one_go();
    for client in [&mut first, &mut second] {
        assert_eq!(read_reply(client).unwrap().status, 200);
    }
    // The connections go on.
    for client in [&mut first, &mut second].into_iter().chain(&mut waiting) {
        assert_eq!(exchange(client, GET).unwrap().status, 200);
    }
}

#[test]
fn who_hangs_up_while_it_waits_is_not_served() {
    let ca = Ca::new("ca");
    let site = site(&ca, |builder| builder);
    let (alice, mut bob) = (ca.client("alice"), site.client(Some(&ca.client("bob"))));
    let mut blocked = site.blocked([Some(&alice), Some(&alice)]);
    let [mut leaves, mut stays] = ["/leaves", "/stays"].map(|path| site.waiting(Some(&alice), &get(path), &mut bob));
    leaves.sock.shutdown(Shutdown::Write).unwrap();
    assert_eq!(leaves.sock.read(&mut [0; 100]).unwrap_or(0), 0, "it is closed without an answer");
    site.gate.let_one_go();
    assert_eq!(read_reply(&mut stays).unwrap().status, 200);
    assert_eq!(site.handled(), [("/stays".into(), 0)]);
    site.gate.let_one_go();
    blocked.iter_mut().for_each(|client| assert_eq!(read_reply(client).unwrap().status, 200));
}

#[test]
fn who_has_waited_too_long_for_its_turn_is_told_to_come_again() {
    let ca = Ca::new("ca");
    let time = Duration::from_millis(400);
    let site = site(&ca, |builder| builder.turn_timeout(time));
    let alice = ca.client("alice");
    let mut blocked = site.blocked([Some(&alice), Some(&alice)]);
    let begun = Instant::now();
    let mut late = site.client(Some(&alice));
    let reply = exchange(&mut late, get("/late")).unwrap();
    assert_eq!((reply.status, reply.field("retry-after"), reply.field("connection")), (503, Some("10"), Some("close")));
    assert!(begun.elapsed() >= time, "{:?}", begun.elapsed());
    let _ = read_to_end(&mut late);
    site.release(&mut blocked);
    assert_eq!(exchange(&mut site.client(Some(&alice)), get("/again")).unwrap().status, 200);
    assert_eq!(site.handled(), [("/again".into(), 0)]);
}

#[test]
fn who_is_revoked_while_it_waits_is_refused() {
    let (ca, other) = (Ca::new("ca"), Ca::new("other"));
    let site = site(&ca, |builder| builder);
    let (alice, mut bob) = (ca.client("alice"), site.client(Some(&ca.client("bob"))));
    let mut blocked = site.blocked([Some(&alice), Some(&alice)]);
    let mut waiting = site.waiting(Some(&alice), &get("/secret"), &mut bob);
    site.running.trust.replace(trust(&other)).unwrap();
    site.gate.let_one_go();
    assert_eq!(read_reply(&mut waiting).unwrap().status, 401);
    assert_eq!(site.handled(), []);
    site.gate.let_one_go();
    blocked.iter_mut().for_each(|client| assert_eq!(read_reply(client).unwrap().status, 200));
}

/// Their bodies are read before they wait.
#[test]
fn all_strangers_together_are_one_client() {
    let (ca, unknown) = (Ca::new("ca"), Ca::new("unknown"));
    let site = site(&ca, |builder| builder.open_gate());
    let mallory = unknown.client("mallory");
    let mut blocked = site.blocked([None, Some(&mallory)]);
    let mut alice = site.client(Some(&ca.client("alice")));
    let post = "POST /posted HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    let mut waiting = site.waiting(None, post, &mut alice);
    let mut next = site.waiting(Some(&unknown.client("eve")), &get("/next"), &mut alice);
    assert_eq!(site.handled(), []);
    site.gate.let_one_go();
    assert_eq!(read_reply(&mut waiting).unwrap().status, 200);
    assert_eq!(read_reply(&mut next).unwrap().status, 200);
    assert_eq!(site.handled(), [("/posted".into(), 5), ("/next".into(), 0)]);
    site.gate.let_one_go();
    blocked.iter_mut().for_each(|client| assert_eq!(read_reply(client).unwrap().status, 200));
}

#[test]
fn who_waits_when_the_server_stops_gets_its_answer() {
    let ca = Ca::new("ca");
    let site = site(&ca, |builder| builder);
    let (alice, mut bob) = (ca.client("alice"), site.client(Some(&ca.client("bob"))));
    let mut blocked = site.blocked([Some(&alice), Some(&alice)]);
    let mut waiting = site.waiting(Some(&alice), &get("/last"), &mut bob);
    site.running.shutdown.shutdown();
    // Then it is stopping.
    assert_eq!(bob.read(&mut [0; 10]).unwrap(), 0);
    (0..SHARE).for_each(|_| site.gate.let_one_go());
    let reply = read_reply(&mut waiting).unwrap();
    assert_eq!((reply.status, reply.field("connection")), (200, Some("close")));
    blocked.iter_mut().for_each(|client| assert_eq!(read_reply(client).unwrap().status, 200));
    drop((blocked, waiting));
    assert_eq!(site.running.stop(), Stopped::Drained);
}

/// Two at a time of many, again and again, some of which hang up: none is forgotten.
#[test]
fn many_requests_of_one_client_are_all_answered() {
    const CLIENTS: usize = 24;
    let ca = Ca::new("ca");
    let slow = |_: &mut Request<'_>| {
        std::thread::sleep(Duration::from_millis(1));
        Response::new("served".into())
    };
    let running = start_with(trust(&ca), |builder| builder.workers(4), slow);
    let alice = ca.client("alice");
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (running, alice) = (&running, &alice);
            scope.spawn(move || {
                let version = if number % 2 == 0 { &TLS12 } else { &TLS13 };
                for _ in 0..5 {
                    let mut client = connect(running.addr, config(Some(alice), version));
                    for _ in 0..10 {
                        assert_eq!(exchange(&mut client, GET).unwrap().status, 200);
                    }
                    // And leaves without waiting for the answer.
                    send(&mut client, GET);
                }
            });
        }
    });
    assert_eq!(exchange(&mut connect(running.addr, config(Some(&alice), &TLS13)), GET).unwrap().status, 200);
    assert_eq!(running.stop(), Stopped::Drained);
}
