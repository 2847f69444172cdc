//! The command: what it says at start, in the log, and to every kind of bad input.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::SystemTime;

use crate::support::client::{GET, TLS13, VERSIONS, config, connect, connect_as, eventually, exchange, get};
use crate::support::command::{Serving, binary, run, site};
use crate::support::files::TempDir;
use crate::support::pki::{self, Ca, HOUR, self_signed};

pub(crate) const ANY_PORT: [&str; 2] = ["--listen", "127.0.0.1:0"];

#[test]
fn with_the_ca_alone_it_serves() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let serving = Serving::start(&binary(), dir.path(), &["--ca", "certs/ca.pem", "--listen", "127.0.0.1:0"]);
    for version in VERSIONS {
        let alice = get(serving.addr, Some(&ca.client("alice")), version).unwrap();
        assert_eq!((alice.status, alice.body.as_str()), (200, "hello world\n"));
        assert_eq!(alice.field("content-type"), Some("text/plain; charset=utf-8"));
        let stranger = get(serving.addr, None, version).unwrap();
        assert_eq!((stranger.status, stranger.body.as_str()), (401, "User is not authorized\n"));
    }
    let said = serving.stderr();
    assert!(said.contains("mtls-min: ca CN=ca, sha256 "), "{said}");
    assert!(said.contains("mtls-min: server CN=localhost, sha256 "), "{said}");
    assert!(said.contains(&format!("mtls-min: listening on {}\n", serving.addr)), "{said}");
    eventually(|| serving.stdout().lines().count() == 4);
    let log = serving.stdout();
    assert!(log.contains(" \"GET /\" 200 ") && log.contains(" TLSv1.3 subject=\"CN=alice\"\n"), "{log}");
    assert!(log.contains(" 401 ") && log.contains("refused=no_certificate because=") && log.contains(" ref="), "{log}");
}

#[test]
fn the_reference_that_a_client_is_told_is_in_the_log() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let serving = Serving::start(&binary(), dir.path(), &[&ANY_PORT[..], &["--log", "json"]].concat());
    let mallory = Ca::new("other").client("mallory\"\n\u{202e}");
    let reply = get(serving.addr, Some(&mallory), &TLS13).unwrap();
    eventually(|| serving.stdout().lines().count() == 1);
    let log = serving.stdout();
    let reference = reply.field("x-request-id").unwrap();
    assert!(log.starts_with('{') && log.ends_with("}\n"), "{log}");
    assert!(log.contains(&format!("\"reference\":\"{reference}\"")), "{log}");
    assert!(log.contains("\"refused\":\"unknown_issuer\"") && log.contains("\"repair\":\""), "{log}");
    let identity = mtls_min::Identity::from_der(&mallory.chain[0]).unwrap();
    assert!(log.contains(&format!("\"sha256\":\"{}\"", identity.sha256())), "{log}");
    assert!(!log.contains('\u{202e}'), "a name cannot turn the terminal's text around");
}

/// A log that nobody reads any more, on stdout and on stderr: a terminal that was stopped, a collector that hangs.
#[test]
fn a_log_whose_reader_has_stalled_holds_up_no_request() {
    use std::process::{Command, Stdio};
    let ca = Ca::new("ca");
    let dir = site(&ca);
    // Only the address is read.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = Command::new(binary());
    command.args(["--listen", &port.to_string()]).current_dir(dir.path());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    eventually(|| TcpStream::connect(port).is_ok());
    let config = std::sync::Arc::new(config(Some(&ca.client("alice")), &TLS13));
    let mut stream = connect_as(port, std::sync::Arc::clone(&config), "localhost");
    // Far more than the 64 KiB that a pipe holds.
    for _ in 0..2000 {
        assert_eq!(exchange(&mut stream, GET).unwrap().status, 200);
    }
    for _ in 0..1500 {
        let mut plain = TcpStream::connect(port).unwrap();
        let _ = plain.write_all(b"GET / HTTP/1.0\r\n\r\n");
        let _ = plain.read_to_end(&mut Vec::new());
    }
    assert_eq!(exchange(&mut connect_as(port, config, "localhost"), GET).unwrap().status, 200);
    Command::new("kill").arg(child.id().to_string()).status().unwrap();
    eventually(|| child.try_wait().unwrap().is_some());
}

