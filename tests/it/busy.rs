//! A busy server, and clients that come at the wrong moment: found by readers who looked for races.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use mtls_min::{Access, Body, Observer, Request, Response, Trust};

use crate::support::client::{
    GET, PATIENCE, TLS12, TLS13, Tls, VERSIONS, config, connect, eventually, exchange, get, read_reply, read_to_end,
    send,
};
use crate::support::gate::{AT_THE_GATE, Barred, gate, with_a_gate};
use crate::support::pki::{Ca, Holder};
use crate::support::server::{Running, start, start_observed, start_with, trust};

/// Replaces trust, and waits until all idle connections were judged again: that of `witness`, who is no longer let in, is closed.
fn replace_and_wait_for_the_sweep(running: &Running, trust: Trust, mut witness: Tls) {
    running.trust.replace(trust).unwrap();
    let _ = read_to_end(&mut witness);
}

fn witness(running: &Running, ca: &Ca) -> Tls {
    let mut witness = connect(running.addr, config(Some(&ca.client("witness")), &TLS13));
    assert_eq!(exchange(&mut witness, GET).unwrap().status, 200);
    witness
}

fn both(a: &Ca, b: &Ca) -> Trust {
    Trust::builder().pem(a.pem() + &b.pem(), "two CAs").build().unwrap()
}

/// The threads for files and deadlines must not run handlers.
#[test]
fn handlers_run_on_workers_only_whenever_trust_changes() {
    let ca = Ca::new("ca");
    let names: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let seen = Arc::clone(&names);
    let handler = move |_: &mut Request<'_>| {
        seen.lock().unwrap().insert(std::thread::current().name().unwrap_or_default().to_owned());
        Response::new("served".into())
    };
    let running = start_with(trust(&ca), |builder| builder.workers(4), handler);
    let alice = ca.client("alice");
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let mut client = connect(running.addr, config(Some(&alice), &TLS13));
                for _ in 0..400 {
                    assert_eq!(exchange(&mut client, GET).unwrap().status, 200);
                }
            });
        }
        while running.calls() < 16 * 400 {
            running.trust.replace(trust(&ca)).unwrap();
        }
    });
    let names = names.lock().unwrap();
    assert!(names.iter().all(|name| name.starts_with("worker")), "{names:?}");
}

#[test]
fn pipelined_requests_go_on_although_trust_changes_between_two_turns() {
    let (ca, old) = (Ca::new("ca"), Ca::new("old"));
    let (gate, handler) = with_a_gate();
    let running = start_with(both(&ca, &old), |builder| builder.workers(1), handler);
    let witness = witness(&running, &old);
    let alice = ca.client("alice");
    let mut other = connect(running.addr, config(Some(&alice), &TLS13));
    assert_eq!(exchange(&mut other, GET).unwrap().status, 200);
    let mut many = connect(running.addr, config(Some(&alice), &TLS13));
    // The gate holds the only worker, so that the other request is waiting when the turn of the many is over.
    send(&mut many, &(GET.repeat(44) + AT_THE_GATE + &GET.repeat(15)));
    gate.wait_for_one();
    send(&mut other, AT_THE_GATE);
    gate.let_one_go();
    gate.wait_for_one();
    replace_and_wait_for_the_sweep(&running, trust(&ca), witness);
    gate.let_one_go();
    for number in 0..60 {
        assert_eq!(read_reply(&mut many).unwrap().status, 200, "request {number}");
    }
    assert_eq!(read_reply(&mut other).unwrap().status, 200);
}

#[test]
fn who_is_let_in_by_a_change_of_trust_is_no_stranger_any_more() {
    let (ca, old) = (Ca::new("ca"), Ca::new("old"));
    let running = start_with(
        trust(&old),
        |builder| builder.max_connections(8),
        |_: &mut Request<'_>| Response::new("served".into()),
    );
    let mut alice = connect(running.addr, config(Some(&ca.client("alice")), &TLS13));
    while alice.conn.is_handshaking() || alice.conn.wants_write() {
        alice.conn.complete_io(&mut alice.sock).unwrap();
    }
    let witness = witness(&running, &old);
    replace_and_wait_for_the_sweep(&running, trust(&ca), witness);
    assert_eq!(exchange(&mut alice, GET).unwrap().status, 200);
    // Strangers push each other out, and nobody else.
    let _strangers: Vec<_> = (0..20).map(|_| TcpStream::connect(running.addr).unwrap()).collect();
    running.seen.wait_for_event("Shed");
    eventually(|| running.seen.events().iter().filter(|event| event.contains("Shed")).count() >= 12);
    assert_eq!(exchange(&mut alice, GET).unwrap().status, 200);
}

