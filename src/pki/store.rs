//! What is done in a directory of certificates while its lock is held.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::atomic::{Secrecy, write_new, write_over};
use super::authority::{Authority, backdated};
use super::index::{CrlState, Entry, Index};
use super::layout::{CA, CA_KEY, CRL, Content, INDEX, LOCK, Place, certificate_file, files, password_file};
use super::pkcs12::{pkcs12, pkcs12_legacy};
use super::reading::{parse, read_certificate};
use super::reconcile::{Beginning, entry, serial_of};
use super::request::{ClientRequest, Issued, Reason, Renewal, Usage};
use super::transaction::{Staged, settle};
use crate::clock::days;
use crate::error::{Error, Hint};
use crate::file::lock_file;

/// A directory whose lock is held.
pub(super) struct Opened<'d> {
    pub(super) directory: &'d Place,
    pub(super) authority: Authority,
    pub(super) index: Index,
    pub(super) _lock: File,
}

impl<'d> Opened<'d> {
    /// Takes the lock, reads everything, and completes what was interrupted: files that do not have their final names yet,
    /// and a revocation list that has yet to be signed.
    pub(super) fn new(directory: &'d Place, now: SystemTime) -> Result<Self, Error> {
        Self::beginning(directory, Beginning::WithoutList, now)
    }

    pub(super) fn beginning(directory: &'d Place, beginning: Beginning, now: SystemTime) -> Result<Self, Error> {
        let ca = directory.path.join(CA);
        // If it cannot be examined, reading it below fails and says why.
        if ca.try_exists().is_ok_and(|exists| !exists) {
            return Err(no_authority(&ca));
        }
        let lock = Self::lock(directory)?;
        let authority = read_authority(directory, now)?;
        let index = directory.load(authority.certificate_pem(), beginning)?;
        settle(&directory.path, &index, now)?;
        let mut opened = Self { directory, authority, index, _lock: lock };
        if opened.index.crl.state == CrlState::Pending {
            opened.sign_crl(now)?;
        }
        Ok(opened)
    }

    pub(super) fn lock(directory: &Place) -> Result<File, Error> {
        let path = directory.path.join(LOCK);
        let failed = |error| Error::new(format!("cannot lock {}", path.display())).caused_by(error);
        let file = OpenOptions::new().create(true).write(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(failed)?;
        if lock_file(&file, Duration::ZERO).map_err(failed)? {
            return Ok(file);
        }
        if let Some(call) = directory.on_wait {
            call(&directory.path);
        }
        if lock_file(&file, directory.patience).map_err(failed)? {
            return Ok(file);
        }
        Err(Error::new(format!("another process is using {}", directory.path.display()))
            .hint(format!("it holds the lock on {}; wait until it is done, or stop it", path.display())))
    }

    pub(super) fn add_server(
        &mut self,
        name: &str,
        hosts: &[&str],
        days: u32,
        now: SystemTime,
    ) -> Result<Vec<PathBuf>, Error> {
        let revoked = self.check_new(name, now)?;
        let issued = self.authority.issue_server_for(hosts, days, now)?;
        self.set_aside(name, revoked)?;
        self.put(name, Usage::Server, &issued, "")
    }

    pub(super) fn add_client(
        &mut self,
        request: &ClientRequest,
        password: &str,
        now: SystemTime,
    ) -> Result<Vec<PathBuf>, Error> {
        let revoked = self.check_new(&request.name, now)?;
        let issued = self.authority.issue_client_as(request, now)?;
        self.set_aside(&request.name, revoked)?;
        self.put(&request.name, Usage::Client, &issued, password)
    }

    pub(super) fn renew(
        &mut self,
        name: &str,
        renewal: &Renewal,
        password: &str,
        now: SystemTime,
    ) -> Result<Vec<PathBuf>, Error> {
        let newest = self.check_known(name)?;
        let usage = newest.usage;
        if newest.revoked.is_some() {
            let again = match usage {
                Usage::Server => "`Directory::issue_server(\0)` makes a new one, and renames the old files",
                Usage::Client => "`Directory::issue_client(\0)` makes a new one, and renames the old files",
            };
            return Err(Error::new(format!("{name} is revoked, and is not renewed")).hint(Hint::with(again, name)));
        }
        if renewal.revoke_old {
            self.check_first_list()?;
        }
        let path = self.directory.path.join(certificate_file(name));
        let days = renewal.days.unwrap_or(if usage == Usage::Server { 397 } else { 365 });
        let old = read(&path)?;
        // The names in a file that somebody put there would be signed unseen.
        if !is_one_of(&self.index.entries, name, &old) {
            return Err(Error::new(format!("the index does not know {} as a certificate of {name}", path.display()))
                .hint("put the right file back, or move the files away and make a new certificate"));
        }
        let issued = self.authority.issue_again(&old, usage, days, now);
        let failed = |error| Error::new(format!("{} cannot be renewed", path.display())).caused_by(error);
        let issued = issued.map_err(failed)?;
        if renewal.revoke_old {
            // If the list could never be signed, every later command in this directory would fail.
            self.authority.sign_crl(&[], 1, now, Duration::from_secs(1))?;
            self.index.revoke(|entry| entry.name == name, now, Reason::Superseded);
            // The list is signed after the new files are written. Until then, the index remembers that it has to be.
            self.index.crl.state = CrlState::Pending;
        }
        let mut written = self.put(name, usage, &issued, password)?;
        if renewal.revoke_old {
            written.push(self.sign_crl(now)?);
        }
        Ok(written)
    }

    /// The first list revokes only what the index knows. If the CA's owner has revoked others by another program, they would
    /// be let in again.
    pub(super) fn check_first_list(&self) -> Result<(), Error> {
        let Index { crl, seen_list_of, .. } = &self.index;
        if crl.state != CrlState::None || seen_list_of.is_some() || self.authority.is_throwaway() {
            return Ok(());
        }
        let dir = self.directory.path.display();
        let error = format!(
            "nothing in {dir} says what this CA has revoked so far, so a first list would undo what another program revoked"
        );
        Err(Error::new(error).hint(
            "put the CA's last list there as crl.pem, and `Directory::adopt_crl` adopts it; if this CA has revoked nothing \
             yet, `Directory::sign_first_crl` signs an empty list",
        ))
    }

    /// Writes the index, then the list, then the index once more, which now says that the list is written. In between the
    /// list is pending, and the next command in the directory signs it.
    ///
    /// The number of the list is the time in seconds, or one more than the last number if that is larger. So a directory
    /// that was restored from a backup never reuses a number, and a server can tell the lists apart (RFC 5280, section
    /// 5.2.3).
    pub(super) fn sign_crl(&mut self, now: SystemTime) -> Result<PathBuf, Error> {
        let valid = days(self.index.crl.days.into());
        let number = self.index.crl.number.checked_add(1).ok_or_else(|| {
            let path = self.directory.path.join(INDEX);
            Error::new(format!("{}: the number of the revocation list is at its maximum", path.display()))
                .hint("somebody has edited it; restore the file from a backup")
        })?;
        let number = number.max(now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs()));
        self.index.crl.number = number;
        self.index.crl.state = CrlState::Pending;
        // Not earlier than the last list, or number and date would contradict each other.
        let last = self.index.seen_list_of.filter(|last| *last <= now);
        let from = last.map_or(backdated(now), |last| last.max(backdated(now)));
        let list = self.authority.sign_crl_of(&self.index.revoked(), number, from, now + valid)?;
        self.save()?;
        let path = self.directory.path.join(CRL);
        write_over(&path, list.as_bytes(), Secrecy::Public)?;
        self.index.crl.state = CrlState::Signed(now + valid);
        self.save()?;
        Ok(path)
    }

