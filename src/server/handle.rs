//! The handles by which a running server is stopped, and given new trust.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, RwLock, Weak};
use std::time::{Duration, SystemTime};

use rustls::crypto::CryptoProvider;

use super::pool::Pool;
use crate::clock::Clock;
use crate::config::Handshakes;
use crate::error::Error;
use crate::reactor::StopSignal;
use crate::reactor::round_trip::RoundTrip;
use crate::sync::{Current, lock, unpoisoned};
use crate::tls::acceptor::Tls;
use crate::tls::server_certificate::ServerCertificate;
use crate::tls::verifier::Judge;
use crate::trust::{Trust, TrustStore};

/// Shared by a server and its handles.
pub(crate) struct Control {
    pub(crate) trust: Arc<TrustStore>,
    /// For the connections that are accepted from now on.
    pub(crate) tls: Arc<Current<Tls>>,
    certificate: RwLock<ServerCertificate>,
    provider: Arc<CryptoProvider>,
    handshakes: Handshakes,
    pub(crate) clock: Clock,
    /// Ends accepting, and so begins draining.
    pub(crate) stop: StopSignal,
    /// Somebody asked for a shutdown; draining may begin later.
    shutdown_asked: AtomicBool,
    pub(crate) bell: Bell,
    /// While it serves.
    pub(crate) pool: OnceLock<Weak<Pool>>,
    last_reload: Mutex<LastReload>,
    pub(crate) round_trip: Arc<RoundTrip>,
}

impl Control {
    pub(crate) fn new(
        provider: Arc<CryptoProvider>,
        trust: Trust,
        certificate: ServerCertificate,
        handshakes: Handshakes,
        clock: Clock,
    ) -> Result<Self, Error> {
        let trust = Arc::new(TrustStore::new(trust));
        let judge = Judge { trust: Arc::clone(&trust), clock: clock.clone() };
        let tls = set_up(&provider, &certificate, &trust.current(), judge, handshakes)?;
        let no_pipe = |error| Error::new("cannot make a pipe").caused_by(error);
        Ok(Self {
            trust,
            tls: Arc::new(Current::new(tls)),
            certificate: RwLock::new(certificate),
            provider,
            handshakes,
            clock,
            stop: StopSignal::new().map_err(no_pipe)?,
            shutdown_asked: false.into(),
            bell: Bell::default(),
            pool: OnceLock::new(),
            last_reload: Mutex::new(LastReload::good()),
            round_trip: Arc::new(RoundTrip::new().map_err(no_pipe)?),
        })
    }

    /// Whether somebody asked for a shutdown. It is known before draining begins.
    pub(crate) fn shutdown_asked(&self) -> bool {
        self.shutdown_asked.load(Ordering::SeqCst)
    }

    /// When trust and certificate were last read, or put in force.
    pub(crate) fn last_reload(&self) -> LastReload {
        lock(&self.last_reload).clone()
    }

    /// The files could not be read: what was in force stays.
    pub(crate) fn note_failed_reload(&self, why: &str) {
        *lock(&self.last_reload) = LastReload { time: SystemTime::now(), failure: Some(why.to_owned()) };
    }

    /// The server's certificate in force.
    pub(crate) fn certificate(&self) -> ServerCertificate {
        unpoisoned(self.certificate.read()).clone()
    }

    /// All or nothing: everything that can fail is done before anything is changed. `None`: the certificate stays.
    pub(crate) fn replace(&self, trust: Trust, certificate: Option<ServerCertificate>) -> Result<(), Error> {
        // Held to the end, so that two replacements at the same time do not mix.
        let mut in_force = unpoisoned(self.certificate.write());
        let certificate = certificate.unwrap_or_else(|| in_force.clone());
        let judge = Judge { trust: Arc::clone(&self.trust), clock: self.clock.clone() };
        let tls = set_up(&self.provider, &certificate, &trust, judge, self.handshakes)?;
        // The trust first: from here on nobody is let in by the old one, whatever configuration was used in the handshake.
        self.trust.replace(trust);
        self.tls.replace(tls);
        *in_force = certificate;
        *lock(&self.last_reload) = LastReload::good();
        self.bell.ring(|asked| asked.replaced = true);
        Ok(())
    }
}

