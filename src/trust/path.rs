//! Certification paths (RFC 5280, section 6): searched upwards from a certificate to a trusted CA, and validated from there
//! down.
//!
//! A stranger sends the certificates, so the search is limited: in signatures that do not verify, in steps, and in depth. If
//! paths fail, the reason that is reported is that of the path that came nearest to success.

use std::collections::HashMap;
use std::time::SystemTime;

use crate::x509::certificate::Certificate;
use crate::x509::distinguished_name::normal_form;
use crate::x509::name_constraints::MOST_COMPARISONS;
use crate::x509::signature::{Check, Unsupported, check};

use super::diagnose;
use super::faults::{fault_of_authority, fault_on_path};
use super::problem::{Problem, after, last_moment};
use super::refusal::RefusalCode;
use super::{Authority, Trust};

/// At most this many intermediates may be between a client's certificate and a trusted CA.
pub(super) const MOST_INTERMEDIATES: usize = 6;

/// At most this many signatures that do not verify are checked for one certificate: if it says which key signed it (section
/// 4.2.1.1), and if it does not, when several CAs have the name of its issuer.
const MOST_BAD_SIGNATURES: usize = 2;
const MOST_BAD_SIGNATURES_WITHOUT_KEY_ID: usize = 8;

/// At most this many signatures that do not verify are checked for one chain.
const MOST_BAD_SIGNATURES_IN_ALL: usize = 8;

/// At most this many signatures are checked for one chain, each once, on however many paths it is. A good client needs one
/// for each certificate of its path.
const MOST_SIGNATURES: usize = 32;

/// At most this many certificates are tried on the way up.
const MOST_STEPS: usize = 100;

/// What a path proves.
pub(super) struct Proof<'t> {
    pub(super) anchor: &'t Authority,
    /// Until when everything that it depends on is valid.
    pub(super) until: SystemTime,
}

/// Finds a path from `end_entity`, a client's certificate, to a trusted CA, over `sent` and the loaded intermediates.
pub(super) fn prove<'t>(
    end_entity: &Certificate<'_>,
    sent: &[Certificate<'_>],
    trust: &'t Trust,
    now: SystemTime,
) -> Result<Proof<'t>, Problem> {
    let mut search = Search::new(sent, trust, now, Purpose::Client);
    let proof = search.climb(&Path::of(end_entity), None);
    proof.ok_or_else(|| search.problem())
}

/// The positions of all trust anchors that a path from the CA `authority` leads to.
pub(super) fn anchors_of(authority: &Certificate<'_>, trust: &Trust) -> Vec<usize> {
    let mut search = Search::new(&[], trust, SystemTime::UNIX_EPOCH, Purpose::Anchors(Vec::new()));
    search.climb(&Path::of(authority), None);
    match search.purpose {
        Purpose::Anchors(found) => found,
        Purpose::Client => Vec::new(),
    }
}

/// A path being built: its topmost certificate, and the path below it.
struct Path<'p> {
    certificate: &'p Certificate<'p>,
    /// Which candidate the topmost certificate was; `None`: the search began with it.
    candidate: Option<Candidate>,
    below: Option<&'p Path<'p>>,
}

impl<'p> Path<'p> {
    fn of(certificate: &'p Certificate<'p>) -> Self {
        Self { certificate, candidate: None, below: None }
    }

    /// From the topmost certificate down.
    fn certificates(&self) -> impl Iterator<Item = &'p Certificate<'p>> + '_ {
        std::iter::successors(Some(self), |path| path.below).map(|path| path.certificate)
    }

    fn upwards(&self) -> Vec<&'p Certificate<'p>> {
        let mut certificates: Vec<_> = self.certificates().collect();
        certificates.reverse();
        certificates
    }
}

enum Purpose {
    Client,
    /// To find the trust anchors that a CA leads to, whatever the dates, over CAs that are not known to be revoked. The
    /// search continues after each.
    Anchors(Vec<usize>),
}

struct Search<'s, 't> {
    sent: &'s [Certificate<'s>],
    /// The normal forms of their subjects.
    sent_names: Vec<Option<Box<[u8]>>>,
    trust: &'t Trust,
    now: SystemTime,
    purpose: Purpose,
    steps: usize,
    /// The results of checking a certificate's signature with a key.
    checked: HashMap<(Option<Candidate>, Box<[u8]>), Check>,
    comparisons: usize,
    /// The best reason found so far, and how near to success its path came.
    reason: Option<(Distance, Problem)>,
}

/// How near to success a path came. Of several reasons, a revocation is reported first, then a fault on a path to a CA, last
/// a path that leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Distance {
    /// It ends this many certificates up.
    Nowhere(usize),
    Unproven,
    AtAnchor,
    Revoked,
}

