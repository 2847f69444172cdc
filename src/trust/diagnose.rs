//! Explains a refusal. It is asked after the answer was no, walks the chain that the client showed as far as it leads,
//! and says where it ends. It changes no verdict.

use std::time::SystemTime;

use rustls::pki_types::CertificateDer;

use crate::certificate::{Certificate, Key};
use crate::identity::{Attribute, Identity};

use super::judge::{Problem, date_problem};
use super::refusal::RefusalCode;
use super::signature::{Check, check};
use super::{Authority, Trust};

/// The deepest path that is followed: webpki's limit on intermediates, and one more to see that it is crossed.
const DEEPEST: usize = 12;

/// So many CAs of the same name are tried.
const MOST_NAMESAKES: usize = 8;

/// Says why `end_entity` is refused.
pub(super) fn diagnose(
    end_entity: &Certificate<'_>,
    sent: &[CertificateDer<'_>],
    trust: &Trust,
    now: SystemTime,
) -> Problem {
    let sent: Vec<Certificate<'_>> = sent.iter().filter_map(|der| Certificate::parse(der).ok()).collect();
    // Of what may be thousands of CAs, only those that some certificate names as its issuer.
    let is_named =
        |ca: &Authority| sent.iter().chain([end_entity]).any(|certificate| *certificate.issuer == *ca.subject);
    let named = trust.authorities.iter().filter(|ca| is_named(ca));
    let authorities: Vec<Certificate<'_>> = named.filter_map(|ca| Certificate::parse(ca.identity.der()).ok()).collect();
    let walk = Walk::from(end_entity, &sent, &authorities, trust);
    match walk.end {
        End::At(anchor) => fault_on_path(&walk.path, anchor, now, trust).under(&Identity::of(anchor)),
        End::Impostor { key_id_fits } => other_key(&walk.path, key_id_fits),
        End::Gap => gap(&walk.path, &sent, trust),
    }
}

/// The presented path, from the client's certificate upwards, as far as each is signed by the next.
struct Walk<'w> {
    path: Vec<&'w Certificate<'w>>,
    end: End<'w>,
}

/// Where the path ends.
enum End<'w> {
    /// At a CA of trust.
    At(&'w Certificate<'w>),
    /// At the name of one, whose key it was not.
    Impostor { key_id_fits: bool },
    /// Nowhere.
    Gap,
}

impl<'w> Walk<'w> {
    fn from(
        end_entity: &'w Certificate<'w>,
        sent: &'w [Certificate<'w>],
        authorities: &'w [Certificate<'w>],
        trust: &Trust,
    ) -> Self {
        let mut path = vec![end_entity];
        let mut current = end_entity;
        loop {
            let namesakes = |known: &&Certificate<'_>| known.subject == current.issuer;
            let candidates: Vec<_> = authorities.iter().filter(namesakes).take(MOST_NAMESAKES).collect();
            let signed = |issuer: &&&Certificate<'_>| check(current, issuer.spki, &trust.algorithms) != Check::Bad;
            if let Some(anchor) = candidates.iter().find(signed) {
                return Self { path, end: End::At(anchor) };
            }
            let next = sent
                .iter()
                .filter(namesakes)
                .filter(|next| !path.iter().any(|seen| seen.der == next.der))
                .find(|next| check(current, next.spki, &trust.algorithms) != Check::Bad);
            match next {
                Some(next) if path.len() < DEEPEST => {
                    path.push(next);
                    current = next;
                }
                _ if candidates.is_empty() => return Self { path, end: End::Gap },
                _ => {
                    let fits = |ca: &&Certificate<'_>| {
                        ca.subject_key_id.is_some() && ca.subject_key_id == current.authority_key_id
                    };
                    let key_id_fits = candidates.into_iter().any(|ca| fits(&ca));
                    return Self { path, end: End::Impostor { key_id_fits } };
                }
            }
        }
    }
}

