//! A flood of strangers that is as cheap as can be for who makes it, and dear for the server: each connects, sends a
//! ClientHello that was made beforehand, and resets the connection when the first byte of the server's flight is there, which
//! the server had to agree on keys and to sign for.
//!
//! One thread does it, with four system calls for each: a socket is not closed but disconnected (connect(2), AF_UNSPEC), which
//! sends the reset, and is connected again later, from the same address and port. On loopback the server's half of the handshake
//! of TCP is there when connect returns, so that the hello can be sent at once. What comes back is seen by epoll alone, and not
//! read.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use peers::Failed;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::sockopt::set_tcp_quickack;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, connect, connect_unspec, recv, send};
use rustix::process::{Resource, getrlimit};
use rustls::{ClientConfig, ClientConnection};

use super::{bodies, bound_to, print};

/// Open files, and time, at most: it is meant for this machine, and ends by itself.
const LIMIT: usize = 20_000;
const LONGEST: Duration = Duration::from_secs(60);

/// Of the files, those that are no connections.
const OTHERS: usize = 64;

/// A socket keeps its port: to find a free one among so many takes the kernel long.
const FIRST_PORT: u16 = 40_000;

/// How many wait at a time when they come as fast as they are answered.
const CLOSED_LOOP: usize = 64;

/// How often what is due is sent.
const TICK: Duration = Duration::from_millis(1);

/// Who is not answered by then goes away; earlier if so many would be there at a time that they reach the limit.
const PATIENCE: Duration = Duration::from_secs(1);

/// A generator that is later than this leaves out what it should have sent, lest it catch up in a burst.
const LATEST: Duration = Duration::from_millis(50);

pub(super) struct Plan {
    pub(super) address: SocketAddr,
    pub(super) config: Arc<ClientConfig>,
    /// Connections a second; 0: as fast as they are answered, by some that come again and again.
    pub(super) rate: u32,
    pub(super) time: Duration,
    /// So many source addresses, beginning at this one.
    pub(super) networks: usize,
    pub(super) first: Ipv4Addr,
}

pub(super) fn run(plan: &Plan) -> Result<(), Failed> {
    if plan.time > LONGEST || plan.networks == 0 {
        return Err(format!("at most {} s, and from one network", LONGEST.as_secs()).into());
    }
    let files = getrlimit(Resource::Nofile).current.map_or(LIMIT, |files| LIMIT.min(files as usize));
    if files < LIMIT {
        eprintln!(
            "load: the limit of open files (ulimit -n) is {files}: fewer connections than {LIMIT} are open at a time"
        );
    }
    let most = files.saturating_sub(OTHERS);
    if most < plan.networks.max(CLOSED_LOOP) {
        return Err("the limit of open files (ulimit -n) is too low".into());
    }
    let patience = match plan.rate {
        0 => PATIENCE,
        rate => PATIENCE.min(Duration::from_secs(most as u64) * 9 / 10 / rate),
    };
    let mut hello = Vec::new();
    ClientConnection::new(Arc::clone(&plan.config), "localhost".try_into()?)?.write_tls(&mut hello)?;
    let mut flood = Flood {
        plan,
        hello,
        most,
        patience,
        poller: epoll::create(epoll::CreateFlags::CLOEXEC)?,
        sockets: Vec::new(),
        free: VecDeque::new(),
        waiting: VecDeque::new(),
        open: 0,
        counts: Counts::default(),
    };
    let (begun, cpu) = (Instant::now(), bodies::cpu());
    flood.go(begun + plan.time)?;
    let (seconds, cpu, within) = (begun.elapsed().as_secs_f64(), bodies::cpu() - cpu, flood.counts.answered);
    flood.finish()?;
    let Counts { attempted, connected, answered, closed, timed_out, failed } = flood.counts;
    print(&format!(
        "{{\"attempted\":{attempted},\"connected\":{connected},\"answered\":{answered},\"closed\":{closed},\
         \"timed_out\":{timed_out},\"failed\":{failed},\"seconds\":{seconds},\"per_second\":{},\"answered_per_second\":{},\
         \"patience_ms\":{},\"cpu\":{}}}",
        attempted as f64 / seconds,
        within as f64 / seconds,
        patience.as_millis(),
        cpu / seconds,
    ));
    Ok(())
}

/// How it went for those that were attempted: the last four are all of them.
#[derive(Default)]
struct Counts {
    attempted: usize,
    connected: usize,
    answered: usize,
    /// By the server, without an answer.
    closed: usize,
    timed_out: usize,
    failed: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Free,
    Connecting,
    Asked,
}

struct Socket {
    fd: OwnedFd,
    state: State,
    /// How often it was connected: a time that runs out may be that of an earlier connection.
    round: u32,
}

struct Flood<'a> {
    plan: &'a Plan,
    hello: Vec<u8>,
    most: usize,
    patience: Duration,
    poller: OwnedFd,
    sockets: Vec<Socket>,
    /// The longest unused one first, so that all addresses have their turn.
    free: VecDeque<usize>,
    /// Who waits, in the order in which their patience ends.
    waiting: VecDeque<(Instant, usize, u32)>,
    open: usize,
    counts: Counts,
}

