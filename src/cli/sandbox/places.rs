//! The directories that a file may come from when it is read anew. A rule about the file itself would not do: a file that is renamed
//! over it is another one, and so is what a link leads to once it was turned.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

/// Where a path leads, link by link.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Way {
    /// What it leads to at last. It may be missing.
    pub(super) end: PathBuf,
    /// Whether the path itself is a link.
    pub(super) is_link: bool,
    /// The directories that hold the file, and the links that stand for it: something else may stand there tomorrow.
    pub(super) holders: BTreeSet<PathBuf>,
    /// The directories that hold a link to a directory on the way, and what that link leads to.
    pub(super) turning_points: BTreeSet<PathBuf>,
}

/// As many links as the kernel follows.
const MOST_LINKS: u32 = 40;

impl Way {
    /// Follows a path.
    ///
    /// # Errors
    /// A part of it cannot be looked at, or there are too many links.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let mut way = Self { end: "/".into(), ..Self::default() };
        let mut left = Vec::new();
        push(&mut left, &std::path::absolute(path)?);
        let mut links = 0;
        while let Some(name) = left.pop() {
            if name == ".." {
                way.end.pop();
                continue;
            }
            let next = way.end.join(&name);
            let is_link = match next.symlink_metadata() {
                Ok(metadata) => metadata.is_symlink(),
                // A later part fails when it is opened.
                Err(error) if error.kind() == ErrorKind::NotFound => false,
                Err(error) => return Err(error),
            };
            let is_last = left.is_empty();
            if is_last {
                way.holders.insert(way.end.clone());
            }
            if !is_link {
                way.end = next;
                continue;
            }
            links += 1;
            if links > MOST_LINKS {
                return Err(io::Error::other("too many symbolic links"));
            }
            if is_last {
                way.is_link = true;
            } else {
                way.turning_points.insert(way.end.clone());
                way.turning_points.extend(next.canonicalize()?.parent().map(Path::to_owned));
            }
            let target = next.read_link()?;
            if target.is_absolute() {
                way.end = "/".into();
            }
            push(&mut left, &target);
        }
        Ok(way)
    }
}

/// The last part first.
fn push(left: &mut Vec<OsString>, path: &Path) {
    left.extend(path.components().rev().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    }));
}

/// Whether a directory is one that belongs to nobody's service: to open it is to open what others keep there.
pub(super) fn is_shared(directory: &Path, home: Option<&OsStr>) -> bool {
    SHARED.iter().any(|shared| directory == Path::new(shared))
        || directory.parent() == Some(Path::new("/home"))
        || home.is_some_and(|home| !home.is_empty() && Path::new(home).starts_with(directory))
}

const SHARED: [&str; 27] = [
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/etc/pki",
    "/etc/ssl",
    "/etc/ssl/private",
    "/home",
    "/lib",
    "/media",
    "/mnt",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/usr/lib",
    "/usr/local",
    "/usr/share",
    "/var",
    "/var/lib",
    "/var/tmp",
];

