//! What is answered, and what is not.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Condvar, Mutex};

use mtls_min::admin::{Admin, Listener, Metrics};
use mtls_min::{Access, Observer};

use crate::support::admin::{ask, connect, start};
use crate::support::client::{PATIENCE, TLS13, eventually, get, read_reply};
use crate::support::files::TempDir;
use crate::support::pki::Ca;
use crate::support::server::trust;

#[test]
fn each_endpoint_has_its_type_and_is_never_stored() {
    let watched = start(trust(&Ca::new("ca")), |builder| builder);
    // It may be asked before it serves.
    eventually(|| watched.ask("/readyz").status == 200);
    for (path, status, kind, start) in [
        ("/healthz", 200, "text/plain; charset=utf-8", "ok\n"),
        ("/readyz", 200, "text/plain; charset=utf-8", "ready\n"),
        ("/metrics", 200, "text/plain; version=0.0.4; charset=utf-8", "# HELP mtls_min_connections "),
        ("/metrics?a=b", 200, "text/plain; version=0.0.4; charset=utf-8", "# HELP mtls_min_connections "),
        ("/clients", 200, "application/json", "{\"clients\":["),
        ("/", 404, "text/plain; charset=utf-8", "there are /healthz,"),
        ("/healthz/", 404, "text/plain; charset=utf-8", "there are /healthz,"),
    ] {
        let reply = watched.ask(path);
        assert_eq!((reply.status, reply.field("content-type")), (status, Some(kind)), "{path}");
        assert_eq!(reply.field("cache-control"), Some("no-store"), "{path}");
        assert!(reply.body.starts_with(start), "{path}: {}", reply.body);
    }
}

#[test]
fn other_methods_are_405_and_bad_heads_are_refused() {
    let watched = start(trust(&Ca::new("ca")), |builder| builder);
    let answer = |bytes: &str| {
        let mut socket = connect(watched.admin);
        socket.write_all(bytes.as_bytes()).unwrap();
        let mut text = String::new();
        socket.read_to_string(&mut text).unwrap();
        text
    };
    let long = "a".repeat(10_000);
    for (request, status) in [
        ("POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello".to_owned(), 405),
        ("DELETE /clients HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), 405),
        ("HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), 200),
        ("GET /healthz HTTP/1.1\r\nHost: LOCALHOST:1\r\n\r\n".to_owned(), 200),
        ("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:9433\r\n\r\n".to_owned(), 200),
        ("GET /healthz HTTP/1.1\r\nHost: [::1]:9433\r\n\r\n".to_owned(), 200),
        ("GET /clients HTTP/1.1\r\nHost: evil.example:9433\r\n\r\n".to_owned(), 403),
        ("GET /clients HTTP/1.1\r\nHost: 127.0.0.1.evil.example\r\n\r\n".to_owned(), 403),
        ("GET /clients HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n".to_owned(), 403),
        ("GET /healthz HTTP/1.0\r\n\r\n".to_owned(), 200),
        ("GET /healthz HTTP/1.1\r\n\r\n".to_owned(), 400),
        (
            "GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
                .to_owned(),
            400,
        ),
        ("hello\r\n\r\n".to_owned(), 400),
        (format!("GET /{long} HTTP/1.1\r\n\r\n"), 414),
        (format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: {long}\r\n\r\n"), 431),
    ] {
        let text = answer(&request);
        assert!(text.starts_with(&format!("HTTP/1.0 {status} ")), "{}: {text}", request.lines().next().unwrap());
        assert_eq!(text.contains("Allow: GET, HEAD\r\n"), status == 405, "{text}");
        assert_eq!(text.ends_with("\r\n\r\n"), request.starts_with("HEAD"), "{text}");
    }
}

#[test]
fn a_unix_socket_is_for_its_user_and_leaves_no_file() {
    use std::os::unix::fs::PermissionsExt;
    let ca = Ca::new("ca");
    let dir = TempDir::new();
    let path = dir.path().join("admin");
    let running = crate::support::server::start(trust(&ca));
    // Left by a server that was killed.
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let listener = Listener::unix(&path).unwrap();
    assert_eq!(listener.address(), None);
    let serving = Admin::new(Metrics::new(), running.status.clone()).serve(listener).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
    eventually(|| {
        let mut socket = UnixStream::connect(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        read_reply(&mut socket).unwrap().status == 200
    });
    // Somebody listens there.
    let error = Listener::unix(&path).unwrap_err();
    assert!(format!("{error:?}").contains("another program listens on the socket"), "{error:?}");
    drop(serving);
    assert!(!path.exists(), "its file stays");
    // What is no socket is left alone, and so is a link to one.
    std::fs::write(&path, "precious").unwrap();
    let error = Listener::unix(&path).unwrap_err();
    assert!(format!("{error:?}").contains("is there already, and is not a socket"), "{error:?}");
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    let error = Listener::unix(dir.path().join("nowhere/admin")).unwrap_err();
    assert!(error.hint_text().unwrap().contains("its directory has to exist"), "{error:?}");
}

#[test]
fn the_socket_of_another_server_stays() {
    let dir = TempDir::new();
    let path = dir.path().join("admin");
    let first = Listener::unix(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let second = Listener::unix(&path).unwrap();
    drop(first);
    assert!(path.exists());
    drop(second);
    assert!(!path.exists());
}

/// Blocks all workers in the observer.
struct Stuck(Arc<(Mutex<bool>, Condvar)>);

impl Observer for Stuck {
    fn request(&self, _: &Access<'_>) {
        let _open = self.0.1.wait_while(self.0.0.lock().unwrap(), |closed| *closed).unwrap();
    }
}

#[test]
fn a_server_that_is_stuck_is_not_healthy_and_the_other_figures_can_still_be_read() {
    let ca = Ca::new("ca");
    let barrier = Arc::new((Mutex::new(true), Condvar::new()));
    let metrics = Metrics::around(Stuck(Arc::clone(&barrier)));
    let running = crate::support::server::start_observed(trust(&ca), |builder| builder.workers(1), metrics.clone());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = listener.local_addr().unwrap();
    let _serving = Admin::new(metrics, running.status.clone()).serve(listener).unwrap();
    let alice = ca.client("alice");
    let mut asked = 0;
    while ask(admin, "/healthz").status == 200 {
        assert!(asked < 100, "it is still healthy");
        // It has its answer before the observer is told.
        let _ = get(running.addr, Some(&alice), &TLS13);
        asked += 1;
    }
    let reply = ask(admin, "/healthz");
    assert_eq!((reply.status, reply.body.as_str()), (503, "the server does not respond\n"));
    assert_eq!((ask(admin, "/metrics").status, ask(admin, "/clients").status), (200, 200));
    *barrier.0.lock().unwrap() = false;
    barrier.1.notify_all();
    eventually(|| ask(admin, "/healthz").status == 200);
}

#[test]
fn the_port_closes_when_it_is_dropped() {
    let mut watched = start(trust(&Ca::new("ca")), |builder| builder);
    let _idle = connect(watched.admin);
    watched.serving = None;
    assert!(std::net::TcpStream::connect(watched.admin).is_err());
}
