//! The load generator. Each mode prints one line of JSON on stdout.
//!
//!     load handshakes ADDRESS DIRECTORY COUNT CLIENTS [stranger|everyone] [post-quantum] [resume] [nagle]
//!     load kept       ADDRESS DIRECTORY CONNECTIONS REQUESTS [everyone] [/PATH]
//!     load down|up    ADDRESS DIRECTORY BYTES COUNT
//!     load cold       ADDRESS DIRECTORY PROGRAM [ARGUMENT ...]
//!     load burst      ADDRESS DIRECTORY CLIENTS MILLISECONDS
//!     load flood      ADDRESS DIRECTORY CLIENTS MILLISECONDS PER_SECOND SECONDS [hello]
//!     load hellos     ADDRESS DIRECTORY RATE SECONDS NETWORKS [FIRST]
//!     load known      ADDRESS DIRECTORY CONNECTIONS RATE SECONDS kept|new [SOURCE]
//!     load floor      DIRECTORY COUNT [post-quantum]
//!     load clients    DIRECTORY COUNT
//!     load aead       MEGABYTES
//!
//! `kept` says `ready` once its connections are open and idle, and goes on when it is sent a line; after the last answer
//! it holds them until its standard input ends. So does `handshakes` with `resume`, once it has its tickets; and `known`, which
//! has then made a request, and ends after the last answer.
//!
//! `everyone`: not one client again and again, but those of `clients.pem` in turn, which `clients` makes.
//!
//! `burst`: so many good clients at once, so far away; how many get no answer. `flood`: the same, spread over the time of a
//! flood of connections that never say anything (or, with `hello`, nothing after their ClientHello).
//!
//! `hellos`: so many strangers a second that go away once the server has answered their ClientHello, from so many addresses
//! (127.100.0.1 and those after it); with a rate of 0, as many as are answered. `known`: how long a client that is let in waits
//! for its answers meanwhile, over connections that are kept, or over a new one for each request.

mod bodies;
mod burst;
mod clients;
mod cold;
mod flood;
mod floor;
mod handshakes;
mod hellos;
mod kept;
mod known;

use std::io::{BufRead, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use peers::{Exchange, Failed, Who};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

type Tls = StreamOwned<ClientConnection, TcpStream>;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn main() -> Result<(), Failed> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["handshakes", address, directory, count, clients, ref options @ ..] => {
            let given = |option| options.contains(&option);
            let (resume, count) = (given("resume"), count.parse::<usize>()?);
            // One that resumes remembers its own sessions.
            let different = if resume { count.div_ceil(handshakes::RESUMPTIONS) } else { clients_of(options, count) };
            let who = if given("stranger") { Who::Stranger } else { who(options) };
            handshakes::run(&handshakes::Plan {
                address: address.parse()?,
                configs: peers::clients(directory.as_ref(), who, exchange(options), resume, different)?,
                resume,
                count,
                clients: clients.parse()?,
                nodelay: !given("nagle"),
            })
        }
        ["kept", address, directory, connections, requests, ref options @ ..] => {
            let connections = connections.parse()?;
            let different = clients_of(options, connections);
            let configs = peers::clients(directory.as_ref(), who(options), Exchange::Classic, false, different)?;
            let path = options.iter().find(|option| option.starts_with('/')).unwrap_or(&"/");
            let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
            kept::run(address.parse()?, &configs, connections, requests.parse()?, request.as_bytes())
        }
        [direction @ ("down" | "up"), address, directory, bytes, count] => {
            let config = peers::client(directory.as_ref(), Who::Client1)?;
            bodies::run(direction == "up", address.parse()?, &config, bytes.parse()?, count.parse()?)
        }
        ["cold", address, directory, program, ref rest @ ..] => {
            cold::run(address.parse()?, &peers::client(directory.as_ref(), Who::Stranger)?, program, rest)
        }
        ["burst", address, directory, clients, away] => {
            let config = peers::client(directory.as_ref(), Who::Client1)?;
            burst::run(
                address.parse()?,
                &config,
                clients.parse()?,
                Duration::from_millis(away.parse()?),
                Duration::ZERO,
            )
        }
        ["flood", address, directory, clients, away, per_second, seconds, ref options @ ..] => {
            let config = peers::client(directory.as_ref(), Who::Client1)?;
            let (address, away, seconds) = (address.parse()?, Duration::from_millis(away.parse()?), seconds.parse()?);
            let flood = flood::Flood::start(address, directory, per_second.parse()?, seconds, options)?;
            flood.settle();
            let all = burst::run(address, &config, clients.parse()?, away, Duration::from_secs(seconds) / 2);
            flood.end()?;
            all
        }
        ["strangers", address, directory, number, per_second, seconds, ref options @ ..] => {
            let hello =
                options.contains(&"hello").then(|| peers::client(directory.as_ref(), Who::Stranger)).transpose()?;
            flood::strangers(address.parse()?, hello.as_ref(), number.parse()?, per_second.parse()?, seconds.parse()?)
        }
        ["hellos", address, directory, rate, seconds, networks, ref first @ ..] if first.len() <= 1 => {
            hellos::run(&hellos::Plan {
                address: address.parse()?,
                config: peers::client(directory.as_ref(), Who::Stranger)?,
                rate: rate.parse()?,
                time: Duration::from_secs(seconds.parse()?),
                networks: networks.parse()?,
                first: first.first().unwrap_or(&"127.100.0.1").parse()?,
            })
        }
        ["known", address, directory, connections, rate, seconds, mode @ ("kept" | "new"), ref source @ ..]
            if source.len() <= 1 =>
        {
            known::run(&known::Plan {
                address: address.parse()?,
                config: peers::client(directory.as_ref(), Who::Client1)?,
                connections: connections.parse()?,
                rate: rate.parse()?,
                time: Duration::from_secs(seconds.parse()?),
                kept: mode == "kept",
                source: source.first().unwrap_or(&"127.0.0.1").parse()?,
            })
        }
        ["floor", directory, count, ref options @ ..] => {
            floor::run(directory.as_ref(), count.parse()?, exchange(options))
        }
        ["clients", directory, count] => clients::make(directory.as_ref(), count.parse()?),
        ["aead", megabytes] => bodies::aead(megabytes.parse()?),
        _ => Err(
            "usage: load handshakes|kept|down|up|cold|burst|flood|hellos|known|floor|clients|aead …, see the source"
                .into(),
        ),
    }
}

