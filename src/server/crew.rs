//! The threads of the workers: each is started when it is needed, and known until it ends.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread::{self, JoinHandle};

use super::pool::Pool;
use crate::clock::Daily;
use crate::observer::Event;
use crate::resources;
use crate::sync::lock;

/// Starts workers.
pub(crate) struct Crew {
    pool: Weak<Pool>,
    stack_size: usize,
    /// How many were started in all. Each has its number in its name.
    started: AtomicUsize,
    /// Those that have not ended by themselves.
    threads: Mutex<Vec<JoinHandle<()>>>,
    warnings: Mutex<Daily>,
}

impl Crew {
    pub(crate) fn new(pool: &Weak<Pool>, stack_size: usize) -> Arc<Self> {
        let (started, threads, warnings) = (AtomicUsize::new(0), Mutex::default(), Mutex::default());
        Arc::new(Self { pool: Weak::clone(pool), stack_size, started, threads, warnings })
    }

    /// Starts a worker, which counts already.
    pub(crate) fn start(self: &Arc<Self>) -> io::Result<()> {
        let Some(pool) = self.pool.upgrade() else { return Ok(()) };
        if resources::room_for_threads(self.stack_size, resources::LEAST_LEFT) == Some(0) {
            return Err(io::Error::new(io::ErrorKind::OutOfMemory, "no address space is left"));
        }
        let crew = Arc::clone(self);
        let work = move || {
            pool.work();
            let is_surplus = !pool.context.concurrency.has_stopped();
            drop(pool);
            if is_surplus {
                crew.forget_this_thread();
            }
        };
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let thread = thread::Builder::new().name(format!("worker-{number}")).stack_size(self.stack_size).spawn(work)?;
        lock(&self.threads).push(thread);
        Ok(())
    }

    /// The same while the server serves: a failure is no reason to end, as those that are there go on.
    pub(crate) fn start_further(self: &Arc<Self>) -> bool {
        self.start().inspect_err(|error| self.warn(error)).is_ok()
    }

    /// One of the threads that have not ended by themselves, to be joined. More may be started until all are.
    pub(crate) fn next_to_join(&self) -> Option<JoinHandle<()>> {
        lock(&self.threads).pop()
    }

    /// It is about to end, and nobody waits for that. What is kept of a thread until then is its whole stack.
    fn forget_this_thread(&self) {
        let this = thread::current().id();
        lock(&self.threads).retain(|thread| thread.thread().id() != this);
    }

    fn warn(&self, error: &io::Error) {
        let Some(pool) = self.pool.upgrade() else { return };
        let context = &pool.context;
        // The clock is the application's, and is not asked while the lock is held.
        let now = context.clock.now();
        if lock(&self.warnings).is_due("", now) {
            let text = format!(
                "no further worker can be started ({error}): {} answer all requests; raise the limit of memory or of threads \
                 (ulimit -v, -u), or have fewer workers",
                context.concurrency.workers() - 1,
            );
            context.observer.event(&Event::Warning { text: &text });
        }
    }
}
