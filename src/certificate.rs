//! What stands in a certificate: the facts that judging, explaining and identifying need. The one file that speaks to
//! `x509_parser`. It says what is written, not whether it is true.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use x509_parser::asn1_rs::{Any, Class, FromDer, Oid};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry as oid;
use x509_parser::x509::X509Name;

use crate::distinguished_name::string;

/// One certificate, read. Names are raw DER where they are compared, and parsed where they are shown.
#[derive(Debug)]
pub(crate) struct Certificate<'a> {
    pub(crate) der: &'a [u8],
    /// 1, 2 or 3 by the book; whatever stands there.
    pub(crate) version: u32,
    /// Those of version 1 have none by the book.
    pub(crate) has_extensions: bool,
    pub(crate) subject: &'a [u8],
    pub(crate) issuer: &'a [u8],
    pub(crate) serial: &'a [u8],
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
    /// Basic constraints, if there are any.
    pub(crate) basic_constraints: Option<BasicConstraints>,
    /// Whether the key usage, if there is any, lets it sign certificates.
    pub(crate) may_sign_certificates: bool,
    /// The same for revocation lists.
    pub(crate) may_sign_crls: bool,
    /// Whether the key usage, if there is any, lets it sign in a handshake.
    pub(crate) may_sign_handshakes: bool,
    /// Whether the extended key usage, if there is any, lets it authenticate clients.
    pub(crate) may_authenticate_clients: bool,
    pub(crate) subject_key_id: Option<&'a [u8]>,
    pub(crate) authority_key_id: Option<&'a [u8]>,
    /// The public key with its algorithm: the whole `SubjectPublicKeyInfo`.
    pub(crate) spki: &'a [u8],
    pub(crate) key: Key,
    /// What is signed, with which algorithm (the inside of its `AlgorithmIdentifier`), and the signature.
    pub(crate) signed: &'a [u8],
    pub(crate) signature_algorithm: &'a [u8],
    pub(crate) signature: Vec<u8>,
    parsed: X509Certificate<'a>,
}

/// RFC 5280, section 4.2.1.9.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BasicConstraints {
    pub(crate) ca: bool,
    /// How many intermediates may follow.
    pub(crate) path_length: Option<u32>,
}

/// The kind of a public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    /// With the bits of its modulus.
    Rsa(usize),
    /// Anything else, in words.
    Other(&'static str),
}

/// The bytes are no certificate.
#[derive(Debug, Clone)]
pub(crate) struct NotACertificate(String);

