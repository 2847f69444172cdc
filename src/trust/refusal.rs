//! Why a client is not authorised: a stable code for programs, the facts for the log, and the repair for the operator.

use std::borrow::Cow;
use std::fmt;

use crate::x509::identity::Identity;
use crate::x509::signature::KeyFault;

/// Makes everything of one table: a row is a variant, its code, what it means, and how the operator can mend it.
macro_rules! refusal_codes {
    ($($variant:ident, $code:literal, $meaning:literal, $repair:literal;)*) => {
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

            /// The status that the client gets: 403 if only a rule is in the way, otherwise 401.
            pub fn status(self) -> http::StatusCode {
                match self {
                    Self::NotAllowed => http::StatusCode::FORBIDDEN,
                    _ => http::StatusCode::UNAUTHORIZED,
                }
            }
        }
    };
}

refusal_codes! {
    NoCertificate, "no_certificate",
        "The client showed no certificate.",
        "have the client send its certificate (curl --cert FILE --key FILE; a browser: import the .p12 file), issued by a CA of \
         `TrustBuilder::pem_file`";
    Expired, "expired",
        "A certificate on the path is past its last day.",
        "issue a new certificate, and check the clocks of server and client";
    NotYetValid, "not_yet_valid",
        "A certificate on the path is not valid yet.",
        "check the server's clock; otherwise wait, or issue the certificate anew";
    SelfSigned, "self_signed",
        "The client's certificate is signed by itself, and it is not one of those that are let in by themselves.",
        "if you trust this certificate, put it into the directory of `TrustBuilder::authorized_clients`: it is then let in by \
         itself";
    UnknownIssuer, "unknown_issuer",
        "The issuer of the client's certificate is not a loaded CA, and nothing says who it is.",
        "add the issuing CA with `TrustBuilder::pem_file`; if the issuer is an intermediate of your CA, have the client send it \
         too, or add it with `TrustBuilder::intermediates_file`";
    UnknownRoot, "unknown_root",
        "The client's chain is complete up to a root that is not a loaded CA.",
        "if you trust this root, add it with `TrustBuilder::pem_file`; otherwise issue the client a certificate of yours";
    MissingIntermediate, "missing_intermediate",
        "The chain seems to lead to a loaded CA, but a certificate in between was not sent.",
        "have the client send the intermediate too (append it to the client's certificate file), or add it with \
         `TrustBuilder::intermediates_file`";
    SameNameOtherKey, "same_name_other_key",
        "The issuer has the name of a loaded CA but not its key: the CA was made anew.",
        "the CA was made anew under its old name: add the old ca.pem with a second `TrustBuilder::pem_file`, or issue the client \
         a new \
         certificate";
    BadSignature, "bad_signature",
        "Name and key identifier fit a loaded CA, the signature does not: the certificate is damaged or forged.",
        "get the certificate again from where it was issued; it was changed after it was signed";
    IssuerNotCa, "issuer_not_ca",
        "A certificate was signed by another that is not a CA.",
        "sign client certificates with a CA certificate (basicConstraints CA:TRUE), not with a leaf";
    IssuerWithoutCertSign, "issuer_without_cert_sign",
        "A certificate was signed by a CA whose key usage does not include signing certificates.",
        "issue the intermediate anew with keyUsage keyCertSign";
    PathLength, "path_length",
        "There are more intermediates below a CA than it allows.",
        "issue from the CA itself, or make the CA that is too short anew with a larger pathlen";
    ChainTooLong, "chain_too_long",
        "The chain is longer than this server follows.",
        "issue client certificates at most six intermediates below a CA of `TrustBuilder::pem_file`, and send only those";
    WrongUsage, "wrong_usage",
        "The certificate is not meant for authenticating clients.",
        "issue the certificate with keyUsage digitalSignature and extendedKeyUsage clientAuth (or without the \
         extensions)";
    CaAsClient, "ca_as_client",
        "The client uses the certificate of a CA as its own.",
        "issue the client a certificate of its own (basicConstraints CA:FALSE); keep the CA's for signing";
    X509V1, "x509_v1",
        "A certificate is of X.509 version 1 (or 2), which has no extensions and so no limits.",
        "sign with extensions to get version 3 (openssl x509 -req … -extfile FILE), or allow it with `TrustBuilder::accept_v1`";
    WeakKey, "weak_key",
        "A key is too short.",
        "make a new key: EC P-256, or RSA of 2048 bits or more";
    UnsupportedKey, "unsupported_key",
        "A key is of a kind that this server cannot check.",
        "make a key of a supported kind: EC P-256 or P-384, Ed25519, or RSA of 2048 to 8192 bits";
    UnsupportedSignature, "unsupported_signature",
        "A signature uses an algorithm that this server does not accept, for example SHA-1.",
        "sign the certificate again with SHA-256";
    UnsupportedExtension, "unsupported_extension",
        "A certificate has a critical extension that this server does not know.",
        "issue the certificate without the unknown critical extension";
    NameConstraint, "name_constraint",
        "A certificate has a name that a CA on its path may not vouch for.",
        "issue the certificate with names that its CA may vouch for";
    MissingPolicy, "missing_policy",
        "A CA on the path asks for a certificate policy, and none is valid for the whole path below it.",
        "issue the certificate with a policy (certificatePolicies) that each CA above it names too, or maps to it";
    Malformed, "malformed",
        "A certificate cannot be read.",
        "issue the certificate anew; this one breaks the rules of X.509";
    Revoked, "revoked",
        "A certificate on the path was revoked by its CA.",
        "issue the client a new certificate, if it is to come back";
    CrlMissing, "crl_missing",
        "A CA on the path has no revocation list, and one is required.",
        "load the CA's revocation list with `TrustBuilder::crl_file`, or leave out `TrustBuilder::require_crls`";
    CrlExpired, "crl_expired",
        "The revocation list of a CA on the path is stale.",
        "have the CA sign its revocation list anew (by the program that signed it before, as `Directory::sign_crl`) and \
         put it in place of the old one; it is noticed at once";
    CrlNotYetValid, "crl_not_yet_valid",
        "The revocation list of a CA on the path is from the future: the clock is wrong, here or at the CA.",
        "set the clock, of the server or of the CA; the list counts as soon as the clock has reached its date";
    NotAllowed, "not_allowed",
        "The certificate is valid, but no rule lets its holder do this.",
        "add a rule that means this client (`Policy::allowing`, or a line of `TrustBuilder::policy_file`), if it is to be let in";
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