/// Who may have issued a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Candidate {
    /// A loaded CA, by its position.
    Loaded(usize),
    Sent(usize),
}

impl<'s, 't> Search<'s, 't> {
    fn new(sent: &'s [Certificate<'s>], trust: &'t Trust, now: SystemTime, purpose: Purpose) -> Self {
        let sent_names = sent.iter().map(|certificate| normal_form(certificate.subject)).collect();
        Self {
            sent,
            sent_names,
            trust,
            now,
            purpose,
            steps: 0,
            checked: HashMap::new(),
            comparisons: MOST_COMPARISONS,
            reason: None,
        }
    }

    /// Tries every issuer of the topmost certificate. `flaw`: a signature further down cannot be checked, so this path can
    /// only serve as an explanation.
    fn climb(&mut self, path: &Path<'_>, flaw: Option<&Problem>) -> Option<Proof<'t>> {
        let (mut linked, mut exhausted) = (false, false);
        if let Some(name) = normal_form(path.certificate.issuer) {
            for candidate in self.candidates(path.certificate, &name) {
                let key = self.spki(candidate);
                if is_on(path, &name, key) {
                    continue;
                }
                let why_not = match self.check(path, key) {
                    Some(Check::Good) => None,
                    Some(Check::Bad | Check::OtherKey) => continue,
                    Some(Check::Unsupported(why)) => Some(why),
                    None => {
                        exhausted = true;
                        break;
                    }
                };
                linked = true;
                let proof = self.follow(path, candidate, why_not.as_ref(), flaw);
                if proof.is_some() {
                    return proof;
                }
            }
        }
        if !linked {
            self.note_dead_end(path, exhausted);
        }
        None
    }

    /// One step further up. `why_not`: why the signature of this issuer cannot be checked.
    fn follow(
        &mut self,
        path: &Path<'_>,
        candidate: Candidate,
        why_not: Option<&Unsupported>,
        flaw: Option<&Problem>,
    ) -> Option<Proof<'t>> {
        self.steps += 1;
        if self.steps > MOST_STEPS {
            return None;
        }
        let (sent, trust) = (self.sent, self.trust);
        let loaded;
        let issuer = match candidate {
            Candidate::Sent(at) => &sent[at],
            Candidate::Loaded(at) => {
                // It was read before.
                loaded = Certificate::parse(trust.authorities[at].identity.der()).ok()?;
                &loaded
            }
        };
        let is_revoked = matches!(candidate, Candidate::Loaded(at) if trust.authorities[at].revoked.is_some());
        if is_revoked && !matches!(self.purpose, Purpose::Client) {
            return None;
        }
        let depth = path.certificates().count();
        let own_flaw = why_not.map(|why| diagnose::unsupported(path.certificate, issuer, depth - 1, why));
        let flaw = own_flaw.as_ref().or(flaw);
        match candidate {
            Candidate::Loaded(at) if trust.authorities[at].is_anchor => self.arrive(path, at, issuer, flaw),
            _ if depth > MOST_INTERMEDIATES => {
                let detail = format!("the path has more than {MOST_INTERMEDIATES} intermediates");
                self.note(Distance::Unproven, Problem::new(RefusalCode::ChainTooLong, detail));
                None
            }
            _ => self.climb(&Path { certificate: issuer, candidate: Some(candidate), below: Some(path) }, flaw),
        }
    }

    /// Checks the signature of the topmost certificate with this key, once. `None`: the limit of checks is reached.
    fn check(&mut self, path: &Path<'_>, key: &[u8]) -> Option<Check> {
        let pair = (path.candidate, key.into());
        if let Some(known) = self.checked.get(&pair) {
            return Some(known.clone());
        }
        let most_bad = match path.certificate.authority_key_id {
            Some(_) => MOST_BAD_SIGNATURES,
            None => MOST_BAD_SIGNATURES_WITHOUT_KEY_ID,
        };
        let bad = || self.checked.iter().filter(|(_, found)| **found == Check::Bad).map(|((signed, _), _)| *signed);
        let exhausted = self.checked.len() >= MOST_SIGNATURES
            || bad().count() >= MOST_BAD_SIGNATURES_IN_ALL
            || bad().filter(|signed| *signed == path.candidate).count() >= most_bad;
        // What the operator loads at the start has no limit.
        if exhausted && matches!(self.purpose, Purpose::Client) {
            return None;
        }
        let found = check(path.certificate, key, &self.trust.algorithms);
        // The other results cost nothing.
        if matches!(found, Check::Good | Check::Bad) {
            self.checked.insert(pair, found.clone());
        }
        Some(found)
    }

    /// The signer of the topmost certificate is unknown. The reason is only determined if it will be reported. `exhausted`:
    /// not all CAs with the name of its issuer were tried.
    fn note_dead_end(&mut self, path: &Path<'_>, exhausted: bool) {
        let distance = Distance::Nowhere(path.certificates().count());
        if self.reason.as_ref().is_none_or(|(known, _)| *known < distance) {
            let certificates: Vec<_> = path.certificates().collect();
            let problem = diagnose::dead_end(&certificates, self.sent, self.trust, exhausted);
            self.note(distance, problem);
        }
    }

    /// The candidates whose subject is `name`, the issuer of `current` (section 7.1). First those with the key identifier
    /// that it names, then those without any, last those with another one, which is only a hint.
    fn candidates(&self, current: &Certificate<'_>, name: &[u8]) -> Vec<Candidate> {
        let loaded = self.trust.namesakes(name).map(|at| {
            let id = self.trust.authorities[at].subject_key_id.as_deref();
            (key_rank(current, id), Candidate::Loaded(at))
        });
        let sent = self.sent.iter().zip(&self.sent_names).enumerate();
        let sent = sent.filter(|(_, (_, subject))| subject.as_deref() == Some(name));
        let sent = sent.map(|(at, (sent, _))| (key_rank(current, sent.subject_key_id), Candidate::Sent(at)));
        let mut candidates: Vec<_> = loaded.chain(sent).collect();
        // The sort is stable: among equals, loaded CAs come first, in the order of their files.
        candidates.sort_by_key(|(rank, _)| *rank);
        candidates.into_iter().map(|(_, candidate)| candidate).collect()
    }

    fn spki(&self, candidate: Candidate) -> &'s [u8]
    where
        't: 's,
    {
        match candidate {
            Candidate::Loaded(at) => &self.trust.authorities[at].spki,
            Candidate::Sent(at) => self.sent[at].spki,
        }
    }

    /// The path has reached a trusted CA.
    fn arrive(
        &mut self,
        path: &Path<'_>,
        at: usize,
        anchor: &Certificate<'_>,
        flaw: Option<&Problem>,
    ) -> Option<Proof<'t>> {
        let authority = &self.trust.authorities[at];
        if let Purpose::Anchors(_) = self.purpose {
            let certificates = path.upwards();
            let holds = flaw.is_none() && fault_of_authority(&certificates, anchor, &mut self.comparisons).is_none();
            if let Purpose::Anchors(found) = &mut self.purpose
                && holds
                && !found.contains(&at)
            {
                found.push(at);
            }
            return None;
        }
        if let Some(flaw) = flaw {
            self.note(Distance::Unproven, flaw.clone());
            return None;
        }
        match self.validate(path, at, anchor) {
            Ok(until) => Some(Proof { anchor: authority, until }),
            Err((distance, problem)) => {
                self.note(distance, problem.under(&authority.identity));
                None
            }
        }
    }

    /// Section 6.1, with the trust anchor's own limits (RFC 5937), and what TLS requires of a client's certificate.
    fn validate(
        &mut self,
        path: &Path<'_>,
        at: usize,
        anchor: &Certificate<'_>,
    ) -> Result<SystemTime, (Distance, Problem)> {
        let certificates = path.upwards();
        let fault = fault_on_path(&certificates, anchor, self.trust, self.now, &mut self.comparisons);
        if let Some(problem) = fault {
            return Err((Distance::AtAnchor, problem));
        }
        let dates = certificates.iter().map(|certificate| last_moment(certificate));
        let mut until = dates.fold(after(anchor.not_after), SystemTime::min);
        if let Some(revoked) = &self.trust.authorities[at].revoked {
            return Err((Distance::Revoked, revoked.clone()));
        }
        let issuers = certificates[1..].iter().copied().chain([anchor]);
        for (certificate, issuer) in certificates.iter().zip(issuers) {
            let checked = self.trust.check_revocation(certificate, issuer.spki, at, self.now);
            if let Some(next_update) = checked.map_err(|problem| (Distance::Revoked, problem))? {
                until = until.min(next_update);
            }
        }
        Ok(until)
    }

    fn note(&mut self, distance: Distance, problem: Problem) {
        let until = [self.reason.as_ref().and_then(|(_, known)| known.until), problem.until];
        if self.reason.as_ref().is_none_or(|(known, _)| *known < distance) {
            self.reason = Some((distance, problem));
        }
        if let Some((_, reason)) = &mut self.reason {
            // The verdict may change with the first of these changes.
            reason.until = until.into_iter().flatten().min();
        }
    }

    fn problem(self) -> Problem {
        let unknown =
            || Problem::new(RefusalCode::ChainTooLong, "there are more possible paths to a CA than are tried");
        self.reason.map_or_else(unknown, |(_, problem)| problem)
    }
}

