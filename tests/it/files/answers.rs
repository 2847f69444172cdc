//! What is answered to a request for a file, a folder, and for what is neither.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;

use mtls_min::http::StatusCode;
use mtls_min::{Files, Request, Routes, response};
use rustix::fs::{CWD, FileType, Mode};

use super::{Site, ask, let_rest, write};
use crate::support::client::{read_reply, read_to_end};
use crate::support::files::TempDir;

#[test]
fn a_file_is_sent_with_its_type_and_what_caches_need() {
    let dir = TempDir::new();
    write(dir.path(), "a/page.html", "<p>hello");
    let site = Site::of(Files::new(dir.path()).unwrap());
    let reply = site.get("/a/page.html?any=query");
    assert_eq!((reply.status, reply.body.as_str()), (200, "<p>hello"));
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("content-length", "8"),
        ("accept-ranges", "bytes"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "private, no-cache"),
        ("vary", "Accept-Encoding"),
    ] {
        assert_eq!(reply.field(name), Some(value), "{name}");
    }
    assert!(reply.field("etag").is_some() && reply.field("last-modified").is_some(), "{reply:?}");
    assert_eq!(reply.field("content-encoding"), None);
    // The same fields for HEAD, and not a byte of content.
    let mut stream = site.connect();
    stream.write_all(b"HEAD /a/page.html HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let head = String::from_utf8(read_to_end(&mut stream).unwrap()).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(head.contains("content-length: 8\r\n") && head.contains("vary: Accept-Encoding\r\n"), "{head}");
}

#[test]
fn only_get_and_head_are_answered() {
    let dir = TempDir::new();
    write(dir.path(), "a", "a");
    let site = Site::of(Files::new(dir.path()).unwrap());
    for line in ["POST /a", "PUT /new", "DELETE /a", "PATCH /a", "OPTIONS /a", "OPTIONS *", "PROPFIND /", "POST /none"]
    {
        let reply = ask(&mut site.connect(), line, &[]);
        assert_eq!((reply.status, reply.field("allow")), (405, Some("GET, HEAD")), "{line}");
    }
    assert_eq!(fs::read_to_string(dir.path().join("a")).unwrap(), "a");
    assert!(!dir.path().join("new").exists());
}

#[test]
fn a_folder_is_its_index_and_is_reached_with_a_slash_at_its_end() {
    let dir = TempDir::new();
    write(dir.path(), "index.html", "top");
    write(dir.path(), "a b/c/index.html", "inner");
    write(dir.path(), "empty/x/y", "");
    write(dir.path(), "odd/index.html/x", "");
    write(dir.path(), "file", "file");
    let site = Site::of(Files::new(dir.path()).unwrap());
    for (path, body) in [("/", "top"), ("/index.html", "top"), ("/a%20b/c/", "inner"), ("/file", "file")] {
        let reply = site.get(path);
        assert_eq!((reply.status, reply.body.as_str()), (200, body), "{path}");
    }
    assert_eq!(site.get("/").field("content-type"), Some("text/html; charset=utf-8"));
    for (path, location) in [
        ("/a%20b", "/a%20b/"),
        ("/a%20b/c", "/a%20b/c/"),
        ("/a%20b/c?x=//evil.test/&y=%0d%0a", "/a%20b/c/?x=//evil.test/&y=%0d%0a"),
        ("/empty?", "/empty/?"),
        ("/odd/index.html", "/odd/index.html/"),
        ("https://a/a%20b/c", "/a%20b/c/"),
    ] {
        let reply = site.get(path);
        assert_eq!((reply.status, reply.field("location")), (308, Some(location)), "{path}");
        assert_eq!(reply.field("cache-control"), Some("private, no-cache"), "{path}");
    }
    for path in [
        "/none",
        "/none/",
        "/file/",
        "/file/x",
        "/empty/",
        "/empty/x/",
        "/odd/",
        "/FILE",
        "/file.gz",
        "/fil",
        "/file%20",
    ] {
        assert_eq!(site.get(path).status, 404, "{path}");
    }
}

