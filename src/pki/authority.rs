//! A certificate authority, and the certificates that it signs.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CidrSubnet, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, NameConstraints,
    RevocationReason, RevokedCertParams, SanType, SerialNumber, SigningKey,
};
use rustls::pki_types::CertificateDer;

use super::key::{cannot_make, new_key, read_key};
use super::names::{ISSUER_OF_CERTIFICATE, ISSUER_OF_LIST, SUBJECT_OF_CERTIFICATE, with_names};
use super::reading::{check_dates, is_throwaway, names_as_issuer, parse, read_certificate};
use super::request::{
    ClientRequest, Issued, KeyKind, Reason, Revoked, Usage, check_days, check_hosts, common_name, may_vouch_for,
};
use crate::clock;
use crate::error::Error;
use crate::x509::certificate::{Certificate, Key};

/// Certificates are valid from a little before they are made, for clients whose clock is slow.
const BACKDATED: Duration = Duration::from_secs(60 * 60);

/// A certificate authority: its certificate and its private key.
///
/// Keys are EC P-256 unless RSA is asked for; certificates are of X.509 version 3, with random serial numbers of 16
/// octets.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    pem: String,
}

impl Authority {
    /// Makes a new authority called `name`, valid for ten years. It may sign end-entity certificates only (path length 0).
    ///
    /// # Errors
    /// `name` is empty or has over 64 characters; the system gives no random numbers.
    pub fn new(name: &str, now: SystemTime) -> Result<Self, Error> {
        Self::make(name, None, now)
    }

