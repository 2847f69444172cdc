//! A server in this process, on a port of its own, that ends with the test.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use mtls_min::{
    Access, Builder, Event, Handler, Observer, Request, Response, Server, ServerCertificate, ServerFiles,
    ShutdownHandle, Stopped, Trust, TrustHandle, Verdict,
};

use super::pki::Ca;

/// How long a server waits for open connections when its test is over, unless the test says otherwise.
const DRAIN: Duration = Duration::from_secs(5);

pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    pub(crate) trust: TrustHandle,
    pub(crate) shutdown: ShutdownHandle,
    #[cfg(feature = "admin")]
    pub(crate) status: mtls_min::StatusHandle,
    /// How often the handler was called.
    pub(crate) calls: Arc<AtomicUsize>,
    pub(crate) seen: Arc<Seen>,
    thread: Option<JoinHandle<Stopped>>,
}

/// What the observer was told.
#[derive(Default)]
pub(crate) struct Seen {
    /// Status, then the refusal's code or the subject, for each request.
    pub(crate) requests: Mutex<Vec<(u16, String)>>,
    pub(crate) events: Mutex<Vec<String>>,
    /// Method, target, status and note of each request.
    pub(crate) lines: Mutex<Vec<String>>,
}

impl Seen {
    /// Waits for this many requests (the client has its response a little before the observer is told); then the
    /// refusal's code or the subject of each.
    pub(crate) fn codes(&self, requests: usize) -> Vec<String> {
        super::client::eventually(|| self.requests.lock().unwrap().len() >= requests);
        self.requests.lock().unwrap().iter().map(|(_, code)| code.clone()).collect()
    }

    /// The same for requests on several connections, which are told in any order.
    pub(crate) fn sorted_codes(&self, requests: usize) -> Vec<String> {
        let mut codes = self.codes(requests);
        codes.sort_unstable();
        codes
    }

    /// Waits for this many requests; then the status and the note of the last.
    pub(crate) fn last_note(&self, requests: usize) -> (u16, String) {
        self.codes(requests);
        let line = self.lines.lock().unwrap()[requests - 1].clone();
        let mut words = line.splitn(4, ' ').skip(2);
        (words.next().unwrap().parse().unwrap(), words.next().unwrap_or_default().to_owned())
    }

    pub(crate) fn events(&self) -> Vec<String> {
        self.events.lock().unwrap().clone()
    }

    /// Waits until there is this line of a request.
    pub(crate) fn wait_for_line(&self, line: &str) {
        super::client::eventually(|| self.lines.lock().unwrap().iter().any(|known| known == line));
    }

    /// Waits until there is an event that contains `text`.
    pub(crate) fn wait_for_event(&self, text: &str) {
        super::client::eventually(|| self.events().iter().any(|event| event.contains(text)));
    }
}

struct Recorder(Arc<Seen>);

impl Observer for Recorder {
    fn request(&self, access: &Access<'_>) {
        let who = match access.verdict {
            Verdict::Authorised(identity) => identity.subject().to_owned(),
            Verdict::Refused(refusal) => refusal.code().to_string(),
        };
        let Access { method, target, status, note, .. } = access;
        let line = format!("{method} {target} {status} {}", note.unwrap_or_default());
        self.0.lines.lock().unwrap().push(line.trim_end().to_owned());
        self.0.requests.lock().unwrap().push((access.status, who));
    }

    fn event(&self, event: &Event<'_>) {
        self.0.events.lock().unwrap().push(format!("{event:?}"));
    }
}

/// Trust in one CA.
pub(crate) fn trust(ca: &Ca) -> Trust {
    Trust::builder().pem(ca.pem(), "test CA").build().unwrap()
}

/// A server that answers `hello SUBJECT`.
pub(crate) fn start(trust: Trust) -> Running {
    start_with(
        trust,
        |builder| builder,
        |request: &mut Request<'_>| Response::new(format!("hello {}\n", request.peer().subject()).into()),
    )
}

pub(crate) fn start_with(
    trust: Trust,
    change: impl FnOnce(Builder) -> Builder,
    handler: impl Handler + 'static,
) -> Running {
    let server_ca = Ca::new("server CA");
    start_as(&server_ca, trust, change, handler)
}

/// A server that tells this observer instead of `Running::seen`.
pub(crate) fn start_observed(
    trust: Trust,
    change: impl FnOnce(Builder) -> Builder,
    observer: impl Observer + 'static,
) -> Running {
    let holder = Ca::new("server CA").server();
    let certificate = ServerCertificate::from_pem(holder.pem().as_bytes(), holder.key_pem().as_bytes()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let builder = change(Server::builder(listener, certificate, trust).drain_timeout(DRAIN)).observer(observer);
    run_observed(builder, Arc::default(), |_: &mut Request<'_>| Response::new("served".into()))
}

/// A server whose certificate this CA issued.
pub(crate) fn start_as(
    server_ca: &Ca,
    trust: Trust,
    change: impl FnOnce(Builder) -> Builder,
    handler: impl Handler + 'static,
) -> Running {
    let holder = server_ca.server();
    let certificate = ServerCertificate::from_pem(holder.pem().as_bytes(), holder.key_pem().as_bytes()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    run(change(Server::builder(listener, certificate, trust).drain_timeout(DRAIN)), handler)
}

/// A server that is made of these files, watches them, and answers `hello SUBJECT`.
pub(crate) fn start_watching(files: ServerFiles) -> Running {
    start_watching_with(files, |builder| builder)
}

pub(crate) fn start_watching_with(files: ServerFiles, change: impl FnOnce(Builder) -> Builder) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let builder = Server::watching(listener, files.load().unwrap()).max_connections(4096).drain_timeout(DRAIN);
    run(change(builder), |request: &mut Request<'_>| {
        Response::new(format!("hello {}\n", request.peer().subject()).into())
    })
}

fn run(builder: Builder, handler: impl Handler + 'static) -> Running {
    let seen = Arc::new(Seen::default());
    run_observed(builder.observer(Recorder(Arc::clone(&seen))), seen, handler)
}

pub(crate) fn run_observed(builder: Builder, seen: Arc<Seen>, handler: impl Handler + 'static) -> Running {
    let calls = Arc::new(AtomicUsize::new(0));
    let server = builder.build().unwrap();
    let (addr, trust, shutdown) = (server.local_addrs()[0], server.trust_handle(), server.shutdown_handle());
    #[cfg(feature = "admin")]
    let status = server.status_handle();
    let counter = Arc::clone(&calls);
    let counted = move |request: &mut Request<'_>| {
        counter.fetch_add(1, Ordering::SeqCst);
        handler.handle(request)
    };
    let thread = std::thread::spawn(move || server.serve(counted).unwrap());
    let thread = Some(thread);
    Running {
        addr,
        trust,
        shutdown,
        #[cfg(feature = "admin")]
        status,
        calls,
        seen,
        thread,
    }
}

impl Running {
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    pub(crate) fn stop(mut self) -> Stopped {
        self.shutdown.shutdown();
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.shutdown();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