impl<'a> Certificate<'a> {
    /// Reads a certificate of any version. Never panics, whatever the bytes are.
    pub(crate) fn parse(der: &'a [u8]) -> Result<Self, NotACertificate> {
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|error| NotACertificate(error.to_string()))?;
        if !rest.is_empty() {
            return Err(NotACertificate("bytes after its end".to_owned()));
        }
        let tbs = &parsed.tbs_certificate;
        let (signed, signature_algorithm) =
            outer_parts(der).ok_or_else(|| NotACertificate("a broken outer structure".to_owned()))?;
        if parsed.signature_value.unused_bits != 0 {
            return Err(NotACertificate("a signature that is no whole number of octets".to_owned()));
        }
        let mut certificate = Self {
            der,
            version: tbs.version().0.saturating_add(1),
            has_extensions: !tbs.extensions().is_empty(),
            subject: tbs.subject.as_raw(),
            issuer: tbs.issuer.as_raw(),
            serial: tbs.raw_serial(),
            not_before: time(tbs.validity.not_before.timestamp()),
            not_after: time(tbs.validity.not_after.timestamp()),
            basic_constraints: None,
            may_sign_certificates: true,
            may_sign_crls: true,
            may_sign_handshakes: true,
            may_authenticate_clients: true,
            subject_key_id: None,
            authority_key_id: None,
            spki: tbs.subject_pki.raw,
            key: key(tbs.subject_pki.raw, &tbs.subject_pki.subject_public_key.data),
            signed,
            signature_algorithm,
            signature: parsed.signature_value.data.to_vec(),
            parsed: parsed.clone(),
        };
        for extension in tbs.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::BasicConstraints(constraints) => {
                    certificate.basic_constraints =
                        Some(BasicConstraints { ca: constraints.ca, path_length: constraints.path_len_constraint });
                }
                ParsedExtension::KeyUsage(usage) => {
                    certificate.may_sign_certificates = usage.key_cert_sign();
                    certificate.may_sign_crls = usage.crl_sign();
                    certificate.may_sign_handshakes = usage.digital_signature();
                }
                ParsedExtension::ExtendedKeyUsage(usage) => {
                    certificate.may_authenticate_clients = usage.client_auth || usage.any;
                }
                ParsedExtension::SubjectKeyIdentifier(id) => certificate.subject_key_id = Some(id.0),
                ParsedExtension::AuthorityKeyIdentifier(id) => {
                    certificate.authority_key_id = id.key_identifier.as_ref().map(|id| id.0);
                }
                ParsedExtension::ParseError { .. } => {
                    return Err(NotACertificate(format!("a broken extension {}", extension.oid)));
                }
                _ => {}
            }
        }
        Ok(certificate)
    }

    /// Whether it is marked as a CA.
    pub(crate) fn is_ca(&self) -> bool {
        self.basic_constraints.is_some_and(|constraints| constraints.ca)
    }

    /// Whether subject and issuer are the same.
    pub(crate) fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }

    /// The algorithm of its key: the inside of the `AlgorithmIdentifier`.
    pub(crate) fn key_algorithm(&self) -> Option<&'a [u8]> {
        let (_, spki) = Any::from_der(self.spki).ok()?;
        let (_, algorithm) = Any::from_der(spki.data).ok()?;
        Some(algorithm.data)
    }

    /// The subject's attributes, relative name by relative name.
    pub(crate) fn subject_names(&self) -> Vec<Vec<Attribute>> {
        names(&self.parsed.tbs_certificate.subject)
    }

    pub(crate) fn issuer_names(&self) -> Vec<Vec<Attribute>> {
        names(&self.parsed.tbs_certificate.issuer)
    }

    /// The subject alternative names that can be read as what they claim to be.
    pub(crate) fn alternative_names(&self) -> AlternativeNames {
        let mut found = AlternativeNames::default();
        for extension in self.parsed.tbs_certificate.extensions() {
            let ParsedExtension::SubjectAlternativeName(names) = extension.parsed_extension() else { continue };
            for name in &names.general_names {
                match name {
                    GeneralName::DNSName(name) => found.dns.push((*name).to_owned()),
                    GeneralName::RFC822Name(name) => found.emails.push((*name).to_owned()),
                    GeneralName::URI(name) => found.uris.push((*name).to_owned()),
                    GeneralName::IPAddress(bytes) => found.ips.extend(ip_address(bytes)),
                    _ => {}
                }
            }
        }
        found
    }
}

/// What a CA's name constraints say of DNS names and of addresses, each an address followed by its mask.
#[cfg(all(feature = "pki", any(feature = "aws-lc-rs", feature = "ring")))]
#[derive(Debug, Default)]
pub(crate) struct Subtrees {
    pub(crate) dns: Vec<String>,
    pub(crate) ranges: Vec<Vec<u8>>,
}

