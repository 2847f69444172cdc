//! The list of a folder.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;

use mtls_min::Files;
use rustix::fs::{CWD, FileType, Mode};

use super::{Site, write};
use crate::support::client::read_to_end;
use crate::support::files::TempDir;

fn listed(body: &str) -> Vec<String> {
    body.split("<a href=\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

#[test]
fn a_list_has_folders_first_and_only_what_can_be_opened() {
    let dir = TempDir::new();
    for name in [
        "b.txt",
        "a b&<c>.txt",
        "zoo/x",
        "Yak/x",
        "javascript:alert(1)",
        "é",
        ".hidden",
        ".git/x",
        "a;b",
        "back\\slash",
        ";x",
    ] {
        write(dir.path(), name, "12345");
    }
    write(dir.path(), "large", vec![0; 1_234_567]);
    rustix::fs::mknodat(CWD, dir.path().join("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    for (name, to) in [("link", "b.txt"), ("folder-link", "zoo"), ("out", "../.."), ("dangling", "none")] {
        symlink(to, dir.path().join(name)).unwrap();
    }
    let site = Site::of(Files::new(dir.path()).unwrap().list());
    let reply = site.get("/");
    assert_eq!(reply.status, 200);
    assert_eq!(
        listed(&reply.body),
        [
            "./Yak/",
            "./folder-link/",
            "./zoo/",
            "./a%20b%26%3Cc%3E.txt",
            "./a%3Bb",
            "./b.txt",
            "./javascript%3Aalert%281%29",
            "./large",
            "./link",
            "./%C3%A9",
        ]
    );
    assert!(reply.body.contains(">a b&amp;&lt;c&gt;.txt</a></td><td>5 B</td>"), "{}", reply.body);
    assert!(reply.body.contains(">large</a></td><td>1.2 MB</td>"), "{}", reply.body);
    for (name, value) in [("content-type", "text/html; charset=utf-8"), ("cache-control", "private, no-cache")] {
        assert_eq!(reply.field(name), Some(value));
    }
    assert!(reply.field("content-security-policy").unwrap().starts_with("default-src 'none'"));
    // Each link leads to what it says.
    for link in listed(&reply.body) {
        let reply = site.get(link.strip_prefix('.').unwrap());
        assert_eq!(reply.status, 200, "{link}");
    }
    assert_eq!(listed(&site.get("/zoo/").body), ["../", "./x"]);
    // The names that are shown by the page are the ones with a dot only if that is asked for.
    let all = Site::of(Files::new(dir.path()).unwrap().list().dot_files());
    let links = listed(&all.get("/").body);
    assert!(links.contains(&"./.hidden".to_owned()) && links.contains(&"./.git/".to_owned()), "{links:?}");
}

#[test]
fn a_list_is_made_only_if_that_is_asked_for_and_there_is_no_index() {
    let dir = TempDir::new();
    write(dir.path(), "a/x", "");
    write(dir.path(), "b/index.html", "index");
    fs::create_dir(dir.path().join("empty")).unwrap();
    let without = Site::of(Files::new(dir.path()).unwrap());
    let with = Site::of(Files::new(dir.path()).unwrap().at_prefix("/docs").unwrap().list());
    for (path, status) in [("/", 404), ("/a/", 404), ("/b/", 200), ("/a", 308)] {
        assert_eq!(without.get(path).status, status, "{path}");
    }
    for (path, part) in
        [("/docs/a/", "<title>/docs/a/</title>"), ("/docs/b/", "index"), ("/docs/empty/", "Nothing is here")]
    {
        let reply = with.get(path);
        assert!(reply.status == 200 && reply.body.contains(part), "{path}: {}", reply.body);
    }
    // There is nothing above the top.
    assert_eq!(listed(&with.get("/docs/").body), ["./a/", "./b/", "./empty/"]);
    let mut stream = with.connect();
    stream.write_all(b"HEAD /docs/a/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    assert!(read_to_end(&mut stream).unwrap().ends_with(b"\r\n\r\n"));
}

#[test]
fn a_list_has_ten_thousand_names_at_most_and_says_so() {
    let dir = TempDir::new();
    for number in 0..10_000 {
        write(dir.path(), &format!("{number:05}"), "");
    }
    let site = Site::of(Files::new(dir.path()).unwrap().list());
    let body = site.get("/").body;
    assert_eq!(listed(&body).len(), 10_000);
    assert!(!body.contains("There is more here"));
    // What is not shown does not count.
    write(dir.path(), ".hidden", "");
    assert!(!site.get("/").body.contains("There is more here"));
    write(dir.path(), "one-more", "");
    let body = site.get("/").body;
    assert_eq!(listed(&body).len(), 10_000);
    assert!(body.contains("There is more here: a list has 10000 names at most."));
}
