//! What the server tells its operator: one record a request, and what else happens to connections.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use crate::deadline::Phase;
use crate::error::Error;
use crate::panic::caught;
use crate::tls::failure::TlsFailure;
use crate::tls::server_certificate::ServerCertificate;
use crate::tls::session::TlsVersion;
use crate::trust::{Refusal, Trust, Verdict};
use crate::x509::identity::Identity;

/// Is told what happens, from the threads on which it happens: it should be quick. If it panics, what it was told is lost.
pub trait Observer: Send + Sync {
    /// A response has been sent, or given up.
    fn request(&self, access: &Access<'_>) {
        let _ = access;
    }

    /// Something else happened.
    fn event(&self, event: &Event<'_>) {
        let _ = event;
    }
}

/// An observer that looks away: the default.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {}

/// One request and its response.
#[derive(Debug)]
#[non_exhaustive]
pub struct Access<'a> {
    /// When the head of the request was complete.
    pub time: SystemTime,
    /// The client's address.
    pub remote: SocketAddr,
    /// The version of TLS.
    pub tls: TlsVersion,
    /// The method; `-` if the head could not be read.
    pub method: &'a str,
    /// The target (path and query); `-` if the head could not be read.
    pub target: &'a str,
    /// The status of the response.
    pub status: u16,
    /// Bytes of the response handed to TLS, head included.
    pub bytes: u64,
    /// From the complete head of the request to the last byte handed to the system.
    pub duration: Duration,
    /// The verdict on the client. One that is not authorised may have been served all the same: see
    /// [`refusal`](Self::refusal).
    pub verdict: &'a Verdict,
    /// The id that a refused client was told, so that its user can name this line. `None`: it was not refused.
    pub request_id: Option<&'a str>,
    /// Why the server itself answered, not the handler; or why the response was given up.
    pub note: Option<&'a str>,
}

impl Access<'_> {
    /// Why this request was refused, if it was: because of who the client is. `None` where the request is for anyone, was
    /// authorised, or failed for another reason, whatever the [verdict](Self::verdict) on the client.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self.verdict {
            Verdict::Refused(refusal) if self.request_id.is_some() => Some(refusal),
            _ => None,
        }
    }
}

/// What happens outside of requests.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A TLS handshake failed, for what the client is, has, says or does.
    HandshakeFailed {
        /// The client's address.
        remote: SocketAddr,
        /// Why, and the repair; if it is for the client's certificate, the refusal too.
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
    /// A client speaks HTTP without TLS; it was told so.
    PlainHttp {
        /// The client's address.
        remote: SocketAddr,
    },
    /// A client was too slow. Not told for idle and lingering connections, whose end is no surprise.
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
    /// There are too many connections: one was closed in favour of a new one (see
    /// [`Builder::max_connections`](crate::Builder::max_connections)).
    Shed {
        /// The address of the client whose connection was closed.
        remote: SocketAddr,
        /// How many connections there are.
        connections: usize,
    },
    /// A connection could not be accepted; the next try is after `pause`.
    AcceptFailed {
        /// What the system says.
        error: &'a std::io::Error,
        /// How long no connection is accepted.
        pause: Duration,
    },
    /// The certificate of an authorised client has less than 14 days left; told once a day for each.
    ClientExpires {
        /// The client.
        identity: &'a Identity,
        /// How long its certificate is still valid.
        left: Duration,
    },
    /// The files of the server had changed, and were read: a new trust is in force.
    Reloaded {
        /// The trust in force from now on.
        trust: &'a Trust,
        /// What new connections are shown from now on.
        certificate: &'a ServerCertificate,
    },
    /// The files of the server had changed, and one cannot be read or is not valid: what was in force stays in force.
    ReloadFailed {
        /// Which file, why, and the mend.
        error: &'a Error,
    },
    /// Something that the operator should know of in time; told once a day.
    Warning {
        /// One sentence.
        text: &'a str,
    },
}

/// An observer whose panics cost what it would have told, and nothing else.
pub(crate) struct Guarded(pub(crate) Box<dyn Observer>);

impl Observer for Guarded {
    fn request(&self, access: &Access<'_>) {
        let _ = caught(|| self.0.request(access));
    }

    fn event(&self, event: &Event<'_>) {
        let _ = caught(|| self.0.event(event));
    }
}
