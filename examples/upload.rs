//! Takes files by PUT and streams them to disk, in a directory for each client: `curl -T FILE https://localhost:4433/name`.
//!
//! A file is there whole or not at all, and no file is overwritten. The example `files` sends them too.

use mtls_min::http::{Method, StatusCode};
use mtls_min::log::AccessLog;
use mtls_min::{Request, Server, ServerCertificate, Trust, response};
use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:4433".to_owned());
    let root = PathBuf::from(arguments.next().unwrap_or_else(|| "uploads".to_owned()));
    let certificate = ServerCertificate::from_pem_files("certs/server-crt.pem", "certs/server-key.pem")?;
    let trust = Trust::from_pem_file("certs/ca.pem")?;
    let server = Server::builder(TcpListener::bind(address)?, certificate, trust)
        .max_body(1 << 30)
        .observer(AccessLog::text(io::stderr())?)
        .build()?;
    eprintln!("listening on {}", server.local_addrs()[0]);
    server.serve(move |request| {
        let status = take(request, &root).unwrap_or_else(|error| {
            eprintln!("upload from {} failed: {error}", request.remote_addr());
            StatusCode::INTERNAL_SERVER_ERROR
        });
        response::status(status)
    })?;
    Ok(())
}

fn take(request: &mut Request<'_>, root: &Path) -> io::Result<StatusCode> {
    if request.method() != Method::PUT {
        return Ok(StatusCode::METHOD_NOT_ALLOWED);
    }
    // A single name. The server has refused `..` and encoded slashes already; this refuses directories and dot files.
    let name = request.path_decoded().unwrap_or_default().trim_start_matches('/').to_owned();
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        return Ok(StatusCode::BAD_REQUEST);
    }
    // The fingerprint is a safe name for a directory, which a subject is not.
    let directory = root.join(request.peer().sha256());
    fs::create_dir_all(&directory)?;
    let partial = directory.join(format!(".{name}.{}", request.remote_addr().port()));
    let stored = store(request, &partial, &directory.join(name));
    let _ = fs::remove_file(&partial);
    match stored {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(StatusCode::CONFLICT),
        result => result.map(|()| StatusCode::CREATED),
    }
}

fn store(request: &mut Request<'_>, partial: &Path, path: &Path) -> io::Result<()> {
    let mut file = File::create_new(partial)?;
    io::copy(request.body(), &mut file)?;
    file.sync_all()?;
    fs::hard_link(partial, path)
}
