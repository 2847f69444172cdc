//! What a stage waits for, how long at most, and for which request its client is judged meanwhile.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use super::Stage;
use super::context::Context;
use super::sending::Asked;
use crate::deadline::Phase;
use crate::reactor::Interest;

impl Stage {
    pub(super) fn phase(&self) -> Phase {
        match self {
            Stage::Proxied(_) => Phase::Proxy,
            Stage::Handshake(_) => Phase::Handshake,
            Stage::Head(_) => Phase::Head,
            Stage::Idle => Phase::Idle,
            Stage::Body(_) => Phase::Body,
            Stage::Queued(_) => Phase::Turn,
            Stage::Awaited(_) => Phase::Upstream,
            Stage::Answer(sending) if sending.starved.is_some() => Phase::Upstream,
            Stage::Answer(_) => Phase::Answer,
            Stage::Tunnel(_) => Phase::Tunnel,
            Stage::Linger(_) => Phase::Linger,
        }
    }

    /// How long it may take.
    pub(super) fn time(&self, context: &Context) -> Duration {
        let timeouts = &context.timeouts;
        match self {
            Stage::Proxied(_) | Stage::Handshake(_) => timeouts.handshake,
            Stage::Head(_) => timeouts.head,
            Stage::Idle => timeouts.idle,
            Stage::Answer(sending) if sending.starved.is_some() => timeouts.tunnel,
            Stage::Body(_) | Stage::Answer(_) => timeouts.transfer,
            Stage::Queued(_) => timeouts.turn,
            Stage::Awaited(_) | Stage::Tunnel(_) => timeouts.tunnel,
            Stage::Linger(_) => timeouts.linger,
        }
    }

    /// The request, if its answer has no end in sight, or depends on another program.
    pub(super) fn request_without_end(&self) -> Option<&Asked> {
        match self {
            Stage::Awaited(awaiting) => Some(awaiting.asked()),
            Stage::Answer(sending) => sending.has_no_end_in_sight().then_some(&sending.asked),
            Stage::Tunnel(tunnelling) => Some(tunnelling.asked()),
            _ => None,
        }
    }

    /// The socket of the program that makes the answer, if that is waited for.
    pub(super) fn other(&self) -> Option<(BorrowedFd<'_>, Interest)> {
        match self {
            Stage::Awaited(awaiting) => awaiting.source(),
            Stage::Answer(sending) => sending.source().map(|socket| (socket, Interest::Readable)),
            Stage::Tunnel(tunnelling) => tunnelling.other(),
            _ => None,
        }
    }
}
