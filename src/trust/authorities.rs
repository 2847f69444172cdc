//! The certificates that the operator names: which are CAs, which complete paths, and which are only let in themselves.

use std::collections::BTreeSet;
use std::time::SystemTime;

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::CertificateDer;

use crate::clock::timestamp;
use crate::error::Error;
use crate::x509::certificate::Certificate;
use crate::x509::distinguished_name::normal_form;
use crate::x509::identity::{Identity, sha256};
use crate::x509::signature::{Check, check, fault_of_key};

use super::diagnose::extension_text;
use super::path::anchors_of;
use super::problem::date_problem;
use super::refusal::RefusalCode;
use super::{Authority, Pin, Trust, TrustEntry, TrustKind};

/// Adds a certificate from a file of CAs. `before`: the trust that this one replaces while a server runs.
pub(super) fn add_trusted(
    trust: &mut Trust,
    hints: &mut BTreeSet<Vec<u8>>,
    der: &CertificateDer<'_>,
    place: &str,
    now: SystemTime,
    before: Option<&Trust>,
) -> Result<(), Error> {
    if trust.pins.insert(sha256(der), Pin::default()).is_some() {
        return Ok(());
    }
    let certificate = read(der, place)?;
    let identity = Identity::of(&certificate);
    let kind = match is_authority(&certificate, &trust.algorithms) {
        true => TrustKind::Ca,
        false => TrustKind::PinnedClient,
    };
    if kind == TrustKind::Ca {
        let expired = date_problem(&certificate, now).is_some_and(|problem| problem.code == RefusalCode::Expired);
        if expired && !before.is_some_and(|before| before.has_authority(der)) {
            let until = timestamp(certificate.not_after);
            return Err(Error::new(format!("{place}: the CA {} expired on {until}", identity.subject()))
                .hint("remove it from the file, or make a new CA; if the clock is wrong, set it"));
        }
        trust.add_authority(authority(&certificate, &identity, true, place)?);
    } else if let Some(name) = normal_form(certificate.subject) {
        trust.pinned.entry(name).or_default().push(trust.entries.len());
    }
    trust.notes.extend(note(trust, &certificate, &identity, kind));
    // Browsers offer the certificates that were issued by one of these names.
    hints.insert(if kind == TrustKind::Ca { certificate.subject.into() } else { certificate.issuer.into() });
    trust.entries.push(TrustEntry { kind, identity });
    Ok(())
}

/// Adds a certificate from a file of intermediates, or one that a CA signs its lists with. If it is a trusted CA as well, it
/// stays one.
pub(super) fn add_intermediate(
    trust: &mut Trust,
    hints: &mut BTreeSet<Vec<u8>>,
    der: &CertificateDer<'_>,
    place: &str,
) -> Result<(), Error> {
    if trust.has_authority(der) {
        return Ok(());
    }
    let certificate = read(der, place)?;
    let identity = Identity::of(&certificate);
    // RFC 5280, section 5.1.1.3: a CA may sign its lists with a separate key, whose certificate is for nothing else.
    let signs_lists_only = certificate.may_sign_crls && !certificate.may_sign_certificates;
    let fault = match () {
        () if certificate.version != 3 => Some("it is of version 1 or 2, which cannot say that it is a CA"),
        () if signs_lists_only => None,
        () if !certificate.is_ca() => Some("it is not marked as a CA (basicConstraints CA:TRUE)"),
        () if !certificate.may_sign_certificates => Some("its keyUsage lacks keyCertSign"),
        () => None,
    };
    if let Some(fault) = fault {
        return Err(Error::new(format!("{place}: {} cannot be an intermediate: {fault}", identity.subject()))
            .hint("take it out of the file; to let in a client's own certificate, use `TrustBuilder::pem_file` or `TrustBuilder::authorized_clients`"));
    }
    trust.add_authority(authority(&certificate, &identity, false, place)?);
    trust.notes.extend(useless(&certificate, &identity, &trust.algorithms));
    hints.insert(certificate.subject.into());
    trust.entries.push(TrustEntry { kind: TrustKind::Intermediate, identity });
    Ok(())
}

/// Once all are added: finds the trust anchors that the path of each leads to, whatever the dates.
pub(super) fn link(trust: &mut Trust) {
    let anchors = anchors(trust);
    for (authority, anchors) in trust.authorities.iter_mut().zip(anchors) {
        authority.unrevoked.clone_from(&anchors);
        authority.anchors = anchors;
    }
}

