//! The directory of authorised clients: certificates that are let in by themselves, each named by its file.

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

/// Files with these endings are read, in upper or lower case.
const ENDINGS: [&str; 3] = ["pem", "crt", "cer"];

/// Adds what is in the directory. It is all or an error, so that a broken file is noticed and not just left out.
///
/// While a server runs, `before` is the trust that this one replaces. Then a file that cannot be read leaves its client as
/// it was. One half-copied file must not keep access for another client whose file was removed.
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
    // The directory has no order. Sorted, the same one of two conflicting files is always reported.
    paths.sort_unstable();
    // Files of the same name stand together. There may be very many, so no more than their paths is kept.
    paths.sort_by_cached_key(|path| client_name(path));
    let (mut count, mut unread) = (0, Vec::new());
    for paths in paths.chunk_by(|one, next| client_name(one) == client_name(next)) {
        let Some(name) = client_name(&paths[0]) else { continue };
        let found = read_file(paths);
        // A dangling link lets nobody in any more, nor does a file that has another client's certificate.
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
                    false => "it lets nobody in",
                };
                let error = error.in_full(trust.words);
                trust.left_as_they_were.push(visible(&format!("{error}; until then {until_then}")));
                unread.extend(is_unread.then_some((before, name)));
            }
        }
    }
    // Last, when it is known which certificates are in other files.
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

/// The name of the client that a file is for; `None` if it is not such a file. Editors and Kubernetes make hidden files.
pub(crate) fn client_name(path: &Path) -> Option<String> {
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    let name = path.file_stem()?.to_string_lossy();
    (ENDINGS.contains(&&*ending) && !name.starts_with('.')).then(|| visible(&name))
}

/// Keeps the client of this name as it was before; returns how many clients that is.
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

/// What the one file of a client holds. `None`: it was removed meanwhile.
fn read_file(paths: &[PathBuf]) -> Result<Option<Found>, Error> {
    let [path] = paths else {
        let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(Error::new(format!("{} have the same name", paths.join(" and ")))
            .hint("keep one of them: a client has one name"));
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
                        .hint("a file holds one client's certificate; for a CA of several clients, use `TrustBuilder::pem_file`"));
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
