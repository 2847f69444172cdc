//! The test PKI is a program: good certificates, and every bad one that the tests need.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SigningKey,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// A CA, or an intermediate.
pub(crate) struct Ca {
    pub(crate) der: CertificateDer<'static>,
    pub(crate) params: CertificateParams,
    key: KeyPair,
    /// What a client has to send besides its own certificate: this one and those above, without the root.
    above: Vec<CertificateDer<'static>>,
}

/// A certificate with its chain and key, as a client or a server uses it.
pub(crate) struct Holder {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Clone for Holder {
    fn clone(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

pub(crate) fn key() -> KeyPair {
    KeyPair::generate().unwrap()
}

/// A subject with this common name only, valid from an hour ago, and long enough that nothing warns of its end.
pub(crate) fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = (SystemTime::now() - HOUR).into();
    params.not_after = (SystemTime::now() + 60 * 24 * HOUR).into();
    params
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn leaf_params(name: &str, usage: ExtendedKeyUsagePurpose) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    params
}

impl Ca {
    pub(crate) fn new(name: &str) -> Self {
        Self::with(name, |_| {})
    }

    /// A root of this name, with a change to its parameters.
    pub(crate) fn with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = ca_params(name);
        change(&mut params);
        Self::made(params, key())
    }

    /// A root of this key.
    #[cfg(feature = "cli")]
    pub(crate) fn with_key(name: &str, key: KeyPair) -> Self {
        Self::made(ca_params(name), key)
    }

    fn made(params: CertificateParams, key: KeyPair) -> Self {
        let der = params.self_signed(&key).unwrap().der().clone();
        Self { der, params, key, above: Vec::new() }
    }

    pub(crate) fn intermediate(&self, name: &str) -> Self {
        self.intermediate_with(name, |_| {})
    }

    pub(crate) fn intermediate_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = ca_params(name);
        params.use_authority_key_identifier_extension = true;
        change(&mut params);
        let key = key();
        let der = params.signed_by(&key, &self.issuer()).unwrap().der().clone();
        let mut above = vec![der.clone()];
        above.extend(self.above.iter().cloned());
        Self { der, params, key, above }
    }

    /// An intermediate of X.509 version 1.
    pub(crate) fn intermediate_v1(&self, name: &str) -> Self {
        let mut made = self.intermediate(name);
        made.der = self.as_version_1(&made.der);
        made.above[0] = made.der.clone();
        made
    }

    pub(crate) fn client(&self, name: &str) -> Holder {
        self.client_with(name, |_| {})
    }

    pub(crate) fn client_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Holder {
        self.client_with_key(name, &key(), change)
    }

    pub(crate) fn client_with_key(
        &self,
        name: &str,
        key: &KeyPair,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Holder {
        let mut params = leaf_params(name, ExtendedKeyUsagePurpose::ClientAuth);
        change(&mut params);
        self.sign(&params, key)
    }

    pub(crate) fn client_v1(&self, name: &str) -> Holder {
        let mut made = self.client(name);
        made.chain[0] = self.as_version_1(&made.chain[0]);
        made
    }

    pub(crate) fn server(&self) -> Holder {
        let mut params = leaf_params("localhost", ExtendedKeyUsagePurpose::ServerAuth);
        let names = ["localhost", "127.0.0.1", "a.test", "b.test"].map(str::to_owned).to_vec();
        params.subject_alt_names = CertificateParams::new(names).unwrap().subject_alt_names;
        self.sign(&params, &key())
    }

    pub(crate) fn sign(&self, params: &CertificateParams, key: &KeyPair) -> Holder {
        let der = params.signed_by(key, &self.issuer()).unwrap().der().clone();
        let mut chain = vec![der];
        chain.extend(self.above.iter().cloned());
        Holder { chain, key: private(key) }
    }

    /// Uses a client's certificate and key as if it were a CA.
    pub(crate) fn out_of(holder: &Holder, params: CertificateParams) -> Self {
        let key = KeyPair::try_from(holder.key.secret_der()).unwrap();
        Self { der: holder.chain[0].clone(), params, key, above: holder.chain.clone() }
    }

    /// A certificate of its own for the same key, under this name.
    pub(crate) fn renewed_as(&self, name: &str) -> Self {
        self.renewed_with(name, |_| {})
    }

    pub(crate) fn renewed_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::try_from(self.key.serialize_der()).unwrap();
        let mut params = ca_params(name);
        change(&mut params);
        let der = params.self_signed(&key).unwrap().der().clone();
        Self { der, params, key, above: Vec::new() }
    }