/// The same over unrevoked CAs only, once it is known which are revoked.
pub(super) fn link_unrevoked(trust: &mut Trust) {
    if trust.authorities.iter().any(|authority| authority.revoked.is_some()) {
        let anchors = anchors(trust);
        for (authority, anchors) in trust.authorities.iter_mut().zip(anchors) {
            authority.unrevoked = if authority.revoked.is_some() { Vec::new() } else { anchors };
        }
    }
}

/// For each CA.
fn anchors(trust: &Trust) -> Vec<Vec<usize>> {
    let anchors = trust.authorities.iter().enumerate().map(|(at, authority)| match authority.is_anchor {
        true => vec![at],
        false => Certificate::parse(authority.identity.der()).map_or_else(|_| Vec::new(), |ca| anchors_of(&ca, trust)),
    });
    anchors.collect()
}

fn read<'d>(der: &'d CertificateDer<'_>, place: &str) -> Result<Certificate<'d>, Error> {
    Certificate::parse(der).map_err(|error| {
        Error::new(format!("{place}: this certificate cannot be read"))
            .caused_by(error)
            .hint("take it out of the file, or get it again from where it was issued")
    })
}

fn authority(
    certificate: &Certificate<'_>,
    identity: &Identity,
    is_anchor: bool,
    place: &str,
) -> Result<Authority, Error> {
    let name = normal_form(certificate.subject).ok_or_else(|| {
        Error::new(format!("{place}: the subject of this CA cannot be read")).hint("take it out of the file")
    })?;
    Ok(Authority {
        identity: identity.clone(),
        name,
        spki: certificate.spki.into(),
        subject_key_id: certificate.subject_key_id.map(Into::into),
        may_sign_crls: certificate.may_sign_crls,
        is_anchor,
        anchors: Vec::new(),
        unrevoked: Vec::new(),
        revoked: None,
    })
}

/// Whether a certificate that the operator named may vouch for others.
fn is_authority(certificate: &Certificate<'_>, algorithms: &WebPkiSupportedAlgorithms) -> bool {
    match certificate.version == 3 || certificate.has_extensions {
        true => certificate.is_ca() && certificate.may_sign_certificates,
        // Without extensions only the old convention is left: a root signs itself.
        false => is_self_signed(certificate, algorithms),
    }
}

fn is_self_signed(certificate: &Certificate<'_>, algorithms: &WebPkiSupportedAlgorithms) -> bool {
    // A signature that cannot be checked is believed. That alone does not make the certificate a CA.
    certificate.is_self_issued()
        && match check(certificate, certificate.spki, algorithms) {
            Check::Good => true,
            Check::Unsupported(_) => certificate.version == 3,
            Check::Bad | Check::OtherKey => false,
        }
}

/// What the operator should know about a certificate of --ca that may not be what it was meant to be.
fn note(trust: &Trust, certificate: &Certificate<'_>, identity: &Identity, kind: TrustKind) -> Option<String> {
    let algorithms = &trust.algorithms;
    let subject = identity.subject();
    match kind {
        TrustKind::Ca => useless(certificate, identity, algorithms).or_else(|| {
            (!is_self_signed(certificate, algorithms)).then(|| {
                let load = (trust.words)("use `TrustBuilder::intermediates_file` to load it as an intermediate");
                format!(
                    "the CA {subject} was issued by {}, but as a trust anchor it stands alone: what its issuer limits or revokes does not \
                     count; {load}",
                    identity.issuer()
                )
            })
        }),
        _ if certificate.is_ca() => Some(format!(
            "{subject} is marked as a CA, but its keyUsage lacks keyCertSign: it is let in itself, but does not vouch for others"
        )),
        _ => None,
    }
}

/// Why every client of a CA is refused, whatever it signs.
fn useless(
    certificate: &Certificate<'_>,
    identity: &Identity,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Option<String> {
    let why = match (fault_of_key(&certificate.key, certificate.spki, algorithms), &certificate.unknown_critical) {
        (Some(_), _) => format!("has a key that is not accepted ({})", certificate.key),
        (None, Some(id)) => format!("has the critical extension {}, which is not supported", extension_text(id)),
        (None, None) => return None,
    };
    Some(format!("the CA {} {why}: its clients are refused; make a new CA", identity.subject()))
}
