//! Accepts connections, one at a time: the poller reports a connection to one worker, which accepts it and arms the listener
//! again. An error pauses this, and only a stop ends it.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use super::{Interest, Poller, accept, prepare_listener};
use crate::sync::{lock, unpoisoned};

/// The pause after a failed accept. It doubles with each further failure, up to the longest. It ends when the timekeeper next
/// looks.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How many connections are closed before others have their turn.
const MOST_UNWANTED: u32 = 16;

/// The tokens from here on are those of listeners. Connections have smaller ones.
const FIRST_TOKEN: u64 = (u32::MAX as u64) << 32;

/// The listening sockets of a server, until it stops.
#[derive(Debug)]
pub(crate) struct Listeners(RwLock<Vec<Listener>>);

#[derive(Debug)]
struct Listener {
    socket: TcpListener,
    failing: Mutex<Option<Failing>>,
}

/// Accepting has failed, and has not succeeded since.
#[derive(Debug)]
struct Failing {
    pause: Duration,
    /// When accepting is tried again. `None`: it is being tried.
    until: Option<Instant>,
}

/// What to report of a failed accept.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: io::Error,
    pub(crate) pause: Duration,
}

impl Listeners {
    pub(crate) fn new(sockets: Vec<TcpListener>) -> io::Result<Self> {
        sockets.iter().try_for_each(prepare_listener)?;
        let listeners = sockets.into_iter().map(|socket| Listener { socket, failing: Mutex::default() });
        Ok(Self(RwLock::new(listeners.collect())))
    }

    /// Begins to accept connections.
    pub(crate) fn start(&self, poller: &Poller) -> io::Result<()> {
        self.read()
            .iter()
            .zip(FIRST_TOKEN..)
            .try_for_each(|(listener, token)| poller.add(&listener.socket, token, Interest::Readable))
    }

    /// Closes the sockets.
    pub(crate) fn close(&self, poller: &Poller) {
        let mut listeners = unpoisoned(self.0.write());
        for (listener, token) in listeners.drain(..).zip(FIRST_TOKEN..) {
            poller.remove(&listener.socket, token);
        }
    }

    /// The number of the listener with this token. `None`: it is the token of a connection.
    pub(crate) fn number(token: u64) -> Option<usize> {
        token.checked_sub(FIRST_TOKEN)?.try_into().ok()
    }

    /// Accepts one connection from the listener that was reported. Those that are `unwanted` are closed. `None`: there is none
    /// now.
    ///
    /// # Errors
    /// The system cannot accept it. Nothing is accepted until [`resume`](Self::resume), after a pause.
    pub(crate) fn accept(
        &self,
        number: usize,
        poller: &Poller,
        unwanted: impl FnMut(SocketAddr) -> bool,
    ) -> Result<Option<(TcpStream, SocketAddr)>, Failed> {
        let listeners = self.read();
        let Some(listener) = listeners.get(number) else { return Ok(None) };
        let accepted = listener.accept(unwanted);
        // At once, so that other workers can accept while this connection is driven.
        let armed = |_: &_| poller.arm(&listener.socket, FIRST_TOKEN + number as u64, Interest::Readable);
        let mut failing = listener.failing();
        match accepted.and_then(|connection| armed(&connection).map(|()| connection)) {
            Ok(connection) => {
                *failing = None;
                Ok(connection)
            }
            Err(error) => {
                let pause = failing.as_ref().map_or(FIRST_PAUSE, |failing| (failing.pause * 2).min(LONGEST_PAUSE));
                *failing = Some(Failing { pause, until: Some(Instant::now() + pause) });
                Err(Failed { error, pause })
            }
        }
    }

    /// Accepts again after the table of connections was full. `false`: this failed, and has to be tried again.
    pub(crate) fn go_on(&self, poller: &Poller) -> bool {
        self.read().iter().zip(FIRST_TOKEN..).all(|(listener, token)| {
            // After a failure, its pause has to end first.
            listener.pauses() || poller.arm(&listener.socket, token, Interest::Readable).is_ok()
        })
    }

    /// Accepts again on the listeners whose pause is over. `true`: others still pause.
    pub(crate) fn resume(&self, now: Instant, poller: &Poller) -> bool {
        let mut more = false;
        for (listener, token) in self.read().iter().zip(FIRST_TOKEN..) {
            if let Some(Failing { until: until @ Some(_), .. }) = &mut *listener.failing() {
                if until.is_some_and(|until| until <= now)
                    && poller.arm(&listener.socket, token, Interest::Readable).is_ok()
                {
                    *until = None;
                } else {
                    more = true;
                }
            }
        }
        more
    }

    fn read(&self) -> RwLockReadGuard<'_, Vec<Listener>> {
        unpoisoned(self.0.read())
    }
}

impl Listener {
    fn accept(&self, mut unwanted: impl FnMut(SocketAddr) -> bool) -> io::Result<Option<(TcpStream, SocketAddr)>> {
        for _ in 0..MOST_UNWANTED {
            match accept(&self.socket) {
                Ok((_, remote)) if unwanted(remote) => {}
                Ok(connection) => return Ok(Some(connection)),
                Err(error) => match error.kind() {
                    // The client gave up while it waited, which is no failure.
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => break,
                    _ => return Err(error),
                },
            }
        }
        Ok(None)
    }

    fn pauses(&self) -> bool {
        matches!(&*self.failing(), Some(Failing { until: Some(_), .. }))
    }

    fn failing(&self) -> MutexGuard<'_, Option<Failing>> {
        lock(&self.failing)
    }
}
