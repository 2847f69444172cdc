//! What rustls asks about a client's certificate in the handshake.
//!
//! The verifier asks for a certificate, names the CAs so that browsers can choose, and checks that the client has the
//! key. That check is never skipped. It lets every chain through to the verdict, which is reached later, for each request
//! (unless clients are to be refused in the handshake). It keeps no state.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme};

use super::resumption::TicketGate;
use crate::clock::Clock;
use crate::trust::{Trust, TrustStore, Verdict, judge, prove_possession};

/// Lets every chain through; refuses in the handshake only if it is strict.
///
/// It holds no snapshot of trust: connections live long, and would keep the lists of their time in memory.
#[derive(Debug, Clone)]
pub(crate) struct Verifier {
    hints: Arc<[DistinguishedName]>,
    algorithms: WebPkiSupportedAlgorithms,
    judge: Judge,
    /// Clients are judged in the handshake already, and a refusal is a TLS alert.
    strict: bool,
    /// Opened for an authorised client, where sessions are resumed.
    gate: Option<Arc<TicketGate>>,
}

/// The verdict at this moment.
#[derive(Debug, Clone)]
pub(crate) struct Judge {
    pub(crate) trust: Arc<TrustStore>,
    pub(crate) clock: Clock,
}

impl Judge {
    fn verdict(&self, end_entity: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> Verdict {
        let chain: Vec<_> =
            std::iter::once(end_entity).chain(intermediates).map(|cert| CertificateDer::from(&cert[..])).collect();
        judge(&chain, &self.trust.current(), self.clock.now()).verdict
    }
}

impl Verifier {
    pub(super) fn new(trust: &Trust, judge: Judge, strict: bool) -> Self {
        Self { hints: trust.hint_subjects().into(), algorithms: *trust.algorithms(), judge, strict, gate: None }
    }

    /// The same for one connection, whose tickets are behind this gate.
    pub(super) fn with_gate(&self, gate: Arc<TicketGate>) -> Self {
        Self { gate: Some(gate), ..self.clone() }
    }
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.strict
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
        if self.strict || self.gate.is_some() {
            match (self.judge.verdict(end_entity, intermediates), &self.gate) {
                (Verdict::Refused(refusal), _) if self.strict => {
                    return Err(Error::InvalidCertificate(CertificateError::Other(OtherError(refusal))));
                }
                (Verdict::Authorised(_), Some(gate)) => gate.open(),
                _ => {}
            }
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