#[cfg(all(feature = "pki", any(feature = "aws-lc-rs", feature = "ring")))]
impl Certificate<'_> {
    /// The subtrees of names that a CA may vouch for, and those that it may not.
    pub(crate) fn name_constraints(&self) -> (Subtrees, Subtrees) {
        let (mut permitted, mut excluded) = (Subtrees::default(), Subtrees::default());
        for extension in self.parsed.tbs_certificate.extensions() {
            let ParsedExtension::NameConstraints(constraints) = extension.parsed_extension() else { continue };
            for (from, to) in
                [(&constraints.permitted_subtrees, &mut permitted), (&constraints.excluded_subtrees, &mut excluded)]
            {
                for subtree in from.iter().flatten() {
                    match &subtree.base {
                        GeneralName::DNSName(name) => to.dns.push((*name).to_owned()),
                        GeneralName::IPAddress(range) => to.ranges.push(range.to_vec()),
                        _ => {}
                    }
                }
            }
        }
        (permitted, excluded)
    }

    /// How many subject alternative names there are, those that [`alternative_names`](Self::alternative_names) cannot
    /// read included.
    pub(crate) fn count_alternative_names(&self) -> usize {
        let count = |extension: &ParsedExtension<'_>| match extension {
            ParsedExtension::SubjectAlternativeName(names) => names.general_names.len(),
            _ => 0,
        };
        self.parsed.tbs_certificate.extensions().iter().map(|extension| count(extension.parsed_extension())).sum()
    }
}

/// The attributes of a name in DER, as [`Certificate::subject_names`]; none if it cannot be read.
pub(crate) fn names_in(name: &[u8]) -> Vec<Vec<Attribute>> {
    X509Name::from_der(name).map(|(_, name)| names(&name)).unwrap_or_default()
}

/// One attribute of a name: `CN=client1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    pub(crate) oid: String,
    pub(crate) short_name: Option<&'static str>,
    pub(crate) value: String,
}

impl Attribute {
    /// The object identifier of its type, dotted: `2.5.4.3`.
    pub fn oid(&self) -> &str {
        &self.oid
    }

    /// The short name of its type, if it is a common one: `CN`.
    pub fn short_name(&self) -> Option<&str> {
        self.short_name
    }

    /// The value, decoded to text whatever kind of string it was; just as it stands in the certificate, control
    /// characters included. A value that is no string is shown as `#` and hexadecimal digits (RFC 4514, section 2.4).
    pub fn value(&self) -> &str {
        &self.value
    }
}

/// Subject alternative names by type.
#[derive(Debug, Default)]
pub(crate) struct AlternativeNames {
    pub(crate) dns: Vec<String>,
    pub(crate) emails: Vec<String>,
    pub(crate) uris: Vec<String>,
    pub(crate) ips: Vec<IpAddr>,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Rsa(bits) => write!(f, "RSA {bits}"),
            Key::Other(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for NotACertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a readable X.509 certificate: {}", self.0)
    }
}

impl std::error::Error for NotACertificate {}

/// The signed part with its header, and the inside of the signature's algorithm, which has to be the same within and without.
fn outer_parts(der: &[u8]) -> Option<(&[u8], &[u8])> {
    const SEQUENCE: u8 = 0x30;
    const BIT_STRING: u8 = 0x03;
    fn element(tag: u8, der: &[u8]) -> Option<(&[u8], Any<'_>)> {
        Any::from_der(der).ok().filter(|_| der.first() == Some(&tag))
    }
    let (_, outer) = element(SEQUENCE, der)?;
    let (after_signed, tbs) = element(SEQUENCE, outer.data)?;
    let signed = &outer.data[..outer.data.len() - after_signed.len()];
    let (after_algorithm, algorithm) = element(SEQUENCE, after_signed)?;
    element(BIT_STRING, after_algorithm).filter(|(rest, _)| rest.is_empty())?;
    // After the version, if there is one, and the serial number.
    let (after_first, first) = Any::from_der(tbs.data).ok()?;
    let rest = if first.class() == Class::ContextSpecific { Any::from_der(after_first).ok()?.0 } else { after_first };
    let (_, inner) = element(SEQUENCE, rest)?;
    (inner.data == algorithm.data).then_some((signed, algorithm.data))
}

