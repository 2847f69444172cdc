//! The options that say whom to trust: what they do, what the start says, and bad input.

use std::time::SystemTime;

use crate::support::client::{GET, TLS13, config, connect, eventually, exchange, get};
use crate::support::command::{self, Serving, binary, run};
use crate::support::crl::Crl;
use crate::support::files::TempDir;
use crate::support::pki::{Ca, HOUR, self_signed};

/// A directory with ca.pem, crl.pem (empty, number 1) and the server's files.
fn site(ca: &Ca) -> TempDir {
    let dir = command::site(ca);
    dir.write("certs/crl.pem", Crl::number(1).pem(ca));
    dir
}

fn serve(dir: &TempDir, options: &str) -> Serving {
    let options: Vec<&str> = options.split_whitespace().chain(["--listen", "127.0.0.1:0"]).collect();
    Serving::start(&binary(), dir.path(), &options)
}

#[test]
fn a_list_is_named_at_start_and_its_successor_when_it_is_read() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let serving = serve(&dir, "--crl certs/crl.pem");
    let alice = ca.client("alice");
    assert!(serving.stderr().contains("in force: 1 CA, 0 pinned clients, list number 1 of CN=ca with 0 revoked"));
    let mut open = connect(serving.addr, config(Some(&alice), &TLS13));
    assert_eq!(exchange(&mut open, GET).unwrap().status, 200);
    dir.replace("certs/crl.pem", Crl::number(2).revoking(&alice).pem(&ca));
    eventually(|| serving.stderr().contains("read the files anew; in force: 1 CA, 0 pinned clients, list number 2"));
    assert!(!matches!(exchange(&mut open, GET), Ok(reply) if reply.status == 200));
    assert_eq!(get(serving.addr, Some(&alice), &TLS13).unwrap().status, 401);
    eventually(|| serving.stdout().contains("refused=revoked") && serving.stdout().contains("reason keyCompromise"));
    // An older list does not bring anybody back.
    dir.replace("certs/crl.pem", Crl::number(1).pem(&ca));
    eventually(|| serving.stderr().contains("has number 1, lower than 2, which is in force; hint: "));
    assert_eq!(get(serving.addr, Some(&alice), &TLS13).unwrap().status, 401);
}

#[test]
fn sighup_reads_the_files_and_says_so_though_nothing_has_changed() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let mut serving = serve(&dir, "");
    for number in 1..3 {
        serving.signal("HUP");
        eventually(|| serving.stderr().matches("read the files anew").count() == number);
    }
    dir.write("certs/ca.pem", "");
    eventually(|| serving.stderr().contains("what was read before stays in force"));
    let before = serving.stderr().matches("stays in force").count();
    serving.signal("HUP");
    eventually(|| serving.stderr().matches("stays in force").count() == before + 1);
    assert_eq!(get(serving.addr, Some(&ca.client("alice")), &TLS13).unwrap().status, 200);
    serving.signal("TERM");
    assert_eq!(serving.exit_code(), Some(0));
}

#[test]
fn rules_and_policies_are_taken_from_the_command_line_and_read_anew() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    dir.write("policy", "/health anyone\n/ cn:alice\n");
    let serving = serve(&dir, "--policy policy");
    let (alice, bob) = (ca.client("alice"), ca.client("bob"));
    let status = |holder, path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        exchange(&mut connect(serving.addr, config(holder, &TLS13)), request).unwrap().status
    };
    assert_eq!((status(Some(&alice), "/"), status(Some(&bob), "/"), status(None, "/")), (200, 403, 401));
    assert_eq!((status(Some(&bob), "/health"), status(None, "/health")), (200, 200));
    eventually(|| {
        serving.stdout().contains("refused=not_allowed") && serving.stdout().contains("the nearest rule is cn:alice")
    });
    dir.replace("policy", "/ cn:bob\n");
    eventually(|| (status(Some(&alice), "/"), status(Some(&bob), "/")) == (403, 200));
    assert_eq!(status(None, "/health"), 401);

    let serving = serve(&dir, "--allow cn:alice --allow cn:carol");
    let status = |name| get(serving.addr, Some(&ca.client(name)), &TLS13).unwrap().status;
    assert_eq!((status("alice"), status("bob"), status("carol")), (200, 403, 200));
}

