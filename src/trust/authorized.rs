//! The directory of authorised clients: certificates that are let in by themselves, each under the name of its file.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::certificate::Certificate;
use crate::error::Error;
use crate::identity::{sha256, visible};
use crate::pem::PemProblem;

use super::blocks::blocks;
use super::load::read;
use super::{Pin, Trust};

/// A file of one certificate is larger than this only by mistake.
const MAX_FILE: u64 = 1024 * 1024;

/// Names of files that are read.
const ENDINGS: [&str; 3] = ["pem", "crt", "cer"];

/// Adds what stands in the directory. All of it or an error: a client whose file is broken is noticed, not just left out.
pub(super) fn add(trust: &mut Trust, hints: &mut BTreeSet<Vec<u8>>, directory: &Path) -> Result<(), Error> {
    let failed = |error: std::io::Error| {
        Error::new(format!("cannot read the directory of authorised clients {}", directory.display())).caused_by(error)
    };
    let mut count = 0;
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if let Some(name) = client_name(&path) {
            count += usize::from(add_file(trust, hints, &path, &name)?);
        }
    }
    trust.authorized_clients = Some(count);
    Ok(())
}

/// The name of the client whose file this is; `None` if it is none. Hidden files are those of editors and of Kubernetes.
pub(crate) fn client_name(path: &Path) -> Option<String> {
    let ending = path.extension()?.to_str()?;
    let name = path.file_stem()?.to_str()?;
    (ENDINGS.contains(&ending) && !name.starts_with('.')).then(|| visible(name))
}

/// `false`: the file vanished meanwhile.
fn add_file(trust: &mut Trust, hints: &mut BTreeSet<Vec<u8>>, path: &Path, name: &str) -> Result<bool, Error> {
    let bytes = match read(path, "the authorised client", MAX_FILE) {
        Ok(bytes) => bytes,
        Err(_) if !path.exists() && path.symlink_metadata().is_err() => return Ok(false),
        Err(error) => return Err(error),
    };
    let place = path.display().to_string();
    let der = match bytes.first() {
        Some(0x30) => CertificateDer::from(bytes),
        _ => {
            let found = blocks(&bytes, &place, "CERTIFICATE", "certificate")?;
            let [block] = found.as_slice() else {
                return Err(Error::new(format!("{place} holds {} certificates", found.len()))
                    .hint("one file, one client; put the CAs of several clients into --ca"));
            };
            CertificateDer::from_pem_slice(block.pem).map_err(|error| {
                Error::new(format!("{}: this certificate is broken", block.place))
                    .caused_by(PemProblem(error))
                    .hint("copy the file again, whole")
            })?
        }
    };
    let certificate = Certificate::parse(&der).map_err(|error| {
        Error::new(format!("{place}: this certificate cannot be read"))
            .caused_by(error)
            .hint("copy the file again, whole")
    })?;
    hints.insert(certificate.issuer.into());
    let pin = Pin { name: Some(name.into()) };
    if let Some(Pin { name: Some(other) }) = trust.pins.insert(sha256(&der), pin) {
        return Err(Error::new(format!("{place} holds the same certificate as the file of {other}"))
            .hint("remove one of the two: a client has one name"));
    }
    Ok(true)
}
