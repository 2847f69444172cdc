//! Ways out of the folder: whatever a client asks for and whatever links there are, not a byte from outside is sent.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use mtls_min::{Files, Request, Routes};

use super::{Site, write};
use crate::support::files::TempDir;

/// It stands in every file outside, and in the names of folders there.
const CANARY: &str = "CANARY-5d1c";

/// What is asked for: targets as they are sent.
const TARGETS: [&[u8]; 64] = [
    // Up, in plain and in every code.
    b"/../canary",
    b"/../../canary",
    b"/../../../../../../../../etc/passwd",
    b"/a/../../canary",
    b"/a/b/../../../canary",
    b"/..",
    b"/../",
    b"/a/..",
    b"/./../canary",
    b"/.../canary",
    b"/..../canary",
    b"/%2e%2e/canary",
    b"/%2E%2E/canary",
    b"/.%2e/canary",
    b"/%2e./canary",
    b"/%2e%2e%2fcanary",
    b"/..%2fcanary",
    b"/..%2Fcanary",
    b"/a%2f..%2f..%2fcanary",
    b"/%252e%252e/canary",
    b"/%252e%252e%252fcanary",
    b"/..%252fcanary",
    b"/%25252e%25252e/canary",
    b"/%u002e%u002e/canary",
    b"/..;/canary",
    b"/..;x=y/canary",
    b"/;/../canary",
    b"/a;/../../canary",
    b"/a/..;/..;/canary",
    // With a backslash.
    b"/..\\canary",
    b"\\..\\canary",
    b"/..%5ccanary",
    b"/..%5Ccanary",
    b"/%2e%2e%5ccanary",
    b"/a\\..\\..\\canary",
    b"/%5c..%5ccanary",
    // With what some decoders take for a dot, a slash or nothing.
    b"/%c0%ae%c0%ae/canary",
    b"/%c0%ae%c0%ae%c0%afcanary",
    b"/..%c0%afcanary",
    b"/%e0%80%ae%e0%80%ae/canary",
    b"/%f0%80%80%ae%f0%80%80%ae/canary",
    b"/%ef%bc%8e%ef%bc%8e/canary",
    b"/..%ef%bc%8fcanary",
    b"/\xc0\xae\xc0\xae/canary",
    b"/..\xc0\xafcanary",
    b"/.\xe2\x80\x8b./canary",
    b"/.%00./canary",
    b"/..%00/canary",
    b"/../canary%00.html",
    b"/a/file%00/../../../canary",
    b"/..%0d%0a/canary",
    b"/..%09/canary",
    b"/..%20/canary",
    b"/.. /canary",
    // Absolute, or with an empty segment.
    b"//canary",
    b"//etc/passwd",
    b"///etc/passwd",
    b"/%2fetc%2fpasswd",
    b"/a//../../canary",
    b"file:///etc/passwd",
    b"https://a/../canary",
    b"https://a//etc/passwd",
    b"https://a/%2e%2e/canary",
    b"../canary",
];

/// Links in the folder, and where each leads. `OUT` is the path of what is outside.
const LINKS: [(&str, &str); 30] = [
    ("to-file", "../canary"),
    ("to-folder", "../outside"),
    ("to-parent", ".."),
    ("to-grandparent", "../.."),
    ("far", "../../../../../../../../../../etc/passwd"),
    ("absolute-file", "OUT/canary"),
    ("absolute-folder", "OUT/outside"),
    ("absolute-inside", "OUT/root/a/file"),
    ("slash", "/"),
    ("to-link", "to-file"),
    ("to-link-to-link", "to-link"),
    ("to-link-folder", "to-folder"),
    ("through-link", "to-folder/canary"),
    ("through-parent", "to-parent/canary"),
    ("out-and-back", "../root/a/file"),
    ("deep-out-and-back", "a/../../root/a/file"),
    ("a/up-twice", "../../canary"),
    ("a/up-folder", "../../outside"),
    ("a/to-top-link", "../to-file"),
    ("dots", "./.././canary"),
    ("double-slash", "..//canary"),
    ("loop", "loop"),
    ("loop-a", "loop-b"),
    ("loop-b", "loop-a"),
    ("dangling", "../nothing"),
    ("proc-root", "/proc/self/root"),
    ("proc-cwd", "/proc/self/cwd"),
    ("proc-fd", "/proc/self/fd/0"),
    ("index/index.html", "../../canary"),
    ("file.txt.gz", "../canary"),
];

/// `canary`, `outside/canary` and the folder `root`, with links.
fn scene() -> TempDir {
    let dir = TempDir::new();
    write(dir.path(), "canary", CANARY);
    write(dir.path(), &format!("outside/{CANARY}"), CANARY);
    for name in ["canary", "index.html", "sub/canary", "root/a/file", "passwd"] {
        write(dir.path(), &format!("outside/{name}"), CANARY);
    }
    let root = dir.path().join("root");
    for name in ["a/file", "a/b/file", "file.txt", "index/x"] {
        write(&root, name, "inside");
    }
    for (name, to) in LINKS {
        link(dir.path(), &root, name, to);
    }
    // What stays inside.
    link(dir.path(), &root, "good-file", "a/file");
    link(dir.path(), &root, "good-folder", "a");
    link(dir.path(), &root, "a/b/good-up", "../../a/file");
    link(dir.path(), &root, "good-link", "good-folder/../good-folder/b/good-up");
    dir
}

