//! Why a client is not authorised: a stable code for programs, the facts for the log, and the repair for the operator.

use std::borrow::Cow;
use std::fmt;

use crate::x509::identity::Identity;

/// Why a client is not authorised. Codes are stable: they are never renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalCode {
    /// The client showed no certificate.
    NoCertificate,
    /// A certificate on the path is past its last day.
    Expired,
    /// A certificate on the path is not valid yet.
    NotYetValid,
    /// The client's certificate is signed by itself, and it is not one of those that are let in by themselves.
    SelfSigned,
    /// The issuer of the client's certificate is no loaded CA, and nothing says who it is.
    UnknownIssuer,
    /// The client's chain is complete up to a root that is no loaded CA.
    UnknownRoot,
    /// The chain seems to lead to a loaded CA, but a certificate in between was not sent.
    MissingIntermediate,
    /// The issuer has the name of a loaded CA but not its key: the CA was made anew.
    SameNameOtherKey,
    /// Name and key identifier fit a loaded CA, the signature does not: the certificate is damaged or forged.
    BadSignature,
    /// A certificate was signed by one that is no CA.
    IssuerNotCa,
    /// A certificate was signed by a CA whose key usage does not include signing certificates.
    IssuerWithoutCertSign,
    /// There are more intermediates below a CA than it allows.
    PathLength,
    /// The chain is longer than this server follows.
    ChainTooLong,
    /// The certificate is not meant for authenticating clients.
    WrongUsage,
    /// The client uses the certificate of a CA as its own.
    CaAsClient,
    /// A certificate of X.509 version 1 (or 2), which has no extensions and so no limits.
    X509V1,
    /// A key that is too short.
    WeakKey,
    /// A key of a kind that this server cannot check.
    UnsupportedKey,
    /// A signature by an algorithm that this server does not accept, SHA-1 for example.
    UnsupportedSignature,
    /// A critical extension that this server does not know.
    UnsupportedExtension,
    /// A name that a CA on the path may not vouch for.
    NameConstraint,
    /// A CA on the path asks for a certificate policy (RFC 5280, section 4.2.1.11), and none holds for all below it.
    MissingPolicy,
    /// A certificate that cannot be read.
    Malformed,
    /// A certificate on the path was revoked by its CA.
    Revoked,
    /// A CA on the path has no revocation list, and one is required.
    CrlMissing,
    /// The revocation list of a CA on the path is stale.
    CrlExpired,
    /// The revocation list of a CA on the path is from the future: the clock is wrong, here or at the CA.
    CrlNotYetValid,
    /// The certificate is valid, but no rule lets its holder do this.
    NotAllowed,
}