#[test]
fn h6_a_hostile_name_is_one_line_of_the_log_and_harmless_on_the_page() {
    const UTF8: u8 = 12;
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let serving = Serving::start(&binary(), dir.path(), &ANY_PORT);
    let name = "<script>alert(1)</script>\r\n127.0.0.1 \"GET /\" 200\u{1b}[2J\u{202e}";
    let evil = pki::name(&[&[(pki::CN, UTF8, name.as_bytes())]]);
    let holder = ca.with_subject(&ca.client("x"), &evil);
    let mut stream = connect(serving.addr, config(Some(&holder), &TLS13));
    let page = exchange(&mut stream, "GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n").unwrap();
    assert_eq!(page.status, 200);
    assert!(page.body.contains("&lt;script&gt;") && !page.body.contains("<script>"), "{}", page.body);
    assert!(!page.body.contains(['\u{1b}', '\u{202e}']), "{}", page.body);
    assert!(page.field("content-security-policy").unwrap().contains("default-src 'none'"));
    eventually(|| !serving.stdout().is_empty());
    let log = serving.stdout();
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(!log.contains(['\u{1b}', '\u{202e}', '\r']), "{log}");
}

#[test]
fn the_page_tells_a_browser_who_it_is() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let serving = Serving::start(&binary(), dir.path(), &ANY_PORT);
    let alice = ca.client("alice");
    let mut stream = connect(serving.addr, config(Some(&alice), &TLS13));
    let html = "GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html,*/*;q=0.8\r\n\r\n";
    let page = exchange(&mut stream, html).unwrap();
    let identity = mtls_min::Identity::from_der(&alice.chain[0]).unwrap();
    for part in ["<strong>alice</strong>", "CN=alice", "CN=ca", identity.sha256(), identity.serial()] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    let reply = exchange(&mut stream, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").unwrap();
    assert_eq!((reply.status, reply.field("allow")), (405, Some("GET, HEAD")));
}

#[test]
fn several_addresses_and_several_ca_files_work_together() {
    let (one, two) = (Ca::new("one"), Ca::new("two"));
    let dir = site(&one);
    dir.write("two.pem", two.pem());
    let pinned = self_signed("pinned");
    dir.write("pinned.pem", pinned.pem());
    let args = [
        "--ca",
        "certs/ca.pem",
        "--ca",
        "two.pem",
        "--ca",
        "pinned.pem",
        "--listen",
        "127.0.0.1:0",
        "--listen",
        "localhost:0",
    ];
    let serving = Serving::start(&binary(), dir.path(), &args);
    eventually(|| serving.stderr().matches("listening on").count() == 2);
    let said = serving.stderr();
    let second = said.lines().rfind(|line| line.contains("listening on")).unwrap();
    let second = second.rsplit(' ').next().unwrap().parse().unwrap();
    for addr in [serving.addr, second] {
        for holder in [one.client("a"), two.client("b"), pinned.clone()] {
            assert_eq!(get(addr, Some(&holder), &TLS13).unwrap().status, 200);
        }
    }
    assert!(serving.stderr().contains("mtls-min: pinned client CN=pinned, sha256 "), "{}", serving.stderr());
}

#[test]
fn version_1_certificates_are_served_with_a_warning_and_let_in_on_request() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let mut server = ca.server();
    server.chain[0] = ca.as_version_1(&server.chain[0]);
    dir.write("certs/server-crt.pem", server.pem());
    dir.write("certs/server-key.pem", server.key_pem());
    let old = ca.client_v1("alice");
    let serving = Serving::start(&binary(), dir.path(), &ANY_PORT);
    assert!(
        serving.stderr().contains("warning: certs/server-crt.pem is an X.509 version 1 certificate"),
        "{}",
        serving.stderr()
    );
    for version in VERSIONS {
        assert_eq!(get(serving.addr, Some(&old), version).unwrap().status, 401);
    }
    eventually(|| serving.stdout().matches("refused=x509_v1").count() == 2);
    assert!(serving.stdout().contains("--accept-v1"), "the repair is in the log");
    let accepting = Serving::start(&binary(), dir.path(), &[&ANY_PORT[..], &["--accept-v1"]].concat());
    for version in VERSIONS {
        assert_eq!(get(accepting.addr, Some(&old), version).unwrap().body, "hello world\n");
    }
}