#[test]
fn with_authorised_clients_no_ca_is_needed() {
    let dir = site(&Ca::new("ca"));
    std::fs::remove_file(dir.path().join("certs/ca.pem")).unwrap();
    std::fs::create_dir(dir.path().join("clients")).unwrap();
    let alice = self_signed("alice");
    dir.write("clients/laptop.pem", alice.pem());
    let serving = serve(&dir, "--authorized-clients clients --allow client:laptop");
    assert!(
        serving.stderr().contains("in force: 0 CAs, 0 pinned clients, 1 authorised client"),
        "{}",
        serving.stderr()
    );
    assert_eq!(get(serving.addr, Some(&alice), &TLS13).unwrap().status, 200);
    let page = "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n";
    let page = exchange(&mut connect(serving.addr, config(Some(&alice), &TLS13)), page).unwrap().body;
    assert!(page.contains("<dt>Known here as</dt><dd>laptop</dd>"), "{page}");
    eventually(|| serving.stdout().contains("subject=\"CN=alice\" known_as=\"laptop\"\n"));
}

#[test]
fn a_client_whose_certificate_expires_soon_is_told_of_once_and_told_on_the_page() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let serving = serve(&dir, "");
    let days = |days: u32| {
        ca.client_with("alice", |params| params.not_after = (SystemTime::now() + HOUR * (24 * days + 1)).into())
    };
    let (soon, later) = (days(13), days(15));
    let page = |holder| {
        let page = "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n";
        exchange(&mut connect(serving.addr, config(Some(holder), &TLS13)), page).unwrap().body
    };
    let soon_page = page(&soon);
    assert!(soon_page.contains("It expires soon") && soon_page.contains("<dd>13 days</dd>"), "{soon_page}");
    let later_page = page(&later);
    assert!(!later_page.contains("It expires soon") && later_page.contains("<dd>15 days</dd>"), "{later_page}");
    page(&soon);
    let told = || serving.stderr().matches("warning: the certificate of CN=alice expires in 13 days").count();
    eventually(|| told() == 1);
    eventually(|| serving.stdout().lines().count() == 3);
    assert_eq!(told(), 1);
}

#[test]
fn what_the_operator_should_know_is_said_at_start() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let other = Ca::with("other", |params| params.not_after = (SystemTime::now() + HOUR * 24 * 20).into());
    dir.write("other.pem", other.pem());
    let soon = Some(SystemTime::now() + HOUR * 5);
    dir.write("certs/crl.pem", Crl { next_update: soon, ..Crl::number(3) }.pem(&ca));
    let serving = serve(&dir, "--ca certs/ca.pem --ca other.pem --crl certs/crl.pem");
    for warning in [
        "warning: the revocation list of CN=ca, number 3, is only valid until 20",
        "warning: no revocation list of CN=other: its clients are judged without one (--crl-required refuses them)",
        "warning: the CA CN=other expires on 20",
    ] {
        eventually(|| serving.stderr().contains(warning));
    }
    let warning = "warning: certs/crl.pem exists but is not used, so no certificate is revoked; load it with --crl";
    for (options, is_said) in [
        ("", true),
        ("--ca certs/ca.pem --ca other.pem", true),
        ("--crl certs/crl.pem", false),
        ("--crl-required", false),
    ] {
        let serving = serve(&dir, options);
        // It is said before the port opens.
        assert_eq!(serving.stderr().contains(warning), is_said, "{options}: {}", serving.stderr());
    }
    let serving = serve(&dir, "--crl-required");
    let warning = "warning: no revocation list of CN=ca, and one is required: its clients are refused";
    eventually(|| serving.stderr().contains(warning));
    // A board without a clock: the server starts, and says why it lets nobody in.
    dir.write("early.pem", Crl { this_update: SystemTime::now() + HOUR, ..Crl::number(2) }.pem(&ca));
    let serving = serve(&dir, "--crl early.pem");
    eventually(|| serving.stderr().contains("the revocation list of CN=ca is from the future, issued on 20"));
    let young = Ca::with("young", |params| params.not_before = (SystemTime::now() + HOUR).into());
    dir.write("certs/ca.pem", young.pem());
    let serving = serve(&dir, "");
    eventually(|| {
        serving.stderr().contains("warning: the system clock is wrong: no CA is valid yet, the first one will be on 20")
    });
}