/// Workers that read response bodies count too.
#[test]
fn as_many_handlers_run_at_once_as_there_are_workers() {
    const WORKERS: usize = 6;
    let ca = Ca::new("ca");
    let (gate, handler) = with_a_gate();
    let running = start_with(trust(&ca), |builder| builder.workers(WORKERS), handler);
    let connected = || connect(running.addr, config(Some(&ca.client("alice")), &TLS13));
    for path in ["/gate", "/body"] {
        let mut busy: Vec<_> = (0..WORKERS - 1).map(|_| connected()).collect();
        for client in &mut busy {
            send(client, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        }
        (1..WORKERS).for_each(|_| gate.wait_for_one());
        // The last one is there for the others.
        assert_eq!(exchange(&mut connected(), GET).unwrap().status, 200, "{path}");
        (1..WORKERS).for_each(|_| gate.let_one_go());
        for client in &mut busy {
            assert_eq!(read_reply(client).unwrap().status, 200, "{path}");
        }
    }
}

/// Like handlers. Without that, the timekeeper would replace the workers one by one, every 100 ms.
#[test]
fn as_many_refusal_pages_are_made_at_once_as_there_are_workers() {
    const STRANGERS: usize = 100;
    let ca = Ca::new("ca");
    let (gate, barred) = gate();
    let change = |builder: mtls_min::Builder| {
        builder.workers(STRANGERS + 1).refusal_page(move |_| {
            barred.wait();
            Response::new("no".into())
        })
    };
    let running = start_with(trust(&ca), change, |_: &mut Request<'_>| Response::new("served".into()));
    let mut alice = connect(running.addr, config(Some(&ca.client("alice")), &TLS13));
    let mut strangers: Vec<_> = (0..STRANGERS).map(|_| connect(running.addr, config(None, &TLS13))).collect();
    let start = std::time::Instant::now();
    for stranger in &mut strangers {
        send(stranger, GET);
    }
    (0..STRANGERS).for_each(|_| gate.wait_for_one());
    assert_eq!(exchange(&mut alice, GET).unwrap().status, 200);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    (0..STRANGERS).for_each(|_| gate.let_one_go());
    for stranger in &mut strangers {
        assert_eq!(read_reply(stranger).unwrap().status, 401);
    }
}

/// An observer that holds the worker that reports a request for `/gate`.
struct Holding(Arc<Barred>);

impl Observer for Holding {
    fn request(&self, access: &Access<'_>) {
        if access.target == "/gate" {
            self.0.wait();
        }
    }
}

#[test]
fn workers_that_are_stuck_where_nothing_should_block_are_replaced() {
    let runners = std::thread::available_parallelism().map_or(2, usize::from).max(2);
    let ca = Ca::new("ca");
    let (gate, barred) = gate();
    let running = start_observed(trust(&ca), |builder| builder.workers(runners + 1), Holding(barred));
    let connected = || connect(running.addr, config(Some(&ca.client("alice")), &TLS13));
    let mut stuck: Vec<_> = (0..runners).map(|_| connected()).collect();
    for client in &mut stuck {
        assert_eq!(exchange(client, AT_THE_GATE).unwrap().status, 200);
        gate.wait_for_one();
    }
    assert_eq!(exchange(&mut connected(), GET).unwrap().status, 200);
    (0..runners).for_each(|_| gate.let_one_go());
}

/// A slot is needed while the request of the longest idle client is still unread: that client is not idle.
#[test]
fn d10_a_client_that_asks_just_now_is_answered_and_not_given_up() {
    let ca = Ca::new("ca");
    let (gate, barred) = gate();
    // With one handler at a time there are never more than this many workers, and each of them is stuck.
    let workers = 1 + std::thread::available_parallelism().map_or(2, usize::from).max(2);
    let change = |builder: mtls_min::Builder| builder.workers(1).max_connections(workers + 1);
    let running = start_observed(trust(&ca), change, Holding(barred));
    let alice = ca.client("alice");
    let connected = || connect(running.addr, config(Some(&alice), &TLS13));
    let mut idle = connected();
    assert_eq!(exchange(&mut idle, GET).unwrap().status, 200);
    let mut stuck: Vec<_> = (0..workers).map(|_| connected()).collect();
    for client in &mut stuck {
        assert_eq!(exchange(client, AT_THE_GATE).unwrap().status, 200);
        gate.wait_for_one();
    }
    // It has been idle long enough to be given up, and the newcomer knocks first.
    std::thread::sleep(Duration::from_millis(1200));
    let mut newcomer = connected();
    newcomer.conn.write_tls(&mut newcomer.sock).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    send(&mut idle, GET);
    (0..workers).for_each(|_| gate.let_one_go());
    assert_eq!(read_reply(&mut idle).unwrap().status, 200);
    assert_eq!(exchange(&mut newcomer, GET).unwrap().status, 200, "another went in its place");
}

#[test]
fn what_came_in_time_is_not_late_because_every_worker_was_busy() {
    let ca = Ca::new("ca");
    let (gate, handler) = with_a_gate();
    let idle = Duration::from_millis(500);
    let running = start_with(trust(&ca), |builder| builder.workers(1).idle_timeout(idle), handler);
    let alice = ca.client("alice");
    let mut early = connect(running.addr, config(Some(&alice), &TLS13));
    assert_eq!(exchange(&mut early, GET).unwrap().status, 200);
    let mut busy = connect(running.addr, config(Some(&alice), &TLS13));
    send(&mut busy, AT_THE_GATE);
    gate.wait_for_one();
    send(&mut early, GET);
    // Well past its deadline.
    std::thread::sleep(idle + Duration::from_millis(250));
    gate.let_one_go();
    assert_eq!(read_reply(&mut early).unwrap().status, 200);
    assert_eq!(read_reply(&mut busy).unwrap().status, 200);
}

#[test]
fn a_slow_handler_is_not_blamed_on_the_client() {
    let ca = Ca::new("ca");
    let transfer = Duration::from_millis(300);
    let handler = move |request: &mut Request<'_>| {
        std::thread::sleep(transfer * 2);
        let mut body = String::new();
        match request.body().read_to_string(&mut body) {
            Ok(_) => Response::new(body.into()),
            Err(error) => Response::new(error.to_string().into()),
        }
    };
    let running = start_with(trust(&ca), |builder| builder.transfer_timeout(transfer), handler);
    let mut client = connect(running.addr, config(Some(&ca.client("alice")), &TLS13));
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    assert_eq!(exchange(&mut client, head).unwrap().status, 100);
    let reply = exchange(&mut client, "hello").unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (200, "hello"));
}

