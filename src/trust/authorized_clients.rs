//! The directory of authorised clients: certificates that are let in by themselves, each under the name of its file.

use std::collections::BTreeSet;
use std::collections::hash_map::Entry;
use std::fs;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;

use crate::error::Error;
use crate::escape::visible;
use crate::file::FileKind;
use crate::x509::certificate::Certificate;
use crate::x509::identity::sha256;
use crate::x509::pem::{Block, Form, blocks, check_form, is_der};

use super::{Digest, Pin, Trust};

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
        error.hint("`TrustBuilder::authorized_clients` names it; the user who runs this has to be able to read it")
    };
    let entries = fs::read_dir(directory).map_err(failed)?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    // The order of a directory is any; of two that clash it is always the same one that is told.
    paths.sort_unstable();
    // The files of one name side by side. There may be very many: no more is kept of them than their paths.
    paths.sort_by_cached_key(|path| client_name(path));
    let (mut count, mut unread) = (0, Vec::new());
    for paths in paths.chunk_by(|one, next| client_name(one) == client_name(next)) {
        let Some(name) = client_name(&paths[0]) else { continue };
        let found = read_file(paths);
        // A link that leads nowhere holds nobody any more, and neither does a file with another's certificate.
        let is_unread = found.is_err() && paths.iter().any(|path| path.try_exists().unwrap_or(true));
        let pinned = found.and_then(|found| {
            let Some(found) = found else { return Ok(()) };
            pin(trust, &name, &found)?;
            hints.insert(found.issuer);
            count += 1;
            Ok(())
        });
        match (pinned, before) {
            (Ok(()), _) => {}
            (Err(error), None) => return Err(error),
            (Err(error), Some(before)) => {
                let until_then = match is_unread {
                    true => "that client stays as it was",
                    false => "nobody is let in by it",
                };
                trust.left_as_they_were.push(visible(&format!("{}; until then {until_then}", error.in_full())));
                unread.extend(is_unread.then_some((before, name)));
            }
        }
    }
    // Last, when it is known which certificates other files have.
    for (before, name) in unread {
        count += keep(trust, before, &name);
    }
    trust.authorized_clients = Some(count);
    Ok(())
}

/// A certificate in a file.
struct Found {
    place: String,
    digest: Digest,
    issuer: Vec<u8>,
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

/// What the file of a client holds, of which there is one. `None`: it vanished meanwhile.
fn read_file(paths: &[PathBuf]) -> Result<Option<Found>, Error> {
    let [path] = paths else {
        let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(Error::new(format!("{} are of one name", paths.join(" and ")))
            .hint("leave one of them: a client has one name"));
    };
    let bytes = match FileKind::AUTHORIZED_CLIENT.read(path) {
        Ok(bytes) => bytes,
        Err(_) if !path.exists() && path.symlink_metadata().is_err() => return Ok(None),
        Err(error) => return Err(error),
    };
    let place = path.display().to_string();
    let der = match is_der(&bytes) {
        true => {
            check_form(&bytes, &place, Form::Certificate, "certificate")?;
            CertificateDer::from(bytes)
        }
        false => {
            let found = blocks(&bytes, &place, "CERTIFICATE", "certificate")?;
            let mut certificates = found.iter().map(Block::certificate).collect::<Result<Vec<_>, _>>()?;
            match (certificates.pop(), certificates.len()) {
                (Some(certificate), 0) => certificate,
                (_, others) => {
                    return Err(Error::new(format!("{place} holds {} certificates", others + 1))
                        .hint("one file, one client; put the CAs of several clients into `TrustBuilder::pem_file`"));
                }
            }
        }
    };
    let certificate = Certificate::parse(&der).map_err(|error| {
        Error::new(format!("{place}: this certificate cannot be read"))
            .caused_by(error)
            .hint("copy the file again, whole")
    })?;
    let (digest, issuer) = (sha256(&der), certificate.issuer.into());
    Ok(Some(Found { place, digest, issuer }))
}

fn pin(trust: &mut Trust, name: &str, Found { place, digest, .. }: &Found) -> Result<(), Error> {
    if let Some(Pin { name: Some(other) }) = trust.pins.get(digest) {
        return Err(Error::new(format!("{place} holds the same certificate as the file of {other}"))
            .hint("remove one of the two: a client has one name"));
    }
    trust.pins.insert(*digest, Pin { name: Some(name.into()) });
    Ok(())
}
