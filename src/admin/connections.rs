//! The connections of the admin port: one request each, on a thread of its own. Their number, their time and the size of what they
//! send are limited here, so that whoever can connect, any user of this host for example, can hold nothing that the server needs.
//!
//! `tiny_http` has no such limits: it starts a thread for each connection, waits for ever, keeps a head of any length in memory, and
//! stops accepting at the first error. So it is given no socket. Heads are read by the parser of the server itself.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::config::STACK;
use crate::error::Error;
use crate::http1::{Head, HeadLimits, HeadParser, is_head_request};
use crate::reactor::{Interest, StopSignal, sleep_unless_stopped, wait_for_either};
use crate::sync::{lock, unpoisoned};

use super::listener::Listener;
use super::reply::Reply;

/// How many connections there may be. Another takes the place of the oldest.
const MOST: usize = 16;

/// How many threads there may be. One whose connection was cut may still be looking for the answer, for a moment.
const MOST_THREADS: usize = 2 * MOST;

/// How long a new connection waits for a thread. Then it is closed.
const LONGEST_LEAVE: Duration = Duration::from_secs(1);

/// How long a connection may last in all.
const LIFETIME: Duration = Duration::from_secs(5);

/// How much a client may send after its head, and how long it may take, before its connection is closed.
const FAREWELL: (u64, Duration) = (64 * 1024, Duration::from_millis(500));

/// The pause after a failed accept.
const PAUSE: Duration = Duration::from_millis(100);

type Answer = dyn Fn(&Head) -> Reply + Send + Sync;

/// Accepts connections.
pub(super) struct Doorway {
    answer: Box<Answer>,
    guests: Mutex<Guests>,
    left: Condvar,
}

/// The connections, the oldest first.
#[derive(Default)]
struct Guests {
    sockets: VecDeque<Arc<UnixStream>>,
    threads: usize,
}

impl Doorway {
    /// Begins to accept connections.
    pub(super) fn open(
        listener: Listener,
        answer: impl Fn(&Head) -> Reply + Send + Sync + 'static,
    ) -> Result<Serving, Error> {
        let failed = |error| Error::new("cannot start the admin port").caused_by(error);
        listener.prepare().map_err(failed)?;
        let stop = Arc::new(StopSignal::new().map_err(failed)?);
        let doorway = Arc::new(Self { answer: Box::new(answer), guests: Mutex::default(), left: Condvar::new() });
        let (stopped, open) = (Arc::clone(&stop), Arc::clone(&doorway));
        let thread = named("admin".to_owned()).spawn(move || open.accept(&listener, &stopped)).map_err(failed)?;
        Ok(Serving { stop, doorway, thread: Some(thread) })
    }

    fn accept(self: &Arc<Self>, listener: &Listener, stop: &StopSignal) {
        loop {
            let either = [(listener.as_fd(), Interest::Readable), (stop.as_fd(), Interest::Readable)];
            let accepted = match wait_for_either(either, Duration::from_secs(3600)) {
                Ok([_, true]) => return,
                Ok([false, false]) => continue,
                Ok([true, false]) => listener.accept().and_then(|socket| self.admit(socket)),
                Err(error) => Err(error),
            };
            let is_failure = |error: io::Error| {
                !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionAborted)
            };
            // There are too many open files or threads, for example.
            if accepted.is_err_and(is_failure) && !sleep_unless_stopped(stop, PAUSE) {
                return;
            }
        }
    }

    fn admit(self: &Arc<Self>, socket: UnixStream) -> io::Result<()> {
        let socket = Arc::new(socket);
        let mut guests = lock(&self.guests);
        if guests.sockets.len() >= MOST
            && let Some(oldest) = guests.sockets.pop_front()
        {
            let _ = oldest.shutdown(Shutdown::Both);
        }
        // Those who had to go need a moment to leave.
        let is_full = |guests: &mut Guests| guests.threads >= MOST_THREADS;
        let (mut guests, full) = unpoisoned(self.left.wait_timeout_while(guests, LONGEST_LEAVE, is_full));
        if full.timed_out() {
            return Ok(());
        }
        guests.sockets.push_back(Arc::clone(&socket));
        guests.threads += 1;
        drop(guests);
        let leaving = Leaving(Arc::clone(self), Arc::clone(&socket));
        // If no thread can be started, `leaving` is dropped here.
        named("admin-client".to_owned()).spawn(move || {
            // An error ends the connection, and nobody can be told.
            let _ = leaving.0.converse(&socket);
        })?;
        Ok(())
    }

    fn converse(&self, socket: &UnixStream) -> io::Result<()> {
        let deadline = Instant::now() + LIFETIME;
        let (reply, without_content) = self.reply(socket, deadline)?;
        let bytes = reply.into_bytes(without_content);
        let mut unsent = &bytes[..];
        while !unsent.is_empty() {
            socket.set_write_timeout(Some(left(deadline)?))?;
            let sent = (&*socket).write(unsent)?;
            unsent = &unsent[sent..];
        }
        socket.shutdown(Shutdown::Write)?;
        // Bytes that nobody reads would make the system reset the connection, and the answer could be lost.
        let (mut unread, time) = FAREWELL;
        let deadline = deadline.min(Instant::now() + time);
        let mut waste = [0; 1024];
        while unread > 0 {
            socket.set_read_timeout(Some(left(deadline)?))?;
            match (&*socket).read(&mut waste)? {
                0 => break,
                read => unread = unread.saturating_sub(read as u64),
            }
        }
        Ok(())
    }

    fn reply(&self, socket: &UnixStream, deadline: Instant) -> io::Result<(Reply, bool)> {
        let limits = HeadLimits { max_head: 8 * 1024, max_target: 1024, ..HeadLimits::default() };
        let (mut parser, mut received) = (HeadParser::default(), Vec::new());
        let mut bytes = [0; 1024];
        loop {
            socket.set_read_timeout(Some(left(deadline)?))?;
            match (&*socket).read(&mut bytes)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => received.extend_from_slice(&bytes[..read]),
            }
            match parser.parse(&received, &limits, &mut None) {
                Ok(None) => {}
                Ok(Some((head, _))) => return Ok(((self.answer)(&head), head.parts.method == http::Method::HEAD)),
                Err(error) => {
                    let reply = Reply::text(error.status.as_u16(), format!("{}\n", error.reason));
                    return Ok((reply, is_head_request(&received) == Some(true)));
                }
            }
        }
    }
}

/// What is left of the time: a timeout of zero would be none.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

fn named(name: String) -> thread::Builder {
    thread::Builder::new().name(name).stack_size(STACK)
}

/// A connection that counts until this is dropped.
struct Leaving(Arc<Doorway>, Arc<UnixStream>);

impl Drop for Leaving {
    fn drop(&mut self) {
        let mut guests = lock(&self.0.guests);
        guests.sockets.retain(|socket| !Arc::ptr_eq(socket, &self.1));
        guests.threads -= 1;
        drop(guests);
        self.0.left.notify_all();
    }
}

/// An [`Admin`](super::Admin) that answers, until this is dropped.
pub struct Serving {
    stop: Arc<StopSignal>,
    doorway: Arc<Doorway>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.raise();
        if let Some(thread) = self.thread.take() {
            // It fails only if the thread panicked, and then it has ended too.
            let _ = thread.join();
        }
        let guests = lock(&self.doorway.guests);
        for socket in &guests.sockets {
            let _ = socket.shutdown(Shutdown::Both);
        }
        // One may still be asking a server that has ended.
        let _ = unpoisoned(self.doorway.left.wait_timeout_while(guests, PAUSE, |guests| guests.threads > 0));
    }
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Serving")
    }
}
