//! What a certificate says about its holder.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use super::certificate::Certificate;
pub use super::distinguished_name::Attribute;
use super::distinguished_name::{exact_form_of, normal_form_of, read};
use super::rfc4514;
use crate::error::Error;
use crate::escape::visible;
use crate::hex::hex;

/// What a certificate says about its holder: read once, owned, cheap to clone.
///
/// An `Identity` alone says nothing about trust; [`Verdict`](crate::Verdict) does. Values are those of the certificate,
/// decoded, and never joined or split. For logs and pages use [`subject`](Self::subject), [`issuer`](Self::issuer) or
/// [`display_name`](Self::display_name), which escape what could mislead.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity(Arc<Facts>);

#[derive(PartialEq, Eq)]
struct Facts {
    der: Box<[u8]>,
    subject: Box<str>,
    normal_subject: Option<Box<[u8]>>,
    exact_subject: Option<Box<[u8]>>,
    issuer: Box<str>,
    serial: Box<str>,
    sha256: [u8; 32],
    /// The same in hexadecimal digits.
    sha256_text: Box<str>,
    attributes: Box<[Attribute]>,
    dns_names: Box<[String]>,
    emails: Box<[String]>,
    uris: Box<[String]>,
    upns: Box<[String]>,
    /// With its type as the word of a rule.
    first_alternative: Option<(&'static str, String)>,
    ip_addresses: Box<[IpAddr]>,
    not_before: SystemTime,
    not_after: SystemTime,
    /// SHA-256 of the public key with its algorithm.
    spki_sha256: [u8; 32],
    /// The trusted CA that vouches for it.
    anchor: Option<Identity>,
    known_as: Option<Box<str>>,
}

impl Identity {
    /// Reads a certificate in DER.
    ///
    /// # Errors
    /// The bytes are not an X.509 certificate.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let certificate =
            Certificate::parse(der).map_err(|error| Error::new("this is not a certificate").caused_by(error))?;
        Ok(Self::of(&certificate))
    }

    pub(crate) fn of(certificate: &Certificate<'_>) -> Self {
        Self(Arc::new(Facts::of(certificate)))
    }

    /// For a certificate that this trusted CA vouches for.
    pub(crate) fn vouched_for(certificate: &Certificate<'_>, anchor: &Self, known_as: Option<&str>) -> Self {
        let (anchor, known_as) = (Some(anchor.clone()), known_as.map(Into::into));
        Self(Arc::new(Facts { anchor, known_as, ..Facts::of(certificate) }))
    }

    /// For a pinned certificate.
    pub(crate) fn pinned(certificate: &Certificate<'_>, known_as: Option<&str>) -> Self {
        Self(Arc::new(Facts { known_as: known_as.map(Into::into), ..Facts::of(certificate) }))
    }

    /// The subject as text (RFC 4514), the last relative name first: `CN=client1,O=Example`. Separators within values are
    /// escaped, and so are control characters and those that change the direction of text. So it is safe in a log or on a
    /// terminal.
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// The normal form of the subject, which is the same for two subjects exactly if they are equal by RFC 5280, section
    /// 7.1; `None` if it cannot be read.
    pub(crate) fn normal_subject(&self) -> Option<&[u8]> {
        self.0.normal_subject.as_deref()
    }

    /// The exact form of the subject, which is the same for two subjects exactly if all their values are the same; `None` if
    /// it cannot be read.
    pub(crate) fn exact_subject(&self) -> Option<&[u8]> {
        self.0.exact_subject.as_deref()
    }

    /// The subject's attributes in the order of the certificate.
    pub fn attributes(&self) -> &[Attribute] {
        &self.0.attributes
    }

    /// The common name, if the subject has exactly one and it is a string. If there are several, it is unknown which one is
    /// meant.
    pub fn common_name(&self) -> Option<&str> {
        let mut names = self.0.attributes.iter().filter(|attribute| attribute.short_name() == Some("CN"));
        let name = names.next()?;
        name.text().filter(|_| names.next().is_none())
    }

    /// The name for greeting or listing somebody: the common name, if the subject has exactly one; otherwise the whole
    /// [`subject`](Self::subject), if it has any attributes; otherwise the first valid subject alternative name, in the
    /// order of the certificate: a URI, a DNS name, an e-mail address, a user principal name or an IP address (ACME, Istio
    /// and SPIFFE make such certificates; RFC 5280, section 4.1.2.6); otherwise `sha256:` and the fingerprint.
    ///
    /// It is escaped like [`subject`](Self::subject), so it is safe in a log or on a terminal. It is for people only: it
    /// does not show its type, and two clients may have the same.
    pub fn display_name(&self) -> String {
        match (self.common_name(), &self.0.first_alternative) {
            (Some(name), _) if !name.trim().is_empty() => visible(name),
            (None, Some((_, name))) if self.subject().is_empty() => visible(name),
            _ => self.shown_subject().into_owned(),
        }
    }

