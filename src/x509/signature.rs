//! Checking one signature with one key.

use std::borrow::Cow;

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{AlgorithmIdentifier, SubjectPublicKeyInfoDer, alg_id};
use webpki::RawPublicKeyEntity;

use super::certificate::{Certificate, Key, key_of};
use super::crl::SignedList;
use super::der::{NotDer, Reader, dotted, natural, only, tag};
use super::distinguished_name::is_same_name;

/// What the check of a signature found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Check {
    Good,
    Bad,
    /// The key is of another kind than the signature, so it cannot have made it.
    OtherKey,
    /// It cannot be checked.
    Unsupported(Unsupported),
}

/// Why a signature cannot be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unsupported {
    /// The key of the issuer is not accepted.
    Key(KeyFault, Key),
    /// The algorithm is not accepted. Its name, and whether it is RSA-PSS, for which the salt may be at fault.
    Algorithm { name: String, is_pss: bool },
}

/// Why a key is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyFault {
    /// It is too short.
    TooShort,
    /// Signatures with a key of this kind or size cannot be checked.
    Unsupported,
}

/// Whether the holder of the key `issuer_spki` signed `certificate`.
pub(crate) fn check(
    certificate: &Certificate<'_>,
    issuer_spki: &[u8],
    algorithms: &WebPkiSupportedAlgorithms,
) -> Check {
    let Certificate { signed, signature_algorithm, signature, .. } = certificate;
    check_signed(signed, signature_algorithm, signature, issuer_spki, algorithms)
}

/// The same for anything that is signed as a certificate is.
fn check_signed(
    signed: &[u8],
    signature_algorithm: &[u8],
    signature: &[u8],
    issuer_spki: &[u8],
    algorithms: &WebPkiSupportedAlgorithms,
) -> Check {
    let key = key_of(issuer_spki);
    if Family::of_signature(signature_algorithm).is_some_and(|family| Family::of_key(&key) != Some(family)) {
        return Check::OtherKey;
    }
    if let Some(fault) = fault_of_key(&key, issuer_spki, algorithms) {
        return Check::Unsupported(Unsupported::Key(fault, key));
    }
    let unsupported = || {
        let (name, is_pss) = (name_of(signature_algorithm), is_pss(signature_algorithm));
        Check::Unsupported(Unsupported::Algorithm { name, is_pss })
    };
    let spki = SubjectPublicKeyInfoDer::from(issuer_spki);
    let Ok(key) = RawPublicKeyEntity::try_from(&spki) else { return unsupported() };
    let wanted = canonical(signature_algorithm);
    let mut found = None;
    for algorithm in algorithms.all.iter().filter(|algorithm| *algorithm.signature_alg_id().as_ref() == *wanted) {
        match key.verify_signature(*algorithm, signed, signature) {
            Ok(()) => return Check::Good,
            Err(webpki::Error::InvalidSignatureForPublicKey) => found = Some(Check::Bad),
            // For another curve.
            Err(_) => {}
        }
    }
    found.unwrap_or_else(unsupported)
}

/// Whether `issuer` may have signed `certificate`: it has, or it is the one that is named, and that cannot be checked.
pub(crate) fn may_have_signed(
    issuer: &Certificate<'_>,
    certificate: &Certificate<'_>,
    algorithms: &WebPkiSupportedAlgorithms,
) -> bool {
    match check(certificate, issuer.spki, algorithms) {
        Check::Good => true,
        Check::Bad | Check::OtherKey => false,
        // RFC 5280, section 7.1.
        Check::Unsupported(_) => is_same_name(issuer.subject, certificate.issuer),
    }
}

/// Whether the holder of the key `issuer_spki` signed a revocation list.
pub(crate) fn check_list(list: &SignedList<'_>, issuer_spki: &[u8], algorithms: &WebPkiSupportedAlgorithms) -> Check {
    check_signed(list.signed, list.algorithm, list.signature, issuer_spki, algorithms)
}

