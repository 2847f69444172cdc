//! Private keys: making them, and reading them in each common form.

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::request::KeyKind;
use crate::error::Error;
use crate::x509::certificate::{Certificate, Key};
use crate::x509::der::{Reader, element, tag};

/// Reads the private key of a certificate in PEM: PKCS#8 (`PRIVATE KEY`), SEC1 (`EC PRIVATE KEY`) or PKCS#1 (`RSA PRIVATE
/// KEY`).
///
/// # Errors
/// It cannot be read, is encrypted, or does not belong to the certificate.
pub(super) fn read_key(pem: &str, certificate: &Certificate<'_>) -> Result<KeyPair, Error> {
    if pem.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || pem.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(Error::new("the key is encrypted")
            .hint("decrypt it: (umask 077; openssl pkey -in KEY -out NEW-KEY), and keep the new file private"));
    }
    let unreadable = || {
        Error::new("the key cannot be read").hint(
            "it must be a block -----BEGIN PRIVATE KEY-----, EC PRIVATE KEY or RSA PRIVATE KEY, with a key of EC P-256 or P-384, \
             Ed25519 or RSA; `openssl pkey -in KEY -out NEW-KEY` converts other forms",
        )
    };
    let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| unreadable().caused_by(error))?;
    let der = match (&der, &certificate.key) {
        (PrivateKeyDer::Pkcs8(_), _) => der,
        (PrivateKeyDer::Pkcs1(_), Key::Rsa(_)) | (PrivateKeyDer::Sec1(_), Key::EllipticCurve(_)) => {
            in_pkcs8(der.secret_der(), algorithm(certificate).ok_or_else(unreadable)?)
        }
        _ => return Err(not_its_key()),
    };
    let key = KeyPair::try_from(&der).map_err(|error| unreadable().caused_by(error))?;
    if certificate.spki.ends_with(key.public_key_raw()) { Ok(key) } else { Err(not_its_key()) }
}

fn not_its_key() -> Error {
    Error::new("the key does not belong to the certificate").hint("put back the key that belongs to the certificate")
}

/// The algorithm of a certificate's key: the content of the `AlgorithmIdentifier`.
fn algorithm<'a>(certificate: &Certificate<'a>) -> Option<&'a [u8]> {
    Reader::of(certificate.spki, tag::SEQUENCE).and_then(|mut spki| spki.expect(tag::SEQUENCE)).ok()
}

/// Wraps an older form in PKCS#8 (RFC 5958, section 2), with the algorithm of the certificate. The crypto library of the
/// smaller build reads PKCS#8 only.
fn in_pkcs8(key: &[u8], algorithm: &[u8]) -> PrivateKeyDer<'static> {
    const VERSION_0: [u8; 3] = [2, 1, 0];
    let parts = [&VERSION_0[..], &element(tag::SEQUENCE, algorithm), &element(tag::OCTET_STRING, key)].concat();
    PrivatePkcs8KeyDer::from(element(tag::SEQUENCE, &parts)).into()
}

pub(super) fn new_key(kind: KeyKind) -> Result<KeyPair, Error> {
    match kind {
        KeyKind::P256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(cannot_make),
        #[cfg(feature = "aws-lc-rs")]
        KeyKind::Rsa2048 => new_rsa_key(rcgen::RsaKeySize::_2048),
        #[cfg(feature = "aws-lc-rs")]
        KeyKind::Rsa4096 => new_rsa_key(rcgen::RsaKeySize::_4096),
        #[cfg(not(feature = "aws-lc-rs"))]
        KeyKind::Rsa2048 | KeyKind::Rsa4096 => Err(Error::new("this build cannot make RSA keys")
            .hint("build it with the feature `aws-lc-rs`, or use the default kind of key")),
    }
}

#[cfg(feature = "aws-lc-rs")]
fn new_rsa_key(size: rcgen::RsaKeySize) -> Result<KeyPair, Error> {
    KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size).map_err(cannot_make)
}

pub(super) fn cannot_make(error: rcgen::Error) -> Error {
    Error::new("a certificate cannot be made").caused_by(error)
}
