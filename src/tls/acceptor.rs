//! How connections shake hands: what rustls is told about certificates, trust, protocols and resumption.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;

use super::resumption::{self, Sessions};
use super::server_certificate::ServerCertificate;
use super::verifier::{Judge, Verifier};
use crate::config::Handshakes;
use crate::trust::Trust;

/// The only application protocol that is offered (RFC 7301).
const ALPN: &[u8] = b"http/1.1";

/// How the connections that are accepted from now on shake hands.
pub(crate) struct Tls {
    provider: Arc<CryptoProvider>,
    resolver: Arc<SingleCertAndKey>,
    verifier: Arc<Verifier>,
    config: Arc<ServerConfig>,
    /// The sessions of this generation of trust, if they may be resumed. Nothing of an older one is ever looked up.
    sessions: Option<Sessions>,
}

impl Tls {
    pub(crate) fn new(
        provider: &Arc<CryptoProvider>,
        certificate: &ServerCertificate,
        trust: &Trust,
        judge: Judge,
        handshakes: Handshakes,
    ) -> Result<Self, rustls::Error> {
        let verifier = Arc::new(Verifier::new(trust, judge, handshakes.strict));
        let (provider, resolver) = (Arc::clone(provider), certificate.resolver());
        let config = Arc::new(config(&provider, &resolver, Arc::clone(&verifier))?);
        let sessions = handshakes.resumption.then(Sessions::new);
        Ok(Self { provider, resolver, verifier, config, sessions })
    }

    /// The configuration of the next connection.
    pub(super) fn config(&self) -> Result<Arc<ServerConfig>, rustls::Error> {
        let Some(sessions) = &self.sessions else { return Ok(Arc::clone(&self.config)) };
        let gate = sessions.gate();
        let verifier = Arc::new(self.verifier.with_gate(Arc::clone(&gate)));
        let mut config = config(&self.provider, &self.resolver, verifier)?;
        config.session_storage = gate;
        config.send_tls13_tickets = resumption::TICKETS;
        Ok(Arc::new(config))
    }
}

/// Without resumption: no tickets, no session ids, no early data.
fn config(
    provider: &Arc<CryptoProvider>,
    resolver: &Arc<SingleCertAndKey>,
    verifier: Arc<Verifier>,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::clone(resolver) as _);
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    // Most clients put the most expensive suite first.
    config.ignore_client_order = true;
    Ok(config)
}
