//! Whether a client is let in, over real sockets with TLS 1.2 and 1.3.

use mtls_min::Trust;

use crate::support::client::{VERSIONS, get};
use crate::support::pki::Holder;
use crate::support::server::start;

/// Connects with each TLS version; the client is refused with 401 and this code, and the handler is not called.
#[track_caller]
pub(crate) fn refused(trusted: Trust, holder: &Holder, code: &str) {
    let running = start(trusted);
    for version in VERSIONS {
        let reply = get(running.addr, Some(holder), version).unwrap();
        assert_eq!((reply.status, reply.body.as_str()), (401, "User is not authorized\n"), "{version:?}");
    }
    assert_eq!(running.seen.codes(2), [code, code]);
    assert_eq!(running.calls(), 0);
}

#[track_caller]
pub(crate) fn admitted(trusted: Trust, holder: &Holder, subject: &str) {
    let running = start(trusted);
    for version in VERSIONS {
        let reply = get(running.addr, Some(holder), version).unwrap();
        assert_eq!((reply.status, reply.body), (200, format!("hello {subject}\n")), "{version:?}");
    }
    assert_eq!(running.calls(), 2);
}
