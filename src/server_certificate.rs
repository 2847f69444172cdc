//! The server's own certificate chain and private key, read and checked.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use crate::certificate::Certificate;
use crate::clock::timestamp;
use crate::crypto;
use crate::error::Error;
use crate::identity::Identity;
use crate::pem::PemProblem;
use crate::sys;

/// A certificate chain and its private key: what the server shows to its clients.
///
/// The key may be PKCS#8, SEC1 or PKCS#1, in PEM, and not encrypted. A certificate of X.509 version 1 is served too,
/// though many clients refuse it; [`warnings`](Self::warnings) says so.
#[derive(Clone)]
pub struct ServerCertificate {
    key: Arc<CertifiedKey>,
    identity: Identity,
    warnings: Vec<String>,
}

impl ServerCertificate {
    /// Reads a chain (the server's certificate first) and its key from two PEM files, which may be the same file.
    ///
    /// # Errors
    /// A file cannot be read, holds no certificate or no key, or a broken one; the key is encrypted; key and
    /// certificate do not belong together. The error names the file and the mend.
    pub fn from_pem_files(certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, Error> {
        let (certificate, key) = (certificate.as_ref(), key.as_ref());
        let mut made = Self::from_named_pem(
            &read(certificate)?,
            &certificate.display().to_string(),
            &read(key)?,
            &key.display().to_string(),
        )?;
        if others_can_read(key) {
            made.warnings.push(format!("the key {0} can be read by other users: chmod 600 {0}", key.display()));
        }
        Ok(made)
    }

    /// The same from memory.
    ///
    /// # Errors
    /// As [`from_pem_files`](Self::from_pem_files), but for reading.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, Error> {
        Self::from_named_pem(certificate, "the certificate", key, "the key")
    }

    fn from_named_pem(certificate: &[u8], certificate_name: &str, key: &[u8], key_name: &str) -> Result<Self, Error> {
        let provider = crypto::provider()?;
        let chain = parse_chain(certificate, certificate_name)?;
        let key = parse_key(key, key_name, &provider)?;
        let leaf = Certificate::parse(&chain[0]).map_err(|error| {
            Error::new(format!("{certificate_name}: the first certificate is broken")).caused_by(error)
        })?;
        if key.public_key().is_some_and(|public| *public != *leaf.spki) {
            return Err(Error::new(format!("{key_name} is not the key of {certificate_name}")).hint(
                "name the key that this certificate was made with, and put the server's certificate first in its file",
            ));
        }
        let identity = Identity::of(&leaf);
        let mut warnings = Vec::new();
        if leaf.version != 3 {
            warnings.push(format!(
                "{certificate_name} is an X.509 version {} certificate: curl takes it, browsers and rustls do not; \
                 sign it with an extension file (-extfile) to get version 3",
                leaf.version
            ));
        }
        Ok(Self { key: Arc::new(CertifiedKey::new(chain, key)), identity, warnings })
    }

    /// Who the certificate says the server is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What the operator should know, one sentence each; empty if all is well.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// That it has expired, or will within 14 days.
    pub(crate) fn expiry_warning(&self, now: SystemTime) -> Option<String> {
        const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);
        let until = timestamp(self.identity.not_after());
        match self.identity.expires_in(now) {
            None => Some(format!("the server's certificate expired on {until}: clients refuse it")),
            Some(left) if left < SOON => Some(format!("the server's certificate expires on {until}")),
            Some(_) => None,
        }
    }

    pub(crate) fn resolver(&self) -> Arc<SingleCertAndKey> {
        Arc::new(SingleCertAndKey::from(Arc::clone(&self.key)))
    }
}

/// The key is never shown.
impl fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerCertificate").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// A file of a chain or a key is larger than this only by mistake.
const MAX_FILE: u64 = 1024 * 1024;

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    use std::io::Read;
    let name = path.display();
    let wrap = |error: std::io::Error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let error = Error::new(format!("cannot read {name}")).caused_by(error);
        match missing {
            true => error.hint("`mtls-min demo` makes a set of certificates to try; --cert and --key name others"),
            false => error,
        }
    };
    let file = sys::open_regular(path).map_err(wrap)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(wrap)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Error::new(format!("{name} is larger than 1 MiB: this is no certificate and no key")));
    }
    Ok(bytes)
}

fn parse_chain(pem: &[u8], name: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|error| {
        Error::new(format!("{name} holds a broken certificate"))
            .caused_by(PemProblem(error))
            .hint("copy the file again, whole")
    })?;
    if chain.is_empty() {
        return Err(Error::new(format!("{name} holds no certificate")).hint(
            "it must hold a block -----BEGIN CERTIFICATE-----; DER is turned into PEM by \
             `openssl x509 -inform der -in FILE -out FILE.pem`",
        ));
    }
    Ok(chain)
}

fn parse_key(pem: &[u8], name: &str, provider: &CryptoProvider) -> Result<Arc<dyn rustls::sign::SigningKey>, Error> {
    let text = String::from_utf8_lossy(pem);
    if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(Error::new(format!("the key {name} is encrypted")).hint(format!(
            "decrypt it: (umask 077; openssl pkey -in {name} -out decrypted-key.pem), then --key decrypted-key.pem"
        )));
    }
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| {
        Error::new(format!("{name} holds no private key"))
            .caused_by(error)
            .hint("it must hold a block -----BEGIN PRIVATE KEY-----, EC PRIVATE KEY or RSA PRIVATE KEY")
    })?;
    provider.key_provider.load_private_key(key).map_err(|error| {
        Error::new(format!("the key in {name} cannot be used"))
            .caused_by(error)
            .hint("ECDSA P-256 or P-384, Ed25519, and RSA of 2048 bits or more can")
    })
}

#[cfg(unix)]
fn others_can_read(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o077 != 0)
}
