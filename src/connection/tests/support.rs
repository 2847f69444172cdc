//! What the tests over real sockets in `tests/it` share, for those that need more than the public interface.

#[path = "../../../tests/it/support/client.rs"]
pub(crate) mod client;
#[path = "../../../tests/it/support/pki.rs"]
pub(crate) mod pki;
#[path = "../../../tests/it/support/server.rs"]
pub(crate) mod server;
