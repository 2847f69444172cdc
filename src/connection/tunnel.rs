//! A tunnel: after `101 Switching Protocols`, bytes go both ways between the client and the program behind the handler, until
//! both have ended their side. While nothing moves it is parked, without a thread and without buffers.
//!
//! Either side may end before the other: a close_notify of the client becomes a shutdown of the other socket, and the end of that
//! becomes a close_notify. Then the rest has to move as any other body: not as fast, but something within each period.

use std::io;
use std::mem;
use std::net::Shutdown;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use http::StatusCode;
use http::response::Parts;

use super::closing::half_close;
use super::context::Context;
use super::exchange;
use super::link::{Halt, Link};
use super::sending::{Asked, Done, NO_LONGER_LET_IN};
use super::worker::Worker;
use super::{Stage, Turn};
use crate::config::Timeouts;
use crate::handler::pages;
use crate::handler::upstream::{Duplex, Tunnel};
use crate::http1::{HttpError, write_switching};
use crate::reactor::Interest;
use crate::tls::session::{Broken, Received, Session};

/// A tunnel under way.
pub(super) struct Tunnelling {
    asked: Asked,
    socket: Box<dyn Duplex>,
    /// From the client.
    up: Way,
    /// To the client.
    down: Way,
    /// What it waits for on the other socket.
    wanted: Option<Interest>,
    /// When something last moved.
    moved: Instant,
    /// How many bytes the other side has taken so far.
    passed: u64,
    /// How many bytes TLS has taken so far, head included.
    sent: u64,
}

/// One of the two directions.
#[derive(Default)]
struct Way {
    /// What was read and cannot be written yet. There is memory only while there are such bytes.
    waiting: Vec<u8>,
    /// Nothing more is read.
    has_ended: bool,
}

/// How far a way goes now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reached {
    /// All that came has been passed on.
    WaitsForBytes,
    /// Who takes the bytes takes no more now; or it is the turn of other connections.
    WaitsForRoom,
    /// The end was passed on.
    End,
}

/// Why a tunnel is over before both sides have ended.
enum Over {
    Client(Broken),
    /// The other side has broken the connection.
    Other(io::Error),
}

/// How many bytes are in memory at a time, and how many go one way in a turn.
const READ_AHEAD: usize = 16 * 1024;
const TURN: usize = 512 * 1024;

/// A client could send records without bytes in them, without end.
const COST_OF_A_READ: usize = 1024;

/// Why tunnels end when the server stops: they would never end by themselves.
pub(super) const STOPPING: &str = "the server stops";

/// Switches protocols. A response that cannot do that becomes a 500.
pub(super) fn open(
    tunnel: Tunnel,
    response: &Parts,
    asked: Asked,
    last: Option<&'static str>,
    link: &mut Link,
    worker: &mut Worker<'_>,
) -> Turn {
    match Tunnelling::new(tunnel, response, asked, last, link, worker) {
        Ok(tunnelling) => tunnelling.pump(link, worker),
        Err((asked, why)) => {
            let page = pages::rejected(StatusCode::INTERNAL_SERVER_ERROR);
            exchange::answer(asked, page, Some(why), link, worker).send(link, worker)
        }
    }
}

impl Tunnelling {
    fn new(
        tunnel: Tunnel,
        response: &Parts,
        mut asked: Asked,
        last: Option<&'static str>,
        link: &mut Link,
        worker: &mut Worker<'_>,
    ) -> Result<Box<Self>, (Asked, &'static str)> {
        let mut head = Vec::new();
        let written = write_switching(&asked.parts, response, worker.date(), &mut head);
        if let Some(why) = last.or(written.err().map(|error: HttpError| error.reason)) {
            return Err((asked, why));
        }
        let Tunnel { socket, received } = tunnel;
        head.extend_from_slice(&received);
        // What the client has sent behind its request is for the other side.
        let up = Way { waiting: mem::take(&mut link.input), has_ended: false };
        let down = Way { waiting: head, has_ended: false };
        // A tunnel may last for days, and only method and target are looked at again.
        asked.parts.headers = http::HeaderMap::new();
        let moved = worker.now.instant;
        link.begin(moved, worker.context.timeouts.tunnel);
        link.other_armed = None;
        Ok(Box::new(Self { asked, socket, up, down, wanted: None, moved, passed: 0, sent: 0 }))
    }

    /// Moves what is there and finds room.
    pub(super) fn pump(mut self: Box<Self>, link: &mut Link, worker: &mut Worker<'_>) -> Turn {
        let (context, now) = (worker.context, worker.now);
        if context.is_draining() && self.sent > 0 {
            return self.close(STOPPING, link, context);
        }
        if !link.still_admits(&self.asked.parts, &self.asked.verdict, now.time, context) {
            return self.close(NO_LONGER_LET_IN, link, context);
        }
        let before = self.progress();
        worker.scratch.resize(worker.scratch.len().max(READ_AHEAD), 0);
        let scratch = &mut worker.scratch[..READ_AHEAD];
        // Upwards first: what TLS has to say to what it reads is written downwards.
        let reached = self.go_up(&mut link.session, scratch).and_then(|up| {
            let down = self.go_down(&mut link.session, scratch)?;
            Ok((up, down))
        });
        let (up, down) = match reached {
            Ok((Reached::End, Reached::End)) => {
                self.log(None, now.instant, link, context);
                return half_close(link, worker);
            }
            Ok(reached) => reached,
            Err(over) => return self.give_up(over, link, worker),
        };
        if self.progress() != before {
            self.moved = now.instant;
            link.times.heard = now.instant;
            link.spared = false;
        }
        link.deadline = self.moved + self.patience(&context.timeouts);
        self.wanted = wanted(down == Reached::WaitsForBytes, up == Reached::WaitsForRoom);
        let of_client = wanted(up == Reached::WaitsForBytes, down == Reached::WaitsForRoom);
        Stage::Tunnel(self).wait(of_client.unwrap_or(Interest::End))
    }

