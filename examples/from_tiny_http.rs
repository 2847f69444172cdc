//! A guest book that was written for tiny_http, moved over: above each line that is new stands the one that was there before.
//!
//! `cargo run --features tiny_http --example from_tiny_http`, then `curl … -d 'good day' https://localhost:4433/`.

use mtls_min::log::AccessLog;
use mtls_min::{Request, Server, ServerCertificate, Trust, response};
use std::fs::File;
use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};
use tiny_http::{Header, Response, ResponseBox};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:4433".to_owned());
    // let server = tiny_http::Server::http(address)?;
    let certificate = ServerCertificate::from_pem_files("certs/server-crt.pem", "certs/server-key.pem")?;
    let trust = Trust::from_pem_file("certs/ca.pem")?;
    let server = Server::builder(TcpListener::bind(address)?, certificate, trust)
        .observer(AccessLog::text(std::io::stderr())?)
        .build()?;
    eprintln!("listening on {}", server.local_addrs()[0]);
    // let mut book = Vec::new();
    let book = Mutex::new(Vec::new());
    // for mut request in server.incoming_requests() {
    //     let response = answer(&mut request, &mut book);
    //     request.respond(response)?;
    // }
    server.serve(move |request| response::from_tiny_http(answer(request, &book)))?;
    Ok(())
}

// fn answer(request: &mut tiny_http::Request, book: &mut Vec<String>) -> ResponseBox {
fn answer(request: &mut Request<'_>, book: &Mutex<Vec<String>>) -> ResponseBox {
    // Several requests are answered at once: the book is locked when it is needed, not while a client sends its entry.
    let lock = || book.lock().unwrap_or_else(PoisonError::into_inner);
    // match (request.method().as_str(), request.url()) {
    match (request.method().as_str(), request.uri().path()) {
        // ("GET", "/") => Response::from_string(book.concat()).boxed(),
        ("GET", "/") => Response::from_string(lock().concat()).boxed(),
        ("GET", "/ca") => match File::open("certs/ca.pem") {
            Ok(file) => Response::from_file(file).with_header(header("Content-Type", "application/x-pem-file")).boxed(),
            Err(_) => Response::empty(404).boxed(),
        },
        ("POST", "/") => {
            let mut entry = String::new();
            // if request.as_reader().read_to_string(&mut entry).is_err() {
            if request.body().read_to_string(&mut entry).is_err() {
                return Response::empty(400).boxed();
            }
            // book.push(format!("{:?}: {entry}\n", request.remote_addr()));
            lock().push(format!("{}: {entry}\n", request.peer().display_name()));
            Response::empty(303).with_header(header("Location", "/")).boxed()
        }
        _ => Response::from_string("not found\n").with_status_code(404).boxed(),
    }
}

fn header(name: &str, value: &str) -> Header {
    Header::from_bytes(name, value).expect("the program's own names and values are ASCII")
}
