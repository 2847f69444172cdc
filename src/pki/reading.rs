//! Reads the certificates of a directory.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::certificate::Certificate;
use crate::error::Error;

/// Whether a certificate names this CA and this CA's key as its issuer.
pub(super) fn names_as_issuer(certificate: &Certificate<'_>, ca: &Certificate<'_>) -> bool {
    let other_key = certificate.authority_key_id.is_some_and(|id| ca.subject_key_id.is_some_and(|own| own != id));
    certificate.issuer == ca.subject && !other_key
}

pub(super) fn read_certificate(pem: &str) -> Result<CertificateDer<'static>, Error> {
    CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|error| Error::new("the certificate cannot be read").caused_by(error))
}

pub(super) fn parse(der: &[u8]) -> Result<Certificate<'_>, Error> {
    Certificate::parse(der).map_err(|error| Error::new("the certificate cannot be read").caused_by(error))
}