    /// The same for another number of days, which later lists keep.
    pub(super) fn sign_crl_for(&mut self, days: Option<u32>, now: SystemTime) -> Result<PathBuf, Error> {
        self.index.crl.days = days.unwrap_or(self.index.crl.days);
        self.sign_crl(now)
    }

    /// The newest entry of a name.
    pub(super) fn check_known(&self, name: &str) -> Result<&Entry, Error> {
        if let Some(newest) = self.index.newest(name) {
            return Ok(newest);
        }
        let path = self.directory.path.join(certificate_file(name));
        Err(match path.exists() {
            true => Error::new(format!("{} is not a certificate of this CA", path.display()))
                .hint("or it has another name: `Directory::list` shows all names"),
            false => Error::new(format!("there is no certificate called {name} in {}", self.directory.path.display()))
                .hint("`Directory::list` shows what there is"),
        })
    }

    /// Whether a name is free: unused, or all its certificates are revoked. Returns the serial number of the revoked
    /// certificate whose files are still there, if any.
    fn check_new(&self, name: &str, now: SystemTime) -> Result<Option<String>, Error> {
        let is_valid = self.index.entries.iter().any(|entry| entry.name == name && entry.is_valid(now));
        let there = serial_in(&self.directory.path.join(certificate_file(name)));
        let is_revoked = |serial: &String| {
            self.index
                .entries
                .iter()
                .any(|entry| entry.name == name && entry.serial == *serial && entry.revoked.is_some())
        };
        if let Some(serial) = there.filter(|serial| !is_valid && is_revoked(serial)) {
            for [from, to] in moves(name, &serial).iter().filter(|[from, _]| !self.directory.is_free(from)) {
                self.directory.check_free(to, format!("move it away first: {from} will be renamed to it"))?;
            }
            return Ok(Some(serial));
        }
        let again = Hint::with("`Directory::renew(\0)` replaces it; otherwise move the files away first", name);
        for file in files(name) {
            self.directory.check_free(&file, again.clone())?;
        }
        match is_valid {
            false => Ok(None),
            true => Err(Error::new(format!("{name} has a valid certificate already, but its files are gone"))
                .hint(Hint::with("put them back, or `Directory::revoke(\0)` first", name))),
        }
    }