/// Whatever a client writes, it is never sent to another site.
#[test]
fn a_redirect_leads_to_this_site_only() {
    let dir = TempDir::new();
    write(dir.path(), "evil.test/x", "");
    write(dir.path(), "\\evil.test/x", "");
    write(dir.path(), "a/evil.test/x", "");
    let site = Site::of(Files::new(dir.path()).unwrap());
    for path in [
        "//evil.test",
        "///evil.test",
        "/%2fevil.test",
        "/\\evil.test",
        "/%5cevil.test",
        "/./evil.test",
        "/a/..//evil.test",
    ] {
        assert_eq!(site.get(path).status, 400, "{path}");
    }
    for path in ["/evil.test", "/a/evil.test", "https://a/evil.test"] {
        let location = site.get(path).field("location").unwrap().to_owned();
        assert!(location.starts_with('/') && !location.starts_with("//"), "{path}: {location}");
    }
}

#[test]
fn a_client_that_has_this_version_or_a_part_of_it_gets_no_more_than_it_needs() {
    let dir = TempDir::new();
    write(dir.path(), "f.txt", "0123456789");
    let_rest(dir.path(), "f.txt");
    let site = Site::of(Files::new(dir.path()).unwrap());
    let whole = site.get("/f.txt");
    let (tag, date) = (whole.field("etag").unwrap(), whole.field("last-modified").unwrap());
    assert!(tag.starts_with('"'), "{tag}");
    for fields in [[("If-None-Match", tag)], [("If-Modified-Since", date)]] {
        let reply = site.get_with("/f.txt", &fields);
        assert_eq!((reply.status, reply.body.as_str()), (304, ""));
        // Those that a 200 would have had (RFC 9110, section 15.4.5).
        for name in ["etag", "vary", "cache-control"] {
            assert_eq!(reply.field(name), whole.field(name), "{name}");
        }
    }
    for (range, status, body, content_range) in [
        ("bytes=2-4", 206, "234", Some("bytes 2-4/10")),
        ("bytes=7-", 206, "789", Some("bytes 7-9/10")),
        ("bytes=-1", 206, "9", Some("bytes 9-9/10")),
        ("bytes=9-100", 206, "9", Some("bytes 9-9/10")),
        ("bytes=10-", 416, "Range Not Satisfiable\n", Some("bytes */10")),
        ("bytes=0-1,4-5", 200, "0123456789", None),
        ("bytes=4-2", 200, "0123456789", None),
    ] {
        let reply = site.get_with("/f.txt", &[("Range", range)]);
        assert_eq!((reply.status, reply.body.as_str(), reply.field("content-range")), (status, body, content_range));
    }
    for (condition, status) in [(tag, 206), ("\"other\"", 200), (date, 200)] {
        let reply = site.get_with("/f.txt", &[("Range", "bytes=5-"), ("If-Range", condition)]);
        assert_eq!(reply.status, status, "{condition}");
    }
    assert_eq!(site.get_with("/f.txt", &[("If-Match", "\"other\"")]).status, 412);
}

#[test]
fn names_are_bytes() {
    let dir = TempDir::new();
    let names: [&[u8]; 11] = [
        b"a b",
        b"100%",
        b"a+b",
        b"\xff\xfe",
        "é".as_bytes(),
        "ｅ\u{202e}".as_bytes(),
        b"a;b",
        b"a?b#c",
        b"...",
        b"x.",
        b"a\"<b>",
    ];
    for name in names {
        fs::write(dir.path().join(OsStr::from_bytes(name)), name).unwrap();
    }
    let site = Site::of(Files::new(dir.path()).unwrap().dot_files());
    for name in names {
        let target: String = name.iter().map(|byte| format!("%{byte:02x}")).collect();
        let reply = site.get(format!("/{target}"));
        assert_eq!((reply.status, reply.field("content-length")), (200, Some(&*name.len().to_string())), "{target}");
    }
    // Encoded twice, it is another name.
    assert_eq!(site.get("/a%2520b").status, 404);
    let longest = "x".repeat(255);
    write(dir.path(), &longest, "longest");
    assert_eq!(site.get(format!("/{longest}")).body, "longest");
    assert_eq!(site.get(format!("/{longest}x")).status, 404);
    // PATH_MAX is 4096 bytes.
    assert_eq!(site.get("/x".repeat(2500)).status, 404);
}

