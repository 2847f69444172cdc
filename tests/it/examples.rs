//! The examples, run as their readers would run them.

use std::fs;

use crate::support::client::{GET, TLS13, config, connect, eventually, exchange, get};
use crate::support::command::{Serving, example};
use crate::support::files::TempDir;
use crate::support::pki::Ca;

fn site() -> (TempDir, Ca) {
    let ca = Ca::new("ca");
    let dir = TempDir::new();
    fs::create_dir(dir.path().join("certs")).unwrap();
    dir.write("certs/ca.pem", ca.pem());
    let server = ca.server();
    dir.write("certs/server-crt.pem", server.pem());
    dir.write("certs/server-key.pem", server.key_pem());
    (dir, ca)
}

#[test]
fn hello_greets_by_name() {
    let (dir, ca) = site();
    let serving = Serving::start(&example("hello"), dir.path(), &["127.0.0.1:0"]);
    assert_eq!(get(serving.addr, Some(&ca.client("alice")), &TLS13).unwrap().body, "hello alice\n");
    assert_eq!(get(serving.addr, None, &TLS13).unwrap().status, 401);
}

#[test]
fn whoami_tells_what_the_certificate_says() {
    let (dir, ca) = site();
    let serving = Serving::start(&example("whoami"), dir.path(), &["127.0.0.1:0"]);
    let alice = ca.client_with("ali\"ce", |params| {
        params.subject_alt_names = vec![rcgen::SanType::Rfc822Name("alice@x.test".try_into().unwrap())];
    });
    let reply = get(serving.addr, Some(&alice), &TLS13).unwrap();
    assert_eq!(reply.field("content-type"), Some("application/json"));
    assert!(reply.body.contains(r#"{"type":"CN","value":"ali\"ce"}"#), "{}", reply.body);
    assert!(reply.body.contains(r#""emails":["alice@x.test"]"#), "{}", reply.body);
}

#[test]
fn gate_open_lets_the_handler_decide() {
    let (dir, ca) = site();
    let serving = Serving::start(&example("gate_open"), dir.path(), &["127.0.0.1:0"]);
    let mut stranger = connect(serving.addr, config(None, &TLS13));
    assert_eq!(exchange(&mut stranger, GET).unwrap().body, "welcome, stranger\n");
    let inner = "GET /inner HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(exchange(&mut stranger, inner).unwrap().status, 401);
    let mut alice = connect(serving.addr, config(Some(&ca.client("alice")), &TLS13));
    assert_eq!(exchange(&mut alice, inner).unwrap().body, "welcome, alice\n");
}

#[test]
fn upload_streams_to_disk_and_overwrites_nothing() {
    let (dir, ca) = site();
    let serving = Serving::start(&example("upload"), dir.path(), &["127.0.0.1:0", "uploads"]);
    let alice = ca.client("alice");
    let mut stream = connect(serving.addr, config(Some(&alice), &TLS13));
    let mut put = |name: &str, body: &str| {
        let request = format!("PUT /{name} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        exchange(&mut stream, request).unwrap().status
    };
    let body = "line\n".repeat(400_000);
    assert_eq!(put("big.txt", &body), 201);
    assert_eq!(put("big.txt", "other"), 409);
    assert_eq!(put(".hidden", "x"), 400);
    assert_eq!(put("a/b", "x"), 400);
    let fingerprint = mtls_min::Identity::from_der(&alice.chain[0]).unwrap().sha256().to_owned();
    let directory = dir.path().join("uploads").join(fingerprint);
    assert_eq!(fs::read_to_string(directory.join("big.txt")).unwrap(), body);
    assert_eq!(fs::read_dir(directory).unwrap().count(), 1, "no partial file is left");
}

#[test]
fn observer_counts_by_code_and_writes_the_log_too() {
    let (dir, ca) = site();
    let serving = Serving::start(&example("observer"), dir.path(), &["127.0.0.1:0"]);
    assert_eq!(get(serving.addr, None, &TLS13).unwrap().status, 401);
    let alice = ca.client("alice");
    eventually(|| {
        let counts = get(serving.addr, Some(&alice), &TLS13).unwrap().body;
        counts.contains("401 no_certificate: 1\n") && counts.contains("200: ")
    });
    eventually(|| serving.stderr().contains(" refused=no_certificate "));
}

/// A server that refuses in silence cannot be set up.
#[test]
fn every_example_logs_whom_it_refuses() {
    for name in ["hello", "whoami", "gate_open", "upload", "observer"] {
        let (dir, _) = site();
        let serving = Serving::start(&example(name), dir.path(), &["127.0.0.1:0"]);
        get(serving.addr, None, &TLS13).unwrap();
        // `gate_open` lets everyone in, and says the verdict.
        eventually(|| serving.stderr().contains("=no_certificate "));
    }
}