    /// The same for an authority that may vouch only for `hosts` and the names below them, by critical name constraints. If
    /// its key is stolen, a browser that trusts this authority still rejects certificates for other sites.
    ///
    /// # Errors
    /// As for [`new`](Self::new); `hosts` is empty or has an entry that is neither a DNS name nor an IP address.
    pub fn for_hosts(name: &str, hosts: &[&str], now: SystemTime) -> Result<Self, Error> {
        check_hosts(hosts)?;
        let (addresses, names): (Vec<&str>, Vec<&str>) = hosts.iter().partition(|host| host.parse::<IpAddr>().is_ok());
        let dns = |name: &str| GeneralSubtree::DnsName(name.strip_prefix("*.").unwrap_or(name).to_owned());
        let range = |address: IpAddr, prefix| GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, prefix));
        let mut permitted: Vec<_> = names.iter().map(|name| dns(name)).collect();
        let single = addresses.iter().filter_map(|address| address.parse().ok());
        permitted.extend(single.map(|address: IpAddr| range(address, if address.is_ipv4() { 32 } else { 128 })));
        // Without any permitted entry, a kind of name is not limited at all. So all names of that kind are excluded.
        let mut excluded = Vec::new();
        if addresses.is_empty() {
            excluded.extend(["0.0.0.0", "::"].iter().filter_map(|all| all.parse().ok()).map(|all| range(all, 0)));
        }
        if names.is_empty() {
            excluded.push(dns(""));
        }
        let constraints = NameConstraints { permitted_subtrees: permitted, excluded_subtrees: excluded };
        Self::make(name, Some(constraints), now)
    }

    fn make(name: &str, constraints: Option<NameConstraints>, now: SystemTime) -> Result<Self, Error> {
        let mut params = params(subject(common_name(name)?), now, now + clock::days(3650))?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.name_constraints = constraints;
        let key = new_key(KeyKind::P256)?;
        let certificate = params.self_signed(&key).map_err(cannot_make)?;
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Ok(Self { pem, der, issuer: Issuer::new(params, key) })
    }

    /// Reads an authority from its certificate and key, both PEM; the key as PKCS#8, SEC1 or PKCS#1, not encrypted.
    /// Certificates that it signs carry the subject of its certificate as their issuer, byte for byte.
    ///
    /// # Errors
    /// One of them cannot be read; the certificate is not a CA certificate, may not sign, or is not valid at `now`; the key
    /// does not belong to the certificate.
    pub fn from_pem(certificate_pem: &str, key_pem: &str, now: SystemTime) -> Result<Self, Error> {
        let unreadable = || Error::new("the CA certificate cannot be read");
        let der = read_certificate(certificate_pem).map_err(|error| unreadable().caused_by(error))?;
        let certificate = parse(&der).map_err(|error| unreadable().caused_by(error))?;
        if !certificate.is_ca() {
            return Err(Error::new("this is not a CA certificate"));
        }
        if !certificate.may_sign_certificates {
            return Err(Error::new("the key usage of the CA does not allow signing certificates"));
        }
        check_dates(&certificate, now)?;
        let key = read_key(key_pem, &certificate)?;
        // `with_names` puts the name in.
        let mut params = CertificateParams::default();
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        if certificate.may_sign_crls {
            params.key_usages.push(KeyUsagePurpose::CrlSign);
        }
        params.key_identifier_method = key_id(&certificate);
        Ok(Self { issuer: Issuer::new(params, key), pem: certificate_pem.to_owned(), der })
    }

    /// Checks that a certificate, in PEM, names this CA and this CA's key as its issuer, and that `key_pem` is its key.
    pub(super) fn check_issued(&self, certificate_pem: &str, key_pem: &str) -> Result<(), Error> {
        let theirs = read_certificate(certificate_pem)?;
        let theirs = parse(&theirs)?;
        if !names_as_issuer(&theirs, &parse(&self.der)?) {
            return Err(Error::new("the certificate was issued by another CA"));
        }
        read_key(key_pem, &theirs).map(drop)
    }

    /// Whether it was made for a demo, by [`throwaway`](fn@super::throwaway) or by `certs/make-certs.sh`.
    pub(super) fn is_throwaway(&self) -> bool {
        parse(&self.der).is_ok_and(|own| is_throwaway(&own))
    }

    /// The authority's certificate in PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.pem
    }

    /// The authority's private key in PEM (PKCS#8). Whoever has it can give anyone access.
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// Signs a certificate for a server with the names `hosts`: DNS names, which may begin with `*.`, and IP addresses.
    /// Valid for 397 days, the longest time that browsers accept.
    ///
    /// # Errors
    /// `hosts` is empty, or has an entry that is neither a DNS name nor an IP address, or that this authority may not vouch
    /// for; the system gives no random numbers.
    pub fn issue_server(&self, hosts: &[&str], now: SystemTime) -> Result<Issued, Error> {
        self.issue_server_for(hosts, 397, now)
    }

    /// The same for another number of days, 1 to 397.
    ///
    /// # Errors
    /// As for [`issue_server`](Self::issue_server); the number of days is out of range.
    pub fn issue_server_for(&self, hosts: &[&str], days: u32, now: SystemTime) -> Result<Issued, Error> {
        check_hosts(hosts)?;
        let named = CertificateParams::new(hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>())
            .map_err(|error| Error::new("a host name is not valid").caused_by(error))?;
        // Only the alternative names count. OpenSSL would apply the constraints on DNS names to an IP address here.
        let is_short_name = |host: &&&str| host.len() <= 64 && host.parse::<IpAddr>().is_err();
        let subject = Subject::Name(hosts.iter().find(is_short_name).unwrap_or(&"server"));
        self.issue(subject, named.subject_alt_names, Usage::Server, days, KeyKind::P256, now)
    }

    /// Signs a certificate for the client called `name`, its common name. Valid for 365 days.
    ///
    /// # Errors
    /// `name` is empty or has over 64 characters; the system gives no random numbers.
    pub fn issue_client(&self, name: &str, now: SystemTime) -> Result<Issued, Error> {
        self.issue_client_as(&ClientRequest::new(name), now)
    }

    /// Signs a certificate for a client as requested.
    ///
    /// # Errors
    /// A name, an address or the number of days is not valid; the build cannot make RSA keys; the system gives no random
    /// numbers.
    pub fn issue_client_as(&self, request: &ClientRequest, now: SystemTime) -> Result<Issued, Error> {
        request.check()?;
        let emails = request.emails.iter().map(|email| Ok(SanType::Rfc822Name(ascii(email)?)));
        let uris = request.uris.iter().map(|uri| Ok(SanType::URI(ascii(uri)?)));
        let names = emails.chain(uris).collect::<Result<_, Error>>()?;
        self.issue(Subject::Name(&request.name), names, Usage::Client, request.days, request.key, now)
    }

    /// Signs a new certificate for the names of an existing one, with a new key of the same kind.
    ///
    /// # Errors
    /// The certificate cannot be read, or has alternative names of a kind that cannot be repeated here.
    pub fn issue_again(
        &self,
        certificate_pem: &str,
        usage: Usage,
        days: u32,
        now: SystemTime,
    ) -> Result<Issued, Error> {
        let der = read_certificate(certificate_pem)?;
        let old = parse(&der)?;
        let found = old.alternative_names();
        let mut names = Vec::new();
        for name in &found.dns {
            names.push(SanType::DnsName(ascii(name)?));
        }
        names.extend(found.ips.iter().map(|address| SanType::IpAddress(*address)));
        for email in &found.emails {
            names.push(SanType::Rfc822Name(ascii(email)?));
        }
        for uri in &found.uris {
            names.push(SanType::URI(ascii(uri)?));
        }
        if names.len() != old.all_alternative_names.as_ref().map_or(0, Vec::len) {
            return Err(Error::new("the certificate has names of a kind that cannot be repeated here"));
        }
        let key = match old.key {
            Key::Rsa(bits) if bits > 3072 => KeyKind::Rsa4096,
            Key::Rsa(_) => KeyKind::Rsa2048,
            _ => KeyKind::P256,
        };
        self.issue(Subject::Der(old.subject), names, usage, days, key, now)
    }

    /// Signs a revocation list (version 2, in PEM). Each list needs a higher `number` than the one before. The next list is
    /// due after `valid`.
    ///
    /// # Errors
    /// The key usage of the CA does not allow signing lists; `valid` is zero.
    pub fn sign_crl(
        &self,
        revoked: &[Revoked],
        number: u64,
        now: SystemTime,
        valid: Duration,
    ) -> Result<String, Error> {
        self.sign_crl_of(revoked, number, backdated(now), now + valid)
    }

    /// The same with the two times of the list.
    pub(super) fn sign_crl_of(
        &self,
        revoked: &[Revoked],
        number: u64,
        this_update: SystemTime,
        next_update: SystemTime,
    ) -> Result<String, Error> {
        let own = parse(&self.der)?;
        let revoked = revoked.iter().map(|revoked| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&revoked.serial),
            revocation_time: revoked.at.into(),
            reason_code: reason_code(revoked.reason),
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: this_update.into(),
            next_update: next_update.into(),
            crl_number: number.into(),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: key_id(&own),
        };
        let list = params.signed_by(&self.issuer).map_err(|error| {
            let failed = Error::new("the revocation list cannot be signed");
            match error {
                // RFC 5280, section 4.2.1.3.
                rcgen::Error::IssuerNotCrlSigner => failed.hint(
                    "the keyUsage of this CA does not allow signing lists: have its certificate issued again with the same name and key, \
                     and with keyCertSign and cRLSign; what it has signed stays valid",
                ),
                error => failed.caused_by(error),
            }
        })?;
        let list = with_names(list.der(), &[(ISSUER_OF_LIST, own.subject)], |list| self.sign(list))?;
        Ok(pem("X509 CRL", list))
    }

    fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        self.issuer.key().sign(bytes).map_err(cannot_make)
    }

    fn issue(
        &self,
        subject: Subject<'_>,
        names: Vec<SanType>,
        usage: Usage,
        days: u32,
        key: KeyKind,
        now: SystemTime,
    ) -> Result<Issued, Error> {
        check_days(days, if usage == Usage::Server { 397 } else { 3650 })?;
        let own = parse(&self.der)?;
        let hosts = names.iter().filter_map(|name| match name {
            SanType::DnsName(name) => Some(name.to_string()),
            SanType::IpAddress(address) => Some(address.to_string()),
            _ => None,
        });
        for host in hosts {
            if !may_vouch_for(&own, &host) {
                return Err(Error::new(format!("the name constraints of the CA do not allow {host}"))
                    .hint("make another CA for this host, in another directory"));
            }
        }
        // A certificate that outlives its CA is useless.
        let mut params = params(subject.for_rcgen(), now, (now + clock::days(days.into())).min(own.not_after))?;
        params.subject_alt_names = names;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![match usage {
            Usage::Server => ExtendedKeyUsagePurpose::ServerAuth,
            Usage::Client => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        params.use_authority_key_identifier_extension = true;
        let key = new_key(key)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(cannot_make)?;
        let mut names = vec![(ISSUER_OF_CERTIFICATE, own.subject)];
        if let Subject::Der(subject) = subject {
            names.push((SUBJECT_OF_CERTIFICATE, subject));
        }
        let certificate = with_names(certificate.der(), &names, |certificate| self.sign(certificate))?;
        Ok(Issued { certificate_pem: pem("CERTIFICATE", certificate), key_pem: key.serialize_pem() })
    }
}

/// The subject of a new certificate.
enum Subject<'a> {
    Name(&'a str),
    /// As in another certificate, in DER.
    Der(&'a [u8]),
}

impl Subject<'_> {
    /// For `Der`, a placeholder that is replaced later: with an empty subject, the alternative names would be critical (RFC
    /// 5280, section 4.1.2.6).
    fn for_rcgen(&self) -> DistinguishedName {
        match self {
            Self::Name(name) => subject(name),
            Self::Der([_, 0]) => DistinguishedName::new(),
            Self::Der(_) => subject("renewed"),
        }
    }
}

fn params(subject: DistinguishedName, now: SystemTime, not_after: SystemTime) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject;
    params.not_before = (now - BACKDATED).into();
    params.not_after = not_after.into();
    params.serial_number = Some(serial_number()?);
    Ok(params)
}