    /// The same key and certificate, but what it issues has this name as its issuer.
    pub(crate) fn as_named(&self, name: DistinguishedName) -> Self {
        let key = KeyPair::try_from(self.key.serialize_der()).unwrap();
        let mut params = self.params.clone();
        params.distinguished_name = name;
        Self { der: self.der.clone(), params, key, above: self.above.clone() }
    }

    /// The same name and key, with a certificate that another CA signed: a cross-certificate.
    pub(crate) fn certified_by(&self, other: &Self) -> Self {
        let key = KeyPair::try_from(self.key.serialize_der()).unwrap();
        let mut params = self.params.clone();
        params.use_authority_key_identifier_extension = true;
        let der = params.signed_by(&key, &other.issuer()).unwrap().der().clone();
        let mut above = vec![der.clone()];
        above.extend(other.above.iter().cloned());
        Self { der, params, key, above }
    }

    /// The same certificate with another serial number, given as the content of its INTEGER.
    pub(crate) fn with_serial(&self, holder: &Holder, serial: &[u8]) -> Holder {
        self.with_field(holder, 1, &write(2, serial))
    }

    pub(crate) fn pem(&self) -> String {
        pem(&self.der)
    }

    pub(crate) fn key_pem(&self) -> String {
        armour("PRIVATE KEY", &self.key_der())
    }

    /// PKCS#8.
    pub(crate) fn key_der(&self) -> Vec<u8> {
        self.key.serialize_der()
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }

    /// The same certificate with another version number (counted from 0), or none, signed anew.
    pub(crate) fn as_version(&self, der: &[u8], version: Option<u8>) -> CertificateDer<'static> {
        let signed = read(read(der).content);
        let algorithm = read(signed.rest);
        let mut kept = version.map(|version| write(0xa0, &write(2, &[version]))).unwrap_or_default();
        let others = elements(signed.content).filter(|element| element.tag != 0xa0);
        kept.extend(others.flat_map(|element| write(element.tag, element.content)));
        self.signed(&write(0x30, &kept), algorithm.content)
    }

    /// Takes version and extensions from a certificate and signs what is left: X.509 version 1.
    pub(crate) fn as_version_1(&self, der: &[u8]) -> CertificateDer<'static> {
        let certificate = read(der).content;
        let signed = read(certificate);
        let algorithm = read(signed.rest);
        let kept: Vec<u8> = elements(signed.content)
            .filter(|element| !matches!(element.tag, 0xa0..=0xaf))
            .flat_map(|element| write(element.tag, element.content))
            .collect();
        self.signed(&write(0x30, &kept), algorithm.content)
    }

    /// A certificate of these parts, signed by this CA.
    pub(crate) fn signed(&self, to_be_signed: &[u8], algorithm: &[u8]) -> CertificateDer<'static> {
        let mut signature = vec![0];
        signature.extend(self.key.sign(to_be_signed).unwrap());
        let parts = [to_be_signed.to_vec(), write(0x30, algorithm), write(0x03, &signature)].concat();
        CertificateDer::from(write(0x30, &parts))
    }

    /// The same certificate with another subject, given as DER of a whole `Name`.
    pub(crate) fn with_subject(&self, holder: &Holder, name: &[u8]) -> Holder {
        self.with_field(holder, 5, name)
    }

    /// The same certificate with another of its fields: version, serial, algorithm, issuer, validity, subject, …
    fn with_field(&self, holder: &Holder, place: usize, field: &[u8]) -> Holder {
        let certificate = read(&holder.chain[0]).content;
        let signed = read(certificate);
        let algorithm = read(signed.rest);
        let changed: Vec<u8> = elements(signed.content)
            .enumerate()
            .flat_map(|(at, element)| if at == place { field.to_vec() } else { write(element.tag, element.content) })
            .collect();
        let mut changed_holder = holder.clone();
        changed_holder.chain[0] = self.signed(&write(0x30, &changed), algorithm.content);
        changed_holder
    }
}

/// ecdsa-with-SHA1, as the inside of an `AlgorithmIdentifier`.
pub(crate) const SHA1: &[u8] = &[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1];

