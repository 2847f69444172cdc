//! A directory of certificates: a CA, what it signed, an index, and the revocation list. This is what `Directory` does.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::authority::Authority;
use super::index::{CrlState, Entry, Index};
use super::layout::{CA, CA_KEY, CRL, INDEX, Place, SERVER};
use super::reading::THROWAWAY;
use super::reconcile::Beginning;
use super::request::{
    ClientRequest, Reason, Renewal, check_client_name, check_days, check_file_name, check_hosts, check_password,
};
use super::store::{Opened, read, write_authority};
use crate::error::Error;

/// A directory that holds a CA and what it signed.
///
/// | file | what |
/// | --- | --- |
/// | `ca.pem`, `ca-key.pem` | the CA |
/// | `NAME-crt.pem`, `NAME-key.pem` | a server or client; `server` for the server that `mtls-min` looks for |
/// | `NAME.p12`, `NAME.legacy.p12` | a client, for browsers and for old ones |
/// | `crl.pem` | the revocation list |
/// | `index.txt` | what was signed and what was revoked |
/// | `.lock` | held by whoever changes something |
///
/// Nothing is overwritten except the index, the revocation list, and what [`renew`](Self::renew) is asked to replace. The CA
/// may come from another program, with a key in PKCS#8, SEC1 or PKCS#1; what was revoked there is learned from its list.
/// Files appear whole, keys with mode 0600. Certificates of this CA that others put into the directory are added to the
/// index.
#[derive(Debug, Clone)]
pub struct Directory(pub(super) Place);

/// What a directory holds.
#[derive(Debug)]
#[non_exhaustive]
pub struct Overview {
    /// Every certificate, oldest first.
    pub entries: Vec<Entry>,
    /// The number of the last revocation list; 0 if there never was one.
    pub crl_number: u64,
    /// When the next revocation list is due. `None`: there is no list yet, or a revocation has yet to be signed.
    pub crl_due: Option<SystemTime>,
}

