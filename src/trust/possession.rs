//! Checks that a client has the private key of its certificate, by its signature in the handshake (RFC 8446, section 4.4.3;
//! RFC 5246, section 7.4.8). It is checked for every certificate, whatever the verdict will be.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, PeerMisbehaved};
use webpki::RawPublicKeyEntity;

use crate::x509::certificate::{key_of, spki_in};
use crate::x509::identity::Identity;
use crate::x509::signature::fault_of_key;

use super::refusal::{Refusal, RefusalCode};

/// Checks the signature `dss` over `message` with the key of `cert`.
///
/// The bare key is used, with the same algorithms as in rustls. Everything else about the certificate matters only for the
/// verdict, which can still be a 401. If the certificate cannot be read, or its key cannot be checked, nothing is proven:
/// the handshake fails, and the error says why.
pub(crate) fn prove_possession(
    message: &[u8],
    cert: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
    tls13: bool,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let spki = spki_in(cert).map_err(|error| refused(Refusal::new(RefusalCode::Malformed, error.to_string(), None)))?;
    let key = key_of(spki);
    if let Some(fault) = fault_of_key(&key, spki, algorithms) {
        return Err(refused(Refusal::new(
            fault.into(),
            format!("the client's key is {key}"),
            Identity::from_der(cert).ok(),
        )));
    }
    let spki = SubjectPublicKeyInfoDer::from(spki);
    match tls13 {
        true => verify_tls13_signature_with_raw_key(message, &spki, dss, algorithms),
        false => verify_tls12_signature(message, &spki, dss, algorithms),
    }
}

/// RFC 5246, section 7.4.8. A scheme of TLS 1.2 does not name the curve, so there may be several candidates.
fn verify_tls12_signature(
    message: &[u8],
    spki: &SubjectPublicKeyInfoDer<'_>,
    dss: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let key =
        RawPublicKeyEntity::try_from(spki).map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
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

fn refused(refusal: Refusal) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refusal))))
}
