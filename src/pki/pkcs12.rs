//! Writes the file that browsers import: certificate, key and CA, protected by a password.

use p12_keystore::{
    Certificate, EncryptionAlgorithm, KeyStore, KeyStoreEntry, MacAlgorithm, PrivateKey, PrivateKeyChain,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use super::authority::no_randomness;
use crate::error::Error;

/// Puts a client's certificate, its key and the CA's certificate into one PKCS#12 file under the name `name`.
///
/// The key is named `name`, which Java shows; the certificates are named by their subjects.
///
/// Encrypted with AES-256 and PBKDF2 with HMAC-SHA-256, which OpenSSL 3, Firefox, Chromium and Java 17 accept. The key has
/// to be PKCS#8.
///
/// # Errors
/// The password is empty (macOS would not import it), or one of the parts cannot be read.
pub fn pkcs12(
    name: &str,
    certificate_pem: &str,
    key_pem: &str,
    ca_pem: &str,
    password: &str,
) -> Result<Vec<u8>, Error> {
    let algorithms = (EncryptionAlgorithm::PbeWithHmacSha256AndAes256, MacAlgorithm::HmacSha256);
    write(name, certificate_pem, key_pem, ca_pem, password, algorithms)
}

/// The same in the form that macOS, Windows up to Server 2016 and old Android import: encrypted with triple DES, with an
/// HMAC of SHA-1. OpenSSL 3 reads it with `-legacy`.
///
/// These algorithms are weak if the password is weak: use a random one, and delete the file once it is imported.
///
/// # Errors
/// As for [`pkcs12`].
pub fn pkcs12_legacy(
    name: &str,
    certificate_pem: &str,
    key_pem: &str,
    ca_pem: &str,
    password: &str,
) -> Result<Vec<u8>, Error> {
    let algorithms = (EncryptionAlgorithm::PbeWithShaAnd3KeyTripleDesCbc, MacAlgorithm::HmacSha1);
    write(name, certificate_pem, key_pem, ca_pem, password, algorithms)
}

fn write(
    name: &str,
    certificate_pem: &str,
    key_pem: &str,
    ca_pem: &str,
    password: &str,
    (encryption, mac): (EncryptionAlgorithm, MacAlgorithm),
) -> Result<Vec<u8>, Error> {
    if password.is_empty() {
        return Err(Error::new("a PKCS#12 file needs a password"));
    }
    let failed = || Error::new(format!("the PKCS#12 file of {name} cannot be made"));
    let key = PrivatePkcs8KeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|error| failed().caused_by(error))?;
    let key = PrivateKey::from_der(key.secret_pkcs8_der()).map_err(|error| failed().caused_by(error))?;
    let chain = [certificate_pem, ca_pem].map(|pem| {
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| failed().caused_by(error))?;
        Certificate::from_der(&der).map_err(|error| failed().caused_by(error))
    });
    let [certificate, ca] = chain;
    let chain = PrivateKeyChain::new(name, key, [certificate?, ca?]);
    let mut store = KeyStore::new();
    store.add_entry(name, KeyStoreEntry::PrivateKeyChain(chain));
    store
        .writer(password)
        .encryption_algorithm(encryption)
        .mac_algorithm(mac)
        .write()
        .map_err(|error| failed().caused_by(error))
}

/// A random password that is easy to type, with 80 bits: `k7mq-x2fd-9bwz-h4tn`.
///
/// # Errors
/// The system gives no random numbers.
pub fn random_password() -> Result<String, Error> {
    // 32 characters, without l, 1, i and o.
    const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(no_randomness)?;
    let groups = random
        .chunks(4)
        .map(|group| group.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect::<String>());
    Ok(groups.collect::<Vec<_>>().join("-"))
}
