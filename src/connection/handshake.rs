//! The TLS handshake.

use std::ops::ControlFlow;

use super::link::{Halt, Link};
use super::worker::Worker;
use super::{Stage, Turn};
use crate::http1::HeadParser;
use crate::observer::Progress;

/// When the handshake is over the client is judged for the first time, and its first request is awaited.
pub(super) fn shake_hands(link: &mut Link, worker: &mut Worker<'_>) -> Turn {
    match progress(link) {
        ControlFlow::Continue(false) => Stage::Handshake.go_on(),
        ControlFlow::Continue(true) => {
            link.identify(worker);
            // To check signatures took its time.
            worker.look_at_the_clocks();
            worker.context.observer.progress(&Progress::Handshake {
                remote: link.remote,
                tls: link.session.version(),
                resumed: link.session.is_resumed(),
                duration: worker.now.instant.saturating_duration_since(link.times.since),
            });
            Stage::Head(HeadParser::default()).enter(link, worker).go_on()
        }
        ControlFlow::Break(halt) => Stage::Handshake.halt(halt, link, worker),
    }
}

/// `true`: it is over.
fn progress(link: &mut Link) -> ControlFlow<Halt, bool> {
    link.flush()?;
    if !link.session.is_handshaking() {
        return ControlFlow::Continue(true);
    }
    link.receive()?;
    ControlFlow::Continue(false)
}
