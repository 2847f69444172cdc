//! Health checks, figures for Prometheus, and who was last seen: plain HTTP on a port of its own, for the operator. (With the feature
//! `admin`.)
//!
//! ```no_run
//! use mtls_min::admin::{Admin, Metrics};
//! use mtls_min::log::AccessLog;
//! # use mtls_min::{Request, Server, ServerCertificate, Trust, response, http::StatusCode};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let listener = std::net::TcpListener::bind("127.0.0.1:4433")?;
//! # let certificate = ServerCertificate::from_pem_files("crt.pem", "key.pem")?;
//! # let trust = Trust::from_pem_files(["ca.pem"])?;
//!
//! // Counts, and hands on to the log.
//! let metrics = Metrics::around(AccessLog::text(std::io::stderr())?);
//! let server = Server::builder(listener, certificate, trust).observer(metrics.clone()).build()?;
//! let loopback = std::net::TcpListener::bind("127.0.0.1:9433")?;
//! let admin = Admin::new(metrics, server.status_handle()).serve(loopback)?;
//! server.serve(|_: &mut Request<'_>| response::text(StatusCode::OK, "hello\n"))?;
//! drop(admin);
//! # Ok(())
//! # }
//! ```
//!
//! | path | what it answers |
//! | --- | --- |
//! | `/healthz` | 200 if the server works, else 503: it should be started anew |
//! | `/readyz` | 200 if clients should be sent here, else 503 and the reasons, one a line |
//! | `/metrics` | figures in the text format of Prometheus |
//! | `/clients` | the authorised clients that were last seen, as JSON |
//!
//! Anybody who can connect may read it, so the port belongs on loopback, or on a Unix socket ([`Listener::unix`]). It tells names of
//! clients, and no secrets. `docs/metrics.md` has every figure.

mod clients;
mod connections;
mod counts;
mod exposition;
mod ledger;
mod listener;
mod metrics;
mod readiness;
mod reply;

use std::net::IpAddr;
use std::time::Duration;

use http::header::HOST;

use crate::error::Error;
use crate::http1::Head;
use crate::panic::caught;
use crate::server::status::StatusHandle;
use connections::Doorway;
use reply::Reply;

pub use connections::Serving;
pub use listener::Listener;
pub use metrics::Metrics;

/// How long a server that works may take to say so. More than a busy one needs, and less than those who ask wait.
const LONGEST_ROUND_TRIP: Duration = Duration::from_secs(2);

/// What the admin port answers with.
#[derive(Debug, Clone)]
pub struct Admin {
    metrics: Metrics,
    status: StatusHandle,
}

impl Admin {
    /// Of a server whose observer is `metrics`.
    pub fn new(metrics: Metrics, status: StatusHandle) -> Self {
        Self { metrics, status }
    }

    /// Answers on this listener, on threads of its own, until what is returned is dropped. At most sixteen clients have a connection
    /// at a time, five seconds each: a further one takes the place of the oldest.
    ///
    /// # Errors
    /// The listener cannot be used, or a thread cannot be started.
    pub fn serve(self, listener: impl Into<Listener>) -> Result<Serving, Error> {
        let listener = listener.into();
        let is_local = listener.address().is_some_and(|address| address.ip().to_canonical().is_loopback());
        Doorway::open(listener, move |head| match is_local && is_rebound(head) {
            true => Reply::text(403, "ask by an IP address or localhost\n"),
            false => caught(|| self.answer(head)).unwrap_or_else(|message| Reply::failed(&message)),
        })
    }

    fn answer(&self, head: &Head) -> Reply {
        if !matches!(head.parts.method.as_str(), "GET" | "HEAD") {
            return Reply::method_not_allowed();
        }
        match head.parts.uri.path() {
            "/healthz" => match self.status.responds_within(LONGEST_ROUND_TRIP) {
                true => Reply::text(200, "ok\n"),
                false => Reply::text(503, "the server does not respond\n"),
            },
            "/readyz" => readiness::answer(&self.status.status()),
            "/metrics" => match exposition::text(&self.metrics, &self.status.status()) {
                Ok(text) => Reply::figures(text),
                Err(error) => Reply::failed(&error.to_string()),
            },
            "/clients" => Reply::json(clients::json(&self.metrics.clients())),
            _ => Reply::text(404, "there are /healthz, /readyz, /metrics and /clients\n"),
        }
    }
}

/// Whether a web page made its browser ask: by a name that its owner has turned to this host (DNS rebinding).
fn is_rebound(head: &Head) -> bool {
    let Some(host) = head.parts.headers.get(HOST) else { return false };
    let host = host.to_str().unwrap_or_default();
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((literal, _)) => literal,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.parse::<IpAddr>().is_err() && !name.eq_ignore_ascii_case("localhost")
}
