//! An observer of one's own: counts the requests by status and the refusals by code, and writes the text log too.
//!
//! `cargo run --example observer`; `/` tells the counts.

use mtls_min::http::StatusCode;
use mtls_min::log::AccessLog;
use mtls_min::{Access, Event, Observer, Server, ServerCertificate, Trust, response};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

/// How often each status, and each code of a refusal.
type Counts = Arc<Mutex<BTreeMap<String, u64>>>;

struct Counter {
    counts: Counts,
    log: AccessLog,
}

/// It is called on the threads that serve, so it is quick.
impl Observer for Counter {
    fn request(&self, access: &Access<'_>) {
        let code = access.refusal().map_or(String::new(), |refusal| format!(" {}", refusal.code()));
        *self.counts.lock().unwrap().entry(format!("{}{code}", access.status)).or_default() += 1;
        self.log.request(access);
    }

    fn event(&self, event: &Event<'_>) {
        self.log.event(event);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:4433".to_owned());
    let certificate = ServerCertificate::from_pem_files("certs/server-crt.pem", "certs/server-key.pem")?;
    let trust = Trust::from_pem_file("certs/ca.pem")?;
    let counts = Counts::default();
    let counter = Counter { counts: Arc::clone(&counts), log: AccessLog::text(std::io::stderr())? };
    let server = Server::builder(TcpListener::bind(address)?, certificate, trust).observer(counter).build()?;
    eprintln!("listening on {}", server.local_addrs()[0]);
    server.serve(move |_| {
        let counts = counts.lock().unwrap();
        let lines: String = counts.iter().map(|(what, times)| format!("{what}: {times}\n")).collect();
        response::text(StatusCode::OK, lines)
    })?;
    Ok(())
}
