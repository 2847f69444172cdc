//! Who is asking, and may they? The verdict on the client, cached while it stands, and what the policy makes of it.

use std::sync::{Arc, Weak};
use std::time::SystemTime;

use super::context::{Context, ExpiryNotices};
use super::{Connection, Next};
use crate::config::Gate;
use crate::deadline::Phase;
use crate::observer::Event;
use crate::trust::{Decision, Judgement, Refusal, Trust, Verdict, decide, judge, not_allowed};

/// A judgement, and what it was based on.
pub(super) struct Judged {
    generation: u64,
    /// Before then it does not stand: a clock that is set back may find dates in the future that had passed.
    since: SystemTime,
    /// Not held: what has been replaced must not stay in memory for as long as somebody downloads.
    trust: Weak<Trust>,
    judgement: Judgement,
}

/// What follows from the verdict and the policy for one request.
pub(super) enum Admission {
    /// The handler is called, and reads the body while it comes.
    Client,
    /// The handler is called though the client is not authorised, when the whole body is there.
    Stranger,
    /// The server answers itself.
    Refused(Arc<Refusal>),
}

impl Connection {
    /// The verdict on the client for this request, and what follows from it.
    pub(super) fn admit(&mut self, parts: &http::request::Parts, context: &Context) -> (Verdict, Admission) {
        let (verdict, trust) = self.judge(context);
        let (decision, _) = decide(verdict, trust.policy(), &parts.method, parts.uri.path());
        let refusal = match decision {
            Decision::Allowed => return (verdict.clone(), Admission::Client),
            Decision::ForAnyone => return (verdict.clone(), Admission::Stranger),
            Decision::Unauthorised(refusal) => Arc::clone(refusal),
            Decision::NotAllowed { identity, why } => Arc::new(not_allowed(identity, why)),
        };
        let verdict = Verdict::Refused(Arc::clone(&refusal));
        match context.gate {
            Gate::Closed => (verdict, Admission::Refused(refusal)),
            Gate::Open => (verdict, Admission::Stranger),
        }
    }

    /// The verdict for now, and the trust that it is by: the cached ones while trust is unchanged and no date has passed.
    pub(super) fn judge(&mut self, context: &Context) -> (&Verdict, Arc<Trust>) {
        let generation = context.trust.generation();
        let stands = |judged: &&Judged| {
            let is_time = |until| (judged.since..until).contains(&context.clock.now());
            judged.generation == generation && judged.judgement.valid_until.is_none_or(is_time)
        };
        let known = self.judged.as_ref().filter(stands).and_then(|judged| judged.trust.upgrade());
        let trust = known.unwrap_or_else(|| self.judge_anew(generation, context));
        match self.verdict() {
            Some(verdict) => (verdict, trust),
            None => unreachable!("it was judged just now"),
        }
    }

    fn judge_anew(&mut self, generation: u64, context: &Context) -> Arc<Trust> {
        // The snapshot may be newer than the number; then the next request judges once more.
        let trust = context.trust.current();
        let now = context.clock.now();
        let mut judgement = judge(self.session.peer_chain(), &trust, now);
        if let Verdict::Authorised(identity) = &judgement.verdict {
            if context.expiry_notices.are_due(identity, now)
                && let Some(left) = identity.expires_in(now)
            {
                context.observer.event(&Event::ClientExpires { identity, left });
            }
            let next = ExpiryNotices::next(identity, now);
            judgement.valid_until = judgement.valid_until.map(|until| until.min(next));
        }
        self.judged = Some(Judged { generation, since: now, trust: Arc::downgrade(&trust), judgement });
        trust
    }

    /// Whether trust has changed since it was judged.
    pub(crate) fn is_judged_by_another(&self, context: &Context) -> bool {
        self.judged.as_ref().is_some_and(|judged| judged.generation != context.trust.generation())
    }

    /// Called instead of `drive` when trust has changed: ends an idle connection if its client was let in and no longer is.
    /// Where a request is under way, it gets its answer.
    pub(crate) fn judge_again(&mut self, context: &Context) -> Next {
        let was_authorised = self.is_authorised();
        self.judge(context);
        let is_idle = self.phase() == Phase::Idle && self.input.is_empty();
        match was_authorised && !self.is_authorised() && is_idle {
            true => self.close_politely(),
            false => self.wait_for(self.interest),
        }
    }

    /// Whether the client was authorised when it was last judged.
    pub(crate) fn is_authorised(&self) -> bool {
        matches!(self.verdict(), Some(Verdict::Authorised(_)))
    }

    pub(super) fn verdict(&self) -> Option<&Verdict> {
        self.judged.as_ref().map(|judged| &judged.judgement.verdict)
    }
}
