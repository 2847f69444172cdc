//! The certificates of `mtls-min demo`: a directory of certificates without an index, in which nothing that exists is changed.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::atomic::{Secrecy, write_new};
use super::authority::Authority;
use super::directory::Directory;
use super::layout::{CA, CA_KEY, Content, INDEX, Place, SERVER, files, password_file};
use super::pkcs12::random_password;
use super::reading::{THROWAWAY, is_throwaway, parse, read_certificate};
use super::store::{Opened, certificate_and_key, pkcs12_files, read, read_authority, write_authority};
use crate::error::{Error, Hint};

/// The names and addresses in the server's certificate.
const HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

const CLIENT: &str = "client1";

/// What [`throwaway`] made.
#[derive(Debug)]
#[non_exhaustive]
pub struct Made {
    /// The files that are new. Empty if nothing was missing.
    pub files: Vec<PathBuf>,
    /// The password of `client1.p12`, if it is known.
    pub password: Option<String>,
}

/// Makes what is missing in `directory` for a demo: a CA (`ca.pem`, `ca-key.pem`), a server certificate for localhost,
/// 127.0.0.1 and ::1 (`server-crt.pem`, `server-key.pem`), a client certificate (`client1-crt.pem`, `client1-key.pem`), and
/// the same as files for browsers (`client1.p12`, and `client1.legacy.p12` for old ones, with their password in
/// `client1-p12-password.txt`).
///
/// It accepts a directory that is new or empty (except for hidden files, `README.md` and `make-certs.sh`), or whose `ca.pem` was
/// made by the demo or by `make-certs.sh`: the name of the CA says so. Nothing that exists is overwritten. Missing files are made
/// with that CA, unless [`Directory`] keeps an index in the directory. Keys get mode 0600.
///
/// # Errors
/// The directory belongs to another CA; a file cannot be written; or files are missing that cannot be made to fit the others.
pub fn throwaway(directory: impl AsRef<Path>, now: SystemTime) -> Result<Made, Error> {
    let directory = Directory::new(directory.as_ref());
    let demo = Demo { place: &directory.0 };
    demo.check_own()?;
    demo.check_pairs()?;
    let mut files = Vec::new();
    if !demo.is_complete() {
        demo.place.create()?;
        let _lock = Opened::lock(demo.place)?;
        // Another process may have worked here in the meantime.
        demo.check_own()?;
        demo.check_pairs()?;
        files = demo.make_missing(now)?;
    }
    let password = fs::read_to_string(demo.place.path.join(password_file(CLIENT))).ok();
    Ok(Made { files, password: password.map(|password| password.trim().to_owned()) })
}

struct Demo<'d> {
    place: &'d Place,
}

/// Files that come with the source.
const HARMLESS: [&str; 2] = ["README.md", "make-certs.sh"];