#[test]
fn sigterm_and_sigint_drain_and_a_second_signal_ends_at_once() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    for signal in ["TERM", "INT"] {
        let mut serving = Serving::start(&binary(), dir.path(), &ANY_PORT);
        let mut stream = connect(serving.addr, config(Some(&ca.client("alice")), &TLS13));
        assert_eq!(exchange(&mut stream, GET).unwrap().status, 200);
        serving.signal(signal);
        assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0, "closed with close_notify");
        assert_eq!(serving.exit_code(), Some(0));
        eventually(|| serving.stderr().ends_with("stopped, every answer was finished\n"));
    }
    // A refused client that does not close is still there when the second signal comes.
    let mut serving = Serving::start(&binary(), dir.path(), &[&ANY_PORT[..], &["--drain-timeout", "60"]].concat());
    let mut stream = connect(serving.addr, config(None, &TLS13));
    assert_eq!(exchange(&mut stream, GET).unwrap().status, 401);
    serving.signal("TERM");
    eventually(|| serving.stderr().contains("a second signal ends at once"));
    serving.signal("TERM");
    assert_eq!(serving.exit_code(), Some(128 + 15));
}

/// The command under `sh` with this limit of open files.
fn with_open_files(number: u32, dir: &TempDir) -> Serving {
    let command = format!("ulimit -n {number}; exec {} --listen 127.0.0.1:0\n", binary().display());
    let script = dir.write("few", command);
    Serving::start(std::path::Path::new("/bin/sh"), dir.path(), &[script.to_str().unwrap()])
}

#[test]
fn d2_with_few_descriptors_it_sheds_whoever_waited_longest() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let serving = with_open_files(40, &dir);
    assert!(serving.stderr().contains("warning: only 40 files may be open"), "{}", serving.stderr());
    let held: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(serving.addr).unwrap()).collect();
    eventually(|| serving.stderr().contains("closed, there are"));
    assert_eq!(get(serving.addr, Some(&ca.client("alice")), &TLS13).unwrap().status, 200);
    drop(held);
    assert_eq!(get(serving.addr, Some(&ca.client("alice")), &TLS13).unwrap().status, 200);
    assert!(!serving.stderr().contains("cannot accept"), "it keeps within its limit: {}", serving.stderr());
}

#[test]
fn d2_without_descriptors_it_backs_off_and_recovers() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    // Room for two or three connections.
    let serving = with_open_files(16, &dir);
    let held: Vec<TcpStream> = (0..10).map(|_| TcpStream::connect(serving.addr).unwrap()).collect();
    eventually(|| serving.stderr().contains("trying again in 1000 ms"));
    let failures = serving.stderr().matches("cannot accept a connection: Too many open files").count();
    assert!(failures <= 20, "5 ms, 10 ms, 20 ms … and not a busy loop: {failures}");
    drop(held);
    assert_eq!(get(serving.addr, Some(&ca.client("alice")), &TLS13).unwrap().status, 200);
}