/// Whether a CA with this name, in normal form, and this key is already on the path.
fn is_on(path: &Path<'_>, name: &[u8], key: &[u8]) -> bool {
    path.certificates().any(|certificate| {
        certificate.spki == key && normal_form(certificate.subject).is_some_and(|subject| *subject == *name)
    })
}

/// How well a key identifier fits, the best first.
fn key_rank(certificate: &Certificate<'_>, issuer_key_id: Option<&[u8]>) -> u8 {
    match (certificate.authority_key_id, issuer_key_id) {
        (Some(wanted), Some(id)) if wanted == id => 0,
        (Some(_), Some(_)) => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair};

    fn params(name: &str, is_ca: bool, key_ids: bool) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = if is_ca { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::ExplicitNoCa };
        params.use_authority_key_identifier_extension = key_ids;
        params
    }

    /// The signatures that did not verify, for a certificate of a stranger's CA beside `loaded` CAs of its name.
    fn cost_of_a_stranger(loaded: usize, key_ids: bool) -> (usize, RefusalCode) {
        let authority = || (params("ca", true, key_ids), KeyPair::generate().unwrap());
        let pem = |(params, key): (CertificateParams, KeyPair)| params.self_signed(&key).unwrap().pem();
        let trust =
            Trust::builder().pem((0..loaded).map(|_| pem(authority())).collect::<String>(), "ca").build().unwrap();
        let (own, key) = authority();
        let issuer = Issuer::from_params(&own, &key);
        let der = params("mallory", false, key_ids).signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
        let certificate = Certificate::parse(der.der()).unwrap();
        let mut search = Search::new(&[], &trust, SystemTime::now(), Purpose::Client);
        assert!(search.climb(&Path::of(&certificate), None).is_none());
        (search.checked.len(), search.problem().code)
    }

    /// RFC 5280, section 4.2.1.1.
    #[test]
    fn t20_a_stranger_costs_no_more_than_two_signatures_among_a_hundred_cas_of_his_issuers_name() {
        for loaded in [1, 2, 3, 100] {
            let (signatures, code) = cost_of_a_stranger(loaded, true);
            assert_eq!(
                (signatures, code),
                (loaded.min(MOST_BAD_SIGNATURES), RefusalCode::SameNameOtherKey),
                "{loaded}"
            );
        }
        for (loaded, expected) in
            [(8, RefusalCode::SameNameOtherKey), (9, RefusalCode::ChainTooLong), (100, RefusalCode::ChainTooLong)]
        {
            let (signatures, code) = cost_of_a_stranger(loaded, false);
            assert_eq!(signatures, MOST_BAD_SIGNATURES_WITHOUT_KEY_ID, "{loaded}, where nothing says whose key it was");
            assert_eq!(code, expected, "{loaded}: that it was none of them is not known if not all were tried");
        }
    }

    /// Ten certificates in layers, those of a layer of one name and key, make many paths. None of them is anybody's here.
    #[test]
    fn d3_a_strangers_many_paths_cost_each_signature_once() {
        let trust = Trust::builder()
            .pem(params("ca", true, true).self_signed(&KeyPair::generate().unwrap()).unwrap().pem(), "ca")
            .build()
            .unwrap();
        for (layers, width) in [(5, 2), (3, 3), (2, 5)] {
            let mut above = (params("top", true, true), KeyPair::generate().unwrap());
            let mut sent = Vec::new();
            for layer in 0..layers {
                let own = params(&format!("layer {layer}"), true, true);
                let key = KeyPair::generate().unwrap();
                for serial in 1..=width {
                    let mut own = own.clone();
                    own.serial_number = Some(serial.into());
                    let issuer = Issuer::from_params(&above.0, &above.1);
                    sent.push(own.signed_by(&key, &issuer).unwrap().der().to_vec());
                }
                above = (own, key);
            }
            let issuer = Issuer::from_params(&above.0, &above.1);
            let own = params("mallory", false, true).signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
            let certificate = Certificate::parse(own.der()).unwrap();
            let sent: Vec<_> = sent.iter().map(|der| Certificate::parse(der).unwrap()).collect();
            let mut search = Search::new(&sent, &trust, SystemTime::now(), Purpose::Client);
            assert!(search.climb(&Path::of(&certificate), None).is_none());
            let most = sent.len() + 1;
            assert!(search.checked.len() <= most, "{layers} layers of {width}: {} signatures", search.checked.len());
            assert_eq!(search.problem().code, RefusalCode::UnknownIssuer);
        }
    }
}
