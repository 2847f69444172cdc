//! Session resumption, where it is asked for: who gets a ticket, and which sessions there are.
//!
//! A resumed session proves only who shook hands before: the verdict is reached anew from the chain it carries, as for
//! every request. Still a refused client gets no ticket, because its browser would go on resuming "without certificate"
//! after its user has imported one. TLS hands out tickets at the end of the handshake, by itself; so each connection has a
//! [`TicketGate`] of its own, which knows whether its client was authorised in this very handshake.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ServerSessionMemoryCache, StoresServerSessions};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::verifier::{Judge, Verifier};
use crate::trust::Verdict;

/// So many sessions are remembered; the oldest goes first. Only authorised clients can add to them.
const MOST_SESSIONS: usize = 1024;

/// So many tickets get a client in a full handshake (RFC 8446, section 4.6.1). Each serves once, and a resumed session
/// gets no further ones, so that now and then the client has to prove its key again.
pub(crate) const TICKETS: usize = 4;

/// The sessions of one generation of trust.
#[derive(Debug)]
pub(crate) struct Sessions {
    memory: Arc<ServerSessionMemoryCache>,
    verifier: Arc<Verifier>,
    judge: Judge,
}

/// What one connection sees of them.
#[derive(Debug)]
pub(crate) struct TicketGate {
    sessions: Arc<Sessions>,
    /// Whether the client showed a certificate in this handshake, and was authorised.
    authorised: AtomicBool,
}

impl Sessions {
    pub(crate) fn new(verifier: Arc<Verifier>, judge: Judge) -> Self {
        Self { memory: ServerSessionMemoryCache::new(MOST_SESSIONS), verifier, judge }
    }

    pub(crate) fn gate(self: &Arc<Self>) -> Arc<TicketGate> {
        Arc::new(TicketGate { sessions: Arc::clone(self), authorised: AtomicBool::new(false) })
    }
}

impl StoresServerSessions for TicketGate {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.authorised.load(Ordering::Relaxed) && self.sessions.memory.put(key, value)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.sessions.memory.get(key)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.sessions.memory.take(key)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for TicketGate {
    fn client_auth_mandatory(&self) -> bool {
        self.sessions.verifier.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.sessions.verifier.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.sessions.verifier.verify_client_cert(end_entity, intermediates, now)?;
        let verdict = self.sessions.judge.verdict(end_entity, intermediates);
        self.authorised.store(matches!(verdict, Verdict::Authorised(_)), Ordering::Relaxed);
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.sessions.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.sessions.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.sessions.verifier.supported_verify_schemes()
    }
}
