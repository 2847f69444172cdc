//! A client that is let in, at a modest and fixed rate. A request is due at its time, whether or not those before it are
//! answered, and its latency counts from then: a server that lets clients wait cannot hide it by having them ask less.
//!
//! Each thread takes the next request, sleeps until it is due, and has it answered. If all threads wait for answers, the request
//! waits for a thread, and this counts, too.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use peers::Failed;
use rustix::io::Errno;
use rustix::net::{SocketFlags, connect};
use rustix::time::{ClockId, clock_gettime};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::{GET, Tls, bound_to, percentile, print, read_response, wait_for_line};

/// A request that is not answered by then has failed. It counts with this time, lest failures make the rest look fast.
const PATIENCE: Duration = Duration::from_secs(5);

/// Far less than each would have by default.
const STACK: usize = 256 * 1024;

pub(super) struct Plan {
    pub(super) address: SocketAddr,
    pub(super) config: Arc<ClientConfig>,
    /// At a time: requests, or connections that are kept.
    pub(super) connections: usize,
    /// A second, by all of them together.
    pub(super) rate: u32,
    pub(super) time: Duration,
    /// Whether each connection is kept; if not, each request has a new one, with a full handshake.
    pub(super) kept: bool,
    pub(super) source: Ipv4Addr,
}

pub(super) fn run(plan: &Plan) -> Result<(), Failed> {
    // What makes the client's network known to the server.
    let mut kept = Vec::new();
    for _ in 0..if plan.kept { plan.connections } else { 1 } {
        let mut stream = None;
        ask(plan, &mut stream, Instant::now() + PATIENCE)?;
        kept.push(stream);
    }
    kept.resize_with(plan.connections, || None);
    print("ready");
    wait_for_line();
    let requests = (f64::from(plan.rate) * plan.time.as_secs_f64()) as usize;
    let (next, begun, cpu) = (AtomicUsize::new(0), Instant::now(), cpu());
    // Late enough for all the threads to be there.
    let begin = begun + Duration::from_millis(20);
    let times: Vec<Result<Duration, Failed>> = thread::scope(|scope| {
        let client = |stream| {
            let next = &next;
            let client = move || client(plan, stream, next, requests, begin);
            thread::Builder::new().stack_size(STACK).spawn_scoped(scope, client)
        };
        let threads: Vec<_> = kept.into_iter().map(client).collect::<Result<_, _>>()?;
        let joined = threads.into_iter().map(|thread| thread.join().map_err(|_| "a client panicked")?);
        joined.collect::<Result<Vec<_>, Failed>>()
    })?
    .into_iter()
    .flatten()
    .collect();
    let (seconds, cpu) = (begun.elapsed().as_secs_f64(), self::cpu() - cpu);
    let why = times.iter().find_map(|time| time.as_ref().err().map(ToString::to_string)).unwrap_or_default();
    let failed = times.iter().filter(|time| time.is_err()).count();
    let mut times: Vec<_> = times.into_iter().map(|time| time.unwrap_or(PATIENCE)).collect();
    times.sort_unstable();
    print(&format!(
        "{{\"requests\":{requests},\"failed\":{failed},\"p50_us\":{},\"p90_us\":{},\"p99_us\":{},\"max_us\":{},\
         \"seconds\":{seconds},\"cpu\":{},\"why\":{why:?}}}",
        percentile(&times, 0.5),
        percentile(&times, 0.9),
        percentile(&times, 0.99),
        percentile(&times, 1.0),
        cpu / seconds,
    ));
    Ok(())
}

fn client(
    plan: &Plan,
    mut stream: Option<Tls>,
    next: &AtomicUsize,
    requests: usize,
    begin: Instant,
) -> Result<Vec<Result<Duration, Failed>>, Failed> {
    // A sleep would end some 50 µs late, which is as long as a request takes.
    rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
    let mut times = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= requests {
            return Ok(times);
        }
        let due = begin + Duration::from_secs_f64(number as f64 / f64::from(plan.rate));
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let asked = ask(plan, &mut stream, due + PATIENCE);
        times.push(asked.map(|()| due.elapsed()));
    }
}

/// Over the connection that is kept, or over a new one.
fn ask(plan: &Plan, kept: &mut Option<Tls>, until: Instant) -> Result<(), Failed> {
    let mut stream = match kept.take() {
        Some(stream) => stream,
        None => open(plan, until)?,
    };
    allow(&stream.sock, until)?;
    stream.write_all(GET)?;
    match read_response(&mut stream)? {
        200 => {}
        status => return Err(format!("answered {status}").into()),
    }
    if plan.kept {
        *kept = Some(stream);
    } else {
        stream.conn.send_close_notify();
        let _ = stream.flush();
    }
    Ok(())
}

fn open(plan: &Plan, until: Instant) -> Result<Tls, Failed> {
    let socket = TcpStream::from(bound_to(plan.source, 0, SocketFlags::empty())?);
    // How long connecting may take is that of sending.
    allow(&socket, until)?;
    connect(&socket, &plan.address).map_err(|error| match error {
        Errno::INPROGRESS => "it was not connected in time".into(),
        error => Failed::from(error),
    })?;
    socket.set_nodelay(true)?;
    let mut stream =
        StreamOwned::new(ClientConnection::new(Arc::clone(&plan.config), "localhost".try_into()?)?, socket);
    while stream.conn.is_handshaking() {
        allow(&stream.sock, until)?;
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

/// Lets reading and writing last no longer than until then.
fn allow(socket: &TcpStream, until: Instant) -> Result<(), Failed> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err("it came too late to be sent".into());
    }
    socket.set_read_timeout(Some(left))?;
    socket.set_write_timeout(Some(left))?;
    Ok(())
}

/// Seconds of CPU time of this process.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
