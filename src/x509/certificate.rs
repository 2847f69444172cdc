//! What is in a certificate: the facts that are needed to judge, explain and identify. The only file that uses
//! `x509_parser`. It says what is written, not whether it is true.

use std::fmt;
use std::net::IpAddr;
use std::time::SystemTime;

use x509_parser::asn1_rs::{FromDer, Oid};
use x509_parser::oid_registry as oid;

use super::der::{NotDer, Reader, integer, natural, only, tag};
use super::distinguished_name::{Attribute, is_same_name, read};
use super::extensions::{BasicConstraints, Extensions, GeneralName, NameConstraints, NameKind, Policies};
use super::time::{seconds, time};

/// A subject or issuer has at most this many attributes, and a certificate at most this many subject alternative names. They
/// are kept in memory while a client is connected, and take many times their encoded size.
const MOST_ATTRIBUTES: usize = 200;
const MOST_ALTERNATIVE_NAMES: usize = 1000;

/// A certificate that was read. Names are kept as raw DER, for comparison.
#[derive(Debug)]
pub(crate) struct Certificate<'a> {
    pub(crate) der: &'a [u8],
    /// The version as written, plus 1; valid are 1, 2 and 3.
    pub(crate) version: u32,
    /// Only version 3 should have any.
    pub(crate) has_extensions: bool,
    pub(crate) subject: &'a [u8],
    pub(crate) issuer: &'a [u8],
    pub(crate) serial: &'a [u8],
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
    /// Basic constraints, if present.
    pub(crate) basic_constraints: Option<BasicConstraints>,
    /// Whether the key usage allows signing certificates; true without a key usage.
    pub(crate) may_sign_certificates: bool,
    /// The same for revocation lists.
    pub(crate) may_sign_crls: bool,
    /// Whether the key usage allows signing in a handshake; true without a key usage.
    pub(crate) may_sign_handshakes: bool,
    /// Whether the extended key usage allows authenticating clients; true without one.
    pub(crate) may_authenticate_clients: bool,
    /// The same for servers.
    pub(crate) may_authenticate_servers: bool,
    pub(crate) subject_key_id: Option<&'a [u8]>,
    pub(crate) authority_key_id: Option<&'a [u8]>,
    /// All subject alternative names, unread; `None`: there is no such extension.
    pub(crate) all_alternative_names: Option<Vec<GeneralName<'a>>>,
    pub(crate) name_constraints: Option<NameConstraints<'a>>,
    /// The full names of the distribution points whose lists its issuer signs.
    pub(crate) distribution_points: Vec<GeneralName<'a>>,
    pub(crate) policies: Policies<'a>,
    /// The object identifier of an unsupported critical extension, if there is one.
    pub(crate) unknown_critical: Option<String>,
    /// The public key with its algorithm: the whole `SubjectPublicKeyInfo`.
    pub(crate) spki: &'a [u8],
    pub(crate) key: Key,
    /// What is signed, the algorithm (the content of its `AlgorithmIdentifier`), and the signature.
    pub(crate) signed: &'a [u8],
    pub(crate) signature_algorithm: &'a [u8],
    pub(crate) signature: &'a [u8],
}

