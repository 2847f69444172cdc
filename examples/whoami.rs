//! Tells each client, as JSON, what its certificate says.
//!
//! `cargo run --example whoami`, then `curl --cacert certs/ca.pem --cert … --key … https://localhost:4433/`.

use mtls_min::http::StatusCode;
use mtls_min::log::AccessLog;
use mtls_min::{Identity, Server, ServerCertificate, Trust, response};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::time::UNIX_EPOCH;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:4433".to_owned());
    let certificate = ServerCertificate::from_pem_files("certs/server-crt.pem", "certs/server-key.pem")?;
    let trust = Trust::from_pem_file("certs/ca.pem")?;
    let server = Server::builder(TcpListener::bind(address)?, certificate, trust)
        .observer(AccessLog::text(std::io::stderr())?)
        .build()?;
    eprintln!("listening on {}", server.local_addrs()[0]);
    server.serve(|request| response::json_bytes(StatusCode::OK, json(request.peer())))?;
    Ok(())
}

fn json(who: &Identity) -> String {
    let attributes: Vec<Value> = who
        .attributes()
        .iter()
        .map(|attribute| json!({ "type": attribute.short_name().unwrap_or(attribute.oid()), "value": attribute.value() }))
        .collect();
    let until = who.not_after().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let identity = json!({
        "subject": who.subject(),
        "attributes": attributes,
        "issuer": who.issuer(),
        "serial": who.serial(),
        "sha256": who.sha256(),
        "dns": who.dns_names(),
        "emails": who.emails(),
        "uris": who.uris(),
        "upns": who.upns(),
        "not_after": until,
    });
    format!("{identity}\n")
}
