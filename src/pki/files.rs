//! Writes files whole or not at all, and never over another.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::error::Error;

/// Who may read a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrecy {
    Public,
    /// Its owner alone, from its first byte on.
    Private,
}

/// Writes a new file: to a temporary one beside it, which then gets its name. A file of that name that is there already,
/// or comes meanwhile, stays as it is.
pub(super) fn write_new(path: &Path, content: &[u8], secrecy: Secrecy) -> Result<(), Error> {
    let failed = |error: io::Error| {
        let exists = error.kind() == io::ErrorKind::AlreadyExists;
        let error = Error::new(format!("cannot write {}", path.display())).caused_by(error);
        if exists {
            error.hint("it is there already, and nothing is overwritten; remove it or choose another directory")
        } else {
            error
        }
    };
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.tmp", std::process::id()));
    let written =
        write_whole(Path::new(&temporary), content, secrecy).and_then(|()| take_name(Path::new(&temporary), path));
    let _ = fs::remove_file(&temporary);
    written.map_err(failed)
}

fn write_whole(path: &Path, content: &[u8], secrecy: Secrecy) -> io::Result<()> {
    let mode = if secrecy == Secrecy::Private { 0o600 } else { 0o644 };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// A hard link fails if the name is taken, which a rename does not.
fn take_name(temporary: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(temporary, path) {
        // A file system without hard links: then without the protection against somebody who is just as quick.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists && !path.try_exists()? => {
            fs::rename(temporary, path)
        }
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_there_is_never_written_over() {
        let path = std::env::temp_dir().join(format!("mtls-min-files-{}", std::process::id()));
        write_new(&path, b"first", Secrecy::Private).unwrap();
        let error = write_new(&path, b"second", Secrecy::Private).unwrap_err();
        let (content, _) = (fs::read(&path).unwrap(), fs::remove_file(&path).unwrap());
        assert_eq!(content, b"first");
        assert!(error.hint_text().unwrap().contains("nothing is overwritten"));
        let left = fs::read_dir(std::env::temp_dir())
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().path().to_string_lossy().starts_with(&*path.to_string_lossy()));
        assert_eq!(left.count(), 0, "no temporary file stays");
    }
}
