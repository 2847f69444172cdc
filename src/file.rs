//! Reading files that others write, opening files to add to them, and locking files against other processes.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use crate::error::{Error, with_pki};

const MIB: u64 = 1024 * 1024;

const SERVER_FILE_MISSING: &str = with_pki(
    "`pki::throwaway` makes a set of certificates to try; other files are named with `ServerCertificate::from_pem_files`",
    "certs/make-certs.sh in the sources of mtls-min makes a set of certificates to try; other files are named with \
     `ServerCertificate::from_pem_files`",
);

/// What a file is for: how errors name it, how large it may be, and what helps if it is missing.
#[derive(Debug)]
pub(crate) struct FileKind {
    /// As in "cannot read the policy rules.txt". Empty: the path is enough.
    words: &'static str,
    /// In bytes. A file is larger than this only by mistake.
    limit: u64,
    if_missing: Option<&'static str>,
}

impl FileKind {
    pub(crate) const CA: Self = Self {
        words: "the CA file",
        limit: 16 * MIB,
        if_missing: Some(with_pki(
            "`pki::throwaway` makes a set of certificates to try; `TrustBuilder::pem_file` names another file",
            "certs/make-certs.sh in the sources of mtls-min makes a set of certificates to try; `TrustBuilder::pem_file` names \
             another file",
        )),
    };

    pub(crate) const INTERMEDIATES: Self = Self {
        words: "the file of intermediates",
        limit: 16 * MIB,
        if_missing: Some("`TrustBuilder::intermediates_file` names it"),
    };

    /// Enough for a few million entries.
    pub(crate) const CRL: Self = Self {
        words: "the file of revocation lists",
        limit: 256 * MIB,
        if_missing: Some(with_pki(
            "`TrustBuilder::crl_file` names another file; where `Directory` keeps the CA, `Directory::sign_crl` signs its list \
             anew",
            "`TrustBuilder::crl_file` names another file; the program that keeps the CA signs its list anew",
        )),
    };

    pub(crate) const POLICY: Self = Self {
        words: "the policy",
        limit: 16 * MIB,
        if_missing: Some(
            "`TrustBuilder::policy_file` names the file; a line of it is a path and who may go there, for example: / any",
        ),
    };

    pub(crate) const AUTHORIZED_CLIENT: Self = Self { words: "the authorised client", limit: MIB, if_missing: None };

    pub(crate) const SERVER_CERTIFICATE: Self =
        Self { words: "the server's certificate", limit: MIB, if_missing: Some(SERVER_FILE_MISSING) };

    pub(crate) const SERVER_KEY: Self =
        Self { words: "the server's key", limit: MIB, if_missing: Some(SERVER_FILE_MISSING) };

    /// A client's certificate that is to be checked.
    #[cfg(feature = "cli")]
    pub(crate) const CHECKED: Self = Self { words: "", limit: MIB, if_missing: None };

    /// Reads a regular file. What else a name may stand for (a pipe, a device) could block whoever opens or reads it for ever.
    ///
    /// # Errors
    /// It is missing, is not a regular file, cannot be read, or is too large.
    pub(crate) fn read(&self, path: &Path) -> Result<Vec<u8>, Error> {
        let name = path.display().to_string();
        let file = open_regular(path).map_err(|error| {
            let hint = self.hint(error.kind());
            let error = self.cannot_read(&name, error);
            match hint {
                Some(hint) => error.hint(hint),
                None => error,
            }
        })?;
        self.read_from(file, &name)
    }

    /// Reads what may be any kind of file, and is called `name` in errors.
    ///
    /// # Errors
    /// It cannot be read, or is too large.
    pub(crate) fn read_from(&self, file: File, name: &str) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        file.take(self.limit + 1).read_to_end(&mut bytes).map_err(|error| self.cannot_read(name, error))?;
        if bytes.len() as u64 > self.limit {
            return Err(Error::new(format!("{} is larger than {} MiB", self.named(name), self.limit / MIB))
                .hint("is this the right file?"));
        }
        Ok(bytes)
    }

    /// What helps if it cannot be opened.
    fn hint(&self, why: ErrorKind) -> Option<&'static str> {
        match why {
            ErrorKind::NotFound => self.if_missing,
            ErrorKind::InvalidInput => Some("name a file, not a directory, pipe or device"),
            ErrorKind::NotADirectory => Some("a part of this path is a file where a directory is needed"),
            ErrorKind::PermissionDenied => {
                Some("the user that runs this has to be able to read it, and so has a sandbox around it")
            }
            _ => None,
        }
    }

    fn cannot_read(&self, name: &str, error: io::Error) -> Error {
        Error::new(format!("cannot read {}", self.named(name))).caused_by(error)
    }

    fn named(&self, name: &str) -> String {
        format!("{} {name}", self.words).trim_start().to_owned()
    }
}

