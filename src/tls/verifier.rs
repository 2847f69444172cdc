//! What rustls asks about a client's certificate during the handshake.
//!
//! The verifier keeps no state and gives no verdict (unless asked to refuse in the handshake): it asks for a
//! certificate, names the CAs so that browsers can choose, lets every chain through to the verdict, and proves that
//! the client has the key. That proof is never skipped.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme};

use rustls::crypto::WebPkiSupportedAlgorithms;

use crate::clock::Clock;
use crate::trust::{Trust, TrustStore, Verdict, judge, prove_possession};

/// Lets every chain through; refuses in the handshake only if `strict`.
///
/// It holds no snapshot of trust: connections live long, and would keep the lists of their time in memory.
#[derive(Debug)]
pub(crate) struct Verifier {
    pub(crate) hints: Vec<DistinguishedName>,
    pub(crate) algorithms: WebPkiSupportedAlgorithms,
    /// Judge in the handshake already, and answer a refusal with a TLS alert.
    pub(crate) strict: Option<Judge>,
}

/// The verdict at this moment.
#[derive(Debug, Clone)]
pub(crate) struct Judge {
    pub(crate) trust: Arc<TrustStore>,
    pub(crate) clock: Clock,
}

impl Judge {
    pub(crate) fn verdict(&self, end_entity: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> Verdict {
        let chain: Vec<_> =
            std::iter::once(end_entity).chain(intermediates).map(|cert| CertificateDer::from(&cert[..])).collect();
        judge(&chain, &self.trust.current(), self.clock.now()).verdict
    }
}

impl Verifier {
    pub(crate) fn new(trust: &Trust, strict: Option<Judge>) -> Self {
        Self { hints: trust.hint_subjects().to_vec(), algorithms: *trust.algorithms(), strict }
    }
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.strict.is_some()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(judge) = &self.strict
            && let Verdict::Refused(refusal) = judge.verdict(end_entity, intermediates)
        {
            return Err(Error::InvalidCertificate(CertificateError::Other(OtherError(refusal))));
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        prove_possession(message, cert, dss, false, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        prove_possession(message, cert, dss, true, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
