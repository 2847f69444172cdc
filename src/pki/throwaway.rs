//! The certificates of `mtls-min demo`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::authority::Authority;
use super::files::{Secrecy, write_new};
use super::pkcs12::{pkcs12, random_password};
use crate::error::Error;

/// The names under which the server of the demo can be reached.
const HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

const CA: &str = "ca.pem";
const CA_KEY: &str = "ca-key.pem";
const SERVER: &str = "server-crt.pem";
const SERVER_KEY: &str = "server-key.pem";
const CLIENT: &str = "client1-crt.pem";
const CLIENT_KEY: &str = "client1-key.pem";
const CLIENT_P12: &str = "client1.p12";
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
/// the same as a file for browsers (`client1.p12`, its password in `client1-p12-password.txt`).
///
/// Nothing that is there is overwritten; files that are missing are made with the CA that is there. Keys get mode 0600.
///
/// # Errors
/// A file cannot be written; or files are missing that cannot be made to fit those that are there.
pub fn throwaway(directory: impl AsRef<Path>, now: SystemTime) -> Result<Made, Error> {
    let directory = directory.as_ref();
    fs::create_dir_all(directory)
        .map_err(|error| Error::new(format!("cannot make the directory {}", directory.display())).caused_by(error))?;
    let mut making = Making { directory, made: Vec::new() };
    making.all(now)?;
    let password = fs::read_to_string(directory.join(CLIENT_PASSWORD)).ok();
    Ok(Made { files: making.made, password: password.map(|password| password.trim().to_owned()) })
}

struct Making<'d> {
    directory: &'d Path,
    made: Vec<PathBuf>,
}

impl Making<'_> {
    fn all(&mut self, now: SystemTime) -> Result<(), Error> {
        for (certificate, key) in [(SERVER, SERVER_KEY), (CLIENT, CLIENT_KEY)] {
            self.check_pair(certificate, key)?;
        }
        let missing = [SERVER, CLIENT, CLIENT_P12].iter().any(|name| !self.has(name));
        if self.has(CA) && !missing {
            return Ok(());
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
            let p12 = pkcs12(
                "client1",
                &self.read(CLIENT)?,
                &self.read(CLIENT_KEY)?,
                authority.certificate_pem(),
                &password,
            )?;
            self.write(CLIENT_PASSWORD, format!("{password}\n").as_bytes(), Secrecy::Private)?;
            self.write(CLIENT_P12, &p12, Secrecy::Private)?;
        }
        Ok(())
    }

    /// The CA that is there, or a new one where there is nothing at all.
    fn authority(&mut self, now: SystemTime) -> Result<Authority, Error> {
        match (self.has(CA), self.has(CA_KEY)) {
            (true, true) => Authority::from_pem(&self.read(CA)?, &self.read(CA_KEY)?, now).map_err(|error| {
                let mend = error.hint_text().unwrap_or("put the right files back").to_owned();
                Error::new(format!("{} with {CA_KEY} cannot sign what is missing", self.path(CA).display()))
                    .caused_by(error)
                    .hint(format!("{mend}, or choose an empty directory with --dir"))
            }),
            (false, false) => {
                if let Some(other) = [SERVER, CLIENT, CLIENT_P12, CLIENT_PASSWORD].iter().find(|name| self.has(name)) {
                    return Err(Error::new(format!(
                        "{} is there, but not the {CA} that it belongs to",
                        self.path(other).display()
                    ))
                    .hint("put the CA back, or choose an empty directory with --dir"));
                }
                let authority = Authority::new("mtls-min throw-away CA", now)?;
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
                .hint(format!("put {missing} back, or choose an empty directory with --dir")))
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
        if self.has(CLIENT_P12) || !self.has(CLIENT_PASSWORD) {
            return Ok(());
        }
        Err(Error::new(format!("{} is there without {CLIENT_P12}", self.path(CLIENT_PASSWORD).display()))
            .hint("remove it, and both are made anew"))
    }

    /// What goes into a new file for browsers has to fit together.
    fn check_client(&self, authority: &Authority) -> Result<(), Error> {
        if self.has(CLIENT_P12) || !self.has(CLIENT) {
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
