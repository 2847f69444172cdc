//! A server is built, started and stopped here.

mod accepting;
pub(crate) mod builder;
mod crew;
pub(crate) mod handle;
pub(crate) mod maintenance;
pub(crate) mod pool;
pub(crate) mod status;
pub(crate) mod watch;

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::config::{DEFAULT_WORKERS, Settings, processors};
use crate::connection::context::{Context, ExpiryNotices, RequestIds};
use crate::crypto;
use crate::error::Error;
use crate::handler::Handler;
use crate::handler::refusal::RefusalPage;
use crate::observer::{Event, Guarded, Observer};
use crate::reactor::concurrency::{Concurrency, LONGEST_STANDBY, Sizes};
use crate::reactor::listener::Listeners;
use crate::reactor::shares::Shares;
use crate::reactor::table::{Capacity, ConnectionTable};
use crate::reactor::throttle::Throttle;
use crate::reactor::{Poller, StopSignal, sleep_unless_stopped};
use crate::resources;
use crate::tls::server_certificate::ServerCertificate;
use crate::trust::{Refusal, Trust};
use builder::Builder;
use crew::Crew;
use handle::{Control, ShutdownHandle, TrustHandle};
use maintenance::Caretaker;
use pool::Pool;
use status::StatusHandle;
use watch::{Loaded, Watch};

/// A mutual-TLS server, ready to serve.
///
/// ```no_run
/// use mtls_min::http::StatusCode;
/// use mtls_min::{Server, ServerCertificate, Trust, response};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let listener = std::net::TcpListener::bind("127.0.0.1:4433")?;
/// let certificate = ServerCertificate::from_pem_files("certs/server-crt.pem", "certs/server-key.pem")?;
/// let trust = Trust::from_pem_file("certs/ca.pem")?;
/// let server = Server::builder(listener, certificate, trust).build()?;
/// server.serve(|request| response::text(StatusCode::OK, format!("hello {}\n", request.peer().subject())))?;
/// # Ok(())
/// # }
/// ```
pub struct Server {
    settings: Settings,
    listeners: Listeners,
    addresses: Vec<SocketAddr>,
    control: Arc<Control>,
    observer: Box<dyn Observer>,
    refusal_page: Option<RefusalPage>,
    watch: Option<Watch>,
}

impl Server {
    /// Describes a server that listens on `listener`, shows `certificate`, and lets in the clients that `trust` accepts.
    ///
    /// The listener is yours: bound to any free port with `:0`, inherited, or with options set.
    pub fn builder(listener: TcpListener, certificate: ServerCertificate, trust: Trust) -> Builder {
        Builder::new(listener, certificate, trust)
    }

    /// Describes a server that listens on `listener` and takes trust and certificate from files, which it reads anew when they
    /// change.
    pub fn watching(listener: TcpListener, loaded: Loaded) -> Builder {
        let Loaded { watch, trust, certificate } = loaded;
        Builder { watch: Some(watch), ..Builder::new(listener, certificate, trust) }
    }

    pub(crate) fn new(builder: Builder) -> Result<Self, Error> {
        let Builder { listeners, certificate, trust, settings, observer, refusal_page, clock, watch } = builder;
        let addresses = listeners
            .iter()
            .map(TcpListener::local_addr)
            .collect::<Result<_, _>>()
            .map_err(|error| Error::new("a listener has no address").caused_by(error))?;
        let listeners =
            Listeners::new(listeners).map_err(|error| Error::new("cannot use a listener").caused_by(error))?;
        let control = Control::new(crypto::provider(), trust, certificate, settings.handshakes, clock)?;
        let control = Arc::new(control);
        let settings = Settings { timeouts: settings.timeouts.limited(), ..settings };
        let observer = Box::new(Guarded(observer));
        Ok(Self { settings, listeners, addresses, control, observer, refusal_page, watch })
    }

