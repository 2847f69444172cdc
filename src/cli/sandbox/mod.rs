//! What the running server may still do: read what it was configured with, connect to its applications, and nothing else. The
//! kernel sees to it (Landlock), so it also holds for a handler that was led astray.

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod kernel;
mod places;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

#[cfg(not(target_os = "linux"))]
use self::elsewhere as kernel;
use self::kernel::Kept;
use self::places::{Way, is_shared, outermost};
use crate::error::Error;
use crate::file::open_regular;
use crate::handler::forward::Reach;
use crate::resources;
use crate::trust::client_name;

/// What the server needs once it serves. Whatever is open by then it keeps: listening sockets, and the streams of the log. An
/// option that has something opened later says so here.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// Read anew when they change or are replaced.
    files: BTreeSet<PathBuf>,
    /// Likewise, with the files in them.
    directories: BTreeSet<PathBuf>,
    /// Open already, and what is in them is read.
    folders: BTreeSet<PathBuf>,
    /// Opened anew, and made if they are missing, to be written at their ends.
    logs: BTreeSet<PathBuf>,
    /// Unix sockets that are removed at the end.
    sockets: BTreeSet<PathBuf>,
    /// TCP ports of applications.
    ports: BTreeSet<u16>,
    /// Whether names of hosts are looked up.
    resolves_names: bool,
}

/// What the start says of the sandbox. It has to live as long as the process.
pub(super) struct Sandbox {
    pub(super) text: String,
    pub(super) warnings: Vec<String>,
    _kept: Option<Kept>,
}

/// What stays allowed; all else is taken.
#[derive(Debug, Default, PartialEq, Eq)]
struct Rules {
    /// For a directory: with all that is below.
    files: BTreeSet<(PathBuf, Right)>,
    /// TCP ports.
    connect: BTreeSet<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Right {
    /// Files may be read.
    Read,
    /// And directories listed.
    List,
    /// Files may be written, and made.
    Write,
    /// Files may be removed.
    Remove,
}

/// What came of the rules.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
enum Outcome {
    /// They are in force, by this version of Landlock.
    InForce(u32, Kept),
    /// They are not; why.
    Absent(&'static str),
}

impl Needs {
    pub(super) fn file(&mut self, path: &Path) {
        self.files.insert(path.to_owned());
    }

    /// Of the files that are links to elsewhere, those of now count.
    pub(super) fn directory(&mut self, path: &Path) {
        self.directories.insert(path.to_owned());
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        let links = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()));
        self.files.extend(links.map(|link| link.path()).filter(|path| client_name(path).is_some()));
    }

    pub(super) fn folder(&mut self, path: &Path) {
        self.folders.insert(path.to_owned());
    }

    pub(super) fn log(&mut self, path: &Path) {
        self.logs.insert(path.to_owned());
    }

    pub(super) fn socket(&mut self, path: &Path) {
        self.sockets.insert(path.to_owned());
    }

    pub(super) fn application(&mut self, reach: Reach) {
        match reach {
            Reach::Port { port, is_named } => {
                self.ports.insert(port);
                self.resolves_names |= is_named;
            }
            // The kernel does not limit these.
            Reach::UnixSocket => {}
        }
    }