    /// The subject; if it is empty, the first alternative name with its type, as in a rule: `uri:spiffe://example.org/web`;
    /// if there is none, `sha256:` and the fingerprint. No subject looks like those.
    pub(crate) fn shown_subject(&self) -> Cow<'_, str> {
        match &self.0.first_alternative {
            _ if !self.subject().is_empty() => self.subject().into(),
            Some((kind, name)) => format!("{kind}:{}", visible(name)).into(),
            None => format!("sha256:{}", self.sha256()).into(),
        }
    }

    /// The valid alternative names, each with its type as in a rule, escaped like the subject.
    #[cfg(feature = "cli")]
    pub(crate) fn alternative_names(&self) -> Vec<String> {
        let of = |kind: &'static str, names: &[String]| {
            names.iter().map(|name| format!("{kind}:{}", visible(name))).collect::<Vec<_>>()
        };
        let mut all =
            [("dns", &self.0.dns_names), ("email", &self.0.emails), ("upn", &self.0.upns), ("uri", &self.0.uris)]
                .map(|(kind, names)| of(kind, names))
                .concat();
        all.extend(self.0.ip_addresses.iter().map(|address| format!("ip:{address}")));
        all
    }

    /// The issuer as text, like [`subject`](Self::subject).
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// The serial number in lower-case hexadecimal digits.
    pub fn serial(&self) -> &str {
        &self.0.serial
    }

    /// The first moment at which the certificate is valid.
    pub fn not_before(&self) -> SystemTime {
        self.0.not_before
    }

    /// The last second in which the certificate is valid.
    pub fn not_after(&self) -> SystemTime {
        self.0.not_after
    }

    /// The fingerprint: SHA-256 of the certificate's DER, in 64 lower-case hexadecimal digits.
    pub fn sha256(&self) -> &str {
        &self.0.sha256_text
    }

    /// The same as octets.
    pub(crate) fn digest(&self) -> &[u8; 32] {
        &self.0.sha256
    }

    /// The DNS names among the subject alternative names.
    pub fn dns_names(&self) -> &[String] {
        &self.0.dns_names
    }

    /// The e-mail addresses among the subject alternative names.
    pub fn emails(&self) -> &[String] {
        &self.0.emails
    }

    /// The URIs among the subject alternative names, SPIFFE ids for example.
    pub fn uris(&self) -> &[String] {
        &self.0.uris
    }

    /// The user principal names among the subject alternative names, as Active Directory makes them:
    /// `alice@corp.example.com` (otherName of type 1.3.6.1.4.1.311.20.2.3).
    pub fn upns(&self) -> &[String] {
        &self.0.upns
    }

    /// The IP addresses among the subject alternative names.
    pub fn ip_addresses(&self) -> &[IpAddr] {
        &self.0.ip_addresses
    }

    /// SHA-256 of the public key (its `SubjectPublicKeyInfo` in DER), in 64 lower-case hexadecimal digits. It stays the same
    /// when a certificate is renewed with the same key.
    pub fn spki_sha256(&self) -> String {
        hex(&self.0.spki_sha256)
    }

    /// The same as octets.
    pub(crate) fn spki_digest(&self) -> &[u8; 32] {
        &self.0.spki_sha256
    }

    /// Whether a trusted CA vouches for the names in it. This is so for every authorised client, except for pinned
    /// certificates: their names are whatever their maker wrote, so no rule uses them.
    pub fn is_vouched_for(&self) -> bool {
        self.0.anchor.is_some()
    }

    /// The subject, like [`subject`](Self::subject), of the loaded CA that vouches for it, if any. A CA can give any name to
    /// a CA below it, so the [`issuer`](Self::issuer) is not safe to decide by. Only the operator can load a CA.
    pub fn anchor(&self) -> Option<&str> {
        self.0.anchor.as_ref().map(Identity::subject)
    }

    /// The fingerprint, like [`sha256`](Self::sha256), of the loaded CA that vouches for it, if any. If several certificates
    /// of that CA are loaded (with the same name and key, as after a renewal), it is that of one of them.
    pub fn anchor_sha256(&self) -> Option<&str> {
        self.0.anchor.as_ref().map(Identity::sha256)
    }

    /// The loaded CA that vouches for it.
    pub(crate) fn vouching(&self) -> Option<&Self> {
        self.0.anchor.as_ref()
    }

    /// Its name in the directory of authorised clients: that of its file, without the ending.
    pub fn known_as(&self) -> Option<&str> {
        self.0.known_as.as_deref()
    }

    /// How long it is still valid after `now`; `None`: it has expired.
    pub fn expires_in(&self, now: SystemTime) -> Option<Duration> {
        self.0.not_after.duration_since(now).ok()
    }

    /// The certificate itself.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }
}

impl Facts {
    fn of(certificate: &Certificate<'_>) -> Self {
        let subject = read(certificate.subject);
        let normal_subject = subject.as_deref().map(normal_form_of);
        let exact_subject = subject.as_deref().map(exact_form_of);
        let subject = subject.unwrap_or_default();
        let names = certificate.alternative_names();
        let digest = sha256(certificate.der);
        Self {
            der: certificate.der.into(),
            subject: rfc4514::write(&subject).into(),
            normal_subject,
            exact_subject,
            issuer: name_text(certificate.issuer).into(),
            serial: hex(certificate.serial).into(),
            sha256: digest,
            sha256_text: hex(&digest).into(),
            attributes: subject.into_iter().flatten().collect(),
            dns_names: names.dns.into(),
            emails: names.emails.into(),
            uris: names.uris.into(),
            upns: names.upns.into(),
            first_alternative: names.first,
            ip_addresses: names.ips.into(),
            not_before: certificate.not_before,
            not_after: certificate.not_after,
            spki_sha256: sha256(certificate.spki),
            anchor: None,
            known_as: None,
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({}, sha256 {})", self.shown_subject(), self.sha256())
    }
}

/// A name in DER as text, like [`Identity::subject`].
pub(crate) fn name_text(name: &[u8]) -> String {
    rfc4514::write(&read(name).unwrap_or_default())
}

/// SHA-256 of several pieces. The digest also depends on where each piece ends.
pub(crate) fn sha256_of_all<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for piece in pieces {
        hash.update((piece.len() as u64).to_be_bytes());
        hash.update(piece);
    }
    hash.finalize().into()
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
