//! What the server reports to its operator: requests, and events outside of them.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use crate::deadline::Phase;
use crate::error::Error;
use crate::panic::caught;
use crate::proxy_protocol::ProxyFailure;
use crate::tls::failure::TlsFailure;
use crate::tls::server_certificate::ServerCertificate;
use crate::tls::session::TlsVersion;
use crate::trust::{Refusal, Trust, Verdict};
use crate::x509::identity::Identity;

/// Is told of requests and events, on the threads on which they happen, so it should be quick. [`log`](crate::log) has observers
/// that write a log. If an observer panics, that report is lost, and nothing else happens.
pub trait Observer: Send + Sync {
    /// A response has been sent, or given up; or a tunnel has ended. Does nothing by default.
    fn request(&self, access: &Access<'_>) {
        let _ = access;
    }

    /// A connection has come a step further on its way to its first request. This is for counting, and happens for each connection,
    /// so nothing is logged of it. Does nothing by default.
    fn progress(&self, progress: &Progress) {
        let _ = progress;
    }

    /// Something else happened. Does nothing by default.
    fn event(&self, event: &Event<'_>) {
        let _ = event;
    }
}

/// An observer that does nothing: the default of a server.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {}

/// One request and its response.
#[derive(Debug)]
#[non_exhaustive]
pub struct Access<'a> {
    /// When the server began to read the end of the head of the request.
    pub time: SystemTime,
    /// The client's address; behind a balancer the one that its PROXY header names.
    pub remote: SocketAddr,
    /// The version of TLS.
    pub tls: TlsVersion,
    /// The method; `-` if the head could not be read.
    pub method: &'a str,
    /// The target (path and query); `-` if the head could not be read.
    pub target: &'a str,
    /// The status of the response; 499 if there was none, because the client left before another program had made it.
    pub status: u16,
    /// Bytes of the response handed to TLS, head included; of a tunnel, all to the client.
    pub bytes: u64,
    /// From then to the last byte handed to the system, or to the end of a tunnel.
    pub duration: Duration,
    /// The verdict on the client. Even if it is a refusal, the request may have been served: see [`refusal`](Self::refusal).
    pub verdict: &'a Verdict,
    /// The id of a refused request, which the client was told (`X-Request-Id`, and on the page), so that its user can quote it.
    /// `None`: the request was not refused.
    pub request_id: Option<&'a str>,
    /// Why the server itself answered instead of the handler, or why the response was given up, or why a tunnel ended though
    /// neither side ended it.
    pub note: Option<&'a str>,
    /// What became of a request that was forwarded to an application: `answered`, `unreachable`, `timed_out`, `closed` (before the answer),
    /// `bad_answer`, or `client_left`. `None`: it was not.
    pub forwarded: Option<&'static str>,
}

impl Access<'_> {
    /// Why this request was refused for who the client is. `None` if the request is for anyone, was authorised, or failed for
    /// another reason, whatever the [verdict](Self::verdict) on the client.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self.verdict {
            Verdict::Refused(refusal) if self.request_id.is_some() => Some(refusal),
            _ => None,
        }
    }
}

/// How far a connection has come.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Progress {
    /// It was accepted.
    Accepted {
        /// The client's address.
        remote: SocketAddr,
    },
    /// Its TLS handshake is over. That says nothing of who the client is.
    Handshake {
        /// The client's address.
        remote: SocketAddr,
        /// The version of TLS.
        tls: TlsVersion,
        /// An earlier session was resumed.
        resumed: bool,
        /// Since it was accepted.
        duration: Duration,
    },
}

/// What happens outside of requests.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A TLS handshake failed because of the client.
    HandshakeFailed {
        /// The client's address.
        remote: SocketAddr,
        /// Why, and the repair; if the certificate was refused, the refusal too.
        failure: &'a TlsFailure,
    },
    /// TLS failed after the handshake.
    SessionFailed {
        /// The client's address.
        remote: SocketAddr,
        /// What the connection was doing.
        phase: Phase,
        /// Why, and the repair.
        failure: &'a TlsFailure,
    },
    /// A connection was closed before TLS: it does not come from a balancer that is trusted, or does not begin with a valid PROXY
    /// header. See [`Builder::proxy_protocol`](crate::Builder::proxy_protocol).
    ProxyRefused {
        /// The address from which it came, whatever a header says.
        remote: SocketAddr,
        /// Why, and the repair.
        failure: &'a ProxyFailure,
    },
    /// A client speaks HTTP without TLS; it was told so.
    PlainHttp {
        /// The client's address.
        remote: SocketAddr,
    },
    /// A client was too slow. Not reported for idle and lingering connections, whose end is expected.
    TimedOut {
        /// The client's address.
        remote: SocketAddr,
        /// What was waited for.
        phase: Phase,
    },
    /// A handler, or the reader of a response's body, panicked.
    Panicked {
        /// The client's address.
        remote: SocketAddr,
        /// The panic's message.
        message: &'a str,
    },
    /// The application's [refusal page](crate::Builder::refusal_page) could not be used: the client got the default page.
    RefusalPageFailed {
        /// The address of the client.
        remote: SocketAddr,
        /// Why: it panicked, or its body is a reader.
        reason: &'a str,
    },
    /// There were too many connections, so one was closed in favour of a new one; see
    /// [`Builder::max_connections`](crate::Builder::max_connections).
    Shed {
        /// The address of the client whose connection was closed.
        remote: SocketAddr,
        /// How many connections there are.
        connections: usize,
    },
    /// A connection was closed at once in a [flood](Event::FloodBegan), because too many handshakes wait already.
    TurnedAway {
        /// The client's address.
        remote: SocketAddr,
    },
    /// The server is busy: for two seconds handshakes have waited of clients from networks from which none was authorised lately. From
    /// now on at most 128 of them wait, and further connections are closed at once.
    FloodBegan,
    /// None has had to wait for ten seconds.
    FloodEnded {
        /// How long some did.
        duration: Duration,
        /// How many connections were closed at once.
        turned_away: usize,
    },
    /// A connection could not be accepted.
    AcceptFailed {
        /// The error of the system.
        error: &'a std::io::Error,
        /// How long the server waits before the next try.
        pause: Duration,
    },
    /// The certificate of an authorised client has less than 14 days left. Reported once a day for each client.
    ClientExpires {
        /// The client.
        identity: &'a Identity,
        /// How long its certificate is still valid.
        left: Duration,
    },
    /// The files of the server had changed and were read: a new trust is in force.
    Reloaded {
        /// The trust in force from now on.
        trust: &'a Trust,
        /// The certificate that new connections are shown from now on.
        certificate: &'a ServerCertificate,
    },
    /// After a change of trust, idle connections of clients that are now refused were closed. Reported once for all that were closed at about the same time.
    IdleClosed {
        /// How many.
        connections: usize,
    },
    /// The files of the server had changed, but one cannot be read or is not valid: the previous trust stays in force.
    ReloadFailed {
        /// Which file, why, and how to repair it.
        error: &'a Error,
    },
    /// Something that the operator should know in time. Reported once a day.
    Warning {
        /// One sentence.
        text: &'a str,
    },
}

/// An observer whose panics are caught.
pub(crate) struct Guarded(pub(crate) Box<dyn Observer>);

impl Observer for Guarded {
    fn request(&self, access: &Access<'_>) {
        let _ = caught(|| self.0.request(access));
    }

    fn progress(&self, progress: &Progress) {
        let _ = caught(|| self.0.progress(progress));
    }

    fn event(&self, event: &Event<'_>) {
        let _ = caught(|| self.0.event(event));
    }
}
