//! What can be requested, checked before anything is signed, and the results.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::SystemTime;

use rustls::pki_types::DnsName;

use super::layout::SERVER;
use crate::error::Error;
use crate::x509::certificate::Certificate;
use crate::x509::extensions::{GeneralName, NameKind};
use crate::x509::name_constraints::{self, MOST_COMPARISONS};

/// The request for a client's certificate.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClientRequest {
    /// The common name, 1 to 64 characters.
    pub name: String,
    /// E-mail addresses, as alternative names.
    pub emails: Vec<String>,
    /// URIs, as alternative names.
    pub uris: Vec<String>,
    /// For how many days it is valid, 1 to 3650. Defaults to 365. No certificate outlives its CA.
    pub days: u32,
    /// The kind of its key. Defaults to EC P-256.
    pub key: KeyKind,
}

/// How a certificate is renewed.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Renewal {
    /// For how many days the new one is valid. Defaults to 365 for a client, to 397 for a server.
    pub days: Option<u32>,
    /// Revokes the certificates that it replaces. By default they stay valid until they expire.
    pub revoke_old: bool,
}

impl ClientRequest {
    /// A request for a client called `name`, with the defaults.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), emails: Vec::new(), uris: Vec::new(), days: 365, key: KeyKind::P256 }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        common_name(&self.name)?;
        self.emails.iter().try_for_each(|email| check_email(email))?;
        self.uris.iter().try_for_each(|uri| check_uri(uri))?;
        check_days(self.days, 3650)
    }
}

/// The kind of a new key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyKind {
    /// EC P-256, which every current client accepts.
    P256,
    /// RSA of 2048 bits, for old clients. Made with the feature `aws-lc-rs` only.
    Rsa2048,
    /// RSA of 4096 bits. Made with the feature `aws-lc-rs` only.
    Rsa4096,
}

/// A certificate that an [`Authority`](super::Authority) signed, and its private key.
pub struct Issued {
    /// The certificate in PEM.
    pub certificate_pem: String,
    /// The private key in PEM (PKCS#8). Keep it private.
    pub key_pem: String,
}

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Usage {
    /// Authenticating a server.
    Server,
    /// Authenticating a client.
    Client,
}

/// A revoked certificate.
#[derive(Debug, Clone)]
pub struct Revoked {
    /// Its serial number, as in the certificate: big-endian.
    pub serial: Vec<u8>,
    /// When it was revoked.
    pub at: SystemTime,
    /// The reason.
    pub reason: Reason,
}

/// Why a certificate is revoked (RFC 5280, section 5.3.1; only reasons that fit an end entity and are permanent).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// No reason is given.
    #[default]
    Unspecified,
    /// Somebody else has the key, or may have it.
    KeyCompromise,
    /// The holder's name or affiliation has changed.
    AffiliationChanged,
    /// A new certificate has taken its place.
    Superseded,
    /// The holder no longer exists.
    CessationOfOperation,
    /// The holder has lost the privilege that the certificate was for.
    PrivilegeWithdrawn,
}

impl Reason {
    pub(super) const ALL: [(Self, &'static str); 6] = [
        (Self::Unspecified, "unspecified"),
        (Self::KeyCompromise, "key-compromise"),
        (Self::AffiliationChanged, "affiliation-changed"),
        (Self::Superseded, "superseded"),
        (Self::CessationOfOperation, "cessation-of-operation"),
        (Self::PrivilegeWithdrawn, "privilege-withdrawn"),
    ];

    /// The reason for a word of RFC 5280 in a list of any program; `Unspecified` if none fits.
    pub(super) fn of_rfc_5280(word: &str) -> Self {
        let plain = |text: &str| text.replace('-', "").to_ascii_lowercase();
        Self::ALL.iter().find(|(_, own)| plain(own) == plain(word)).map_or(Self::Unspecified, |(reason, _)| *reason)
    }
}

/// The key is never shown.
impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Issued")
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::ALL.iter().find(|(reason, _)| reason == self).map_or("", |(_, word)| *word))
    }
}

impl FromStr for Reason {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let found = Self::ALL.iter().find(|(_, word)| *word == text).map(|(reason, _)| *reason);
        found.ok_or_else(|| {
            let words = Self::ALL.map(|(_, word)| word).join(", ");
            Error::new(format!("{text:?} is not a reason for a revocation")).hint(format!("one of {words}"))
        })
    }
}

/// X.509 allows 1 to 64 characters (RFC 5280, appendix A.1, `ub-common-name`).
pub(super) fn common_name(name: &str) -> Result<&str, Error> {
    match name.chars().count() {
        1..=64 => Ok(name),
        count => Err(Error::new(format!("a common name has 1 to 64 characters, not {count}"))),
    }
}