impl Demo<'_> {
    /// Nothing is signed with a CA that somebody relies on.
    fn check_own(&self) -> Result<(), Error> {
        let path = &self.place.path;
        if fs::read_to_string(path.join(CA)).is_ok_and(|pem| is_own_ca(&pem)) {
            return Ok(());
        }
        let failed = |error| Error::new(format!("cannot read the directory {}", path.display())).caused_by(error);
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries.collect::<Result<Vec<_>, _>>().map_err(failed)?,
            // If something else has the name, making the directory fails.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        let names = entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned());
        let others = names.filter(|name| !name.starts_with('.') && !HARMLESS.contains(&&**name));
        // If there is a CA, it is named first.
        let Some(other) = others.min_by_key(|name| (name != CA, name.clone())) else { return Ok(()) };
        let error = format!("{} was not made by the demo: it contains {other}", path.display());
        Err(Error::new(error).hint(
            "`throwaway(DIR)` takes an empty or a new directory; with the CA that is there, `Directory::issue_client(NAME)` \
             makes a client's certificate, and `Server::builder` serves",
        ))
    }

    fn check_pairs(&self) -> Result<(), Error> {
        for name in [SERVER, CLIENT] {
            let [certificate, key, ..] = files(name);
            if let Some((there, missing)) = self.half_of([&certificate, &key]) {
                return Err(self
                    .without(there, missing)
                    .hint(format!("put {missing} back, or remove {there} to have both made again")));
            }
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        let [.., legacy] = files(CLIENT);
        let has_legacy = self.has(&legacy) || !self.has(&password_file(CLIENT)) || self.has(INDEX);
        self.place.path.is_dir() && self.missing().is_none() && has_legacy
    }

    fn missing(&self) -> Option<String> {
        let ([server, ..], [client, _, modern, _]) = (files(SERVER), files(CLIENT));
        [CA.to_owned(), server, client, modern].into_iter().find(|file| !self.has(file))
    }

    fn make_missing(&self, now: SystemTime) -> Result<Vec<PathBuf>, Error> {
        let path = &self.place.path;
        if let Some(missing) = self.missing().filter(|_| self.has(INDEX)) {
            return Err(Error::new(format!("{} is not there", path.join(missing).display())).hint(Hint::with(
                "the demo makes nothing in \0, because `Directory` has signed there: make it with `Directory::issue_client` or `Directory::issue_server`, or choose an empty directory for `throwaway`",
                path.display().to_string(),
            )));
        }
        let mut made = Vec::new();
        let authority = self.authority(now, &mut made)?;
        let ([server, ..], [client, client_key, modern, legacy]) = (files(SERVER), files(CLIENT));
        self.check_password(&modern, &legacy)?;
        let needs_pkcs12 = !self.has(&modern) || !self.has(&legacy);
        if needs_pkcs12 && self.has(&client) {
            self.check_client(&authority, &client, &client_key)?;
        }
        if !self.has(&server) {
            self.write(certificate_and_key(SERVER, &authority.issue_server(&HOSTS, now)?), &mut made)?;
        }
        if !self.has(&client) {
            self.write(certificate_and_key(CLIENT, &authority.issue_client(CLIENT, now)?), &mut made)?;
        }
        if !self.has(&modern) {
            let password = format!("{}\n", random_password()?);
            self.write([(password_file(CLIENT), password.into_bytes(), Secrecy::Private)], &mut made)?;
        }
        // Without its password, a file for browsers gets no second form.
        if needs_pkcs12 && self.has(&password_file(CLIENT)) {
            let [certificate, key, password] =
                [client, client_key, password_file(CLIENT)].map(|file| read(&path.join(file)));
            let ca = authority.certificate_pem();
            let contents = pkcs12_files(CLIENT, &certificate?, &key?, ca, password?.trim())?;
            self.write(contents.into_iter().filter(|(file, ..)| !self.has(file)), &mut made)?;
        }
        Ok(made)
    }

    /// The CA that is there, or a new one.
    fn authority(&self, now: SystemTime, made: &mut Vec<PathBuf>) -> Result<Authority, Error> {
        if let Some((there, missing)) = self.half_of([CA, CA_KEY]) {
            return Err(self
                .without(there, missing)
                .hint(Hint::with("put \0 back, or choose an empty directory for `throwaway`", missing)));
        }
        if self.has(CA) {
            return read_authority(self.place, now).map_err(|error| {
                let mend = error.first_hint().cloned().unwrap_or_else(|| "put the right files back".into());
                error.hint(mend.or(", or choose an empty directory for `throwaway`"))
            });
        }
        let authority = Authority::new(THROWAWAY, now)?;
        made.extend(write_authority(self.place, &authority)?);
        Ok(authority)
    }

    /// A password or an old form that is left over does not fit a new file.
    fn check_password(&self, modern: &str, legacy: &str) -> Result<(), Error> {
        let password = password_file(CLIENT);
        let left = [&*password, legacy].into_iter().find(|file| self.has(file));
        match left.filter(|_| !self.has(modern)) {
            None => Ok(()),
            Some(left) => Err(self.without(left, modern).hint("remove it, and both are made again")),
        }
    }

    /// What goes into a new file for browsers has to fit together.
    fn check_client(&self, authority: &Authority, certificate: &str, key: &str) -> Result<(), Error> {
        let path = self.place.path.join(certificate);
        authority.check_issued(&read(&path)?, &read(&self.place.path.join(key))?).map_err(|error| {
            let mend = error.hint_text().unwrap_or("put the right files back").to_owned();
            Error::new(format!("{} does not fit {key} and {CA}", path.display()))
                .caused_by(error)
                .hint(format!("{mend}, or remove {certificate} and {key} to have both made again"))
        })
    }

    /// Of two files that belong together, the one that exists and the one that does not; `None`: both do, or neither.
    fn half_of<'f>(&self, [one, other]: [&'f str; 2]) -> Option<(&'f str, &'f str)> {
        match (self.has(one), self.has(other)) {
            (true, false) => Some((one, other)),
            (false, true) => Some((other, one)),
            _ => None,
        }
    }

    fn without(&self, there: &str, missing: &str) -> Error {
        Error::new(format!("{} is there without {missing}", self.place.path.join(there).display()))
    }

    fn has(&self, file: &str) -> bool {
        !self.place.is_free(file)
    }

    fn write(&self, contents: impl IntoIterator<Item = Content>, made: &mut Vec<PathBuf>) -> Result<(), Error> {
        for (file, content, secrecy) in contents {
            let path = self.place.path.join(file);
            write_new(&path, &content, secrecy)?;
            made.push(path);
        }
        Ok(())
    }
}

fn is_own_ca(pem: &str) -> bool {
    read_certificate(pem).and_then(|der| Ok(is_throwaway(&parse(&der)?))).unwrap_or(false)
}
