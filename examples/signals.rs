//! Stops on SIGTERM or SIGINT: what is being answered is finished first, a second signal ends at once.
//!
//! `cargo run --example signals`, then `kill -TERM` its process.

use mtls_min::http::StatusCode;
use mtls_min::log::AccessLog;
use mtls_min::{Server, ServerCertificate, Stopped, Trust, response};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::net::TcpListener;
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:4433".to_owned());
    let certificate = ServerCertificate::from_pem_files("certs/server-crt.pem", "certs/server-key.pem")?;
    let trust = Trust::from_pem_file("certs/ca.pem")?;
    let listener = TcpListener::bind(address)?;
    let server = Server::builder(listener, certificate, trust)
        .drain_timeout(Duration::from_secs(30))
        .observer(AccessLog::text(std::io::stderr())?)
        .build()?;
    let shutdown = server.shutdown_handle();
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    std::thread::spawn(move || {
        for (count, signal) in signals.forever().enumerate() {
            if count > 0 {
                std::process::exit(128 + signal);
            }
            eprintln!("stopping");
            shutdown.shutdown();
        }
    });
    eprintln!("listening on {}", server.local_addrs()[0]);
    let stopped = server.serve(|request| match request.body_bytes(1 << 20) {
        Ok(body) => response::text(StatusCode::OK, format!("you sent {} bytes\n", body.len())),
        Err(error) => response::status(error.status()),
    })?;
    match stopped {
        Stopped::Drained => eprintln!("stopped"),
        other => eprintln!("stopped: {other:?}"),
    }
    Ok(())
}
