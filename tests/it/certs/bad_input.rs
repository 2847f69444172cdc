//! What `mtls-min certs` refuses: bad input, damaged files, a wrong clock. Nothing is changed then.

use std::fs;
use std::time::SystemTime;

use mtls_min::pki::{ClientRequest, Directory};

use crate::support::certs::{DAY, certs, done, fails, initialised, read, snapshot};
use crate::support::command::run;
use crate::support::files::TempDir;
use crate::support::pki::Ca;

#[test]
fn bad_input_is_named_with_its_mend_and_changes_nothing() {
    let dir = initialised();
    done(&dir, "client alice");
    done(&dir, "client gone");
    done(&dir, "revoke gone");
    dir.write("empty", "");
    dir.write("short", "seven77\n");
    dir.write("umlaut", "pässwörter\n");
    let other = Ca::new("other").client("foreign");
    dir.write("certs/foreign-crt.pem", other.pem());
    let long = "x".repeat(65);
    let before = snapshot(&dir);
    let cases: &[(&str, i32, &[&str])] = &[
        ("init", 1, &["certs/ca.pem is there already", "--dir"]),
        ("--dir new init --host a..b", 1, &["\"a..b\" is neither a DNS name nor an IP address"]),
        ("--dir new init --host https://x", 1, &["https://x"]),
        ("--dir new init --host a.test.", 1, &["\"a.test.\" is neither a DNS name nor an IP address"]),
        ("--dir /proc/none init", 1, &["cannot make the directory /proc/none"]),
        ("--dir empty init", 1, &["cannot make the directory empty"]),
        ("--dir new client bob", 1, &["there is no new/ca.pem", "certs --dir new init"]),
        ("--dir new list", 1, &["there is no new/ca.pem", "certs --dir new init"]),
        ("client alice", 1, &["certs/alice-crt.pem is there already", "certs renew alice"]),
        ("client ca", 1, &["\"ca\"", "are reserved"]),
        ("client server", 1, &["\"server\"", "are reserved"]),
        ("client crl", 1, &["\"crl\""]),
        ("client index", 1, &["\"index\""]),
        ("client x.legacy", 1, &["\"x.legacy\""]),
        ("client .hidden", 1, &["\".hidden\"", "not beginning with"]),
        ("client ../x", 1, &["\"../x\"", "letters, digits"]),
        ("client zoë", 1, &["\"zoë\"", "without ë", "letters, digits"]),
        (&format!("client {long}"), 1, &["1 to 64"]),
        ("client -- -x", 1, &["\"-x\""]),
        ("client", 2, &["name"]),
        ("client bob --days 0", 1, &["1 to 3650 days, not 0"]),
        ("client bob --days 3651", 1, &["1 to 3650 days, not 3651"]),
        ("client bob --days ten", 2, &["--days", "ten"]),
        ("client bob --email nobody", 1, &["\"nobody\" is not an e-mail address"]),
        ("client bob --email @x", 1, &["\"@x\" is not an e-mail address"]),
        ("client bob --email a@b@c", 1, &["is not an e-mail address"]),
        ("client bob --email zoë@x.test", 1, &["is not an e-mail address", "ASCII"]),
        ("client bob --uri no-scheme", 1, &["\"no-scheme\" is not a URI with a scheme"]),
        ("client bob --uri spiffe://", 1, &["is not a URI"]),
        ("client bob --uri 1x:y", 1, &["is not a URI"]),
        ("client bob --uri urn:zoë", 1, &["is not a URI", "%xx"]),
        ("client bob --rsa 1024", 2, &["2048 or 4096"]),
        ("client bob --password-file missing", 1, &["cannot read the password in missing"]),
        ("client bob --password-file empty", 1, &["at least 8 characters"]),
        ("client bob --password-file short", 1, &["at least 8 characters"]),
        ("client bob --password-file umlaut", 1, &["printable ASCII"]),
        ("client bob --password-file short --ask", 1, &["do not go together"]),
        ("client bob --password secret", 2, &["--password"]),
        ("server", 1, &["needs a host name"]),
        ("server --host localhost", 1, &["certs/server-crt.pem is there already", "certs renew server"]),
        ("server two --host localhost --days 398", 1, &["1 to 397 days", "browsers"]),
        ("server two --host other.test", 1, &["do not allow other.test", "another directory"]),
        ("server two --host 10.0.0.1", 1, &["do not allow 10.0.0.1"]),
        ("renew bob", 1, &["there is no certificate called bob in certs", "certs list"]),
        ("renew gone", 1, &["gone is revoked", "certs client gone", "makes a new one"]),
        ("renew server --days 398", 1, &["1 to 397 days"]),
        ("renew alice --days 3651", 1, &["1 to 3650 days"]),
        ("revoke bob", 1, &["there is no certificate called bob in certs", "certs list"]),
        ("revoke foreign", 1, &["certs/foreign-crt.pem is not a certificate of this CA"]),
        ("revoke ca", 1, &["\"ca\""]),
        ("revoke ../alice", 1, &["\"../alice\""]),
        ("revoke alice --reason bored", 2, &["bored", "key-compromise"]),
        ("crl --days 0", 1, &["1 to 3650 days, not 0"]),
        ("", 2, &["init", "client", "revoke"]),
        ("nonsense", 2, &["nonsense"]),
    ];
    for (args, code, parts) in cases {
        let (ended, stdout, stderr) = certs(&dir, args);
        assert_eq!(ended, *code, "certs {args}: {stderr}");
        assert_eq!(stdout, "", "certs {args}");
        for part in *parts {
            assert!(stderr.contains(part), "certs {args} does not say {part:?}: {stderr}");
        }
        assert!(!stderr.contains("panicked"), "certs {args}: {stderr}");
        assert!(snapshot(&dir) == before, "certs {args} changed something");
        assert!(!dir.path().join("new").exists(), "certs {args} made something");
    }
}

