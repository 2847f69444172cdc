//! `--files` and `--list-files`.

#[cfg(feature = "pki")]
use std::fs;

use super::write;
use crate::support::client::{Reply, TLS13, config, connect, exchange};
use crate::support::command::{Serving, binary, run, site};
use crate::support::files::TempDir;
use crate::support::pki::Ca;

fn setting() -> (TempDir, Ca) {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    write(dir.path(), "www/index.html", "the site");
    write(dir.path(), "docs/a.txt", "docs");
    write(dir.path(), "docs/sub/b.txt", "sub");
    write(dir.path(), "a=b/c.txt", "odd");
    (dir, ca)
}

fn serve(dir: &TempDir, options: &[&str]) -> Serving {
    Serving::start(&binary(), dir.path(), &[options, &["--listen", "127.0.0.1:0"]].concat())
}

fn get(serving: &Serving, ca: &Ca, path: &str) -> Reply {
    let mut stream = connect(serving.addr, config(Some(&ca.client("alice")), &TLS13));
    exchange(&mut stream, format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).unwrap()
}

#[test]
fn a_folder_is_served_in_place_of_hello_world() {
    let (dir, ca) = setting();
    let serving = serve(&dir, &["--files", "www"]);
    assert!(serving.stderr().contains("mtls-min: files: / from www\n"), "{}", serving.stderr());
    for (path, status, body) in
        [("/", 200, "the site"), ("/index.html", 200, "the site"), ("/none", 404, "Not Found\n")]
    {
        let reply = get(&serving, &ca, path);
        assert_eq!((reply.status, reply.body.as_str()), (status, body), "{path}");
    }
    let mut stranger = connect(serving.addr, config(None, &TLS13));
    assert_eq!(exchange(&mut stranger, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap().status, 401);
}

#[test]
fn the_folder_with_the_longest_prefix_answers() {
    let (dir, ca) = setting();
    let odd = format!("/={}", dir.path().join("a=b").display());
    let options = ["--files", &*odd, "--files=/docs=docs", "--files", "/docs/deep/=docs/sub", "--list-files"];
    let serving = serve(&dir, &options);
    let said = serving.stderr();
    for line in [
        format!("files: / from {}", &odd[2..]),
        "files: /docs from docs".into(),
        "files: /docs/deep/ from docs/sub".into(),
    ] {
        assert!(said.contains(&format!("mtls-min: {line}\n")), "{said}");
    }
    for (path, body) in
        [("/c.txt", "odd"), ("/docs/a.txt", "docs"), ("/docs/sub/b.txt", "sub"), ("/docs/deep/b.txt", "sub")]
    {
        assert_eq!(get(&serving, &ca, path).body, body, "{path}");
    }
    assert_eq!(get(&serving, &ca, "/docs").field("location"), Some("/docs/"));
    assert!(get(&serving, &ca, "/docs/").body.contains("<a href=\"./sub/\">"));
    assert_eq!(get(&serving, &ca, "/docsx").status, 404);
    let only = serve(&dir, &["--files", "/docs=docs"]);
    assert_eq!(get(&only, &ca, "/docs/").status, 404, "no list unasked");
    let reply = get(&only, &ca, "/");
    assert_eq!((reply.status, reply.body.as_str()), (404, "Not Found\n"), "no hello world beside folders");
}

#[test]
fn rules_come_before_files() {
    let (dir, ca) = setting();
    write(dir.path(), "policy", "/docs any\n/docs/sub cn:bob\n/ anyone\n");
    let serving = serve(&dir, &["--files", "www", "--files", "/docs=docs", "--policy", "policy"]);
    for (path, status) in [("/", 200), ("/docs/a.txt", 200), ("/docs/sub/b.txt", 403), ("/docs/sub/none", 403)] {
        assert_eq!(get(&serving, &ca, path).status, status, "{path}");
    }
    for (path, status) in [("/", 200), ("/none", 404), ("/docs/a.txt", 401), ("/docs/none", 401), ("/docs", 401)] {
        let mut stranger = connect(serving.addr, config(None, &TLS13));
        assert_eq!(
            exchange(&mut stranger, format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).unwrap().status,
            status,
            "{path}"
        );
    }
}

#[test]
fn what_cannot_be_served_is_said_before_the_port_opens() {
    let (dir, _) = setting();
    let long = format!("/{}=docs", "x".repeat(1024));
    for (options, said) in [
        (&["--files", "none"][..], &["--files none: ", "cannot open the folder none", "No such file"][..]),
        (&["--files", "docs/a.txt"], &["--files docs/a.txt: ", "Not a directory"]),
        (&["--files", ""], &["--files : ", "it says nothing to serve"]),
        (&["--files", "/docs="], &["--files /docs=: ", "it says nothing to serve"]),
        (&["--files", "/srv/a=b"], &["--files /srv/a=b: ", "write /=/srv/a=b"]),
        (
            &["--files", "docs", "--files", "/=www"],
            &["--files /=www: / is taken by --files docs", "leave one of them out"],
        ),
        (&["--files", "/a=docs", "--files", "/a/=www"], &["--files /a/=www: /a/ is taken by --files /a=docs"]),
        (&["--files", "//=docs"], &["can never match"]),
        (&["--files", "/../a=docs"], &["can never match"]),
        (&["--files", "/%61=docs"], &["can never match: requests are seen as \"/a\""]),
        (&["--files", "/a*=docs"], &["* is not a wildcard"]),
        (&["--files", &long], &["longer than 1024 bytes"]),
        (&["--list-files"], &["--list-files is about folders", "name one with --files"]),
    ] {
        let output = run(dir.path(), &[options, &["--listen", "127.0.0.1:0"]].concat());
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{options:?}: {error}");
        for part in said {
            assert!(error.contains(part), "{options:?}: {error}");
        }
        assert!(!error.contains("listening"), "{options:?}: {error}");
    }
}

#[test]
#[cfg(feature = "pki")]
fn the_demo_serves_a_folder_too() {
    let dir = TempDir::new();
    write(dir.path(), "www/index.html", "the site");
    let demo = serve(&dir, &["demo", "--files", "www"]);
    crate::support::client::eventually(|| demo.stdout().contains("choose client1"));
    assert!(
        demo.stdout().contains("With a certificate:\n") && !demo.stdout().contains("hello world"),
        "{}",
        demo.stdout()
    );
    assert!(demo.stderr().contains("files: / from www\n"), "{}", demo.stderr());
    // Nothing is made if there is nothing to serve.
    let dir = TempDir::new();
    let output = run(dir.path(), &["demo", "--files", "none", "--listen", "127.0.0.1:0"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && error.contains("--files none: "), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