/// Why signatures with this key are not accepted; `None`: they are.
pub(crate) fn fault_of_key(key: &Key, spki: &[u8], algorithms: &WebPkiSupportedAlgorithms) -> Option<KeyFault> {
    let algorithm = Reader::of(spki, tag::SEQUENCE).and_then(|mut spki| spki.expect(tag::SEQUENCE));
    let known = algorithm.is_ok_and(|algorithm| {
        algorithms.all.iter().any(|supported| supported.public_key_alg_id().as_ref() == algorithm)
    });
    match key {
        // Both crypto libraries check RSA signatures of 2048 to 8192 bits.
        Key::Rsa(..2048) => Some(KeyFault::TooShort),
        Key::Rsa(8193..) => Some(KeyFault::Unsupported),
        _ if known => None,
        _ => Some(KeyFault::Unsupported),
    }
}

/// Keys and the signatures that they can make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Rsa,
    EllipticCurve,
    Edwards,
}

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];
const EDWARDS: &[u8] = &[0x2b, 0x65];
const PSS: u8 = 10;

impl Family {
    fn of_key(key: &Key) -> Option<Self> {
        match key {
            Key::Rsa(_) | Key::OddRsa(_) => Some(Self::Rsa),
            Key::EllipticCurve(_) => Some(Self::EllipticCurve),
            Key::Edwards(_) => Some(Self::Edwards),
            Key::Other(_) => None,
        }
    }

    fn of_signature(algorithm: &[u8]) -> Option<Self> {
        match identifier(algorithm)? {
            id if id.starts_with(RSA) => Some(Self::Rsa),
            id if id.starts_with(ECDSA) => Some(Self::EllipticCurve),
            id if id.starts_with(EDWARDS) => Some(Self::Edwards),
            _ => None,
        }
    }
}

/// The object identifier in an `AlgorithmIdentifier`, of which `algorithm` is the inside.
fn identifier(algorithm: &[u8]) -> Option<&[u8]> {
    Reader::new(algorithm).object_identifier().ok()
}

fn is_pss(algorithm: &[u8]) -> bool {
    identifier(algorithm).and_then(|id| id.strip_prefix(RSA)) == Some(&[PSS])
}

/// The one encoding of an algorithm that the crypto library knows, for those that have several (RFC 4055, section 3.1): a hash
/// function may stand there with NULL for its parameters or with none, and defaults may be left out or not.
fn canonical(algorithm: &[u8]) -> Cow<'_, [u8]> {
    let known = |known: AlgorithmIdentifier| Cow::Owned(known.as_ref().to_vec());
    match Pss::read(algorithm) {
        Ok(Some(Pss { hash: 256, mask: 256, salt: 32 })) => known(alg_id::RSA_PSS_SHA256),
        Ok(Some(Pss { hash: 384, mask: 384, salt: 48 })) => known(alg_id::RSA_PSS_SHA384),
        Ok(Some(Pss { hash: 512, mask: 512, salt: 64 })) => known(alg_id::RSA_PSS_SHA512),
        _ => Cow::Borrowed(algorithm),
    }
}

/// The parameters of RSASSA-PSS: bits of the two hash functions, octets of the salt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pss {
    hash: u32,
    mask: u32,
    salt: u32,
}

impl Pss {
    /// `None`: the algorithm is another.
    fn read(algorithm: &[u8]) -> Result<Option<Self>, NotDer> {
        const MGF1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 8];
        if !is_pss(algorithm) {
            return Ok(None);
        }
        let mut algorithm = Reader::new(algorithm);
        algorithm.object_identifier()?;
        // What is left out is SHA-1, and a salt of its 20 octets.
        let mut found = Self { hash: 160, mask: 160, salt: 20 };
        let Some(parameters) = algorithm.optional(tag::SEQUENCE)? else { return Ok(Some(found)) };
        algorithm.end()?;
        let mut parameters = Reader::new(parameters);
        if let Some(hash) = parameters.optional(tag::constructed(0))? {
            found.hash = hash_bits(hash)?;
        }
        if let Some(mask) = parameters.optional(tag::constructed(1))? {
            let mut mask = Reader::of(mask, tag::SEQUENCE)?;
            if mask.object_identifier()? != MGF1 {
                return Err(NotDer);
            }
            found.mask = hash_bits(mask.any()?.whole)?;
            mask.end()?;
        }
        if let Some(salt) = parameters.optional(tag::constructed(2))? {
            found.salt = number(salt)?;
        }
        // The trailer, of which there is one kind.
        if let Some(trailer) = parameters.optional(tag::constructed(3))?
            && number(trailer)? != 1
        {
            return Err(NotDer);
        }
        parameters.end()?;
        Ok(Some(found))
    }
}