/// What follows a handler, or the reader of a body, counts from its end: the date of the response, and the time for the next request.
#[test]
fn time_passes_in_handlers_and_readers() {
    const SLOW: Duration = Duration::from_millis(1100);
    struct Slow;
    impl Read for Slow {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            std::thread::sleep(SLOW);
            Ok(0)
        }
    }
    let ca = Ca::new("ca");
    let handler = |request: &mut Request<'_>| match request.uri().path() {
        "/reader" => Response::new(Body::from_reader(Slow, None)),
        _ => {
            std::thread::sleep(SLOW);
            Response::new(httpdate::fmt_http_date(SystemTime::now()).into())
        }
    };
    let running = start_with(trust(&ca), |builder| builder.idle_timeout(SLOW / 2), handler);
    let mut client = connect(running.addr, config(Some(&ca.client("alice")), &TLS13));
    for path in ["/", "/reader", "/"] {
        let reply = exchange(&mut client, format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).unwrap();
        let date = |text: &str| httpdate::parse_http_date(text).unwrap();
        assert!(path == "/reader" || date(reply.field("date").unwrap()) >= date(&reply.body), "{reply:?}");
        // Longer than the timekeeper takes to notice a deadline.
        std::thread::sleep(SLOW / 4);
    }
}

#[test]
fn a_client_that_says_goodbye_with_its_request_is_answered_and_left() {
    let ca = Ca::new("ca");
    let running = start(trust(&ca));
    for version in VERSIONS {
        let mut client = connect(running.addr, config(Some(&ca.client("alice")), version));
        assert_eq!(exchange(&mut client, GET).unwrap().status, 200);
        client.conn.writer().write_all(GET.as_bytes()).unwrap();
        client.conn.send_close_notify();
        while client.conn.wants_write() {
            client.conn.write_tls(&mut client.sock).unwrap();
        }
        assert_eq!(read_reply(&mut client).unwrap().status, 200);
        // Long before the idle timeout of a minute, or the read times out.
        assert_eq!(client.read(&mut [0; 10]).unwrap(), 0);
    }
}

