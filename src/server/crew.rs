//! The threads of the workers: each is started when it is needed, and known until it ends.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::SystemTime;

use crate::clock::Daily;
use crate::resources;
use crate::sync::lock;

/// A worker's life. `true`: it ends because it is not needed any more.
type Work = dyn Fn() -> bool + Send + Sync;

/// Starts workers.
pub(crate) struct Crew {
    work: Box<Work>,
    stack_size: usize,
    /// How many were started in all. Each has its number in its name.
    started: AtomicUsize,
    /// Those that have not ended by themselves.
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// That a thread could not be started.
    warnings: Mutex<Daily>,
}

impl Crew {
    pub(crate) fn new(work: impl Fn() -> bool + Send + Sync + 'static, stack_size: usize) -> Self {
        let (started, threads, warnings) = (AtomicUsize::new(0), Mutex::default(), Mutex::default());
        Self { work: Box::new(work), stack_size, started, threads, warnings }
    }

    /// Starts a worker, which counts already.
    pub(crate) fn start(self: &Arc<Self>) -> io::Result<()> {
        if resources::room_for_threads(self.stack_size, resources::LEAST_LEFT) == Some(0) {
            return Err(io::Error::new(io::ErrorKind::OutOfMemory, "no address space is left"));
        }
        let crew = Arc::clone(self);
        let work = move || {
            if (crew.work)() {
                crew.forget_this_thread();
            }
        };
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let thread = thread::Builder::new().name(format!("worker-{number}")).stack_size(self.stack_size).spawn(work)?;
        lock(&self.threads).push(thread);
        Ok(())
    }

    /// Whether to warn that a thread could not be started.
    pub(crate) fn is_warning_due(&self, now: SystemTime) -> bool {
        lock(&self.warnings).is_due("", now)
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
}
