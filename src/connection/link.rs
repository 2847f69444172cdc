//! What a connection has from its first byte to its last, whatever it is doing.

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::time::{Duration, Instant, SystemTime};

use super::admission::{Admission, Judged};
use super::context::Context;
use super::worker::Worker;
use super::{Next, Polled};
use crate::client_network::ClientNetwork;
use crate::clock::Moment;
use crate::deadline::Phase;
use crate::observer::Event;
use crate::reactor::eviction::Times;
use crate::reactor::shares::{Permit, Place};
use crate::reactor::table::Token;
use crate::reactor::{Interest, Signal};
use crate::tls::session::{Broken, Received, Session};
use crate::trust::Verdict;

/// The client and the way to it.
pub(crate) struct Link {
    pub(crate) session: Session,
    /// The client's address; until the PROXY header is read, the balancer's.
    pub(crate) remote: SocketAddr,
    /// Its own in the table of connections.
    pub(super) token: Token,
    /// Plaintext that is not used yet.
    pub(super) input: Vec<u8>,
    pub(super) judged: Judged,
    /// When the stage began, and when its client last made progress.
    pub(super) times: Times,
    /// When the stage must be over.
    pub(super) deadline: Instant,
    /// The deadline was extended once, because the client had acted in time but was noticed late.
    pub(super) spared: bool,
    /// What it waits for while it is parked.
    pub(super) interest: Interest,
    pub(crate) polled: Polled,
    /// What its other socket is armed for, if the poller is sure to report it: not after an event of it, and not after it may have
    /// been replaced by another.
    pub(crate) other_armed: Option<Interest>,
    /// When the client was last judged for what has no end in sight.
    pub(crate) looked_at: Instant,
    /// The generation of known networks in which its own was last noted.
    generation: u64,
}

/// A request may be handled now. How long that takes counts from when it came.
pub(super) struct Due {
    pub(super) permit: Permit,
    pub(super) since: Moment,
}

/// Why a stage cannot go on now, or at all.
pub(super) enum Halt {
    /// It has to wait for the client.
    Wait(Interest),
    /// The client has closed its side.
    End,
    Broken(Broken),
}

impl Link {
    pub(super) fn new(session: Session, remote: SocketAddr, token: Token, context: &Context) -> Self {
        let since = Instant::now();
        Self {
            session,
            remote,
            token,
            input: Vec::new(),
            judged: Judged::before_the_handshake(context),
            times: Times { since, heard: since },
            deadline: since + context.timeouts.handshake,
            spared: false,
            interest: Interest::Readable,
            polled: Polled::Never,
            other_armed: None,
            looked_at: since,
            generation: 0,
        }
    }

    /// Notes what the poller reports.
    pub(crate) fn notice(&mut self, signal: Signal) {
        if signal.client {
            self.session.notice(signal);
        }
        if signal.other {
            self.other_armed = None;
        }
    }

    /// A stage begins, and may take this long.
    pub(super) fn begin(&mut self, since: Instant, time: Duration) {
        self.times = Times { since, heard: since };
        self.deadline = since + time;
        self.spared = false;
    }

    /// Remembers what it waits for, if it waits.
    pub(super) fn noted(&mut self, next: Next) -> Next {
        if let Next::Wait(interest) = next {
            self.interest = interest;
        }
        next
    }

    /// While it is driven it uses the memory of its worker.
    pub(super) fn borrow_memory(&mut self, worker: &mut Worker<'_>) {
        if self.input.capacity() == 0 {
            self.input = worker.input.take();
        }
    }

    pub(super) fn give_back_memory(&mut self, worker: &mut Worker<'_>) {
        worker.input.part_with(&mut self.input, 0);
    }

    /// Writes what is queued.
    pub(super) fn flush(&mut self) -> ControlFlow<Halt> {
        match self.session.flush() {
            Ok(true) => ControlFlow::Continue(()),
            Ok(false) => ControlFlow::Break(Halt::Wait(Interest::Writable)),
            Err(_) => ControlFlow::Break(Halt::Broken(Broken::Network)),
        }
    }