#[test]
fn the_servers_options_do_not_go_with_certs() {
    let dir = TempDir::new();
    for option in [&["--ca", "certs/ca.pem"][..], &["--listen", "127.0.0.1:0"], &["--resumption"], &["--log", "json"]] {
        let output = run(dir.path(), &[option, &["certs", "init"]].concat());
        assert_eq!(output.status.code(), Some(1), "{option:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("do not go with certs"));
        assert!(!dir.path().join("certs").exists());
    }
}

#[test]
fn a_list_that_is_not_this_cas_stops_everything() {
    let (dir, other, namesake) = (initialised(), TempDir::new(), initialised());
    done(&other, "init --name other");
    for (content, part) in [
        (read(&other, "crl.pem"), "of another CA"),
        (read(&namesake, "crl.pem"), "of another CA"),
        ("nonsense".to_owned(), "no revocation list"),
    ] {
        dir.write("certs/crl.pem", content);
        let said = fails(&dir, "crl");
        assert!(said.contains(part) && said.contains("move it away"), "{said}");
    }
    fs::remove_file(dir.path().join("certs/crl.pem")).unwrap();
    done(&dir, "crl");
    dir.write("certs/index.txt", format!("mtls-min index 1\ncrl\t{}\t30\tnone\n", u64::MAX));
    let said = fails(&dir, "crl");
    assert!(said.contains("certs/index.txt") && said.contains("is at its maximum"), "{said}");
}

/// Without the right to read the directory, the hint must not be to make another CA.
#[test]
fn a_ca_that_cannot_be_looked_at_is_not_said_to_be_missing() {
    let dir = initialised();
    let ca = dir.path().join("certs/ca.pem");
    fs::remove_file(&ca).unwrap();
    std::os::unix::fs::symlink("ca.pem", &ca).unwrap();
    for args in ["list", "client alice", "crl"] {
        let said = fails(&dir, args);
        assert!(said.contains("cannot read certs/ca.pem") && !said.contains("certs init"), "{args}: {said}");
    }
}

/// As on a machine without a battery-backed clock, before it has asked for the time: the server would take the list for the newest, and
/// refuse everybody once the clock is set.
#[test]
fn nothing_is_signed_by_a_clock_from_before_the_ca() {
    let dir = initialised();
    done(&dir, "client alice");
    let before = snapshot(&dir);
    let directory = Directory::new(dir.path().join("certs"));
    for now in [SystemTime::UNIX_EPOCH, SystemTime::now() - DAY] {
        let renewal = Default::default();
        for error in [
            directory.sign_crl(None, now).unwrap_err(),
            directory.revoke("alice", Default::default(), now).unwrap_err(),
            directory.renew("alice", &renewal, "a password", now).unwrap_err(),
            directory.issue_client(&ClientRequest::new("bob"), "a password", now).unwrap_err(),
        ] {
            let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<mtls_min::Error>());
            assert!(cause.unwrap().to_string().starts_with("the CA is not valid before 20"), "{error:?}");
            assert_eq!(cause.unwrap().hint_text(), Some("the system clock is wrong; set it"));
        }
        assert!(snapshot(&dir) == before, "something has changed");
    }
}

#[test]
fn an_index_that_is_lost_or_damaged_stops_everything() {
    let dir = initialised();
    done(&dir, "client alice");
    done(&dir, "revoke alice");
    let index = dir.path().join("certs/index.txt");
    let whole = fs::read_to_string(&index).unwrap();
    let list = read(&dir, "crl.pem");
    let check = |part: &str| {
        for args in ["list", "crl", "client bob", "revoke alice", "renew server"] {
            let said = fails(&dir, args);
            assert!(said.contains(part) && said.contains("backup"), "{args}: {said}");
        }
        assert_eq!(read(&dir, "crl.pem"), list);
    };
    for damaged in [&whole[..whole.len() - 9], "", &whole.replace("revoked", "forgiven")] {
        fs::write(&index, damaged).unwrap();
        check("certs/index.txt");
    }
    fs::remove_file(&index).unwrap();
    check("certs/crl.pem is there without index.txt");
}
