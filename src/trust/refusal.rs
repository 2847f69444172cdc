//! Why a client is not authorised: a stable code for programs, the facts for the log, and the repair for the operator.

use std::fmt;

use crate::error::with_pki;
use crate::x509::identity::Identity;
use crate::x509::signature::KeyFault;

/// Generates everything from one table. A row is a variant, its code, the status that the client gets, its meaning, and how the
/// operator can mend it.
macro_rules! refusal_codes {
    ($($variant:ident, $code:literal, $status:ident, $meaning:literal, $repair:expr;)*) => {
        /// Why a client is not authorised. Codes are stable: they are never renamed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum RefusalCode {
            $(#[doc = $meaning] $variant,)*
        }

        impl RefusalCode {
            /// Every code, in the order of the documentation.
            pub const ALL: &'static [RefusalCode] = &[$(Self::$variant,)*];

            /// The code as it stands in logs.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)*
                }
            }

            /// What it means, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$variant => $meaning,)*
                }
            }

            /// How the operator can mend it, in one sentence.
            pub fn repair(self) -> &'static str {
                match self {
                    $(Self::$variant => $repair,)*
                }
            }

            /// The status that the client gets: 403 if the certificate is valid but no rule allows the request, otherwise
            /// 401.
            pub fn status(self) -> http::StatusCode {
                match self {
                    $(Self::$variant => http::StatusCode::$status,)*
                }
            }
        }
    };
}

