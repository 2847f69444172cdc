//! The tests that need nothing but this crate: a server in this process, real sockets, certificates made on the spot.
//! Tests against other programs (curl, openssl, a browser) are in `tests/peers`.

mod access_log;
#[cfg(feature = "admin")]
mod admin;
mod authorized_clients;
mod availability;
mod balanced;
#[cfg(feature = "cli")]
mod balanced_command;
mod busy;
mod certificate_encoding;
mod certificate_policies;
#[cfg(all(feature = "cli", feature = "pki"))]
mod certs;
#[cfg(feature = "cli")]
mod check;
#[cfg(feature = "cli")]
mod cli;
#[cfg(feature = "cli")]
mod command_line;
#[cfg(feature = "aws-lc-rs")]
mod compressed_keys;
#[cfg(feature = "cli")]
mod constrained;
#[cfg(all(feature = "cli", feature = "pki"))]
mod demo;
mod documents;
mod embedding;
#[cfg(feature = "cli")]
mod examples;
#[cfg(feature = "cli")]
mod file_formats;
mod files;
mod forward;
mod hints;
mod hostile;
mod house;
mod http;
mod kubernetes;
#[cfg(feature = "cli")]
mod listen;
mod lists;
#[cfg(feature = "cli")]
mod log;
#[cfg(feature = "log")]
mod log_crate;
#[cfg(feature = "cli")]
mod log_file;
mod name_constraints;
#[cfg(feature = "cli")]
mod names;
mod namesakes;
mod namesakes_over_time;
mod open_connections;
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
mod refused_certificates;
mod reload;
mod resumption;
mod revocation;
mod rules;
#[cfg(all(feature = "cli", target_os = "linux"))]
mod sandbox;
mod second_opinion;
#[cfg(feature = "cli")]
mod server_certificate;
mod shape;
mod slow_clients;
mod status;
mod stopping;
mod streams;
mod support;
#[cfg(feature = "cli")]
mod systemd;
#[cfg(feature = "tiny_http")]
mod tiny_http;
mod tls_failures;
mod trust;
mod tunnels;
mod turns;
mod uploads;
mod workers;
