//! The command line: options in any order, and the errors for unknown ones.

use crate::support::client::{TLS13, eventually, get};
use crate::support::command::{Serving, binary, run, site};
use crate::support::files::TempDir;
use crate::support::pki::Ca;

fn said(dir: &TempDir, line: &str) -> (Option<i32>, String) {
    let words: Vec<_> = line.split_whitespace().collect();
    let output = run(dir.path(), &words);
    (output.status.code(), String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap())
}

#[test]
fn values_may_stand_behind_an_equals_sign() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let args = ["--ca=certs/ca.pem", "--listen=127.0.0.1:0", "--workers=2", "--allow=cn:alice"];
    let serving = Serving::start(&binary(), dir.path(), &args);
    assert_eq!(get(serving.addr, Some(&ca.client("alice")), &TLS13).unwrap().status, 200);
    assert_eq!(get(serving.addr, Some(&ca.client("bob")), &TLS13).unwrap().status, 403);
}

#[cfg(feature = "pki")]
#[test]
fn help_is_a_command_too() {
    let dir = TempDir::new();
    for (asked, like) in [
        ("help", "--help"),
        ("help demo", "demo --help"),
        ("help certs", "certs --help"),
        ("help certs client", "certs client --help"),
        ("certs help", "certs --help"),
        ("certs help client", "certs client --help"),
        ("certs --dir x client -h", "certs client --help"),
        ("help help", "--help"),
    ] {
        let (code, help) = said(&dir, asked);
        assert_eq!((code, &help), (Some(0), &said(&dir, like).1), "{asked}");
        assert!(help.starts_with("Usage: mtls-min"), "{asked}: {help}");
    }
    let (code, error) = said(&dir, "help certs clinet");
    assert!(code == Some(2) && error.contains("did you mean mtls-min certs client?"), "{error}");
}

#[cfg(feature = "pki")]
#[test]
fn options_may_come_after_the_command_that_they_belong_to() {
    let dir = TempDir::new();
    assert_eq!(said(&dir, "certs init --dir=d --host localhost").0, Some(0));
    assert_eq!(said(&dir, "certs client alice --days=9 --dir d").0, Some(0));
    let (code, list) = said(&dir, "certs list --dir d");
    assert!(code == Some(0) && list.contains("alice"), "{list}");
    let (code, error) = said(&dir, "demo --ca x");
    assert!(code == Some(1) && error.contains("the demo brings its own certificates, so --ca"), "{error}");
    let (code, error) = said(&dir, "certs list --dir d --ca x");
    assert!(code == Some(1) && error.contains("the options of the server do not go with certs"), "{error}");
    let (code, error) = said(&dir, "certs --dir d list --dir d");
    assert!(code == Some(2) && error.contains("--dir") && error.contains("duplicate"), "{error}");
}

/// No option is silently ignored.
#[test]
fn options_that_say_nothing_of_trust_do_not_go_with_check() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    dir.write("alice.pem", ca.client("alice").pem());
    let server = ["--listen 127.0.0.1:0", "--workers 2", "--resumption", "--cert certs/server-crt.pem", "--log json"];
    for option in server {
        for line in [format!("{option} check alice.pem"), format!("check alice.pem {option}")] {
            let (code, error) = said(&dir, &line);
            assert!(
                code == Some(2) && error.contains("only those server options that say whom to trust"),
                "{line}: {error}"
            );
        }
    }
    let trust = "--ca certs/ca.pem --allow cn:alice --accept-v1";
    for line in [format!("{trust} check alice.pem"), format!("check alice.pem {trust}")] {
        assert_eq!(said(&dir, &line).0, Some(0), "{line}");
    }
}

#[test]
fn what_is_not_known_is_told_with_what_was_meant_and_the_right_help() {
    let dir = TempDir::new();
    for (line, parts) in [
        ("--crl-requird", &["no option --crl-requird", "did you mean --crl-required?", "mtls-min --help lists"][..]),
        ("chekc x", &["no command chekc", "did you mean mtls-min check?", "mtls-min --help lists"]),
        ("check x --alow cn:x", &["did you mean --allow?", "mtls-min check --help lists"]),
        ("check", &["file", "mtls-min check --help lists"]),
        ("check --at never x", &["--at", "never", "mtls-min check --help lists"]),
        ("--workers", &["--workers needs a value: --workers <n>"]),
        ("--resumption=on", &["--resumption takes no value"]),
        ("demo --listne x", &["did you mean --listen?", "mtls-min demo --help lists"]),
        ("--quite-another", &["no option --quite-another"]),
        ("-v", &["there is no option -v"]),
    ] {
        let (code, error) = said(&dir, line);
        assert_eq!(code, Some(2), "{line}: {error}");
        assert!(error.starts_with("mtls-min: "), "{line}: {error}");
        for part in parts {
            assert!(error.contains(part), "{line} does not say {part:?}: {error}");
        }
    }
    let (_, error) = said(&dir, "--quite-another");
    assert!(!error.contains("did you mean"), "{error}");
}

#[test]
fn an_address_that_is_given_twice_is_told_as_that() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for (first, second) in [("127.0.0.1", "127.0.0.1"), ("localhost", "127.0.0.1"), ("[::1]", "[0:0::1]")] {
        let (code, error) = said(&dir, &format!("--listen {first}:{free} --listen {second}:{free}"));
        assert!(code == Some(1) && error.contains("is given twice"), "{error}");
        assert!(!error.contains("another program"), "{error}");
    }
    let (code, error) = said(&dir, &format!("--listen 0.0.0.0:{free} --listen 127.0.0.1:{free}"));
    assert!(code == Some(1) && error.contains("covers all others of its port"), "{error}");
    // Two ports that the system chooses are two.
    let args = ["--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"];
    let serving = Serving::start(&binary(), dir.path(), &args);
    eventually(|| serving.stderr().matches("listening on").count() == 2);
}

#[test]
fn signals_that_mean_nothing_end_nothing() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let mut serving = Serving::start(&binary(), dir.path(), &["--listen", "127.0.0.1:0"]);
    let alice = ca.client("alice");
    // Until it answers, signals end it at once.
    assert_eq!(get(serving.addr, Some(&alice), &TLS13).unwrap().status, 200);
    for signal in ["USR1", "USR2", "PIPE", "HUP", "USR1"] {
        serving.signal(signal);
        assert_eq!(get(serving.addr, Some(&alice), &TLS13).unwrap().status, 200, "{signal}");
    }
    eventually(|| serving.stderr().contains("this signal means nothing here; SIGHUP reads the files anew"));
    serving.signal("TERM");
    assert_eq!(serving.exit_code(), Some(0));
}

#[cfg(not(feature = "pki"))]
#[test]
fn a_build_that_makes_no_certificates_says_so() {
    let ca = Ca::new("ca");
    let dir = TempDir::new();
    for line in ["certs init", "help certs", "certs client alice --dir x"] {
        let (code, error) = said(&dir, line);
        assert_eq!(code, Some(2), "{line}: {error}");
        assert!(error.contains("this build has no certs") && error.contains("make-certs.sh"), "{line}: {error}");
    }
    let (code, error) = said(&dir, "demo");
    assert!(code == Some(1) && error.contains("certs/ca.pem is not there, and this build cannot make it"), "{error}");
    assert!(error.contains("make-certs.sh") && !dir.path().join("certs").exists(), "{error}");
    let (code, error) = said(&site(&ca), "demo");
    assert!(code == Some(1) && error.contains("certs was not made by the demo") && error.contains("--dir"), "{error}");
}
