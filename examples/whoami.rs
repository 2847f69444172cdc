//! Tells each client, as JSON, what its certificate says.
//!
//! `cargo run --example whoami`, then `curl --cacert certs/ca.pem --cert … --key … https://localhost:4433/`.

use mtls_min::http::{HeaderValue, header};
use mtls_min::log::AccessLog;
use mtls_min::{Identity, Request, Response, Server, ServerCertificate, Trust};
use std::net::TcpListener;
use std::time::UNIX_EPOCH;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:4433".to_owned());
    let certificate = ServerCertificate::from_pem_files("certs/server-crt.pem", "certs/server-key.pem")?;
    let trust = Trust::from_pem_files(["certs/ca.pem"])?;
    let server = Server::builder(TcpListener::bind(address)?, certificate, trust)
        .observer(AccessLog::text(std::io::stderr())?)
        .build()?;
    eprintln!("listening on {}", server.local_addrs()[0]);
    server.serve(|request: &mut Request<'_>| {
        let mut response = Response::new(json(request.peer()).into());
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    })?;
    Ok(())
}

fn json(who: &Identity) -> String {
    let attributes: Vec<String> = who
        .attributes()
        .iter()
        .map(|a| format!("{{\"type\":{},\"value\":{}}}", quoted(a.short_name().unwrap_or(a.oid())), quoted(a.value())))
        .collect();
    let until = who.not_after().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    format!(
        "{{\"subject\":{},\"attributes\":[{}],\"issuer\":{},\"serial\":{},\"sha256\":{},\"dns\":{},\"emails\":{},\"uris\":{},\"upns\":{},\
         \"not_after\":{until}}}\n",
        quoted(who.subject()),
        attributes.join(","),
        quoted(who.issuer()),
        quoted(who.serial()),
        quoted(who.sha256()),
        list(who.dns_names()),
        list(who.emails()),
        list(who.uris()),
        list(who.upns()),
    )
}

fn list(values: &[String]) -> String {
    format!("[{}]", values.iter().map(|value| quoted(value)).collect::<Vec<_>>().join(","))
}

/// A JSON string; a real application would use its JSON library.
fn quoted(value: &str) -> String {
    let escaped: String = value
        .chars()
        .map(|c| match c {
            '"' => "\\\"".to_owned(),
            '\\' => "\\\\".to_owned(),
            c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
            c => c.to_string(),
        })
        .collect();
    format!("\"{escaped}\"")
}
