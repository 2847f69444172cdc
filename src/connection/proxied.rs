//! Before TLS: the PROXY header of a balancer, which says whose connection this is.

use super::Stage;
use super::Turn;
use super::link::{Halt, Link};
use super::worker::Worker;
use crate::observer::Event;
use crate::proxy_protocol::{Origin, ProxyFailure, ProxyHeader};
use crate::reactor::Interest;
use crate::reactor::throttle::Entrance;
use crate::tls::session::HeaderReceived;

/// When the header is complete the client is its address, and the handshake begins. They have one deadline together.
pub(super) fn receive_header(mut header: Box<ProxyHeader>, link: &mut Link, worker: &Worker<'_>) -> Turn {
    match link.session.receive_header(&mut header) {
        Ok(None) => Stage::Proxied(header).halt(Halt::Wait(Interest::Readable), link, worker),
        Ok(Some(HeaderReceived::Part)) => Stage::Proxied(header).go_on(),
        Ok(Some(HeaderReceived::Whole(origin))) => {
            if let Origin::Client(address) = origin {
                link.remote = address;
            }
            Stage::Handshake(Entrance::default()).go_on()
        }
        // A health check that only looks whether somebody listens.
        Ok(Some(HeaderReceived::End)) => Stage::Proxied(header).close(),
        Err(failure) => reject(header, &failure, link, worker),
    }
}

/// At once and without a word: whoever it is, it speaks neither TLS nor HTTP yet.
fn reject(header: Box<ProxyHeader>, failure: &ProxyFailure, link: &Link, worker: &Worker<'_>) -> Turn {
    worker.context.observer.event(&Event::ProxyRefused { remote: link.remote, failure });
    Stage::Proxied(header).close()
}
