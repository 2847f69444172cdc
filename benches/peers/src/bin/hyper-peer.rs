//! hyper 1 with tokio-rustls: what most people would build in Rust. It asks for a client certificate and answers 401 to who
//! has none.
//!
//!     hyper-peer ADDRESS DIRECTORY [tickets]

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use peers::{Failed, chain, key, roots};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Bodies are cut from this.
static ZEROS: OnceLock<&'static [u8]> = OnceLock::new();

#[tokio::main(flavor = "multi_thread")]
async fn main() -> Result<(), Failed> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, directory, options @ ..] = &arguments[..] else {
        return Err("usage: hyper-peer ADDRESS DIRECTORY [tickets]".into());
    };
    let directory = PathBuf::from(directory);
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(&directory)?), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain(&directory.join("server-crt.pem"))?, key(&directory.join("server-key.pem"))?)?;
    match options.iter().any(|option| option == "tickets") {
        true => config.ticketer = aws_lc_rs::Ticketer::new()?,
        false => config.send_tls13_tickets = 0,
    }
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(address).await?;
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        // What an attentive author would set.
        let _ = stream.set_nodelay(true);
        tokio::spawn(serve(acceptor.clone(), stream));
    }
}

async fn serve(acceptor: TlsAcceptor, stream: TcpStream) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let is_authorised = stream.get_ref().1.peer_certificates().is_some();
    let service = service_fn(move |request| answer(request, is_authorised));
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, is_authorised: bool) -> Result<Response<Full<Bytes>>, Infallible> {
    if !is_authorised {
        let mut response = Response::new(Full::from("User is not authorized\n"));
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        return Ok(response);
    }
    if request.method() == Method::GET {
        if let Ok(length) = request.uri().path()[1..].parse::<usize>() {
            let zeros: &'static [u8] = ZEROS.get_or_init(|| Vec::leak(vec![0; 64 * 1024 * 1024]));
            return Ok(Response::new(Full::from(&zeros[..length.min(zeros.len())])));
        }
        return Ok(Response::new(Full::from("hello world\n")));
    }
    let mut body = request.into_body();
    while let Some(Ok(_)) = body.frame().await {}
    Ok(Response::new(Full::from("read\n")))
}
