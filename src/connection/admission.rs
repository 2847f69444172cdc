//! Who is asking, and may they? The verdict on the client, cached while it stands, and what the policy makes of it.

use std::sync::{Arc, Weak};
use std::time::SystemTime;

use rustls::pki_types::CertificateDer;

use super::context::{Context, ExpiryNotices};
use crate::config::Gate;
use crate::observer::Event;
use crate::reactor::shares::Share;
use crate::trust::{Decision, Judgement, Refusal, Trust, Verdict, decide, judge, not_allowed};

/// A judgement, and what it was based on.
pub(super) struct Judged {
    generation: u64,
    /// Not valid before this: if the clock is set back, an expiry may lie in the future again.
    since: SystemTime,
    /// Weak, so that a trust that was replaced does not stay in memory for as long as somebody downloads.
    trust: Weak<Trust>,
    judgement: Judgement,
    /// The client's share of the workers, from its first request on.
    share: Option<Arc<Share>>,
}

/// What follows from the verdict and the policy for one request.
pub(super) enum Admission {
    /// The handler is called, and reads the body while it comes.
    Client,
    /// The client is not authorised; the handler is called all the same, when the whole body is there.
    Stranger,
    /// The server answers itself.
    Refused(Arc<Refusal>),
}

impl Judged {
    /// Until the handshake is over, this is a client without a certificate. No code of the application is called for it.
    pub(super) fn before_the_handshake(context: &Context) -> Self {
        let verdict = Verdict::Refused(Arc::clone(&context.no_certificate));
        let judgement = Judgement { verdict, valid_until: None, anchor: None };
        // Without a trust it does not stand for any request.
        let (generation, trust) = (context.trust.generation(), Weak::new());
        Self { generation, since: SystemTime::UNIX_EPOCH, trust, judgement, share: None }
    }

    /// Judges the client that showed this chain, as of `since`. Also returns the trust that it was judged by.
    pub(super) fn reach(chain: &[CertificateDer<'_>], since: SystemTime, context: &Context) -> (Self, Arc<Trust>) {
        let generation = context.trust.generation();
        // The snapshot may be newer than the number; then the next request judges once more.
        let trust = context.trust.current();
        let mut judgement = judge(chain, &trust, since);
        if let Verdict::Authorised(identity) = &judgement.verdict {
            if context.expiry_notices.are_due(identity, since)
                && let Some(left) = identity.expires_in(since)
            {
                context.observer.event(&Event::ClientExpires { identity, left });
            }
            let next = ExpiryNotices::next(identity, since);
            judgement.valid_until = judgement.valid_until.map(|until| until.min(next));
        }
        (Self { generation, since, trust: Arc::downgrade(&trust), judgement, share: None }, trust)
    }

    /// The verdict on the client for this request, and what follows from it.
    pub(super) fn admit(
        &mut self,
        chain: &[CertificateDer<'_>],
        parts: &http::request::Parts,
        now: SystemTime,
        context: &Context,
    ) -> (Verdict, Admission) {
        let trust = self.renew(chain, now, context);
        let verdict = self.verdict();
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

    /// Judges again, unless trust is unchanged and no date has passed. Returns the trust that the verdict is by.
    pub(super) fn renew(&mut self, chain: &[CertificateDer<'_>], now: SystemTime, context: &Context) -> Arc<Trust> {
        if self.stands(now, context)
            && let Some(trust) = self.trust.upgrade()
        {
            return trust;
        }
        let (judged, trust) = Self::reach(chain, now, context);
        *self = judged;
        trust
    }

    /// Whether trust is unchanged and no date has passed.
    pub(super) fn stands(&self, now: SystemTime, context: &Context) -> bool {
        !self.is_by_another(context) && self.is_for(now)
    }

    /// Whether no date has passed.
    pub(super) fn is_for(&self, now: SystemTime) -> bool {
        self.judgement.valid_until.is_none_or(|until| (self.since..until).contains(&now))
    }

    /// The client's share of the workers. All clients that are not authorised have one together.
    pub(super) fn share(&mut self, context: &Context) -> &Arc<Share> {
        let verdict = &self.judgement.verdict;
        self.share.get_or_insert_with(|| match verdict {
            Verdict::Authorised(identity) => context.shares.of(identity.sha256()),
            Verdict::Refused(_) => context.shares.of_strangers(),
        })
    }

    /// Whether trust has changed since.
    pub(super) fn is_by_another(&self, context: &Context) -> bool {
        self.generation != context.trust.generation()
    }

    pub(super) fn verdict(&self) -> &Verdict {
        &self.judgement.verdict
    }
}
