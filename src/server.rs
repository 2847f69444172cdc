//! The server: built, started, stopped.

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;

use crate::builder::{Builder, Settings};
use crate::clock::Clock;
use crate::context::{Context, Limits, References};
use crate::crypto;
use crate::deadline::Timeouts;
use crate::error::Error;
use crate::handler::Handler;
use crate::listener;
use crate::observer::Observer;
use crate::parking::{Capacity, ParkingLot};
use crate::pool::Pool;
use crate::server_certificate::ServerCertificate;
use crate::sys::{Poller, StopSignal, sleep_unless_stopped};
use crate::tls;
use crate::trust::{Trust, TrustStore};

/// A mutual-TLS server, ready to serve.
///
/// ```no_run
/// use mtls_min::{Request, Response, Server, ServerCertificate, Trust};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let listener = std::net::TcpListener::bind("127.0.0.1:4433")?;
/// let certificate = ServerCertificate::from_pem_files("certs/server-crt.pem", "certs/server-key.pem")?;
/// let trust = Trust::from_pem_files(["certs/ca.pem"])?;
/// let server = Server::builder(listener, certificate, trust).build()?;
/// server.serve(|request: &mut Request<'_>| {
///     Response::new(format!("hello {}\n", request.peer().subject()).into())
/// })?;
/// # Ok(())
/// # }
/// ```
pub struct Server {
    settings: Settings,
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    control: Arc<Control>,
    timeouts: Timeouts,
    limits: Limits,
    observer: Box<dyn Observer>,
}

impl Server {
    /// Describes a server that listens on `listener`, shows `certificate`, and lets in whom `trust` vouches for.
    ///
    /// Bring your own listener: bound to any port with `:0`, inherited, or with options set.
    pub fn builder(listener: TcpListener, certificate: ServerCertificate, trust: Trust) -> Builder {
        Builder::new(listener, certificate, trust)
    }

    pub(crate) fn new(builder: Builder) -> Result<Self, Error> {
        let Builder { listeners, certificate, trust, settings, timeouts, limits, observer, clock } = builder;
        let addresses = listeners
            .iter()
            .map(TcpListener::local_addr)
            .collect::<Result<_, _>>()
            .map_err(|error| Error::new("a listener has no address").caused_by(error))?;
        let provider = crypto::provider()?;
        let trust = Arc::new(trust);
        let tls = tls_config(&provider, &certificate, Arc::clone(&trust), settings.refuse_in_handshake, &clock)?;
        let control = Arc::new(Control {
            trust: Arc::new(TrustStore::new(trust)),
            tls: RwLock::new(tls),
            provider,
            certificate,
            refuse_in_handshake: settings.refuse_in_handshake,
            clock,
            stop: StopSignal::new().map_err(|error| Error::new("cannot make a pipe").caused_by(error))?,
        });
        Ok(Self { settings, listeners, addresses, control, timeouts, limits, observer })
    }

    /// The addresses it listens on, with the real ports.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// A handle that stops this server from anywhere.
    pub fn shutdown_handle(&self) -> ShutdownHandle {
        ShutdownHandle(Arc::clone(&self.control))
    }

    /// A handle that replaces what this server trusts while it runs.
    pub fn trust_handle(&self) -> TrustHandle {
        TrustHandle(Arc::clone(&self.control))
    }

    /// Serves until a [`ShutdownHandle`] stops it, then drains: no new connections, idle ones are closed with
    /// close_notify, running answers are finished, all within the drain timeout.
    ///
    /// # Errors
    /// Threads or the poller cannot be made. Once it serves, nothing ends it but a shutdown.
    pub fn serve(self, handler: impl Handler + 'static) -> Result<Stopped, Error> {
        let Self { settings, listeners, control, timeouts, limits, observer, .. } = self;
        let drain = timeouts.drain;
        let context = Context {
            handler: Box::new(handler),
            gate: settings.gate,
            timeouts,
            limits,
            trust: Arc::clone(&control.trust),
            observer,
            clock: control.clock.clone(),
            references: References::new(),
            draining: false.into(),
        };
        let stop = StopSignal::new().map_err(|error| Error::new("cannot make a pipe").caused_by(error))?;
        let poller = Poller::new(&stop).map_err(|error| Error::new("cannot make a poller").caused_by(error))?;
        let capacity = Capacity { connections: settings.max_connections, reserved: settings.max_connections / 4 };
        let pool = Arc::new(Pool { context, lot: ParkingLot::new(capacity), poller, stop });
        let mut threads = Threads::default();
        let started = threads.start(&pool, &control, listeners, settings.workers);
        if started.is_ok() {
            // Until somebody stops the server.
            while sleep_unless_stopped(&control.stop, Duration::from_secs(3600)) {}
        }
        // On an error, what was started before it is stopped in the same way.
        control.stop.raise();
        let stopped = threads.drain_and_join(&pool, drain);
        started.map(|()| stopped).map_err(|error| Error::new("cannot start a thread").caused_by(error))
    }
}

