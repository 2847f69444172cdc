//! The TLS handshake.

use std::ops::ControlFlow;
use std::time::Instant;

use super::link::{Halt, Link};
use super::worker::Worker;
use super::{Stage, Turn};
use crate::client_network::ClientNetwork;
use crate::http1::HeadParser;
use crate::observer::{Event, Progress};
use crate::reactor::Interest;
use crate::reactor::throttle::{Answer, Entrance};

/// When the handshake is over the client is judged for the first time, and its first request is awaited.
pub(super) fn shake_hands(entrance: Entrance, link: &mut Link, worker: &mut Worker<'_>) -> Turn {
    match link.flush() {
        ControlFlow::Break(halt) => Stage::Handshake(entrance).halt(halt, link, worker),
        ControlFlow::Continue(()) if link.session.is_handshaking() => proceed(entrance, link, worker),
        ControlFlow::Continue(()) => {
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
    }
}

/// Reads what has come, and computes what follows, unless that has to wait.
fn proceed(mut entrance: Entrance, link: &mut Link, worker: &Worker<'_>) -> Turn {
    let throttle = &worker.context.throttle;
    let (network, token) = (ClientNetwork::of(link.remote.ip()), link.token);
    match throttle.ask(&mut entrance, network, token, worker.now.instant, || link.session.has_something_unread()) {
        Answer::GoOn { is_metered } => {
            let begun = is_metered.then(Instant::now);
            let received = link.receive();
            entrance.is_under_way = link.session.has_negotiated();
            if let Some(begun) = begun {
                let now = Instant::now();
                throttle.spend(now.saturating_duration_since(begun), now);
            }
            match received {
                ControlFlow::Continue(()) => Stage::Handshake(entrance).go_on(),
                ControlFlow::Break(halt) => Stage::Handshake(entrance).halt(halt, link, worker),
            }
        }
        Answer::Wait if link.session.has_left() => Stage::Handshake(entrance).halt(Halt::End, link, worker),
        Answer::Wait => Stage::Handshake(entrance).wait(Interest::End),
        Answer::TurnAway => {
            worker.context.observer.event(&Event::TurnedAway { remote: link.remote });
            Stage::Handshake(entrance).close()
        }
    }
}
