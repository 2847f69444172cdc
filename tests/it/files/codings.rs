//! `.br` and `.gz` beside a file (RFC 9110, section 12.5.3).

use std::fs::{self, File, FileTimes};
use std::time::{Duration, SystemTime};

use mtls_min::Files;

use super::{Site, ask, let_rest, write};
use crate::support::files::TempDir;

/// `both.css`, `gz.css`, `br.css` and `none.css`, with what their names say beside them.
fn folder() -> TempDir {
    let dir = TempDir::new();
    for name in ["both.css", "gz.css", "br.css", "none.css", "index.html"] {
        write(dir.path(), name, "as it is");
    }
    for name in ["both.css.gz", "gz.css.gz", "index.html.gz"] {
        write(dir.path(), name, "in gzip!");
    }
    for name in ["both.css.br", "br.css.br"] {
        write(dir.path(), name, "in br!!!");
    }
    dir
}

#[test]
fn a_variant_is_sent_to_who_accepts_it() {
    let dir = folder();
    let site = Site::of(Files::new(dir.path()).unwrap());
    let mut stream = site.connect();
    let plain = ("as it is", None);
    let (gzip, br) = (("in gzip!", Some("gzip")), ("in br!!!", Some("br")));
    for (path, accept, (body, coding)) in [
        ("/both.css", None, plain),
        ("/both.css", Some(""), plain),
        ("/both.css", Some("deflate, zstd"), plain),
        ("/both.css", Some("gzip"), gzip),
        ("/both.css", Some("x-gzip"), gzip),
        ("/both.css", Some("br"), br),
        ("/both.css", Some("gzip, deflate, br, zstd"), br),
        ("/both.css", Some("gzip;q=1.0, br;q=0.9"), gzip),
        ("/both.css", Some("br;q=0, gzip;q=0"), plain),
        ("/both.css", Some("br;q=0, *"), gzip),
        ("/both.css", Some("identity, br;q=0.5"), plain),
        ("/both.css", Some("identity;q=0, gzip;q=0.1"), gzip),
        ("/gz.css", Some("br, gzip;q=0.1"), gzip),
        ("/gz.css", Some("br"), plain),
        ("/br.css", Some("gzip, br;q=0.1"), br),
        ("/br.css", Some("gzip"), plain),
        ("/none.css", Some("gzip, br"), plain),
        ("/", Some("gzip, br"), gzip),
        ("/", None, plain),
    ] {
        let fields: Vec<_> = accept.map(|accept| ("Accept-Encoding", accept)).into_iter().collect();
        let reply = ask(&mut stream, format!("GET {path}"), &fields);
        assert_eq!(
            (reply.status, reply.body.as_str(), reply.field("content-encoding")),
            (200, body, coding),
            "{path} {accept:?}"
        );
        assert_eq!(reply.field("vary"), Some("Accept-Encoding"), "{path} {accept:?}");
        let kind = if path == "/" { "text/html; charset=utf-8" } else { "text/css; charset=utf-8" };
        assert_eq!(reply.field("content-type"), Some(kind), "{path} {accept:?}");
    }
    for accept in ["identity;q=0", "*;q=0", "identity;q=0, br"] {
        let reply = ask(&mut stream, "GET /gz.css", &[("Accept-Encoding", accept)]);
        assert_eq!((reply.status, reply.field("vary")), (406, Some("Accept-Encoding")), "{accept}");
    }
}

#[test]
fn a_variant_that_is_asked_for_by_its_own_name_is_a_file_like_any_other() {
    let dir = folder();
    write(dir.path(), "alone.txt.gz", "alone");
    let site = Site::of(Files::new(dir.path()).unwrap());
    for accept in [&[][..], &[("Accept-Encoding", "gzip, br")]] {
        let reply = site.get_with("/both.css.gz", accept);
        assert_eq!((reply.body.as_str(), reply.field("content-encoding")), ("in gzip!", None));
        assert_eq!(reply.field("content-type"), Some("application/gzip"));
        // A variant is one of a file.
        assert_eq!(site.get_with("/alone.txt", accept).status, 404);
    }
}

