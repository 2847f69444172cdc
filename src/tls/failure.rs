//! Why TLS does not go on with a client, in plain words and with the repair: one table of what rustls reports.

use std::borrow::Cow;
use std::fmt::{self, Debug};

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, OtherError, PeerIncompatible, PeerMisbehaved};

use crate::error::with_pki;
use crate::trust::{Refusal, RefusalCode};

/// Why TLS does not go on with a client: a stable code, what happened, and the repair. For the operator, never for the client.
///
/// `Display` is what happened, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFailure {
    code: &'static str,
    what: Cow<'static, str>,
    /// Used if there is no refusal, which has its own.
    repair: &'static str,
    refusal: Option<Refusal>,
}

impl TlsFailure {
    /// The stable code: that of the [refusal](Self::refusal), if there is one, or one of `server_not_trusted`,
    /// `server_expired`, `server_revoked`, `server_unsuitable` (what the client says of the server's certificate),
    /// `client_gave_up`, `client_left` (without a word), `alert` (any other alert of the client's; RFC 8446, section 6), `no_common_version`,
    /// `no_common_cipher`, `no_common_protocol`, `possession_not_proven`, `proxy_header` (a
    /// balancer sent one, and none is expected), `not_tls`, `protocol_error`, and `internal`.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// How to repair it.
    pub fn repair(&self) -> &'static str {
        self.refusal.as_ref().map_or(self.repair, Refusal::repair)
    }

    /// Why the client's certificate was refused, if that is the reason.
    pub fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    /// From what rustls reports. `negotiated`: the client's hello was understood, so that something after it failed.
    pub(crate) fn of(error: &Error, negotiated: bool) -> Self {
        match error {
            Error::AlertReceived(alert) => Self::alert(*alert),
            Error::InvalidCertificate(problem) => Self::certificate(problem),
            Error::NoCertificatesPresented => Self::refused(Refusal::no_certificate()),
            Error::PeerIncompatible(problem) => Self::incompatible(problem),
            Error::NoApplicationProtocol => Self::new(
                "no_common_protocol",
                "the client asks for application protocols (ALPN) and http/1.1 is not among them",
                "have the client speak HTTP/1.1 (curl --http1.1)",
            ),
            Error::InvalidMessage(problem) => Self::message(*problem, negotiated),
            Error::PeerMisbehaved(
                PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme | PeerMisbehaved::SignedKxWithWrongAlgorithm,
            ) => Self::not_proven("the client signed the handshake by an algorithm that it was not offered"),
            Error::PeerMisbehaved(problem) => Self::protocol(in_words(problem)),
            Error::InappropriateMessage { got_type, .. } => Self::unexpected(got_type),
            Error::InappropriateHandshakeMessage { got_type, .. } => Self::unexpected(got_type),
            Error::DecryptError => Self::protocol("a record cannot be decrypted, so it was damaged or forged"),
            Error::PeerSentOversizedRecord => Self::protocol("a record is too long"),
            // All others are our own failures; rustls may add more.
            other => Self::new(
                "internal",
                format!("TLS failed within this server: {other}"),
                "report this to those who make mtls-min",
            ),
        }
    }

    /// A message is longer than what is buffered for a client that has not proven anything.
    pub(crate) fn too_long(negotiated: bool) -> Self {
        match negotiated {
            // After the server's hello a client sends its certificates; everything else is short.
            true => Self::refused(Refusal::new(
                RefusalCode::ChainTooLong,
                "what the client sent in the handshake, its certificates, has more than 64 KiB",
                None,
            )),
            false => Self::protocol("a message has more than 64 KiB"),
        }
    }

    /// The client's first bytes are the header of a balancer.
    pub(crate) fn proxy_header() -> Self {
        Self::new(
            "proxy_header",
            "a balancer sent a PROXY header, and none is expected here",
            "if the balancer is yours, have its header expected, once (`Builder::proxy_protocol`), or have it send none",
        )
    }

    /// The client left without an alert, after it was sent the server's certificate.
    pub(crate) fn left() -> Self {
        Self::new(
            "client_left",
            "the client left in the middle of the handshake, after it was sent the server's certificate",
            "if it comes again and again, it may not trust that certificate: give it the CA that issued it (curl --cacert \
             ca.pem); \
             a browser does so while its user chooses a certificate",
        )
    }

    /// RFC 8446, section 6.2. Most alerts in a handshake are about the certificate that the client was shown.
    fn alert(alert: AlertDescription) -> Self {
        let name = alert_name(alert);
        let said = |code, what: &str, repair| Self::new(code, format!("{what} (alert {name})"), repair);
        match alert {
            // Browsers and libraries use any of the three, and for a wrong name too.
            AlertDescription::UnknownCA | AlertDescription::BadCertificate | AlertDescription::CertificateUnknown => {
                said(
                    "server_not_trusted",
                    "the client does not trust the server's certificate",
                    "give the client the CA that issued the server's certificate (curl --cacert ca.pem; a browser: import \
                 ca.pem as an authority), and have the certificate name the host that the client asks for",
                )
            }
            AlertDescription::CertificateExpired => said(
                "server_expired",
                "for the client the server's certificate has expired or is not valid yet",
                with_pki(
                    "renew the server's certificate (`Directory::renew(server)`), and check the client's clock",
                    "renew the server's certificate, and check the client's clock",
                ),
            ),
            AlertDescription::CertificateRevoked => said(
                "server_revoked",
                "for the client the server's certificate is revoked",
                with_pki(
                    "issue the server a new certificate (`Directory::renew(server)`)",
                    "issue the server a new certificate",
                ),
            ),
            AlertDescription::UnsupportedCertificate
            | AlertDescription::BadCertificateStatusResponse
            | AlertDescription::BadCertificateHashValue
            | AlertDescription::CertificateUnobtainable => said(
                "server_unsuitable",
                "the client cannot use the server's certificate",
                with_pki(
                    "issue the server a certificate with a key of EC P-256 or RSA 2048, signed with SHA-256, with \
                     extendedKeyUsage serverAuth (`Directory::issue_server`)",
                    "issue the server a certificate with a key of EC P-256 or RSA 2048, signed with SHA-256, with \
                     extendedKeyUsage serverAuth",
                ),
            ),
            AlertDescription::CloseNotify | AlertDescription::UserCanceled => said(
                "client_gave_up",
                "the client ended the handshake; a browser does so while its user chooses a certificate",
                "nothing, if it came again; otherwise look for the reason at the client",
            ),
            AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
                said("no_common_cipher", "the client accepts none of what the server chose", MODERN_CLIENT)
            }
            AlertDescription::ProtocolVersion | AlertDescription::InappropriateFallback => {
                said("no_common_version", "the client does not accept the version of TLS", VERSIONS)
            }
            AlertDescription::NoApplicationProtocol => said(
                "no_common_protocol",
                "the client does not accept http/1.1",
                "have the client speak HTTP/1.1 (curl --http1.1)",
            ),
            _ => said(
                "alert",
                "the client ended TLS",
                "look at the client's own log; an error in its TLS, or in something between it and the server, is likely",
            ),
        }
    }

    /// What the verifier, or the proof of possession, makes of the client's certificate.
    fn certificate(problem: &CertificateError) -> Self {
        match problem {
            CertificateError::Other(OtherError(cause)) => match (**cause).downcast_ref::<Refusal>() {
                Some(refusal) => Self::refused(refusal.clone()),
                None => Self::not_proven(format!("the client's certificate cannot be used: {cause}")),
            },
            CertificateError::BadEncoding => Self::refused(Refusal::new(
                RefusalCode::Malformed,
                "what the client sent as its certificate cannot be read, so its key is not known",
                None,
            )),
            CertificateError::BadSignature => {
                Self::not_proven("the client's signature in the handshake does not fit the key of its certificate")
            }
            // The verifier reports nothing else about certificates: the rest is about the signature's algorithm.
            _ => Self::not_proven(
                "the client signed the handshake by an algorithm that does not fit the key of its certificate",
            ),
        }
    }

    fn incompatible(problem: &PeerIncompatible) -> Self {
        use PeerIncompatible as Problem;
        let cipher = |what| Self::new("no_common_cipher", what, MODERN_CLIENT);
        match problem {
            Problem::Tls12NotOffered
            | Problem::Tls12NotOfferedOrEnabled
            | Problem::SupportedVersionsExtensionRequired
            | Problem::ServerDoesNotSupportTls12Or13
            | Problem::ServerTlsVersionIsDisabledByOurConfig => Self::new(
                "no_common_version",
                "the client offers no version of TLS that this server speaks, which are 1.2 and 1.3",
                VERSIONS,
            ),
            Problem::NoCipherSuitesInCommon => cipher(Cow::Borrowed(
                "the client offers no cipher suite that this server has for the key of its certificate",
            )),
            Problem::NoKxGroupsInCommon
            | Problem::NamedGroupsExtensionRequired
            | Problem::KeyShareExtensionRequired => Self::new(
                "no_common_cipher",
                "the client offers no key exchange that this server has",
                "update the client, or have it offer ECDHE with X25519 or P-256",
            ),
            Problem::NoSignatureSchemesInCommon
            | Problem::SignatureAlgorithmsExtensionRequired
            | Problem::NoCertificateRequestSignatureSchemesInCommon => cipher(
                "the client cannot check signatures of the kind that the key of the server's certificate makes".into(),
            ),
            other => cipher(format!("the client lacks what this server asks for: {}", in_words(other)).into()),
        }
    }

    fn message(problem: InvalidMessage, negotiated: bool) -> Self {
        match problem {
            InvalidMessage::CertificatePayloadTooLarge => Self::too_long(true),
            InvalidMessage::HandshakePayloadTooLarge => Self::too_long(negotiated),
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge
            | InvalidMessage::InvalidEmptyPayload
                if !negotiated =>
            {
                Self::new(
                    "not_tls",
                    "the client does not speak TLS",
                    "have the client use https on this port; nothing, if it is a stranger that scans ports",
                )
            }
            problem => Self::protocol(in_words(problem)),
        }
    }

    fn unexpected(message: impl Debug) -> Self {
        Self::protocol(format!("unexpected message, {}", in_words(message)))
    }

    fn protocol(what: impl fmt::Display) -> Self {
        Self::new(
            "protocol_error",
            format!("the client breaks the TLS protocol: {what}"),
            "update the client; if it is up to date, look for something on the way that changes its bytes",
        )
    }

    fn not_proven(what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(
            "possession_not_proven",
            what,
            "give the client the key that belongs to its certificate; if it never had that key, it uses the certificate of somebody else",
        )
    }

    fn refused(refusal: Refusal) -> Self {
        let (code, what) = (refusal.code().as_str(), refusal.detail().to_owned());
        Self { refusal: Some(refusal), ..Self::new(code, what, "") }
    }

    fn new(code: &'static str, what: impl Into<Cow<'static, str>>, repair: &'static str) -> Self {
        Self { code, what: what.into(), repair, refusal: None }
    }
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

