//! Reads certificates in PEM, and checks what a CA has to be.

use std::time::SystemTime;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::clock::timestamp;
use crate::error::Error;
use crate::x509::certificate::Certificate;
use crate::x509::distinguished_name::is_same_name;

/// Whether a certificate names this CA and this CA's key as its issuer.
pub(super) fn names_as_issuer(certificate: &Certificate<'_>, ca: &Certificate<'_>) -> bool {
    let other_key = certificate.authority_key_id.is_some_and(|id| ca.subject_key_id.is_some_and(|own| own != id));
    is_same_name(ca.subject, certificate.issuer) && !other_key
}

/// The common name of a CA that was made for a demo; its organization is `mtls-min`.
pub(super) const THROWAWAY: &str = "mtls-min throw-away CA";

/// Whether this is the certificate of such a CA.
pub(super) fn is_throwaway(ca: &Certificate<'_>) -> bool {
    let names = ca.subject_names();
    let names: Vec<_> = names.iter().flatten().map(|name| (name.short_name(), name.value())).collect();
    names == [(Some("O"), "mtls-min"), (Some("CN"), THROWAWAY)] && ca.is_self_issued()
}

/// Whether a CA may sign at this time. If the clock is slow, what it signs has expired once the clock is set.
pub(super) fn check_dates(ca: &Certificate<'_>, now: SystemTime) -> Result<(), Error> {
    if now < ca.not_before {
        return Err(Error::new(format!("the CA is not valid before {}", timestamp(ca.not_before)))
            .hint("the system clock is wrong; set it"));
    }
    if now > ca.not_after {
        return Err(Error::new("the CA has expired").hint("make a new CA"));
    }
    Ok(())
}

pub(super) fn read_certificate(pem: &str) -> Result<CertificateDer<'static>, Error> {
    CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|error| Error::new("the certificate cannot be read").caused_by(error))
}

pub(super) fn parse(der: &[u8]) -> Result<Certificate<'_>, Error> {
    Certificate::parse(der).map_err(|error| Error::new("the certificate cannot be read").caused_by(error))
}
