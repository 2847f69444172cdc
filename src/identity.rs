//! Who a certificate says its holder is.

use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

pub use crate::certificate::Attribute;
use crate::certificate::{Certificate, names_in};
use crate::distinguished_name::normal_form;
use crate::error::Error;

/// Who a certificate says its holder is: read once, owned, cheap to clone.
///
/// An `Identity` alone says nothing about trust; [`Verdict`](crate::Verdict) does. Values are those of the certificate,
/// decoded and never joined or split; for logs and pages use [`subject`](Self::subject) and [`issuer`](Self::issuer),
/// which escape what could mislead.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity(Arc<Facts>);

#[derive(PartialEq, Eq)]
struct Facts {
    der: Box<[u8]>,
    subject: Box<str>,
    issuer: Box<str>,
    serial: Box<str>,
    sha256: [u8; 32],
    /// The same in hexadecimal digits.
    sha256_text: Box<str>,
    attributes: Box<[Attribute]>,
    dns_names: Box<[String]>,
    emails: Box<[String]>,
    uris: Box<[String]>,
    ip_addresses: Box<[IpAddr]>,
    not_before: SystemTime,
    not_after: SystemTime,
    /// SHA-256 of the public key with its algorithm.
    spki_sha256: [u8; 32],
    /// The subject of the CA of trust that vouches for it.
    anchor: Option<Box<str>>,
    known_as: Option<Box<str>>,
}

impl Identity {
    /// Reads a certificate in DER.
    ///
    /// # Errors
    /// The bytes are no X.509 certificate.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let certificate =
            Certificate::parse(der).map_err(|error| Error::new("this is no certificate").caused_by(error))?;
        Ok(Self::of(&certificate))
    }

    pub(crate) fn of(certificate: &Certificate<'_>) -> Self {
        Self(Arc::new(Facts::of(certificate)))
    }

    /// Of a certificate that a CA of trust, whose subject is `anchor`, was found to vouch for.
    pub(crate) fn vouched_for(certificate: &Certificate<'_>, anchor: &str, known_as: Option<&str>) -> Self {
        let (anchor, known_as) = (Some(anchor.into()), known_as.map(Into::into));
        Self(Arc::new(Facts { anchor, known_as, ..Facts::of(certificate) }))
    }

    /// Of a certificate that is let in by itself.
    pub(crate) fn pinned(certificate: &Certificate<'_>, known_as: Option<&str>) -> Self {
        Self(Arc::new(Facts { known_as: known_as.map(Into::into), ..Facts::of(certificate) }))
    }

    /// The subject as text (RFC 4514): the last relative name first, `CN=client1,O=Example`. Separators within values
    /// are escaped, and so are control and direction-changing characters, so it is safe in a log or on a terminal.
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// The subject so written that two are equal by RFC 5280, section 7.1, if and only if these bytes are; `None` if it
    /// cannot be read.
    pub(crate) fn normal_subject(&self) -> Option<Box<[u8]>> {
        // What was read once can be read again.
        let certificate = Certificate::parse(&self.0.der).ok()?;
        normal_form(certificate.subject)
    }

    /// The subject's attributes in the order of the certificate.
    pub fn attributes(&self) -> &[Attribute] {
        &self.0.attributes
    }

    /// The common name, if the subject has exactly one. With several there is no telling which is meant.
    pub fn common_name(&self) -> Option<&str> {
        let mut names = self.0.attributes.iter().filter(|attribute| attribute.short_name == Some("CN"));
        let name = names.next()?;
        names.next().is_none().then_some(&name.value)
    }

    /// The issuer as text, like [`subject`](Self::subject).
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// The serial number in lower-case hexadecimal digits.
    pub fn serial(&self) -> &str {
        &self.0.serial
    }

    /// From when on the certificate is valid.
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

    /// The IP addresses among the subject alternative names.
    pub fn ip_addresses(&self) -> &[IpAddr] {
        &self.0.ip_addresses
    }

    /// SHA-256 of the public key (its `SubjectPublicKeyInfo` in DER), in 64 lower-case hexadecimal digits. It stays the same
    /// when a certificate is renewed for the same key.
    pub fn spki_sha256(&self) -> String {
        hex(&self.0.spki_sha256)
    }

    /// The same as octets.
    pub(crate) fn spki_digest(&self) -> &[u8; 32] {
        &self.0.spki_sha256
    }

    /// Whether a CA of trust vouches for the names in it. It does for every authorised client but those whose certificate
    /// is let in by itself: there, names are what their maker wrote, so no rule goes by them.
    pub fn is_vouched_for(&self) -> bool {
        self.0.anchor.is_some()
    }

    /// The subject, like [`subject`](Self::subject), of the loaded CA that vouches for it, if one does. Unlike the
    /// [`issuer`](Self::issuer), whose name any CA could give to one that it signs, only the operator can load a CA.
    pub fn anchor(&self) -> Option<&str> {
        self.0.anchor.as_deref()
    }

    /// The name under which it stands in the directory of authorised clients: that of its file, without the ending.
    pub fn known_as(&self) -> Option<&str> {
        self.0.known_as.as_deref()
    }

    /// How long it is still valid after `now`; `None`: no longer.
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
        let subject = certificate.subject_names();
        let names = certificate.alternative_names();
        let digest = sha256(certificate.der);
        Self {
            der: certificate.der.into(),
            subject: rfc4514(&subject).into(),
            issuer: rfc4514(&certificate.issuer_names()).into(),
            serial: hex(certificate.serial).into(),
            sha256: digest,
            sha256_text: hex(&digest).into(),
            attributes: subject.into_iter().flatten().collect(),
            dns_names: names.dns.into(),
            emails: names.emails.into(),
            uris: names.uris.into(),
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
        write!(f, "Identity({}, sha256 {})", self.subject(), self.sha256())
    }
}

