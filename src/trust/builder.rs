//! Reads the files that say whom to trust. Every certificate, list and rule takes effect or is an error; nothing is skipped.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustls::DistinguishedName;
use rustls::pki_types::CertificateDer;

use crate::crypto;
use crate::error::{Error, Words, of_library};
use crate::file::FileKind;
use crate::policy::Policy;
use crate::x509::pem::{Block, blocks};

use super::cache::KnownClients;
use super::lists::{self, Lists};
use super::revocation::{RevocationRules, StaleCrl};
use super::{Trust, authorities, authorized_clients};

/// At most this many bytes of CA names are sent to clients. TLS has room for twice as many.
const MAX_HINTS: usize = 32 * 1024;

/// Says whom to trust; see [`Trust::builder`]. It can be built repeatedly, and reads its files again each time.
#[derive(Debug, Clone, Default)]
pub struct TrustBuilder {
    certificates: Vec<Source>,
    intermediates: Vec<Source>,
    crls: Vec<Source>,
    authorized_clients: Option<PathBuf>,
    policy: Policy,
    policy_file: Option<PathBuf>,
    accept_v1: bool,
    revocation: RevocationRules,
    now: Option<SystemTime>,
    /// Those of the library, unless the command serves.
    words: Option<Words>,
}

#[derive(Debug, Clone)]
enum Source {
    File(PathBuf),
    Memory { bytes: Vec<u8>, name: String },
}

impl TrustBuilder {
    /// Adds the certificates of a PEM file of at most 16 MiB. It is read by [`build`](Self::build).
    pub fn pem_file(mut self, file: impl AsRef<Path>) -> Self {
        self.certificates.push(Source::File(file.as_ref().to_owned()));
        self
    }

    /// Adds the certificates of PEM text in memory; `name` stands for the file in errors.
    pub fn pem(mut self, pem: impl Into<Vec<u8>>, name: impl Into<String>) -> Self {
        self.certificates.push(Source::Memory { bytes: pem.into(), name: name.into() });
        self
    }

    /// Adds the intermediates of a PEM file of at most 16 MiB. These are CAs that complete the path from a client that sends
    /// only its own certificate to a trusted CA; their revocation lists count too. They do not vouch for clients by
    /// themselves, so the limits of the CA above them apply.
    pub fn intermediates_file(mut self, file: impl AsRef<Path>) -> Self {
        self.intermediates.push(Source::File(file.as_ref().to_owned()));
        self
    }

    /// Adds the intermediates of PEM text in memory; `name` stands for the file in errors.
    pub fn intermediates(mut self, pem: impl Into<Vec<u8>>, name: impl Into<String>) -> Self {
        self.intermediates.push(Source::Memory { bytes: pem.into(), name: name.into() });
        self
    }

    /// Adds the revocation lists of a file of at most 256 MiB: PEM, which may hold several, or DER. Of several lists of one
    /// CA, key and scope (RFC 5280, section 5.2.5), the one with the highest number counts, or the latest if they have no
    /// numbers, in whatever order they are added.
    pub fn crl_file(mut self, file: impl AsRef<Path>) -> Self {
        self.crls.push(Source::File(file.as_ref().to_owned()));
        self
    }

    /// Adds revocation lists in memory; `name` stands for the file in errors.
    pub fn crl(mut self, bytes: impl Into<Vec<u8>>, name: impl Into<String>) -> Self {
        self.crls.push(Source::Memory { bytes: bytes.into(), name: name.into() });
        self
    }

    /// Refuses clients of a CA without a revocation list. By default they are judged without one.
    pub fn require_crls(mut self) -> Self {
        self.revocation.required = true;
        self
    }

    /// What to do with clients of a CA whose list is stale. Defaults to refusing them.
    pub fn stale_crl(mut self, stale: StaleCrl) -> Self {
        self.revocation.stale = stale;
        self
    }

    /// Lets in the certificates in a directory, whoever signed them. Each is named by its file: `laptop.pem` is `laptop`. A
    /// file ends in `.pem`, `.crt` or `.cer` and holds one certificate; other files are ignored.
    pub fn authorized_clients(mut self, directory: impl AsRef<Path>) -> Self {
        self.authorized_clients = Some(directory.as_ref().to_owned());
        self
    }

    /// What those who are let in may do. Defaults to everything.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Reads a policy by path ([`Policy::parse`]) from a file of at most 16 MiB. The rules of [`policy`](Self::policy) then
    /// apply to paths that have no line in it.
    pub fn policy_file(mut self, file: impl AsRef<Path>) -> Self {
        self.policy_file = Some(file.as_ref().to_owned());
        self
    }

    /// Also authorises client certificates of X.509 version 1, if a trusted CA signed them directly. They have no
    /// extensions, so nothing in them limits their use. By default they are refused.
    pub fn accept_v1(mut self) -> Self {
        self.accept_v1 = true;
        self
    }

    /// The time at which CAs are checked for expiry. Defaults to the system's clock.
    pub fn now(mut self, now: SystemTime) -> Self {
        self.now = Some(now);
        self
    }

    /// The words of warnings.
    #[cfg(feature = "cli")]
    pub(crate) fn in_words(self, words: Words) -> Self {
        Self { words: Some(words), ..self }
    }

