//! What the tests share: a PKI that is made as the tests run, a server in this process, and a plain client.

#[cfg(feature = "admin")]
pub(crate) mod admin;
pub(crate) mod admission;
pub(crate) mod behind;
#[cfg(all(feature = "cli", feature = "pki"))]
pub(crate) mod certs;
pub(crate) mod client;
#[cfg(feature = "cli")]
pub(crate) mod command;
pub(crate) mod crl;
pub(crate) mod echo;
pub(crate) mod files;
pub(crate) mod gate;
pub(crate) mod imports;
pub(crate) mod judged;
pub(crate) mod namesakes;
#[cfg(feature = "cli")]
pub(crate) mod pem_site;
pub(crate) mod pki;
pub(crate) mod rules;
pub(crate) mod server;
pub(crate) mod smuggling;
pub(crate) mod tree;
pub(crate) mod upstream;
pub(crate) mod watched;
pub(crate) mod wire;
#[cfg(feature = "cli")]
pub(crate) mod words;
