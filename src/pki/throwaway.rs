//! The certificates of `mtls-min demo`.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::atomic::{Secrecy, write_new};
use super::authority::Authority;
use super::directory::Directory;
use super::layout::{CA, CA_KEY, INDEX};
use super::pkcs12::{pkcs12, pkcs12_legacy, random_password};
use super::reading::{THROWAWAY, is_throwaway, parse, read_certificate};
use super::store::Opened;
use crate::error::Error;

/// The names under which the server of the demo can be reached.
const HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

const SERVER: &str = "server-crt.pem";
const SERVER_KEY: &str = "server-key.pem";
const CLIENT: &str = "client1-crt.pem";
const CLIENT_KEY: &str = "client1-key.pem";
const CLIENT_P12: &str = "client1.p12";
const CLIENT_LEGACY_P12: &str = "client1.legacy.p12";
const CLIENT_PASSWORD: &str = "client1-p12-password.txt";

/// What [`throwaway`] made.
#[derive(Debug)]
#[non_exhaustive]
pub struct Made {
    /// The files that are new. Empty if everything was there.
    pub files: Vec<PathBuf>,
    /// The password of `client1.p12`, if it is known.
    pub password: Option<String>,
}

/// Makes what is missing in `directory` for a try-out: a CA (`ca.pem`, `ca-key.pem`), a server certificate for localhost,
/// 127.0.0.1 and ::1 (`server-crt.pem`, `server-key.pem`), a client certificate (`client1-crt.pem`, `client1-key.pem`), and
/// the same as files for browsers (`client1.p12`, and `client1.legacy.p12` for old ones, their password in
/// `client1-p12-password.txt`).
///
/// It works only where no other CA can be meant: in a directory that is new or empty (but for dot files, `README.md` and
/// `make-certs.sh`), or whose `ca.pem` is a CA that it made itself, or `make-certs.sh` did: the name says so. Nothing that is
/// there is overwritten; files that are missing are made with that CA, unless [`Directory`] keeps an index of it. Keys get
/// mode 0600.
///
/// # Errors
/// The directory is another's; a file cannot be written; or files are missing that cannot be made to fit those that are there.
pub fn throwaway(directory: impl AsRef<Path>, now: SystemTime) -> Result<Made, Error> {
    let directory = directory.as_ref();
    let mut making = Making { directory, made: Vec::new() };
    making.check_own()?;
    making.check_pairs()?;
    if !making.is_complete() {
        fs::create_dir_all(directory).map_err(|error| {
            Error::new(format!("cannot make the directory {}", directory.display())).caused_by(error)
        })?;
        let _lock = Opened::lock(&Directory::new(directory).0)?;
        // Another process may have been here.
        making.check_own()?;
        making.all(now)?;
    }
    let password = fs::read_to_string(directory.join(CLIENT_PASSWORD)).ok();
    Ok(Made { files: making.made, password: password.map(|password| password.trim().to_owned()) })
}

/// Files that do not make a directory somebody's: they come with the source.
const HARMLESS: [&str; 2] = ["README.md", "make-certs.sh"];

/// One of the two forms of PKCS#12.
type Form = fn(&str, &str, &str, &str, &str) -> Result<Vec<u8>, Error>;

fn is_own_ca(pem: &str) -> bool {
    let own = |pem| Ok::<_, Error>(is_throwaway(&parse(&read_certificate(pem)?)?));
    own(pem).unwrap_or(false)
}

struct Making<'d> {
    directory: &'d Path,
    made: Vec<PathBuf>,
}

