//! A small, synchronous HTTPS/1.1 server that lets in the holders of a client certificate (mutual TLS).
//!
//! A client whose certificate is valid reaches your handler, which can read who it is. A client with no certificate, or with one
//! that is not valid, still completes the TLS handshake and gets `401 User is not authorized`.
//!
//! # Begin here
//! ```no_run
#![doc = include_str!("../examples/hello.rs")]
//! ```
//! [`Server::builder`] takes a listener, the server's certificate and whom to trust, and returns a [`Builder`]. Its methods set
//! everything else. A [`Handler`] is a closure or a function that takes a [`Request`] and returns a [`Response`];
//! `fn answer(request: &mut Request<'_>) -> Response` is the signature in full.
//!
//! `mtls-min demo` (or `certs/make-certs.sh`) makes certificates to try it with.
//!
//! # I want to …
//!
//! | I want to … | use |
//! | --- | --- |
//! | know who the client is | [`Request::peer`], an [`Identity`] |
//! | answer text, HTML, JSON, a status, a redirect | [`response`] |
//! | send a file, with ranges | [`response::file`] |
//! | serve a folder of files | [`Files`] |
//! | send something else that is large | [`Body::from_reader`] |
//! | send events as they come, without a thread | [`Body::from_socket`] |
//! | switch to another protocol, a WebSocket for example | [`response::tunnel`] |
//! | route by method and path | `match (request.method().as_str(), request.uri().path())`, as the example `json_api` does |
//! | route by the beginning of the path | [`Routes`] |
//! | read the path or the query decoded | [`Request::path_decoded`], [`Request::query`] |
//! | read a body into memory, up to a limit | [`Request::body_bytes`] |
//! | read a large body as it comes | [`Request::body`] |
//! | allow only some clients | [`TrustBuilder::policy`] and [`Policy`], or a test of [`Request::peer`] in the handler |
//! | forward requests to an application behind the gate | [`Forward`] |
//! | let in single certificates without a CA | [`TrustBuilder::authorized_clients`] |
//! | use revocation lists | [`TrustBuilder::crl_file`] |
//! | read the files anew when they change | [`Server::watching`] and [`ServerFiles`] |
//! | replace what is trusted, from the program | [`Server::trust_handle`] |
//! | answer 401 and 403 in JSON | [`Builder::refusal_page`]; the other statuses of the server itself stay text (`docs/responses.md` lists them) |
//! | decide in the handler who is let in | [`Builder::open_gate`] and [`Request::peer_verdict`] |
//! | see requests, refusals and errors | [`Builder::observer`] with an observer of [`log`], or an [`Observer`] of your own; by default the server is silent |
//! | change limits and deadlines | [`Builder`] |
//! | have health checks, and figures for Prometheus | `admin` (feature `admin`) |
//! | stop, on SIGTERM for example | [`Server::shutdown_handle`] |
//! | see from outside whether it works | [`Server::status_handle`] |
//! | judge a certificate without a server | [`judge()`] |
//! | make certificates | [`pki`] |
//! | keep the responses of a program that was written for tiny_http | `response::from_tiny_http` (feature `tiny_http`) |
//!
//! The examples, in the folder `examples`:
//!
//! | example | what it shows |
//! | --- | --- |
//! | `hello` | greets the client by name |
//! | `whoami` | what a certificate says, as JSON |
//! | `json_api` | routes, JSON in and out, rules for each user, 401 and 403 in JSON |
//! | `files` | a folder: files with ranges, and uploads |
//! | `upload` | streams uploads to disk, in a folder for each client |
//! | `signals` | SIGTERM finishes the running answers |
//! | `observer` | an observer of one's own, beside the log |
//! | `gate_open` | the handler decides who is let in |
//! | `from_tiny_http` | a program that was written for tiny_http, old lines beside new ones |
//! | `in_front` | an application that was written for tiny_http, as it was, behind the gate in the same program |
//!
//! # Good to know
//! - Trust is judged anew for every request, so a revocation also takes effect on open connections.
//! - A handler blocks its thread. [`Builder::workers`] says how many run at once.
//! - Requests and responses are those of the `http` crate, which is here as [`http`].
//!
//! # Features
//! - `aws-lc-rs` (default): crypto by AWS-LC, with post-quantum key exchange. Chosen if both are on.
//! - `ring`: crypto by ring, for the smallest build. One of the two is needed.
//! - `pki` (default): making, renewing and revoking certificates, and PKCS#12 files ([`pki`]).
//! - `cli` (default): the command `mtls-min`.
//! - `admin` (default): health checks, figures for Prometheus, and who was last seen, on a port of their own (`admin`).
//! - `log`: an observer for the `log` crate (`log::Facade`).
//! - `tiny_http`: responses of the `tiny_http` crate (`response::from_tiny_http`).

#[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
compile_error!("mtls-min needs a crypto library: build with the feature `aws-lc-rs` (the default) or `ring`");

// For the tests of this crate that share what those in `tests/it` use.
#[cfg(test)]
extern crate self as mtls_min;
#[cfg(test)]
#[path = "connection/tests/support.rs"]
#[allow(dead_code)]
mod support;

#[cfg(feature = "admin")]
pub mod admin;
mod base64;
mod byte_set;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
mod client_network;
mod clock;
mod config;
mod connection;
mod crypto;
mod deadline;
mod error;
mod escape;
mod file;
mod handler;
mod hex;
mod http1;
pub mod log;
mod observer;
mod panic;
#[cfg(feature = "pki")]
pub mod pki;
mod policy;
mod proxy_protocol;
mod reactor;
mod resources;
mod server;
mod spelling;
mod sync;
mod tls;
mod trust;
mod x509;

pub use deadline::Phase;
pub use error::Error;
pub use handler::body::Body;
pub use handler::files::Files;
pub use handler::forward::Forward;
pub use handler::refusal::RefusedRequest;
pub use handler::request::{BodyError, Request};
pub use handler::routes::Routes;
pub use handler::{Handler, Response, response};
pub use observer::{Access, Event, Observer, Progress, Silent};
pub use policy::{Grounds, Permission, Policy};
pub use proxy_protocol::{Network, ProxyFailure};
pub use server::builder::Builder;
pub use server::handle::{ShutdownHandle, TrustHandle};
pub use server::status::{Connections, Status, StatusHandle, Threads};
pub use server::watch::{Loaded, ServerFiles};
pub use server::{Server, Stopped};
pub use tls::failure::TlsFailure;
pub use tls::server_certificate::ServerCertificate;
pub use tls::session::TlsVersion;
pub use trust::{
    Crl, Judgement, Refusal, RefusalCode, StaleCrl, Trust, TrustBuilder, TrustEntry, TrustKind, Verdict, judge,
};
pub use x509::identity::{Attribute, Identity};

/// The `http` crate, whose types are part of this crate's interface.
pub use http;
