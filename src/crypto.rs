//! The crypto library of this build.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// AWS-LC if the build has both.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    #[cfg(feature = "aws-lc-rs")]
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(not(feature = "aws-lc-rs"))]
    let provider = rustls::crypto::ring::default_provider();
    Arc::new(cheapest_first(provider))
}

/// Prefers AES-128-GCM with SHA-256 to AES-256-GCM with SHA-384. Both are secure, certificates on P-256 are no stronger than the
/// former, and SHA-384, for which few processors have instructions, would be a tenth of a handshake's cost.
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