    /// The other socket, and what it waits for there.
    pub(super) fn other(&self) -> Option<(BorrowedFd<'_>, Interest)> {
        self.wanted.map(|interest| (self.socket.as_fd(), interest))
    }

    pub(super) fn asked(&self) -> &Asked {
        &self.asked
    }

    /// Ends it, with a goodbye.
    pub(super) fn close(self, why: &str, link: &mut Link, context: &Context) -> Turn {
        self.log(Some(why), Instant::now(), link, context);
        Stage::Idle.close_politely(link)
    }

    fn go_up(&mut self, session: &mut Session, scratch: &mut [u8]) -> Result<Reached, Over> {
        let mut left = TURN;
        loop {
            let waiting = mem::take(&mut self.up.waiting);
            self.write_up(&waiting);
            match self.up.is_stuck() {
                true => return Ok(Reached::WaitsForRoom),
                false if self.up.has_ended => return Ok(Reached::End),
                false if left == 0 => return Ok(Reached::WaitsForRoom),
                false => {}
            }
            let n = session.read_plaintext(scratch);
            left = left.saturating_sub(n.max(COST_OF_A_READ));
            if n > 0 {
                self.write_up(&scratch[..n]);
                continue;
            }
            match session.receive().map_err(Over::Client)? {
                Received::Bytes => {}
                Received::Nothing => return Ok(Reached::WaitsForBytes),
                Received::End => {
                    self.up.has_ended = true;
                    // It fails only if there is no connection any more, which is found when it is read.
                    let _ = self.socket.shutdown(Shutdown::Write);
                }
            }
        }
    }

    fn go_down(&mut self, session: &mut Session, scratch: &mut [u8]) -> Result<Reached, Over> {
        let mut left = TURN;
        loop {
            // So TLS never has more than one piece of it in memory.
            if !session.flush().map_err(|_| Over::Client(Broken::Network))? {
                return Ok(Reached::WaitsForRoom);
            }
            if self.down.is_stuck() {
                let waiting = mem::take(&mut self.down.waiting);
                self.send_down(&waiting, session)?;
                continue;
            }
            match self.down.has_ended {
                true => return Ok(Reached::End),
                false if left == 0 => return Ok(Reached::WaitsForRoom),
                false => {}
            }
            match self.socket.read(scratch) {
                Ok(0) => {
                    self.down.has_ended = true;
                    session.send_close_notify();
                }
                Ok(n) => {
                    left = left.saturating_sub(n);
                    self.send_down(&scratch[..n], session)?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Reached::WaitsForBytes),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Over::Other(error)),
            }
        }
    }

    /// Writes to the other side, and keeps what it does not take now.
    fn write_up(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match self.socket.write(bytes) {
                Ok(n) if n > 0 => {
                    self.passed += n as u64;
                    bytes = &bytes[n..];
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return self.up.waiting = bytes.to_vec(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // It takes nothing more; but what it has sent is still to be read.
                Ok(_) | Err(_) => return self.up.has_ended = true,
            }
        }
    }

    /// Has it encrypted, and keeps what TLS does not take now.
    fn send_down(&mut self, bytes: &[u8], session: &mut Session) -> Result<(), Over> {
        let taken = session.send(bytes);
        // It has room, so that it has failed.
        if taken == 0 {
            return Err(Over::Client(Broken::Network));
        }
        self.sent += taken as u64;
        self.down.waiting = bytes[taken..].to_vec();
        Ok(())
    }

    /// Changes whenever something moves.
    fn progress(&self) -> (u64, u64, bool, bool) {
        (self.passed, self.sent, self.up.has_ended, self.down.has_ended)
    }

    /// How long nothing may move.
    fn patience(&self, timeouts: &Timeouts) -> Duration {
        match self.up.has_ended || self.down.has_ended {
            true => timeouts.tunnel.min(timeouts.transfer),
            false => timeouts.tunnel,
        }
    }

    fn give_up(self: Box<Self>, over: Over, link: &mut Link, worker: &Worker<'_>) -> Turn {
        let (now, context) = (worker.now.instant, worker.context);
        match over {
            Over::Client(broken) => {
                self.log(None, now, link, context);
                Stage::Tunnel(self).halt(Halt::Broken(broken), link, worker)
            }
            // Without a goodbye: something may be missing.
            Over::Other(error) => {
                self.log(
                    Some(&format!("the other side of the tunnel broke the connection: {error}")),
                    now,
                    link,
                    context,
                );
                Stage::Idle.close()
            }
        }
    }

    fn log(&self, note: Option<&str>, now: Instant, link: &Link, context: &Context) {
        let status = StatusCode::SWITCHING_PROTOCOLS.as_u16();
        self.asked.log(Done { now, status, bytes: self.sent, note }, link, context);
    }
}

impl Way {
    fn is_stuck(&self) -> bool {
        !self.waiting.is_empty()
    }
}

/// To read, to write, or both; if any.
fn wanted(reads: bool, writes: bool) -> Option<Interest> {
    match (reads, writes) {
        (true, true) => Some(Interest::Both),
        (true, false) => Some(Interest::Readable),
        (false, true) => Some(Interest::Writable),
        (false, false) => None,
    }
}
