//! What may be wrong with a path whose signatures are good (RFC 5280, sections 6.1.3 and 6.1.4, and the trust anchor's own
//! limits as in RFC 5937), and with a client's certificate in TLS. The first fault is reported.

use std::time::SystemTime;

use crate::x509::certificate::Certificate;
use crate::x509::certificate_policies;
use crate::x509::name_constraints::{self, Violation};

use super::Trust;
use super::diagnose::{extension_text, which};
use super::problem::{Problem, date_problem};
use super::refusal::RefusalCode;

/// What is wrong with a path to a trusted CA, given from the client's certificate upwards.
pub(super) fn fault_on_path(
    path: &[&Certificate<'_>],
    anchor: &Certificate<'_>,
    trust: &Trust,
    now: SystemTime,
    comparisons: &mut usize,
) -> Option<Problem> {
    let client = path[0];
    let dates = || path.iter().copied().chain([anchor]).enumerate();
    let fault = fault_of_version(path, anchor, trust)
        .or_else(|| dates().find_map(|(position, certificate)| fault_of_dates(certificate, position, now)))
        .or_else(|| fault_of_issuers(path, anchor));
    if fault.is_some() {
        return fault;
    }
    if client.is_ca() {
        return Some(Problem::new(RefusalCode::CaAsClient, format!("{} is marked as a CA", which(client, 0))));
    }
    if !client.may_sign_handshakes {
        let detail = format!("{} has a keyUsage without digitalSignature", which(client, 0));
        return Some(Problem::new(RefusalCode::WrongUsage, detail));
    }
    for (position, certificate) in path.iter().copied().chain([anchor]).enumerate() {
        if !certificate.may_authenticate_clients {
            let detail = format!("{} has an extendedKeyUsage without clientAuth", which(certificate, position));
            return Some(Problem::new(RefusalCode::WrongUsage, detail));
        }
    }
    fault_of_extensions(path, anchor)
        .or_else(|| fault_of_names(path, anchor, comparisons))
        .or_else(|| fault_of_policies(path, anchor))
}

/// A certificate of version 1 has no extensions, so the limits of a CA cannot be checked on it.
fn fault_of_version(path: &[&Certificate<'_>], anchor: &Certificate<'_>, trust: &Trust) -> Option<Problem> {
    let client = path[0];
    if client.version == 3 {
        return None;
    }
    if !trust.accept_v1 || client.version != 1 || client.has_extensions {
        let detail = format!("{} is of version {}", which(client, 0), client.version);
        return Some(Problem::new(RefusalCode::X509V1, detail));
    }
    let why_not = match () {
        () if path.len() > 1 => "is an intermediate",
        () if anchor.name_constraints.is_some() => "may only vouch for certain names",
        () => return None,
    };
    let issuer = which(path.get(1).copied().unwrap_or(anchor), 1);
    let detail = format!("the client's certificate is of version 1, and {issuer}, which issued it, {why_not}");
    let repair = "issue the certificate with extensions (version 3): openssl x509 -req … -extfile FILE";
    Some(Problem::new(RefusalCode::X509V1, detail).repaired_by(repair))
}

/// What is wrong with a path from a CA upwards, whatever the dates, and whatever the CA is for.
pub(super) fn fault_of_authority(
    path: &[&Certificate<'_>],
    anchor: &Certificate<'_>,
    comparisons: &mut usize,
) -> Option<Problem> {
    fault_of_issuers(path, anchor)
        .or_else(|| fault_of_extensions(path, anchor))
        .or_else(|| fault_of_names(path, anchor, comparisons))
}

/// Section 6.1.3 (b) and (c), for every CA on the path.
fn fault_of_names(path: &[&Certificate<'_>], anchor: &Certificate<'_>, comparisons: &mut usize) -> Option<Problem> {
    for (position, issuer) in (1..).zip(path[1..].iter().copied().chain([anchor])) {
        let Some(constraints) = &issuer.name_constraints else { continue };
        for (below, certificate) in path[..position].iter().enumerate() {
            // "If certificate i is self-issued and it is not the final certificate in the path, skip this step".
            if below > 0 && certificate.is_self_issued() {
                continue;
            }
            let Err(violation) = name_constraints::check(constraints, certificate, comparisons) else {
                continue;
            };
            let (subject, issuer) = (which(certificate, below), which(issuer, position));
            return Some(match violation {
                Violation::Name(why) => {
                    let detail = format!("{subject} does not meet the name constraints of {issuer}: {why}");
                    Problem::new(RefusalCode::NameConstraint, detail)
                }
                Violation::TooMany => {
                    let detail =
                        format!("{subject} has too many names to be compared with the name constraints of {issuer}");
                    Problem::new(RefusalCode::ChainTooLong, detail)
                }
            });
        }
    }
    None
}

/// Versions, CA marks and path lengths of the issuers (section 6.1.4 (k) to (n)). The trust anchor's version and marks are
/// not checked.
fn fault_of_issuers(path: &[&Certificate<'_>], anchor: &Certificate<'_>) -> Option<Problem> {
    for (position, issuer) in (1..).zip(path[1..].iter().copied().chain([anchor])) {
        let is_anchor = position == path.len();
        // Only made for a message, because it reads the whole certificate.
        let name = || which(issuer, position);
        if !is_anchor && issuer.version != 3 {
            let detail = format!("{} is of version {}", name(), issuer.version);
            return Some(Problem::new(RefusalCode::X509V1, detail).repaired_by(
                "issue the intermediate again with extensions (version 3, basicConstraints CA:TRUE, keyUsage keyCertSign)",
            ));
        }
        if !is_anchor && !issuer.is_ca() {
            return Some(Problem::new(RefusalCode::IssuerNotCa, format!("{} is not marked as a CA", name())));
        }
        if !is_anchor && !issuer.may_sign_certificates {
            return Some(Problem::new(RefusalCode::IssuerWithoutCertSign, format!("{} lacks keyCertSign", name())));
        }
        // Self-issued certificates do not count.
        let below = path[1..position].iter().filter(|certificate| !certificate.is_self_issued()).count();
        let allowed = issuer.basic_constraints.and_then(|constraints| constraints.path_length);
        if let Some(allowed) = allowed.filter(|allowed| below > *allowed as usize) {
            let detail = format!("{} allows {allowed} intermediates below it, and there are {below}", name());
            return Some(Problem::new(RefusalCode::PathLength, detail));
        }
    }
    None
}

fn fault_of_policies(path: &[&Certificate<'_>], anchor: &Certificate<'_>) -> Option<Problem> {
    let (position, why) = certificate_policies::check(path, anchor).err()?;
    let detail = format!("{}: {why}", which(path[position], position));
    Some(Problem::new(RefusalCode::MissingPolicy, detail))
}

fn fault_of_dates(certificate: &Certificate<'_>, position: usize, now: SystemTime) -> Option<Problem> {
    let problem = date_problem(certificate, now)?;
    Some(Problem { detail: format!("{}: {}", which(certificate, position), problem.detail), ..problem })
}

/// Section 4.2: "A certificate-using system MUST reject the certificate if it encounters a critical extension it does not
/// recognize".
fn fault_of_extensions(path: &[&Certificate<'_>], anchor: &Certificate<'_>) -> Option<Problem> {
    path.iter().copied().chain([anchor]).enumerate().find_map(|(position, certificate)| {
        let id = certificate.unknown_critical.as_deref()?;
        let detail = format!("{} has the critical extension {}", which(certificate, position), extension_text(id));
        Some(Problem::new(RefusalCode::UnsupportedExtension, detail))
    })
}
