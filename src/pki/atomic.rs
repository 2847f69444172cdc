//! Writes files whole or not at all. An existing file is replaced only on request.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use crate::error::Error;

/// Who may read a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrecy {
    Public,
    /// Its owner alone, from the first byte on.
    Private,
}

/// Writes a new file, first under a temporary name beside it. If the name exists already, or appears meanwhile, that file
/// stays as it is.
pub(super) fn write_new(path: &Path, content: &[u8], secrecy: Secrecy) -> Result<(), Error> {
    let failed = |error: io::Error| {
        let exists = error.kind() == io::ErrorKind::AlreadyExists;
        let error = Error::new(format!("cannot write {}", path.display())).caused_by(error);
        if exists {
            error.hint("it exists already, and nothing is overwritten; remove it or choose another directory")
        } else {
            error
        }
    };
    let (temporary, file) = new_beside(path, secrecy).map_err(failed)?;
    let written = write_whole(file, content).and_then(|()| take_name(&temporary, path, content, secrecy));
    let _ = fs::remove_file(&temporary);
    written.map_err(failed)
}

/// Writes a file in place of the one that has its name. A reader sees the old file or the new one, whole. A public file
/// keeps its owner, group and mode, whatever the umask, because a server may run as another user. If a public file is a
/// symbolic link, the file that the link leads to is replaced, because a server may use that name.
pub(super) fn write_over(path: &Path, content: &[u8], secrecy: Secrecy) -> Result<(), Error> {
    let failed = |error: io::Error| Error::new(format!("cannot write {}", path.display())).caused_by(error);
    let behind_link = if secrecy == Secrecy::Public { fs::canonicalize(path).ok() } else { None };
    let path = behind_link.as_deref().unwrap_or(path);
    let (temporary, file) = new_beside(path, secrecy).map_err(failed)?;
    if secrecy == Secrecy::Public {
        keep_readers(path, &file);
    }
    write_whole(file, content).and_then(|()| fs::rename(&temporary, path)).map_err(|error| {
        let _ = fs::remove_file(&temporary);
        failed(error)
    })?;
    // Otherwise a power cut could bring the old file back. Not every file system supports this.
    let _ = path.parent().map(|directory| File::open(directory).and_then(|directory| directory.sync_all()));
    Ok(())
}

/// Gives a file the owner, the group and the mode of the one that it replaces, or none of them if that is not allowed.
fn keep_readers(old: &Path, file: &File) {
    let Ok(old) = fs::metadata(old) else { return };
    if fchown(file, Some(old.uid()), Some(old.gid())).is_ok() {
        let _ = file.set_permissions(old.permissions());
    }
}

/// The ending of temporary files. No other program uses it, so files with this ending can be removed.
const TEMPORARY: &str = ".mtls-min-tmp";

/// Whether this is the name of a temporary file, of a process that runs or was killed.
pub(super) fn is_temporary(name: &str) -> bool {
    let numbers = name.strip_suffix(TEMPORARY).and_then(|name| name.rsplit_once('.')?.1.split_once('-'));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    numbers.is_some_and(|(process, number)| digits(process) && digits(number))
}

/// A temporary file that belongs to this call alone: not to another thread, and not to a process that was killed.
fn new_beside(path: &Path, secrecy: Secrecy) -> io::Result<(PathBuf, File)> {
    let mut number = 0_u32;
    loop {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}-{number}{TEMPORARY}", std::process::id()));
        let temporary = PathBuf::from(name);
        match create(&temporary, secrecy) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < 1000 => number += 1,
            result => return result.map(|file| (temporary, file)),
        }
    }
}

fn create(path: &Path, secrecy: Secrecy) -> io::Result<File> {
    let mode = if secrecy == Secrecy::Private { 0o600 } else { 0o644 };
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

fn write_whole(mut file: File, content: &[u8]) -> io::Result<()> {
    file.write_all(content)?;
    file.sync_all()
}

/// A hard link fails if the name exists; a rename does not.
fn take_name(temporary: &Path, path: &Path, content: &[u8], secrecy: Secrecy) -> io::Result<()> {
    match fs::hard_link(temporary, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => write_in_place(path, content, secrecy),
        result => result,
    }
}

/// For a file system without hard links. An existing file is still never replaced, but the file is incomplete if the process
/// is killed meanwhile.
fn write_in_place(path: &Path, content: &[u8], secrecy: Secrecy) -> io::Result<()> {
    let file = create(path, secrecy)?;
    write_whole(file, content).inspect_err(|_| {
        let _ = fs::remove_file(path);
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("mtls-min-files-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn names(&self) -> Vec<String> {
            fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_file_that_is_there_is_never_written_over() {
        let scratch = Scratch::new("there");
        let path = scratch.0.join("file");
        write_new(&path, b"first", Secrecy::Private).unwrap();
        let error = write_new(&path, b"second", Secrecy::Private).unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert!(error.hint_text().unwrap().contains("nothing is overwritten"));
        assert_eq!(scratch.names(), ["file"], "no temporary file stays");
    }

    #[test]
    fn a_file_is_replaced_whole_and_with_its_own_mode() {
        let scratch = Scratch::new("over");
        let path = scratch.0.join("file");
        for (content, secrecy, mode) in [("a", Secrecy::Public, 0o644), ("b", Secrecy::Private, 0o600)] {
            write_over(&path, content.as_bytes(), secrecy).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
        }
        fs::create_dir(scratch.0.join("directory")).unwrap();
        write_over(&scratch.0.join("directory"), b"", Secrecy::Public).unwrap_err();
        let mut names = scratch.names();
        names.sort_unstable();
        assert_eq!(names, ["directory", "file"], "no temporary file stays");
    }

    #[test]
    fn of_many_writers_one_wins_and_its_file_is_whole() {
        for round in 0..50 {
            let scratch = Scratch::new(&format!("many{round}"));
            let path = scratch.0.join("file");
            let winners = std::thread::scope(|scope| {
                let path = &path;
                let writers: Vec<_> = (0..8_u8)
                    .map(|n| scope.spawn(move || write_new(path, &[n; 5000], Secrecy::Private).is_ok().then_some(n)))
                    .collect();
                writers.into_iter().filter_map(|writer| writer.join().unwrap()).collect::<Vec<_>>()
            });
            assert_eq!(winners.len(), 1, "round {round}");
            assert_eq!(fs::read(&path).unwrap(), [winners[0]; 5000]);
            assert_eq!(scratch.names(), ["file"], "nothing else is left");
        }
    }

    #[test]
    fn what_a_killed_process_left_is_neither_used_nor_removed() {
        let scratch = Scratch::new("stale");
        let stale = scratch.0.join(format!("file.{}-0{TEMPORARY}", std::process::id()));
        fs::write(&stale, "old").unwrap();
        write_new(&scratch.0.join("file"), b"new", Secrecy::Private).unwrap();
        assert_eq!(fs::read(scratch.0.join("file")).unwrap(), b"new");
        assert_eq!(fs::read(&stale).unwrap(), b"old");
    }

    #[test]
    fn without_hard_links_nothing_is_overwritten_either() {
        let scratch = Scratch::new("links");
        let path = scratch.0.join("file");
        write_in_place(&path, b"first", Secrecy::Private).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(write_in_place(&path, b"second", Secrecy::Public).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"first");
    }
}
