//! The layout of a directory of certificates: its path, the names of its files, and which names are free.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::atomic::Secrecy;
use crate::error::{Error, Hint};

pub(super) const CA: &str = "ca.pem";
pub(super) const CA_KEY: &str = "ca-key.pem";
pub(super) const CRL: &str = "crl.pem";
pub(super) const INDEX: &str = "index.txt";
pub(super) const LOCK: &str = ".lock";

/// The name of the server that `mtls-min` looks for.
pub(super) const SERVER: &str = "server";

/// A directory, and how to deal with other processes that use it.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) patience: Duration,
    pub(super) on_wait: Option<fn(&Path)>,
    pub(super) on_notice: Option<fn(&str)>,
}

impl Place {
    pub(super) fn create(&self) -> Result<(), Error> {
        fs::create_dir_all(&self.path)
            .map_err(|error| Error::new(format!("cannot make the directory {}", self.path.display())).caused_by(error))
    }

    pub(super) fn notice(&self, text: &str) {
        if let Some(call) = self.on_notice {
            call(text);
        }
    }

    /// A file that exists is not overwritten. If it cannot be examined, it is assumed to exist.
    pub(super) fn check_free(&self, file: &str, hint: impl Into<Hint>) -> Result<(), Error> {
        match self.is_free(file) {
            true => Ok(()),
            false => Err(Error::new(format!("{} is there already", self.path.join(file).display())).hint(hint)),
        }
    }

    pub(super) fn is_free(&self, file: &str) -> bool {
        fs::symlink_metadata(self.path.join(file)).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
    }
}

/// A file, what goes into it, and who may read it.
pub(super) type Content = (String, Vec<u8>, Secrecy);

pub(super) fn certificate_file(name: &str) -> String {
    format!("{name}-crt.pem")
}

/// The files of a client; a server has the first two.
pub(super) fn files(name: &str) -> [String; 4] {
    [certificate_file(name), format!("{name}-key.pem"), format!("{name}.p12"), format!("{name}.legacy.p12")]
}

/// Where the demo keeps the password of a client's PKCS#12 files.
pub(super) fn password_file(name: &str) -> String {
    format!("{name}-p12-password.txt")
}
