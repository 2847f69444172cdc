//! What an application uses of the library: responses, files with ranges, bodies, paths, queries, and pages for refusals.

use std::fs::{self, File, FileTimes};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use mtls_min::http::StatusCode;
use mtls_min::{Body, Policy, Request, Response, Trust, response};

use crate::support::client::{Reply, TLS13, Tls, config, connect, exchange, get, read_to_end};
use crate::support::files::TempDir;
use crate::support::pki::{Ca, Holder};
use crate::support::server::{Running, start_with, trust};

fn client(running: &Running, holder: Option<&Holder>) -> Tls {
    connect(running.addr, config(holder, &TLS13))
}

/// A server with this handler, and a client of it that is authorised.
fn serve(handler: impl mtls_min::Handler + 'static) -> (Running, Tls) {
    let ca = Ca::new("ca");
    let running = start_with(trust(&ca), |builder| builder.max_body(1000), handler);
    let stream = client(&running, Some(&ca.client("alice")));
    (running, stream)
}

fn request(stream: &mut Tls, line: &str, fields: &[(&str, &str)]) -> Reply {
    let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    exchange(stream, format!("{line} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).unwrap()
}

/// A file that has been as it is for long enough, so that its tag is strong.
fn old_file(dir: &TempDir, content: &str) -> PathBuf {
    let path = dir.write("file", content);
    // The time of the last change of any kind cannot be set, so the test waits until it is old enough.
    crate::support::client::eventually(|| {
        let changed = fs::metadata(&path).unwrap();
        use std::os::unix::fs::MetadataExt;
        let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(changed.ctime() as u64 + 1);
        changed.elapsed().is_ok_and(|age| age > Duration::from_secs(2))
    });
    path
}

fn send(path: PathBuf) -> impl mtls_min::Handler {
    move |request| response::file(request, File::open(&path).unwrap(), "text/plain").unwrap()
}

#[test]
fn a_file_is_sent_whole_in_part_or_not_at_all() {
    let dir = TempDir::new();
    let (_running, mut alice) = serve(send(old_file(&dir, "0123456789")));
    let whole = request(&mut alice, "GET /", &[]);
    assert_eq!((whole.status, whole.body.as_str()), (200, "0123456789"));
    assert_eq!(whole.field("content-type"), Some("text/plain"));
    assert_eq!(whole.field("accept-ranges"), Some("bytes"));
    assert_eq!((whole.field("content-range"), whole.field("x-content-type-options")), (None, Some("nosniff")));
    let (tag, date) = (whole.field("etag").unwrap(), whole.field("last-modified").unwrap());
    assert!(tag.starts_with("\"a-"), "{tag}");

    for (fields, body, range) in [
        (&[("Range", "bytes=2-4")][..], "234", "bytes 2-4/10"),
        (&[("Range", "bytes=8-99")], "89", "bytes 8-9/10"),
        (&[("Range", "bytes=-1")], "9", "bytes 9-9/10"),
        (&[("Range", "bytes=2-4"), ("If-Range", tag)], "234", "bytes 2-4/10"),
        (&[("Range", "bytes=2-4"), ("If-Match", tag)], "234", "bytes 2-4/10"),
    ] {
        let part = request(&mut alice, "GET /", fields);
        assert_eq!((part.status, part.body.as_str()), (206, body), "{fields:?}");
        assert_eq!(part.field("content-range"), Some(range));
        assert_eq!((part.field("etag"), part.field("last-modified")), (Some(tag), Some(date)));
    }
    for fields in [
        &[("Range", "bytes=0-0,-1")][..],
        &[("Range", "bytes=2-1")],
        &[("Range", "bytes=2-4"), ("If-Range", "\"other\"")],
        &[("Range", "bytes=2-4"), ("If-Range", date)],
        &[("If-None-Match", "\"other\""), ("If-Modified-Since", date)],
    ] {
        let whole = request(&mut alice, "GET /", fields);
        assert_eq!((whole.status, whole.body.as_str()), (200, "0123456789"), "{fields:?}");
    }
    let nothing = request(&mut alice, "GET /", &[("Range", "bytes=10-")]);
    assert_eq!((nothing.status, nothing.field("content-range")), (416, Some("bytes */10")));
    for fields in [&[("If-None-Match", tag), ("Range", "bytes=2-4")][..], &[("If-Modified-Since", date)]] {
        let known = request(&mut alice, "GET /", fields);
        assert_eq!((known.status, known.body.as_str()), (304, ""), "{fields:?}");
        assert_eq!((known.field("etag"), known.field("content-type")), (Some(tag), None));
    }
    for fields in [("If-Match", "\"other\""), ("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT")] {
        assert_eq!(request(&mut alice, "GET /", &[fields]).status, 412, "{fields:?}");
    }
    let posted = request(&mut alice, "POST /", &[("Range", "bytes=2-4")]);
    assert_eq!((posted.status, posted.field("allow")), (405, Some("GET, HEAD")));
}

/// RFC 9110, section 14.2: ranges are for GET.
#[test]
fn head_tells_the_whole_length_of_a_file() {
    let dir = TempDir::new();
    let (_running, mut alice) = serve(send(dir.write("file", "0123456789")));
    let head = "HEAD / HTTP/1.1\r\nHost: a\r\nRange: bytes=2-4\r\nConnection: close\r\n\r\n";
    alice.write_all(head.as_bytes()).unwrap();
    let all = String::from_utf8(read_to_end(&mut alice).unwrap()).unwrap();
    assert!(all.starts_with("HTTP/1.1 200 ") && all.contains("\r\ncontent-length: 10\r\n"), "{all}");
    assert!(all.ends_with("\r\n\r\n"), "{all}");
}

#[test]
fn a_file_that_changed_just_now_has_a_weak_tag_and_no_ranges_for_it() {
    let dir = TempDir::new();
    let path = dir.write("file", "0123456789");
    // Its content is old, as a program may say; that it was touched is not to be hidden.
    let long_ago = SystemTime::now() - Duration::from_secs(1000);
    File::options().write(true).open(&path).unwrap().set_times(FileTimes::new().set_modified(long_ago)).unwrap();
    let (_running, mut alice) = serve(send(path));
    let whole = request(&mut alice, "GET /", &[]);
    let tag = whole.field("etag").unwrap();
    assert!(tag.starts_with("W/\"a-"), "{tag}");
    let resumed = request(&mut alice, "GET /", &[("Range", "bytes=2-4"), ("If-Range", tag)]);
    assert_eq!((resumed.status, resumed.body.as_str()), (200, "0123456789"));
    assert_eq!(request(&mut alice, "GET /", &[("If-None-Match", tag)]).status, 304);
}

#[test]
fn only_a_regular_file_is_sent() {
    let dir = TempDir::new();
    let folder = dir.path().to_owned();
    let (_running, mut alice) = serve(move |request| {
        let refused = response::file(request, File::open(&folder).unwrap(), "text/plain").unwrap_err();
        let also_refused = Body::from_file(File::open("/dev/null").unwrap()).unwrap_err();
        let no_type = response::file(request, File::open(folder.join("file")).unwrap(), "a\r\nb").unwrap_err();
        response::text(StatusCode::OK, format!("{refused}; {also_refused}; {no_type}"))
    });
    dir.write("file", "");
    let reply = request(&mut alice, "GET /", &[]);
    assert_eq!(reply.body, "not a regular file; not a regular file; not a valid content type");
}

#[test]
fn a_file_that_shrinks_while_it_is_sent_is_cut_and_one_that_grows_keeps_its_length() {
    const LENGTH: usize = 8 * 1024 * 1024;
    let dir = TempDir::new();
    let path = dir.write("file", vec![b'x'; LENGTH]);
    let (running, mut alice) = serve(|request: &mut Request<'_>| {
        let path = Path::new(request.headers()["path"].to_str().unwrap());
        Response::new(Body::from_file(File::open(path).unwrap()).unwrap())
    });
    let mut ask = |change: &dyn Fn(&File)| {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\nPath: {}\r\n\r\n", path.display());
        alice.write_all(head.as_bytes()).unwrap();
        let mut first = [0; 1000];
        alice.read_exact(&mut first).unwrap();
        // Most of it is still on the disk: the client takes no more than the sockets hold.
        change(&File::options().write(true).open(&path).unwrap());
        let first = String::from_utf8_lossy(&first);
        let (head, body) = first.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {LENGTH}")), "{head}");
        let mut rest = vec![0; LENGTH - body.len()];
        alice.read_exact(&mut rest).map(|()| rest.iter().all(|byte| *byte == b'x'))
    };
    let grows = |file: &File| file.set_len(LENGTH as u64 + 1000).unwrap();
    assert!(ask(&grows).unwrap(), "what was announced, and nothing else");
    fs::write(&path, vec![b'x'; LENGTH]).unwrap();
    let shrinks = |file: &File| file.set_len(10).unwrap();
    assert!(ask(&shrinks).is_err(), "the client notices");
    drop(running);
}

#[test]
fn the_path_and_the_query_are_decoded_once() {
    let (_running, mut alice) = serve(|request: &mut Request<'_>| {
        let query: Vec<String> = request.query().map(|(name, value)| format!("{name:?}={value:?}")).collect();
        response::text(StatusCode::OK, format!("{:?} {}", request.path_decoded(), query.join(" ")))
    });
    for (target, seen) in [
        ("/a%20b/%c3%A9%2541", "Some(\"/a b/é%41\") "),
        ("/%ff", "None "),
        ("/%F0%9F", "None "),
        (
            "/x?a=1&b=x+y%20z&a=%2B&c&=d&&e=%C3%A9",
            "Some(\"/x\") \"a\"=\"1\" \"b\"=\"x y z\" \"a\"=\"+\" \"c\"=\"\" \"\"=\"d\" \"e\"=\"é\"",
        ),
        ("/x?a=%ff%zz%", "Some(\"/x\") \"a\"=\"\u{fffd}%zz%\""),
        ("/x?a=%00%0a", "Some(\"/x\") \"a\"=\"\\0\\n\""),
        ("/x?", "Some(\"/x\") "),
    ] {
        assert_eq!(request(&mut alice, &format!("GET {target}"), &[]).body, seen, "{target}");
    }
    assert_eq!(request(&mut alice, "OPTIONS *", &[]).body, "Some(\"*\") ");
}