/// What a running server can be told from outside.
struct Control {
    trust: Arc<TrustStore>,
    /// For the connections that are accepted from now on.
    tls: RwLock<Arc<ServerConfig>>,
    provider: Arc<CryptoProvider>,
    certificate: ServerCertificate,
    refuse_in_handshake: bool,
    clock: Clock,
    /// Ends the accepting, and so begins the draining.
    stop: StopSignal,
}

impl Control {
    fn tls_config(&self, trust: Arc<Trust>) -> Result<Arc<ServerConfig>, Error> {
        tls_config(&self.provider, &self.certificate, trust, self.refuse_in_handshake, &self.clock)
    }
}

fn tls_config(
    provider: &Arc<CryptoProvider>,
    certificate: &ServerCertificate,
    trust: Arc<Trust>,
    refuse_in_handshake: bool,
    clock: &Clock,
) -> Result<Arc<ServerConfig>, Error> {
    tls::config(provider, certificate, trust, refuse_in_handshake.then(|| clock.clone()))
        .map_err(|error| Error::new("TLS cannot be set up").caused_by(error))
}

/// Stops a server from anywhere. Clones stop the same server.
#[derive(Clone)]
pub struct ShutdownHandle(Arc<Control>);

impl ShutdownHandle {
    /// Begins the draining and returns at once; [`Server::serve`] returns when it is over. Calling it again changes
    /// nothing; calling it before `serve` makes `serve` return at once.
    pub fn shutdown(&self) {
        self.0.stop.raise();
    }
}

impl fmt::Debug for ShutdownHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShutdownHandle")
    }
}

/// Replaces what a running server trusts. Clones act on the same server.
#[derive(Clone)]
pub struct TrustHandle(Arc<Control>);

impl TrustHandle {
    /// From now on `trust` decides: for new connections, and for the next request of every open one.
    ///
    /// # Errors
    /// TLS cannot be set up with it; the old one stays in force.
    pub fn replace(&self, trust: Trust) -> Result<(), Error> {
        let trust = Arc::new(trust);
        let config = self.0.tls_config(Arc::clone(&trust))?;
        // The verdict first: from here on nobody is let in by the old trust, whatever configuration shook hands.
        self.0.trust.replace(trust);
        *self.0.tls.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }
}

impl fmt::Debug for TrustHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TrustHandle")
    }
}

/// How a server came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stopped {
    /// Every running answer was finished.
    Drained,
    /// The drain timeout was over first, and connections were cut. A handler that still runs keeps its thread.
    Cut {
        /// How many connections were still there.
        connections: usize,
    },
}

/// The threads of a running server.
#[derive(Default)]
struct Threads {
    listeners: Vec<JoinHandle<()>>,
    workers: Vec<JoinHandle<()>>,
    timekeeper: Option<JoinHandle<()>>,
}

impl Threads {
    fn start(
        &mut self,
        pool: &Arc<Pool>,
        control: &Arc<Control>,
        listeners: Vec<TcpListener>,
        workers: usize,
    ) -> std::io::Result<()> {
        for number in 0..workers {
            let pool = Arc::clone(pool);
            self.workers.push(thread::Builder::new().name(format!("worker-{number}")).spawn(move || pool.work())?);
        }
        let timekeeper = Arc::clone(pool);
        self.timekeeper =
            Some(thread::Builder::new().name("timekeeper".to_owned()).spawn(move || timekeeper.keep_time())?);
        for listener in listeners {
            listener.set_nonblocking(true)?;
            let (pool, control) = (Arc::clone(pool), Arc::clone(control));
            let accept = move || listener::accept_until(&control.stop, &listener, &control.tls, &pool);
            self.listeners.push(thread::Builder::new().name("listener".to_owned()).spawn(accept)?);
        }
        Ok(())
    }

    fn drain_and_join(self, pool: &Pool, timeout: Duration) -> Stopped {
        let end = Instant::now() + timeout;
        for listener in self.listeners {
            // Joining fails only if the thread panicked; then it is over too. The same below.
            let _ = listener.join();
        }
        pool.context.draining.store(true, Ordering::SeqCst);
        // Again and again: an answer that was begun before may still become an idle connection.
        loop {
            pool.close_idle();
            if pool.lot.wait_until_empty(Duration::from_millis(50)) || Instant::now() >= end {
                break;
            }
        }
        let connections = pool.close_all_parked();
        pool.stop();
        if let Some(timekeeper) = self.timekeeper {
            let _ = timekeeper.join();
        }
        for worker in self.workers {
            // A worker that is still in a handler cannot be made to leave it.
            if pool.lot.wait_until_empty(Duration::ZERO) || worker.is_finished() {
                let _ = worker.join();
            }
        }
        if connections == 0 { Stopped::Drained } else { Stopped::Cut { connections } }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}