/// The type of a public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    /// With the number of bits of its modulus.
    Rsa(usize),
    /// RSA in a form that is not supported: its name.
    OddRsa(&'static str),
    /// On an elliptic curve: its name.
    EllipticCurve(&'static str),
    /// On an Edwards curve: its name.
    Edwards(&'static str),
    /// Anything else: its name.
    Other(&'static str),
}

/// The bytes are not a certificate.
#[derive(Debug, Clone)]
pub(crate) struct NotACertificate(String);

/// The public key of a certificate with its algorithm (`SubjectPublicKeyInfo`), even if the rest cannot be used.
pub(crate) fn spki_in(der: &[u8]) -> Result<&[u8], NotACertificate> {
    Parts::read(der).map(|parts| parts.spki).map_err(|_| broken_structure())
}

fn broken_structure() -> NotACertificate {
    NotACertificate("its structure is broken".to_owned())
}

impl<'a> Certificate<'a> {
    /// Reads a certificate of any version (RFC 5280, section 4.1). It never panics.
    pub(crate) fn parse(der: &'a [u8]) -> Result<Self, NotACertificate> {
        let parts = Parts::read(der).map_err(|_| broken_structure())?;
        if parts.inner_algorithm != parts.signature_algorithm {
            let why = "it names two different algorithms for its signature";
            return Err(NotACertificate(why.to_owned()));
        }
        for (name, what) in [(parts.subject, "subject"), (parts.issuer, "issuer")] {
            match read(name) {
                None => return Err(NotACertificate(format!("a broken {what}"))),
                Some(name) if name.iter().map(Vec::len).sum::<usize>() > MOST_ATTRIBUTES => {
                    return Err(NotACertificate(format!("a {what} of more than {MOST_ATTRIBUTES} attributes")));
                }
                Some(_) => {}
            }
        }
        let (not_before, not_after) = dates(parts.validity).map_err(|_| NotACertificate("broken dates".to_owned()))?;
        let extensions = parts.extensions.map(Extensions::read).transpose().map_err(NotACertificate)?;
        let has_extensions = extensions.is_some();
        let extensions = extensions.unwrap_or_default();
        if extensions.alternative_names.as_ref().is_some_and(|names| names.len() > MOST_ALTERNATIVE_NAMES) {
            let why = format!("it has more than {MOST_ALTERNATIVE_NAMES} alternative names");
            return Err(NotACertificate(why));
        }
        let usage = extensions.key_usage;
        Ok(Self {
            der,
            version: parts.version.saturating_add(1),
            has_extensions,
            subject: parts.subject,
            issuer: parts.issuer,
            serial: parts.serial,
            not_before,
            not_after,
            basic_constraints: extensions.basic_constraints,
            may_sign_certificates: usage.is_none_or(|usage| usage.certificates),
            may_sign_crls: usage.is_none_or(|usage| usage.crls),
            may_sign_handshakes: usage.is_none_or(|usage| usage.handshakes),
            may_authenticate_clients: extensions.purposes.is_none_or(|purposes| purposes.client),
            may_authenticate_servers: extensions.purposes.is_none_or(|purposes| purposes.server),
            subject_key_id: extensions.subject_key_id,
            authority_key_id: extensions.authority_key_id,
            all_alternative_names: extensions.alternative_names,
            name_constraints: extensions.name_constraints,
            distribution_points: extensions.distribution_points,
            policies: extensions.policies,
            unknown_critical: extensions.unknown_critical,
            spki: parts.spki,
            key: key(parts.key_algorithm, parts.key),
            signed: parts.signed,
            signature_algorithm: parts.signature_algorithm,
            signature: parts.signature,
        })
    }

    /// Whether it is marked as a CA.
    pub(crate) fn is_ca(&self) -> bool {
        self.basic_constraints.is_some_and(|constraints| constraints.ca)
    }

    /// Whether subject and issuer are equal (RFC 5280, section 7.1).
    pub(crate) fn is_self_issued(&self) -> bool {
        self.subject == self.issuer || is_same_name(self.subject, self.issuer)
    }

    /// The subject's attributes, one list for each relative name.
    pub(crate) fn subject_names(&self) -> Vec<Vec<Attribute>> {
        read(self.subject).unwrap_or_default()
    }

    /// The subject alternative names that are valid for their types.
    pub(crate) fn alternative_names(&self) -> AlternativeNames {
        let mut found = AlternativeNames::default();
        for name in self.all_alternative_names.iter().flatten() {
            let (word, list, text) = match name.kind {
                NameKind::Dns => ("dns", &mut found.dns, name.text()),
                NameKind::Email => ("email", &mut found.emails, name.text()),
                NameKind::Uri => ("uri", &mut found.uris, name.text()),
                NameKind::Other => ("upn", &mut found.upns, user_principal_name(name.value)),
                NameKind::Ip => {
                    if let Some(address) = ip_address(name.value) {
                        found.first.get_or_insert_with(|| ("ip", address.to_string()));
                        found.ips.push(address);
                    }
                    continue;
                }
                NameKind::Directory | NameKind::Rare(_) => continue,
            };
            if let Some(text) = text {
                found.first.get_or_insert_with(|| (word, text.to_owned()));
                list.push(text.to_owned());
            }
        }
        found
    }
}

/// Subject alternative names by type.
#[derive(Debug, Default)]
pub(crate) struct AlternativeNames {
    pub(crate) dns: Vec<String>,
    pub(crate) emails: Vec<String>,
    pub(crate) uris: Vec<String>,
    pub(crate) upns: Vec<String>,
    pub(crate) ips: Vec<IpAddr>,
    /// The first of all, with its type as the word of a rule.
    pub(crate) first: Option<(&'static str, String)>,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Rsa(bits) => write!(f, "RSA {bits}"),
            Key::OddRsa(name) | Key::EllipticCurve(name) | Key::Edwards(name) | Key::Other(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for NotACertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a readable X.509 certificate: {}", self.0)
    }
}

impl std::error::Error for NotACertificate {}

/// The parts of a certificate, unread.
struct Parts<'a> {
    version: u32,
    serial: &'a [u8],
    inner_algorithm: &'a [u8],
    issuer: &'a [u8],
    /// The whole element.
    validity: &'a [u8],
    subject: &'a [u8],
    /// The whole element, and the contents of its two parts.
    spki: &'a [u8],
    key_algorithm: &'a [u8],
    key: &'a [u8],
    extensions: Option<&'a [u8]>,
    signed: &'a [u8],
    signature_algorithm: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Parts<'a> {
    fn read(der: &'a [u8]) -> Result<Self, NotDer> {
        let mut outer = Reader::of(der, tag::SEQUENCE)?;
        let signed = outer.expect_whole(tag::SEQUENCE)?;
        let signature_algorithm = outer.expect(tag::SEQUENCE)?;
        let signature = whole_octets(outer.expect(tag::BIT_STRING)?)?;
        outer.end()?;
        let mut inner = Reader::new(signed.content);
        let version = match inner.optional(tag::constructed(0))? {
            Some(version) => natural(only(version, tag::INTEGER)?)?,
            None => 0,
        };
        let serial = integer(inner.expect(tag::INTEGER)?)?;
        let inner_algorithm = inner.expect(tag::SEQUENCE)?;
        let issuer = inner.expect_whole(tag::SEQUENCE)?.whole;
        let validity = inner.expect_whole(tag::SEQUENCE)?.whole;
        let subject = inner.expect_whole(tag::SEQUENCE)?.whole;
        let spki = inner.expect_whole(tag::SEQUENCE)?;
        let mut key = Reader::new(spki.content);
        let key_algorithm = key.expect(tag::SEQUENCE)?;
        let key_bits = whole_octets(key.expect(tag::BIT_STRING)?)?;
        key.end()?;
        // The unique identifiers of section 4.1.2.8, which are not in use.
        inner.optional(tag::context(1))?;
        inner.optional(tag::context(2))?;
        let extensions = inner.optional(tag::constructed(3))?;
        inner.end()?;
        let (signed, spki) = (signed.whole, spki.whole);
        let key = key_bits;
        Ok(Self {
            version,
            serial,
            inner_algorithm,
            issuer,
            validity,
            subject,
            spki,
            key_algorithm,
            key,
            extensions,
            signed,
            signature_algorithm,
            signature,
        })
    }
}

/// The octets of a BIT STRING, whose first octet is the number of unused bits, here 0.
fn whole_octets(content: &[u8]) -> Result<&[u8], NotDer> {
    content.strip_prefix(&[0]).ok_or(NotDer)
}

/// The first and the last moment of a certificate's validity.
fn dates(validity: &[u8]) -> Result<(SystemTime, SystemTime), NotDer> {
    let mut dates = Reader::of(validity, tag::SEQUENCE)?;
    let both = (time(seconds(dates.any()?)?), time(seconds(dates.any()?)?));
    dates.end()?;
    Ok(both)
}

/// Whether two `SubjectPublicKeyInfo` have the same key. A point of an elliptic curve has two encodings (RFC 5480, section
/// 2.2).
pub(crate) fn is_same_key(one: &[u8], other: &[u8]) -> bool {
    one == other || point(one).is_some_and(|point_of_one| point(other) == Some(point_of_one))
}

/// For a point on an elliptic curve: the algorithm, x, and whether y is odd.
fn point(spki: &[u8]) -> Option<(&[u8], &[u8], bool)> {
    let mut key = Reader::of(spki, tag::SEQUENCE).ok()?;
    let algorithm = key.expect(tag::SEQUENCE).ok()?;
    let (_, kind) = Oid::from_der(algorithm).ok()?;
    let (form, point) = whole_octets(key.expect(tag::BIT_STRING).ok()?).ok()?.split_first()?;
    let (x, y_is_odd) = match form {
        2 | 3 => (point, *form == 3),
        4 => (&point[..point.len() / 2], point.last()? % 2 == 1),
        _ => return None,
    };
    (kind == oid::OID_KEY_TYPE_EC_PUBLIC_KEY).then_some((algorithm, x, y_is_odd))
}

/// The type of the public key in a `SubjectPublicKeyInfo`.
pub(crate) fn key_of(spki: &[u8]) -> Key {
    let parts = Reader::of(spki, tag::SEQUENCE).and_then(|mut key| {
        let algorithm = key.expect(tag::SEQUENCE)?;
        Ok((algorithm, whole_octets(key.expect(tag::BIT_STRING)?)?))
    });
    parts.map_or(Key::Other("unreadable"), |(algorithm, bits)| key(algorithm, bits))
}

fn key(algorithm: &[u8], bits: &[u8]) -> Key {
    let Ok((parameters, kind)) = Oid::from_der(algorithm) else { return Key::Other("unreadable") };
    let curve = || Oid::from_der(parameters).ok().map(|(_, curve)| curve);
    match () {
        // RFC 3279, section 2.3.1: "The parameters field MUST have ASN.1 type NULL".
        () if kind == oid::OID_PKCS1_RSAENCRYPTION && parameters == [5, 0] => Key::Rsa(modulus_bits(bits)),
        () if kind == oid::OID_PKCS1_RSAENCRYPTION => Key::OddRsa("RSA without the NULL parameters of its algorithm"),
        () if kind == oid::OID_PKCS1_RSASSAPSS => Key::OddRsa("RSA for PSS only"),
        () if kind == oid::OID_SIG_ED25519 => Key::Edwards("Ed25519"),
        () if kind == oid::OID_SIG_ED448 => Key::Edwards("Ed448"),
        () if kind == oid::OID_KEY_TYPE_EC_PUBLIC_KEY => match curve() {
            Some(curve) if curve == oid::OID_EC_P256 => Key::EllipticCurve("EC P-256"),
            Some(curve) if curve == oid::OID_NIST_EC_P384 => Key::EllipticCurve("EC P-384"),
            Some(curve) if curve == oid::OID_NIST_EC_P521 => Key::EllipticCurve("EC P-521"),
            _ => Key::EllipticCurve("EC on another curve"),
        },
        () => Key::Other("of another kind"),
    }
}

/// The number of bits of the modulus of a PKCS#1 public key.
fn modulus_bits(key: &[u8]) -> usize {
    let modulus = Reader::of(key, tag::SEQUENCE).and_then(|mut key| key.expect(tag::INTEGER)).unwrap_or_default();
    let significant = modulus.iter().position(|byte| *byte != 0).map_or(&[][..], |at| &modulus[at..]);
    significant.first().map_or(0, |first| significant.len() * 8 - first.leading_zeros() as usize)
}

/// Microsoft's user principal name, which has to be a UTF8String, from the content of an otherName.
fn user_principal_name(other_name: &[u8]) -> Option<&str> {
    const USER_PRINCIPAL_NAME: &[u8] = &[0x2b, 6, 1, 4, 1, 0x82, 0x37, 20, 2, 3];
    let mut name = Reader::new(other_name);
    if name.object_identifier() != Ok(USER_PRINCIPAL_NAME) {
        return None;
    }
    let value = name.expect(tag::constructed(0)).ok().filter(|_| name.is_at_end())?;
    std::str::from_utf8(only(value, tag::UTF8_STRING).ok()?).ok()
}

fn ip_address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}