/// What [`Request::path_decoded`] relies on.
#[test]
fn a_path_that_would_mean_something_else_once_decoded_does_not_reach_a_handler() {
    let ca = Ca::new("ca");
    let running = start_with(trust(&ca), |builder| builder, |_| response::text(StatusCode::OK, "reached"));
    for path in ["/a%2fb", "/a%5Cb", "/a%00", "/a%0a", "/%2e%2e/a", "/a/%2e", "/a//b", "/a%"] {
        let mut stream = client(&running, Some(&ca.client("alice")));
        assert_eq!(request(&mut stream, &format!("GET {path}"), &[]).status, 400, "{path}");
    }
    assert_eq!(running.calls(), 0);
}

fn limited(limit: usize) -> (Running, Tls) {
    serve(move |request| match request.body_bytes(limit) {
        Ok(body) => response::text(StatusCode::OK, body),
        Err(error) => response::json_bytes(error.status(), format!("{{\"error\":\"{error}\"}}")),
    })
}

fn post(stream: &mut Tls, body: &str, is_chunked: bool) -> Reply {
    let (framing, body) = match is_chunked {
        true => ("Transfer-Encoding: chunked".to_owned(), format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())),
        false => (format!("Content-Length: {}", body.len()), body.to_owned()),
    };
    exchange(stream, format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{body}")).unwrap()
}

