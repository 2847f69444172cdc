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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// `root` with files and links, and `outside` beside it; removed at the end.
    struct Scene(PathBuf);

    impl Scene {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("mtls-min-beneath-{}-{name}", std::process::id()));
            for folder in ["outside/sub", "root/a/b"] {
                fs::create_dir_all(path.join(folder)).unwrap();
            }
            for (file, content) in
                [("outside/file", "outside"), ("outside/sub/file", "outside"), ("root/a/file", "inside")]
            {
                fs::write(path.join(file), content).unwrap();
            }
            for (link, to) in [
                ("file-link", "a/file"),
                ("folder-link", "a"),
                ("a/b/up", "../file"),
                ("out", "../outside/file"),
                ("out-folder", "../outside"),
                ("and-back", "../root/a/file"),
                ("absolute", "/etc/passwd"),
                ("loop", "loop"),
                ("magic", "/proc/self/root"),
            ] {
                symlink(to, path.join("root").join(link)).unwrap();
            }
            Self(path)
        }

        /// The root, resolved by the kernel or without its help.
        fn root(&self, by_kernel: bool) -> Root {
            Root { by_kernel, ..Root::open(&self.0.join("root")).unwrap() }
        }
    }

    impl Drop for Scene {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn said(root: &Root, path: &str) -> String {
        match root.find(path.as_bytes()) {
            Ok(Found::File(mut file)) => {
                let mut text = String::new();
                file.read_to_string(&mut text).unwrap();
                text
            }
            Ok(Found::Folder(_)) => "folder".to_owned(),
            Err(failure) => format!("{failure:?}"),
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_kernel_resolves_paths() {
        assert!(Scene::new("kernel").root(true).by_kernel && Root::open(Path::new("/")).unwrap().by_kernel);
    }

    #[test]
    fn both_ways_find_what_is_inside_and_nothing_outside() {
        let scene = Scene::new("both");
        for (path, by_kernel, without) in [
            ("", "folder", "folder"),
            ("a", "folder", "folder"),
            ("a/b", "folder", "folder"),
            ("a/file", "inside", "inside"),
            ("none", "Nothing", "Nothing"),
            ("a/none/file", "Nothing", "Nothing"),
            ("a/file/more", "Nothing", "Nothing"),
            ("file-link", "inside", "Nothing"),
            ("folder-link", "folder", "Nothing"),
            ("folder-link/file", "inside", "Nothing"),
            ("a/b/up", "inside", "Nothing"),
            ("out", "Nothing", "Nothing"),
            ("out-folder", "Nothing", "Nothing"),
            ("out-folder/file", "Nothing", "Nothing"),
            ("out-folder/sub/file", "Nothing", "Nothing"),
            ("and-back", "Nothing", "Nothing"),
            ("absolute", "Nothing", "Nothing"),
            ("loop", "Nothing", "Nothing"),
            ("magic", "Nothing", "Nothing"),
            ("magic/etc/passwd", "Nothing", "Nothing"),
            ("..", "Nothing", "Nothing"),
            ("../outside/file", "Nothing", "Nothing"),
            ("a/../../outside/file", "Nothing", "Nothing"),
            ("/etc/passwd", "Nothing", "Nothing"),
        ] {
            assert_eq!(said(&scene.root(false), path), without, "{path} without the kernel's help");
            if cfg!(target_os = "linux") {
                assert_eq!(said(&scene.root(true), path), by_kernel, "{path} by the kernel");
            }
        }
    }

    /// From the outside only the way that this kernel has can be tested.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_folder_that_is_swapped_for_a_link_is_no_way_out() {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        let scene = Scene::new("swap");
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let [a, b] = ["root/a", "root/out-folder"].map(|name| scene.0.join(name));
                while !is_over.load(Ordering::Relaxed) {
                    renameat_with(CWD, &a, CWD, &b, RenameFlags::EXCHANGE).unwrap();
                }
            });
            let mut found = [0, 0];
            let mut others = Vec::new();
            for (at, by_kernel) in [true, false].into_iter().enumerate() {
                let root = scene.root(by_kernel);
                for _ in 0..20_000 {
                    match &*said(&root, "a/file") {
                        "inside" => found[at] += 1,
                        "Nothing" => {}
                        other => others.push(other.to_owned()),
                    }
                }
            }
            is_over.store(true, Ordering::Relaxed);
            assert_eq!(others, [""; 0]);
            assert!(found.iter().all(|found| (100..19_900).contains(found)), "it was swapped: {found:?}");
        });
    }

    #[test]
    fn a_failure_says_whether_something_may_be_there_later() {
        assert_eq!(failure(Errno::NOENT), Failure::Nothing);
        assert_eq!(failure(Errno::ACCESS), Failure::Nothing);
        assert_eq!(failure(Errno::MFILE), Failure::Busy);
        assert_eq!(failure(Errno::IO), Failure::Broken);
    }
}
