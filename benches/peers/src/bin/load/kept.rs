//! Connections that are kept: each asks again as soon as it has its answer.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use peers::Failed;
use rustix::event::epoll;
use rustls::ClientConfig;

use super::{Head, Tls, connect, percentile, print, read_response, wait_for_line};

/// Threads that ask. The machine has few processors, and the server needs some.
const THREADS: usize = 2;

pub(super) fn run(
    address: SocketAddr,
    configs: &[Arc<ClientConfig>],
    connections: usize,
    requests: usize,
    request: &[u8],
) -> Result<(), Failed> {
    let mut streams = Vec::new();
    for number in 0..connections {
        let mut stream = connect(address, &configs[number % configs.len()], true)
            .map_err(|error| format!("connection {number}: {error}"))?;
        stream.write_all(request)?;
        match read_response(&mut stream)? {
            200 => streams.push(stream),
            status => return Err(format!("connection {number} was answered {status}").into()),
        }
    }
    print("ready");
    wait_for_line();
    let begun = Instant::now();
    let each = connections.div_ceil(THREADS);
    let chunks: Vec<_> = streams.chunks_mut(each).collect();
    let share = requests / chunks.len();
    let mut times = thread::scope(|scope| {
        let askers: Vec<_> =
            chunks.into_iter().map(|streams| scope.spawn(move || ask(streams, share, request))).collect();
        let joined = askers.into_iter().map(|asker| asker.join().map_err(|_| "an asker panicked")?);
        joined.collect::<Result<Vec<_>, Failed>>()
    })?
    .concat();
    let seconds = begun.elapsed().as_secs_f64();
    times.sort_unstable();
    print(&format!(
        "{{\"count\":{},\"seconds\":{seconds},\"p50_us\":{},\"p99_us\":{}}}",
        times.len(),
        percentile(&times, 0.5),
        percentile(&times, 0.99)
    ));
    wait_for_line();
    Ok(())
}

/// Has `requests` answered over all of `streams`.
fn ask(streams: &mut [Tls], requests: usize, request: &[u8]) -> Result<Vec<Duration>, Failed> {
    let poller = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut times = Vec::with_capacity(requests);
    let mut asked = Vec::new();
    for (number, stream) in streams.iter_mut().enumerate().take(requests) {
        stream.sock.set_nonblocking(true)?;
        epoll::add(&poller, &stream.sock, epoll::EventData::new_u64(number as u64), epoll::EventFlags::IN)?;
        stream.write_all(request)?;
        asked.push((Instant::now(), Vec::new()));
    }
    let mut left = requests - asked.len();
    let mut events = Vec::with_capacity(256);
    while times.len() < requests {
        events.clear();
        epoll::wait(&poller, rustix::buffer::spare_capacity(&mut events), None)?;
        for event in &events {
            let number = event.data.u64() as usize;
            let stream = &mut streams[number];
            let (since, received) = &mut asked[number];
            if !is_answered(stream, received)? {
                continue;
            }
            times.push(since.elapsed());
            received.clear();
            if left > 0 {
                left -= 1;
                *since = Instant::now();
                stream.write_all(request)?;
            }
        }
    }
    Ok(times)
}

/// Reads all that is there; whether the response is complete.
fn is_answered(stream: &mut Tls, received: &mut Vec<u8>) -> Result<bool, Failed> {
    let mut buffer = [0; 16 * 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Err("the connection was closed".into()),
            Ok(read) => received.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        match Head::read(received) {
            Some(head) if head.status != 200 => return Err(format!("answered {}", head.status).into()),
            Some(head) if received.len() >= head.end + head.length => return Ok(true),
            _ => {}
        }
    }
}
