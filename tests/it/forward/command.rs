//! `--forward` and the options that go with it.

use std::io::{BufReader, Write};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crate::support::client::{Reply, TLS13, config, connect, eventually, exchange, read_reply};
use crate::support::command::{Serving, binary, run, site};
use crate::support::files::TempDir;
use crate::support::pki::{Ca, Holder};
use crate::support::upstream::{answering, listening, ok, read_request_head};

fn setting() -> (TempDir, Ca) {
    let ca = Ca::new("ca");
    (site(&ca), ca)
}

fn serve(dir: &TempDir, options: &[&str]) -> Serving {
    Serving::start(&binary(), dir.path(), &[options, &["--listen", "127.0.0.1:0"]].concat())
}

fn get(serving: &Serving, holder: &Holder, path: &str) -> Reply {
    let mut stream = connect(serving.addr, config(Some(holder), &TLS13));
    exchange(&mut stream, format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).unwrap()
}

#[test]
fn the_application_with_the_longest_prefix_answers_beside_folders() {
    let (dir, ca) = setting();
    std::fs::create_dir(dir.path().join("www")).unwrap();
    std::fs::write(dir.path().join("www/a.txt"), "a file").unwrap();
    let (web, api) =
        (answering(|asked| ok(&format!("web {}", asked.line))), answering(|asked| ok(&format!("api {}", asked.line))));
    let to_api = format!("/api={}", api.url);
    let serving = serve(&dir, &["--forward", &web.url, "--forward", &to_api, "--files", "/static=www"]);
    for line in [format!("forward: / to {}", web.url), format!("forward: /api to {}", api.url)] {
        assert!(serving.stderr().contains(&format!("mtls-min: {line}\n")), "{}", serving.stderr());
    }
    let alice = ca.client("alice");
    for (path, body) in [
        ("/", "web GET / HTTP/1.1"),
        ("/apis?x", "web GET /apis?x HTTP/1.1"),
        ("/api", "api GET /api HTTP/1.1"),
        ("/api/users?x", "api GET /api/users?x HTTP/1.1"),
        ("/static/a.txt", "a file"),
    ] {
        assert_eq!(get(&serving, &alice, path).body, body, "{path}");
    }
    assert_eq!(get(&serving, &Ca::new("other").client("alice"), "/api").status, 401);
    assert_eq!(web.asked().len() + api.asked().len(), 4, "rules come first");
}

#[test]
fn the_options_of_forwarding_do_what_they_say() {
    let (dir, ca) = setting();
    let application = answering(|asked| ok(&asked.line));
    let to = format!("/api={}", application.url);
    let serving = serve(&dir, &["--forward", &to, "--strip-prefix", "--forward-chain", "--forward-timeout", "0.3"]);
    let alice = ca.intermediate("between").client("alice");
    assert_eq!(get(&serving, &alice, "/api/users").body, "GET /users HTTP/1.1");
    assert!(application.last().field("client-cert-chain").is_some());
    assert_eq!(get(&serving, &alice, "/").status, 404);
    // It accepts connections, as the system does for it, and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let to = format!("http://{}", silent.local_addr().unwrap());
    let serving = serve(&dir, &["--forward", &to, "--forward-timeout", "0.3"]);
    assert_eq!(get(&serving, &alice, "/").status, 504);
    let note = " (the application took too long to begin its answer)\n";
    eventually(|| serving.stdout().contains(note));
}

#[test]
fn a_body_may_be_as_large_as_the_option_says() {
    let (dir, ca) = setting();
    let application = answering(|asked| ok(&asked.body.len().to_string()));
    let serving = serve(&dir, &["--forward", &application.url, "--max-body", "1"]);
    let mut stream = connect(serving.addr, config(Some(&ca.client("alice")), &TLS13));
    let post =
        |length: usize| format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{}", "x".repeat(length));
    assert_eq!(exchange(&mut stream, post(1 << 20)).unwrap().body, "1048576");
    stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n").unwrap();
    assert_eq!(read_reply(&mut stream).unwrap().status, 413);
    assert_eq!(application.asked().len(), 1);
}

