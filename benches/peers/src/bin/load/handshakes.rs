//! One connection, one request, close; again and again, by several clients at once. Where sessions are resumed, as many full
//! handshakes as give the tickets for that come first, and are not counted.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use peers::Failed;
use rustls::{ClientConfig, HandshakeKind};

use super::{GET, connect, percentile, print, read_response, wait_for_line};

/// How often a session is resumed: node gives two tickets in a full handshake, and no more when one is used.
pub(super) const RESUMPTIONS: usize = 2;

pub(super) struct Plan {
    pub(super) address: SocketAddr,
    /// Each remembers its own sessions.
    pub(super) configs: Vec<Arc<ClientConfig>>,
    pub(super) resume: bool,
    pub(super) count: usize,
    pub(super) clients: usize,
    pub(super) nodelay: bool,
}

#[derive(Default)]
struct Seen {
    times: Vec<Duration>,
    resumed: usize,
    tickets: usize,
    statuses: [usize; 6],
}

pub(super) fn run(plan: &Plan) -> Result<(), Failed> {
    if plan.resume {
        connect_all(plan, plan.configs.len())?;
        print("ready");
        wait_for_line();
    }
    let begun = Instant::now();
    let all = connect_all(plan, plan.count)?;
    let seconds = begun.elapsed().as_secs_f64();
    let mut times: Vec<_> = all.iter().flat_map(|seen| &seen.times).copied().collect();
    times.sort_unstable();
    let sum = |of: fn(&Seen) -> usize| all.iter().map(of).sum::<usize>();
    print(&format!(
        "{{\"count\":{},\"seconds\":{seconds},\"p50_us\":{},\"p99_us\":{},\"resumed\":{},\"tickets\":{},\"ok\":{},\"unauthorised\":{}}}",
        times.len(),
        percentile(&times, 0.5),
        percentile(&times, 0.99),
        sum(|seen| seen.resumed),
        sum(|seen| seen.tickets),
        sum(|seen| seen.statuses[2]),
        sum(|seen| seen.statuses[4]),
    ));
    Ok(())
}

/// Connects so many times.
fn connect_all(plan: &Plan, count: usize) -> Result<Vec<Seen>, Failed> {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..plan.clients).map(|_| scope.spawn(|| client(plan, &next, count))).collect();
        clients.into_iter().map(|client| client.join().map_err(|_| "a client panicked")?).collect()
    })
}

fn client(plan: &Plan, next: &AtomicUsize, count: usize) -> Result<Seen, Failed> {
    let mut seen = Seen::default();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= count {
            return Ok(seen);
        }
        let begun = Instant::now();
        let mut stream = connect(plan.address, &plan.configs[number % plan.configs.len()], plan.nodelay)?;
        // The handshake first, so that the request is a segment of its own, as it is for most clients.
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        stream.write_all(GET)?;
        let status = read_response(&mut stream)?;
        seen.times.push(begun.elapsed());
        seen.statuses[usize::from(status / 100).min(5)] += 1;
        seen.resumed += usize::from(stream.conn.handshake_kind() == Some(HandshakeKind::Resumed));
        seen.tickets += stream.conn.tls13_tickets_received() as usize;
        stream.conn.send_close_notify();
        let _ = stream.flush();
    }
}