#[test]
fn a_body_is_read_up_to_a_limit_and_the_handler_answers_413_beyond() {
    for is_chunked in [false, true] {
        let (_running, mut alice) = limited(10);
        assert_eq!(post(&mut alice, "0123456789", is_chunked).body, "0123456789");
        let reply = post(&mut alice, "0123456789a", is_chunked);
        assert_eq!((reply.status, reply.body.as_str()), (413, r#"{"error":"the body is too large"}"#));
        let (_running, mut alice) = limited(0);
        assert_eq!(request(&mut alice, "GET /", &[]).status, 200, "no body is within every limit");
    }
}

#[test]
fn a_body_that_announces_too_much_is_not_asked_for() {
    let (_running, mut alice) = limited(10);
    let announced = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n";
    assert_eq!(exchange(&mut alice, announced).unwrap().status, 413);
}

/// The limit of the server is 1,000 here.
#[test]
fn the_limit_of_the_server_holds_whatever_the_handler_allows() {
    for is_chunked in [false, true] {
        let (running, mut alice) = serve(|request| match request.body_bytes(usize::MAX) {
            Ok(body) => response::text(StatusCode::OK, body),
            Err(error) => panic!("the handler sees {}", error.status()),
        });
        assert_eq!(post(&mut alice, &"x".repeat(1000), is_chunked).status, 200);
        assert_eq!(post(&mut alice, &"x".repeat(1001), is_chunked).status, 413);
        if is_chunked {
            running.seen.wait_for_event("the handler sees 413");
        }
    }
}

/// Refuses in JSON, as far as the path says so.
fn refusing() -> (Running, Ca) {
    let ca = Ca::new("ca");
    let policy = Policy::parse("/ any\n/admin cn:admin\n", "policy").unwrap();
    let trust = Trust::builder().pem(ca.pem(), "ca").policy(policy).build().unwrap();
    let running = start_with(
        trust,
        |builder| {
            builder.refusal_page(|refused| {
                assert_ne!(refused.uri().path(), "/admin/panics");
                let id = refused.request_id();
                let body = format!("{} {} {id} {:?}", refused.method(), refused.uri(), refused.headers().get("accept"));
                match refused.uri().path() {
                    "/admin/reads" => Response::new(Body::from_reader(std::io::repeat(b'x'), None)),
                    _ => response::json_bytes(StatusCode::OK, body),
                }
            })
        },
        |_| response::text(StatusCode::OK, "served"),
    );
    (running, ca)
}

#[test]
fn an_application_answers_401_and_403_in_its_own_words_and_nothing_else() {
    let (running, ca) = refusing();
    let mut alice = client(&running, Some(&ca.client("alice")));
    let refused = request(&mut alice, "GET /admin?x=1", &[("Accept", "application/json")]);
    assert_eq!((refused.status, refused.field("content-type")), (403, Some("application/json")));
    let id = refused.field("x-request-id").unwrap();
    assert_eq!(refused.body, format!("GET /admin?x=1 {id} Some(\"application/json\")"));
    assert_eq!((refused.field("cache-control"), refused.field("www-authenticate")), (Some("no-store"), None));
    assert_eq!(request(&mut alice, "GET /", &[]).body, "served", "the connection is kept");

    let refused = get(running.addr, None, &TLS13).unwrap();
    assert_eq!((refused.status, refused.field("connection")), (401, Some("close")));
    assert!(refused.field("www-authenticate").is_some());
    assert!(refused.body.starts_with("GET / "), "{}", refused.body);
    assert_eq!(running.calls(), 1);

    let mut stranger = client(&running, None);
    stranger.write_all(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let all = String::from_utf8(read_to_end(&mut stranger).unwrap()).unwrap();
    assert!(all.starts_with("HTTP/1.1 401 ") && all.ends_with("\r\n\r\n"), "{all}");
    let length = format!("content-length: {}\r\n", "HEAD / 0123456789ab None".len());
    assert!(all.contains(&length), "the length of what a GET would get: {all}");
}

#[test]
fn a_refusal_page_that_fails_is_replaced_and_the_operator_is_told() {
    let (running, ca) = refusing();
    let mut alice = client(&running, Some(&ca.client("alice")));
    for path in ["/admin/panics", "/admin/reads"] {
        let refused = request(&mut alice, &format!("GET {path}"), &[]);
        assert_eq!((refused.status, refused.body.as_str()), (403, "User is not allowed to do this\n"), "{path}");
    }
    running.seen.wait_for_event("admin/panics");
    running.seen.wait_for_event("RefusalPageFailed");
    running.seen.wait_for_event("reason: \"its body is a reader, not bytes in memory\"");
}
