//! A folder: `GET` sends a file, or a range of it; `PUT` takes one of at most 1 GiB, in place of the one that was there.
//!
//! `cargo run --example files -- 127.0.0.1:4433 FOLDER`, then `curl -T FILE …`, `curl -C - -O …` to go on with a download.

use mtls_min::http::header::{ALLOW, HeaderValue};
use mtls_min::http::{Method, StatusCode};
use mtls_min::log::AccessLog;
use mtls_min::{Files, Request, Response, Server, ServerCertificate, Trust, response};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:4433".to_owned());
    let root = fs::canonicalize(arguments.next().unwrap_or_else(|| ".".to_owned()))?;
    let files = Files::new(&root)?;
    let certificate = ServerCertificate::from_pem_files("certs/server-crt.pem", "certs/server-key.pem")?;
    let trust = Trust::from_pem_file("certs/ca.pem")?;
    let server = Server::builder(TcpListener::bind(address)?, certificate, trust)
        .max_body(1 << 30)
        .observer(AccessLog::text(io::stderr())?)
        .build()?;
    eprintln!("listening on {}", server.local_addrs()[0]);
    server.serve(move |request| match *request.method() {
        Method::GET | Method::HEAD => files.answer(request),
        Method::PUT => put(request, &root),
        _ => {
            let mut response = response::status(StatusCode::METHOD_NOT_ALLOWED);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, PUT"));
            response
        }
    })?;
    Ok(())
}

fn put(request: &mut Request<'_>, root: &Path) -> Response {
    let stored = place(request, root).and_then(|path| store(request, &path));
    response::status(stored.unwrap_or_else(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => StatusCode::NOT_FOUND,
        _ => {
            eprintln!("{} {}: {error}", request.method(), request.uri());
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }))
}

/// Where a request stores a file, below the root. The server has refused `..` and encoded slashes already; here symbolic links
/// that lead out of the folder are refused, and dot files. (`Files` never reads outside of the folder. But whoever can make links
/// in it while requests are answered can still have files written outside: let nobody else write to it.)
fn place(request: &Request<'_>, root: &Path) -> io::Result<PathBuf> {
    let not_found = || io::Error::from(io::ErrorKind::NotFound);
    let decoded = request.path_decoded().filter(|path| !path.ends_with('/')).ok_or_else(not_found)?;
    let path = root.join(decoded.trim_start_matches('/'));
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Err(not_found()) };
    let path = fs::canonicalize(folder)?.join(name);
    let real = if path.is_symlink() { fs::canonicalize(&path)? } else { path };
    let inside = real.strip_prefix(root).map_err(|_| not_found())?;
    let is_hidden = inside.iter().any(|name| name.as_encoded_bytes().starts_with(b"."));
    if is_hidden || inside.as_os_str().is_empty() { Err(not_found()) } else { Ok(real) }
}

/// A file is there whole or not at all: it is written beside its place, and then renamed.
fn store(request: &mut Request<'_>, path: &Path) -> io::Result<StatusCode> {
    let name = path.file_name().map(OsStr::to_string_lossy).ok_or(io::ErrorKind::NotFound)?;
    let partial = path.with_file_name(format!(".{name}.{}", request.remote_addr().port()));
    let status = if path.exists() { StatusCode::OK } else { StatusCode::CREATED };
    let stored = File::create_new(&partial).and_then(|mut file| {
        io::copy(request.body(), &mut file)?;
        file.sync_all()?;
        fs::rename(&partial, path)
    });
    if stored.is_err() {
        let _ = fs::remove_file(&partial);
    }
    stored.map(|()| status)
}
