//! The feature `log`: what a server tells comes to the logger of the `log` crate.

use std::io::Read;
use std::io::Write;
use std::sync::Mutex;

use log::{Level, LevelFilter, Log, Metadata, Record};
use mtls_min::log::Facade;

use crate::support::client::{TLS13, eventually, get};
use crate::support::pki::Ca;
use crate::support::server::{start_observed, trust};

/// A logger that remembers.
struct Memory(Mutex<Vec<(Level, String, String)>>);

static MEMORY: Memory = Memory(Mutex::new(Vec::new()));

impl Log for Memory {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let told = (record.level(), record.target().to_owned(), record.args().to_string());
        self.0.lock().unwrap().push(told);
    }

    fn flush(&self) {}
}

#[test]
fn each_request_and_each_event_is_a_record_with_its_level_and_target() {
    log::set_logger(&MEMORY).unwrap();
    log::set_max_level(LevelFilter::Info);
    let ca = Ca::new("ca");
    let server = start_observed(trust(&ca), |builder| builder, Facade);
    assert_eq!(get(server.addr, Some(&ca.client("alice")), &TLS13).unwrap().status, 200);
    assert_eq!(get(server.addr, None, &TLS13).unwrap().status, 401);
    let mut plain = std::net::TcpStream::connect(server.addr).unwrap();
    plain.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    plain.read_to_end(&mut Vec::new()).unwrap();
    let told = |level, target, begins: &str, contains: &str| {
        eventually(|| {
            MEMORY.0.lock().unwrap().iter().any(|(own, of, text)| {
                (*own, of.as_str()) == (level, target) && text.starts_with(begins) && text.contains(contains)
            })
        });
    };
    told(Level::Info, "mtls_min::access", "127.0.0.1:", " 200 ");
    told(Level::Warn, "mtls_min::access", "127.0.0.1:", "refused=no_certificate");
    told(Level::Warn, "mtls_min::event", "127.0.0.1:", ": speaks HTTP without TLS");
    assert!(MEMORY.0.lock().unwrap().iter().all(|(_, _, text)| !text.contains('\n')));
}
