//! An application that was written for tiny_http, as it was, with the gate in front of it in the same program.
//!
//! `cargo run --features tiny_http --example in_front`. `mtls-min --forward URL` does the same for a program that runs by itself.

use mtls_min::log::AccessLog;
use mtls_min::{Forward, Server, ServerCertificate, Trust};
use std::net::TcpListener;

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:4433".to_owned());
    // Only programs on this machine reach the application without the gate.
    let application = tiny_http::Server::http("127.0.0.1:0")?;
    let forward = Forward::to(&format!("http://{}", application.server_addr()))?;
    std::thread::spawn(move || run(&application));

    let certificate = ServerCertificate::from_pem_files("certs/server-crt.pem", "certs/server-key.pem")?;
    let trust = Trust::from_pem_file("certs/ca.pem")?;
    let server = Server::builder(TcpListener::bind(address)?, certificate, trust)
        .observer(AccessLog::text(std::io::stderr())?)
        .build()?;
    eprintln!("listening on {}", server.local_addrs()[0]);
    server.serve(move |request| forward.answer(request))?;
    Ok(())
}

/// The application. It believes the fields that say who the client is: the gate sets them, and a client cannot.
fn run(server: &tiny_http::Server) {
    for request in server.incoming_requests() {
        let name = request.headers().iter().find(|header| header.field.equiv("X-Client-Name"));
        let greeting = format!("hello {}\n", name.map_or("stranger", |header| header.value.as_str()));
        // If the client has left meanwhile, there is nobody to tell.
        let _ = request.respond(tiny_http::Response::from_string(greeting));
    }
}