const VERSIONS: &str = "update the client, or have it speak TLS 1.2 or 1.3";

const MODERN_CLIENT: &str = "update the client; if it has to stay, try a server certificate with an RSA key instead of an \
                             EC one, or the other way round";

/// The alert's name in RFC 8446, section 6, or in the register of IANA.
fn alert_name(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::Unknown(number) => number.to_string(),
        AlertDescription::UnrecognisedName => "unrecognized_name".to_owned(),
        known => in_words(known).replace(' ', "_"),
    }
}

/// The name of a variant as words: `MissingKeyShare` becomes `missing key share`.
fn in_words(variant: impl Debug) -> String {
    let name = format!("{variant:?}");
    let name: Vec<char> = name.chars().take_while(char::is_ascii_alphanumeric).collect();
    let mut words = String::new();
    for (at, &c) in name.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| name[before]);
        let begins_a_word = before.is_some_and(|before| before.is_ascii_lowercase())
            || (before.is_some() && name.get(at + 1).is_some_and(char::is_ascii_lowercase));
        if c.is_ascii_uppercase() && begins_a_word {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_alerts_are_those_of_the_rfc() {
        for (alert, name) in [
            (AlertDescription::UnknownCA, "unknown_ca"),
            (AlertDescription::CertificateUnknown, "certificate_unknown"),
            (AlertDescription::BadRecordMac, "bad_record_mac"),
            (AlertDescription::UnknownPSKIdentity, "unknown_psk_identity"),
            (AlertDescription::UnrecognisedName, "unrecognized_name"),
            (AlertDescription::Unknown(99), "99"),
        ] {
            assert_eq!(alert_name(alert), name);
        }
    }

    #[test]
    fn every_alert_and_every_common_error_has_words_a_repair_and_no_rust_in_it() {
        let alerts = (0..=255).map(|number| Error::AlertReceived(number.into()));
        let others = [
            Error::DecryptError,
            Error::PeerSentOversizedRecord,
            Error::NoApplicationProtocol,
            Error::NoCertificatesPresented,
            InvalidMessage::MissingData("ServerName").into(),
            InvalidMessage::InvalidContentType.into(),
            InvalidMessage::HandshakePayloadTooLarge.into(),
            PeerMisbehaved::MissingKeyShare.into(),
            PeerIncompatible::UncompressedEcPointsRequired.into(),
            PeerIncompatible::Tls12NotOffered.into(),
            CertificateError::BadEncoding.into(),
            CertificateError::BadSignature.into(),
            CertificateError::Expired.into(),
        ];
        for error in alerts.chain(others) {
            for negotiated in [false, true] {
                let failure = TlsFailure::of(&error, negotiated);
                let text = failure.to_string();
                println!("{}: {text}; {}", failure.code(), failure.repair());
                assert!(failure.repair().len() > 20 && failure.repair().len() <= 256, "{error:?}");
                assert!(text.len() > 20 && text.len() <= 256 && failure.code() != "internal", "{error:?}: {text}");
                let camel = |word: &str| {
                    let mut pairs = word.chars().zip(word.chars().skip(1));
                    word != "KiB" && pairs.any(|(a, b)| a.is_lowercase() && b.is_uppercase())
                };
                assert!(!text.split_whitespace().any(camel), "{error:?}: {text}");
            }
        }
    }

    #[test]
    fn a_repair_names_only_what_this_build_has() {
        for alert in [
            AlertDescription::CertificateExpired,
            AlertDescription::CertificateRevoked,
            AlertDescription::UnsupportedCertificate,
        ] {
            let failure = TlsFailure::of(&Error::AlertReceived(alert), true);
            assert_eq!(failure.repair().contains("`Directory"), cfg!(feature = "pki"), "{failure}");
        }
    }

    #[test]
    fn what_is_too_long_after_the_hello_is_the_chain() {
        let code = |negotiated| TlsFailure::of(&InvalidMessage::HandshakePayloadTooLarge.into(), negotiated).code();
        assert_eq!((code(false), code(true)), ("protocol_error", "chain_too_long"));
        assert_eq!(TlsFailure::too_long(true).refusal().unwrap().code(), RefusalCode::ChainTooLong);
    }
}