    /// The rules for that, and warnings of what they open beside.
    fn rules(&self) -> Result<(Rules, Vec<String>), Error> {
        let (mut rules, mut warnings) = (Rules { connect: self.ports.clone(), ..Rules::default() }, Vec::new());
        let home = env::var_os("HOME");
        let is_shared = |directory: &PathBuf| is_shared(directory, home.as_deref());
        let (mut trusted, mut changed) = (BTreeSet::new(), BTreeSet::new());
        for file in &self.files {
            let way = follow(file)?;
            let known = |directory: &PathBuf| rules.files.contains(&(directory.clone(), Right::Read));
            for directory in way.holders.iter().filter(|directory| is_shared(directory) && !known(directory)) {
                warnings.push(format!(
                    "the sandbox lets everything in {} be read, since {} is there; put it into a directory of its own",
                    directory.display(),
                    file.display()
                ));
            }
            trusted.extend(way.holders.iter().cloned());
            rules.give(Right::Read, way.holders);
            // Where /var/run is a link, /var is not opened.
            rules.give(Right::Read, way.turning_points.into_iter().filter(|directory| !is_shared(directory)));
        }
        for directory in &self.directories {
            let way = follow(directory)?;
            let around = way.turning_points.into_iter().chain(way.holders.into_iter().filter(|_| way.is_link));
            // What a link leads to tomorrow is listed as well.
            rules.give(Right::List, around.filter(|directory| !is_shared(directory)));
            trusted.insert(way.end.clone());
            rules.give(Right::List, [way.end]);
        }
        for folder in &self.folders {
            rules.give(Right::List, [follow(folder)?.end]);
        }
        // Opening a log says what is wrong with its path.
        for (log, way) in self.logs.iter().filter_map(|log| Some((log, Way::of(log).ok()?))) {
            let holders = way.holders.into_iter().filter(|directory| directory.is_dir()).collect::<Vec<_>>();
            for directory in holders.iter().filter(|directory| is_shared(directory) || *directory == Path::new(LOGS)) {
                warnings.push(format!(
                    "the sandbox lets everything in {} be written, since {} is there; put it into a directory of its own",
                    directory.display(),
                    log.display()
                ));
            }
            changed.extend(holders.iter().cloned());
            rules.give(Right::Write, holders);
        }
        // Elsewhere it stays, and the next start removes it.
        for way in self.sockets.iter().filter_map(|socket| Way::of(socket).ok()) {
            let holders = way.holders.into_iter().filter(|directory| !is_shared(directory)).collect::<Vec<_>>();
            changed.extend(holders.iter().cloned());
            rules.give(Right::Remove, holders);
        }
        for directory in changed.iter().filter(|changed| trusted.iter().any(|trusted| trusted.starts_with(changed))) {
            warnings.push(format!(
                "the sandbox lets the files that say whom to trust be changed, since the log or the admin socket is in {} with \
                 them; put it into a directory of its own",
                directory.display()
            ));
        }
        if self.resolves_names {
            rules.connect.insert(DNS);
            for file in FILES_OF_NAMES.map(Path::new).into_iter().filter(|file| file.exists()) {
                rules.give(Right::Read, follow(file)?.holders);
            }
            rules.give(Right::Read, LIBRARIES.map(PathBuf::from).into_iter().filter(|directory| directory.exists()));
        }
        let status = resources::address_space().map(|_| STATUS);
        let of_system = OF_THE_SYSTEM.into_iter().chain(status).map(PathBuf::from);
        rules.give(Right::Read, of_system.filter(|path| path.exists()));
        Ok((rules, warnings))
    }

    /// What is lost at a reload would be noticed late.
    fn check(&self) -> Result<(), Error> {
        let files = self.files.iter().map(|path| (path, open_regular(path).map(drop)));
        let directories = self.directories.iter().map(|path| (path, fs::read_dir(path).map(drop)));
        for (path, opened) in files.chain(directories) {
            opened.map_err(|error| {
                let what = format!("the sandbox does not let {} be read, though it should", path.display());
                Error::new(what).caused_by(error).hint(HINT)
            })?;
        }
        Ok(())
    }
}

impl Rules {
    fn give(&mut self, right: Right, paths: impl IntoIterator<Item = PathBuf>) {
        self.files.extend(paths.into_iter().map(|path| (path, right)));
    }
}