/// A value for people to read: control characters and those that change the direction of text are shown as `\XX`.
pub(crate) fn visible(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        push_visible(c, &mut out);
    }
    out
}

/// A name in DER as text, like [`Identity::subject`].
pub(crate) fn name_text(name: &[u8]) -> String {
    rfc4514(&names_in(name))
}

/// SHA-256 of several pieces: no others have the same, wherever one ends and the next begins.
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

pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// RFC 4514, sections 2.1 to 2.4.
fn rfc4514(names: &[Vec<Attribute>]) -> String {
    let mut out = String::new();
    for (number, relative) in names.iter().rev().enumerate() {
        for (position, attribute) in relative.iter().enumerate() {
            if position > 0 {
                out.push('+');
            } else if number > 0 {
                out.push(',');
            }
            out.push_str(attribute.short_name.unwrap_or(&attribute.oid));
            out.push('=');
            push_escaped(&attribute.value, &mut out);
        }
    }
    out
}

fn push_escaped(value: &str, out: &mut String) {
    let last = value.chars().count().saturating_sub(1);
    for (position, c) in value.chars().enumerate() {
        let at_edge = (position == 0 && matches!(c, ' ' | '#')) || (position == last && c == ' ');
        if at_edge || matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=') {
            out.push('\\');
            out.push(c);
        } else {
            push_visible(c, out);
        }
    }
}

fn push_visible(c: char, out: &mut String) {
    if c.is_control() || is_misleading(c) {
        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
            let _ = write!(out, "\\{byte:02X}");
        }
    } else {
        out.push(c);
    }
}

/// Characters that cannot be seen, or that make the text around them look like another: line and paragraph separators,
/// directions, joiners, the byte order mark, tags.
fn is_misleading(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(pairs: &[(&'static str, &str)]) -> String {
        let attributes = pairs.iter().map(|(kind, value)| {
            vec![Attribute { oid: "1.2.3".to_owned(), short_name: Some(*kind), value: (*value).to_owned() }]
        });
        rfc4514(&attributes.collect::<Vec<_>>())
    }

    #[test]
    fn a_value_cannot_pretend_to_be_another_attribute() {
        assert_eq!(name(&[("O", "x,CN=admin"), ("CN", "mallory")]), r"CN=mallory,O=x\,CN\=admin");
        assert_eq!(name(&[("CN", "a+OU=b")]), r"CN=a\+OU\=b");
        assert_eq!(name(&[("CN", " # ")]), r"CN=\ #\ ");
        assert_eq!(name(&[("CN", "#x")]), r"CN=\#x");
    }

    #[test]
    fn what_would_mislead_a_reader_is_shown_as_bytes() {
        assert_eq!(name(&[("CN", "a\nb\0c\u{1b}[31m")]), r"CN=a\0Ab\00c\1B[31m");
        assert_eq!(visible("abc\u{202e}fdp.exe"), r"abc\E2\80\AEfdp.exe");
        assert_eq!(visible("Zoë Müller"), "Zoë Müller");
    }
}
