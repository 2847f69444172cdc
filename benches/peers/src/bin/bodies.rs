//! mtls-min as a library, for large bodies: `GET /N` answers N bytes, anything else reads the request's body to its end.
//!
//!     bodies ADDRESS DIRECTORY

use std::net::TcpListener;
use std::path::PathBuf;

use mtls_min::{Body, Request, Response, Server, ServerCertificate, Trust};
use peers::Failed;

fn main() -> Result<(), Failed> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(directory)) = (arguments.next(), arguments.next()) else {
        return Err("usage: bodies ADDRESS DIRECTORY".into());
    };
    let directory = PathBuf::from(directory);
    let certificate =
        ServerCertificate::from_pem_files(directory.join("server-crt.pem"), directory.join("server-key.pem"))?;
    let trust = Trust::from_pem_files([directory.join("ca.pem")])?;
    let server = Server::builder(TcpListener::bind(address)?, certificate, trust).max_body(1 << 32).build()?;
    let zeros: &'static [u8] = Vec::leak(vec![0; 64 * 1024 * 1024]);
    server.serve(move |request: &mut Request<'_>| {
        let wanted = request.uri().path()[1..].parse().ok().and_then(|length: usize| zeros.get(..length));
        match wanted {
            Some(body) => Response::new(Body::from(body)),
            None => {
                let read = std::io::copy(request.body(), &mut std::io::sink());
                Response::new(format!("{read:?}\n").into())
            }
        }
    })?;
    Ok(())
}