/// Every kind of bad input: exit code, and what the message has to name.
#[test]
fn t3_bad_input_is_a_clear_error_and_the_port_stays_closed() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let bytes = |name: &str, content: &[u8]| dir.write(name, content);
    bytes("empty", b"");
    bytes("comments", b"# nothing but comments\n");
    bytes("ca.der", &ca.der);
    bytes(
        "utf16",
        &ca.pem().encode_utf16().flat_map(u16::to_le_bytes).fold(vec![0xff, 0xfe], |mut all, byte| {
            all.push(byte);
            all
        }),
    );
    bytes("key-among", format!("{}{}", ca.pem(), ca.server().key_pem()).as_bytes());
    bytes("request", b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n");
    bytes("cut", &ca.pem().as_bytes()[..200]);
    bytes("cut-then-good", format!("{}\n{}", &ca.pem()[..200], ca.pem()).as_bytes());
    bytes("bad-base64", ca.pem().replacen("MII", "M*I", 1).as_bytes());
    bytes("bad-der", pki::pem(b"\x30\x03\x02\x01\x01").as_bytes());
    bytes("good-then-bad", format!("{}{}", ca.pem(), pki::pem(b"nonsense")).as_bytes());
    let late = Ca::with("late", |params| params.not_after = (SystemTime::now() - HOUR / 2).into());
    bytes("late", late.pem().as_bytes());
    bytes("other-key", Ca::new("x").server().key_pem().as_bytes());
    bytes("encrypted", b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    bytes(
        "encrypted-old",
        b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
    );
    bytes("bad-key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();

    let cases: &[(&[&str], i32, &[&str])] = &[
        (&["--ca", "missing"], 1, &["missing", "No such file", "--ca names another"]),
        (&["--ca", "certs"], 1, &["certs", "directory", "name a file"]),
        (&["--ca", "empty"], 1, &["empty holds no certificate"]),
        (&["--ca", "comments"], 1, &["comments holds no certificate", "-----BEGIN CERTIFICATE-----"]),
        (&["--ca", "ca.der"], 1, &["DER", "openssl x509 -inform der"]),
        (&["--ca", "utf16"], 1, &["UTF-16"]),
        (&["--ca", "key-among"], 1, &["key-among, line", "PRIVATE KEY"]),
        (&["--ca", "request"], 1, &["CERTIFICATE REQUEST", "yet to sign"]),
        (&["--ca", "cut"], 1, &["cut, line 1", "broken", "-----END line is missing"]),
        (&["--ca", "cut-then-good"], 1, &["cut-then-good, line 1", "broken"]),
        (&["--ca", "bad-base64"], 1, &["bad-base64, line 1", "broken", "not base64"]),
        (&["--ca", "bad-der"], 1, &["bad-der, line 1", "cannot be read"]),
        (&["--ca", "good-then-bad"], 1, &["good-then-bad, line", "cannot be read"]),
        (&["--ca", "late"], 1, &["late, line 1", "CN=late", "expired on"]),
        (&["--cert", "missing"], 1, &["cannot read the server's certificate missing", "named with --cert and --key"]),
        (&["--cert", "comments"], 1, &["comments holds no certificate"]),
        (&["--cert", "certs/server-key.pem"], 1, &["certs/server-key.pem holds no certificate"]),
        (&["--cert", "cut"], 1, &["cut, line 1: this certificate is broken", "-----END line is missing"]),
        (&["--cert", "bad-der"], 1, &["bad-der: the first certificate is broken"]),
        (&["--key", "missing"], 1, &["cannot read the server's key missing"]),
        (&["--key", "other-key"], 1, &["other-key is not the key of certs/server-crt.pem"]),
        (&["--key", "certs/ca.pem"], 1, &["certs/ca.pem holds no private key"]),
        (&["--key", "encrypted"], 1, &["encrypted is encrypted", "openssl pkey -in encrypted"]),
        (&["--key", "encrypted-old"], 1, &["encrypted-old is encrypted", "openssl pkey"]),
        (&["--key", "bad-key"], 1, &["the key in bad-key cannot be used"]),
        (&["--listen", "nowhere"], 1, &["--listen nowhere is not a valid address", "address:port"]),
        (&["--listen", "example.org:443"], 1, &["--listen example.org:443 is not a valid address", "IP address"]),
        (&["--listen", "localhost:99999"], 1, &["--listen localhost:99999 is not a valid address"]),
        (&["--listen", "127.0.0.1:99999"], 1, &["--listen 127.0.0.1:99999"]),
        (&["--listen", "192.0.2.1:1"], 1, &["cannot listen on 192.0.2.1:1", "--listen"]),
        (&["--listen", &taken], 1, &["cannot listen on", "another program listens"]),
        (&["--workers", "0"], 2, &["--workers", "from 1 to 1024"]),
        (&["--workers", "many"], 2, &["--workers", "many", "from 1 to 1024"]),
        (&["--workers", "1025"], 2, &["--workers", "from 1 to 1024"]),
        (&["--max-connections", "3"], 2, &["--max-connections", "from 4"]),
        (&["--head-timeout", "0"], 2, &["--head-timeout", "seconds"]),
        (&["--idle-timeout", "-1"], 2, &["seconds"]),
        (&["--drain-timeout", "nan"], 2, &["seconds"]),
        (&["--handshake-timeout", "1e9"], 2, &["seconds"]),
        (&["--drain-delay", "-1"], 2, &["a number of seconds from 0.001 to", ", or 0"]),
        (&["--log", "xml"], 2, &["text, json or off"]),
        (&["--nonsense"], 2, &["--nonsense", "--help"]),
        (&["nonsense"], 2, &["nonsense"]),
        (&["--ca"], 2, &["--ca"]),
        (&["--ca", "certs/ca.pem", "demo"], 1, &["do not go with it"]),
    ];
    for (args, code, parts) in cases {
        let mut all = args.to_vec();
        if !args.contains(&"--listen") && !args.contains(&"demo") {
            all.splice(0..0, ANY_PORT);
        }
        let output = run(dir.path(), &all);
        let said = String::from_utf8_lossy(&output.stderr);
        println!("{args:?} → {}\n{said}", output.status);
        assert_eq!(output.status.code(), Some(*code), "{args:?}: {said}");
        for part in *parts {
            assert!(said.contains(part), "{args:?} does not say {part:?}: {said}");
        }
        assert!(said.lines().last().is_some() && !said.contains("listening"), "{args:?}: {said}");
        assert!(!said.contains("panicked"), "{args:?}: {said}");
        assert_eq!(output.stdout, b"", "{args:?}");
    }
}

#[test]
fn a_key_that_others_can_read_is_warned_about_and_never_shown() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let key = dir.path().join("certs/server-key.pem");
    // The group of a key of root's is chosen by root, as systemd and Kubernetes do for a server without rights.
    let roots = std::fs::metadata(&key).unwrap().uid() == 0;
    for (mode, warned) in [(0o644, true), (0o660, true), (0o640, !roots), (0o600, false)] {
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        let serving = Serving::start(&binary(), dir.path(), &ANY_PORT);
        assert_eq!(serving.stderr().contains("can be read by other users: chmod 600 certs/server-key.pem"), warned);
        assert!(!serving.stderr().contains("PRIVATE"));
    }
}

#[cfg(feature = "pki")]
#[test]
fn nobody_has_to_listen_to_its_output() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let script = dir.write("quiet", format!("exec {} demo --dir demo --listen 127.0.0.1:0 >&-\n", binary().display()));
    let serving = Serving::start(std::path::Path::new("/bin/sh"), dir.path(), &[script.to_str().unwrap()]);
    for _ in 0..3 {
        assert_eq!(get(serving.addr, None, &TLS13).unwrap().status, 401);
    }
    assert!(!serving.stderr().contains("panicked"), "{}", serving.stderr());
}