/// Without those that are below another.
pub(super) fn outermost<'d>(directories: impl IntoIterator<Item = &'d PathBuf>) -> Vec<&'d Path> {
    // A directory comes before what is below it.
    let sorted: BTreeSet<&PathBuf> = directories.into_iter().collect();
    let mut outermost: Vec<&Path> = Vec::new();
    for directory in sorted {
        if !outermost.iter().any(|above| directory.starts_with(above)) {
            outermost.push(directory);
        }
    }
    outermost
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// A directory with directories, files and links, by its real path; removed at the end.
    struct Scene(PathBuf);

    impl Scene {
        fn new(name: &str, directories: &[&str], links: &[(&str, &str)]) -> Self {
            let path = std::env::temp_dir().join(format!("mtls-min-places-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            let scene = Self(path.canonicalize().unwrap());
            for directory in directories {
                fs::create_dir_all(scene.0.join(directory)).unwrap();
                fs::write(scene.0.join(directory).join("ca.pem"), "").unwrap();
            }
            for (link, target) in links {
                let link = scene.0.join(link);
                fs::create_dir_all(link.parent().unwrap()).unwrap();
                symlink(target, link).unwrap();
            }
            scene
        }

        /// End, holders and turning points, by their names in the scene.
        #[track_caller]
        fn check(&self, path: &str, end: &str, holders: &[&str], turning_points: &[&str]) {
            let way = Way::of(&self.0.join(path)).unwrap();
            let named = |directories: &BTreeSet<PathBuf>| {
                let names = directories.iter().map(|path| path.strip_prefix(&self.0).unwrap().display().to_string());
                names.collect::<Vec<_>>()
            };
            assert_eq!(way.end, self.0.join(end), "{path}");
            assert_eq!(
                (named(&way.holders), named(&way.turning_points)),
                (list(holders), list(turning_points)),
                "{path}"
            );
        }
    }

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    impl Drop for Scene {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_plain_file_is_held_by_its_directory_though_it_is_missing() {
        let scene = Scene::new("plain", &["certs"], &[]);
        scene.check("certs/ca.pem", "certs/ca.pem", &["certs"], &[]);
        scene.check("certs/none.pem", "certs/none.pem", &["certs"], &[]);
        scene.check("./certs/../certs/./ca.pem", "certs/ca.pem", &["certs"], &[]);
    }

    #[test]
    fn in_kubernetes_and_certbot_every_directory_that_holds_a_link_or_the_file_counts() {
        let links = [("tls/ca.pem", "..data/ca.pem"), ("tls/..data", "..2024_x")];
        let scene = Scene::new("kubernetes", &["tls/..2024_x"], &links);
        scene.check("tls/ca.pem", "tls/..2024_x/ca.pem", &["tls", "tls/..2024_x"], &["tls"]);
        let links = [("live/name/chain.pem", "../../archive/name/ca.pem")];
        let scene = Scene::new("certbot", &["archive/name"], &links);
        scene.check("live/name/chain.pem", "archive/name/ca.pem", &["archive/name", "live/name"], &[]);
    }

    #[test]
    fn links_to_directories_are_turning_points_and_so_is_where_they_lead() {
        let scene = Scene::new("current", &["releases/5"], &[("site/current", "../releases/5")]);
        scene.check("site/current/ca.pem", "releases/5/ca.pem", &["releases/5"], &["releases", "site"]);
        let scene = Scene::new("absolute", &["real"], &[]);
        symlink(scene.0.join("real"), scene.0.join("link")).unwrap();
        scene.check("link/ca.pem", "real/ca.pem", &["real"], &[""]);
    }

    #[test]
    fn a_circle_of_links_is_an_error() {
        let scene = Scene::new("circle", &[], &[("one", "two"), ("two", "one")]);
        assert!(Way::of(&scene.0.join("one")).unwrap_err().to_string().contains("too many"));
    }

    #[test]
    fn the_root_the_home_and_what_is_above_it_are_shared() {
        let home = OsStr::new("/data/people/me");
        for (directory, shared) in [
            ("/", true),
            ("/etc", true),
            ("/etc/mtls-min", false),
            ("/data/people/me", true),
            ("/data/people", true),
            ("/data/people/me/certs", false),
            ("/data/people/you", false),
            ("/certs", false),
        ] {
            assert_eq!(is_shared(Path::new(directory), Some(home)), shared, "{directory}");
        }
        assert!(!is_shared(Path::new("/data"), Some(OsStr::new(""))) && is_shared(Path::new("/tmp"), None));
    }

    #[test]
    fn what_is_below_another_is_left_out() {
        let all = ["/b", "/a/b", "/a", "/a-b", "/b"].map(PathBuf::from);
        assert_eq!(outermost(&all), ["/a", "/a-b", "/b"].map(Path::new));
    }
}