fn subject(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, "mtls-min");
    subject.push(DnType::CommonName, name);
    subject
}

fn pem(label: &str, der: Vec<u8>) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(label, der), config)
}

fn key_id(ca: &Certificate<'_>) -> KeyIdMethod {
    ca.subject_key_id.map_or(KeyIdMethod::Sha256, |id| KeyIdMethod::PreSpecified(id.to_vec()))
}

fn ascii(text: &str) -> Result<Ia5String, Error> {
    text.try_into().map_err(|error: rcgen::Error| Error::new(format!("{text:?} is not ASCII")).caused_by(error))
}

fn reason_code(reason: Reason) -> Option<RevocationReason> {
    Some(match reason {
        // It is to be left out (RFC 5280, section 5.3.1).
        Reason::Unspecified => return None,
        Reason::KeyCompromise => RevocationReason::KeyCompromise,
        Reason::AffiliationChanged => RevocationReason::AffiliationChanged,
        Reason::Superseded => RevocationReason::Superseded,
        Reason::CessationOfOperation => RevocationReason::CessationOfOperation,
        Reason::PrivilegeWithdrawn => RevocationReason::PrivilegeWithdrawn,
    })
}

/// The issue date of a list that is signed now: earlier, so that a server whose clock is behind accepts it too.
pub(super) fn backdated(now: SystemTime) -> SystemTime {
    now.checked_sub(BACKDATED).unwrap_or(now)
}

/// 16 random octets, the most that old programs accept. The number is positive, and its first octet is not 0.
fn serial_number() -> Result<SerialNumber, Error> {
    let mut octets = [0; 16];
    getrandom::fill(&mut octets).map_err(no_randomness)?;
    octets[0] = octets[0] & 0x3f | 0x40;
    Ok(SerialNumber::from_slice(&octets))
}

pub(super) fn no_randomness(error: getrandom::Error) -> Error {
    Error::new("the system gives no random numbers").caused_by(error)
}

/// The key is never shown.
impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority")
    }
}