#[test]
fn each_variant_has_a_tag_of_its_own_and_ranges_of_its_own_bytes() {
    let dir = folder();
    // All that a tag is made of is equal, as in an image whose times were all set to one.
    let time = SystemTime::now() - Duration::from_secs(100);
    for name in ["both.css", "both.css.gz", "both.css.br"] {
        File::options()
            .write(true)
            .open(dir.path().join(name))
            .unwrap()
            .set_times(FileTimes::new().set_modified(time))
            .unwrap();
    }
    let_rest(dir.path(), "both.css.br");
    let site = Site::of(Files::new(dir.path()).unwrap());
    let get = |accept, fields: &[(&str, &str)]| {
        site.get_with("/both.css", &[&[("Accept-Encoding", accept)], fields].concat())
    };
    let tag = |accept| get(accept, &[]).field("etag").unwrap().to_owned();
    let (plain, gzip, br) = (tag("identity"), tag("gzip"), tag("br"));
    assert!(plain != gzip && gzip != br && plain != br, "{plain} {gzip} {br}");
    assert!(gzip.starts_with('"') && gzip.ends_with("-gzip\"") && br.ends_with("-br\""), "strong: {gzip} {br}");

    assert_eq!(get("gzip", &[("If-None-Match", &gzip)]).status, 304);
    assert_eq!(get("gzip", &[("If-None-Match", &plain)]).status, 200);
    assert_eq!(get("identity", &[("If-None-Match", &gzip)]).status, 200);
    let part = get("gzip", &[("Range", "bytes=3-"), ("If-Range", &gzip)]);
    assert_eq!((part.status, part.body.as_str(), part.field("content-encoding")), (206, "gzip!", Some("gzip")));
    assert_eq!(part.field("content-range"), Some("bytes 3-7/8"));
    // What the client has is another variant: all of this one.
    let whole = get("br", &[("Range", "bytes=3-"), ("If-Range", &gzip)]);
    assert_eq!((whole.status, whole.body.as_str(), whole.field("content-encoding")), (200, "in br!!!", Some("br")));
}

/// Who changes a file may forget its variant.
#[test]
fn a_variant_that_is_older_than_its_file_is_not_sent() {
    let dir = folder();
    let set = |name: &str, age| {
        let times = FileTimes::new().set_modified(SystemTime::now() - Duration::from_secs(age));
        File::options().write(true).open(dir.path().join(name)).unwrap().set_times(times).unwrap();
    };
    let site = Site::of(Files::new(dir.path()).unwrap());
    let coding =
        || site.get_with("/both.css", &[("Accept-Encoding", "br, gzip")]).field("content-encoding").map(str::to_owned);
    set("both.css", 50);
    assert_eq!(coding().as_deref(), Some("br"));
    set("both.css.br", 51);
    assert_eq!(coding().as_deref(), Some("gzip"));
    set("both.css.gz", 51);
    assert_eq!(coding(), None);
    // A variant is held to the same as a file.
    fs::remove_file(dir.path().join("gz.css.gz")).unwrap();
    write(dir.path().parent().unwrap(), &outside(&dir), "CANARY");
    std::os::unix::fs::symlink(format!("../{}", outside(&dir)), dir.path().join("gz.css.gz")).unwrap();
    let reply = site.get_with("/gz.css", &[("Accept-Encoding", "gzip")]);
    fs::remove_file(dir.path().parent().unwrap().join(outside(&dir))).unwrap();
    assert_eq!((reply.body.as_str(), reply.field("content-encoding")), ("as it is", None));
}

fn outside(dir: &TempDir) -> String {
    format!("{}-outside", dir.path().file_name().unwrap().to_str().unwrap())
}
