//! The log as an embedder has it: an observer that writes to whatever it is given.

use std::io::{self, BufWriter, Write};
use std::sync::{Arc, Mutex};

use mtls_min::log::{AccessLog, Format};

use crate::support::client::{TLS13, eventually, get};
use crate::support::pki::Ca;
use crate::support::server::{start_observed, trust};

/// A writer whose text can be read.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a log holds of one client who is let in, one who is refused, and one who speaks no TLS, when the server has stopped.
fn logged(log: AccessLog) {
    let ca = Ca::new("ca");
    let server = start_observed(trust(&ca), |builder| builder, log);
    assert_eq!(get(server.addr, Some(&ca.client("alice")), &TLS13).unwrap().status, 200);
    assert_eq!(get(server.addr, None, &TLS13).unwrap().status, 401);
    let mut plain = std::net::TcpStream::connect(server.addr).unwrap();
    plain.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    io::copy(&mut plain, &mut io::sink()).unwrap();
    drop(plain);
    server.stop();
}

#[test]
fn a_text_log_is_whole_once_the_server_has_stopped() {
    let sink = Sink::default();
    // A writer with a buffer of its own is no obstacle.
    logged(AccessLog::text(BufWriter::new(sink.clone())).unwrap());
    let log = sink.text();
    assert_eq!(log.lines().count(), 3, "{log}");
    assert!(log.contains(" \"GET /\" 200 ") && log.contains(" TLSv1.3 subject=\"CN=alice\"\n"), "{log}");
    assert!(log.contains(" 401 ") && log.contains(" refused=no_certificate because=\""), "{log}");
    assert!(log.contains(" mtls-min: 127.0.0.1:") && log.contains(": speaks HTTP without TLS\n"), "{log}");
}

#[test]
fn a_json_log_has_an_object_a_line() {
    let sink = Sink::default();
    logged(AccessLog::json(sink.clone()).unwrap());
    let log = sink.text();
    assert_eq!(log.lines().count(), 3, "{log}");
    assert!(log.lines().all(|line| line.starts_with("{\"time\":\"20") && line.ends_with("\"}")), "{log}");
    assert!(log.contains("\"status\":200,") && log.contains("\"subject\":\"CN=alice\""), "{log}");
    assert!(log.contains("\"refused\":\"no_certificate\"") && log.contains("\"event\":\"plain_http\""), "{log}");
}

#[test]
fn requests_and_events_can_go_to_two_writers() {
    let (requests, events) = (Sink::default(), Sink::default());
    let log = AccessLog::split(Format::Text, requests.clone(), events.clone()).unwrap();
    log.notice("started", "it starts");
    logged(log);
    assert_eq!((requests.text().lines().count(), events.text().lines().count()), (2, 2));
    assert!(events.text().contains(" mtls-min: it starts\n"), "{}", events.text());
}

/// Nobody is refused any more, and no time need pass: `flush` writes the count.
#[test]
fn flush_writes_every_line_so_far_and_the_counts_of_those_left_out() {
    let (ca, sink) = (Ca::new("ca"), Sink::default());
    let log = AccessLog::text(sink.clone()).unwrap();
    let server = start_observed(trust(&ca), |builder| builder, log.clone());
    for _ in 0..20 {
        assert_eq!(get(server.addr, None, &TLS13).unwrap().status, 401);
    }
    let counted = |text: &str| {
        let left_out = text.split("left_out=").skip(1).map(|rest| rest.split(' ').next().unwrap());
        let left_out: usize = left_out.map(|number| number.trim().parse::<usize>().unwrap()).sum();
        text.lines().filter(|line| line.contains("because")).count() + left_out
    };
    eventually(|| {
        // The client has its answer a moment before the log.
        log.flush();
        counted(&sink.text()) == 20
    });
    assert!(sink.text().lines().count() < 20, "{}", sink.text());
    server.stop();
    assert_eq!(counted(&sink.text()), 20, "and nothing is counted twice");
}
