//! The verdict.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, VerifiedPath};

use crate::certificate::Certificate;
use crate::clock::timestamp;
use crate::identity::Identity;

use super::Trust;
use super::diagnose::diagnose;
use super::refusal::{Refusal, RefusalCode};
use super::signature::{self, Check};

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
    /// The first moment at which it may be another for the same trust: a certificate on the path expires, or becomes
    /// valid. `None`: never.
    pub valid_until: Option<SystemTime>,
}

/// So many certificates besides its own may a client send; with more it is refused before any signature is checked.
const MOST_INTERMEDIATES: usize = 10;

/// Judges a client by the chain it showed, its own certificate first, and proved to have the key of.
///
/// This one function serves new connections, open ones, and offline checks. Default is refusal: only what is proven
/// step by step is authorised.
///
/// 1. A certificate that stands in trust byte for byte is let in while its dates hold.
/// 2. Otherwise its chain has to lead to a CA of trust (RFC 5280, section 6): signatures, dates, CA marks, path lengths,
///    key usages and names. The extended key usage, where there is one, has to include clientAuth or any.
/// 3. A certificate of version 1 is authorised only if trust accepts them and a CA of trust signed it itself.
pub fn judge(chain: &[CertificateDer<'_>], trust: &Trust, now: SystemTime) -> Judgement {
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
    if trust.is_pinned(end_entity) {
        return match date_problem(&certificate, now) {
            None => authorised(&certificate, last_moment(&certificate)),
            Some(problem) => explained(&certificate, problem),
        };
    }
    if intermediates.len() > MOST_INTERMEDIATES {
        let detail =
            format!("the client sent {} certificates; at most {} are read", chain.len(), MOST_INTERMEDIATES + 1);
        return refused(RefusalCode::ChainTooLong, detail, Some(Identity::of(&certificate)));
    }
    let proven_until = match certificate.version {
        3 => EndEntityCert::try_from(end_entity).ok().and_then(|leaf| verify(&leaf, intermediates, trust, now)),
        _ if trust.accept_v1 => verify_version_1(&certificate, trust, now),
        _ => None,
    };
    match proven_until {
        Some(path_until) => authorised(&certificate, path_until.min(last_moment(&certificate))),
        None => explained(&certificate, diagnose(&certificate, intermediates, trust, now)),
    }
}

/// Why a certificate is refused, and until when at least.
pub(super) struct Problem {
    pub(super) code: RefusalCode,
    pub(super) detail: String,
    pub(super) until: Option<SystemTime>,
}

impl Problem {
    pub(super) fn new(code: RefusalCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), until: None }
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

/// Follows the chain to a CA of trust. `Some`: it holds, until the returned moment as far as the CAs are concerned.
fn verify(
    end_entity: &EndEntityCert<'_>,
    intermediates: &[CertificateDer<'_>],
    trust: &Trust,
    now: SystemTime,
) -> Option<SystemTime> {
    let issuers_hold = |path: &VerifiedPath<'_>| match issuers_until(path, trust, now) {
        Some(_) => Ok(()),
        None => Err(webpki::Error::UnknownIssuer),
    };
    let path = build_path(end_entity, intermediates, trust, now, Some(&issuers_hold)).ok()?;
    issuers_until(&path, trust, now)
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

/// What webpki leaves unchecked: that every intermediate may sign certificates, and the dates of the anchor. `Some`: all
/// hold until then.
fn issuers_until(path: &VerifiedPath<'_>, trust: &Trust, now: SystemTime) -> Option<SystemTime> {
    let anchor = authority(path.anchor(), trust)?;
    let mut until = None;
    let ders = path.intermediate_certificates().map(|intermediate| intermediate.der()).collect::<Vec<_>>();
    for der in ders.iter().map(|der| &der[..]).chain([anchor.der()]) {
        let issuer = Certificate::parse(der).ok()?;
        if !issuer.may_sign_certificates || date_problem(&issuer, now).is_some() {
            return None;
        }
        let last = last_moment(&issuer);
        until = Some(until.map_or(last, |until: SystemTime| until.min(last)));
    }
    until
}

/// The certificate that an anchor was made of. Two may have the same name and key (a renewed CA) but not the same dates, so
/// it is found by its place.
fn authority<'t>(anchor: &TrustAnchor<'_>, trust: &'t Trust) -> Option<&'t Identity> {
    let place: *const TrustAnchor<'_> = anchor;
    trust.authorities().find(|(known, _)| std::ptr::addr_eq(*known, place)).map(|(_, identity)| identity)
}

/// For certificates of version 1, which have no extensions: a CA of trust has to have signed it itself.
fn verify_version_1(certificate: &Certificate<'_>, trust: &Trust, now: SystemTime) -> Option<SystemTime> {
    if date_problem(certificate, now).is_some() {
        return None;
    }
    trust.authorities().find_map(|(_, authority)| {
        let issuer = Certificate::parse(authority.der()).ok()?;
        let signed = issuer.subject == certificate.issuer
            && date_problem(&issuer, now).is_none()
            && signature::check(certificate, issuer.spki, &trust.algorithms) == Check::Good;
        signed.then(|| last_moment(&issuer))
    })
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

fn authorised(certificate: &Certificate<'_>, until: SystemTime) -> Judgement {
    Judgement { verdict: Verdict::Authorised(Identity::of(certificate)), valid_until: Some(until) }
}

fn explained(certificate: &Certificate<'_>, problem: Problem) -> Judgement {
    let Problem { code, detail, until } = problem;
    Judgement { valid_until: until, ..refused(code, detail, Some(Identity::of(certificate))) }
}

fn refused(code: RefusalCode, detail: impl Into<String>, shown: Option<Identity>) -> Judgement {
    Judgement { verdict: Verdict::Refused(Arc::new(Refusal::new(code, detail, shown))), valid_until: None }
}

/// The first moment after its validity.
fn last_moment(certificate: &Certificate<'_>) -> SystemTime {
    certificate.not_after.checked_add(Duration::from_secs(1)).unwrap_or(certificate.not_after)
}
