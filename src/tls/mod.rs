//! rustls, and nobody else speaks to it: sessions, what is asked of a client, what the server shows.

pub(crate) mod acceptor;
pub(crate) mod failure;
pub(crate) mod first_bytes;
pub(crate) mod resumption;
pub(crate) mod server_certificate;
pub(crate) mod session;
pub(crate) mod verifier;