/// Takes the lock of a file for as long as it is open; the system frees it when the process ends, however it does.
/// `false`: another process still holds it after `patience`.
#[cfg(feature = "pki")]
pub(crate) fn lock_file(file: &File, patience: std::time::Duration) -> io::Result<bool> {
    use std::fs::TryLockError;
    use std::time::{Duration, Instant};
    let deadline = Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::Error(error)) if error.kind() != ErrorKind::Interrupted => return Err(error),
            Err(_) if Instant::now() >= deadline => return Ok(false),
            // `File::lock` has no deadline.
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Device and inode. While a file is open, no other has the same.
pub(crate) fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// Opens a regular file to add to its end, and makes it if it is missing: readable for its group, writable for its owner.
pub(crate) fn open_to_append(path: &Path) -> io::Result<File> {
    // Without NONBLOCK, opening a named pipe would wait for its reader.
    let flags = OFlags::NONBLOCK.bits() as i32;
    let file = OpenOptions::new().append(true).create(true).mode(0o640).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file"));
    }
    Ok(file)
}

/// Opens a regular file, without waiting for anything.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    // Without NONBLOCK, opening a named pipe would wait for its writer.
    let flags = OFlags::NONBLOCK.bits() as i32;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file"));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A new file, removed at the end.
    struct Scratch(std::path::PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("mtls-min-file-{}-{name}", std::process::id()));
            fs::write(&path, "x").unwrap();
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    #[test]
    fn a_file_may_have_its_limit_and_not_a_byte_more() {
        let scratch = Scratch::new("limit");
        let file = OpenOptions::new().write(true).open(&scratch.0).unwrap();
        for kind in [FileKind::AUTHORIZED_CLIENT, FileKind::SERVER_CERTIFICATE, FileKind::POLICY] {
            file.set_len(kind.limit).unwrap();
            assert_eq!(kind.read(&scratch.0).unwrap().len() as u64, kind.limit);
            file.set_len(kind.limit + 1).unwrap();
            let error = kind.read(&scratch.0).unwrap_err().to_string();
            let name = scratch.0.display();
            assert_eq!(error, format!("{} {name} is larger than {} MiB", kind.words, kind.limit / MIB).trim_start());
        }
    }

    /// Whoever follows a hint has to find what it names.
    #[test]
    fn hints_name_only_what_this_build_has() {
        for kind in [FileKind::CA, FileKind::CRL, FileKind::SERVER_CERTIFICATE, FileKind::SERVER_KEY] {
            let hint = kind.if_missing.unwrap();
            let is_of_pki = hint.contains("pki::") || hint.contains("`Directory");
            assert_eq!(is_of_pki, cfg!(feature = "pki"), "{hint}");
            assert!(!hint.contains("make-certs.sh") || hint.contains("in the sources of mtls-min"), "{hint}");
        }
        let error = FileKind::SERVER_KEY.read(Path::new("/nowhere")).unwrap_err();
        assert_eq!(error.to_string(), "cannot read the server's key /nowhere");
    }

    #[test]
    fn what_is_missing_and_what_is_not_a_file_have_hints() {
        let hint = |path: &str| FileKind::CA.read(Path::new(path)).unwrap_err().hint_text().map(str::to_owned).unwrap();
        assert!(hint("/nowhere").contains("`TrustBuilder::pem_file` names another file"));
        for path in ["/", "/dev/null"] {
            assert!(hint(path).contains("not a directory"), "{path}");
        }
        assert!(hint("/dev/null/ca.pem").contains("where a directory is needed"));
    }

    #[test]
    fn only_who_may_not_read_is_told_to_have_the_right() {
        assert!(FileKind::CA.hint(ErrorKind::PermissionDenied).unwrap().contains("able to read it"));
        let too_long = FileKind::CA.read(Path::new(&"x".repeat(10_000))).unwrap_err();
        assert_eq!(too_long.hint_text(), None, "{too_long}");
    }

    #[test]
    #[cfg(feature = "pki")]
    fn a_lock_is_held_until_its_file_is_closed() {
        let scratch = Scratch::new("lock");
        let open = || File::open(&scratch.0).unwrap();
        let (first, second) = (open(), open());
        let patience = std::time::Duration::ZERO;
        assert!(lock_file(&first, patience).unwrap());
        assert!(!lock_file(&second, patience).unwrap());
        drop(first);
        assert!(lock_file(&second, patience).unwrap());
    }
}
