//! Which crypto library this build has.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// aws-lc-rs when both are there.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    #[cfg(feature = "aws-lc-rs")]
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(not(feature = "aws-lc-rs"))]
    let provider = rustls::crypto::ring::default_provider();
    Arc::new(cheapest_first(provider))
}

/// Puts AES-128-GCM with SHA-256 before its sister with AES-256 and SHA-384. Both are far from broken, certificates on P-256
/// are no stronger than the former, and SHA-384, which few processors help with, would be a tenth of a handshake's cost.
fn cheapest_first(mut provider: CryptoProvider) -> CryptoProvider {
    provider.cipher_suites.sort_by_key(|suite| {
        use rustls::CipherSuite as C;
        match suite.suite() {
            C::TLS13_AES_128_GCM_SHA256
            | C::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
            | C::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => 0,
            _ => 1,
        }
    });
    provider
}
