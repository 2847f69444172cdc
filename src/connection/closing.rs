//! The ends of a connection: broken, or over.

use super::context::Context;
use super::link::{Halt, Link};
use super::worker::Worker;
use super::{Stage, Turn};
use crate::deadline::Phase;
use crate::handler::pages;
use crate::observer::Event;
use crate::reactor::Interest;
use crate::tls::failure::TlsFailure;
use crate::tls::session::{Broken, Received};

/// Everything is said; the client may still be talking.
pub(super) struct Linger {
    /// How many bytes it may still send.
    budget: u64,
}

/// Ends our side. The client may still be sending, and closing now could destroy our last bytes on their way.
pub(super) fn half_close(link: &mut Link, worker: &Worker<'_>) -> Turn {
    link.session.half_close();
    Stage::Linger(Linger { budget: worker.context.limits.linger }).enter(link, worker).go_on()
}

impl Linger {
    pub(super) fn discard(mut self, link: &mut Link) -> Turn {
        match link.session.discard(&mut self.budget) {
            Received::Nothing => Stage::Linger(self).wait(Interest::Readable),
            Received::Bytes => Stage::Linger(self).wait(Interest::Writable),
            Received::End => Stage::Linger(self).close(),
        }
    }
}

impl Stage {
    /// This stage waits, or is the last.
    pub(super) fn halt(self, halt: Halt, link: &mut Link, worker: &Worker<'_>) -> Turn {
        match halt {
            Halt::Wait(interest) => {
                // The client may wait for what it sent to be acknowledged before it sends the rest.
                if interest == Interest::Readable {
                    link.session.acknowledge_at_once();
                }
                self.wait(interest)
            }
            Halt::End if self.phase() == Phase::Handshake => self.give_up(&Broken::Network, link, worker),
            Halt::End => self.close_politely(link),
            Halt::Broken(broken) => self.give_up(&broken, link, worker),
        }
    }

    /// Ends a session that cannot go on.
    fn give_up(self, broken: &Broken, link: &mut Link, worker: &Worker<'_>) -> Turn {
        report(broken, self.phase(), link, worker.context);
        match broken {
            Broken::Network => self.close(),
            // An alert or a plain answer is on its way; let it arrive.
            Broken::Tls(_) | Broken::PlainHttp { .. } => half_close(link, worker),
        }
    }
}

fn report(broken: &Broken, phase: Phase, link: &mut Link, context: &Context) {
    let remote = link.remote;
    match broken {
        Broken::Network if link.session.is_handshaking() && link.session.has_negotiated() => {
            context.observer.event(&Event::HandshakeFailed { remote, failure: &TlsFailure::left() });
        }
        // The client tries ports, or leaves between two requests.
        Broken::Network => {}
        Broken::PlainHttp { wants_content } => {
            link.session.send_unencrypted(pages::speak_https(*wants_content));
            context.observer.event(&Event::PlainHttp { remote });
        }
        Broken::Tls(failure) => context.observer.event(&match phase {
            Phase::Handshake => Event::HandshakeFailed { remote, failure },
            phase => Event::SessionFailed { remote, phase, failure },
        }),
    }
}
