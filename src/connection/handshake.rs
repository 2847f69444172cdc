//! The TLS handshake.

use std::ops::ControlFlow;

use super::context::Context;
use super::link::{Halt, Link};
use super::{Stage, Turn};
use crate::http1::HeadParser;

/// When the handshake is over the client is judged for the first time, and its first request is awaited.
pub(super) fn shake_hands(link: &mut Link, context: &Context) -> Turn {
    match progress(link) {
        ControlFlow::Continue(false) => Stage::Handshake.go_on(),
        ControlFlow::Continue(true) => {
            link.identify(context);
            Stage::Head(HeadParser::default()).enter(link, context).classified()
        }
        ControlFlow::Break(halt) => Stage::Handshake.halt(halt, link, context),
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