impl Flood<'_> {
    fn go(&mut self, end: Instant) -> Result<(), Failed> {
        let rate = f64::from(self.plan.rate);
        let (mut since, mut sent) = (Instant::now(), 0);
        loop {
            let now = Instant::now();
            if now >= end {
                return Ok(());
            }
            if self.plan.rate == 0 {
                while self.open < CLOSED_LOOP && self.start(now)? {}
                self.wait(TICK)?;
                continue;
            }
            let due = ((now - since).as_secs_f64() * rate) as usize;
            while sent < due && self.start(now)? {
                sent += 1;
                // A batch that takes long lets the answers wait no longer than a tick.
                if sent % 16 == 0 && now.elapsed() > TICK {
                    break;
                }
            }
            if (due - sent) as f64 > rate * LATEST.as_secs_f64() {
                (since, sent) = (now, 0);
            }
            self.wait(Duration::ZERO)?;
            thread::sleep((now + TICK).saturating_duration_since(Instant::now()));
        }
    }

    /// Who is still there is waited for.
    fn finish(&mut self) -> Result<(), Failed> {
        while self.open > 0 {
            self.wait(TICK)?;
        }
        Ok(())
    }

    /// Begins a connection, unless there are too many.
    fn start(&mut self, now: Instant) -> Result<bool, Failed> {
        let made = self.sockets.len();
        let number = match self.free.pop_front() {
            // All addresses are to be used.
            Some(number) if made >= self.plan.networks => number,
            other if made < self.most => {
                self.free.extend(other);
                self.sockets.push(self.make(made)?);
                made
            }
            _ => return Ok(false),
        };
        let socket = &mut self.sockets[number];
        socket.round = socket.round.wrapping_add(1);
        self.counts.attempted += 1;
        self.open += 1;
        // Lets the hello carry the acknowledgment that ends the handshake of TCP; it is forgotten when disconnecting.
        set_tcp_quickack(&socket.fd, false)?;
        match connect(&socket.fd, &self.plan.address) {
            Ok(()) | Err(Errno::INPROGRESS) => {
                socket.state = State::Connecting;
                self.waiting.push_back((now + self.patience, number, socket.round));
                self.greet(number)?;
            }
            // No port is free, or nobody listens.
            Err(_) => self.end(number, |counts| &mut counts.failed),
        }
        Ok(true)
    }

    fn make(&self, number: usize) -> Result<Socket, Failed> {
        let from = Ipv4Addr::from_bits(self.plan.first.to_bits() + (number % self.plan.networks) as u32);
        let port = FIRST_PORT + (number / self.plan.networks) as u16;
        // Another one if it is taken.
        let fd = bound_to(from, port, SocketFlags::NONBLOCK).or_else(|_| bound_to(from, 0, SocketFlags::NONBLOCK))?;
        epoll::add(&self.poller, &fd, EventData::new_u64(number as u64), ANSWER)?;
        Ok(Socket { fd, state: State::Free, round: 0 })
    }

    /// Sends the hello, if it is connected by now; if not, the poller says when.
    fn greet(&mut self, number: usize) -> Result<(), Failed> {
        let socket = &mut self.sockets[number];
        match send(&socket.fd, &self.hello, SendFlags::NOSIGNAL) {
            Ok(_) => {
                socket.state = State::Asked;
                self.counts.connected += 1;
            }
            Err(Errno::AGAIN) => {
                let data = EventData::new_u64(number as u64);
                epoll::modify(&self.poller, &socket.fd, data, ANSWER | EventFlags::OUT)?;
            }
            Err(_) => self.end(number, |counts| &mut counts.failed),
        }
        Ok(())
    }

    /// Sees what came back, waiting for so long if nothing did; who has waited long enough goes away.
    fn wait(&mut self, time: Duration) -> Result<(), Failed> {
        let mut events = Vec::with_capacity(1024);
        epoll::wait(&self.poller, rustix::buffer::spare_capacity(&mut events), Some(&time.try_into()?))?;
        for event in &events {
            self.see(event.data.u64() as usize, event.flags)?;
        }
        let now = Instant::now();
        while let Some(&(until, number, round)) = self.waiting.front() {
            let socket = &self.sockets[number];
            let waits = socket.state != State::Free && socket.round == round;
            if waits && until > now {
                break;
            }
            self.waiting.pop_front();
            if waits {
                self.end(number, |counts| &mut counts.timed_out);
            }
        }
        Ok(())
    }

    fn see(&mut self, number: usize, flags: EventFlags) -> Result<(), Failed> {
        let socket = &self.sockets[number];
        let over = flags.intersects(EventFlags::HUP | EventFlags::ERR | EventFlags::RDHUP);
        match socket.state {
            // That it was disconnected is an event, too.
            State::Free => {}
            State::Connecting if over => self.end(number, |counts| &mut counts.failed),
            State::Connecting => {
                epoll::modify(&self.poller, &socket.fd, EventData::new_u64(number as u64), ANSWER)?;
                self.greet(number)?;
            }
            State::Asked if over && !has_answer(socket)? => self.end(number, |counts| &mut counts.closed),
            State::Asked if flags.contains(EventFlags::IN) => {
                // All get the same answer.
                if self.counts.answered == 0 && !has_answer(socket)? {
                    return Err("there is no answer".into());
                }
                self.end(number, |counts| &mut counts.answered);
            }
            State::Asked => {}
        }
        Ok(())
    }

    fn end(&mut self, number: usize, count: fn(&mut Counts) -> &mut usize) {
        let socket = &mut self.sockets[number];
        let _ = connect_unspec(&socket.fd);
        socket.state = State::Free;
        self.free.push_back(number);
        self.open -= 1;
        *count(&mut self.counts) += 1;
    }
}

const ANSWER: EventFlags = EventFlags::IN.union(EventFlags::RDHUP).union(EventFlags::ET);

/// Whether the server's flight is there, not its refusal.
fn has_answer(socket: &Socket) -> Result<bool, Failed> {
    const HANDSHAKE: u8 = 22;
    let mut first = [0];
    match recv(&socket.fd, &mut first, RecvFlags::PEEK) {
        Ok((_, 0)) | Err(_) => Ok(false),
        Ok(_) if first == [HANDSHAKE] => Ok(true),
        Ok(_) => Err(format!("the server answers by a record of type {}", first[0]).into()),
    }
}