#[test]
fn bad_lists_rules_and_directories_stop_the_start_with_a_clear_error() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    dir.write("other-crl.pem", Crl::number(1).pem(&Ca::new("other")));
    dir.write("key.pem", ca.key_pem());
    dir.write("bad-policy", "# who\n\n/ any\n/admin cn\n");
    dir.write("two-roots", "/ any\n");
    dir.write("cut", "/ any\n/admin cn:alice or cn:b");
    dir.write("typo", "/ any\nGTE /admin cn:bob\n");
    dir.write("health", "/ any\n/health anyone\n");
    dir.write("binary", [0xff, 0xfe, 0]);
    std::fs::create_dir(dir.path().join("clients")).unwrap();
    dir.write("clients/broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    for (options, code, words) in [
        (
            "--crl missing",
            1,
            &["cannot read the file of revocation lists missing", "No such file", "mtls-min certs crl"][..],
        ),
        ("--crl certs", 1, &["certs", "directory"]),
        ("--crl key.pem", 1, &["key.pem, line 1", "PRIVATE KEY"]),
        ("--crl certs/ca.pem", 1, &["certs/ca.pem, line 1", "among the revocation lists"]),
        ("--ca certs/crl.pem", 1, &["certs/crl.pem, line 1", "--crl"]),
        ("--crl other-crl.pem", 1, &["other-crl.pem, line 1", "CN=other, which is not a loaded CA", "--ca"]),
        ("--crl-expired ignore", 2, &["--crl-expired", "refuse nor warn"]),
        ("--allow alice", 1, &["--allow alice", "kind:value", "cn:"]),
        ("--allow dns:*.example.com", 1, &["can never match", "wildcard"]),
        ("--allow client:laptop", 1, &["client:laptop can never match", "--authorized-clients"]),
        ("--policy missing", 1, &["cannot read the policy missing", "--policy names"]),
        ("--policy bad-policy", 1, &["bad-policy, line 4", "is not a rule"]),
        ("--policy binary", 1, &["binary is not UTF-8", "save it as UTF-8"]),
        ("--policy cut", 1, &["the policy cut does not end", "renamed"]),
        ("--policy typo", 1, &["typo, line 2", "GTE", "methods are GET HEAD"]),
        (
            "--policy health --refuse-in-handshake",
            1,
            &["health, line 2", "cannot be for anyone", "--refuse-in-handshake"],
        ),
        ("--allow issuer:CN=other", 1, &["issuer:CN=other can never match", "CN=ca"]),
        ("--key missing", 1, &["missing", "--key"]),
        ("--policy two-roots --allow cn:alice", 1, &["two-roots, line 1", "--allow"]),
        (
            "--authorized-clients missing",
            1,
            &["cannot read the directory of authorised clients missing", "--authorized-clients names"],
        ),
        ("--authorized-clients clients", 1, &["clients/broken.pem, line 1", "broken"]),
    ] {
        let line: Vec<&str> = options.split_whitespace().chain(["--listen", "127.0.0.1:0"]).collect();
        let output = run(dir.path(), &line);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{options}: {said}");
        assert!(!said.contains("listening"), "{options}: {said}");
        for word in words {
            assert!(said.contains(word), "{options}: {said:?} lacks {word:?}");
        }
    }
}

#[test]
fn sessions_are_resumed_only_if_asked_for() {
    use rustls::HandshakeKind::{Full, Resumed};
    let ca = Ca::new("ca");
    let dir = site(&ca);
    for (options, expected) in [("", Full), ("--resumption", Resumed)] {
        let serving = serve(&dir, options);
        let config = std::sync::Arc::new(config(Some(&ca.client("alice")), &TLS13));
        let visit = || {
            let mut stream =
                crate::support::client::connect_as(serving.addr, std::sync::Arc::clone(&config), "localhost");
            assert_eq!(exchange(&mut stream, GET).unwrap().status, 200);
            stream.conn.handshake_kind().unwrap()
        };
        visit();
        assert_eq!(visit(), expected);
    }
}