    /// The addresses it listens on, with the real ports.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// A handle that stops this server from anywhere, on a signal for example (with `signal-hook` 0.4):
    ///
    /// ```no_run
    /// # fn wait_for_signals(server: &mtls_min::Server) -> std::io::Result<()> {
    /// use signal_hook::consts::{SIGINT, SIGTERM};
    /// use signal_hook::iterator::Signals;
    ///
    /// let shutdown = server.shutdown_handle();
    /// let mut signals = Signals::new([SIGTERM, SIGINT])?;
    /// std::thread::spawn(move || {
    ///     for _ in signals.forever() {
    ///         shutdown.shutdown();
    ///     }
    /// });
    /// # Ok(())
    /// # }
    /// ```
    pub fn shutdown_handle(&self) -> ShutdownHandle {
        ShutdownHandle(Arc::clone(&self.control))
    }

    /// A handle that replaces what this server trusts while it runs.
    pub fn trust_handle(&self) -> TrustHandle {
        TrustHandle(Arc::clone(&self.control))
    }

    /// A handle that looks at this server while it runs.
    pub fn status_handle(&self) -> StatusHandle {
        StatusHandle(Arc::clone(&self.control))
    }

    /// Serves until a [`ShutdownHandle`] stops it, and for the [delay](Builder::drain_delay) that is set; then drains: no new connections, idle ones are closed with
    /// close_notify, running answers are finished, all within the drain timeout.
    ///
    /// # Errors
    /// Threads or the poller cannot be made. Once it serves, only a shutdown ends it.
    pub fn serve(self, handler: impl Handler + 'static) -> Result<Stopped, Error> {
        self.serve_after(|| {}, handler)
    }

    /// The same; calls `ready` once connections are accepted: nothing fails after that.
    pub(crate) fn serve_after(self, ready: impl FnOnce(), handler: impl Handler + 'static) -> Result<Stopped, Error> {
        let Self { settings, listeners, control, observer, refusal_page, watch, .. } = self;
        // Nobody has come to a server that was stopped before.
        let delay = if control.shutdown_asked() { Duration::ZERO } else { settings.timeouts.drain_delay };
        let stop = StopSignal::new().map_err(|error| Error::new("cannot make a pipe").caused_by(error))?;
        let poller = Poller::new(&stop).map_err(|error| Error::new("cannot make a poller").caused_by(error))?;
        let poller = Arc::new(poller);
        let polled = Arc::clone(&poller);
        let throttle = Arc::new(Throttle::new(processors(), move || polled.has_events()));
        let capacity = Capacity { connections: settings.max_connections, reserved: settings.max_connections / 4 };
        let table = ConnectionTable::new(capacity);
        let (sizes, workers) = sizes(&settings, &*observer).map_err(no_threads)?;
        let tls = Arc::clone(&control.tls);
        let pool = Arc::new_cyclic(|pool: &Weak<Pool>| {
            let [working, starting, waking] = [(); 3].map(|()| Weak::clone(pool));
            let work = move || working.upgrade().is_some_and(|pool| pool.work());
            let start = move || starting.upgrade().is_some_and(|pool| pool.start_further());
            let wake = move |token| {
                if let Some(pool) = waking.upgrade() {
                    pool.wake(token);
                }
            };
            let crew = Arc::new(Crew::new(work, settings.stack_size));
            let context = Context {
                handler: Box::new(handler),
                refusal_page,
                gate: settings.gate,
                proxies: settings.proxies.clone(),
                timeouts: settings.timeouts.clone(),
                limits: settings.limits.clone(),
                trust: Arc::clone(&control.trust),
                no_certificate: Arc::new(Refusal::no_certificate()),
                observer,
                clock: control.clock.clone(),
                request_ids: RequestIds::new(),
                expiry_notices: ExpiryNotices::default(),
                concurrency: Concurrency::new(sizes, LONGEST_STANDBY, start),
                shares: Shares::new(settings.workers_per_client(workers), workers, wake),
                throttle,
                leaving: false.into(),
                draining: false.into(),
                idle_closed: 0.into(),
            };
            let round_trip = Arc::clone(&control.round_trip);
            Pool { context, tls, listeners, table, poller, crew, round_trip, stop }
        });
        // Nobody serves the same server twice: `self` is gone.
        let _ = control.pool.set(Arc::downgrade(&pool));
        let mut threads = Threads::default();
        let started = threads.start(&pool, &control, &settings, sizes, watch, ready);
        if started.is_ok() {
            // Until somebody stops the server.
            while sleep_unless_stopped(&control.stop, Duration::from_secs(3600)) {}
            pool.context.leave_within(delay);
        }
        // On an error, what was started before it is stopped in the same way.
        control.stop.raise();
        let stopped = threads.drain_and_join(&pool, &control, settings.timeouts.drain);
        started.map(|()| stopped).map_err(no_threads)
    }
}