impl RefusalCode {
    /// Every code, in the order of the documentation.
    pub const ALL: &'static [RefusalCode] = &[
        Self::NoCertificate,
        Self::Expired,
        Self::NotYetValid,
        Self::SelfSigned,
        Self::UnknownIssuer,
        Self::UnknownRoot,
        Self::MissingIntermediate,
        Self::SameNameOtherKey,
        Self::BadSignature,
        Self::IssuerNotCa,
        Self::IssuerWithoutCertSign,
        Self::PathLength,
        Self::ChainTooLong,
        Self::WrongUsage,
        Self::CaAsClient,
        Self::X509V1,
        Self::WeakKey,
        Self::UnsupportedKey,
        Self::UnsupportedSignature,
        Self::UnsupportedExtension,
        Self::NameConstraint,
        Self::MissingPolicy,
        Self::Malformed,
        Self::Revoked,
        Self::CrlMissing,
        Self::CrlExpired,
        Self::CrlNotYetValid,
        Self::NotAllowed,
    ];

    /// The code as it stands in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoCertificate => "no_certificate",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::SelfSigned => "self_signed",
            Self::UnknownIssuer => "unknown_issuer",
            Self::UnknownRoot => "unknown_root",
            Self::MissingIntermediate => "missing_intermediate",
            Self::SameNameOtherKey => "same_name_other_key",
            Self::BadSignature => "bad_signature",
            Self::IssuerNotCa => "issuer_not_ca",
            Self::IssuerWithoutCertSign => "issuer_without_cert_sign",
            Self::PathLength => "path_length",
            Self::ChainTooLong => "chain_too_long",
            Self::WrongUsage => "wrong_usage",
            Self::CaAsClient => "ca_as_client",
            Self::X509V1 => "x509_v1",
            Self::WeakKey => "weak_key",
            Self::UnsupportedKey => "unsupported_key",
            Self::UnsupportedSignature => "unsupported_signature",
            Self::UnsupportedExtension => "unsupported_extension",
            Self::NameConstraint => "name_constraint",
            Self::MissingPolicy => "missing_policy",
            Self::Malformed => "malformed",
            Self::Revoked => "revoked",
            Self::CrlMissing => "crl_missing",
            Self::CrlExpired => "crl_expired",
            Self::CrlNotYetValid => "crl_not_yet_valid",
            Self::NotAllowed => "not_allowed",
        }
    }

    /// How the operator can mend it, in one sentence.
    pub fn repair(self) -> &'static str {
        match self {
            Self::NoCertificate => {
                "have the client send its certificate (curl --cert FILE --key FILE; a browser: import the .p12 file), \
                 issued by a CA of --ca"
            }
            Self::Expired => "issue a new certificate, and check the clocks of server and client",
            Self::NotYetValid => "check the server's clock; otherwise wait, or issue the certificate anew",
            Self::SelfSigned => {
                "if you trust this certificate, put it into the directory of --authorized-clients: it is then let in by itself"
            }
            Self::UnknownIssuer => {
                "add the issuing CA with --ca; if the issuer is an intermediate of your CA, have the client send it too, or add it with \
                 --intermediates"
            }
            Self::UnknownRoot => {
                "if you trust this root, add it with --ca; otherwise issue the client a certificate of yours"
            }
            Self::MissingIntermediate => {
                "have the client send the intermediate too (append it to the client's certificate file), or add it with \
                 --intermediates"
            }
            Self::SameNameOtherKey => {
                "the CA was made anew under its old name: add the old ca.pem with a second --ca, or issue the client a new \
                 certificate"
            }
            Self::BadSignature => {
                "get the certificate again from where it was issued; it was changed after it was signed"
            }
            Self::IssuerNotCa => {
                "sign client certificates with a CA certificate (basicConstraints CA:TRUE), not with a leaf"
            }
            Self::IssuerWithoutCertSign => "issue the intermediate anew with keyUsage keyCertSign",
            Self::PathLength => "issue from the CA itself, or make the CA that is too short anew with a larger pathlen",
            Self::ChainTooLong => {
                "issue client certificates at most six intermediates below a CA of --ca, and send only those"
            }
            Self::WrongUsage => {
                "issue the certificate with keyUsage digitalSignature and extendedKeyUsage clientAuth (or without the extensions)"
            }
            Self::CaAsClient => {
                "issue the client a certificate of its own (basicConstraints CA:FALSE); keep the CA's for signing"
            }
            Self::X509V1 => {
                "sign with extensions to get version 3 (openssl x509 -req … -extfile FILE), or allow it with --accept-v1"
            }
            Self::WeakKey => "make a new key: EC P-256, or RSA of 2048 bits or more",
            Self::UnsupportedKey => {
                "make a key of a supported kind: EC P-256 or P-384, Ed25519, or RSA of 2048 to 8192 bits"
            }
            Self::UnsupportedSignature => "sign the certificate again with SHA-256",
            Self::UnsupportedExtension => "issue the certificate without the unknown critical extension",
            Self::NameConstraint => "issue the certificate with names that its CA may vouch for",
            Self::MissingPolicy => {
                "issue the certificate with a policy (certificatePolicies) that each CA above it names too, or maps to it"
            }
            Self::Malformed => "issue the certificate anew; this one breaks the rules of X.509",
            Self::Revoked => "issue the client a new certificate, if it is to come back",
            Self::CrlMissing => "load the CA's revocation list with --crl, or leave out --crl-required",
            Self::CrlExpired => {
                "have the CA sign its revocation list anew (by the program that signed it before, as `mtls-min certs crl`) and put \
                 it in place of the old one; it is noticed at once"
            }
            Self::CrlNotYetValid => {
                "set the clock, of the server or of the CA; the list counts as soon as the clock has reached its date"
            }
            Self::NotAllowed => {
                "add a rule that means this client (--allow, or a line of --policy), if it is to be let in"
            }
        }
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A client is not authorised: the code, the facts, and what the client showed. For the operator, never for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    code: RefusalCode,
    detail: String,
    repair: Cow<'static, str>,
    certificate: Option<Identity>,
}

impl Refusal {
    pub(crate) fn new(code: RefusalCode, detail: impl Into<String>, certificate: Option<Identity>) -> Self {
        Self { code, detail: detail.into(), repair: code.repair().into(), certificate }
    }

    /// With a repair for this case, where that of the code would not help.
    pub(crate) fn with_repair(self, repair: Option<Cow<'static, str>>) -> Self {
        match repair {
            Some(repair) => Self { repair, ..self },
            None => self,
        }
    }

    /// The stable code.
    pub fn code(&self) -> RefusalCode {
        self.code
    }

    /// The facts of this case: which certificate, which names, which dates. Safe in a log.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// How to mend it: as a rule the repair of the [code](RefusalCode::repair), or what helps in this case.
    pub fn repair(&self) -> &str {
        &self.repair
    }

    /// What the client showed. Nothing in it is verified: never decide by it.
    pub fn unverified_certificate(&self) -> Option<&Identity> {
        self.certificate.as_ref()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Refusal {}
