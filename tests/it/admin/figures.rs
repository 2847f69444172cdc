//! Counts after known traffic.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

use mtls_min::http::Method;
use mtls_min::{Forward, Policy, Request, Response, Trust};

use crate::support::admin::{start, start_with};
use crate::support::client::{GET, TLS12, TLS13, config, connect, eventually, exchange, get, send};
use crate::support::pki::Ca;
use crate::support::server::trust;
use crate::support::upstream::{answering, ok};

#[test]
fn requests_and_refusals_are_counted_by_class_method_and_code() {
    let (ca, other) = (Ca::new("ca"), Ca::new("other"));
    let policy = Policy::parse("/ cn:alice\n", "rules").unwrap();
    let trust = Trust::builder().pem(ca.pem(), "ca").policy(policy).build().unwrap();
    let watched = start(trust, |builder| builder);
    let (alice, bob, eve) = (ca.client("alice"), ca.client("bob"), other.client("eve"));
    let mut tls = connect(watched.running.addr, config(Some(&alice), &TLS13));
    for _ in 0..3 {
        assert_eq!(exchange(&mut tls, GET).unwrap().status, 200);
    }
    assert_eq!(exchange(&mut tls, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").unwrap().status, 200);
    assert_eq!(get(watched.running.addr, Some(&bob), &TLS13).unwrap().status, 403);
    assert_eq!(get(watched.running.addr, Some(&eve), &TLS12).unwrap().status, 401);
    assert_eq!(get(watched.running.addr, None, &TLS13).unwrap().status, 401);
    assert_eq!(get(watched.running.addr, None, &TLS13).unwrap().status, 401);
    watched.wait_for("request_duration_seconds_count", 8.0);
    let figures = watched.figures();
    for (name, value) in [
        ("requests_total{method=\"GET\",class=\"2xx\"}", 3.0),
        ("requests_total{method=\"POST\",class=\"2xx\"}", 1.0),
        ("requests_total{method=\"GET\",class=\"4xx\"}", 4.0),
        ("refusals_total{code=\"no_certificate\"}", 2.0),
        ("refusals_total{code=\"not_allowed\"}", 1.0),
        ("refusals_total{code=\"unknown_issuer\"}", 1.0),
        ("accepted_total", 5.0),
        ("handshakes_total{result=\"full\",version=\"TLSv1.3\"}", 4.0),
        ("handshakes_total{result=\"full\",version=\"TLSv1.2\"}", 1.0),
        ("handshake_duration_seconds_count", 5.0),
        ("handshake_duration_seconds_bucket{le=\"+Inf\"}", 5.0),
        ("request_duration_seconds_bucket{le=\"+Inf\"}", 8.0),
        ("trust_generation", 0.0),
        ("stopping", 0.0),
    ] {
        assert_eq!(figures.get(name), Some(value), "{name}: {:#?}", figures.0);
    }
    assert!(figures.get("request_duration_seconds_sum").unwrap() > 0.0);
    assert!(figures.get("response_bytes_total").unwrap() > 8.0 * 50.0);
    assert!(figures.get("connections{state=\"idle\"}").is_some_and(|idle| idle >= 1.0));
}

#[test]
fn handshakes_that_fail_are_counted_by_what_happened() {
    let ca = Ca::new("ca");
    let watched = start(trust(&ca), |builder| builder.handshake_timeout(Duration::from_millis(300)));
    let send = |bytes: &[u8]| {
        let mut socket = TcpStream::connect(watched.running.addr).unwrap();
        socket.write_all(bytes).unwrap();
        let _ = socket.read_to_end(&mut Vec::new());
    };
    send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    send(b"\x16\x03\x01");
    send(&[0x80; 100]);
    watched.wait_for("handshakes_total{result=\"plain_http\",version=\"unknown\"}", 1.0);
    watched.wait_for("handshakes_total{result=\"timed_out\",version=\"unknown\"}", 1.0);
    watched.wait_for("timeouts_total{phase=\"handshake\"}", 1.0);
    watched.wait_for("handshakes_total{result=\"failed\",version=\"unknown\"}", 1.0);
    assert_eq!(watched.figures().sum("handshake_failures_total"), 1.0);
    assert_eq!(watched.figures().get("accepted_total"), Some(3.0));
}

#[test]
fn resumed_handshakes_are_told_apart() {
    let ca = Ca::new("ca");
    let watched = start(trust(&ca), |builder| builder.resumption());
    let config = std::sync::Arc::new(config(Some(&ca.client("alice")), &TLS13));
    for _ in 0..2 {
        let mut tls =
            crate::support::client::connect_as(watched.running.addr, std::sync::Arc::clone(&config), "localhost");
        assert_eq!(exchange(&mut tls, GET).unwrap().status, 200);
    }
    watched.wait_for("handshakes_total{result=\"full\",version=\"TLSv1.3\"}", 1.0);
    watched.wait_for("handshakes_total{result=\"resumed\",version=\"TLSv1.3\"}", 1.0);
}

#[test]
fn connections_and_threads_are_counted_by_state() {
    let ca = Ca::new("ca");
    let (tell, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let watched = start_with(
        trust(&ca),
        |builder| builder.workers(7).max_connections(8),
        move |request: &mut Request<'_>| {
            if request.method() == Method::PUT {
                told.lock().unwrap().recv().unwrap();
            }
            Response::new("".into())
        },
    );
    let alice = ca.client("alice");
    let _silent = TcpStream::connect(watched.running.addr).unwrap();
    watched.wait_for("connections{state=\"handshake\"}", 1.0);
    let mut idle = connect(watched.running.addr, config(Some(&alice), &TLS13));
    exchange(&mut idle, GET).unwrap();
    watched.wait_for("connections{state=\"idle\"}", 1.0);
    let mut busy = connect(watched.running.addr, config(Some(&alice), &TLS13));
    send(&mut busy, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    watched.wait_for("connections{state=\"active\"}", 1.0);
    watched.wait_for("threads{state=\"handler\"}", 1.0);
    let figures = watched.figures();
    assert_eq!(figures.sum("connections{"), 3.0);
    assert_eq!(figures.get("connections_max"), Some(8.0));
    assert!(figures.get("threads_max").unwrap() >= 9.0);
    assert!(figures.get("threads{state=\"running\"}").unwrap() >= 1.0);
    tell.send(()).unwrap();
    watched.wait_for("threads{state=\"handler\"}", 0.0);
}

#[test]
fn connections_that_had_to_go_are_counted() {
    let ca = Ca::new("ca");
    let watched = start(trust(&ca), |builder| builder.max_connections(4));
    let silent: Vec<_> = (0..6).map(|_| TcpStream::connect(watched.running.addr).unwrap()).collect();
    watched.wait_for("shed_total", 3.0);
    drop(silent);
}

#[test]
fn what_was_forwarded_is_counted_by_what_became_of_it() {
    let ca = Ca::new("ca");
    let application = answering(|asked| match asked.line.contains("/nonsense") {
        true => "hello\r\n\r\n".to_owned(),
        false => ok("hello"),
    });
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let there = Forward::to(&application.url).unwrap();
    let gone = Forward::to(&format!("http://{closed}")).unwrap();
    let watched = start_with(
        trust(&ca),
        |builder| builder,
        move |request: &mut Request<'_>| match request.uri().path() {
            "/own" => Response::new("own".into()),
            "/gone" => gone.answer(request),
            _ => there.answer(request),
        },
    );
    let alice = ca.client("alice");
    for (path, status) in [("/own", 200), ("/", 200), ("/x", 200), ("/gone", 502), ("/nonsense", 502)] {
        let mut tls = connect(watched.running.addr, config(Some(&alice), &TLS13));
        let reply = exchange(&mut tls, format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).unwrap();
        assert_eq!(reply.status, status, "{path}");
    }
    watched.wait_for("request_duration_seconds_count", 5.0);
    let figures = watched.figures();
    for (result, count) in [("answered", 2.0), ("unreachable", 1.0), ("bad_answer", 1.0), ("timed_out", 0.0)] {
        assert_eq!(figures.get(&format!("forwarded_total{{result=\"{result}\"}}")), Some(count), "{result}");
    }
}

#[test]
fn strangers_add_no_lines() {
    let ca = Ca::new("ca");
    let watched = start(trust(&ca), |builder| builder.open_gate());
    let lines = || watched.figures().0.len();
    let ask = |method: &str| {
        let mut tls = connect(watched.running.addr, config(None, &TLS13));
        let _ =
            exchange(&mut tls, format!("{method} /{method} HTTP/1.1\r\nHost: {method}\r\nContent-Length: 0\r\n\r\n"));
    };
    ask("BREW");
    watched.wait_for("requests_total{method=\"other\",class=\"2xx\"}", 1.0);
    let before = lines();
    for number in 0..20 {
        ask(&format!("BREW{number}"));
    }
    watched.wait_for("requests_total{method=\"other\",class=\"2xx\"}", 21.0);
    assert_eq!(lines(), before);
    assert!(!watched.ask("/metrics").body.contains("BREW"));
}

#[test]
fn a_name_in_a_label_is_escaped() {
    let ca = Ca::new("a \"CA\" \\ with\nlines");
    let watched = start(trust(&ca), |builder| builder);
    let text = watched.ask("/metrics").body;
    let line = text.lines().find(|line| line.contains("kind=\"ca\"")).unwrap();
    // What is not printable was escaped when the name was read, and its backslash again for the label.
    assert!(line.contains(r#"subject="CN=a \\\"CA\\\" \\\\ with\\0Alines""#), "{line}");
    eventually(|| watched.ask("/readyz").status == 200);
}