#[test]
fn help_and_version_are_results() {
    let dir = TempDir::new();
    let help = run(dir.path(), &["--help"]);
    assert!(help.status.success() && help.stderr.is_empty());
    let version = run(dir.path(), &["--version"]);
    assert_eq!(String::from_utf8_lossy(&version.stdout), format!("mtls-min {}\n", env!("CARGO_PKG_VERSION")));
}

#[cfg(feature = "pki")]
#[test]
fn the_usage_in_the_manual_is_that_of_help() {
    let dir = TempDir::new();
    let manual = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cli.md")).unwrap();
    for args in [
        &["--help"][..],
        &["demo", "--help"],
        &["check", "--help"],
        &["certs", "--help"],
        &["certs", "init", "--help"],
        &["certs", "server", "--help"],
        &["certs", "list", "--help"],
        &["certs", "crl", "--help"],
        &["certs", "client", "--help"],
        &["certs", "renew", "--help"],
        &["certs", "revoke", "--help"],
        &["completions", "--help"],
        &["man", "--help"],
    ] {
        let help = String::from_utf8(run(dir.path(), args).stdout).unwrap();
        assert!(manual.contains(help.trim_end()), "docs/cli.md lacks:\n{help}");
    }
}

#[test]
fn the_same_client_is_refused_in_the_handshake_if_asked_for() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let serving = Serving::start(&binary(), dir.path(), &[&ANY_PORT[..], &["--refuse-in-handshake"]].concat());
    assert!(get(serving.addr, None, &TLS13).is_err());
    assert!(get(serving.addr, Some(&self_signed("mallory")), &TLS13).is_err());
    assert_eq!(get(serving.addr, Some(&ca.client("alice")), &TLS13).unwrap().status, 200);
    eventually(|| {
        serving.stderr().contains("refused=no_certificate") && serving.stderr().contains("refused=self_signed")
    });
}
