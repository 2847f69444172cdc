//! The verdict.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, VerifiedPath};

use crate::certificate::Certificate;
use crate::clock::timestamp;
use crate::identity::Identity;

use super::diagnose::diagnose;
use super::known::digest_of;
use super::refusal::{Refusal, RefusalCode};
use super::signature::{self, Check};
use super::{Authority, Pin, Trust};

/// Whether a client is authorised.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// Yes: its certificate is valid, and this is who it says it is.
    Authorised(Identity),
    /// No, and why.
    Refused(Arc<Refusal>),
}

/// A verdict, and how long it stands.
#[derive(Debug, Clone)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// The first moment at which it may be another for the same trust: a certificate on the path expires or becomes
    /// valid, or a revocation list becomes stale. `None`: never, as far as can be told of a refusal.
    pub valid_until: Option<SystemTime>,
    /// The CA of trust that the client's chain leads to, if it leads to one. That it does is not enough to be let in.
    pub anchor: Option<Identity>,
}

/// So many of them may have one name: a CA and its cross-signed or renewed double. webpki tries every order of those that
/// share a name, before it checks a signature.
const MOST_NAMESAKES: usize = 2;

/// So many certificates besides its own may a client send; with more it is refused before any signature is checked.
const MOST_INTERMEDIATES: usize = 10;

/// Judges a client by the chain it showed, its own certificate first, and proved to have the key of.
///
/// This one function serves new connections, open ones, and offline checks. Default is refusal: only what is proven
/// step by step is authorised.
///
/// 1. Its chain has to lead to a CA of trust (RFC 5280, section 6): signatures, dates, CA marks, path lengths, key usages
///    and names, those of the CA of trust itself included. The key usage of the client's own certificate, where there is
///    one, has to include digitalSignature (RFC 8446, section 4.4.2.2), and the extended key usage clientAuth or any. A
///    certificate of version 1 is authorised only if trust accepts them and a CA of trust without name constraints signed
///    it itself.
/// 2. No certificate on the path may be revoked by the list of a CA of trust, nor may that list be stale.
/// 3. A certificate that stands in trust byte for byte is let in while its dates hold, whoever signed it; but not if its
///    own CA, loaded too, has revoked it. What else the client sends changes nothing about that.
///
/// A client that was let in before costs no signatures while its chain, trust and the dates are the same.
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
        return refused(RefusalCode::NoCertificate, "the client sent no certificate", None);
    };
    let certificate = match Certificate::parse(end_entity) {
        Ok(certificate) => certificate,
        Err(error) => return refused(RefusalCode::Malformed, error.to_string(), None),
    };
    if let Some(code) = signature::key_problem(&certificate, &trust.algorithms) {
        let detail = format!("the client's key is {}", certificate.key);
        return refused(code, detail, Some(Identity::of(&certificate)));
    }
    let pin = trust.pin(end_entity);
    let path = match certificate.version {
        _ if intermediates.len() > MOST_INTERMEDIATES => Err(Some(too_many(chain))),
        _ if has_many_namesakes(intermediates) => Err(Some(too_many_namesakes())),
        3 => EndEntityCert::try_from(end_entity)
            .map_err(|_| None)
            .and_then(|leaf| verify(&leaf, &certificate, intermediates, trust, now)),
        1 if trust.accept_v1 && !certificate.has_extensions => verify_version_1(&certificate, trust, now),
        _ => Err(None),
    };
    match (path, pin) {
        (Ok(path), pin) => authorised(&certificate, pin, path),
        (Err(_), Some(pin)) => match date_problem(&certificate, now).or_else(|| trust.revocation_of(&certificate)) {
            None => let_in_by_itself(&certificate, pin),
            Some(problem) => explained(&certificate, problem),
        },
        (Err(Some(problem)), None) => explained(&certificate, problem),
        (Err(None), None) => explained(&certificate, diagnose(&certificate, intermediates, trust, now)),
    }
}

/// Why a certificate is refused, and until when at least.
pub(super) struct Problem {
    pub(super) code: RefusalCode,
    pub(super) detail: String,
    pub(super) until: Option<SystemTime>,
    /// The CA of trust that the path leads to all the same.
    pub(super) anchor: Option<Identity>,
}

impl Problem {
    pub(super) fn new(code: RefusalCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), until: None, anchor: None }
    }

    pub(super) fn under(self, anchor: &Identity) -> Self {
        Self { anchor: Some(anchor.clone()), ..self }
    }
}

/// What is wrong with the dates of a certificate (RFC 5280, section 4.1.2.5: both ends are included).
pub(super) fn date_problem(certificate: &Certificate<'_>, now: SystemTime) -> Option<Problem> {
    let (from, to) = (certificate.not_before, certificate.not_after);
    if now < from {
        let detail = format!("valid from {}, and it is {}", timestamp(from), timestamp(now));
        return Some(Problem { until: Some(from), ..Problem::new(RefusalCode::NotYetValid, detail) });
    }
    if now >= last_moment(certificate) {
        let detail = format!("valid until {}, and it is {}", timestamp(to), timestamp(now));
        return Some(Problem::new(RefusalCode::Expired, detail));
    }
    None
}

