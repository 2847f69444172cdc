//! The server's own certificate chain and private key, read and checked.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};

use crate::clock::timestamp;
use crate::config::EXPIRES_SOON;
use crate::crypto;
use crate::error::Error;
use crate::escape::visible;
use crate::file::FileKind;
use crate::x509::certificate::Certificate;
use crate::x509::identity::Identity;
use crate::x509::pem::{Block, Bundle, PemProblem};
use crate::x509::signature::may_have_signed;

/// A certificate chain and its private key: what the server shows to its clients.
///
/// Both are PEM. The key may be PKCS#8, SEC1 or PKCS#1, and must not be encrypted. Chain and key may be in one file, and
/// parameters (`EC PARAMETERS`, `DH PARAMETERS`) beside them; any other block is an error. [`warnings`](Self::warnings) says
/// what is odd about the certificate without being a reason not to serve.
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
    /// A file cannot be read, or has no certificate, no key, several keys, a broken block or one that does not belong there; the
    /// key is encrypted; key and certificate do not belong together. The error names the file, the line and the repair.
    pub fn from_pem_files(certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, Error> {
        let (certificate, key) = (certificate.as_ref(), key.as_ref());
        let mut made = Self::from_named_pem(
            &FileKind::SERVER_CERTIFICATE.read(certificate)?,
            &certificate.display().to_string(),
            &FileKind::SERVER_KEY.read(key)?,
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
    /// As [`from_pem_files`](Self::from_pem_files), except that nothing is read from files.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, Error> {
        Self::from_named_pem(certificate, "the certificate", key, "the key")
    }

    fn from_named_pem(certificate: &[u8], certificate_name: &str, key: &[u8], key_name: &str) -> Result<Self, Error> {
        let provider = crypto::provider();
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
        warnings.extend(oddities(&leaf, &identity, certificate_name));
        warnings.extend(unrelated(&leaf, &chain, &files.0, &provider));
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

    /// Subject, fingerprint, expiry and names in one line, for a log. Of many names the first eight are shown.
    pub fn summary(&self) -> String {
        const SHOWN: usize = 8;
        let (subject, sha256) = (self.identity.shown_subject(), self.identity.sha256());
        let mut line = format!("{subject}, sha256 {sha256}, valid until {}", timestamp(self.identity.not_after()));
        let names = names(&self.identity);
        if !names.is_empty() {
            let shown: Vec<_> = names.iter().take(SHOWN).map(|name| visible(name)).collect();
            line.push_str(&format!(", for {}", shown.join(" ")));
        }
        if names.len() > SHOWN {
            line.push_str(&format!(" and {} more", names.len() - SHOWN));
        }
        line
    }

    /// A warning if it has expired, or will soon.
    pub(crate) fn expiry_warning(&self, now: SystemTime) -> Option<String> {
        let until = timestamp(self.identity.not_after());
        match self.identity.expires_in(now) {
            None => Some(format!("the server's certificate expired on {until}: clients refuse it")),
            Some(left) if left < EXPIRES_SOON => Some(format!("the server's certificate expires on {until}")),
            Some(_) => None,
        }
    }

    pub(crate) fn resolver(&self) -> Arc<SingleCertAndKey> {
        Arc::new(SingleCertAndKey::from(Arc::clone(&self.key)))
    }
}

/// Without the key.
impl fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerCertificate").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// A chain is longer than this only by mistake, for example if it is the whole bundle of a system's CAs.
const MAX_CHAIN: usize = 16;

const ENCRYPTED: &[u8] = b"Proc-Type: 4,ENCRYPTED";

fn signing_key(block: &Block<'_>, name: &str, provider: &CryptoProvider) -> Result<Arc<dyn SigningKey>, Error> {
    // RFC 1421, section 4.6.1.1, as openssl wrote it before PKCS#8.
    let is_encrypted = block.pem.windows(ENCRYPTED.len()).any(|window| window == ENCRYPTED);
    if is_encrypted || block.label.starts_with("ENCRYPTED") {
        return Err(Error::new(format!("the key {name} is encrypted")).hint(format!(
            "decrypt it: (umask 077; openssl pkey -in {name} -out decrypted-key.pem), then use decrypted-key.pem as the key"
        )));
    }
    let unusable = || Error::new(format!("the key in {name} cannot be used"));
    let key = PrivateKeyDer::from_pem_slice(block.pem).map_err(|error| match error {
        pem::Error::NoItemsFound => unusable().hint(format!(
            "{}: this is a block {:?}; PRIVATE KEY, EC PRIVATE KEY and RSA PRIVATE KEY can be used",
            block.place, block.label
        )),
        error => Error::new(format!("{}: this private key is broken", block.place))
            .caused_by(PemProblem(error))
            .hint("copy the file again, whole"),
    })?;
    provider.key_provider.load_private_key(key).map_err(|error| {
        unusable()
            .caused_by(error)
            .hint("keys of ECDSA P-256 or P-384, of Ed25519, and of RSA with 2048 bits or more can be used")
    })
}

/// The blocks of the files that may be there, but are not used.
fn unused_blocks(certificate: &Bundle<'_>, key: &Bundle<'_>, is_one_file: bool) -> Vec<String> {
    let files = if is_one_file { &[certificate][..] } else { &[certificate, key] };
    let dh = files.iter().flat_map(|file| &file.dh_parameters).map(|block| {
        format!("{}: DH parameters are not used: keys are agreed on by elliptic curves alone", block.place)
    });
    let mut warnings: Vec<_> = dh.collect();
    if !is_one_file {
        warnings.extend(
            certificate.keys.iter().map(|block| {
                format!("{}: this private key is not used, since the key is in another file", block.place)
            }),
        );
        warnings.extend(key.certificates.iter().map(|block| {
            format!("{}: this certificate is not sent, since the certificate is in another file", block.place)
        }));
    }
    warnings
}

/// Why clients may refuse the certificate, though a server can show it.
fn oddities(leaf: &Certificate<'_>, identity: &Identity, name: &str) -> Vec<String> {
    if leaf.version != 3 {
        return vec![format!(
            "{name} is an X.509 version {} certificate: curl takes it, browsers and rustls do not; \
             sign it with an extension file (-extfile) to get version 3",
            leaf.version
        )];
    }
    let mut oddities = Vec::new();
    // RFC 5280, section 4.2.1.12.
    if !leaf.may_authenticate_servers {
        oddities.push(format!(
            "{name}: its extended key usage lacks serverAuth, so clients refuse it; have it issued for a server"
        ));
    }
    // RFC 9525, section 2: a common name is not the name of a server.
    if names(identity).is_empty() {
        oddities.push(format!(
            "{name} has no DNS name or IP address among its subject alternative names, so clients refuse it: they do \
             not look at its common name; have it issued with subjectAltName"
        ));
    }
    oddities
}

/// Warns of the certificates that are not part of the chain: they signed none of those before.
fn unrelated(
    leaf: &Certificate<'_>,
    chain: &[CertificateDer<'_>],
    file: &Bundle<'_>,
    provider: &CryptoProvider,
) -> Vec<String> {
    if chain.len() > MAX_CHAIN {
        let place = &file.certificates[0].place;
        return vec![format!(
            "{place}: here begin {} certificates, and all of them are sent to every client",
            chain.len()
        )];
    }
    let (mut others, mut warnings) = (Vec::new(), Vec::new());
    for (der, block) in chain.iter().zip(&file.certificates).skip(1) {
        match Certificate::parse(der) {
            Ok(certificate) => others.push((certificate, &block.place)),
            Err(error) => warnings.push(format!("{}: {error}; it is sent to clients all the same", block.place)),
        }
    }
    let algorithms = provider.signature_verification_algorithms;
    let mut left: Vec<_> = others.iter().collect();
    let (mut related, mut next) = (vec![leaf], 0);
    while let Some(certificate) = related.get(next).copied() {
        let (issuers, rest): (Vec<_>, _) =
            left.into_iter().partition(|(other, _)| may_have_signed(other, certificate, &algorithms));
        related.extend(issuers.iter().map(|(issuer, _)| issuer));
        (left, next) = (rest, next + 1);
    }
    warnings.extend(left.iter().map(|(other, place)| {
        format!(
            "{place}: the certificate of {} is not part of the server's chain, since it signed none of the others; remove it, \
             or add the one that is missing between them",
            Identity::of(other).subject()
        )
    }));
    warnings
}

/// The names that clients look for: the alternative names except e-mail addresses.
fn names(identity: &Identity) -> Vec<String> {
    let addresses = identity.ip_addresses().iter().map(ToString::to_string);
    identity.dns_names().iter().cloned().chain(addresses).chain(identity.uris().iter().cloned()).collect()
}

#[cfg(unix)]
fn others_can_read(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    // A group may read what is root's: so the key of a certificate is given to a server without rights by Debian (ssl-cert), by
    // systemd (credentials, whose access list shows there) and by Kubernetes (fsGroup).
    let private = |metadata: &std::fs::Metadata| if metadata.uid() == 0 { 0o037 } else { 0o077 };
    std::fs::metadata(path).is_ok_and(|metadata| metadata.mode() & private(&metadata) != 0)
}