#[test]
fn names_with_a_dot_in_front_are_sent_only_if_that_is_asked_for() {
    let dir = TempDir::new();
    for name in [
        ".secret",
        ".git/config",
        "a/.env",
        "a/.b/c",
        ".well-known/security.txt",
        ".well-known/.x",
        "a/.well-known/x",
        "..x",
    ] {
        write(dir.path(), name, "hidden");
    }
    let paths =
        ["/.secret", "/%2esecret", "/.git/config", "/a/.env", "/a/.b/c", "/.well-known/.x", "/a/.well-known/x", "/..x"];
    let hidden = Site::of(Files::new(dir.path()).unwrap());
    let shown = Site::of(Files::new(dir.path()).unwrap().dot_files());
    for path in paths {
        assert_eq!(hidden.get(path).status, 404, "{path}");
        assert_eq!(shown.get(path).status, 200, "{path}");
    }
    for path in ["/.git", "/.git/", "/a/.b"] {
        assert_eq!(hidden.get(path).status, 404, "{path}");
    }
    // RFC 8615: at the top of the site, and nowhere else.
    assert_eq!(hidden.get("/.well-known/security.txt").status, 200);
    let below = Site::of(Files::new(dir.path()).unwrap().at_prefix("/docs").unwrap());
    assert_eq!(below.get("/docs/.well-known/security.txt").status, 404);
}

