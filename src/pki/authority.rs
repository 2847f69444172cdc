//! A certificate authority, and the certificates that it signs. The one file that speaks to `rcgen`.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SerialNumber,
};

use crate::certificate::Certificate;
use crate::error::Error;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, DnsName, PrivateKeyDer, PrivatePkcs8KeyDer};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Certificates are valid from a little before they are made, for clients whose clock is slow.
const BACKDATED: Duration = Duration::from_secs(60 * 60);

/// A certificate authority: its certificate and its private key.
///
/// Keys are EC P-256; certificates are of X.509 version 3, with random serial numbers of 16 octets.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate that an [`Authority`] signed, and its private key.
pub struct Issued {
    /// The certificate in PEM.
    pub certificate_pem: String,
    /// The private key in PEM (PKCS#8). Keep it from others.
    pub key_pem: String,
}

impl Authority {
    /// Makes a new authority called `name`, valid for ten years, that may sign end-entity certificates only (path length
    /// 0).
    ///
    /// # Errors
    /// `name` is empty or has over 64 characters; there is no randomness.
    pub fn new(name: &str, now: SystemTime) -> Result<Self, Error> {
        let mut params = params(common_name(name)?, now, 3650 * DAY)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = new_key()?;
        let certificate = params.self_signed(&key).map_err(cannot_make)?;
        Ok(Self { pem: certificate.pem(), issuer: Issuer::new(params, key) })
    }

    /// Takes up an authority again from its certificate and key, both PEM; the key as PKCS#8.
    ///
    /// # Errors
    /// One of them cannot be read; the certificate is no CA's, may not sign, or has expired at `now`; the key is
    /// another's.
    pub fn from_pem(certificate_pem: &str, key_pem: &str, now: SystemTime) -> Result<Self, Error> {
        let unreadable = || Error::new("the CA's certificate cannot be read");
        let der = CertificateDer::from_pem_slice(certificate_pem.as_bytes())
            .map_err(|error| unreadable().caused_by(error))?;
        let certificate = Certificate::parse(&der).map_err(|error| unreadable().caused_by(error))?;
        if !certificate.is_ca() {
            return Err(Error::new("this is no CA's certificate"));
        }
        if !certificate.may_sign_certificates {
            return Err(Error::new("the key usage of the CA does not let it sign certificates"));
        }
        if now > certificate.not_after {
            return Err(Error::new("the CA has expired").hint("make a new CA"));
        }
        let key = read_key(key_pem)?;
        if !certificate.spki.ends_with(key.public_key_raw()) {
            return Err(
                Error::new("the key is not the CA's").hint("put the key back that belongs to the CA's certificate")
            );
        }
        let issuer = Issuer::from_ca_cert_der(&der, key).map_err(|error| unreadable().caused_by(error))?;
        Ok(Self { issuer, pem: certificate_pem.to_owned() })
    }

    /// Whether a certificate, in PEM, names this CA and this CA's key as its issuer, and `key_pem` is its key.
    pub(super) fn check_issued(&self, certificate_pem: &str, key_pem: &str) -> Result<(), Error> {
        let read = |pem: &str| {
            CertificateDer::from_pem_slice(pem.as_bytes())
                .map_err(|error| Error::new("the certificate cannot be read").caused_by(error))
        };
        let parse = |der| {
            Certificate::parse(der).map_err(|error| Error::new("the certificate cannot be read").caused_by(error))
        };
        let (own, theirs) = (read(&self.pem)?, read(certificate_pem)?);
        let (own, theirs) = (parse(&own)?, parse(&theirs)?);
        let other_key = theirs.authority_key_id.is_some_and(|id| own.subject_key_id.is_some_and(|own| own != id));
        if theirs.issuer != own.subject || other_key {
            return Err(Error::new("the certificate is another CA's"));
        }
        if !theirs.spki.ends_with(read_key(key_pem)?.public_key_raw()) {
            return Err(Error::new("the key is not the certificate's"));
        }
        Ok(())
    }

    /// The authority's certificate in PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.pem
    }

    /// The authority's private key in PEM (PKCS#8). Whoever has it can let in anyone.
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// Signs a certificate for a server that is reached under `hosts`, DNS names (`*.` may come before one) and IP
    /// addresses. Valid for 397 days, the longest that browsers take.
    ///
    /// # Errors
    /// `hosts` is empty or holds what is no name; there is no randomness.
    pub fn issue_server(&self, hosts: &[&str], now: SystemTime) -> Result<Issued, Error> {
        if let Some(bad) = hosts.iter().find(|host| !is_host(host)) {
            return Err(Error::new(format!("{bad:?} is neither a DNS name nor an IP address")));
        }
        let Some(first) = hosts.first() else { return Err(Error::new("a server certificate needs a host name")) };
        let mut params = params(first, now, 397 * DAY)?;
        let named = CertificateParams::new(hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>());
        params.subject_alt_names =
            named.map_err(|error| Error::new("a host name is none").caused_by(error))?.subject_alt_names;
        self.issue(params, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// Signs a certificate for the client called `name`, its common name. Valid for 365 days.
    ///
    /// # Errors
    /// `name` is empty or has over 64 characters; there is no randomness.
    pub fn issue_client(&self, name: &str, now: SystemTime) -> Result<Issued, Error> {
        self.issue(params(common_name(name)?, now, 365 * DAY)?, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn issue(&self, mut params: CertificateParams, usage: ExtendedKeyUsagePurpose) -> Result<Issued, Error> {
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let key = new_key()?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(cannot_make)?;
        Ok(Issued { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
    }
}

fn params(name: &str, now: SystemTime, valid: Duration) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "mtls-min");
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = (now - BACKDATED).into();
    params.not_after = (now + valid).into();
    params.serial_number = Some(serial_number()?);
    Ok(params)
}

/// X.509 wants 1 to 64 characters (RFC 5280, appendix A.1, `ub-common-name`).
fn common_name(name: &str) -> Result<&str, Error> {
    match name.chars().count() {
        1..=64 => Ok(name),
        count => Err(Error::new(format!("a common name has 1 to 64 characters, not {count}"))),
    }
}

fn is_host(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok() || DnsName::try_from(host.strip_prefix("*.").unwrap_or(host)).is_ok()
}

/// PKCS#8 alone, since not every crypto library reads the other forms.
fn read_key(pem: &str) -> Result<KeyPair, Error> {
    let unreadable = || {
        Error::new("the key cannot be read")
            .hint("a PKCS#8 key is needed; `openssl pkcs8 -topk8 -nocrypt -in KEY -out NEW-KEY` makes one of others")
    };
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| unreadable().caused_by(error))?;
    KeyPair::try_from(&PrivateKeyDer::from(der)).map_err(|error| unreadable().caused_by(error))
}

/// 16 random octets, the first of them neither 0 nor negative: the longest that old programs take.
fn serial_number() -> Result<SerialNumber, Error> {
    let mut octets = [0; 16];
    getrandom::fill(&mut octets).map_err(no_randomness)?;
    octets[0] = octets[0] & 0x3f | 0x40;
    Ok(SerialNumber::from_slice(&octets))
}

fn new_key() -> Result<KeyPair, Error> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(cannot_make)
}

fn cannot_make(error: rcgen::Error) -> Error {
    Error::new("a certificate cannot be made").caused_by(error)
}

pub(super) fn no_randomness(error: getrandom::Error) -> Error {
    Error::new("the system gives no randomness").caused_by(error)
}

/// The key is never shown.
impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority")
    }
}

/// The key is never shown.
impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Issued")
    }
}
