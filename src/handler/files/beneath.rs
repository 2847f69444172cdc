//! Opening what is in a folder, and never what is outside of it: every path is resolved from the folder's descriptor, by the kernel
//! in one step (`openat2` with `RESOLVE_BENEATH`), or component by component without any symbolic link. So no link leads out, and
//! none that is swapped in meanwhile does.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

/// A folder, by its descriptor.
#[derive(Debug)]
pub(super) struct Root {
    folder: OwnedFd,
    /// Whether the kernel resolves paths below a folder.
    by_kernel: bool,
}

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Found {
    /// A regular file.
    File(File),
    Folder(Folder),
}

/// A folder within the root.
#[derive(Debug)]
pub(super) struct Folder(pub(super) File);

/// Why there is nothing to open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nothing is there that may be opened.
    Nothing,
    /// Too many files are open, or the path changes faster than it can be resolved: later there may be something.
    Busy,
    /// The file system fails.
    Broken,
}

impl Root {
    /// Opens the folder itself; links on the way there are followed.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let folder = rustix::fs::open(path, READING.union(OFlags::DIRECTORY), Mode::empty())?;
        let by_kernel = kernel_resolves(folder.as_fd());
        Ok(Self { folder, by_kernel })
    }

    /// Opens a regular file or a folder. `path` is relative; empty, it is the root itself.
    pub(super) fn find(&self, path: &[u8]) -> Result<Found, Failure> {
        let opened = match (path, self.by_kernel) {
            (b"", _) => rustix::fs::openat(&self.folder, c".", READING, Mode::empty()),
            (_, true) => beneath(self.folder.as_fd(), path),
            (_, false) => without_links(self.folder.as_fd(), path),
        };
        let opened = opened.map_err(failure)?;
        // Devices, pipes and sockets are not read. Whatever was at the path before, this is of what was opened.
        let stat = rustix::fs::fstat(&opened).map_err(failure)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(Found::File(opened.into())),
            FileType::Directory => Ok(Found::Folder(Folder(opened.into()))),
            _ => Err(Failure::Nothing),
        }
    }
}

impl Folder {
    /// The names in it of files, folders and links, if `is_shown` says so: at most `most`, and whether there are more.
    pub(super) fn names(&self, most: usize, is_shown: impl Fn(&[u8]) -> bool) -> Result<(Vec<Vec<u8>>, bool), Failure> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.0).map_err(failure)? {
            let entry = entry.map_err(failure)?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") || !is_shown(name.to_bytes()) {
                continue;
            }
            // A device or a pipe is not even opened.
            let kind = rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW);
            let kind = kind.map(|stat| FileType::from_raw_mode(stat.st_mode));
            if !matches!(kind, Ok(FileType::RegularFile | FileType::Directory | FileType::Symlink)) {
                continue;
            }
            if names.len() == most {
                return Ok((names, true));
            }
            names.push(name.to_bytes().to_owned());
        }
        Ok((names, false))
    }
}

/// Not waiting for the writer of a pipe, and not taking a terminal over.
const READING: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// Whether `openat2` is there. An old kernel does not have it, and some sandboxes refuse it (EPERM).
#[cfg(target_os = "linux")]
fn kernel_resolves(folder: BorrowedFd<'_>) -> bool {
    beneath(folder, b".").is_ok()
}

#[cfg(not(target_os = "linux"))]
fn kernel_resolves(_folder: BorrowedFd<'_>) -> bool {
    false
}

/// Links are followed as long as they stay inside; what leads out is EXDEV. A link of `/proc` that is no path is ELOOP.
#[cfg(target_os = "linux")]
fn beneath(folder: BorrowedFd<'_>, path: &[u8]) -> rustix::io::Result<OwnedFd> {
    use rustix::fs::{ResolveFlags, openat2};
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let mut tries = 0;
    loop {
        match openat2(folder, path, READING, Mode::empty(), resolve) {
            // Something on the machine was renamed while the kernel went up in a link, so it cannot vouch for the result.
            Err(Errno::AGAIN | Errno::INTR) if tries < MOST_TRIES => tries += 1,
            opened => return opened,
        }
    }
}

#[cfg(target_os = "linux")]
const MOST_TRIES: u32 = 64;

#[cfg(not(target_os = "linux"))]
fn beneath(folder: BorrowedFd<'_>, path: &[u8]) -> rustix::io::Result<OwnedFd> {
    without_links(folder, path)
}

/// No component may be a link, and none leads up: each is looked up in the descriptor of the one before.
fn without_links(folder: BorrowedFd<'_>, path: &[u8]) -> rustix::io::Result<OwnedFd> {
    let mut components = path.split(|byte| *byte == b'/').peekable();
    let mut at: Option<OwnedFd> = None;
    while let Some(component) = components.next() {
        if matches!(component, b"" | b"." | b"..") {
            return Err(Errno::NOENT);
        }
        let flags = match components.peek() {
            Some(_) => PASSING,
            None => READING,
        };
        let from = at.as_ref().map_or(folder, |fd| fd.as_fd());
        at = Some(rustix::fs::openat(from, component, flags.union(OFlags::NOFOLLOW), Mode::empty())?);
    }
    // There is always a component, if only an empty one.
    at.ok_or(Errno::NOENT)
}

/// To pass through a folder takes no right to read it.
#[cfg(target_os = "linux")]
const PASSING: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
#[cfg(not(target_os = "linux"))]
const PASSING: OFlags = READING.union(OFlags::DIRECTORY);

/// Why something was not opened, as far as it matters to a client.
fn failure(error: Errno) -> Failure {
    match error {
        // Refused when in doubt: what leads out, what may not be read, and what cannot be read look the same to a client.
        Errno::NOENT
        | Errno::NOTDIR
        | Errno::LOOP
        | Errno::XDEV
        | Errno::NAMETOOLONG
        | Errno::ACCESS
        | Errno::PERM
        | Errno::INVAL
        | Errno::ILSEQ
        | Errno::NXIO
        | Errno::NODEV => Failure::Nothing,
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN | Errno::INTR => Failure::Busy,
        _ => Failure::Broken,
    }
}
