//! Remembers clients that were let in, so that when one returns, the signatures of its chain are not checked again.
//!
//! What is remembered is the judgement on a chain, by the digest of the chain. It belongs to one snapshot of trust, and
//! counts from the moment of the judgement until it may change. Refused clients are not remembered, so they cannot fill the
//! cache. Possession of the key is proven in every handshake, even for clients that are known.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::SystemTime;

use rustls::pki_types::CertificateDer;

use crate::sync::lock;
use crate::x509::identity::sha256_of_all;

use super::Digest;
use super::verdict::{Judgement, Verdict};

/// At most this many clients are remembered. With one more, all of them are forgotten.
const MOST: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct KnownClients(Mutex<HashMap<Digest, Known>>);

#[derive(Debug)]
struct Known {
    since: SystemTime,
    judgement: Judgement,
}

impl KnownClients {
    /// The judgement on this chain, if there is one that holds at `now`.
    pub(super) fn find(&self, chain: &Digest, now: SystemTime) -> Option<Judgement> {
        let clients = lock(&self.0);
        let Known { since, judgement } = clients.get(chain)?;
        // If the clock was set back, dates that had passed may lie in the future again.
        let holds = *since <= now && judgement.valid_until.is_some_and(|until| now < until);
        holds.then(|| judgement.clone())
    }

    /// Remembers a judgement that was reached at `now`, if the client is let in.
    pub(super) fn remember(&self, chain: Digest, judgement: &Judgement, now: SystemTime) {
        if let Verdict::Refused(_) = judgement.verdict {
            return;
        }
        let mut clients = lock(&self.0);
        if clients.len() >= MOST {
            clients.clear();
        }
        clients.insert(chain, Known { since: now, judgement: judgement.clone() });
    }
}

/// The digest that stands for a chain.
pub(super) fn digest_of(chain: &[CertificateDer<'_>]) -> Digest {
    sha256_of_all(chain.iter().map(|certificate| &**certificate))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::{Refusal, RefusalCode};
    use crate::x509::identity::Identity;
    use std::sync::Arc;
    use std::time::Duration;

    fn at(second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(second)
    }

    fn refused() -> Judgement {
        let refusal = Arc::new(Refusal::new(RefusalCode::Expired, "", None));
        Judgement { verdict: Verdict::Refused(refusal), valid_until: Some(at(20)), anchor: None }
    }

    #[test]
    fn chains_that_are_cut_elsewhere_are_others() {
        let chain = |parts: &[&[u8]]| parts.iter().map(|part| CertificateDer::from(part.to_vec())).collect::<Vec<_>>();
        let whole = digest_of(&chain(&[b"abcd"]));
        for other in [chain(&[b"ab", b"cd"]), chain(&[b"abc", b"d"]), chain(&[b"abcd", b""]), chain(&[])] {
            assert_ne!(digest_of(&other), whole);
        }
        assert_eq!(digest_of(&chain(&[b"abcd"])), whole);
    }

    #[test]
    fn there_is_a_limit_to_them() {
        let der = rcgen::generate_simple_self_signed(Vec::new()).unwrap().cert;
        let verdict = Verdict::Authorised(Identity::from_der(der.der()).unwrap());
        let judgement = Judgement { verdict, valid_until: Some(at(20)), anchor: None };
        let known = KnownClients::default();
        let client = |number: usize| {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&number.to_be_bytes());
            digest
        };
        for number in 0..MOST {
            known.remember(client(number), &judgement, at(10));
        }
        assert!((0..MOST).all(|number| known.find(&client(number), at(10)).is_some()));
        known.remember(client(MOST), &judgement, at(10));
        assert!(known.find(&client(MOST), at(10)).is_some());
        assert_eq!(lock(&known.0).len(), 1);
        // Neither before it was reached, nor when it may be another.
        assert!(known.find(&client(MOST), at(9)).is_none());
        assert!(known.find(&client(MOST), at(19)).is_some() && known.find(&client(MOST), at(20)).is_none());
    }

    #[test]
    fn the_refused_are_not_remembered() {
        let known = KnownClients::default();
        known.remember([0; 32], &refused(), at(10));
        assert!(known.find(&[0; 32], at(10)).is_none());
    }
}
