//! Reads the file that browsers export (PKCS#12, RFC 7292): from NSS and Firefox, Java, Windows and OpenSSL. An error says
//! what cannot be read.

use p12_keystore::error::Error as ReadError;
use p12_keystore::{CertificateBag, Pkcs12Archive, PrivateKeyBag};
use rustls::pki_types::PrivatePkcs8KeyDer;

use super::ber::{CONTEXT_0, Content, Element};
use crate::crypto;
use crate::error::Error;
use crate::x509::certificate::Certificate;
use crate::x509::der::dotted;
use crate::x509::der::tag::{INTEGER, OBJECT_IDENTIFIER as OID, OCTET_STRING, SEQUENCE};
use crate::x509::distinguished_name::normal_form;
use crate::x509::identity::Identity;

/// The hint of errors for which the password may be the reason.
pub(crate) const WRONG_PASSWORD: &str = "is this the password of this file?";

/// The certificates of a PKCS#12 file in DER: first that of the key, then its chain.
///
/// Its integrity is checked if it is protected by the method of RFC 7292, appendix B, and all of the file is DER. It is not
/// checked with PBMAC1 (RFC 9579), or if NSS or Firefox wrote the file in BER. Then only the decryption shows that the
/// password is right.
///
/// # Errors
/// The file is not PKCS#12, or it is broken; the password is wrong; the encryption method is not supported; it has no key,
/// no certificate for the key, or several of both.
pub fn pkcs12_certificates(bytes: &[u8], password: &str) -> Result<Vec<Vec<u8>>, Error> {
    let store = Store::read(bytes).ok_or_else(|| {
        Error::new("this PKCS#12 file is broken, or not protected by a password").hint("copy the file again, whole")
    })?;
    store.check_methods()?;
    let archive = Pkcs12Archive::from_pkcs12(&store.der(), password).map_err(|error| store.unreadable(error))?;
    let leaf = leaf(&archive)?;
    Ok(chain(leaf, &archive.certs))
}

/// The parts of a file. Everything that is not encrypted is DER.
struct Store {
    /// An `AuthenticatedSafe`.
    contents: Element,
    /// The MAC of the contents; `None` if it cannot be checked, because the contents were not DER.
    mac: Option<Element>,
}

impl Store {
    fn read(bytes: &[u8]) -> Option<Self> {
        let file = Element::read(bytes)?;
        let [_version, contents, mac @ ..] = file.elements() else { return None };
        let written = octets_of_data(contents)?;
        let mut contents = Element::read(written)?;
        if let Content::Elements(infos) = &mut contents.content {
            infos.iter_mut().for_each(normalise_data);
        }
        let mac = mac.first().filter(|mac| contents.write() == written && !contains_oid(mac, PBMAC1)).cloned();
        Some(Self { contents, mac })
    }

    fn der(&self) -> Vec<u8> {
        let version = Element { tag: INTEGER, content: Content::Octets(vec![3]) };
        let oid = Element { tag: OID, content: Content::Octets(DATA.to_vec()) };
        let octets = Element { tag: OCTET_STRING, content: Content::Octets(self.contents.write()) };
        let explicit = Element { tag: CONTEXT_0, content: Content::Elements(vec![octets]) };
        let data = Element { tag: SEQUENCE, content: Content::Elements(vec![oid, explicit]) };
        let parts = [version, data].into_iter().chain(self.mac.clone()).collect();
        Element { tag: SEQUENCE, content: Content::Elements(parts) }.write()
    }

    /// An unsupported method is reported before anything is decrypted, so that the password is not blamed for it.
    fn check_methods(&self) -> Result<(), Error> {
        match unknown_method(&self.contents) {
            Some(method) => {
                let method = name_of_method(&method);
                Err(Error::new(format!("this PKCS#12 file is encrypted by a method that is not supported: {method}")))
            }
            None => Ok(()),
        }
    }

