//! What a connection costs a server at least: TLS in memory, and a bare TCP connection that carries as many bytes.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use peers::{Exchange, Failed, Who, chain, clients, key, provider, roots};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConnection, ServerConfig, ServerConnection};

use super::bodies::cpu;
use super::{GET, print};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\nhello world\n";

/// What passed in each flight, so that the bare connection carries the same.
#[derive(Default)]
struct Flights {
    sizes: Vec<(bool, usize)>,
}

pub(super) fn run(directory: &Path, count: usize, exchange: Exchange) -> Result<(), Failed> {
    let mut config = ServerConfig::builder_with_provider(provider(exchange))
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots(directory)?), provider(exchange)).build()?,
        )
        .with_single_cert(chain(&directory.join("server-crt.pem"))?, key(&directory.join("server-key.pem"))?)?;
    config.send_tls13_tickets = 0;
    let (server, client) = (Arc::new(config), clients(directory, Who::Client1, exchange, false, 1)?.remove(0));
    let mut tls = 0.0;
    let mut flights = Flights::default();
    for _ in 0..count {
        flights.sizes.clear();
        let client = ClientConnection::new(Arc::clone(&client), "localhost".try_into()?)?;
        tls += in_memory(&server, client, &mut flights)?;
    }
    let tcp = bare(&flights.sizes, count)?;
    print(&format!("{{\"tls_us\":{},\"tcp_us\":{}}}", tls * 1e6 / count as f64, tcp * 1e6 / count as f64));
    Ok(())
}

/// The server's side of a handshake, a request, an answer and a close: seconds of CPU time.
fn in_memory(config: &Arc<ServerConfig>, mut client: ClientConnection, flights: &mut Flights) -> Result<f64, Failed> {
    let mut spent = 0.0;
    let begun = cpu();
    let mut server = ServerConnection::new(Arc::clone(config))?;
    spent += cpu() - begun;
    let (mut asked, mut answered, mut ended) = (false, false, false);
    while !ended {
        if !client.is_handshaking() && !asked {
            client.writer().write_all(GET)?;
            asked = true;
        }
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes)?;
        }
        flights.sizes.push((true, bytes.len()));
        let begun = cpu();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            server.read_tls(&mut rest)?;
            server.process_new_packets()?;
        }
        let mut request = [0; 4096];
        if matches!(server.reader().read(&mut request), Ok(1..)) && !answered {
            server.writer().write_all(ANSWER)?;
            server.send_close_notify();
            answered = true;
        }
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes)?;
        }
        spent += cpu() - begun;
        flights.sizes.push((false, bytes.len()));
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            client.read_tls(&mut rest)?;
            client.process_new_packets()?;
        }
        ended = answered;
    }
    let begun = cpu();
    drop(server);
    Ok(spent + cpu() - begun)
}

/// The same flights in the clear over loopback: seconds of CPU time of a thread that blocks.
fn bare(flights: &[(bool, usize)], count: usize) -> Result<f64, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = {
        let flights = flights.to_vec();
        thread::spawn(move || -> Result<f64, Failed> {
            let begun = cpu();
            for _ in 0..count {
                let (mut stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                exchange(&mut stream, &flights, true)?;
            }
            Ok(cpu() - begun)
        })
    };
    for _ in 0..count {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        exchange(&mut stream, flights, false)?;
    }
    server.join().map_err(|_| "the server panicked")?
}

fn exchange(stream: &mut TcpStream, flights: &[(bool, usize)], is_server: bool) -> Result<(), Failed> {
    let mut buffer = vec![0; 64 * 1024];
    for &(from_client, size) in flights {
        match from_client == is_server {
            true => stream.read_exact(&mut buffer[..size])?,
            false => stream.write_all(&buffer[..size])?,
        }
    }
    Ok(())
}
