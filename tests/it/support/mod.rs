//! What the tests share: a PKI that is made as the tests run, a server in this process, and a plain client.

pub(crate) mod client;
#[cfg(feature = "cli")]
pub(crate) mod command;
pub(crate) mod crl;
pub(crate) mod files;
pub(crate) mod pki;
pub(crate) mod server;