impl Directory {
    /// The directory at `path`. Nothing is read yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(Place { path: path.into(), patience: Duration::from_secs(10), on_wait: None, on_notice: None })
    }

    /// How long to wait for another process that is using the directory. Defaults to 10 seconds.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.0.patience = patience;
        self
    }

    /// What to call, with the path, before waiting.
    pub fn on_wait(mut self, call: fn(&Path)) -> Self {
        self.0.on_wait = Some(call);
        self
    }

    /// What to call with a sentence that the operator should read: for example, that an index or a revocation list comes
    /// from a backup, or that files were renamed.
    pub fn on_notice(mut self, call: fn(&str)) -> Self {
        self.0.on_notice = Some(call);
        self
    }

    /// Makes a CA called `name`, a server certificate for `hosts`, and an empty revocation list for 30 days. Unless
    /// `any_host` is true, name constraints limit the CA to `hosts`: see [`Authority::for_hosts`].
    ///
    /// Returns the new files, as the other methods do.
    ///
    /// # Errors
    /// One of these files exists already; an entry of `hosts` is neither a DNS name nor an IP address; the name is that of
    /// the demo's CA; a file cannot be written.
    pub fn init(&self, name: &str, hosts: &[&str], any_host: bool, now: SystemTime) -> Result<Vec<PathBuf>, Error> {
        check_hosts(hosts)?;
        if name == THROWAWAY {
            return Err(Error::new(format!("{name:?} is the name of the demo's CA")).hint("choose another"));
        }
        let authority = if any_host { Authority::new(name, now)? } else { Authority::for_hosts(name, hosts, now)? };
        self.0.create()?;
        let lock = Opened::lock(&self.0)?;
        self.check_not_begun()?;
        for file in [CA, CA_KEY, INDEX, CRL, "server-crt.pem", "server-key.pem"] {
            self.0.check_free(file, "nothing is overwritten; `Directory::new` names another directory")?;
        }
        let mut made = write_authority(&self.0, &authority)?.to_vec();
        let mut opened = Opened { directory: &self.0, authority, index: Index::default(), _lock: lock };
        made.extend(opened.add_server(SERVER, hosts, 397, now)?);
        made.push(opened.sign_crl(now)?);
        Ok(made)
    }

    /// Makes a certificate for another server, or for one whose files are lost: `NAME-crt.pem` and `NAME-key.pem`.
    ///
    /// # Errors
    /// It exists already, or is valid; the CA's name constraints do not allow one of `hosts`; a value is not valid.
    pub fn issue_server(&self, name: &str, hosts: &[&str], days: u32, now: SystemTime) -> Result<Vec<PathBuf>, Error> {
        check_file_name(name)?;
        check_hosts(hosts)?;
        check_days(days, 397)?;
        Opened::new(&self.0, now)?.add_server(name, hosts, days, now)
    }

    /// Makes a certificate for a client: `NAME-crt.pem`, `NAME-key.pem`, and `NAME.p12` and `NAME.legacy.p12`, which hold
    /// both and the CA. `password` protects them: printable ASCII of at least 8 characters.
    ///
    /// If all certificates of that name are revoked, their files are renamed to `NAME.revoked-SERIAL` and so on. The same
    /// goes for [`issue_server`](Self::issue_server).
    ///
    /// # Errors
    /// It exists already, or is valid; a value is not valid.
    pub fn issue_client(
        &self,
        request: &ClientRequest,
        password: &str,
        now: SystemTime,
    ) -> Result<Vec<PathBuf>, Error> {
        check_client_name(&request.name)?;
        request.check()?;
        check_password(password)?;
        Opened::new(&self.0, now)?.add_client(request, password, now)
    }

    /// Replaces the certificate, the key and the PKCS#12 files of `name` by new ones for the same names. `password` is for
    /// the PKCS#12 files of a client.
    ///
    /// # Errors
    /// There is nothing to renew, or it is revoked; a value is not valid.
    pub fn renew(&self, name: &str, renewal: &Renewal, password: &str, now: SystemTime) -> Result<Vec<PathBuf>, Error> {
        check_file_name(name)?;
        check_password(password)?;
        Opened::new(&self.0, now)?.renew(name, renewal, password, now)
    }

    /// Revokes every certificate of `name`, and signs a new revocation list. Returns the serial numbers of those that were
    /// not revoked before. If there are none, the list is still signed again.
    ///
    /// The index is written before the list, so a revocation is never lost: if the list cannot be written, the next change
    /// signs it.
    ///
    /// # Errors
    /// The name is unknown; a file cannot be written; this would be the first list of a CA that may have revoked others
    /// elsewhere: see [`sign_first_crl`](Self::sign_first_crl).
    pub fn revoke(&self, name: &str, reason: Reason, now: SystemTime) -> Result<Vec<String>, Error> {
        check_file_name(name)?;
        let mut opened = Opened::new(&self.0, now)?;
        opened.check_known(name)?;
        opened.check_first_list()?;
        let revoked = opened.index.revoke(|entry| entry.name == name, now, reason);
        opened.sign_crl(now)?;
        Ok(revoked)
    }

    /// Signs a new revocation list, valid for `days` from now, or for as many days as the last one.
    ///
    /// # Errors
    /// There is no CA; the days are not 1 to 3650; a file cannot be written; no list of this CA was ever signed or found in
    /// the directory.
    pub fn sign_crl(&self, days: Option<u32>, now: SystemTime) -> Result<PathBuf, Error> {
        check_list_days(days)?;
        let mut opened = Opened::new(&self.0, now)?;
        opened.check_first_list()?;
        opened.sign_crl_for(days, now)
    }

    /// Signs the first revocation list of a CA that was made elsewhere. Only for a CA that no program has used to revoke a
    /// certificate yet: the list is empty.
    ///
    /// # Errors
    /// As for [`sign_crl`](Self::sign_crl), except for the last; a certificate is revoked.
    pub fn sign_first_crl(&self, days: Option<u32>, now: SystemTime) -> Result<PathBuf, Error> {
        check_list_days(days)?;
        let mut opened = Opened::new(&self.0, now)?;
        match opened.index.revoked().len() {
            0 => opened.sign_crl_for(days, now),
            _ => Err(Error::new(format!("{} has revoked certificates", self.0.path.join(INDEX).display()))
                .hint("`Directory::sign_crl` signs a list of them")),
        }
    }

    /// Takes over the existing revocation list, from another program or beside a lost index: makes an index of what it
    /// revokes, and signs a new list. If the files of a certificate are not there, the index knows only whether it is
    /// revoked.
    ///
    /// # Errors
    /// As for [`sign_crl`](Self::sign_crl), except for the last; there is no list, or it is partial or another CA's.
    pub fn adopt_crl(&self, days: Option<u32>, now: SystemTime) -> Result<PathBuf, Error> {
        check_list_days(days)?;
        let mut opened = Opened::beginning(&self.0, Beginning::FromList, now)?;
        if opened.index.seen_list_of.is_none() {
            return Err(Error::new(format!("there is no {} to adopt", self.0.path.join(CRL).display()))
                .hint("put the CA's last list there, under this name"));
        }
        opened.sign_crl_for(days, now)
    }

    /// What the directory holds. It changes nothing and does not wait for a lock.
    ///
    /// # Errors
    /// There is no CA; the index cannot be read.
    pub fn list(&self) -> Result<Overview, Error> {
        let Index { crl, entries, .. } = self.0.load(&read(&self.0.path.join(CA))?, Beginning::WithoutList)?;
        let crl_due = match crl.state {
            CrlState::Signed(due) if self.0.path.join(CRL).exists() => Some(due),
            _ => None,
        };
        Ok(Overview { entries, crl_number: crl.number, crl_due })
    }

    /// An interrupted `init` leaves a CA, or the key of one.
    fn check_not_begun(&self) -> Result<(), Error> {
        let there = |file: &str| self.0.path.join(file).exists();
        let dir = self.0.path.display();
        if there(CA_KEY) && !there(CA) {
            return Err(Error::new(format!("{dir}/{CA_KEY} is there without {CA}, as an interrupted init leaves it"))
                .hint("move it away, and try again"));
        }
        if there(CA) && there(CA_KEY) && !there(INDEX) {
            return Err(Error::new(format!("there is a CA in {dir} already, without {INDEX}")).hint(
                "if an init was interrupted, `Directory::issue_server` and `Directory::sign_first_crl` make the rest; \
                 for another CA, `Directory::new` names another directory",
            ));
        }
        Ok(())
    }
}

fn check_list_days(days: Option<u32>) -> Result<(), Error> {
    match days.filter(|days| !(1..=3650).contains(days)) {
        Some(days) => Err(Error::new(format!("a revocation list is signed for 1 to 3650 days, not {days}"))),
        None => Ok(()),
    }
}