    /// Reads everything.
    ///
    /// A CA certificate (version 3 with basicConstraints CA:TRUE and without a keyUsage that forbids signing, or version 1
    /// and signed by itself) vouches for what it signed. Each certificate, CA or not, is let in itself.
    ///
    /// # Errors
    /// Nothing was named that could let anybody in; a file cannot be read, is empty or too large, or holds something else; a
    /// CA has expired; a revocation list belongs to no loaded CA, is not signed by it, or is a delta, indirect, or for some
    /// reasons only; or a rule can never match. The error names the file, the line and the remedy.
    pub fn build(&self) -> Result<Trust, Error> {
        self.build_after(None)
    }

    fn build_after(&self, before: Option<&Trust>) -> Result<Trust, Error> {
        let provider = crypto::provider();
        let mut trust = Trust {
            entries: Vec::new(),
            authorities: Vec::new(),
            namesakes: HashMap::new(),
            pinned: HashMap::new(),
            pins: HashMap::new(),
            authorized_clients: None,
            notes: Vec::new(),
            left_as_they_were: Vec::new(),
            words: self.words.unwrap_or(of_library),
            accept_v1: self.accept_v1,
            lists: Lists::default(),
            revocation: self.revocation,
            policy: Policy::default(),
            algorithms: provider.signature_verification_algorithms,
            hints: Vec::new(),
            known: KnownClients::default(),
        };
        if self.certificates.is_empty() && self.authorized_clients.is_none() {
            return Err(Error::new("nobody is trusted: no file of CA certificates was named"));
        }
        let now = self.now.unwrap_or_else(SystemTime::now);
        let mut hints = BTreeSet::new();
        for source in &self.certificates {
            for (der, place) in source.certificates(&FileKind::CA)? {
                authorities::add_trusted(&mut trust, &mut hints, &der, &place, now, before)?;
            }
        }
        for source in &self.intermediates {
            for (der, place) in source.certificates(&FileKind::INTERMEDIATES)? {
                authorities::add_intermediate(&mut trust, &mut hints, &der, &place)?;
            }
        }
        authorities::link(&mut trust);
        if let Some(directory) = &self.authorized_clients {
            authorized_clients::add(&mut trust, &mut hints, directory, before)?;
        }
        for source in &self.crls {
            let (bytes, name) = source.read(&FileKind::CRL)?;
            for (der, place) in lists::lists(&bytes, &name)? {
                trust.add_crl(&der, &place, now, before)?;
            }
        }
        if let Some(before) = before {
            trust.take_over_lists(before)?;
        }
        trust.note_revoked_authorities();
        authorities::link_unrevoked(&mut trust);
        trust.policy = self.read_policy()?;
        let anchors = trust.authorities.iter().filter(|authority| authority.is_anchor);
        let authorities: Vec<_> = anchors.map(|authority| &authority.identity).collect();
        trust.policy.bind_to(&authorities, trust.authorized_clients.is_some())?;
        trust.hints = match hints.iter().map(|name: &Vec<u8>| name.len() + 2).sum::<usize>() {
            0..=MAX_HINTS => hints.into_iter().map(DistinguishedName::from).collect(),
            _ => Vec::new(),
        };
        Ok(trust)
    }

    /// The same for a trust that replaces `before` while a server runs. If something was good when it was read and has only
    /// aged, that is not an error here. Otherwise a CA that expires, or a clock that is set back, would keep out later
    /// revocations. A file of an authorised client that cannot be read leaves that one client as it was; [`Trust::warnings`]
    /// reports it.
    ///
    /// # Errors
    /// As [`build`](Self::build). Also if a revocation would be undone, because the list of a CA is older than the one in
    /// force or is gone; or if a list is from the future and the one in force is not.
    pub fn rebuild(&self, before: &Trust) -> Result<Trust, Error> {
        self.build_after(Some(before))
    }

    /// The files that it reads, and one directory.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        let sources =
            self.certificates.iter().chain(&self.intermediates).chain(&self.crls).filter_map(|source| match source {
                Source::File(path) => Some(path),
                Source::Memory { .. } => None,
            });
        sources.chain(&self.policy_file).map(PathBuf::as_path)
    }

    /// The directory of authorised clients.
    pub(crate) fn directory(&self) -> Option<&Path> {
        self.authorized_clients.as_deref()
    }

    fn read_policy(&self) -> Result<Policy, Error> {
        let Some(file) = &self.policy_file else { return Ok(self.policy.clone()) };
        let name = file.display().to_string();
        let text = String::from_utf8(FileKind::POLICY.read(file)?).map_err(|_| {
            Error::new(format!("the policy {name} is not UTF-8 text"))
                .hint("save it as UTF-8, not as UTF-16 (\"Unicode\")")
        })?;
        Policy::parse(&text, &name)?.with_rules_elsewhere(&self.policy)
    }
}

impl Source {
    /// The certificates of a file in PEM, with their places.
    fn certificates(&self, kind: &FileKind) -> Result<Vec<(CertificateDer<'static>, String)>, Error> {
        let (pem, name) = self.read(kind)?;
        let read = |block: Block<'_>| Ok((block.certificate()?, block.place));
        blocks(&pem, &name, "CERTIFICATE", "certificate")?.into_iter().map(read).collect()
    }

    fn read(&self, kind: &FileKind) -> Result<(Cow<'_, [u8]>, String), Error> {
        match self {
            Source::File(path) => Ok((kind.read(path)?.into(), path.display().to_string())),
            Source::Memory { bytes, name } => Ok((bytes.as_slice().into(), name.clone())),
        }
    }
}