fn link(out: &Path, root: &Path, name: &str, to: &str) {
    symlink(to.replace("OUT", out.to_str().unwrap()), root.join(name)).unwrap();
}

/// All that it may say is here.
fn everything(root: &Path) -> Files {
    Files::new(root).unwrap().list().dot_files()
}

#[test]
fn no_target_leads_out_of_the_folder() {
    let scene = scene();
    let root = scene.path().join("root");
    let sites = [
        (Site::of(everything(&root)), ""),
        (Site::of(everything(&root).at_prefix("/docs").unwrap()), "/docs"),
        (
            Site::with({
                let files = everything(&root.join("a")).at_prefix("/docs").unwrap();
                let routes = Routes::new().at("/docs", move |request: &mut Request<'_>| files.answer(request)).unwrap();
                move |request: &mut Request<'_>| routes.answer(request)
            }),
            "/docs",
        ),
    ];
    for target in TARGETS {
        for (site, prefix) in &sites {
            let target = match target.first() {
                Some(b'/' | b'\\') => [prefix.as_bytes(), target].concat(),
                _ => target.to_owned(),
            };
            let reply = site.get(&target);
            let said = String::from_utf8_lossy(&target).into_owned();
            assert!(!format!("{reply:?}").contains(CANARY) && !reply.body.contains("root:"), "{said}: {reply:?}");
            // What is inside by such a path was never there either.
            assert!([400, 404].contains(&reply.status), "{said}: {reply:?}");
        }
    }
}

#[test]
fn no_link_leads_out_of_the_folder() {
    let scene = scene();
    let site = Site::of(everything(&scene.path().join("root")));
    for (name, _) in LINKS {
        for rest in ["", "/", "/canary", "/outside/canary", "/sub/canary", "/etc/passwd", "/root/a/file", "/a/file"] {
            let reply = site.get_with(&format!("/{name}{rest}"), &[("Accept-Encoding", "gzip, br")]);
            assert!(!format!("{reply:?}").contains(CANARY) && !reply.body.contains("root:"), "{name}{rest}: {reply:?}");
            assert_eq!(reply.status, 404, "{name}{rest}");
        }
    }
    for path in ["/file.txt", "/good-file", "/good-folder/file", "/good-folder/b/file", "/a/b/good-up", "/good-link"] {
        let reply = site.get_with(path, &[("Accept-Encoding", "gzip, br")]);
        assert_eq!((reply.status, reply.body.as_str()), (200, "inside"), "{path}");
    }
    assert_eq!(site.get("/good-folder").field("location"), Some("/good-folder/"));
}

#[test]
fn no_list_names_what_is_outside() {
    let scene = scene();
    let site = Site::of(everything(&scene.path().join("root")));
    for path in ["/", "/a/", "/a/b/", "/index/"] {
        let reply = site.get(path);
        assert_eq!(reply.status, 200, "{path}");
        assert!(!reply.body.contains(CANARY), "{path}: {}", reply.body);
        for (name, _) in LINKS {
            let name = name.rsplit('/').next().unwrap();
            assert!(
                !reply.body.contains(&format!(">{name}<")) && !reply.body.contains(&format!(">{name}/<")),
                "{path}: {name}"
            );
        }
    }
    let top = site.get("/").body;
    for name in ["a/", "good-file", "good-folder/", "good-link", "file.txt"] {
        assert!(top.contains(&format!(">{name}</a>")), "{name}: {top}");
    }
}

/// A link that is no path, but a door of the kernel.
#[test]
fn links_of_proc_are_not_followed() {
    let inside = Site::of(Files::new("/proc/self").unwrap().list());
    for path in ["/root/etc/passwd", "/root/", "/cwd/", "/exe", "/fd/0", "/task/self/root/", "/ns/user", "/map_files/"]
    {
        assert_eq!(inside.get(path).status, if path == "/map_files/" { 200 } else { 404 }, "{path}");
    }
    assert!(!fs::read_link("/proc/self/root").unwrap().as_os_str().is_empty());
}

/// The folder that is named may be a link itself; then it is what the link led to at the start.
#[test]
fn the_folder_is_the_one_that_was_opened() {
    let scene = scene();
    let named = scene.path().join("named");
    symlink("root", &named).unwrap();
    let site = Site::of(Files::new(&named).unwrap());
    assert_eq!(site.get("/a/file").body, "inside");
    fs::remove_file(&named).unwrap();
    symlink("outside", &named).unwrap();
    assert_eq!(site.get("/a/file").body, "inside");
    assert_eq!(site.get("/canary").status, 404);
}
