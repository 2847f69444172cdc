//! The proof that a client has the key of the certificate it shows: its signature in the handshake (RFC 8446, section
//! 4.4.3; RFC 5246, section 7.4.8). It is checked for every certificate, whatever the verdict will be.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature, verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, PeerMisbehaved};
use webpki::{EndEntityCert, RawPublicKeyEntity};

use crate::certificate::Certificate;
use crate::identity::Identity;

use super::refusal::{Refusal, RefusalCode};
use super::signature::key_problem;

/// Checks the signature `dss` over `message` with the key of `cert`.
///
/// What webpki can read is checked as rustls does. What it cannot (version 1, unknown critical extensions) is checked
/// with the bare key, by the same algorithms; then the verdict can still be a 401.
pub(crate) fn prove_possession(
    message: &[u8],
    cert: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
    tls13: bool,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let proven = match EndEntityCert::try_from(cert) {
        Ok(_) if tls13 => verify_tls13_signature(message, cert, dss, algorithms),
        Ok(_) => verify_tls12_signature(message, cert, dss, algorithms),
        Err(_) => prove_with_bare_key(message, cert, dss, tls13, algorithms),
    };
    // A key that cannot prove anything fails like a wrong signature; the log is to tell the two apart.
    proven.map_err(|error| unusable_key(cert, algorithms).unwrap_or(error))
}

/// Why a certificate was refused in the handshake, if that is what the error says.
pub(crate) fn refusal_in(error: &Error) -> Option<Refusal> {
    match error {
        Error::InvalidCertificate(CertificateError::Other(OtherError(cause))) => {
            (**cause).downcast_ref::<Refusal>().cloned()
        }
        Error::NoCertificatesPresented => {
            Some(Refusal::new(RefusalCode::NoCertificate, "the client sent no certificate", None))
        }
        _ => None,
    }
}

fn prove_with_bare_key(
    message: &[u8],
    cert: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
    tls13: bool,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let bad_encoding = || Error::InvalidCertificate(CertificateError::BadEncoding);
    let certificate = Certificate::parse(cert).map_err(|_| bad_encoding())?;
    let spki = SubjectPublicKeyInfoDer::from(certificate.spki);
    if tls13 {
        return verify_tls13_signature_with_raw_key(message, &spki, dss, algorithms);
    }
    let key = RawPublicKeyEntity::try_from(&spki).map_err(|_| bad_encoding())?;
    // In TLS 1.2 a scheme does not name the curve, so there may be several candidates.
    let mut candidates =
        algorithms.mapping.iter().filter(|(scheme, _)| *scheme == dss.scheme).flat_map(|(_, algs)| *algs).peekable();
    if candidates.peek().is_none() {
        return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
    }
    if candidates.any(|algorithm| key.verify_signature(*algorithm, message, dss.signature()).is_ok()) {
        return Ok(HandshakeSignatureValid::assertion());
    }
    Err(Error::InvalidCertificate(CertificateError::BadSignature))
}

fn unusable_key(cert: &CertificateDer<'_>, algorithms: &WebPkiSupportedAlgorithms) -> Option<Error> {
    let certificate = Certificate::parse(cert).ok()?;
    let code = key_problem(&certificate, algorithms)?;
    let detail = format!("the client's key is {}", certificate.key);
    let refusal = Refusal::new(code, detail, Some(Identity::of(&certificate)));
    Some(Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refusal)))))
}