    fn unreadable(&self, error: ReadError) -> Error {
        let wrong_password = || Error::new("this PKCS#12 file cannot be decrypted").hint(WRONG_PASSWORD);
        match error {
            ReadError::MacError(_) => wrong_password(),
            ReadError::UnsupportedEncryptionScheme | ReadError::UnsupportedMacAlgorithm => {
                Error::new("this PKCS#12 file is encrypted by a method that is not supported")
            }
            ReadError::InvalidParameters => Error::new(
                "this PKCS#12 file asks for more than a million iterations, or for other parameters that are not accepted",
            ),
            ReadError::UnsupportedContentType | ReadError::UnsupportedCertificateType => Error::new(
                "this PKCS#12 file holds something other than X.509 certificates, or is encrypted with a public key",
            ),
            ReadError::X509Error(_) => {
                Error::new("a certificate in this PKCS#12 file is broken").hint("export it again")
            }
            // The password was proven right before, or was not used yet.
            error if self.mac.is_some() => Error::new("something in this PKCS#12 file cannot be read").caused_by(error),
            _ => wrong_password(),
        }
    }
}

/// The certificate of the key. There has to be exactly one.
fn leaf(archive: &Pkcs12Archive) -> Result<&CertificateBag, Error> {
    if archive.certs.is_empty() {
        return Err(Error::new("there is no certificate in this PKCS#12 file").hint("export it with its certificate"));
    }
    if archive.keys.is_empty() {
        return Err(Error::new("there is no private key in this PKCS#12 file, so that nobody can log in with it")
            .hint("export the certificate with its key"));
    }
    let mut leaves: Vec<&CertificateBag> = archive.keys.iter().filter_map(|key| certificate_of(key, archive)).collect();
    leaves.dedup_by(|one, other| one.cert == other.cert);
    match leaves.as_slice() {
        [leaf] => Ok(leaf),
        [] => Err(Error::new("there is a private key in this PKCS#12 file, and no certificate for it")
            .hint("export the key with its certificate")),
        several => {
            let subjects: Vec<_> = several
                .iter()
                .map(|leaf| Certificate::parse(leaf.cert.as_der()).map(|leaf| Identity::of(&leaf).subject().to_owned()))
                .map(|subject| subject.unwrap_or_else(|_| "one that cannot be read".to_owned()))
                .collect();
            Err(Error::new(format!("there are several keys in this PKCS#12 file, for {}", subjects.join("; ")))
                .hint("export the one you want into a file of its own"))
        }
    }
}

/// By the id that both have (RFC 2985, section 5.5.2), or by comparing the keys.
fn certificate_of<'a>(key: &PrivateKeyBag, archive: &'a Pkcs12Archive) -> Option<&'a CertificateBag> {
    let id = key.local_key_id.as_ref().map(AsRef::as_ref);
    let by_id = archive.certs.iter().find(|bag| id.is_some() && bag.local_key_id.as_deref() == id);
    by_id.or_else(|| {
        let provider = crypto::provider();
        let key = PrivatePkcs8KeyDer::from(key.key.as_der().to_vec());
        let key = provider.key_provider.load_private_key(key.into()).ok()?;
        let spki = key.public_key()?;
        archive.certs.iter().find(|bag| Certificate::parse(bag.cert.as_der()).is_ok_and(|it| *it.spki == *spki))
    })
}

/// A certificate and its issuers, as far as they are in the file (names are compared by RFC 5280, section 7.1).
fn chain(leaf: &CertificateBag, bags: &[CertificateBag]) -> Vec<Vec<u8>> {
    let names = |der: &[u8]| {
        let certificate = Certificate::parse(der).ok()?;
        Some((normal_form(certificate.subject)?, normal_form(certificate.issuer)?))
    };
    let all: Vec<_> = bags.iter().map(|bag| (bag.cert.as_der(), names(bag.cert.as_der()))).collect();
    let mut chain = vec![(leaf.cert.as_der(), names(leaf.cert.as_der()))];
    let mut next = 0;
    while let Some((_, names)) = chain.get(next).cloned() {
        next += 1;
        let Some((_, issuer)) = names else { continue };
        for (der, names) in &all {
            let is_issuer = names.as_ref().is_some_and(|(subject, _)| *subject == issuer);
            if is_issuer && !chain.iter().any(|(known, _)| known == der) {
                chain.push((der, names.clone()));
            }
        }
    }
    chain.into_iter().map(|(der, _)| der.to_vec()).collect()
}

