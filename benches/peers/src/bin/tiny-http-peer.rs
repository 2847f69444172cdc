//! tiny_http with TLS: a synchronous server that cannot ask for client certificates, as a floor.
//!
//!     tiny-http-peer ADDRESS DIRECTORY

use std::path::PathBuf;
use std::sync::Arc;

use peers::Failed;
use tiny_http::{Response, Server, SslConfig};

fn main() -> Result<(), Failed> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(directory)) = (arguments.next(), arguments.next()) else {
        return Err("usage: tiny-http-peer ADDRESS DIRECTORY".into());
    };
    let directory = PathBuf::from(directory);
    let config = SslConfig {
        certificate: std::fs::read(directory.join("server-crt.pem"))?,
        private_key: std::fs::read(directory.join("server-key.pem"))?,
    };
    let server = Arc::new(Server::https(address, config)?);
    let workers: Vec<_> = (0..8)
        .map(|_| {
            let server = Arc::clone(&server);
            std::thread::spawn(move || {
                for request in server.incoming_requests() {
                    let _ = request.respond(Response::from_string("hello world\n"));
                }
            })
        })
        .collect();
    for worker in workers {
        let _ = worker.join();
    }
    Ok(())
}
