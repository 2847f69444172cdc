//! Lets everyone in and decides in the handler, as an express application with `rejectUnauthorized: false` does: `/` is for
//! everyone, anything else for authorised clients.

use mtls_min::http::StatusCode;
use mtls_min::log::AccessLog;
use mtls_min::{Request, Response, Server, ServerCertificate, Trust, Verdict, response};
use std::net::TcpListener;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:4433".to_owned());
    let certificate = ServerCertificate::from_pem_files("certs/server-crt.pem", "certs/server-key.pem")?;
    let trust = Trust::from_pem_file("certs/ca.pem")?;
    let server = Server::builder(TcpListener::bind(address)?, certificate, trust)
        .open_gate()
        .observer(AccessLog::text(std::io::stderr())?)
        .build()?;
    eprintln!("listening on {}", server.local_addrs()[0]);
    server.serve(answer)?;
    Ok(())
}

fn answer(request: &mut Request<'_>) -> Response {
    match request.peer_verdict() {
        Verdict::Authorised(who) => response::text(StatusCode::OK, format!("welcome, {}\n", who.display_name())),
        Verdict::Refused(_) if request.uri().path() == "/" => response::text(StatusCode::OK, "welcome, stranger\n"),
        Verdict::Refused(refusal) => {
            // The reason is for us; the client is told only that it is refused.
            eprintln!("refused {}: {refusal}; {}", request.remote_addr(), refusal.repair());
            response::text(StatusCode::UNAUTHORIZED, "User is not authorized\n")
        }
    }
}