impl Making<'_> {
    /// Nothing is signed with a CA that somebody relies on.
    fn check_own(&self) -> Result<(), Error> {
        if fs::read_to_string(self.path(CA)).is_ok_and(|pem| is_own_ca(&pem)) {
            return Ok(());
        }
        let dir = self.directory.display();
        let failed = |error| Error::new(format!("cannot read the directory {dir}")).caused_by(error);
        let files = match fs::read_dir(self.directory) {
            Ok(files) => files.collect::<Result<Vec<_>, _>>().map_err(failed)?,
            // What it is instead, if it is something, is told by whoever makes it.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        let names = files.iter().map(|file| file.file_name().to_string_lossy().into_owned());
        let mut others: Vec<_> = names.filter(|name| !name.starts_with('.') && !HARMLESS.contains(&&**name)).collect();
        // The CA, if there is one, says most.
        others.sort_by_key(|name| (name != CA, name.clone()));
        let Some(other) = others.first() else { return Ok(()) };
        Err(Error::new(format!("{dir} is not the demo's: {other} is there, and no CA that the demo made"))
            .hint(
                "`throwaway(DIR)` takes an empty or a new directory; with the CA that is there, `Directory::issue_client(NAME)` \
                 makes a client's certificate, and `Server::builder` serves",
            ))
    }

    fn check_pairs(&self) -> Result<(), Error> {
        [(SERVER, SERVER_KEY), (CLIENT, CLIENT_KEY)]
            .iter()
            .try_for_each(|(certificate, key)| self.check_pair(certificate, key))
    }

    fn is_complete(&self) -> bool {
        let legacy = self.has(CLIENT_LEGACY_P12) || !self.has(CLIENT_PASSWORD) || self.has(INDEX);
        self.directory.is_dir() && self.missing().is_none() && legacy
    }

    fn missing(&self) -> Option<&'static str> {
        [CA, SERVER, CLIENT, CLIENT_P12].into_iter().find(|name| !self.has(name))
    }

    fn all(&mut self, now: SystemTime) -> Result<(), Error> {
        self.check_pairs()?;
        if let Some(missing) = self.missing().filter(|_| self.has(INDEX)) {
            return Err(Error::new(format!("{} is not there", self.path(missing).display())).hint(format!(
                "in {} the demo makes nothing any more, since `Directory` has signed there: `Directory::issue_client` and \
                 `Directory::issue_server` do; or choose an empty directory for `throwaway`",
                self.directory.display()
            )));
        }
        let authority = self.authority(now)?;
        self.check_password()?;
        self.check_client(&authority)?;
        if !self.has(SERVER) {
            let server = authority.issue_server(&HOSTS, now)?;
            self.write(SERVER_KEY, server.key_pem.as_bytes(), Secrecy::Private)?;
            self.write(SERVER, server.certificate_pem.as_bytes(), Secrecy::Public)?;
        }
        if !self.has(CLIENT) {
            let client = authority.issue_client("client1", now)?;
            self.write(CLIENT_KEY, client.key_pem.as_bytes(), Secrecy::Private)?;
            self.write(CLIENT, client.certificate_pem.as_bytes(), Secrecy::Public)?;
        }
        if !self.has(CLIENT_P12) {
            let password = random_password()?;
            self.write(CLIENT_PASSWORD, format!("{password}\n").as_bytes(), Secrecy::Private)?;
            self.write_p12(CLIENT_P12, pkcs12, &authority)?;
        }
        // Of which nobody knows the password there can be no second form.
        if !self.has(CLIENT_LEGACY_P12) && self.has(CLIENT_PASSWORD) {
            self.write_p12(CLIENT_LEGACY_P12, pkcs12_legacy, &authority)?;
        }
        Ok(())
    }

    fn write_p12(&mut self, name: &str, form: Form, authority: &Authority) -> Result<(), Error> {
        let (certificate, key) = (self.read(CLIENT)?, self.read(CLIENT_KEY)?);
        let password = self.read(CLIENT_PASSWORD)?;
        let p12 = form("client1", &certificate, &key, authority.certificate_pem(), password.trim())?;
        self.write(name, &p12, Secrecy::Private)
    }

    /// The CA that is there, or a new one where there is nothing at all.
    fn authority(&mut self, now: SystemTime) -> Result<Authority, Error> {
        match (self.has(CA), self.has(CA_KEY)) {
            (true, true) => Authority::from_pem(&self.read(CA)?, &self.read(CA_KEY)?, now).map_err(|error| {
                let mend = error.hint_text().unwrap_or("put the right files back").to_owned();
                Error::new(format!("{} with {CA_KEY} cannot sign what is missing", self.path(CA).display()))
                    .caused_by(error)
                    .hint(format!("{mend}, or choose an empty directory for `throwaway`"))
            }),
            (false, false) => {
                let authority = Authority::new(THROWAWAY, now)?;
                self.write(CA_KEY, authority.key_pem().as_bytes(), Secrecy::Private)?;
                self.write(CA, authority.certificate_pem().as_bytes(), Secrecy::Public)?;
                Ok(authority)
            }
            (ca, _) => {
                let (there, missing) = if ca { (CA, CA_KEY) } else { (CA_KEY, CA) };
                Err(Error::new(format!(
                    "{} is there without {missing}, so nothing can be signed",
                    self.path(there).display()
                ))
                .hint(format!("put {missing} back, or choose an empty directory for `throwaway`")))
            }
        }
    }

    fn check_pair(&self, certificate: &str, key: &str) -> Result<(), Error> {
        if self.has(certificate) == self.has(key) {
            return Ok(());
        }
        let (there, missing) = if self.has(certificate) { (certificate, key) } else { (key, certificate) };
        Err(Error::new(format!("{} is there without {missing}", self.path(there).display()))
            .hint(format!("put {missing} back, or remove {there} to have both made anew")))
    }

    /// The password of a file that is not there would be taken for that of the new one.
    fn check_password(&self) -> Result<(), Error> {
        let left = [CLIENT_PASSWORD, CLIENT_LEGACY_P12].into_iter().find(|name| self.has(name));
        match left.filter(|_| !self.has(CLIENT_P12)) {
            None => Ok(()),
            Some(left) => Err(Error::new(format!("{} is there without {CLIENT_P12}", self.path(left).display()))
                .hint("remove it, and both are made anew")),
        }
    }

    /// What goes into a new file for browsers has to fit together.
    fn check_client(&self, authority: &Authority) -> Result<(), Error> {
        if (self.has(CLIENT_P12) && self.has(CLIENT_LEGACY_P12)) || !self.has(CLIENT) {
            return Ok(());
        }
        authority.check_issued(&self.read(CLIENT)?, &self.read(CLIENT_KEY)?).map_err(|error| {
            let mend = error.hint_text().unwrap_or("put the right files back").to_owned();
            Error::new(format!("{} does not fit {CLIENT_KEY} and {CA}", self.path(CLIENT).display()))
                .caused_by(error)
                .hint(format!("{mend}, or remove {CLIENT} and {CLIENT_KEY} to have both made anew"))
        })
    }

    fn has(&self, name: &str) -> bool {
        // What cannot be looked at is taken to be there: so it is not overwritten.
        self.path(name).try_exists().unwrap_or(true)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn read(&self, name: &str) -> Result<String, Error> {
        let path = self.path(name);
        fs::read_to_string(&path)
            .map_err(|error| Error::new(format!("cannot read {}", path.display())).caused_by(error))
    }

    fn write(&mut self, name: &str, content: &[u8], secrecy: Secrecy) -> Result<(), Error> {
        let path = self.path(name);
        write_new(&path, content, secrecy)?;
        self.made.push(path);
        Ok(())
    }
}
