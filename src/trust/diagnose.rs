//! Explains where a path ends that leads to no trusted CA. It changes no verdict.

use rustls::crypto::WebPkiSupportedAlgorithms;

use crate::x509::certificate::Certificate;
use crate::x509::distinguished_name::{is_same_name, normal_form};
use crate::x509::identity::{Identity, name_text};
use crate::x509::signature::{Check, Unsupported, check};

use super::Trust;
use super::problem::Problem;
use super::refusal::RefusalCode;

/// At most this many certificates of --ca that are not CAs are examined.
const MOST_PINS: usize = 8;

/// The signer of the topmost certificate of a path is unknown. The path is given from there down. `exhausted`: not all CAs
/// with the name of its issuer were tried.
pub(super) fn dead_end(
    from_top: &[&Certificate<'_>],
    sent: &[Certificate<'_>],
    trust: &Trust,
    exhausted: bool,
) -> Problem {
    let (last, position) = (from_top[0], from_top.len() - 1);
    let namesakes: Vec<_> = normal_form(last.issuer).iter().flat_map(|name| trust.namesakes(name)).collect();
    if !namesakes.is_empty() && exhausted && last.authority_key_id.is_none() {
        return too_many_namesakes(last, position);
    }
    if is_loaded_root(last, &namesakes, trust) {
        return root_among_intermediates(last, position);
    }
    if !namesakes.is_empty() {
        return other_key(last, position, &namesakes, trust);
    }
    if let Some(problem) = by_loaded_non_ca(last, position, trust).or_else(|| damaged(last, position, sent, trust)) {
        return problem;
    }
    gap(from_top, sent, trust)
}

/// The certificate is a root with the key of a loaded intermediate. An authorised path would have ended at a trusted CA.
fn is_loaded_root(last: &Certificate<'_>, namesakes: &[usize], trust: &Trust) -> bool {
    let authorities = || namesakes.iter().map(|at| &trust.authorities[*at]);
    authorities().any(|ca| !ca.is_anchor && *ca.spki == *last.spki) && is_signed_by_itself(last, &trust.algorithms)
}

fn root_among_intermediates(root: &Certificate<'_>, position: usize) -> Problem {
    if position == 0 {
        return self_signed();
    }
    let detail =
        format!("the chain ends at {}, which is loaded as an intermediate, not as a trusted CA", which(root, position));
    Problem::new(RefusalCode::UnknownRoot, detail).repaired_by(
        "this root is loaded with `TrustBuilder::intermediates_file`; if you trust it, load it with `TrustBuilder::pem_file`",
    )
}

fn self_signed() -> Problem {
    Problem::new(RefusalCode::SelfSigned, "the client's certificate is signed by itself")
}

/// None of the CAs that were tried signed the certificate, and not all CAs with the name of its issuer were tried.
fn too_many_namesakes(certificate: &Certificate<'_>, position: usize) -> Problem {
    let detail = format!(
        "{} does not say which key signed it (authorityKeyIdentifier), and more CAs are named {} than are tried",
        which(certificate, position),
        name_text(certificate.issuer)
    );
    Problem::new(RefusalCode::ChainTooLong, detail).repaired_by(
        "issue the certificate with authorityKeyIdentifier, and send or load only those CAs of that name that are in use",
    )
}

/// The signature of `certificate` by `issuer` cannot be checked.
pub(super) fn unsupported(
    certificate: &Certificate<'_>,
    issuer: &Certificate<'_>,
    position: usize,
    why: &Unsupported,
) -> Problem {
    match why {
        Unsupported::Key(fault, key) => {
            let detail = format!(
                "{} was signed with a key of {}: {key}",
                which(certificate, position),
                which(issuer, position + 1)
            );
            Problem::new((*fault).into(), detail).repaired_by("make a new CA with a key of EC P-256, or of RSA with 2048 bits or more, and issue its certificates again")
        }
        Unsupported::Algorithm { name, is_pss } => {
            let detail =
                format!("{} is signed with an algorithm that is not accepted: {name}", which(certificate, position));
            let problem = Problem::new(RefusalCode::UnsupportedSignature, detail);
            match is_pss {
                true => problem.repaired_by(
                    "sign the certificate again with SHA-256 and a salt as long as the hash (openssl: -sigopt \
                     rsa_pss_saltlen:digest)",
                ),
                false => problem,
            }
        }
    }
}

/// The object identifier of an unsupported critical extension, with its name if it is a known one.
pub(super) fn extension_text(id: &str) -> String {
    let known = [("2.5.29.18", "issuerAltName"), ("1.3.6.1.4.1.11129.2.4.3", "the poison of a precertificate")];
    let name = known.iter().find(|(known, _)| *known == id).map(|(_, name)| *name);
    name.map_or_else(|| id.to_owned(), |name| format!("{id} ({name})"))
}

/// The topmost certificate names a trusted CA as its issuer, but was not signed with that CA's key.
fn other_key(last: &Certificate<'_>, position: usize, namesakes: &[usize], trust: &Trust) -> Problem {
    let name = which(last, position);
    let issuer = name_text(last.issuer);
    let is_named = |at: &usize| {
        let id = trust.authorities[*at].subject_key_id.as_deref();
        id.is_some() && id == last.authority_key_id
    };
    let could_have_signed = |at: &usize| check(last, &trust.authorities[*at].spki, &trust.algorithms) == Check::Bad;
    if namesakes.iter().find(|at| is_named(at)).is_some_and(could_have_signed) {
        return names_the_key(last, position);
    }
    let detail =
        format!("{name} was signed by a CA named {issuer}, but not with the key of the loaded CA of that name");
    Problem::new(RefusalCode::SameNameOtherKey, detail)
}

/// It was signed by a certificate of --ca that may not vouch for others.
fn by_loaded_non_ca(last: &Certificate<'_>, position: usize, trust: &Trust) -> Option<Problem> {
    let name = normal_form(last.issuer)?;
    trust.pinned.get(&name)?.iter().take(MOST_PINS).find_map(|at| {
        let issuer = Certificate::parse(trust.entries[*at].identity().der()).ok()?;
        // A certificate that signed itself is just unknown.
        if issuer.der == last.der || check(last, issuer.spki, &trust.algorithms) != Check::Good {
            return None;
        }
        let by = format!("{} was signed by {}", which(last, position), name_text(last.issuer));
        Some(match () {
            () if issuer.version != 3 && !issuer.has_extensions => {
                let detail = format!("{by}, which is loaded, but it is of version {} and not signed by itself", issuer.version);
                Problem::new(RefusalCode::IssuerNotCa, detail).repaired_by(
                    "make that CA again with extensions (version 3, basicConstraints CA:TRUE), and issue its certificates again",
                )
            }
            () if !issuer.is_ca() => {
                let detail = format!("{by}, which is loaded, but it is not marked as a CA");
                Problem::new(RefusalCode::IssuerNotCa, detail)
                    .repaired_by("issue the certificate of that CA again with basicConstraints CA:TRUE")
            }
            () => {
                let detail = format!("{by}, which is loaded, but its keyUsage lacks keyCertSign");
                Problem::new(RefusalCode::IssuerWithoutCertSign, detail)
                    .repaired_by("issue the certificate of that CA again with keyUsage keyCertSign")
            }
        })
    })
}

/// The issuer was sent and has the key that the topmost certificate names, but that key did not make the signature.
fn damaged(last: &Certificate<'_>, position: usize, sent: &[Certificate<'_>], trust: &Trust) -> Option<Problem> {
    let id = last.authority_key_id?;
    let named = |sent: &&Certificate<'_>| sent.subject_key_id == Some(id);
    let issuer = sent.iter().filter(named).find(|sent| is_same_name(sent.subject, last.issuer))?;
    (check(last, issuer.spki, &trust.algorithms) == Check::Bad).then(|| names_the_key(last, position))
}

fn names_the_key(last: &Certificate<'_>, position: usize) -> Problem {
    let (name, issuer) = (which(last, position), name_text(last.issuer));
    let detail = format!("{name} names the key of {issuer}, but was not signed with it");
    Problem::new(RefusalCode::BadSignature, detail)
}

fn gap(from_top: &[&Certificate<'_>], sent: &[Certificate<'_>], trust: &Trust) -> Problem {
    let (last, position) = (from_top[0], from_top.len() - 1);
    let name = which(last, position);
    if is_signed_by_itself(last, &trust.algorithms) {
        return match position {
            0 => self_signed(),
            _ => Problem::new(RefusalCode::UnknownRoot, format!("the chain ends at {name}, which is not a loaded CA")),
        };
    }
    let issuer = name_text(last.issuer);
    let detail = format!("{name} was issued by {issuer}, which is not a loaded CA and was not sent");
    // What was sent and is not on the path shows where the chain was meant to lead: to the CA itself, or one below it. A
    // name in common with our CA shows nothing: the CAs of one program all have its name as their organisation.
    let is_ours = |sent: &Certificate<'_>| {
        trust.has_authority(sent.der)
            || normal_form(sent.issuer).is_some_and(|name| trust.namesakes(&name).next().is_some())
    };
    let is_on_path = |sent: &Certificate<'_>| from_top.iter().any(|on_path| on_path.der == sent.der);
    let code = match sent.iter().any(|sent| !is_on_path(sent) && is_ours(sent)) {
        true => RefusalCode::MissingIntermediate,
        false => RefusalCode::UnknownIssuer,
    };
    Problem::new(code, detail)
}

/// A signature that cannot be checked is believed.
pub(super) fn is_signed_by_itself(certificate: &Certificate<'_>, algorithms: &WebPkiSupportedAlgorithms) -> bool {
    certificate.is_self_issued()
        && matches!(check(certificate, certificate.spki, algorithms), Check::Good | Check::Unsupported(_))
}

/// The name of a certificate on a path, for messages; `position` counts upwards from the client's.
pub(super) fn which(certificate: &Certificate<'_>, position: usize) -> String {
    match position {
        0 => "the client's certificate".to_owned(),
        _ => format!("the certificate of {}", Identity::of(certificate).shown_subject()),
    }
}