refusal_codes! {
    NoCertificate, "no_certificate", UNAUTHORIZED,
        "The client sent no certificate.",
        "have the client send its certificate (curl --cert FILE --key FILE; a browser: import the .p12 file), issued by \
         a CA of `TrustBuilder::pem_file`";
    Expired, "expired", UNAUTHORIZED,
        "A certificate on the path is past its last day.",
        "issue a new certificate, and check the clocks of server and client";
    NotYetValid, "not_yet_valid", UNAUTHORIZED,
        "A certificate on the path is not valid yet.",
        "check the server's clock; otherwise wait, or issue the certificate again";
    SelfSigned, "self_signed", UNAUTHORIZED,
        "The client's certificate is signed by itself, and it is not pinned.",
        "if you trust this certificate, pin it: put it into the directory of `TrustBuilder::authorized_clients`";
    UnknownIssuer, "unknown_issuer", UNAUTHORIZED,
        "The issuer of the client's certificate is not a loaded CA, and its certificate was not sent.",
        "add the issuing CA with `TrustBuilder::pem_file`; if the issuer is an intermediate of your CA, have the client send it too, or add \
         it with `TrustBuilder::intermediates_file`";
    UnknownRoot, "unknown_root", UNAUTHORIZED,
        "The client's chain is complete up to a root that is not a loaded CA.",
        "if you trust this root, add it with `TrustBuilder::pem_file`; otherwise issue the client a certificate from your CA";
    MissingIntermediate, "missing_intermediate", UNAUTHORIZED,
        "The chain seems to lead to a loaded CA, but an intermediate was not sent.",
        "have the client send the intermediate too (append it to the client's certificate file), or add it with \
         `TrustBuilder::intermediates_file`";
    SameNameOtherKey, "same_name_other_key", UNAUTHORIZED,
        "The issuer has the name of a loaded CA, but another key: the CA was made again.",
        "the CA was made again under its old name: add the old ca.pem with a second `TrustBuilder::pem_file`, or issue the client a new \
         certificate";
    BadSignature, "bad_signature", UNAUTHORIZED,
        "The issuer's name and key identifier are those of a known CA, but its key did not make the signature: the certificate is damaged or forged.",
        "get the certificate again from its issuer; it was changed after it was signed";
    IssuerNotCa, "issuer_not_ca", UNAUTHORIZED,
        "A certificate was signed by a certificate that is not a CA.",
        "sign client certificates with a CA certificate (basicConstraints CA:TRUE), not with an end-entity certificate";
    IssuerWithoutCertSign, "issuer_without_cert_sign", UNAUTHORIZED,
        "A certificate was signed by a CA whose key usage does not allow signing certificates.",
        "issue the intermediate again with keyUsage keyCertSign";
    PathLength, "path_length", UNAUTHORIZED,
        "There are more intermediates below a CA than its path length allows.",
        "issue the certificate from the CA itself, or make the CA again with a larger pathlen";
    ChainTooLong, "chain_too_long", UNAUTHORIZED,
        "The chain is too long, or takes too much work to check.",
        "issue client certificates at most six intermediates below a CA of `TrustBuilder::pem_file`, and send only those";
    WrongUsage, "wrong_usage", UNAUTHORIZED,
        "The certificate is not meant for authenticating clients.",
        "issue the certificate with keyUsage digitalSignature and extendedKeyUsage clientAuth (or without the \
         extensions)";
    CaAsClient, "ca_as_client", UNAUTHORIZED,
        "The client uses a CA certificate as its own.",
        "issue the client its own certificate (basicConstraints CA:FALSE); keep the CA for signing";
    X509V1, "x509_v1", UNAUTHORIZED,
        "A certificate has X.509 version 1 (or 2), which has no extensions, so nothing limits its use.",
        "sign with extensions to get version 3 (openssl x509 -req … -extfile FILE), or allow it with `TrustBuilder::accept_v1`";
    WeakKey, "weak_key", UNAUTHORIZED,
        "A key is too short.",
        "make a new key: EC P-256, or RSA of 2048 bits or more";
    UnsupportedKey, "unsupported_key", UNAUTHORIZED,
        "This server does not support the type or size of a key.",
        "make a key of a supported type: EC P-256 or P-384, Ed25519, or RSA of 2048 to 8192 bits";
    UnsupportedSignature, "unsupported_signature", UNAUTHORIZED,
        "A signature uses an algorithm that this server does not accept, for example SHA-1.",
        "sign the certificate again with SHA-256";
    UnsupportedExtension, "unsupported_extension", UNAUTHORIZED,
        "A certificate has a critical extension that this server does not support.",
        "issue the certificate without the unsupported critical extension";
    NameConstraint, "name_constraint", UNAUTHORIZED,
        "A certificate has a name that a CA on its path may not vouch for.",
        "issue the certificate with names that its CA may vouch for";
    MissingPolicy, "missing_policy", UNAUTHORIZED,
        "A CA on the path requires a certificate policy, and none is valid for the whole path below it.",
        "issue the certificate with a policy (certificatePolicies) that every CA above it has too, or maps to it";
    Malformed, "malformed", UNAUTHORIZED,
        "A certificate cannot be read.",
        "issue the certificate again; this one breaks the rules of X.509";
    Revoked, "revoked", UNAUTHORIZED,
        "A certificate on the path was revoked by its CA.",
        "issue the client a new certificate, if it should have access again";
    CrlMissing, "crl_missing", UNAUTHORIZED,
        "A CA on the path has no revocation list, and one is required.",
        "load the CA's revocation list with `TrustBuilder::crl_file`, or leave out `TrustBuilder::require_crls`";
    CrlExpired, "crl_expired", UNAUTHORIZED,
        "The revocation list of a CA on the path is stale.",
        with_pki(
            "have the CA sign a new revocation list (with the program that signed it before, for example `Directory::sign_crl`) and \
             put it in place of the old one; it is noticed at once",
            "have the CA sign a new revocation list (with the program that signed it before) and put it in place of the old one; it \
             is noticed at once",
        );
    CrlNotYetValid, "crl_not_yet_valid", UNAUTHORIZED,
        "The revocation list of a CA on the path is from the future: the clock of the server or of the CA is wrong.",
        "set the clock of the server or of the CA; the list takes effect when its date is reached";
    NotAllowed, "not_allowed", FORBIDDEN,
        "The certificate is valid, but no rule allows its holder to do this.",
        "to let this client in, add a rule that matches it (`Policy::allowing`, or a line of `TrustBuilder::policy_file`)";
}

impl From<KeyFault> for RefusalCode {
    fn from(fault: KeyFault) -> Self {
        match fault {
            KeyFault::TooShort => Self::WeakKey,
            KeyFault::Unsupported => Self::UnsupportedKey,
        }
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A client is not authorised: the code, the facts, and the client's certificate. For the operator, never for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    code: RefusalCode,
    detail: String,
    repair: &'static str,
    certificate: Option<Identity>,
}

impl Refusal {
    pub(crate) fn new(code: RefusalCode, detail: impl Into<String>, certificate: Option<Identity>) -> Self {
        Self { code, detail: detail.into(), repair: code.repair(), certificate }
    }

    pub(crate) fn no_certificate() -> Self {
        Self::new(RefusalCode::NoCertificate, "the client sent no certificate", None)
    }

    /// With a repair for this case, if that of the code would not help.
    pub(crate) fn with_repair(self, repair: Option<&'static str>) -> Self {
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

    /// How to mend it: usually the repair of the [code](RefusalCode::repair), otherwise what helps in this case.
    pub fn repair(&self) -> &'static str {
        self.repair
    }

    /// The client's certificate. Nothing in it is verified: never decide by it.
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
