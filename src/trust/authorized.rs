//! The directory of authorised clients: certificates that are let in by themselves, each under the name of its file.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
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

/// Names of files that are read, in capitals or not.
const ENDINGS: [&str; 3] = ["pem", "crt", "cer"];

/// Adds what stands in the directory. All of it or an error: a client whose file is broken is noticed, not just left out.
///
/// While a server runs, in the place of `before`, a file that cannot be read leaves its client as it was: one file, half
/// copied, must not keep another client in that was taken out.
pub(super) fn add(
    trust: &mut Trust,
    hints: &mut BTreeSet<Vec<u8>>,
    directory: &Path,
    before: Option<&Trust>,
) -> Result<(), Error> {
    let failed = |error: std::io::Error| {
        let error = Error::new(format!("cannot read the directory of authorised clients {}", directory.display()))
            .caused_by(error);
        error.hint("--authorized-clients names it; the user who runs this has to be able to read it")
    };
    let entries = fs::read_dir(directory).map_err(failed)?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    // The order of a directory is any; of two that clash it is always the same one that is told.
    paths.sort_unstable();
    let mut names = HashMap::new();
    let mut count = 0;
    for path in &paths {
        let Some(name) = client_name(path) else { continue };
        let added = match names.insert(name.clone(), path) {
            None => add_file(trust, hints, path, &name),
            Some(other) => Err(Error::new(format!("{} and {} are of one name", other.display(), path.display()))
                .hint("rename or remove one of the two: a client has one name")),
        };
        match (added, before) {
            (Ok(added), _) => count += usize::from(added),
            (Err(error), None) => return Err(error),
            (Err(error), Some(before)) => {
                count += keep(trust, before, &name);
                trust
                    .left_as_they_were
                    .push(visible(&format!("{}; until then that client stays as it was", error.in_full())));
            }
        }
    }
    trust.authorized_clients = Some(count);
    Ok(())
}

/// The name of the client whose file this is; `None` if it is none. Hidden files are those of editors and of Kubernetes.
pub(crate) fn client_name(path: &Path) -> Option<String> {
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    let name = path.file_stem()?.to_string_lossy();
    (ENDINGS.contains(&&*ending) && !name.starts_with('.')).then(|| visible(&name))
}

/// The client of this name as it was before; returns how many that is.
fn keep(trust: &mut Trust, before: &Trust, name: &str) -> usize {
    let named = |pin: &Pin| pin.name.as_deref() == Some(name);
    let Some((digest, pin)) = before.pins.iter().find(|(_, pin)| named(pin)) else { return 0 };
    // Unless another file has the certificate now.
    match trust.pins.entry(*digest) {
        Entry::Occupied(_) => 0,
        Entry::Vacant(vacant) => {
            vacant.insert(pin.clone());
            1
        }
    }
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
    let digest = sha256(&der);
    if let Some(Pin { name: Some(other) }) = trust.pins.get(&digest) {
        return Err(Error::new(format!("{place} holds the same certificate as the file of {other}"))
            .hint("remove one of the two: a client has one name"));
    }
    trust.pins.insert(digest, Pin { name: Some(name.into()) });
    hints.insert(certificate.issuer.into());
    Ok(true)
}
