//! Why a list cannot be used, and how to mend it.

use std::fmt;

use crate::hex::hex;
use crate::x509::der::dotted;

/// Why a list cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// The bytes are something else.
    NotAList,
    /// This part of it cannot be read.
    Broken(&'static str),
    /// It is of version 1, but has what only version 2 may have.
    ExtensionsInVersion1,
    /// It has no date for the next list.
    NoNextUpdate,
    /// It only lists changes since another list.
    Delta,
    /// It may name certificates of other CAs.
    Indirect,
    /// It lists revocations for some reasons only.
    SomeReasons,
    /// It is for attribute certificates.
    AttributeCertificates,
    /// Its distribution point is named relative to its issuer.
    RelativeName,
    /// It has an unsupported critical extension, with this object identifier.
    UnknownExtension(String),
    /// The CRL number is not valid.
    WrongNumber,
    /// The reason of an entry is not valid: serial number and reason, both in hexadecimal digits.
    WrongReason { serial: String, reason: String },
}

/// At most this many octets are shown, because the list may be from a stranger.
const MOST: usize = 32;

impl Unusable {
    /// An extension whose object identifier has these octets.
    pub(super) fn unknown(id: &[u8]) -> Self {
        Self::UnknownExtension(dotted(&id[..id.len().min(MOST)]))
    }

    /// The reason of this serial number has this value in DER.
    pub(super) fn wrong_reason(serial: &[u8], value: &[u8]) -> Self {
        let shown = |octets: &[u8]| match octets.get(..MOST) {
            Some(first) if octets.len() > MOST => format!("{}…", hex(first)),
            _ => hex(octets),
        };
        Self::WrongReason { serial: shown(serial), reason: shown(value) }
    }

    /// How to mend it.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::NotAList => "it must be PEM (-----BEGIN X509 CRL-----) or DER; get it again from the CA",
            Self::Broken(_) | Self::ExtensionsInVersion1 => {
                "get it again from the CA; if that does not help, the program that made it is at fault"
            }
            Self::NoNextUpdate => "have the CA say when the next list is due (openssl ca -gencrl -crldays 30)",
            Self::Delta => "use the complete list of the CA; for AD CS, that is the file without a + in its name",
            Self::Indirect => "have each CA issue a list of its own",
            Self::SomeReasons => "have the CA issue a list for all reasons",
            Self::AttributeCertificates => "use the CA's list of public key certificates",
            Self::RelativeName => "have the CA give the distribution point a full name (RFC 5280, section 4.2.1.13)",
            Self::UnknownExtension(_) => "have the CA leave out the extension, or mark it as not critical",
            Self::WrongNumber => "have the CA number its lists 1, 2, 3, or not at all",
            Self::WrongReason { .. } => "have the CA give one of the reasons 0 to 6 or 8 to 10, or none",
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAList => f.write_str("it is not a revocation list"),
            Self::Broken(part) => write!(f, "it has a broken {part}"),
            Self::ExtensionsInVersion1 => {
                f.write_str("it is of version 1, but has extensions (RFC 5280, section 5.1.2.1)")
            }
            Self::NoNextUpdate => f.write_str("it does not say when the next list is due (nextUpdate)"),
            Self::Delta => {
                f.write_str("it is partial: a delta list, which only lists changes since another one")
            }
            Self::Indirect => f.write_str("it is an indirect list, which may name certificates of other CAs"),
            Self::SomeReasons => {
                f.write_str("it is partial: it lists revocations for some reasons only (onlySomeReasons)")
            }
            Self::AttributeCertificates => {
                f.write_str("it is for attribute certificates (onlyContainsAttributeCerts), which clients do not use")
            }
            Self::RelativeName => f.write_str(
                "its distribution point has a name relative to its issuer (nameRelativeToCRLIssuer), which is not supported",
            ),
            Self::UnknownExtension(id) => {
                write!(f, "it has the critical extension {id}, which is not supported (RFC 5280, section 5.2)")
            }
            Self::WrongNumber => f.write_str(
                "its CRL number is not an integer of 0 or more with at most 20 octets (RFC 5280, section 5.2.3)",
            ),
            Self::WrongReason { serial, reason } => {
                write!(
                    f,
                    "the reason of the serial number {serial} is {reason} in DER, which is not a reason of RFC 5280, section 5.3.1"
                )
            }
        }
    }
}

impl std::error::Error for Unusable {}