/// The path leads to a CA of trust, so one of its certificates is at fault.
fn fault_on_path(path: &[&Certificate<'_>], anchor: &Certificate<'_>, now: SystemTime, trust: &Trust) -> Problem {
    // First, whether the path is one at all: what cannot be checked proves nothing of those below it.
    if let Some(problem) = fault_of_algorithms(path, anchor, trust) {
        return problem;
    }
    let (end_entity, intermediates) = (path[0], &path[1..]);
    let version_accepted = trust.accept_v1 && intermediates.is_empty();
    for (position, certificate) in path.iter().copied().chain([anchor]).enumerate() {
        // The anchor is trusted as it is, but for its dates.
        let is_anchor = position == path.len();
        if certificate.version != 3 && !is_anchor && !version_accepted {
            let detail = format!("{} is of version {}", which(certificate, position), certificate.version);
            return Problem::new(RefusalCode::X509V1, detail);
        }
        if let Some(problem) = date_problem(certificate, now) {
            return Problem { detail: format!("{}: {}", which(certificate, position), problem.detail), ..problem };
        }
    }
    if end_entity.is_ca() {
        return Problem::new(RefusalCode::CaAsClient, format!("{} is marked as a CA", which(end_entity, 0)));
    }
    for (position, issuer) in (1..).zip(intermediates.iter().copied().chain([anchor])) {
        let name = which(issuer, position);
        let is_anchor = position == path.len();
        if !is_anchor && !issuer.is_ca() {
            return Problem::new(RefusalCode::IssuerNotCa, format!("{name} is not marked as a CA"));
        }
        if !is_anchor && !issuer.may_sign_certificates {
            return Problem::new(RefusalCode::IssuerWithoutCertSign, format!("{name} lacks keyCertSign"));
        }
        let below = position - 1;
        let allowed = issuer.basic_constraints.and_then(|constraints| constraints.path_length);
        if let Some(allowed) = allowed.filter(|allowed| below > *allowed as usize) {
            let detail = format!("{name} allows {allowed} intermediates below it, and there are {below}");
            return Problem::new(RefusalCode::PathLength, detail);
        }
    }
    if !end_entity.may_sign_handshakes {
        let detail = format!("{} has a keyUsage without digitalSignature", which(end_entity, 0));
        return Problem::new(RefusalCode::WrongUsage, detail);
    }
    for (position, certificate) in path.iter().copied().chain([anchor]).enumerate() {
        if !certificate.may_authenticate_clients {
            let detail = format!("{} has an extendedKeyUsage without clientAuth", which(certificate, position));
            return Problem::new(RefusalCode::WrongUsage, detail);
        }
    }
    fault_by_webpki(path, anchor, now, trust)
}

fn fault_of_algorithms(path: &[&Certificate<'_>], anchor: &Certificate<'_>, trust: &Trust) -> Option<Problem> {
    let issuers = path[1..].iter().copied().chain([anchor]);
    for (position, (certificate, issuer)) in path.iter().zip(issuers).enumerate() {
        if check(certificate, issuer.spki, &trust.algorithms) != Check::Unsupported {
            continue;
        }
        return Some(match issuer.key {
            Key::Rsa(..2048) => {
                let detail = format!("{} signs with a key of {}", which(issuer, position + 1), issuer.key);
                Problem::new(RefusalCode::WeakKey, detail)
            }
            _ => {
                let detail = format!("{} is signed by an algorithm that is not accepted", which(certificate, position));
                Problem::new(RefusalCode::UnsupportedSignature, detail)
            }
        });
    }
    None
}

/// What is left can only be told by the error of the path building itself.
fn fault_by_webpki(path: &[&Certificate<'_>], anchor: &Certificate<'_>, now: SystemTime, trust: &Trust) -> Problem {
    use webpki::Error as E;
    let error = super::judge::path_error(path, trust, now);
    let detail = |what: &str| format!("{} under {}: {what}", which(path[0], 0), Identity::of(anchor).subject());
    match error {
        Some(
            E::NameConstraintViolation
            | E::UnsupportedNameType
            | E::MalformedNameConstraint
            | E::InvalidNetworkMaskConstraint,
        ) => Problem::new(RefusalCode::NameConstraint, detail("a name that a CA on the path does not permit")),
        Some(E::UnsupportedCriticalExtension) => {
            Problem::new(RefusalCode::UnsupportedExtension, detail("a critical extension that is not known"))
        }
        Some(
            E::MaximumPathDepthExceeded
            | E::MaximumPathBuildCallsExceeded
            | E::MaximumSignatureChecksExceeded
            | E::MaximumNameConstraintComparisonsExceeded,
        ) => Problem::new(RefusalCode::ChainTooLong, detail("the path is longer than is followed")),
        Some(E::PathLenConstraintViolated) => {
            Problem::new(RefusalCode::PathLength, detail("more intermediates than a CA on the path allows"))
        }
        Some(error) => Problem::new(RefusalCode::Malformed, detail(&error.to_string())),
        None => Problem::new(RefusalCode::Malformed, detail("it cannot be followed")),
    }
}

/// The last certificate names a CA of trust as its issuer, but that CA's key did not sign it.
fn other_key(path: &[&Certificate<'_>], key_id_fits: bool) -> Problem {
    let (last, name) = last_of(path);
    let issuer = Identity::of(last).issuer().to_owned();
    if key_id_fits {
        let detail = format!("{name} names the key of {issuer}, whose signature it does not bear");
        return Problem::new(RefusalCode::BadSignature, detail);
    }
    let detail =
        format!("{name} was signed by a CA named {issuer}, but not with the key of the loaded CA of that name");
    Problem::new(RefusalCode::SameNameOtherKey, detail)
}

/// Nobody is known who signed the last certificate.
fn gap(path: &[&Certificate<'_>], sent: &[Certificate<'_>], trust: &Trust) -> Problem {
    let (last, name) = last_of(path);
    if last.is_self_issued() {
        return match path.len() {
            1 => Problem::new(RefusalCode::SelfSigned, format!("{name} is signed by itself")),
            _ => Problem::new(RefusalCode::UnknownRoot, format!("the chain ends at {name}, which is no loaded CA")),
        };
    }
    let issuer = Identity::of(last).issuer().to_owned();
    let detail = format!("{name} was issued by {issuer}, which is no loaded CA and was not sent");
    // That the chain is ours: a CA of ours came with it, more came that does not link, or the organisation is ours.
    let authorities = || trust.authorities.iter().map(|ca| &ca.identity);
    let sent_ours = sent.iter().any(|sent| authorities().any(|ca| ca.der() == sent.der));
    let sent_unlinked = sent.len() >= path.len();
    let organisation = organisation(last);
    let same_organisation = organisation.is_some()
        && authorities().any(|ca| first_organisation(ca.attributes()) == organisation.as_deref());
    let code = match sent_ours || sent_unlinked || same_organisation {
        true => RefusalCode::MissingIntermediate,
        false => RefusalCode::UnknownIssuer,
    };
    Problem::new(code, detail)
}

fn organisation(certificate: &Certificate<'_>) -> Option<String> {
    let names: Vec<_> = certificate.issuer_names().into_iter().flatten().collect();
    first_organisation(&names).map(str::to_owned)
}

fn first_organisation(names: &[Attribute]) -> Option<&str> {
    names.iter().find(|attribute| attribute.short_name() == Some("O")).map(Attribute::value)
}

fn last_of<'w>(path: &[&'w Certificate<'w>]) -> (&'w Certificate<'w>, String) {
    // A path begins with the client's certificate.
    let position = path.len() - 1;
    (path[position], which(path[position], position))
}

fn which(certificate: &Certificate<'_>, position: usize) -> String {
    match position {
        0 => "the client's certificate".to_owned(),
        _ => format!("the certificate of {}", Identity::of(certificate).subject()),
    }
}
