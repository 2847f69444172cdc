//! What the peers and the load generator share: the certificates of a directory, as `certs/make-certs.sh` makes them.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

pub type Failed = Box<dyn std::error::Error + Send + Sync>;

/// The key exchange of the clients.
#[derive(Clone, Copy)]
pub enum Exchange {
    Classic,
    PostQuantum,
}

/// What the clients offer: one cipher suite and one key exchange, so that all servers do the same work.
pub fn provider(exchange: Exchange) -> Arc<CryptoProvider> {
    let group = match exchange {
        Exchange::Classic => aws_lc_rs::kx_group::X25519,
        Exchange::PostQuantum => aws_lc_rs::kx_group::X25519MLKEM768,
    };
    Arc::new(CryptoProvider {
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![group],
        ..aws_lc_rs::default_provider()
    })
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

/// Whose certificate a client shows.
#[derive(Clone, Copy, PartialEq)]
pub enum Who {
    Stranger,
    Client1,
    /// Each of the clients of `clients.pem`, in turn. They all have the key of the first.
    Everyone,
}

/// So many clients. Sessions are resumed if `resume`.
pub fn clients(
    directory: &Path,
    who: Who,
    exchange: Exchange,
    resume: bool,
    count: usize,
) -> Result<Vec<Arc<ClientConfig>>, Failed> {
    let (provider, roots) = (provider(exchange), Arc::new(roots(directory)?));
    let chains: Vec<_> = match who {
        Who::Stranger => vec![None],
        Who::Client1 => vec![Some(chain(&directory.join("client1-crt.pem"))?)],
        Who::Everyone => chain(&directory.join("clients.pem"))?
            .into_iter()
            .take(count)
            .map(|certificate| Some(vec![certificate]))
            .collect(),
    };
    let key = key(&directory.join("client1-key.pem"))?;
    let client = |number| {
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(Arc::clone(&roots));
        let chain: &Option<Vec<_>> = &chains[number % chains.len()];
        let mut config = match chain {
            Some(chain) => builder.with_client_auth_cert(chain.clone(), key.clone_key())?,
            None => builder.with_no_client_auth(),
        };
        if !resume {
            config.resumption = rustls::client::Resumption::disabled();
        }
        Ok(Arc::new(config))
    };
    (0..count).map(client).collect()
}

/// One of them.
pub fn client(directory: &Path, who: Who) -> Result<Arc<ClientConfig>, Failed> {
    Ok(clients(directory, who, Exchange::Classic, false, 1)?.remove(0))
}
