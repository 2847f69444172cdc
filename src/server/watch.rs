//! The files that a server takes trust and certificate from, and whether they have changed.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::error::Error;
use crate::tls::server_certificate::ServerCertificate;
use crate::trust::{Trust, TrustBuilder, client_name};

/// How often the files are checked. A changed file is read once it has stayed the same for this long.
pub(crate) const TICK: Duration = Duration::from_millis(150);

/// What keeps changing is read after this time.
const PATIENCE: Duration = Duration::from_millis(600);

// The promise is: within a second. That is a check, the wait, and a check on a thread that was late.
const _: () = assert!(PATIENCE.as_millis() + 2 * TICK.as_millis() < 1000);

/// Checking the files in a directory may take at most one part in `SHARE` of a thread's time.
const SHARE: u32 = 50;

/// The files that a server takes trust and certificate from. It reads them anew, all or none, within a second after one of
/// them has changed.
///
/// They may be written in place, replaced by a rename, or be symbolic links that change. If one cannot be read or is not
/// valid, what was read before stays in force.
///
/// ```no_run
/// use mtls_min::{Server, ServerFiles, Trust};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let trust = Trust::builder().pem_file("certs/ca.pem").crl_file("certs/crl.pem");
/// let files = ServerFiles::new(trust, "certs/server-crt.pem", "certs/server-key.pem");
/// // Everything is read and checked before the port opens.
/// let loaded = files.load()?;
/// let listener = std::net::TcpListener::bind("127.0.0.1:4433")?;
/// let server = Server::watching(listener, loaded).build()?;
/// # let _ = server;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ServerFiles {
    trust: TrustBuilder,
    certificate: PathBuf,
    key: PathBuf,
}

impl ServerFiles {
    /// The files that `trust` names, and those of the server's certificate chain and key.
    pub fn new(trust: TrustBuilder, certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Self {
        Self { trust, certificate: certificate.as_ref().to_owned(), key: key.as_ref().to_owned() }
    }

    /// Reads them all.
    ///
    /// # Errors
    /// As [`TrustBuilder::build`] and [`ServerCertificate::from_pem_files`].
    pub fn load(self) -> Result<Loaded, Error> {
        // Before the files are read, so that no change in between is missed.
        let watch = Watch::new(self);
        let trust = watch.files.trust.build()?;
        let certificate = watch.files.load_certificate()?;
        Ok(Loaded { watch, trust, certificate })
    }

    /// The same again, for what replaces `before`.
    pub(crate) fn reload(&self, before: &Trust, now: SystemTime) -> Result<(Trust, ServerCertificate), Error> {
        Ok((self.trust.clone().now(now).rebuild(before)?, self.load_certificate()?))
    }

    /// All of them, beside the directory of authorised clients.
    fn files(&self) -> impl Iterator<Item = &Path> {
        self.trust.files().chain([self.certificate.as_path(), &self.key])
    }

    fn load_certificate(&self) -> Result<ServerCertificate, Error> {
        ServerCertificate::from_pem_files(&self.certificate, &self.key)
    }
}

/// What was read from [`ServerFiles`], to be watched from now on by [`Server::watching`](crate::Server::watching).
#[derive(Debug)]
pub struct Loaded {
    pub(crate) watch: Watch,
    pub(crate) trust: Trust,
    pub(crate) certificate: ServerCertificate,
}

impl Loaded {
    /// The trust that they describe.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The server's certificate.
    pub fn certificate(&self) -> &ServerCertificate {
        &self.certificate
    }

    /// The files that will be read anew.
    #[cfg(feature = "cli")]
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        self.watch.files.files()
    }

    /// The directory of authorised clients, likewise.
    #[cfg(feature = "cli")]
    pub(crate) fn directory(&self) -> Option<&Path> {
        self.watch.files.trust.directory()
    }
}

/// Notices that files have changed.
///
/// It checks them again and again, which works on every system, on network file systems and through symbolic links wherever
/// they lead; checking a handful of files takes microseconds.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) files: ServerFiles,
    directory: Option<Directory>,
    seen: u64,
    /// A change that may not be complete yet, and when it was first seen.
    unsettled: Option<(u64, Instant)>,
}

impl Watch {
    /// From now on. Call this before the files are read.
    pub(crate) fn new(files: ServerFiles) -> Self {
        let directory = files.trust.directory().map(Directory::new);
        let mut watch = Self { files, directory, seen: 0, unsettled: None };
        watch.seen = watch.look();
        watch
    }

    /// Whether there is a change to read: one that is complete, or has gone on for too long.
    pub(crate) fn has_changed(&mut self) -> bool {
        let now = self.look();
        if now == self.seen {
            self.unsettled = None;
            return false;
        }
        match self.unsettled {
            Some((before, since)) if before == now || since.elapsed() >= PATIENCE => {
                // A change while the files are read makes them differ from `now`, and the next check notices it.
                self.seen = now;
                self.unsettled = None;
                true
            }
            unsettled => {
                self.unsettled = Some((now, unsettled.map_or_else(Instant::now, |(_, since)| since)));
                false
            }
        }
    }

    fn look(&mut self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for file in self.files.files() {
            stamp(file).hash(&mut hasher);
        }
        if let Some(directory) = &mut self.directory {
            directory.look().hash(&mut hasher);
        }
        hasher.finish()
    }
}

/// What changes with a file: device, inode, size, and the times of the last change of its content and of its metadata.
fn stamp(path: &Path) -> Option<[u64; 7]> {
    let metadata = fs::metadata(path).ok()?;
    let signed = [metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec()];
    let [mtime, mtime_nsec, ctime, ctime_nsec] = signed.map(i64::cast_unsigned);
    Some([metadata.dev(), metadata.ino(), metadata.size(), mtime, mtime_nsec, ctime, ctime_nsec])
}

/// A directory whose files count. If one is added, removed or renamed, that is seen at once; a change within one of very many
/// files is seen only when it is time to check all of them again.
#[derive(Debug)]
struct Directory {
    path: PathBuf,
    own: Option<[u64; 7]>,
    content: u64,
    next: Instant,
}

impl Directory {
    fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), own: None, content: 0, next: Instant::now() }
    }

    fn look(&mut self) -> (Option<[u64; 7]>, u64) {
        let own = stamp(&self.path);
        let begun = Instant::now();
        if own != self.own || begun >= self.next {
            self.own = own;
            self.content = content(&self.path);
            self.next = begun + begun.elapsed() * SHARE;
        }
        (self.own, self.content)
    }
}

fn content(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| client_name(path).is_some());
    // A sum, because directories have no order.
    paths.fold(1, |sum: u64, path| {
        let mut hasher = DefaultHasher::new();
        (&path, stamp(&path)).hash(&mut hasher);
        sum.wrapping_add(hasher.finish())
    })
}