/// A certificate of `ca` with another key or another signature algorithm.
pub(crate) fn changed(ca: &Ca, key: Option<&[u8]>, algorithm: Option<&[u8]>) -> Holder {
    let mut holder = ca.client("alice");
    let certificate = read(&holder.chain[0]).content;
    let mut own = read(read(certificate).rest).content.to_vec();
    let mut to_be_signed = Vec::new();
    // version, serial, algorithm, issuer, validity, subject, key, …
    for (at, element) in elements(read(certificate).content).enumerate() {
        let content = match at {
            2 => algorithm.unwrap_or(element.content),
            6 => key.unwrap_or(element.content),
            _ => element.content,
        };
        to_be_signed.extend(write(element.tag, content));
    }
    if let Some(algorithm) = algorithm {
        own = algorithm.to_vec();
    }
    holder.chain[0] = ca.signed(&write(0x30, &to_be_signed), &own);
    holder
}

/// A self-signed certificate that is not a CA.
pub(crate) fn self_signed(name: &str) -> Holder {
    self_signed_with(name, |_| {})
}

pub(crate) fn self_signed_with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Holder {
    let mut params = leaf_params(name, ExtendedKeyUsagePurpose::ClientAuth);
    change(&mut params);
    let key = key();
    Holder { chain: vec![params.self_signed(&key).unwrap().der().clone()], key: private(&key) }
}

pub(crate) fn private(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()))
}

impl Holder {
    pub(crate) fn pem(&self) -> String {
        self.chain.iter().map(|der| pem(der)).collect()
    }

    pub(crate) fn key_pem(&self) -> String {
        armour("PRIVATE KEY", self.key.secret_der())
    }

    /// Only its own certificate, without those above.
    pub(crate) fn alone(&self) -> Self {
        Self { chain: vec![self.chain[0].clone()], key: self.key.clone_key() }
    }
}

pub(crate) fn pem(der: &[u8]) -> String {
    armour("CERTIFICATE", der)
}

pub(crate) fn armour(label: &str, der: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in der.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for position in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * position) & 63) as usize];
            text.push(if position <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    let lines: String =
        text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned() + "\n").collect();
    format!("-----BEGIN {label}-----\n{lines}-----END {label}-----\n")
}

/// OID in DER, tag of the value, value.
type Attribute<'a> = (&'a [u8], u8, &'a [u8]);

/// A `Name` of these relative names, each a set of attributes.
pub(crate) fn name(relative: &[&[Attribute<'_>]]) -> Vec<u8> {
    let sets: Vec<u8> = relative
        .iter()
        .flat_map(|set| {
            let attributes: Vec<u8> = set
                .iter()
                .flat_map(|(oid, tag, value)| write(0x30, &[write(0x06, oid), write(*tag, value)].concat()))
                .collect();
            write(0x31, &attributes)
        })
        .collect();
    write(0x30, &sets)
}

pub(crate) const CN: &[u8] = &[0x55, 4, 3];
pub(crate) const O: &[u8] = &[0x55, 4, 10];
pub(crate) const OU: &[u8] = &[0x55, 4, 11];
pub(crate) const EMAIL: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 9, 1];

pub(crate) struct Element<'d> {
    pub(crate) tag: u8,
    pub(crate) content: &'d [u8],
    pub(crate) rest: &'d [u8],
}

pub(crate) fn read(der: &[u8]) -> Element<'_> {
    let (length, header) = match der[1] {
        short @ 0..=0x7f => (usize::from(short), 2),
        long => {
            let octets = usize::from(long & 0x7f);
            (der[2..2 + octets].iter().fold(0, |length, octet| length << 8 | usize::from(*octet)), 2 + octets)
        }
    };
    Element { tag: der[0], content: &der[header..header + length], rest: &der[header + length..] }
}

pub(crate) fn elements(mut der: &[u8]) -> impl Iterator<Item = Element<'_>> {
    std::iter::from_fn(move || {
        let element = (!der.is_empty()).then(|| read(der))?;
        der = element.rest;
        Some(element)
    })
}

pub(crate) fn write(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant = &length[length.iter().position(|octet| *octet != 0).unwrap_or(length.len() - 1)..];
    let mut der = vec![tag];
    if content.len() > 0x7f {
        der.push(0x80 | significant.len() as u8);
    }
    der.extend_from_slice(significant);
    der.extend_from_slice(content);
    der
}