fn no_threads(error: io::Error) -> Error {
    Error::new("cannot start a thread")
        .caused_by(error)
        .hint("have fewer workers (`Builder::workers`), or raise the limit of memory or of threads (ulimit -v, -u)")
}

/// As many workers as asked for, or by default, if there is room for their stacks; and how many of them may be in handlers.
fn sizes(settings: &Settings, observer: &dyn Observer) -> io::Result<(Sizes, usize)> {
    let (wanted, processors) = (settings.workers.unwrap_or(DEFAULT_WORKERS), processors());
    // The timekeeper and the caretaker are threads too.
    let room = resources::room_for_threads(settings.stack_size, resources::LEFT_AT_START);
    let workers = room.map_or(wanted, |room| wanted.min(Sizes::handlers(processors, room.saturating_sub(2))));
    if workers == 0 {
        let error = "there is not enough address space for the threads of the start";
        return Err(io::Error::new(io::ErrorKind::OutOfMemory, error));
    }
    if workers < wanted && settings.workers.is_some() {
        let text = format!("there is address space (ulimit -v) for {workers} workers only");
        observer.event(&Event::Warning { text: &text });
    }
    Ok((Sizes::new(processors, workers), workers))
}

/// How a server ended.
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

/// The threads of a running server, beside the workers.
#[derive(Default)]
struct Threads {
    timekeeper: Option<JoinHandle<()>>,
    caretaker: Option<JoinHandle<()>>,
}

impl Threads {
    fn start(
        &mut self,
        pool: &Arc<Pool>,
        control: &Arc<Control>,
        settings: &Settings,
        sizes: Sizes,
        watch: Option<Watch>,
        ready: impl FnOnce(),
    ) -> io::Result<()> {
        let named = |name: String| thread::Builder::new().name(name).stack_size(settings.stack_size);
        for _ in 0..sizes.at_start {
            pool.context.concurrency.expect_one();
            pool.crew.start()?;
        }
        let timekeeper = Arc::clone(pool);
        self.timekeeper = Some(named("timekeeper".to_owned()).spawn(move || timekeeper.keep_time())?);
        let (cared_for, controlled) = (Arc::clone(pool), Arc::clone(control));
        let care = move || Caretaker { control: &controlled, pool: &cared_for, watch }.care();
        self.caretaker = Some(named("caretaker".to_owned()).spawn(care)?);
        pool.round_trip.start(&pool.poller)?;
        pool.listeners.start(&pool.poller)?;
        ready();
        Ok(())
    }

    /// In this order: no more connections are accepted (`control.stop` is raised already), and the caretaker is stopped by its
    /// bell; every response says that it is the last (`leaving`); idle connections are closed until there are none, or the time
    /// is up; the rest is cut; the threads end (`pool.stop`).
    fn drain_and_join(self, pool: &Pool, control: &Control, timeout: Duration) -> Stopped {
        let end = Instant::now() + timeout;
        control.bell.ring(|asked| asked.stop = true);
        pool.listeners.close(&pool.poller);
        pool.context.leaving.store(true, Ordering::SeqCst);
        pool.context.draining.store(true, Ordering::SeqCst);
        // Again and again: a connection may become idle when the answer that it was sending is over.
        loop {
            pool.close_idle();
            if pool.table.wait_until_empty(Duration::from_millis(50)) || Instant::now() >= end {
                break;
            }
        }
        let connections = pool.close_all_parked();
        pool.stop();
        if let Some(caretaker) = self.caretaker
            && control.bell.wait_until_over(end.saturating_duration_since(Instant::now()))
        {
            // Joining fails only if the thread panicked, and then it has ended too. The same below.
            let _ = caretaker.join();
        }
        if let Some(timekeeper) = self.timekeeper {
            let _ = timekeeper.join();
        }
        while let Some(worker) = pool.crew.next_to_join() {
            // A worker that is still in a handler cannot be stopped.
            if pool.table.wait_until_empty(Duration::ZERO) || worker.is_finished() {
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