fn exchange(options: &[&str]) -> Exchange {
    if options.contains(&"post-quantum") { Exchange::PostQuantum } else { Exchange::Classic }
}

fn who(options: &[&str]) -> Who {
    if options.contains(&"everyone") { Who::Everyone } else { Who::Client1 }
}

/// How many that differ, for so many connections.
fn clients_of(options: &[&str], connections: usize) -> usize {
    if who(options) == Who::Everyone { connections } else { 1 }
}

fn connect(address: SocketAddr, config: &Arc<ClientConfig>, nodelay: bool) -> Result<Tls, Failed> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(nodelay)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    Ok(StreamOwned::new(ClientConnection::new(Arc::clone(config), "localhost".try_into()?)?, stream))
}

/// A socket that is to connect from this address and port (0: any).
fn bound_to(from: Ipv4Addr, port: u16, flags: SocketFlags) -> Result<OwnedFd, Failed> {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags | SocketFlags::CLOEXEC, None)?;
    bind(&socket, &SocketAddr::from((from, port)))?;
    Ok(socket)
}

/// Reads one response to its end, which its length tells: the status.
fn read_response(stream: &mut Tls) -> Result<u16, Failed> {
    let mut received = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    let (mut missing, mut status) = (None, 0);
    while missing != Some(0) {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Err("the connection was closed before the response's end".into());
        }
        match &mut missing {
            Some(missing) => *missing -= read.min(*missing),
            None => {
                received.extend_from_slice(&buffer[..read]);
                if let Some(head) = Head::read(&received) {
                    (missing, status) = (Some(head.length.saturating_sub(received.len() - head.end)), head.status);
                }
            }
        }
    }
    Ok(status)
}

struct Head {
    status: u16,
    /// Where the body begins, and how long it is.
    end: usize,
    length: usize,
}

impl Head {
    fn read(received: &[u8]) -> Option<Self> {
        let end = received.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let text = std::str::from_utf8(&received[..end]).ok()?;
        let status = text.get(9..12)?.parse().ok()?;
        let length = text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        Some(Self { status, end, length: length? })
    }
}

fn print(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Waits for a line of standard input, or for its end.
fn wait_for_line() {
    let _ = std::io::stdin().lock().read_line(&mut String::new());
}

/// The value below which so much of the sorted values lies.
fn percentile(sorted: &[Duration], share: f64) -> u128 {
    let at = (sorted.len() as f64 * share) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).map_or(0, Duration::as_micros)
}