/// The name has to be usable as a file name, and must not clash with our other files.
pub(super) fn check_file_name(name: &str) -> Result<(), Error> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte);
    let sound = (1..=64).contains(&name.len()) && name.bytes().all(good) && !name.starts_with(['.', '-']);
    if sound && !["ca", "crl", "index"].contains(&name) && !name.ends_with(".legacy") {
        return Ok(());
    }
    Err(bad_name(name))
}

pub(super) fn check_client_name(name: &str) -> Result<(), Error> {
    if name == SERVER { Err(bad_name(name)) } else { check_file_name(name) }
}

fn bad_name(name: &str) -> Error {
    let error = Error::new(format!("{name:?} cannot be the name of a certificate here"));
    let rule = "1 to 64 letters, digits and . _ - @, not beginning with . or -; ca, server, crl, index and *.legacy are reserved";
    error.hint(match name.chars().find(|letter| letter.is_alphabetic() && !letter.is_ascii()) {
        // Programs may encode such a letter differently, which makes another file and another name.
        Some(letter) => format!("write it without {letter}: only the letters a to z and A to Z are allowed; {rule}"),
        None => rule.to_owned(),
    })
}

pub(super) fn check_days(days: u32, most: u32) -> Result<(), Error> {
    if (1..=most).contains(&days) {
        return Ok(());
    }
    let error = Error::new(format!("a certificate is valid for 1 to {most} days, not {days}"));
    Err(if most == 397 { error.hint("browsers accept a server certificate for at most 397 days") } else { error })
}

/// The minimum suits the weaker of the two files. All programs encode these characters alike.
pub(super) fn check_password(password: &str) -> Result<(), Error> {
    if password.len() < MIN_PASSWORD {
        return Err(Error::new(format!("the password of a PKCS#12 file needs at least {MIN_PASSWORD} characters")));
    }
    if !password.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        return Err(Error::new("the password of a PKCS#12 file has to be printable ASCII")
            .hint("programs do not agree on how other characters are encoded"));
    }
    Ok(())
}

const MIN_PASSWORD: usize = 8;

pub(super) fn check_email(email: &str) -> Result<(), Error> {
    let good = |byte: u8| byte.is_ascii_graphic() && !b"<>()[]\",;:\\".contains(&byte);
    let sound = |local: &str, domain: &str| !local.is_empty() && !domain.is_empty() && !domain.contains('@');
    if email.len() <= 254 && email.bytes().all(good) && email.split_once('@').is_some_and(|(l, d)| sound(l, d)) {
        return Ok(());
    }
    Err(Error::new(format!("{email:?} is not an e-mail address that a certificate can hold"))
        .hint("for example alice@example.org, in ASCII; write a domain with other letters in its xn-- form"))
}

/// A scheme, and something after it, are required (RFC 5280, section 4.2.1.6).
pub(super) fn check_uri(uri: &str) -> Result<(), Error> {
    let good = |byte: u8| byte.is_ascii_graphic() && !b"<>\"{}|\\^`".contains(&byte);
    let scheme = |scheme: &str| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    };
    let sound = uri.split_once(':').is_some_and(|(before, rest)| scheme(before) && !rest.trim_matches('/').is_empty());
    if sound && uri.len() <= 2048 && uri.bytes().all(good) {
        return Ok(());
    }
    Err(Error::new(format!("{uri:?} is not a URI with a scheme"))
        .hint("for example spiffe://example.org/alice or urn:uuid:…, in ASCII; write other characters as %xx"))
}

/// DNS names, which may begin with `*.`, and IP addresses.
pub(super) fn check_hosts(hosts: &[&str]) -> Result<(), Error> {
    let is_host = |host: &str| {
        let name = host.strip_prefix("*.").unwrap_or(host);
        // A resolver accepts a dot at the end, but in a certificate such a name matches no host.
        host.parse::<IpAddr>().is_ok() || (DnsName::try_from(name).is_ok() && !name.ends_with('.'))
    };
    match hosts.iter().find(|host| !is_host(host)) {
        Some(bad) => Err(Error::new(format!("{bad:?} is neither a DNS name nor an IP address"))
            .hint("for example www.example.org or 192.0.2.1, without scheme, port or path; write letters other than a to z in their xn-- form")),
        None if hosts.is_empty() => Err(Error::new("a server certificate needs a host name")),
        None => Ok(()),
    }
}

/// Whether the name constraints of a CA allow it to vouch for a host (RFC 5280, section 4.2.1.10).
pub(super) fn may_vouch_for(ca: &Certificate<'_>, host: &str) -> bool {
    let Some(constraints) = &ca.name_constraints else { return true };
    let octets = match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => Some(address.octets().to_vec()),
        Ok(IpAddr::V6(address)) => Some(address.octets().to_vec()),
        Err(_) => None,
    };
    let name = match &octets {
        Some(octets) => GeneralName { kind: NameKind::Ip, value: octets },
        None => GeneralName { kind: NameKind::Dns, value: host.as_bytes() },
    };
    name_constraints::permits(constraints, name, &mut MOST_COMPARISONS.clone()).is_ok()
}