/// The end of the stream came in the same read as the last bytes: no further event reports it.
#[test]
fn what_a_client_left_unfinished_when_it_said_goodbye_is_not_waited_for() {
    let ca = Ca::new("ca");
    let longer_than_patience = PATIENCE * 3;
    let running = start_with(
        trust(&ca),
        |builder| builder.head_timeout(longer_than_patience).transfer_timeout(longer_than_patience),
        |request: &mut Request<'_>| {
            let _ = request.body().read_to_end(&mut Vec::new());
            Response::new("served".into())
        },
    );
    let left = |request: &str, version| {
        let mut client = connect(running.addr, config(Some(&ca.client("alice")), version));
        assert_eq!(exchange(&mut client, GET).unwrap().status, 200);
        client.conn.writer().write_all(request.as_bytes()).unwrap();
        client.conn.send_close_notify();
        while client.conn.wants_write() {
            client.conn.write_tls(&mut client.sock).unwrap();
        }
        client
    };
    for version in VERSIONS {
        assert_eq!(left("GET / HT", version).read(&mut [0; 10]).unwrap(), 0);
        for body in ["Content-Length: 5\r\n\r\nhel", "Transfer-Encoding: chunked\r\n\r\n5\r\nhel"] {
            let mut client = left(&format!("POST / HTTP/1.1\r\nHost: a\r\n{body}"), version);
            assert_eq!(read_reply(&mut client).unwrap().status, 400);
        }
    }
}

#[test]
fn timeouts_may_be_for_ever() {
    let ca = Ca::new("ca");
    let for_ever = |builder: mtls_min::Builder| {
        let max = Duration::MAX;
        builder.handshake_timeout(max).head_timeout(max).idle_timeout(max).transfer_timeout(max).linger_timeout(max)
    };
    let running = start_with(trust(&ca), for_ever, |_: &mut Request<'_>| Response::new("served".into()));
    let mut client = connect(running.addr, config(Some(&ca.client("alice")), &TLS12));
    for _ in 0..2 {
        assert_eq!(exchange(&mut client, GET).unwrap().status, 200);
    }
    assert_eq!(get(running.addr, None, &TLS13).unwrap().status, 401);
    assert!(running.seen.events().is_empty(), "{:?}", running.seen.events());
}

/// A body without end, whose reader panics when it is dropped.
struct Trap;

impl Read for Trap {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        buffer.fill(b'x');
        Ok(buffer.len())
    }
}

impl Drop for Trap {
    fn drop(&mut self) {
        panic!("the reader's own");
    }
}

#[test]
fn a_reader_that_panics_when_it_is_dropped_costs_nobody_a_worker() {
    let ca = Ca::new("ca");
    let running = start_with(
        trust(&ca),
        |builder| builder.workers(1).transfer_timeout(Duration::from_millis(200)),
        |request: &mut Request<'_>| match request.uri().path() {
            "/endless" => Response::new(Body::from_reader(Trap, None)),
            _ => Response::new("served".into()),
        },
    );
    let alice: Holder = ca.client("alice");
    let endless = || {
        let mut client = connect(running.addr, config(Some(&alice), &TLS13));
        send(&mut client, "GET /endless HTTP/1.1\r\nHost: a\r\n\r\n");
        client.read_exact(&mut [0; 1000]).unwrap();
        client
    };
    // One leaves, which a worker notices; one stays and does not read, which the timekeeper notices.
    drop(endless());
    running.seen.wait_for_event("the reader's own");
    let stalled = endless();
    eventually(|| running.seen.events().iter().filter(|event| event.contains("the reader's own")).count() == 2);
    for _ in 0..3 {
        assert_eq!(get(running.addr, Some(&alice), &TLS13).unwrap().status, 200);
    }
    assert_eq!(running.stop(), mtls_min::Stopped::Drained);
    drop(stalled);
}

struct Panicking;

impl Observer for Panicking {
    fn request(&self, _: &Access<'_>) {
        panic!("the observer's own");
    }
}

#[test]
fn an_observer_that_panics_costs_nobody_a_worker() {
    let ca = Ca::new("ca");
    let change = |builder: mtls_min::Builder| builder.workers(1);
    let running = start_observed(trust(&ca), change, Panicking);
    let alice: Holder = ca.client("alice");
    for _ in 0..3 {
        assert_eq!(get(running.addr, Some(&alice), &TLS13).unwrap().status, 200);
    }
    assert_eq!(running.stop(), mtls_min::Stopped::Drained);
}
