//! The server's own certificate chain and private key, read and checked.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};

use crate::certificate::Certificate;
use crate::clock::timestamp;
use crate::crypto;
use crate::error::Error;
use crate::identity::Identity;
use crate::pem::{Block, Bundle, PemProblem};
use crate::sys;

/// A certificate chain and its private key: what the server shows to its clients.
///
/// Both are PEM. The key may be PKCS#8, SEC1 or PKCS#1, and not encrypted. Chain and key may stand in one file, and parameters
/// (`EC PARAMETERS`, `DH PARAMETERS`) beside them; any other block is an error. What is odd about the certificate, and no reason
/// not to serve, is told by [`warnings`](Self::warnings).
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
    /// A file cannot be read, holds no certificate or no key, several keys, a broken block or one that does not belong there; the
    /// key is encrypted; key and certificate do not belong together. The error names the file, the line and the mend.
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
        let files = (Bundle::read(certificate, certificate_name)?, Bundle::read(key, key_name)?);
        let chain = files.0.chain()?;
        let signing_key = signing_key(files.1.key()?, key_name, &provider)?;
        let leaf = Certificate::parse(&chain[0]).map_err(|error| {
            Error::new(format!("{certificate_name}: the first certificate is broken")).caused_by(error)
        })?;
        if signing_key.public_key().is_some_and(|public| *public != *leaf.spki) {
            return Err(Error::new(format!("{key_name} is not the key of {certificate_name}")).hint(
                "name the key that this certificate was made with, and put the server's certificate first in its file",
            ));
        }
        let identity = Identity::of(&leaf);
        let mut warnings = unused_blocks(&files.0, &files.1, certificate == key);
        if leaf.version != 3 {
            warnings.push(format!(
                "{certificate_name} is an X.509 version {} certificate: curl takes it, browsers and rustls do not; \
                 sign it with an extension file (-extfile) to get version 3",
                leaf.version
            ));
        }
        Ok(Self { key: Arc::new(CertifiedKey::new(chain, signing_key)), identity, warnings })
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

const ENCRYPTED: &[u8] = b"Proc-Type: 4,ENCRYPTED";

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

fn signing_key(block: &Block<'_>, name: &str, provider: &CryptoProvider) -> Result<Arc<dyn SigningKey>, Error> {
    // RFC 1421, section 4.6.1.1, as openssl wrote it before PKCS#8.
    let is_encrypted = block.pem.windows(ENCRYPTED.len()).any(|window| window == ENCRYPTED);
    if is_encrypted || block.label.starts_with("ENCRYPTED") {
        return Err(Error::new(format!("the key {name} is encrypted")).hint(format!(
            "decrypt it: (umask 077; openssl pkey -in {name} -out decrypted-key.pem), then --key decrypted-key.pem"
        )));
    }
    let unusable = || Error::new(format!("the key in {name} cannot be used"));
    let key = PrivateKeyDer::from_pem_slice(block.pem).map_err(|error| match error {
        pem::Error::NoItemsFound => unusable().hint(format!(
            "{}: it is of the kind {:?}; PRIVATE KEY, EC PRIVATE KEY and RSA PRIVATE KEY can be used",
            block.place, block.label
        )),
        error => Error::new(format!("{}: this private key is broken", block.place))
            .caused_by(PemProblem(error))
            .hint("copy the file again, whole"),
    })?;
    provider.key_provider.load_private_key(key).map_err(|error| {
        unusable().caused_by(error).hint("ECDSA P-256 or P-384, Ed25519, and RSA of 2048 bits or more can")
    })
}

/// What stands in the files, belongs there, and does nothing.
fn unused_blocks(certificate: &Bundle<'_>, key: &Bundle<'_>, is_one_file: bool) -> Vec<String> {
    let files = if is_one_file { &[certificate][..] } else { &[certificate, key] };
    let dh = files.iter().flat_map(|file| &file.dh_parameters).map(|block| {
        format!("{}: DH parameters are not used: keys are agreed on by elliptic curves alone", block.place)
    });
    let mut warnings: Vec<_> = dh.collect();
    if !is_one_file {
        warnings.extend(
            certificate
                .keys
                .iter()
                .map(|block| format!("{}: this private key is not used, since --key names another file", block.place)),
        );
        warnings.extend(
            key.certificates
                .iter()
                .map(|block| format!("{}: this certificate is not sent, since --cert names another file", block.place)),
        );
    }
    warnings
}

#[cfg(unix)]
fn others_can_read(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o077 != 0)
}
