//! Checking one signature with one key, where path building by webpki does not reach: certificates of version 1, and the
//! explanation of a refusal.

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use webpki::RawPublicKeyEntity;

use crate::certificate::{Certificate, Key};
use crate::revocation_list::SignedList;

use super::refusal::RefusalCode;

/// What a check of a signature found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    Good,
    Bad,
    /// The algorithm, or the issuer's key, is none that can be checked.
    Unsupported,
}

/// Whether the holder of the key `issuer_spki` signed `certificate`.
pub(super) fn check(
    certificate: &Certificate<'_>,
    issuer_spki: &[u8],
    algorithms: &WebPkiSupportedAlgorithms,
) -> Check {
    let Certificate { signed, signature_algorithm, signature, .. } = certificate;
    check_signed(signed, signature_algorithm, signature, issuer_spki, algorithms)
}

/// The same for anything that is signed as a certificate is.
fn check_signed(
    signed: &[u8],
    signature_algorithm: &[u8],
    signature: &[u8],
    issuer_spki: &[u8],
    algorithms: &WebPkiSupportedAlgorithms,
) -> Check {
    let spki = SubjectPublicKeyInfoDer::from(issuer_spki);
    let Ok(key) = RawPublicKeyEntity::try_from(&spki) else { return Check::Unsupported };
    let mut found = Check::Unsupported;
    for algorithm in algorithms.all {
        if algorithm.signature_alg_id().as_ref() != signature_algorithm {
            continue;
        }
        match key.verify_signature(*algorithm, signed, signature) {
            Ok(()) => return Check::Good,
            Err(webpki::Error::InvalidSignatureForPublicKey) => found = Check::Bad,
            // For a key of another kind or curve.
            Err(_) => {}
        }
    }
    found
}

/// Whether the holder of the key `issuer_spki` signed a revocation list.
pub(crate) fn has_signed_list(
    list: &SignedList<'_>,
    issuer_spki: &[u8],
    algorithms: &WebPkiSupportedAlgorithms,
) -> bool {
    check_signed(list.signed, list.algorithm, list.signature, issuer_spki, algorithms) == Check::Good
}

/// Why a key could not prove possession or sign, if it could not: too short, or of a kind that cannot be checked.
pub(super) fn key_problem(
    certificate: &Certificate<'_>,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Option<RefusalCode> {
    let known = certificate.key_algorithm().is_some_and(|algorithm| {
        algorithms.all.iter().any(|supported| supported.public_key_alg_id().as_ref() == algorithm)
    });
    match certificate.key {
        // Both crypto libraries check RSA signatures of 2048 to 8192 bits.
        Key::Rsa(..2048) => Some(RefusalCode::WeakKey),
        Key::Rsa(8193..) => Some(RefusalCode::UnsupportedKey),
        _ if known => None,
        _ => Some(RefusalCode::UnsupportedKey),
    }
}
