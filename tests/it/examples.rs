//! The examples, run as their readers would run them.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;

use crate::support::client::{
    GET, Reply, TLS13, Tls, config, connect, eventually, exchange, get, read_reply, read_to_end,
};
use crate::support::command::{self, Serving, example};
use crate::support::files::TempDir;
use crate::support::pki::{Ca, Holder};

fn site() -> (TempDir, Ca) {
    let ca = Ca::new("ca");
    (command::site(&ca), ca)
}

fn client(serving: &Serving, holder: Option<&Holder>) -> Tls {
    connect(serving.addr, config(holder, &TLS13))
}

/// A request with these further lines, and a body.
fn request(stream: &mut Tls, line: &str, fields: &str, body: &str) -> Reply {
    let length = body.len();
    let request = format!("{line} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n{fields}\r\n{body}");
    exchange(stream, request).unwrap()
}

#[test]
fn hello_greets_by_name() {
    let (dir, ca) = site();
    let serving = Serving::start(&example("hello"), dir.path(), &["127.0.0.1:0"]);
    assert_eq!(get(serving.addr, Some(&ca.client("alice")), &TLS13).unwrap().body, "hello alice\n");
    assert_eq!(get(serving.addr, None, &TLS13).unwrap().status, 401);
}

#[test]
fn whoami_tells_what_the_certificate_says() {
    let (dir, ca) = site();
    let serving = Serving::start(&example("whoami"), dir.path(), &["127.0.0.1:0"]);
    let alice = ca.client_with("ali\"ce", |params| {
        params.subject_alt_names = vec![rcgen::SanType::Rfc822Name("alice@x.test".try_into().unwrap())];
    });
    let reply = get(serving.addr, Some(&alice), &TLS13).unwrap();
    assert_eq!(reply.field("content-type"), Some("application/json"));
    assert!(reply.body.contains(r#"{"type":"CN","value":"ali\"ce"}"#), "{}", reply.body);
    assert!(reply.body.contains(r#""emails":["alice@x.test"]"#), "{}", reply.body);
}

#[test]
fn gate_open_lets_the_handler_decide() {
    let (dir, ca) = site();
    let serving = Serving::start(&example("gate_open"), dir.path(), &["127.0.0.1:0"]);
    let mut stranger = connect(serving.addr, config(None, &TLS13));
    assert_eq!(exchange(&mut stranger, GET).unwrap().body, "welcome, stranger\n");
    let inner = "GET /inner HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(exchange(&mut stranger, inner).unwrap().status, 401);
    let mut alice = connect(serving.addr, config(Some(&ca.client("alice")), &TLS13));
    assert_eq!(exchange(&mut alice, inner).unwrap().body, "welcome, alice\n");
}

#[test]
fn upload_streams_to_disk_and_overwrites_nothing() {
    let (dir, ca) = site();
    let serving = Serving::start(&example("upload"), dir.path(), &["127.0.0.1:0", "uploads"]);
    let alice = ca.client("alice");
    let mut stream = connect(serving.addr, config(Some(&alice), &TLS13));
    let mut put = |name: &str, body: &str| {
        let request = format!("PUT /{name} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        exchange(&mut stream, request).unwrap().status
    };
    let body = "line\n".repeat(400_000);
    assert_eq!(put("big.txt", &body), 201);
    assert_eq!(put("big.txt", "other"), 409);
    assert_eq!(put(".hidden", "x"), 400);
    assert_eq!(put("a/b", "x"), 400);
    let fingerprint = mtls_min::Identity::from_der(&alice.chain[0]).unwrap().sha256().to_owned();
    let directory = dir.path().join("uploads").join(fingerprint);
    assert_eq!(fs::read_to_string(directory.join("big.txt")).unwrap(), body);
    assert_eq!(fs::read_dir(directory).unwrap().count(), 1, "no partial file is left");
}

#[test]
fn observer_counts_by_code_and_writes_the_log_too() {
    let (dir, ca) = site();
    let serving = Serving::start(&example("observer"), dir.path(), &["127.0.0.1:0"]);
    assert_eq!(get(serving.addr, None, &TLS13).unwrap().status, 401);
    let alice = ca.client("alice");
    eventually(|| {
        let counts = get(serving.addr, Some(&alice), &TLS13).unwrap().body;
        counts.contains("401 no_certificate: 1\n") && counts.contains("200: ")
    });
    eventually(|| serving.stderr().contains(" refused=no_certificate "));
}

/// A server that refuses in silence cannot be set up.
#[test]
fn every_example_logs_whom_it_refuses() {
    let names = ["hello", "whoami", "gate_open", "upload", "observer", "json_api", "files", "signals"];
    let of_tiny_http = if cfg!(feature = "tiny_http") { &["from_tiny_http", "in_front"][..] } else { &[] };
    for name in names.iter().chain(of_tiny_http) {
        let (dir, _) = site();
        let serving = Serving::start(&example(name), dir.path(), &["127.0.0.1:0"]);
        get(serving.addr, None, &TLS13).unwrap();
        // `gate_open` lets everyone in, and says the verdict.
        eventually(|| serving.stderr().contains("=no_certificate "));
    }
}

#[test]
fn json_api_speaks_json_to_everyone_and_has_rules_for_each_user() {
    let (dir, ca) = site();
    let serving = Serving::start(&example("json_api"), dir.path(), &["127.0.0.1:0"]);
    let mut alice = client(&serving, Some(&ca.client("alice")));
    let mut admin = client(&serving, Some(&ca.client("admin")));
    let mut bob = client(&serving, Some(&ca.client("bob")));
    for number in 1..=2 {
        let reply = request(&mut alice, "POST /notes", "", r#"{"text":"it's \"mine\""}"#);
        assert_eq!((reply.status, reply.body.clone()), (201, format!("{{\"number\":{number}}}")));
        assert_eq!(reply.field("location"), Some(format!("/notes/{number}").as_str()));
    }
    let note = r#"{"author":"CN=alice","number":2,"text":"it's \"mine\""}"#;
    assert!(request(&mut bob, "GET /notes", "", "").body.ends_with(&format!(",{note}]")));
    assert_eq!(request(&mut bob, "GET /notes?author=CN%3Dbob", "", "").body, "[]");

    assert_eq!(request(&mut bob, "DELETE /notes/1", "", "").status, 403);
    assert_eq!(request(&mut alice, "DELETE /notes/1", "", "").status, 200);
    assert_eq!(request(&mut admin, "DELETE /notes/2", "", "").status, 200);
    assert_eq!(request(&mut admin, "DELETE /notes/2", "", "").status, 404);
    assert_eq!(request(&mut admin, "GET /stats", "", "").body, "{\"notes\":0}");

    for (line, body, status) in [
        ("POST /notes", "no JSON", 400),
        ("POST /notes", "{\"text\":1}", 422),
        ("PUT /notes", "{}", 405),
        ("GET /notes/1/2", "", 404),
    ] {
        let reply = request(&mut admin, line, "", body);
        assert_eq!((reply.status, reply.field("content-type")), (status, Some("application/json")), "{line}");
    }
    let large = format!("{{\"text\":\"{}\"}}", "x".repeat(64 * 1024));
    assert_eq!(request(&mut alice, "POST /notes", "", &large).body, r#"{"error":"the body cannot be read"}"#);

    let refused = request(&mut bob, "GET /stats", "", "");
    assert_eq!(refused.status, 403);
    assert!(refused.body.starts_with(r#"{"error":"not allowed","request_id":""#), "{}", refused.body);
    assert_eq!(request(&mut client(&serving, None), "GET /health", "", "").body, r#"{"up":true}"#);
    let refused = request(&mut client(&serving, None), "GET /notes", "", "");
    assert_eq!((refused.status, refused.field("content-type")), (401, Some("application/json")));
    assert!(refused.body.contains(refused.field("x-request-id").unwrap()), "{}", refused.body);
}

#[test]
fn files_sends_ranges_and_takes_uploads() {
    let (dir, ca) = site();
    fs::create_dir_all(dir.path().join("shared/sub")).unwrap();
    let content: String = (0..100_000).map(|number| format!("{number}\n")).collect();
    dir.write("shared/sub/a b.txt", &content);
    let serving = Serving::start(&example("files"), dir.path(), &["127.0.0.1:0", "shared"]);
    let mut alice = client(&serving, Some(&ca.client("alice")));

    let whole = request(&mut alice, "GET /sub/a%20b.txt", "", "");
    assert_eq!((whole.status, whole.field("content-type")), (200, Some("text/plain; charset=utf-8")));
    assert!(whole.body == content);
    let part = request(&mut alice, "GET /sub/a%20b.txt", "Range: bytes=500000-\r\n", "");
    assert_eq!(part.status, 206);
    assert!(part.body == content[500_000..], "a download goes on where it was cut");
    let head = "HEAD /sub/a%20b.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    alice.write_all(head.as_bytes()).unwrap();
    let all = String::from_utf8(read_to_end(&mut alice).unwrap()).unwrap();
    assert!(all.contains(&format!("content-length: {}\r\n", content.len())) && all.ends_with("\r\n\r\n"), "{all}");

    let mut alice = client(&serving, Some(&ca.client("alice")));
    assert_eq!(request(&mut alice, "PUT /sub/new", "", "first").status, 201);
    assert_eq!(request(&mut alice, "PUT /sub/new", "", "second").status, 200);
    assert_eq!(request(&mut alice, "GET /sub/new", "", "").body, "second");
    assert_eq!(fs::read_dir(dir.path().join("shared/sub")).unwrap().count(), 2, "no partial file is left");
    assert_eq!(request(&mut alice, "POST /sub/new", "", "x").status, 405);
    assert_eq!(get(serving.addr, None, &TLS13).unwrap().status, 401);
    let announced = "PUT /large HTTP/1.1\r\nHost: a\r\nContent-Length: 1073741825\r\n\r\n";
    assert_eq!(exchange(&mut alice, announced).unwrap().status, 413);
}

#[test]
fn files_never_leaves_its_folder() {
    let (dir, ca) = site();
    let shared = dir.path().join("shared");
    fs::create_dir_all(shared.join("sub")).unwrap();
    dir.write("secret", "secret");
    dir.write("shared/.hidden", "secret");
    dir.write("shared/inside", "inside");
    symlink("../secret", shared.join("out")).unwrap();
    symlink("..", shared.join("up")).unwrap();
    symlink("../nowhere", shared.join("dangling")).unwrap();
    symlink("../inside", shared.join("sub/in")).unwrap();
    let serving = Serving::start(&example("files"), dir.path(), &["127.0.0.1:0", "shared"]);
    let alice = ca.client("alice");
    for path in [
        "/",
        "/sub",
        "/sub/",
        "/.hidden",
        "/%2ehidden",
        "/out",
        "/up/secret",
        "/up/shared/.hidden",
        "/dangling",
        "/../secret",
        "/sub/../../secret",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "/sub/%2e./inside",
        "//etc/passwd",
        "/%2fetc/passwd",
        "/..\\secret",
        "/inside%00",
        "/inside/",
        "/inside/more",
        "/%ff",
    ] {
        for method in ["GET", "PUT"] {
            let mut stream = client(&serving, Some(&alice));
            let reply = request(&mut stream, &format!("{method} {path}"), "", "");
            let is_redirect = reply.field("location") == Some("/sub/") && (method, path) == ("GET", "/sub");
            assert!(
                [400, 404].contains(&reply.status) || is_redirect,
                "{method} {path}: {} {}",
                reply.status,
                reply.body
            );
        }
    }
    let mut stream = client(&serving, Some(&alice));
    assert_eq!(request(&mut stream, "GET /sub/in", "", "").body, "inside");
    assert_eq!(fs::read_to_string(dir.path().join("secret")).unwrap(), "secret");
    assert!(!dir.path().join("nowhere").exists());
}

#[test]
fn signals_finishes_what_it_is_answering() {
    let (dir, ca) = site();
    let mut serving = Serving::start(&example("signals"), dir.path(), &["127.0.0.1:0"]);
    let mut stream = client(&serving, Some(&ca.client("alice")));
    assert_eq!(request(&mut stream, "POST /", "", "abc").body, "you sent 3 bytes\n");
    stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n").unwrap();
    assert_eq!(read_reply(&mut stream).unwrap().status, 100, "the handler reads");
    serving.signal("TERM");
    eventually(|| serving.stderr().contains("stopping"));
    stream.write_all(b"0123456789").unwrap();
    assert_eq!(read_reply(&mut stream).unwrap().body, "you sent 10 bytes\n");
    drop(stream);
    assert_eq!(serving.exit_code(), Some(0));
    eventually(|| serving.stderr().contains("stopped\n"));
}

#[cfg(feature = "tiny_http")]
#[test]
fn from_tiny_http_keeps_a_guest_book() {
    let (dir, ca) = site();
    let serving = Serving::start(&example("from_tiny_http"), dir.path(), &["127.0.0.1:0"]);
    let mut alice = client(&serving, Some(&ca.client("alice")));
    let mut bob = client(&serving, Some(&ca.client("bob")));
    let reply = request(&mut alice, "POST /", "", "good day");
    assert_eq!((reply.status, reply.field("location")), (303, Some("/")));
    assert_eq!(request(&mut bob, "POST /", "", "und tschüs").status, 303);
    let reply = request(&mut bob, "GET /", "", "");
    assert_eq!((reply.status, reply.body.as_str()), (200, "alice: good day\nbob: und tschüs\n"));
    let reply = request(&mut bob, "GET /ca", "", "");
    assert_eq!(reply.field("content-type"), Some("application/x-pem-file"));
    assert_eq!(reply.body, fs::read_to_string(dir.path().join("certs/ca.pem")).unwrap());
    assert_eq!(request(&mut bob, "GET /other", "", "").status, 404);
    assert_eq!(get(serving.addr, None, &TLS13).unwrap().status, 401);
}

#[cfg(feature = "tiny_http")]
#[test]
fn in_front_leaves_the_application_as_it_was() {
    let (dir, ca) = site();
    let serving = Serving::start(&example("in_front"), dir.path(), &["127.0.0.1:0"]);
    let mut alice = client(&serving, Some(&ca.client("alice")));
    let mut bob = client(&serving, Some(&ca.client("bob")));
    for _ in 0..2 {
        assert_eq!(request(&mut alice, "GET /", "", "").body, "hello alice\n");
        assert_eq!(request(&mut bob, "POST /", "X-Client-Name: alice\r\n", "x").body, "hello bob\n");
    }
    assert_eq!(get(serving.addr, None, &TLS13).unwrap().status, 401);
}
