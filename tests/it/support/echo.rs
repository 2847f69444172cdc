//! A server that says what it was asked, and a client of it.

use mtls_min::{Request, Response};

use crate::support::client::{TLS13, Tls, config, connect};
use crate::support::pki::Ca;
use crate::support::server::{Running, start_with, trust};

/// A server that answers with method, target and body, and a client of it that is authorised.
pub(crate) fn echo() -> (Running, Ca) {
    let ca = Ca::new("ca");
    let running = start_with(
        trust(&ca),
        |builder| builder.max_body(100_000),
        |request: &mut Request<'_>| {
            let mut body = String::new();
            match request.body().read_to_string(&mut body) {
                Ok(_) => Response::new(format!("{} {} {body}", request.method(), request.uri()).into()),
                Err(_) => Response::new("the handler answers nonsense".into()),
            }
        },
    );
    (running, ca)
}

pub(crate) fn authorised(running: &Running, ca: &Ca) -> Tls {
    connect(running.addr, config(Some(&ca.client("alice")), &TLS13))
}
