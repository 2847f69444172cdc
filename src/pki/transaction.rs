//! Puts the files of a certificate in place, all or none, even if the process is killed in between.
//!
//! They are first written under temporary names (`alice-key.pem.mtls-min-new`). Then the index is written. Then they get
//! their final names, the certificate last. The next command that opens the directory completes the files of certificates
//! that are in the index, and removes the others.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::atomic::{is_temporary, write_over};
use super::index::Index;
use super::layout::{Content, files};
use super::reconcile::serial_of;
use super::request::check_file_name;
use crate::error::Error;

/// The ending of such temporary names. No other program uses it, so these files may be overwritten and removed.
const SUFFIX: &str = ".mtls-min-new";

/// A temporary file of this age was left by a process that no longer runs.
const ABANDONED: Duration = Duration::from_secs(60 * 60);

/// Files that do not have their final names yet. If they never get them, they are removed.
pub(super) struct Staged {
    places: Vec<PathBuf>,
}

impl Staged {
    /// Writes the files under temporary names.
    pub(super) fn write(directory: &Path, contents: &[Content]) -> Result<Self, Error> {
        let mut staged = Self { places: Vec::new() };
        for (file, content, secrecy) in contents {
            let place = directory.join(file);
            write_over(&beside(&place), content, *secrecy)?;
            staged.places.push(place);
        }
        Ok(staged)
    }

    /// Gives the files their final names, in the order in which they were written; returns their paths.
    pub(super) fn take_names(mut self) -> Result<Vec<PathBuf>, Error> {
        let places = std::mem::take(&mut self.places);
        places.iter().try_for_each(|place| take_name(place))?;
        Ok(places)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        for place in &self.places {
            let _ = fs::remove_file(beside(place));
        }
    }
}

/// Completes or removes what a killed process left.
pub(super) fn settle(directory: &Path, index: &Index, now: SystemTime) -> Result<(), Error> {
    let failed = |error| Error::new(format!("cannot read {}", directory.display())).caused_by(error);
    let mut names = BTreeSet::new();
    for file in fs::read_dir(directory).map_err(failed)?.flatten() {
        let Ok(file_name) = file.file_name().into_string() else { continue };
        names.extend(name_of(&file_name));
        let age =
            file.metadata().and_then(|metadata| metadata.modified()).ok().and_then(|at| now.duration_since(at).ok());
        if is_temporary(&file_name) && age.is_some_and(|age| age >= ABANDONED) {
            let _ = fs::remove_file(file.path());
        }
    }
    for name in names {
        let [certificate, key, modern, legacy] = files(&name).map(|file| directory.join(file));
        let in_index = fs::read_to_string(beside(&certificate)).ok().is_some_and(|pem| is_in(index, &pem));
        for place in [key, modern, legacy, certificate].iter().filter(|place| beside(place).exists()) {
            match in_index {
                true => take_name(place)?,
                false => fs::remove_file(beside(place)).map_err(failed)?,
            }
        }
    }
    Ok(())
}

fn is_in(index: &Index, pem: &str) -> bool {
    serial_of(pem).is_ok_and(|serial| index.entries.iter().any(|entry| entry.serial == serial))
}

/// The name of the certificate that a temporary file belongs to.
fn name_of(file: &str) -> Option<String> {
    let place = file.strip_suffix(SUFFIX)?;
    let endings = ["-crt.pem", "-key.pem", ".legacy.p12", ".p12"];
    let name = endings.iter().find_map(|ending| place.strip_suffix(ending))?;
    (check_file_name(name).is_ok() && files(name).iter().any(|file| file == place)).then(|| name.to_owned())
}

fn take_name(place: &Path) -> Result<(), Error> {
    fs::rename(beside(place), place)
        .map_err(|error| Error::new(format!("cannot write {}", place.display())).caused_by(error))
}

fn beside(place: &Path) -> PathBuf {
    let mut name = place.as_os_str().to_owned();
    name.push(SUFFIX);
    name.into()
}
