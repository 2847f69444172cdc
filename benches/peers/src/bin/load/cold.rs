//! How long a server takes from its start to the first byte of its first answer.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use peers::Failed;
use rustls::ClientConfig;

use super::{GET, connect, print};

const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn run(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    program: &str,
    arguments: &[&str],
) -> Result<(), Failed> {
    // What this process does for the first time (collecting randomness takes its library some 20 ms) is not the server's.
    config.crypto_provider().secure_random.fill(&mut [0; 32]).map_err(|_| "no randomness")?;
    let begun = Instant::now();
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let answered = loop {
        match first_byte(address, config) {
            Ok(()) => break Ok(begun.elapsed()),
            Err(error) if begun.elapsed() > PATIENCE => break Err(error),
            Err(_) => thread::sleep(Duration::from_micros(100)),
        }
    };
    // SIGTERM would have it say goodbye first; nginx's workers end with their master's socket.
    let _ = Command::new("kill").arg(child.id().to_string()).status();
    let _ = child.wait();
    print(&format!("{{\"microseconds\":{}}}", answered?.as_micros()));
    Ok(())
}

fn first_byte(address: SocketAddr, config: &Arc<ClientConfig>) -> Result<(), Failed> {
    let mut stream = connect(address, config, true)?;
    stream.write_all(GET)?;
    stream.read_exact(&mut [0])?;
    Ok(())
}