/// What a path proves.
struct Proof<'t> {
    anchor: &'t Authority,
    /// As far as the CAs and their lists are concerned.
    until: SystemTime,
}

/// Follows the chain to a CA of trust. The error is the reason, if it is a matter of revocation; otherwise `diagnose` has to
/// find it.
fn verify<'t>(
    end_entity: &EndEntityCert<'_>,
    certificate: &Certificate<'_>,
    intermediates: &[CertificateDer<'_>],
    trust: &'t Trust,
    now: SystemTime,
) -> Result<Proof<'t>, Option<Problem>> {
    // There may be several paths; webpki offers each until one is accepted.
    let outcome = RefCell::new(Err(None));
    let accept = |path: &VerifiedPath<'_>| {
        let examined = examine(path, certificate, trust, now);
        let accepted = examined.is_ok();
        // A path that ends at a revocation says more than one that does not hold at all.
        if !matches!((&examined, &*outcome.borrow()), (Err(None), Err(Some(_)))) {
            *outcome.borrow_mut() = examined;
        }
        if accepted { Ok(()) } else { Err(webpki::Error::UnknownIssuer) }
    };
    let built = build_path(end_entity, intermediates, trust, now, Some(&accept)).is_ok();
    match outcome.into_inner() {
        Ok(proof) if built => Ok(proof),
        Ok(_) => Err(None),
        Err(problem) => Err(problem),
    }
}

/// Has the last word on a path that webpki found.
type AcceptPath<'a> = dyn Fn(&VerifiedPath<'_>) -> Result<(), webpki::Error> + 'a;

fn build_path<'p>(
    end_entity: &'p EndEntityCert<'p>,
    intermediates: &'p [CertificateDer<'p>],
    trust: &'p Trust,
    now: SystemTime,
    accept: Option<&AcceptPath<'_>>,
) -> Result<VerifiedPath<'p>, webpki::Error> {
    // Before 1970 nothing is valid yet.
    let time = UnixTime::since_unix_epoch(now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
    let (algorithms, anchors) = (trust.algorithms.all, &trust.anchors);
    end_entity.verify_for_usage(algorithms, anchors, intermediates, time, ClientAuthentication, None, accept)
}

/// Why the path building refuses a path. For explanations only.
pub(super) fn path_error(path: &[&Certificate<'_>], trust: &Trust, now: SystemTime) -> Option<webpki::Error> {
    let ders: Vec<CertificateDer<'_>> = path.iter().map(|certificate| CertificateDer::from(certificate.der)).collect();
    let (end_entity, intermediates) = ders.split_first()?;
    let end_entity = match EndEntityCert::try_from(end_entity) {
        Ok(end_entity) => end_entity,
        Err(error) => return Some(error),
    };
    build_path(&end_entity, intermediates, trust, now, None).err()
}

/// What webpki leaves unchecked: that every intermediate may sign certificates, the dates of the anchor, and revocation.
fn examine<'t>(
    path: &VerifiedPath<'_>,
    end_entity: &Certificate<'_>,
    trust: &'t Trust,
    now: SystemTime,
) -> Result<Proof<'t>, Option<Problem>> {
    let anchor = authority(path.anchor(), trust).ok_or(None)?;
    let ders = path.intermediate_certificates().map(|intermediate| intermediate.der()).collect::<Vec<_>>();
    let intermediates: Vec<Certificate<'_>> =
        ders.iter().map(|der| Certificate::parse(der)).collect::<Result<_, _>>().map_err(|_| None)?;
    let deeper = anchor.path_length.is_some_and(|most| intermediates.len() > most as usize);
    if deeper || !anchor.may_authenticate_clients || !end_entity.may_sign_handshakes {
        return Err(None);
    }
    let under = |problem: Problem| Some(problem.under(&anchor.identity));
    let mut until = anchor_until(anchor, now)?;
    for issuer in &intermediates {
        if !issuer.may_sign_certificates || date_problem(issuer, now).is_some() {
            return Err(None);
        }
        until = until.min(last_moment(issuer));
    }
    let lists = intermediates.iter().map(|issuer| trust.crl_of(issuer)).chain([anchor.crl.as_ref()]);
    for (certificate, crl) in std::iter::once(end_entity).chain(&intermediates).zip(lists) {
        if let Some(next_update) = trust.revocation.check(certificate, crl, now).map_err(under)? {
            until = until.min(next_update);
        }
    }
    Ok(Proof { anchor, until })
}

/// Until when an anchor holds, if it does.
fn anchor_until(anchor: &Authority, now: SystemTime) -> Result<SystemTime, Option<Problem>> {
    if let Some(revoked) = &anchor.revoked {
        return Err(Some(Problem::new(RefusalCode::Revoked, revoked.clone()).under(&anchor.identity)));
    }
    let until = after(anchor.identity.not_after());
    if now < anchor.identity.not_before() || now >= until { Err(None) } else { Ok(until) }
}