fn set_up(
    provider: &Arc<CryptoProvider>,
    certificate: &ServerCertificate,
    trust: &Trust,
    judge: Judge,
    handshakes: Handshakes,
) -> Result<Tls, Error> {
    if let Some(place) = trust.policy().place_of_anyone().filter(|_| handshakes.strict) {
        return Err(Error::new(format!(
            "{place}: where clients are refused in the handshake, it cannot be for anyone"
        ))
        .hint("leave out `Builder::refuse_in_handshake`, or write any in place of anyone"));
    }
    let failed = |error| Error::new("TLS cannot be set up").caused_by(error);
    Tls::new(provider, certificate, trust, judge, handshakes).map_err(failed)
}

/// The last time that trust and certificate were read anew, or at first.
#[derive(Debug, Clone)]
pub(crate) struct LastReload {
    pub(crate) time: SystemTime,
    /// Why it failed, if it did.
    pub(crate) failure: Option<String>,
}

impl LastReload {
    fn good() -> Self {
        Self { time: SystemTime::now(), failure: None }
    }
}

/// Wakes the caretaker.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    asked: Mutex<Asked>,
    rung: Condvar,
}

/// What the caretaker is asked to do.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) stop: bool,
    pub(crate) reload: bool,
    pub(crate) replaced: bool,
    /// Set by the caretaker: it has stopped.
    pub(crate) is_over: bool,
}

impl Bell {
    pub(crate) fn ring(&self, ask: impl FnOnce(&mut Asked)) {
        ask(&mut lock(&self.asked));
        self.rung.notify_all();
    }

    /// Waits until the caretaker has stopped. `false`: the time was up first; the caretaker may hang in a file system.
    pub(crate) fn wait_until_over(&self, time: Duration) -> bool {
        let asked = lock(&self.asked);
        let wait = self.rung.wait_timeout_while(asked, time, |asked| !asked.is_over);
        unpoisoned(wait).0.is_over
    }

    /// Waits until it is rung, at most for `time`. A request to stop stays, the others are reported once.
    pub(crate) fn wait(&self, time: Duration) -> Asked {
        let asked = lock(&self.asked);
        let silent = |asked: &mut Asked| !asked.stop && !asked.reload && !asked.replaced;
        let (mut asked, _) = unpoisoned(self.rung.wait_timeout_while(asked, time, silent));
        let Asked { stop, is_over, .. } = *asked;
        std::mem::replace(&mut *asked, Asked { stop, is_over, ..Asked::default() })
    }
}

/// Stops a server from anywhere. Clones stop the same server.
#[derive(Clone)]
pub struct ShutdownHandle(pub(crate) Arc<Control>);

impl ShutdownHandle {
    /// Begins draining, after the [delay](crate::Builder::drain_delay) that is set, and returns at once; [`Server::serve`](crate::Server::serve) returns when it is over. Calling it again
    /// changes nothing; calling it before `serve` makes `serve` return at once.
    pub fn shutdown(&self) {
        self.0.shutdown_asked.store(true, Ordering::SeqCst);
        self.0.stop.raise();
    }
}

impl fmt::Debug for ShutdownHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShutdownHandle")
    }
}

/// Replaces what a running server trusts. Clones act on the same server.
///
/// The new trust counts for new connections and for the next request on every open one; idle connections of clients that are
/// now refused are closed.
#[derive(Clone)]
pub struct TrustHandle(pub(crate) Arc<Control>);

impl TrustHandle {
    /// Puts `trust` in force.
    ///
    /// # Errors
    /// TLS cannot be set up with it; the old one stays in force.
    pub fn replace(&self, trust: Trust) -> Result<(), Error> {
        self.0.replace(trust, None)
    }

    /// The same, and new connections are shown `certificate`.
    ///
    /// # Errors
    /// TLS cannot be set up with them; the old ones stay in force.
    pub fn replace_with_certificate(&self, trust: Trust, certificate: ServerCertificate) -> Result<(), Error> {
        self.0.replace(trust, Some(certificate))
    }

    /// Makes a server that watches its files ([`Server::watching`](crate::Server::watching)) read them soon, changed or not. It
    /// does so on a thread of its own, and reports the result to its observer. Other servers have nothing to read.
    pub fn reload(&self) {
        self.0.bell.ring(|asked| asked.reload = true);
    }

    /// The trust in force.
    pub fn current(&self) -> Arc<Trust> {
        self.0.trust.current()
    }
}

impl fmt::Debug for TrustHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TrustHandle")
    }
}
