//! Judges a client: one function for every request, and for `check`.

use std::sync::Arc;
use std::time::SystemTime;

use rustls::pki_types::CertificateDer;

use crate::x509::certificate::{Certificate, NotACertificate};
use crate::x509::identity::Identity;
use crate::x509::signature::fault_of_key;

use super::cache::digest_of;
use super::path::{Proof, prove};
use super::problem::{Problem, date_problem, last_moment};
use super::refusal::{Refusal, RefusalCode};
use super::verdict::{Judgement, Verdict};
use super::{Pin, Trust};

/// At most this many certificates are accepted besides the client's own. With more, the client is refused before any
/// signature is checked.
const MOST_SENT: usize = 10;

/// A chain has at most this many octets. rustls accepts no larger handshake message.
const MOST_OCTETS: usize = 0xffff;

/// Judges a client by the chain it sent, its own certificate first. Possession of that certificate's key is proven already.
///
/// This one function serves new connections, open ones, and offline checks. The default is refusal: only what is proven step
/// by step is authorised.
///
/// 1. Its chain has to lead to a trusted CA (RFC 5280, section 6), over the certificates that it sent and the loaded
///    intermediates. Signatures, dates, CA marks, path lengths, key usages, name constraints and required policies are checked,
///    including those of the trusted CA. Names are compared by section 7.1. The key usage of the client's own certificate, if
///    there is one, has to include digitalSignature (RFC 8446, section 4.4.2.2), and the extended key usage clientAuth or any.
///    A certificate of version 1 is authorised only if such certificates are accepted and a trusted CA without name constraints
///    signed it directly.
/// 2. No certificate on the path may be revoked by the list of a trusted CA, and that list may not be stale.
/// 3. A pinned certificate is let in while its dates are valid, whoever signed it, unless its own CA is loaded too and has
///    revoked it. Other certificates that the client sends make no difference.
///
/// For a client that was let in before, no signatures are checked while its chain, the trust and the dates are the same.
pub fn judge(chain: &[CertificateDer<'_>], trust: &Trust, now: SystemTime) -> Judgement {
    let digest = digest_of(chain);
    trust.known.find(&digest, now).unwrap_or_else(|| {
        let judgement = judge_unknown(chain, trust, now);
        trust.known.remember(digest, &judgement, now);
        judgement
    })
}

fn judge_unknown(chain: &[CertificateDer<'_>], trust: &Trust, now: SystemTime) -> Judgement {
    let Some((end_entity, intermediates)) = chain.split_first() else {
        let verdict = Verdict::Refused(Arc::new(Refusal::no_certificate()));
        return Judgement { verdict, valid_until: None, anchor: None };
    };
    let certificate = match Certificate::parse(end_entity) {
        Ok(certificate) => certificate,
        Err(error) => return refused(RefusalCode::Malformed, error.to_string(), None),
    };
    if let Some(fault) = fault_of_key(&certificate.key, certificate.spki, &trust.algorithms) {
        let detail = format!("the client's key is {}", certificate.key);
        return refused(fault.into(), detail, Some(Identity::of(&certificate)));
    }
    let path = match octets(chain) {
        _ if intermediates.len() > MOST_SENT => Err(too_many(chain.len())),
        octets if octets > MOST_OCTETS => Err(too_large(octets)),
        _ => {
            let (sent, unreadable) = read(intermediates);
            prove(&certificate, &sent, trust, now).map_err(|problem| or_unreadable(problem, unreadable))
        }
    };
    match (path, trust.pin(end_entity)) {
        (Ok(path), pin) => authorised(&certificate, pin, path),
        (Err(no_path), Some(pin)) => {
            match date_problem(&certificate, now).or_else(|| trust.revocation_of(&certificate)) {
                None => let_in_by_itself(&certificate, pin, no_path.until),
                Some(problem) => explained(&certificate, problem),
            }
        }
        (Err(problem), None) => explained(&certificate, problem),
    }
}

/// The certificates of a chain that can be read, and why the first unreadable one cannot be read.
fn read<'c>(ders: &'c [CertificateDer<'_>]) -> (Vec<Certificate<'c>>, Option<(usize, NotACertificate)>) {
    let (mut read, mut unreadable) = (Vec::new(), None);
    for (position, der) in (2..).zip(ders) {
        match Certificate::parse(der) {
            Ok(certificate) => read.push(certificate),
            Err(why) => unreadable = unreadable.or(Some((position, why))),
        }
    }
    (read, unreadable)
}

/// If an issuer is missing, it may be because it was sent but cannot be read.
fn or_unreadable(problem: Problem, unreadable: Option<(usize, NotACertificate)>) -> Problem {
    match (problem.code, unreadable) {
        (RefusalCode::UnknownIssuer | RefusalCode::MissingIntermediate, Some((position, why))) => {
            let detail = format!("{}; certificate number {position} of the client's chain is {why}", problem.detail);
            Problem::new(RefusalCode::Malformed, detail)
        }
        _ => problem,
    }
}

fn authorised(certificate: &Certificate<'_>, pin: Option<&Pin>, path: Proof<'_>) -> Judgement {
    let name = pin.and_then(|pin| pin.name.as_deref());
    let identity = Identity::vouched_for(certificate, &path.anchor.identity, name);
    Judgement {
        verdict: Verdict::Authorised(identity),
        valid_until: Some(path.until.min(last_moment(certificate))),
        anchor: Some(path.anchor.identity.clone()),
    }
}

/// `until`: when a CA may vouch for it as well.
fn let_in_by_itself(certificate: &Certificate<'_>, pin: &Pin, until: Option<SystemTime>) -> Judgement {
    let identity = Identity::pinned(certificate, pin.name.as_deref());
    let until = until.into_iter().fold(last_moment(certificate), SystemTime::min);
    Judgement { verdict: Verdict::Authorised(identity), valid_until: Some(until), anchor: None }
}

fn explained(certificate: &Certificate<'_>, problem: Problem) -> Judgement {
    let Problem { code, detail, repair, until, anchor } = problem;
    let refusal = Refusal::new(code, detail, Some(Identity::of(certificate))).with_repair(repair);
    Judgement { verdict: Verdict::Refused(Arc::new(refusal)), valid_until: until, anchor }
}

fn refused(code: RefusalCode, detail: impl Into<String>, shown: Option<Identity>) -> Judgement {
    let refusal = Arc::new(Refusal::new(code, detail, shown));
    Judgement { verdict: Verdict::Refused(refusal), valid_until: None, anchor: None }
}

/// The size as a Certificate message (RFC 8446, section 4.4.2): each certificate with its length and that of its extensions,
/// which are empty, and a header.
fn octets(chain: &[CertificateDer<'_>]) -> usize {
    4 + chain.iter().map(|certificate| certificate.len() + 5).sum::<usize>()
}

fn too_large(octets: usize) -> Problem {
    let detail = format!("the client's chain has {octets} octets, and at most {MOST_OCTETS} are accepted");
    Problem::new(RefusalCode::ChainTooLong, detail)
        .repaired_by("issue the certificate without what makes it so large, and send only it and its intermediates")
}

fn too_many(sent: usize) -> Problem {
    let detail = format!("the client sent {sent} certificates; at most {} are accepted", MOST_SENT + 1);
    Problem::new(RefusalCode::ChainTooLong, detail)
}