impl Sandbox {
    /// Binds this thread and those that it starts from now on. So it comes before the first of them.
    ///
    /// # Errors
    /// The kernel has Landlock, but the rules cannot be set, or a file cannot be read under them.
    pub(super) fn enter(needs: &Needs) -> Result<Self, Error> {
        let (rules, warnings) = needs.rules()?;
        match kernel::restrict(&rules).map_err(|error| error.hint(HINT))? {
            Outcome::Absent(why) => Ok(Self::without(why)),
            Outcome::InForce(version, kept) => {
                needs.check()?;
                Ok(Self { text: said(&rules, needs.resolves_names, version), warnings, _kept: Some(kept) })
            }
        }
    }

    /// There is none; `why`.
    pub(super) fn without(why: &str) -> Self {
        Self { text: format!("not sandboxed: {why}"), warnings: Vec::new(), _kept: None }
    }
}

fn follow(path: &Path) -> Result<Way, Error> {
    Way::of(path).map_err(|error| {
        let what = format!("the sandbox cannot be set up: {} cannot be followed", path.display());
        Error::new(what).caused_by(error).hint(HINT)
    })
}

/// What is in force with this version of Landlock, in a line.
fn said(rules: &Rules, resolves_names: bool, version: u32) -> String {
    let unsaid =
        |path: &Path| OF_THE_SYSTEM.iter().chain(&LIBRARIES).chain([&STATUS]).any(|own| path == Path::new(own));
    let listed = |rights: &[Right]| {
        let paths = rules.files.iter().filter(|(_, right)| rights.contains(right));
        let paths = outermost(paths.map(|(path, _)| path).filter(|path| !unsaid(path)));
        paths.into_iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    };
    let libraries = if resolves_names { " and in the system's libraries" } else { "" };
    let read = listed(&[Right::Read, Right::List]);
    let removed = match listed(&[Right::Remove]) {
        removed if removed.is_empty() => removed,
        removed => format!(", remove what is in {removed}"),
    };
    let may_write = match listed(&[Right::Write]) {
        written if written.is_empty() => "write and execute nothing".to_owned(),
        written => format!("write what is in {written}, and execute nothing"),
    };
    let mut text = format!("sandboxed: it can read what is in {read}{libraries}{removed}, and {may_write}");
    if version >= TCP {
        let ports: Vec<_> = rules.connect.iter().map(u16::to_string).collect();
        text.push_str("; bind no other TCP port");
        match ports.is_empty() {
            true => text.push_str(", and connect to none"),
            false => text.push_str(&format!(", and connect to no port but {}", ports.join(", "))),
        }
    }
    let open: Vec<_> = LATER.iter().filter(|(since, _)| version < *since).map(|(_, what)| *what).collect();
    if !open.is_empty() {
        text.push_str(&format!("; this kernel does not limit {} (Landlock {version})", open.join(", ")));
    }
    text
}

const HINT: &str = "--no-sandbox serves without one";

/// The version of Landlock that limits TCP.
const TCP: u32 = 4;

/// What is limited since which version of Landlock.
const LATER: [(u32, &str); 4] =
    [(3, "the truncation of files"), (TCP, "TCP"), (5, "the control of devices"), (6, "signals and abstract sockets")];

/// What libraries count processors by.
const OF_THE_SYSTEM: [&str; 3] = ["/proc/self/cgroup", "/sys/fs/cgroup", "/sys/devices/system/cpu/online"];

/// What is read before each thread if the address space is limited.
const STATUS: &str = "/proc/self/status";

/// What the system resolves names by. Some of these are links, and are replaced while the server runs.
const FILES_OF_NAMES: [&str; 5] =
    ["/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/host.conf"];

/// It loads a library for each of its ways.
const LIBRARIES: [&str; 5] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib"];

/// Where each service has its own directory, or should.
const LOGS: &str = "/var/log";

