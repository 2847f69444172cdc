//! Good clients that all come at once, or within a time, each from so far away: between connecting, ClientHello, Finished and
//! request it lets pass what its packets would take. Each has a thread, which sleeps most of the time.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use peers::Failed;
use rustix::net::SocketFlags;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::{GET, bound_to, percentile, print, read_response};

/// Nobody waits longer for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Far less than each would have by default.
const STACK: usize = 256 * 1024;

pub(super) fn run(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    clients: u32,
    away: Duration,
    within: Duration,
) -> Result<(), Failed> {
    // Late enough for all the threads to be there.
    let begin = Instant::now() + Duration::from_millis(500);
    let visits: Vec<Result<Duration, String>> = thread::scope(|scope| {
        let visit = |number| {
            let client = move || {
                thread::sleep((begin + within * number / clients).saturating_duration_since(Instant::now()));
                let begun = Instant::now();
                visit(address, config, away, number).map(|()| begun.elapsed()).map_err(|error| error.to_string())
            };
            thread::Builder::new().stack_size(STACK).spawn_scoped(scope, client)
        };
        let threads: Vec<_> = (0..clients).map(visit).collect::<Result<_, _>>()?;
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| "a client panicked".into()))
            .collect::<Result<_, Failed>>()
    })?;
    let mut times: Vec<_> = visits.iter().filter_map(|visit| visit.as_ref().ok()).copied().collect();
    times.sort_unstable();
    let mut lost = BTreeMap::<_, usize>::new();
    visits.into_iter().filter_map(Result::err).for_each(|why| *lost.entry(why).or_default() += 1);
    print(&format!(
        "{{\"clients\":{clients},\"away_ms\":{},\"served\":{},\"lost\":{},\"p50_ms\":{},\"last_ms\":{},\"why\":\"{lost:?}\"}}",
        away.as_millis(),
        times.len(),
        lost.values().sum::<usize>(),
        percentile(&times, 0.5) / 1000,
        percentile(&times, 1.0) / 1000,
    ));
    Ok(())
}

fn visit(address: SocketAddr, config: &Arc<ClientConfig>, away: Duration, number: u32) -> Result<(), Failed> {
    // Each from an address of its own: to a server that has just started, none is known.
    let socket = bound_to(Ipv4Addr::from(0x7f01_0001 + number), 0, SocketFlags::empty())?;
    rustix::net::connect(&socket, &address)?;
    let socket = TcpStream::from(socket);
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut stream = StreamOwned::new(ClientConnection::new(Arc::clone(config), "localhost".try_into()?)?, socket);
    while stream.conn.is_handshaking() || stream.conn.wants_write() {
        if stream.conn.wants_write() {
            thread::sleep(away);
            while stream.conn.wants_write() {
                stream.conn.write_tls(&mut stream.sock)?;
            }
        } else {
            if stream.conn.read_tls(&mut stream.sock)? == 0 {
                return Err("closed in the handshake".into());
            }
            stream.conn.process_new_packets()?;
        }
    }
    thread::sleep(away);
    stream.write_all(GET)?;
    match read_response(&mut stream)? {
        200 => Ok(()),
        status => Err(format!("status {status}").into()),
    }
}
