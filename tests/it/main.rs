//! The tests that need nothing but this crate: a server in this process, real sockets, certificates made on the spot.
//! Tests against other programs (curl, openssl, a browser) are in `tests/peers`.

mod availability;
mod busy;
mod certificate_policies;
#[cfg(all(feature = "cli", feature = "pki"))]
mod certs;
#[cfg(all(feature = "cli", feature = "pki"))]
mod certs_of_others;
#[cfg(all(feature = "cli", feature = "pki"))]
mod certs_over_time;
#[cfg(feature = "cli")]
mod check;
#[cfg(feature = "cli")]
mod cli;
#[cfg(feature = "cli")]
mod command_line;
#[cfg(feature = "cli")]
mod constrained;
#[cfg(all(feature = "cli", feature = "pki"))]
mod demo;
mod documents;
#[cfg(feature = "cli")]
mod examples;
mod hostile;
mod house;
mod http;
mod lists;
#[cfg(feature = "cli")]
mod log;
#[cfg(feature = "cli")]
mod names;
mod namesakes;
#[cfg(feature = "cli")]
mod options;
mod paths;
#[cfg(feature = "cli")]
mod pem;
#[cfg(all(feature = "cli", feature = "pki"))]
mod pkcs12;
#[cfg(feature = "pki")]
mod pki;
mod policy;
#[cfg(feature = "cli")]
mod refusals;
mod reload;
mod resumption;
mod revocation;
mod second_opinion;
mod support;
mod tls_failures;
mod trust;