/// The command under `sh` with this limit of open files.
fn serve_with_open_files(number: u32, dir: &TempDir, options: &str) -> Serving {
    let command = format!("ulimit -n {number}; exec {} --listen 127.0.0.1:0 {options}\n", binary().display());
    let script = dir.write("few", command);
    Serving::start(std::path::Path::new("/bin/sh"), dir.path(), &[script.to_str().unwrap()])
}

#[test]
fn d2_what_stands_behind_the_gate_counts_in_the_limit_of_open_files() {
    let (dir, _) = setting();
    let url = "http://127.0.0.1:1";
    for (options, connections) in [
        (String::new(), 168),
        ("--files .".to_owned(), 84),
        (format!("--forward {url}"), 52),
        (format!("--forward {url} --files /a=."), 52),
        (format!("--forward {url} --forward /a={url}"), 20),
    ] {
        let said = format!("warning: only 200 files may be open (ulimit -n), so at most {connections} connections\n");
        let serving = serve_with_open_files(200, &dir, &options);
        assert!(serving.stderr().contains(&said), "{options}: {}", serving.stderr());
    }
}

#[test]
fn d3_strangers_who_wait_for_an_application_leave_files_for_authorised_clients() {
    let (dir, ca) = setting();
    dir.write("policy", "/ any\n/public anyone\n");
    let (url, waiting) = listening(|stream, number| {
        // Until the stream ends it says nothing to strangers.
        let mut stream = BufReader::new(stream);
        while let Ok(Some(asked)) = read_request_head(&mut stream) {
            if asked.line.starts_with("GET /alice ") {
                stream.get_mut().write_all(ok(&number.to_string()).as_bytes()).unwrap();
            }
        }
    });
    let serving = serve_with_open_files(120, &dir, &format!("--forward {url} --policy policy"));
    let addr = serving.addr;
    let strangers: Vec<_> = (0..60)
        .map(|_| {
            thread::spawn(move || {
                let mut stream = connect(addr, config(None, &TLS13));
                stream.sock.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
                // Most find no room.
                let reply = exchange(&mut stream, "GET /public HTTP/1.1\r\nHost: a\r\n\r\n");
                (stream, reply.map(|reply| reply.status).ok())
            })
        })
        .collect();
    // Three quarters of twelve.
    eventually(|| waiting.load(Ordering::SeqCst) >= 9);
    let alice = ca.client("alice");
    assert_eq!(get(&serving, &alice, "/alice").status, 200);
    for stranger in strangers {
        assert_eq!(stranger.join().unwrap().1, None, "nobody is told 502");
    }
    assert!(!serving.stderr().contains("Too many open files"), "{}", serving.stderr());
    assert!(!serving.stdout().contains("Too many open files"), "{}", serving.stdout());
}

#[test]
fn what_cannot_be_forwarded_to_is_said_before_the_port_opens() {
    let (dir, _) = setting();
    let ok = "http://127.0.0.1:1";
    for (options, said) in [
        (
            &["--forward", "https://a"][..],
            &["--forward https://a: that is not the address of an application", "not possible yet"][..],
        ),
        (&["--forward", "127.0.0.1:80"], &["does not begin with http:// or unix:"]),
        (&["--forward", "/api=http://a/b"], &["--forward /api=http://a/b: ", "no path"]),
        (&["--forward", "/api="], &["it says nothing"]),
        (&["--forward", "/../a=http://a"], &["can never match"]),
        (&["--forward", ok, "--files", "."], &["/ is taken by --files ."]),
        (&["--strip-prefix"], &["--strip-prefix is about applications", "name one with --forward"]),
        (&["--forward-chain"], &["--forward-chain is about applications"]),
        (&["--forward-timeout", "1", "--files", "."], &["--forward-timeout is about applications"]),
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
