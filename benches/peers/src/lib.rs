//! What the peers and the load generator share: the certificates of a directory, as `certs/make-certs.sh` makes them.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

pub type Failed = Box<dyn std::error::Error + Send + Sync>;

/// The key exchange that every peer has, so that all do the same work; P-256 is in it for the sake of the certificates.
pub fn provider() -> Arc<CryptoProvider> {
    use rustls::NamedGroup::{X25519, secp256r1};
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups.retain(|group| [X25519, secp256r1].contains(&group.name()));
    // The cheapest that all have comes first, for those that leave the choice to the client.
    provider.cipher_suites.retain(|suite| format!("{:?}", suite.suite()).contains("AES_128_GCM"));
    Arc::new(provider)
}

pub fn chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, Failed> {
    Ok(CertificateDer::pem_file_iter(file)?.collect::<Result<_, _>>()?)
}

pub fn key(file: &Path) -> Result<PrivateKeyDer<'static>, Failed> {
    Ok(PrivateKeyDer::from_pem_file(file)?)
}

pub fn roots(directory: &Path) -> Result<RootCertStore, Failed> {
    let mut roots = RootCertStore::empty();
    for authority in chain(&directory.join("ca.pem"))? {
        roots.add(authority)?;
    }
    Ok(roots)
}

/// A client with its certificate, or a stranger. Sessions are resumed if `resume`.
pub fn client(directory: &Path, with_certificate: bool, resume: bool) -> Result<Arc<ClientConfig>, Failed> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(directory)?);
    let mut config = match with_certificate {
        true => builder.with_client_auth_cert(
            chain(&directory.join("client1-crt.pem"))?,
            key(&directory.join("client1-key.pem"))?,
        )?,
        false => builder.with_no_client_auth(),
    };
    if !resume {
        config.resumption = rustls::client::Resumption::disabled();
    }
    Ok(Arc::new(config))
}
