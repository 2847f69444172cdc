//! mtls-min: a small, synchronous HTTPS/1.1 server that lets in the holders of a client certificate.
//!
//! A client whose certificate is valid reaches the handler, which can read who it is. A client with no certificate, or
//! with one that is not valid, still completes the TLS handshake and gets `401 User is not authorized`. The verdict is
//! reached anew for every request, so that a change of trust takes effect on open connections.
//!
//! # A server in a few lines
//! ```no_run
#![doc = include_str!("../examples/hello.rs")]
//! ```
//!
//! The files can be read anew while the server runs ([`Server::watching`]), or trust be replaced by hand ([`TrustHandle`]).
//! [`Policy`] has the rules, and [`judge`] is the judge, for whoever wants to ask it alone. What happens is told to an
//! [`Observer`]; without one the server is silent. [`log`] has observers that write a log. How it works inside is told in `docs/architecture.md`.
//!
//! # Features
//! - `aws-lc-rs` (default): crypto by AWS-LC, with post-quantum key exchange. Chosen when both are on.
//! - `ring`: crypto by ring, for the smallest build. One of the two is needed.
//! - `pki` (default): make, renew and revoke certificates, and make PKCS#12 files (`pki`).
//! - `cli` (default): the command `mtls-min`.
//! - `log`: an observer for the `log` crate (`log::Facade`).

#[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
compile_error!("mtls-min needs a crypto library: build with the feature `aws-lc-rs` (the default) or `ring`");

#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
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
pub use handler::request::Request;
pub use handler::{Body, Handler, Response};
pub use observer::{Access, Event, Observer, Silent};
pub use policy::{Grounds, Permission, Policy};
pub use server::builder::Builder;
pub use server::handle::{ShutdownHandle, TrustHandle};
pub use server::watch::{Files, Loaded};
pub use server::{Server, Stopped};
pub use tls::failure::TlsFailure;
pub use tls::server_certificate::ServerCertificate;
pub use tls::session::TlsVersion;
pub use trust::{
    Crl, Judgement, Refusal, RefusalCode, StaleCrl, Trust, TrustBuilder, TrustEntry, TrustKind, Verdict, judge,
};
pub use x509::identity::{Attribute, Identity};

/// The `http` crate, whose types stand in this crate's interface.
pub use http;
