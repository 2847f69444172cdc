//! How a running server is looked at from outside of its connections.

use std::io::Write;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use mtls_min::{Access, Observer, Request, Response, Server, ServerCertificate};

use crate::support::client::{GET, TLS13, config, connect, eventually};
use crate::support::pki::Ca;
use crate::support::server::trust;

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(200);

/// Nobody passes while it is closed.
#[derive(Default)]
struct Barrier(Mutex<(bool, usize)>, Condvar);

impl Barrier {
    fn close(&self, is_closed: bool) {
        self.0.lock().unwrap().0 = is_closed;
        self.1.notify_all();
    }

    fn pass(&self) {
        let mut state = self.0.lock().unwrap();
        state.1 += 1;
        let _open = self.1.wait_while(state, |state| state.0).unwrap();
    }

    fn have_come(&self) -> usize {
        self.0.lock().unwrap().1
    }
}

struct Stuck(Arc<Barrier>);

impl Observer for Stuck {
    fn request(&self, _: &Access<'_>) {
        self.0.pass();
    }
}

/// A server with so few threads that a few connections take all.
fn server(ca: &Ca, observer: impl Observer + 'static) -> Server {
    let holder = ca.server();
    let certificate = ServerCertificate::from_pem(holder.pem().as_bytes(), holder.key_pem().as_bytes()).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    Server::builder(listener, certificate, trust(ca)).workers(1).observer(observer).build().unwrap()
}

#[test]
fn a_server_responds_from_the_start_of_serving_to_its_end() {
    let ca = Ca::new("ca");
    let server = server(&ca, mtls_min::Silent);
    let (status, shutdown) = (server.status_handle(), server.shutdown_handle());
    assert!(!status.responds_within(SHORT), "it does not serve yet");
    assert!(!status.is_stopping());
    let serving = std::thread::spawn(move || server.serve(|_: &mut Request<'_>| Response::new("".into())));
    assert!((0..1000).all(|_| status.responds_within(LONG)));
    shutdown.shutdown();
    assert!(status.is_stopping(), "it is known at once");
    serving.join().unwrap().unwrap();
    assert!(!status.responds_within(SHORT), "it has ended");
}

#[test]
fn a_server_responds_while_all_its_handlers_block() {
    let ca = Ca::new("ca");
    let server = server(&ca, mtls_min::Silent);
    let (status, shutdown, addr) = (server.status_handle(), server.shutdown_handle(), server.local_addrs()[0]);
    let barrier = Arc::new(Barrier::default());
    barrier.close(true);
    let in_handler = Arc::clone(&barrier);
    let serving = std::thread::spawn(move || {
        server.serve(move |_: &mut Request<'_>| {
            in_handler.pass();
            Response::new("".into())
        })
    });
    let alice = ca.client("alice");
    let _connections: Vec<_> = (0..4)
        .map(|_| {
            let mut tls = connect(addr, config(Some(&alice), &TLS13));
            tls.write_all(GET.as_bytes()).unwrap();
            tls
        })
        .collect();
    eventually(|| barrier.have_come() == 1);
    assert!(status.responds_within(LONG));
    barrier.close(false);
    shutdown.shutdown();
    serving.join().unwrap().unwrap();
}

#[test]
fn a_server_whose_workers_are_all_stuck_does_not_respond_until_they_go_on() {
    let ca = Ca::new("ca");
    let barrier = Arc::new(Barrier::default());
    barrier.close(true);
    let server = server(&ca, Stuck(Arc::clone(&barrier)));
    let (status, shutdown, addr) = (server.status_handle(), server.shutdown_handle(), server.local_addrs()[0]);
    let serving = std::thread::spawn(move || server.serve(|_: &mut Request<'_>| Response::new("".into())));
    let alice = ca.client("alice");
    let mut connections = Vec::new();
    let end = Instant::now() + LONG;
    // The machine may be slow; this many have to be stuck.
    while barrier.have_come() < 2 || status.responds_within(SHORT) {
        assert!(Instant::now() < end && connections.len() < 100, "it still responds");
        let before = barrier.have_come();
        let mut tls = connect(addr, config(Some(&alice), &TLS13));
        tls.write_all(GET.as_bytes()).unwrap();
        connections.push(tls);
        eventually(|| barrier.have_come() > before);
    }
    barrier.close(false);
    assert!(status.responds_within(LONG));
    shutdown.shutdown();
    serving.join().unwrap().unwrap();
}