/// Seconds since 1970, also before it; X.509 cannot leave the range that `SystemTime` has.
pub(crate) fn time(seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let time = match seconds >= 0 {
        true => SystemTime::UNIX_EPOCH.checked_add(distance),
        false => SystemTime::UNIX_EPOCH.checked_sub(distance),
    };
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

fn key(spki: &[u8], bits: &[u8]) -> Key {
    let algorithm = Any::from_der(spki).ok().and_then(|(_, spki)| Any::from_der(spki.data).ok());
    let Some((_, algorithm)) = algorithm else { return Key::Other("unreadable") };
    let Ok((parameters, kind)) = Oid::from_der(algorithm.data) else { return Key::Other("unreadable") };
    let curve = || Oid::from_der(parameters).ok().map(|(_, curve)| curve);
    match () {
        () if kind == oid::OID_PKCS1_RSAENCRYPTION || kind == oid::OID_PKCS1_RSASSAPSS => Key::Rsa(modulus_bits(bits)),
        () if kind == oid::OID_SIG_ED25519 => Key::Other("Ed25519"),
        () if kind == oid::OID_SIG_ED448 => Key::Other("Ed448"),
        () if kind == oid::OID_KEY_TYPE_EC_PUBLIC_KEY => match curve() {
            Some(curve) if curve == oid::OID_EC_P256 => Key::Other("EC P-256"),
            Some(curve) if curve == oid::OID_NIST_EC_P384 => Key::Other("EC P-384"),
            Some(curve) if curve == oid::OID_NIST_EC_P521 => Key::Other("EC P-521"),
            _ => Key::Other("EC on another curve"),
        },
        () => Key::Other("of another kind"),
    }
}

/// Bits of the modulus of a PKCS#1 public key.
fn modulus_bits(key: &[u8]) -> usize {
    let modulus = Any::from_der(key).ok().and_then(|(_, key)| Any::from_der(key.data).ok());
    let Some((_, modulus)) = modulus else { return 0 };
    let significant = modulus.data.iter().position(|byte| *byte != 0).map_or(&[][..], |at| &modulus.data[at..]);
    significant.first().map_or(0, |first| significant.len() * 8 - first.leading_zeros() as usize)
}

fn ip_address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

fn names(name: &X509Name<'_>) -> Vec<Vec<Attribute>> {
    name.iter_rdn()
        .map(|rdn| {
            rdn.iter()
                .map(|attribute| Attribute {
                    oid: attribute.attr_type().to_id_string(),
                    short_name: short_name(attribute.attr_type()),
                    value: text(attribute.attr_value()),
                })
                .collect()
        })
        .collect()
}

/// The names of RFC 4514, section 3, and two that are in wide use.
fn short_name(kind: &Oid<'_>) -> Option<&'static str> {
    let known = [
        (oid::OID_X509_COMMON_NAME, "CN"),
        (oid::OID_X509_ORGANIZATION_NAME, "O"),
        (oid::OID_X509_ORGANIZATIONAL_UNIT, "OU"),
        (oid::OID_X509_COUNTRY_NAME, "C"),
        (oid::OID_X509_STATE_OR_PROVINCE_NAME, "ST"),
        (oid::OID_X509_LOCALITY_NAME, "L"),
        (oid::OID_X509_STREET_ADDRESS, "STREET"),
        (oid::OID_DOMAIN_COMPONENT, "DC"),
        (oid::OID_USERID, "UID"),
        (oid::OID_X509_SERIALNUMBER, "serialNumber"),
        (oid::OID_PKCS9_EMAIL_ADDRESS, "emailAddress"),
    ];
    known.iter().find(|(oid, _)| oid == kind).map(|(_, name)| *name)
}

/// Text of any of the kinds of string that X.509 knows.
fn text(value: &Any<'_>) -> String {
    let data = value.data;
    string(value.tag().0, data)
        .unwrap_or_else(|| std::iter::once("#".to_owned()).chain(data.iter().map(|b| format!("{b:02x}"))).collect())
}
