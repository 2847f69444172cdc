//! rustls is driven here and nowhere else: sessions, what a client is asked for, what the server shows.

pub(crate) mod acceptor;
pub(crate) mod failure;
pub(crate) mod first_bytes;
pub(crate) mod resumption;
pub(crate) mod server_certificate;
pub(crate) mod session;
pub(crate) mod verifier;