/// id-data, 1.2.840.113549.1.7.1 (RFC 5652, section 4).
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
/// The arc of PKCS#5, 1.2.840.113549.1.5 (RFC 8018, appendix C).
const PKCS_5: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05];
const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
const PBMAC1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0e];
/// The arc of the methods of PKCS#12, 1.2.840.113549.1.12.1 (RFC 7292, appendix C).
const PKCS_12_PBE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01];

/// The string in a `ContentInfo` of plain data.
fn octets_of_data(info: &Element) -> Option<&[u8]> {
    match info.elements() {
        [kind, explicit] if kind.octets(OID) == Some(DATA) => explicit.elements().first()?.octets(OCTET_STRING),
        _ => None,
    }
}

/// Turns what is in a `ContentInfo` of plain data into DER.
fn normalise_data(info: &mut Element) {
    let Some(inside) = octets_of_data(info).and_then(Element::read).map(|inside| inside.write()) else { return };
    if let Content::Elements(parts) = &mut info.content
        && let Some(Element { content: Content::Elements(explicit), .. }) = parts.get_mut(1)
        && let Some(string) = explicit.first_mut()
    {
        string.content = Content::Octets(inside);
    }
}

fn contains_oid(element: &Element, oid: &[u8]) -> bool {
    element.octets(OID) == Some(oid) || element.elements().iter().any(|inside| contains_oid(inside, oid))
}

/// The first unsupported encryption method in it, if any, as the octets of its object identifier.
fn unknown_method(element: &Element) -> Option<Vec<u8>> {
    if let Some(inside) = octets_of_data(element).and_then(Element::read) {
        return unknown_method(&inside);
    }
    if let [kind, parameters, ..] = element.elements()
        && let Some(oid) = kind.octets(OID)
    {
        if oid == PBES2 {
            return unknown_part_of_pbes2(parameters);
        }
        let is_read = matches!(oid.strip_prefix(PKCS_12_PBE), Some([3 | 6]));
        if (oid.starts_with(PKCS_12_PBE) || oid.starts_with(PKCS_5)) && !is_read {
            return Some(oid.to_vec());
        }
    }
    element.elements().iter().find_map(unknown_method)
}

/// RFC 8018, appendix A.4: how the key is derived, and the cipher.
fn unknown_part_of_pbes2(parameters: &Element) -> Option<Vec<u8>> {
    let parts = parameters.elements().iter().filter_map(|part| part.elements().first()?.octets(OID));
    let pseudorandom =
        parameters.elements().first().and_then(|kdf| kdf.elements().get(1)?.elements().last()).into_iter();
    let pseudorandom = pseudorandom.filter_map(|part| part.elements().first()?.octets(OID));
    parts.chain(pseudorandom).find(|oid| !PARTS_OF_PBES2.contains(oid)).map(<[u8]>::to_vec)
}

/// PBKDF2 and scrypt; HMAC with SHA-1, SHA-224, SHA-256, SHA-384 and SHA-512; triple DES; AES in CBC and GCM.
const PARTS_OF_PBES2: [&[u8]; 13] = [
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c],
    &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x04, 0x0b],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x07],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x08],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x09],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x0a],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x0b],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x03, 0x07],
    &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x02],
    &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x16],
    &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a],
    &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x06],
    &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2e],
];

/// `RC2 with 128 bits (1.2.840.113549.1.12.1.5)`.
fn name_of_method(oid: &[u8]) -> String {
    let number = dotted(oid);
    let name = match number.as_str() {
        "1.2.840.113549.1.12.1.1" => "RC4 with 128 bits",
        "1.2.840.113549.1.12.1.2" => "RC4 with 40 bits",
        "1.2.840.113549.1.12.1.4" => "triple DES with two keys",
        "1.2.840.113549.1.12.1.5" => "RC2 with 128 bits",
        "1.2.840.113549.1.5.3" => "MD5 and DES",
        "1.2.840.113549.1.5.6" => "MD5 and RC2",
        "1.2.840.113549.1.5.10" => "SHA-1 and DES",
        "1.2.840.113549.1.5.11" => "SHA-1 and RC2",
        _ if number.starts_with("1.2.392.200011.61.1.1.1.") => "Camellia",
        _ if number.starts_with("1.2.410.200046.1.1.") => "ARIA",
        _ => return number,
    };
    format!("{name} ({number})")
}
