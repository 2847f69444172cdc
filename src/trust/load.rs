//! Reads the files that say whom to trust. Every certificate counts or is an error; nothing is skipped.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustls::DistinguishedName;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use webpki::anchor_from_trusted_cert;

use crate::certificate::Certificate;
use crate::clock::timestamp;
use crate::crypto;
use crate::error::Error;
use crate::identity::Identity;
use crate::pem::PemProblem;

use super::judge::date_problem;
use super::refusal::RefusalCode;
use super::signature::{Check, check};
use super::{Trust, TrustEntry, TrustKind};

/// The largest file of trusted certificates, in bytes.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// All names that a client is told together take at most so many bytes; TLS has room for twice as many.
const MAX_HINTS: usize = 32 * 1024;

/// Says whom to trust: made by [`Trust::builder`].
#[derive(Debug, Default)]
pub struct TrustBuilder {
    sources: Vec<Source>,
    accept_v1: bool,
    now: Option<SystemTime>,
}

#[derive(Debug)]
enum Source {
    File(PathBuf),
    Memory { pem: Vec<u8>, name: String },
}

impl TrustBuilder {
    /// Adds the certificates of a PEM file of at most 16 MiB. It is read by [`build`](Self::build).
    pub fn pem_file(mut self, file: impl AsRef<Path>) -> Self {
        self.sources.push(Source::File(file.as_ref().to_owned()));
        self
    }

    /// Adds the certificates of PEM text in memory; `name` stands for the file in errors.
    pub fn pem(mut self, pem: impl Into<Vec<u8>>, name: impl Into<String>) -> Self {
        self.sources.push(Source::Memory { pem: pem.into(), name: name.into() });
        self
    }

    /// Authorises client certificates of X.509 version 1 too, if a CA signed them itself. Such certificates have no
    /// extensions, so nothing in them limits what they are for. By default they are refused.
    pub fn accept_v1(mut self) -> Self {
        self.accept_v1 = true;
        self
    }

    /// The time by which an expired CA is told. Defaults to the system's clock.
    pub fn now(mut self, now: SystemTime) -> Self {
        self.now = Some(now);
        self
    }

    /// Reads everything.
    ///
    /// A certificate that is a CA (version 3 with basicConstraints CA:TRUE and no keyUsage that forbids signing; version 1
    /// if signed by itself) vouches for what it signed. Each certificate, CA or not, is itself let in.
    ///
    /// # Errors
    /// No file was named; one cannot be read, is empty, too large, or holds anything but readable certificates; a CA has
    /// expired; the build has no crypto library. The error names the file, the line and the mend.
    pub fn build(self) -> Result<Trust, Error> {
        let provider = crypto::provider()?;
        let mut trust = Trust {
            entries: Vec::new(),
            anchors: Vec::new(),
            authorities: Vec::new(),
            pins: HashSet::new(),
            accept_v1: self.accept_v1,
            algorithms: provider.signature_verification_algorithms,
            hints: Vec::new(),
        };
        if self.sources.is_empty() {
            return Err(Error::new("nobody is trusted: no file of CA certificates was named"));
        }
        let now = self.now.unwrap_or_else(SystemTime::now);
        for source in self.sources {
            let (pem, name) = match source {
                Source::File(path) => (read(&path)?, path.display().to_string()),
                Source::Memory { pem, name } => (pem, name),
            };
            for block in blocks(&pem, &name)? {
                add(&mut trust, &block, now)?;
            }
        }
        let all: usize = trust.hints.iter().map(|name| name.as_ref().len() + 2).sum();
        if all > MAX_HINTS {
            trust.hints.clear();
        }
        Ok(trust)
    }
}

/// One certificate of a file.
struct Block {
    der: CertificateDer<'static>,
    /// Where it stands, in words: `ca.pem, line 7`.
    place: String,
}

fn add(trust: &mut Trust, block: &Block, now: SystemTime) -> Result<(), Error> {
    let Block { der, place } = block;
    if !trust.pins.insert(der.to_vec()) {
        return Ok(());
    }
    let broken = || {
        Error::new(format!("{place}: this certificate cannot be read"))
            .hint("take it out of the file, or get it again from where it was issued")
    };
    let certificate = Certificate::parse(der).map_err(|error| broken().caused_by(error))?;
    let identity = Identity::of(&certificate);
    let kind = match is_authority(&certificate, &trust.algorithms) {
        true => TrustKind::Ca,
        false => TrustKind::PinnedClient,
    };
    if kind == TrustKind::Ca {
        if date_problem(&certificate, now).is_some_and(|problem| problem.code == RefusalCode::Expired) {
            let until = timestamp(certificate.not_after);
            return Err(Error::new(format!("{place}: the CA {} expired on {until}", identity.subject()))
                .hint("remove it from the file, or make the CA anew; if the clock is wrong, set it"));
        }
        let anchor = anchor_from_trusted_cert(der).map_err(|error| broken().caused_by(error))?;
        trust.anchors.push(anchor.to_owned());
        trust.authorities.push(identity.clone());
    }
    // Browsers offer the certificates that were issued by one of these names.
    let hint = if kind == TrustKind::Ca { certificate.subject } else { certificate.issuer };
    let hint = DistinguishedName::from(hint.to_vec());
    if !trust.hints.iter().any(|known| known.as_ref() == hint.as_ref()) {
        trust.hints.push(hint);
    }
    trust.entries.push(TrustEntry { kind, identity });
    Ok(())
}