fn number(element: &[u8]) -> Result<u32, NotDer> {
    natural(only(element, tag::INTEGER)?)
}

/// How many bits a hash function gives.
fn hash_bits(algorithm: &[u8]) -> Result<u32, NotDer> {
    const SHA1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
    const SHA2: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02];
    const NULL: u8 = 0x05;
    let mut algorithm = Reader::of(algorithm, tag::SEQUENCE)?;
    let id = algorithm.object_identifier()?;
    if algorithm.optional(NULL)?.is_some_and(|null| !null.is_empty()) {
        return Err(NotDer);
    }
    algorithm.end()?;
    match id.strip_prefix(SHA2) {
        Some([1]) => Ok(256),
        Some([2]) => Ok(384),
        Some([3]) => Ok(512),
        Some([4]) => Ok(224),
        _ if id == SHA1 => Ok(160),
        _ => Err(NotDer),
    }
}

/// The name of an algorithm that is not accepted.
fn name_of(algorithm: &[u8]) -> String {
    let Some(id) = identifier(algorithm) else { return "an algorithm that cannot be read".to_owned() };
    if let Ok(Some(Pss { hash, mask, salt })) = Pss::read(algorithm) {
        let hash = if hash == 160 { "SHA-1".to_owned() } else { format!("SHA-{hash}") };
        let mask = if mask == 160 { "SHA-1".to_owned() } else { format!("SHA-{mask}") };
        return format!("RSA-PSS with {hash}, a mask by {mask} and a salt of {salt} octets");
    }
    let name = match (id.strip_prefix(RSA), id.strip_prefix(ECDSA)) {
        (Some([2 | 3]), _) => "MD2 or MD4 with RSA",
        (Some([4]), _) => "MD5 with RSA",
        (Some([5]), _) => "SHA-1 with RSA",
        (Some([14]), _) => "SHA-224 with RSA",
        (Some([PSS]), _) => "RSA-PSS with parameters that cannot be read",
        (Some([11..=13]), _) => "RSA with parameters that do not belong there",
        (_, Some([1])) => "SHA-1 with ECDSA",
        (_, Some([3, 1])) => "SHA-224 with ECDSA",
        (_, Some([3, 2..=4])) => "ECDSA on a curve, or with parameters, that this build does not check",
        _ => return format!("the algorithm {}", dotted(id)),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x509::der::element;

    fn hash(bits: u8, null: bool) -> Vec<u8> {
        let id = [0x06, 9, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, bits];
        element(tag::SEQUENCE, &[&id[..], if null { &[5, 0] } else { &[] }].concat())
    }

    fn pss(hash: &[u8], mask: &[u8], salt: u8) -> Vec<u8> {
        let mgf1 = [0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 8];
        let mask = element(tag::SEQUENCE, &[&mgf1, mask].concat());
        let parameters = [element(0xa0, hash), element(0xa1, &mask), element(0xa2, &[2, 1, salt])];
        [&[0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10][..], &element(tag::SEQUENCE, &parameters.concat())]
            .concat()
    }

    /// RFC 4055, section 2.1: a hash function with NULL for its parameters, or with none.
    #[test]
    fn pss_is_known_however_its_hash_function_is_written() {
        for null in [false, true] {
            let hash = hash(1, null);
            assert_eq!(*canonical(&pss(&hash, &hash, 32)), *alg_id::RSA_PSS_SHA256.as_ref());
        }
        let (one, other) = (hash(1, true), hash(2, true));
        for wrong in [pss(&one, &one, 20), pss(&one, &other, 32), pss(&other, &other, 32)] {
            assert_eq!(*canonical(&wrong), *wrong);
        }
        assert_eq!(name_of(&pss(&one, &one, 20)), "RSA-PSS with SHA-256, a mask by SHA-256 and a salt of 20 octets");
        assert_eq!(
            name_of(&[0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10]),
            "RSA-PSS with SHA-1, a mask by SHA-1 and a salt of 20 octets"
        );
    }
}
