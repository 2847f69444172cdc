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
//! # The life of one connection
//! ```text
//!  accept      listener     a worker takes a new connection; errors back off 5 ms to 1 s and end nothing
//!    ▼
//!  drive       pool         a worker takes a connection that can go on, and drives it until it closes or would wait
//!    │                      (would wait → parking: a slot in a table, a one-shot entry in the poller, a deadline;
//!    ▼                       when the table is full, eviction says who goes first, or nothing is accepted for a moment)
//!    │         runners      as many workers run as there are processors; the others stand by for those in handlers
//!  handshake   tls          reads, processes, writes; errors stay typed, alerts are flushed
//!    │         verifier     asks, names the CAs, has possession of the key proven, leaves the verdict to judge
//!    ▼
//!  identify    identity     subject, names, serial, fingerprint, validity: read once, owned
//!  judge       trust        chain + anchors + revocation lists + pins + now → Authorised(Identity) or Refused(Refusal)
//!    ▼
//!  request     http1        head → framing → body; strict (RFC 9112): what is doubtful is 400 and close
//!    ▼
//!  authorise   policy       may this identity do this?             (refused → 401, not allowed → 403, without a call)
//!    ▼
//!  handle      handler      Fn(&mut Request) -> Response; a panic is a 500
//!    │         upload       the body of the request, while the handler reads it
//!    ▼
//!  respond     answer       head and small body in one write; larger ones as the client takes them
//!    ▼
//!  next        connection   keep-alive → drive on, or park; else close_notify, half-close, bounded linger
//! ```
//! Beside it, the `caretaker` looks after the whole: it reads the files (`reload`) when they have changed and puts a new
//! generation of trust in force (`control`), closes the idle connections of clients that are now refused, and warns of what
//! is about to expire. A cached verdict counts for its generation only; a resumed session (`resumption`) likewise.
//!
//! `connection` tells this story in code. What turns bytes into meaning (`http1`, `trust`, `policy`, `identity`, `pages`) does no
//! I/O and knows no clock: the time is an argument. Dependencies point down the drawing: `cli` → `server` → `connection`
//! → (`tls`, `trust`, `policy`, `http1`, `handler`) → (`identity`, `error`, `deadline`, `sys`).
//!
//! # Features
//! - `aws-lc-rs` (default): crypto by AWS-LC, with post-quantum key exchange. Chosen when both are on.
//! - `ring`: crypto by ring, for the smallest build. One of the two is needed to serve.
//! - `pki` (default): make, renew and revoke certificates, and make PKCS#12 files (`pki`).
//! - `cli` (default): the command `mtls-min`.

#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
mod clock;
mod connection;
mod crypto;
mod deadline;
mod error;
mod handler;
mod http1;
mod observer;
mod panic;
#[cfg(all(feature = "pki", any(feature = "aws-lc-rs", feature = "ring")))]
pub mod pki;
mod policy;
mod reactor;
mod resources;
mod server;
mod tls;
mod trust;
mod x509;

pub use deadline::Phase;
pub use error::Error;
pub use handler::request::Request;
pub use handler::{Body, Handler, Response};
pub use observer::{Access, Event, Observer, Silent};
pub use policy::{Permission, Policy};
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