/// The CA that an anchor was made of. Two may have the same name and key (a renewed CA) but not the same dates, so it is
/// found by its place.
fn authority<'t>(anchor: &TrustAnchor<'_>, trust: &'t Trust) -> Option<&'t Authority> {
    let place: *const TrustAnchor<'_> = anchor;
    trust.authorities().find(|(known, _)| std::ptr::addr_eq(*known, place)).map(|(_, authority)| authority)
}

/// For certificates of version 1, which have no extensions: a CA of trust has to have signed it itself.
fn verify_version_1<'t>(
    certificate: &Certificate<'_>,
    trust: &'t Trust,
    now: SystemTime,
) -> Result<Proof<'t>, Option<Problem>> {
    if date_problem(certificate, now).is_some() {
        return Err(None);
    }
    let mut problem = None;
    for (constraints, anchor) in trust.authorities().map(|(anchor, authority)| (&anchor.name_constraints, authority)) {
        // Whose names are limited cannot vouch for one that nothing can be checked of.
        let signed = constraints.is_none()
            && *anchor.subject == *certificate.issuer
            && signature::check(certificate, &anchor.spki, &trust.algorithms) == Check::Good;
        if !signed {
            continue;
        }
        let until = anchor_until(anchor, now).and_then(|until| {
            let checked = trust.revocation.check(certificate, anchor.crl.as_ref(), now);
            let next_update = checked.map_err(|problem| problem.under(&anchor.identity))?;
            Ok(next_update.map_or(until, |next_update| until.min(next_update)))
        });
        match until {
            Ok(until) => return Ok(Proof { anchor, until }),
            Err(why) => problem = problem.or(why),
        }
    }
    Err(problem)
}

/// The extended key usage that a chain needs: none, or one with clientAuth or any (RFC 5280, section 4.2.1.12).
#[derive(Debug, Clone, Copy)]
struct ClientAuthentication;

impl ExtendedKeyUsageValidator for ClientAuthentication {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        const CLIENT_AUTH: [usize; 9] = [1, 3, 6, 1, 5, 5, 7, 3, 2];
        const ANY: [usize; 5] = [2, 5, 29, 37, 0];
        let mut none = true;
        for purpose in purposes {
            none = false;
            let purpose = purpose?.to_decoded_oid();
            if purpose == CLIENT_AUTH || purpose == ANY {
                return Ok(());
            }
        }
        if none { Ok(()) } else { Err(webpki::Error::EmptyEkuExtension) }
    }
}

fn authorised(certificate: &Certificate<'_>, pin: Option<&Pin>, path: Proof<'_>) -> Judgement {
    let name = pin.and_then(|pin| pin.name.as_deref());
    let identity = Identity::vouched_for(certificate, path.anchor.identity.subject(), name);
    Judgement {
        verdict: Verdict::Authorised(identity),
        valid_until: Some(path.until.min(last_moment(certificate))),
        anchor: Some(path.anchor.identity.clone()),
    }
}

fn let_in_by_itself(certificate: &Certificate<'_>, pin: &Pin) -> Judgement {
    let identity = Identity::pinned(certificate, pin.name.as_deref());
    Judgement { verdict: Verdict::Authorised(identity), valid_until: Some(last_moment(certificate)), anchor: None }
}

fn explained(certificate: &Certificate<'_>, problem: Problem) -> Judgement {
    let Problem { code, detail, until, anchor } = problem;
    Judgement { valid_until: until, anchor, ..refused(code, detail, Some(Identity::of(certificate))) }
}

fn refused(code: RefusalCode, detail: impl Into<String>, shown: Option<Identity>) -> Judgement {
    let refusal = Arc::new(Refusal::new(code, detail, shown));
    Judgement { verdict: Verdict::Refused(refusal), valid_until: None, anchor: None }
}

fn has_many_namesakes(intermediates: &[CertificateDer<'_>]) -> bool {
    if intermediates.len() <= MOST_NAMESAKES {
        return false;
    }
    let parsed: Vec<_> = intermediates.iter().filter_map(|der| Certificate::parse(der).ok()).collect();
    // What we cannot read, webpki might, but no path with it is accepted: it counts as a namesake of all.
    let unread = intermediates.len() - parsed.len();
    let namesakes = |one: &Certificate<'_>| parsed.iter().filter(|other| other.subject == one.subject).count();
    unread > MOST_NAMESAKES || parsed.iter().any(|one| namesakes(one) + unread > MOST_NAMESAKES)
}

fn too_many_namesakes() -> Problem {
    let detail =
        format!("the client sent more than {MOST_NAMESAKES} certificates of one name, so there is no telling its path");
    Problem::new(RefusalCode::ChainTooLong, detail)
}

fn too_many(chain: &[CertificateDer<'_>]) -> Problem {
    let detail = format!("the client sent {} certificates; at most {} are read", chain.len(), MOST_INTERMEDIATES + 1);
    Problem::new(RefusalCode::ChainTooLong, detail)
}

/// The first moment after its validity.
fn last_moment(certificate: &Certificate<'_>) -> SystemTime {
    after(certificate.not_after)
}

fn after(last_second: SystemTime) -> SystemTime {
    last_second.checked_add(Duration::from_secs(1)).unwrap_or(last_second)
}
