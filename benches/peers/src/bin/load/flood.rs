//! Strangers that connect, so many each second, and say nothing, or nothing after their ClientHello. They hold their
//! connections until the end. Several processes make them, from several addresses, as there are limits of open files and of
//! ports for each.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use peers::Failed;
use rustix::net::{SocketFlags, connect};
use rustls::{ClientConfig, ClientConnection};

use super::bound_to;

const PROCESSES: u32 = 4;

pub(super) struct Flood(Vec<Child>);

impl Flood {
    pub(super) fn start(
        address: SocketAddr,
        directory: &str,
        per_second: u32,
        seconds: u64,
        options: &[&str],
    ) -> Result<Self, Failed> {
        let start = |number: u32| {
            Command::new(std::env::current_exe()?)
                .args(["strangers", &address.to_string(), directory])
                .args([number.to_string(), (per_second / PROCESSES).to_string(), seconds.to_string()])
                .args(options)
                .spawn()
        };
        Ok(Self((0..PROCESSES).map(start).collect::<Result<_, _>>()?))
    }

    /// Lets it come to its full height.
    pub(super) fn settle(&self) {
        thread::sleep(Duration::from_secs(2));
    }

    pub(super) fn end(self) -> Result<(), Failed> {
        self.0.into_iter().try_for_each(|mut child| {
            child.wait()?;
            Ok(())
        })
    }
}

/// The life of one of the processes.
pub(super) fn strangers(
    address: SocketAddr,
    hello: Option<&Arc<ClientConfig>>,
    number: u8,
    per_second: u32,
    seconds: u64,
) -> Result<(), Failed> {
    let mut held = Vec::new();
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(seconds) {
        let due = (begin.elapsed().as_secs_f64() * f64::from(per_second)) as usize;
        while held.len() < due {
            match stranger(address, Ipv4Addr::new(127, 0, 1, 1 + number), hello) {
                Ok(stream) => held.push(stream),
                Err(error) => return Err(format!("after {} connections: {error}", held.len()).into()),
            }
        }
        thread::sleep(Duration::from_millis(2));
    }
    eprintln!("process {number}: {} strangers in {seconds} s", held.len());
    Ok(())
}

fn stranger(address: SocketAddr, from: Ipv4Addr, hello: Option<&Arc<ClientConfig>>) -> Result<TcpStream, Failed> {
    let socket = bound_to(from, 0, SocketFlags::empty())?;
    connect(&socket, &address)?;
    let mut stream = TcpStream::from(socket);
    if let Some(config) = hello {
        ClientConnection::new(Arc::clone(config), "localhost".try_into()?)?.write_tls(&mut stream)?;
    }
    Ok(stream)
}