/// Long answers come by TCP.
const DNS: u16 = 53;

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(read: &[&str], connect: &[u16]) -> Rules {
        let mut rules = Rules { connect: connect.iter().copied().collect(), ..Rules::default() };
        rules.give(Right::Read, read.iter().chain(&OF_THE_SYSTEM).map(PathBuf::from));
        rules.give(Right::List, ["/srv/docs".into()]);
        rules
    }

    #[test]
    fn the_line_says_what_can_be_read_and_reached() {
        let plain = rules(&["/etc/mtls-min", "/etc/mtls-min/tls"], &[]);
        assert_eq!(
            said(&plain, false, 7),
            "sandboxed: it can read what is in /etc/mtls-min, /srv/docs, and write and execute nothing; bind no other TCP \
             port, and connect to none"
        );
        let named = rules(&["/certs", "/etc", "/usr/lib"], &[53, 8080]);
        assert_eq!(
            said(&named, true, 6),
            "sandboxed: it can read what is in /certs, /etc, /srv/docs and in the system's libraries, and write and execute \
             nothing; bind no other TCP port, and connect to no port but 53, 8080"
        );
    }

    #[test]
    fn the_line_says_what_can_be_written() {
        let mut logging = rules(&["/certs"], &[]);
        logging.give(Right::Write, ["/var/log/mtls-min".into()]);
        assert!(said(&logging, false, 3).starts_with(
            "sandboxed: it can read what is in /certs, /srv/docs, and write what is in /var/log/mtls-min, and execute nothing;"
        ));
    }

    #[test]
    fn a_log_or_a_socket_beside_the_files_of_trust_is_a_warning() {
        let dir = env::temp_dir().join(format!("mtls-min-beside-{}", std::process::id()));
        fs::create_dir_all(dir.join("certs/log")).unwrap();
        for (log, socket, warned) in [
            ("certs/log/x", None, 0),
            ("certs/x", None, 1),
            ("x", None, 1),
            ("certs/log/x", Some("certs/admin.sock"), 1),
            ("certs/log/x", Some("certs/log/admin.sock"), 0),
        ] {
            let mut needs = Needs::default();
            needs.file(&dir.join("certs/ca.pem"));
            needs.log(&dir.join(log));
            socket.into_iter().for_each(|socket| needs.socket(&dir.join(socket)));
            let (_, warnings) = needs.rules().unwrap();
            let beside = warnings.iter().filter(|warning| warning.contains("whom to trust")).count();
            assert_eq!(beside, warned, "{log} {socket:?}: {warnings:?}");
        }
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn the_line_says_what_an_old_kernel_leaves_open() {
        for (version, end) in [
            (
                1,
                "nothing; this kernel does not limit the truncation of files, TCP, the control of devices, signals and \
                 abstract sockets (Landlock 1)",
            ),
            (
                3,
                "nothing; this kernel does not limit TCP, the control of devices, signals and abstract sockets (Landlock 3)",
            ),
            (
                4,
                "connect to no port but 80; this kernel does not limit the control of devices, signals and abstract \
                 sockets (Landlock 4)",
            ),
            (5, "connect to no port but 80; this kernel does not limit signals and abstract sockets (Landlock 5)"),
            (6, "connect to no port but 80"),
        ] {
            let said = said(&rules(&[], &[80]), false, version);
            assert!(said.ends_with(end), "{said}");
        }
    }

    #[test]
    fn names_take_the_files_of_the_system_and_dns_and_sockets_take_nothing() {
        let mut needs = Needs::default();
        needs.application(Reach::UnixSocket);
        needs.application(Reach::Port { port: 8080, is_named: false });
        let (rules, _) = needs.rules().unwrap();
        assert_eq!(Vec::from_iter(rules.connect), [8080]);
        let is_own = |path: &Path| OF_THE_SYSTEM.iter().any(|own| path == Path::new(own));
        assert!(rules.files.iter().all(|(path, right)| is_own(path) && *right == Right::Read), "{:?}", rules.files);
        needs.application(Reach::Port { port: 80, is_named: true });
        let (rules, _) = needs.rules().unwrap();
        assert_eq!(Vec::from_iter(rules.connect), [53, 80, 8080]);
        assert!(rules.files.contains(&("/etc".into(), Right::Read)));
    }
}
