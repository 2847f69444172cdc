//! Links and folders that are swapped while clients ask: between a check and the opening there is no moment for them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{Scope, ScopedJoinHandle, scope};

use mtls_min::Files;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{Site, ask, write};
use crate::support::files::TempDir;

const CANARY: &str = "CANARY-77a0";

/// Clients at once, and requests of each.
const CLIENTS: usize = 4;
const REQUESTS: usize = 1_000;

/// Swaps two names for each other again and again.
fn swap<'s>(scope: &'s Scope<'s, '_>, a: PathBuf, b: PathBuf, is_over: &'s AtomicBool) -> ScopedJoinHandle<'s, ()> {
    scope.spawn(move || {
        while !is_over.load(Ordering::Relaxed) {
            renameat_with(CWD, &a, CWD, &b, RenameFlags::EXCHANGE).unwrap();
            std::thread::yield_now();
        }
    })
}

/// Asks for these paths while `pairs` of names are swapped. How often what is inside was sent, and how often nothing was there.
fn asked_meanwhile(root: &Path, pairs: &[(&str, &str)], paths: &[&str]) -> [usize; 2] {
    let site = Site::of(Files::new(root).unwrap().list().dot_files());
    let (is_over, found, missed) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    scope(|scope| {
        for (a, b) in pairs {
            swap(scope, root.join(a), root.join(b), &is_over);
        }
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    let mut stream = site.connect();
                    for at in 0..REQUESTS {
                        let path = paths[at % paths.len()];
                        let reply = ask(&mut stream, format!("GET {path}"), &[("Accept-Encoding", "gzip, br")]);
                        assert!(!format!("{reply:?}").contains(CANARY), "{path}: {reply:?}");
                        match reply.status {
                            200 | 308 => found.fetch_add(1, Ordering::Relaxed),
                            404 => missed.fetch_add(1, Ordering::Relaxed),
                            // The kernel could not resolve a path with `..` because of all the renaming, and says so.
                            503 => 0,
                            status => panic!("{path}: {status}"),
                        };
                    }
                })
            })
            .collect();
        let ended: Vec<_> = clients.into_iter().map(ScopedJoinHandle::join).collect();
        is_over.store(true, Ordering::Relaxed);
        ended.into_iter().for_each(|client| client.unwrap());
    });
    [found, missed].map(AtomicUsize::into_inner)
}

/// A folder `root` beside a folder `outside` with the same names in it.
fn scene() -> TempDir {
    let dir = TempDir::new();
    for name in ["file", "sub/file", "index.html", "x.txt.gz", "x.txt"] {
        write(dir.path(), &format!("outside/{name}"), CANARY);
        write(dir.path(), &format!("root/folder/{name}"), "inside");
    }
    write(dir.path(), &format!("outside/list/{CANARY}"), CANARY);
    fs::create_dir(dir.path().join("root/folder/list")).unwrap();
    dir
}

#[test]
fn a_folder_that_is_swapped_for_a_link_is_never_followed_out() {
    let dir = scene();
    let root = dir.path().join("root");
    symlink("../outside", root.join("link")).unwrap();
    let paths = ["/folder/file", "/folder/sub/file", "/folder/", "/folder/x.txt", "/folder/list/", "/folder"];
    let [found, missed] = asked_meanwhile(&root, &[("folder", "link")], &paths);
    assert!(found > 100 && missed > 100, "it was swapped: {found} found, {missed} missed");
}

#[test]
fn a_file_that_is_swapped_for_a_link_is_never_followed_out() {
    let dir = scene();
    let root = dir.path().join("root");
    symlink("../../outside/file", root.join("folder/link")).unwrap();
    symlink("../../outside/x.txt.gz", root.join("folder/link.gz")).unwrap();
    symlink("../../outside/index.html", root.join("folder/link.html")).unwrap();
    let pairs = [
        ("folder/file", "folder/link"),
        ("folder/x.txt.gz", "folder/link.gz"),
        ("folder/index.html", "folder/link.html"),
    ];
    let [found, missed] =
        asked_meanwhile(&root, &pairs, &["/folder/file", "/folder/x.txt", "/folder/link", "/folder/"]);
    assert!(found > 100 && missed > 100, "it was swapped: {found} found, {missed} missed");
}

/// While the kernel goes up in a link, the folder that it came through is moved to where up is another.
#[test]
fn a_folder_that_is_moved_while_a_link_goes_up_from_it_is_no_way_out() {
    let dir = scene();
    let root = dir.path().join("root");
    write(dir.path(), "file", CANARY);
    write(dir.path(), "root/file", "inside");
    write(dir.path(), "root/deep/a/x", "");
    fs::create_dir(dir.path().join("shallow")).unwrap();
    symlink("deep/a/../../file", root.join("up")).unwrap();
    symlink("deep/a/../../../outside/file", root.join("out")).unwrap();
    // `deep/a` is now in the folder, now beside it: from there, two steps up would be outside.
    let [found, missed] = asked_meanwhile(&root, &[("deep/a", "../shallow")], &["/up", "/out"]);
    assert!(found > 10 && missed > 100, "it was moved: {found} found, {missed} missed");
}
