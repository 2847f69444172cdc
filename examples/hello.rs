//! Greets the holder of a certificate by name.
//!
//! Make certificates with `mtls-min demo` (or `certs/make-certs.sh`), then `cargo run --example hello`.

use mtls_min::http::StatusCode;
use mtls_min::log::AccessLog;
use mtls_min::{Server, ServerCertificate, Trust, response};
use std::net::TcpListener;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:4433".to_owned());
    let certificate = ServerCertificate::from_pem_files("certs/server-crt.pem", "certs/server-key.pem")?;
    let trust = Trust::from_pem_file("certs/ca.pem")?;
    let server = Server::builder(TcpListener::bind(address)?, certificate, trust)
        .observer(AccessLog::text(std::io::stderr())?)
        .build()?;
    eprintln!("listening on {}", server.local_addrs()[0]);
    server.serve(|request| response::text(StatusCode::OK, format!("hello {}\n", request.peer().display_name())))?;
    Ok(())
}
