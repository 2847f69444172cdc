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

use crate::clock::Clock;
use crate::trust::{Trust, Verdict, judge, prove_possession};

/// Lets every chain through; refuses in the handshake only if `strict`.
#[derive(Debug)]
pub(crate) struct Verifier {
    pub(crate) trust: Arc<Trust>,
    /// With a clock: judge in the handshake already, and answer a refusal with a TLS alert.
    pub(crate) strict: Option<Clock>,
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.strict.is_some()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.trust.hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(clock) = &self.strict {
            let chain: Vec<_> =
                std::iter::once(end_entity).chain(intermediates).map(|cert| CertificateDer::from(&cert[..])).collect();
            if let Verdict::Refused(refusal) = judge(&chain, &self.trust, clock.now()).verdict {
                return Err(Error::InvalidCertificate(CertificateError::Other(OtherError(refusal))));
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
        prove_possession(message, cert, dss, false, self.trust.algorithms())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        prove_possession(message, cert, dss, true, self.trust.algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.algorithms().supported_schemes()
    }
}