/// Whether a certificate that the operator named may vouch for others.
fn is_authority(certificate: &Certificate<'_>, algorithms: &WebPkiSupportedAlgorithms) -> bool {
    match certificate.version {
        3 => certificate.is_ca() && certificate.may_sign_certificates,
        // Without extensions only the old custom tells: a root signs itself.
        _ => certificate.is_self_issued() && check(certificate, certificate.spki, algorithms) == Check::Good,
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let name = path.display();
    let file = File::open(path).map_err(|error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let error = Error::new(format!("cannot read the CA file {name}")).caused_by(error);
        error.hint(match missing {
            true => "`mtls-min demo` makes a set of certificates to try; --ca names another file",
            false => "the user that runs this has to be able to read it",
        })
    })?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| {
        Error::new(format!("cannot read the CA file {name}")).caused_by(error).hint("name a file of PEM certificates")
    })?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Error::new(format!("the CA file {name} is larger than 16 MiB"))
            .hint("a file of CAs has kilobytes; is this the right one?"));
    }
    Ok(bytes)
}

/// The certificates of a PEM file. Whatever else stands between BEGIN and END is an error.
fn blocks(pem: &[u8], name: &str) -> Result<Vec<Block>, Error> {
    const BEGIN: &[u8] = b"-----BEGIN ";
    let mut found = Vec::new();
    let mut start = 0;
    for (number, line) in (1..).zip(pem.split_inclusive(|byte| *byte == b'\n')) {
        let place = || format!("{name}, line {number}");
        let Some(at) = find(line, BEGIN) else {
            start += line.len();
            continue;
        };
        if at > 0 {
            return Err(Error::new(format!("{}: something stands before -----BEGIN", place()))
                .hint("a block begins at the start of a line; a byte order mark or spaces before it have to go"));
        }
        check_label(line.trim_ascii_end(), &place())?;
        let rest = &pem[start..];
        // A block reaches to the next one at most, so that a missing END is noticed here.
        let end = find(&rest[BEGIN.len()..], BEGIN).map_or(rest.len(), |at| at + BEGIN.len());
        let der = CertificateDer::from_pem_slice(&rest[..end]).map_err(|error| {
            Error::new(format!("{}: this certificate is broken", place())).caused_by(PemProblem(error)).hint(
                "copy the file again, whole; each certificate begins with -----BEGIN CERTIFICATE----- and ends with \
                 -----END CERTIFICATE-----",
            )
        })?;
        found.push(Block { der, place: place() });
        start += line.len();
    }
    if found.is_empty() {
        return Err(none_found(pem, name));
    }
    Ok(found)
}

fn check_label(line: &[u8], place: &str) -> Result<(), Error> {
    if line == b"-----BEGIN CERTIFICATE-----" {
        return Ok(());
    }
    let label = String::from_utf8_lossy(line);
    let label = label.trim_start_matches("-----BEGIN ").trim_end_matches('-');
    let hint = match () {
        () if label.contains("PRIVATE KEY") => {
            "a file of CA certificates must hold no private key; keep keys in files of their own"
        }
        () if label.contains("REQUEST") => "this is a request, which a CA has yet to sign",
        () if label == "TRUSTED CERTIFICATE" => "turn it into a plain certificate: openssl x509 -in FILE -out FILE.pem",
        () => "only CERTIFICATE blocks belong here",
    };
    Err(Error::new(format!("{place}: a block of the kind {label:?} among the CA certificates")).hint(hint))
}

fn none_found(pem: &[u8], name: &str) -> Error {
    let error = Error::new(format!("the CA file {name} holds no certificate"));
    match pem {
        [] => error.hint("the file is empty"),
        [0x30, ..] => {
            error.hint(format!("it seems to be DER; make it PEM: openssl x509 -inform der -in {name} -out {name}.pem"))
        }
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => error.hint("it is UTF-16 text; save it as plain ASCII"),
        _ => error.hint("it must hold blocks that begin with -----BEGIN CERTIFICATE----- at the start of a line"),
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