/// To open one of them could wait for ever, or do something.
#[test]
fn pipes_sockets_and_devices_are_not_there() {
    let dir = TempDir::new();
    rustix::fs::mknodat(CWD, dir.path().join("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let _socket = UnixListener::bind(dir.path().join("socket")).unwrap();
    fs::create_dir(dir.path().join("folder")).unwrap();
    rustix::fs::mknodat(CWD, dir.path().join("folder/index.html"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    std::os::unix::fs::symlink("pipe", dir.path().join("link")).unwrap();
    let site = Site::of(Files::new(dir.path()).unwrap());
    for path in ["/pipe", "/socket", "/link", "/folder/", "/pipe/"] {
        assert_eq!(site.get(path).status, 404, "{path}");
    }
    let devices = Site::of(Files::new("/dev").unwrap());
    for path in ["/null", "/zero", "/tty", "/urandom", "/ptmx"] {
        assert_eq!(devices.get(path).status, 404, "{path}");
    }
}

#[test]
fn what_may_not_be_read_is_not_there() {
    use std::os::unix::fs::PermissionsExt;
    let dir = TempDir::new();
    write(dir.path(), "file", "x");
    fs::set_permissions(dir.path().join("file"), fs::Permissions::from_mode(0o000)).unwrap();
    let may_read_all = fs::read(dir.path().join("file")).is_ok();
    let site = Site::of(Files::new(dir.path()).unwrap());
    assert_eq!(site.get("/file").status, if may_read_all { 200 } else { 404 });
}

#[test]
fn a_file_that_shrinks_while_it_is_sent_cuts_the_connection_and_one_that_grows_does_not_get_longer() {
    let dir = TempDir::new();
    let length = 16 << 20;
    for (name, later) in [("shrinks", length / 2), ("grows", length * 2)] {
        write(dir.path(), name, vec![b'x'; length]);
        let site = Site::of(Files::new(dir.path()).unwrap());
        let mut stream = site.connect();
        stream.write_all(format!("GET /{name} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        assert!(String::from_utf8(head).unwrap().contains(&format!("content-length: {length}\r\n")));
        fs::File::options().write(true).open(dir.path().join(name)).unwrap().set_len(later as u64).unwrap();
        let body = read_to_end(&mut stream).unwrap().len();
        assert!(if name == "grows" { body == length } else { body < length }, "{name}: {body}");
    }
}

#[test]
fn the_longest_prefix_answers_and_is_taken_off_by_files() {
    let (docs, api, top) = (TempDir::new(), TempDir::new(), TempDir::new());
    for (dir, name) in [(&docs, "docs"), (&api, "api"), (&top, "top")] {
        write(dir.path(), "a.txt", name);
        write(dir.path(), "sub/index.html", format!("{name} sub"));
    }
    let folder = |dir: &TempDir, prefix: &str| {
        let files = Files::new(dir.path()).unwrap().at_prefix(prefix).unwrap();
        move |request: &mut Request<'_>| files.answer(request)
    };
    let routes = Routes::new().at("/docs", folder(&docs, "/docs")).unwrap();
    let routes = routes.at("/docs/api/", folder(&api, "/docs/api/")).unwrap();
    let routes = routes.at("/x", |_: &mut Request<'_>| response::text(StatusCode::OK, "x")).unwrap();
    let without = Site::with({
        let routes = Routes::new().at("/docs", folder(&docs, "/docs")).unwrap();
        move |request: &mut Request<'_>| routes.answer(request)
    });
    let routes = routes.at("/", folder(&top, "/")).unwrap();
    let site = Site::with(move |request: &mut Request<'_>| routes.answer(request));
    let mut stream = site.connect();
    for (path, status, body) in [
        ("/a.txt", 200, "top"),
        ("/docs/a.txt", 200, "docs"),
        ("/docs/api/a.txt", 200, "api"),
        ("/docs/api/sub/", 200, "api sub"),
        ("/docs/sub/", 200, "docs sub"),
        ("/x", 200, "x"),
        ("/x/", 200, "x"),
        ("/x/a/b?c", 200, "x"),
        ("/%64ocs/a.txt", 200, "docs"),
        ("/docsx/a.txt", 404, "Not Found\n"),
        ("/xa", 404, "Not Found\n"),
        ("/docs;a/a.txt", 404, "Not Found\n"),
        ("/DOCS/a.txt", 404, "Not Found\n"),
    ] {
        let reply = ask(&mut stream, format!("GET {path}"), &[]);
        assert_eq!((reply.status, reply.body.as_str()), (status, body), "{path}");
    }
    for (path, location) in
        [("/docs", "/docs/"), ("/docs?q", "/docs/?q"), ("/docs/sub", "/docs/sub/"), ("/docs/api", "/docs/api/")]
    {
        let reply = ask(&mut stream, format!("GET {path}"), &[]);
        assert_eq!((reply.status, reply.field("location")), (308, Some(location)), "{path}");
    }
    for path in ["/", "/a.txt", "/doc", "/docsx/a.txt"] {
        assert_eq!(without.get(path).status, 404, "{path}");
    }
    assert_eq!(without.get("/docs/a.txt").body, "docs");
}

#[test]
fn a_thousand_requests_on_one_connection_leave_no_file_open() {
    let dir = TempDir::new();
    write(dir.path(), "f", "f");
    let site = Site::of(Files::new(dir.path()).unwrap().list());
    let mut stream = site.connect();
    let open = || fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let before = open();
    for _ in 0..250 {
        for (path, status) in [("/f", 200), ("/", 200), ("/none", 404), ("/f/", 404)] {
            stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).unwrap();
            assert_eq!(read_reply(&mut stream).unwrap().status, status, "{path}");
        }
    }
    // Other tests of this process open files meanwhile, but hardly a thousand.
    assert!(open() < before + 900);
}
