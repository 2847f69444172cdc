//! A server that watches the files of a directory.

use std::path::Path;

use mtls_min::{ServerFiles, Trust, TrustBuilder};

use crate::support::client::{TLS13, get};
use crate::support::crl::Crl;
use crate::support::files::TempDir;
use crate::support::pki::{Ca, Holder};
use crate::support::server::{Running, start_watching};

/// A directory with a CA's certificate, an empty list, and a server's certificate and key.
pub(crate) fn site(ca: &Ca) -> TempDir {
    let dir = TempDir::new();
    dir.write_certificates("", ca);
    dir.write("crl.pem", Crl::number(1).pem(ca));
    dir
}

pub(crate) fn trust_in(dir: &Path) -> TrustBuilder {
    Trust::builder().pem_file(dir.join("ca.pem")).crl_file(dir.join("crl.pem"))
}

pub(crate) fn files(dir: &Path, trust: TrustBuilder) -> ServerFiles {
    ServerFiles::new(trust, dir.join("server-crt.pem"), dir.join("server-key.pem"))
}

pub(crate) fn watch(dir: &TempDir) -> Running {
    start_watching(files(dir.path(), trust_in(dir.path())))
}

pub(crate) fn status(running: &Running, holder: &Holder) -> u16 {
    get(running.addr, Some(holder), &TLS13).unwrap().status
}