    /// Renames the files of a revoked certificate. The certificate comes last: if the process is killed before that, the
    /// next attempt starts over.
    fn set_aside(&self, name: &str, revoked: Option<String>) -> Result<(), Error> {
        let Some(serial) = revoked else { return Ok(()) };
        for [from, to] in moves(name, &serial).iter().filter(|[from, _]| !self.directory.is_free(from)) {
            let [from, to] = [from, to].map(|file| self.directory.path.join(file));
            fs::rename(&from, to)
                .map_err(|error| Error::new(format!("cannot rename {}", from.display())).caused_by(error))?;
        }
        let new_name = set_aside_name(name, &serial);
        self.directory.notice(&format!("the files of the revoked {name} are now called {new_name}"));
        Ok(())
    }

    /// Adds a certificate to the index and puts its files in place, all or none: see [`Staged`]. In this order, no
    /// certificate exists that cannot be revoked.
    fn put(&mut self, name: &str, usage: Usage, issued: &Issued, password: &str) -> Result<Vec<PathBuf>, Error> {
        let der = read_certificate(&issued.certificate_pem)?;
        let certificate = parse(&der)?;
        let [key_content, certificate_content] = certificate_and_key(name, issued);
        let mut contents = vec![key_content];
        if usage == Usage::Client {
            let (Issued { certificate_pem, key_pem }, ca) = (issued, self.authority.certificate_pem());
            contents.extend(pkcs12_files(name, certificate_pem, key_pem, ca, password)?);
        }
        contents.push(certificate_content);
        let staged = Staged::write(&self.directory.path, &contents)?;
        self.index.entries.push(entry(name, usage, &certificate)?);
        self.save()?;
        let written = staged.take_names()?;
        // The demo keeps the password in a file, which has to be that of the current certificate.
        let remembered = self.directory.path.join(password_file(name));
        if usage == Usage::Client && remembered.exists() {
            write_over(&remembered, format!("{password}\n").as_bytes(), Secrecy::Private)?;
        }
        Ok(written)
    }

    fn save(&self) -> Result<(), Error> {
        write_over(&self.directory.path.join(INDEX), self.index.write().as_bytes(), Secrecy::Public)
    }
}

/// The key first: a certificate without its key is of no use.
pub(super) fn certificate_and_key(name: &str, issued: &Issued) -> [Content; 2] {
    let [certificate, key, ..] = files(name);
    [
        (key, issued.key_pem.clone().into_bytes(), Secrecy::Private),
        (certificate, issued.certificate_pem.clone().into_bytes(), Secrecy::Public),
    ]
}

/// A client's files for browsers, in the current form and the older one.
pub(super) fn pkcs12_files(
    name: &str,
    certificate_pem: &str,
    key_pem: &str,
    ca_pem: &str,
    password: &str,
) -> Result<[Content; 2], Error> {
    let [.., modern, legacy] = files(name);
    Ok([
        (modern, pkcs12(name, certificate_pem, key_pem, ca_pem, password)?, Secrecy::Private),
        (legacy, pkcs12_legacy(name, certificate_pem, key_pem, ca_pem, password)?, Secrecy::Private),
    ])
}

/// Writes the certificate and the key of a new CA; returns their paths.
pub(super) fn write_authority(directory: &Place, authority: &Authority) -> Result<[PathBuf; 2], Error> {
    let [ca, ca_key] = [CA, CA_KEY].map(|file| directory.path.join(file));
    write_new(&ca_key, authority.key_pem().as_bytes(), Secrecy::Private)?;
    write_new(&ca, authority.certificate_pem().as_bytes(), Secrecy::Public)?;
    Ok([ca_key, ca])
}

/// The CA of a directory, ready to sign.
pub(super) fn read_authority(directory: &Place, now: SystemTime) -> Result<Authority, Error> {
    let [ca, ca_key] = [CA, CA_KEY].map(|file| directory.path.join(file));
    Authority::from_pem(&read(&ca)?, &read(&ca_key)?, now)
        .map_err(|error| Error::new(format!("{} with {CA_KEY} cannot be used", ca.display())).caused_by(error))
}

fn is_one_of(entries: &[Entry], name: &str, pem: &str) -> bool {
    serial_of(pem).is_ok_and(|serial| entries.iter().any(|entry| entry.name == name && entry.serial == serial))
}

fn serial_in(path: &Path) -> Option<String> {
    serial_of(&fs::read_to_string(path).ok()?).ok()
}

/// How the files of a revoked certificate are renamed: the certificate last.
fn moves(name: &str, serial: &str) -> [[String; 2]; 4] {
    let (now, then) = (files(name), files(&set_aside_name(name, serial)));
    [1, 2, 3, 0].map(|at| [now[at].clone(), then[at].clone()])
}

/// The name under which the files of a revoked certificate are kept.
fn set_aside_name(name: &str, serial: &str) -> String {
    format!("{name}.revoked-{serial}")
}

pub(super) fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound if path.ends_with(CA) => no_authority(path),
        _ => Error::new(format!("cannot read {}", path.display())).caused_by(error),
    })
}

fn no_authority(path: &Path) -> Error {
    Error::new(format!("there is no {}", path.display()))
        .hint("`Directory::init` makes a CA; `Directory::new` names another directory")
}