    /// Reads once.
    pub(super) fn receive(&mut self) -> ControlFlow<Halt> {
        match self.session.receive() {
            Ok(Received::Bytes) => {
                self.take_plaintext();
                // When an authorised client last made progress does not matter.
                if !self.is_authorised() {
                    self.times.heard = Instant::now();
                }
                ControlFlow::Continue(())
            }
            Ok(Received::Nothing) => ControlFlow::Break(Halt::Wait(Interest::Readable)),
            Ok(Received::End) => ControlFlow::Break(Halt::End),
            Err(broken) => ControlFlow::Break(Halt::Broken(broken)),
        }
    }

    /// Reads once after the handshake, and writes what TLS itself has to say, a key update for example.
    pub(super) fn receive_more(&mut self) -> ControlFlow<Halt> {
        self.receive()?;
        self.flush()
    }

    /// Moves plaintext that has arrived to the input.
    pub(super) fn take_plaintext(&mut self) {
        self.session.take_plaintext(&mut self.input);
    }

    /// Says that nothing more will come, and does not wait until that is sent.
    pub(super) fn say_goodbye(&mut self) {
        self.session.send_close_notify();
        let _ = self.session.flush();
    }

    pub(super) fn report_timeout(&self, phase: Phase, context: &Context) {
        context.observer.event(&Event::TimedOut { remote: self.remote, phase });
    }

    /// The handshake is over: who is the client?
    pub(super) fn identify(&mut self, worker: &Worker<'_>) {
        (self.judged, _) = Judged::reach(self.session.peer_chain(), worker.now.time, worker.context);
        self.remember_network(worker.now.instant, worker.context);
    }

    /// If the client is authorised, the handshakes of its network are not held up for a while.
    #[cold]
    fn remember_network(&mut self, now: Instant, context: &Context) {
        if self.is_authorised() {
            self.generation = context.throttle.remember(ClientNetwork::of(self.remote.ip()), now);
        }
    }

    /// The verdict on the client for this request, and what follows from it.
    pub(super) fn admit(&mut self, parts: &http::request::Parts, worker: &Worker<'_>) -> (Verdict, Admission) {
        // By the last verdict on the client: whoever is refused from now on was authorised lately.
        if self.generation != worker.context.throttle.generation() {
            self.remember_network(worker.now.instant, worker.context);
        }
        self.judged.admit(self.session.peer_chain(), parts, worker.now.time, worker.context)
    }

    /// Whether the client may still make the request that it made, for which it got this verdict: asked again and again while the
    /// answer has no end in sight.
    pub(super) fn still_admits(
        &mut self,
        parts: &http::request::Parts,
        before: &Verdict,
        now: SystemTime,
        context: &Context,
    ) -> bool {
        if self.judged.stands(now, context) {
            return true;
        }
        let (verdict, admission) = self.judged.admit(self.session.peer_chain(), parts, now, context);
        // Who was let in by name is not to go on as nobody.
        let is_same = matches!((before, verdict), (_, Verdict::Authorised(_)) | (Verdict::Refused(_), _));
        is_same && !matches!(admission, Admission::Refused(_))
    }

    /// Whether a date has passed since the client was judged, or the clock was set back.
    pub(crate) fn is_judged_for_another_time(&self, now: SystemTime) -> bool {
        !self.judged.is_for(now)
    }

    /// May a request of this client be handled now, or does it have to wait for its turn?
    pub(super) fn ask_for_a_turn(&mut self, worker: &Worker<'_>) -> Result<Due, Place> {
        let permit = self.judged.share(worker.context).ask(self.token)?;
        Ok(Due { permit, since: worker.now })
    }

    /// Judges the client by the trust in force. `true`: it was let in before, and no longer is.
    pub(super) fn is_refused_by(&mut self, now: SystemTime, context: &Context) -> bool {
        let was_authorised = self.is_authorised();
        self.judged.renew(self.session.peer_chain(), now, context);
        was_authorised && !self.is_authorised()
    }

    /// Whether trust has changed since the client was judged.
    pub(crate) fn is_judged_by_another(&self, context: &Context) -> bool {
        self.judged.is_by_another(context)
    }

    /// Whether the client was authorised when it was last judged.
    pub(crate) fn is_authorised(&self) -> bool {
        matches!(self.verdict(), Verdict::Authorised(_))
    }

    pub(super) fn verdict(&self) -> &Verdict {
        self.judged.verdict()
    }
}
