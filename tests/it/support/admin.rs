//! A server with an admin port, and a plain HTTP client for it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use mtls_min::admin::{Admin, Metrics, Serving};
use mtls_min::{Builder, Handler, Request, Response, Server, ServerCertificate, ServerFiles, Trust};

use super::client::{PATIENCE, Reply, read_reply};
use super::pki::Ca;
use super::server::{Running, run_observed};

/// A server, and where it is looked at. The admin port is closed before the server is stopped.
pub(crate) struct Watched {
    pub(crate) admin: SocketAddr,
    pub(crate) serving: Option<Serving>,
    pub(crate) running: Running,
}

pub(crate) fn start(trust: Trust, change: impl FnOnce(Builder) -> Builder) -> Watched {
    start_with(trust, change, |_: &mut Request<'_>| Response::new("served".into()))
}

pub(crate) fn start_with(
    trust: Trust,
    change: impl FnOnce(Builder) -> Builder,
    handler: impl Handler + 'static,
) -> Watched {
    let holder = Ca::new("server CA").server();
    let certificate = ServerCertificate::from_pem(holder.pem().as_bytes(), holder.key_pem().as_bytes()).unwrap();
    watched(change(Server::builder(any_port(), certificate, trust)), handler)
}

pub(crate) fn start_watching(files: ServerFiles, change: impl FnOnce(Builder) -> Builder) -> Watched {
    let builder = change(Server::watching(any_port(), files.load().unwrap()));
    watched(builder, |_: &mut Request<'_>| Response::new("served".into()))
}

pub(crate) fn watched(builder: Builder, handler: impl Handler + 'static) -> Watched {
    let metrics = Metrics::new();
    let running = run_observed(builder.observer(metrics.clone()), Arc::default(), handler);
    let listener = any_port();
    let admin = listener.local_addr().unwrap();
    let serving = Admin::new(metrics, running.status.clone()).serve(listener).unwrap();
    Watched { admin, serving: Some(serving), running }
}

impl Watched {
    pub(crate) fn ask(&self, path: &str) -> Reply {
        ask(self.admin, path)
    }

    pub(crate) fn figures(&self) -> Figures {
        Figures::of(self.admin)
    }

    /// Waits until there is this figure: what is counted is counted a little after the client has its answer.
    pub(crate) fn wait_for(&self, name: &str, value: f64) {
        let mut last = None;
        let begun = std::time::Instant::now();
        while last != Some(value) {
            assert!(begun.elapsed() < PATIENCE, "{name} is {last:?}, not {value}: {}", self.ask("/metrics").body);
            last = self.figures().get(name);
        }
    }
}

fn any_port() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// What is answered to a GET.
pub(crate) fn ask(admin: SocketAddr, path: &str) -> Reply {
    let mut socket = connect(admin);
    write!(socket, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let reply = read_reply(&mut socket).unwrap();
    // It is the last on its connection.
    assert_eq!(socket.read(&mut [0]).unwrap(), 0);
    reply
}

pub(crate) fn connect(admin: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(admin).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// What `/metrics` has said: the value of each sample, by name and labels as they are written.
pub(crate) struct Figures(pub(crate) BTreeMap<String, f64>);

impl Figures {
    pub(crate) fn of(admin: SocketAddr) -> Self {
        let reply = ask(admin, "/metrics");
        assert_eq!(
            (reply.status, reply.field("content-type")),
            (200, Some("text/plain; version=0.0.4; charset=utf-8"))
        );
        let sample = |line: &str| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        };
        Self(reply.body.lines().filter(|line| !line.starts_with('#')).map(sample).collect())
    }

    /// `name` is without the prefix that all have.
    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        self.0.get(&format!("mtls_min_{name}")).copied()
    }

    /// Of all samples whose name begins so.
    pub(crate) fn sum(&self, start: &str) -> f64 {
        let start = format!("mtls_min_{start}");
        self.0.iter().filter(|(name, _)| name.starts_with(&start)).map(|(_, value)| value).sum()
    }
}
