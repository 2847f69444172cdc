//! `mtls-min certs` over time: a revoked client gets a new certificate, and a directory is restored from a backup.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use mtls_min::pki::{ClientRequest, Directory};

use crate::support::certs::{certs, crl, digits, done, fails, holder, identity, initialised, read, snapshot, told};
use crate::support::client::{TLS13, eventually, get};
use crate::support::command::{Serving, binary, run};
use crate::support::files::TempDir;

const FILES: [&str; 4] = ["-crt.pem", "-key.pem", ".p12", ".legacy.p12"];

#[test]
fn a_new_phone_gets_a_certificate_under_the_name_of_the_revoked_one() {
    let dir = initialised();
    done(&dir, "client phone");
    let old = digits(identity(&dir, "phone").serial());
    let files = snapshot(&dir);
    done(&dir, "revoke phone --reason key-compromise");
    let said = fails(&dir, "renew phone");
    assert!(
        said.contains("phone is revoked") && said.contains("`mtls-min certs client phone` makes a new one"),
        "{said}"
    );
    let notice = told(&dir, "client phone");
    assert_eq!(notice, format!("mtls-min: the files of the revoked phone are now called phone.revoked-{old}\n"));
    // The old files are kept under another name, as they were.
    for ending in FILES {
        assert_eq!(
            snapshot(&dir)[&format!("phone.revoked-{old}{ending}")],
            files[&format!("phone{ending}")],
            "{ending}"
        );
        assert_ne!(snapshot(&dir)[&format!("phone{ending}")], files[&format!("phone{ending}")], "{ending}");
    }
    let new = digits(identity(&dir, "phone").serial());
    assert_eq!(crl(&dir).2, [(old.clone(), 1)], "the old one stays revoked");
    // It can be renewed, revoked and made again.
    done(&dir, "renew phone");
    done(&dir, "revoke phone");
    assert!(crl(&dir).2.iter().any(|(serial, _)| *serial == new));
    told(&dir, "client phone");
    assert_eq!(snapshot(&dir).keys().filter(|name| name.starts_with("phone.revoked-")).count(), 8);
    assert!(done(&dir, "list").lines().filter(|line| line.starts_with("phone ")).count() == 4);
}

#[test]
fn a_revoked_server_is_made_anew_too() {
    let dir = initialised();
    done(&dir, "revoke server");
    let said = fails(&dir, "renew server");
    assert!(said.contains("certs server --host HOST server"), "{said}");
    told(&dir, "server server --host localhost");
    assert_eq!(snapshot(&dir).keys().filter(|name| name.starts_with("server.revoked-")).count(), 2);
}

#[test]
fn only_files_of_a_revoked_certificate_make_room() {
    let dir = initialised();
    done(&dir, "client alice");
    done(&dir, "client bob");
    let (alice, bob) = (read(&dir, "alice-crt.pem"), read(&dir, "bob-crt.pem"));
    let serial = digits(identity(&dir, "alice").serial());
    // Valid; of another name; unreadable; a key alone.
    done(&dir, "revoke bob");
    let refused = |why: &str| {
        let before = snapshot(&dir);
        let said = fails(&dir, "client alice");
        assert!(said.contains("is there already"), "{why}: {said}");
        assert!(snapshot(&dir) == before, "{why}: something has changed");
    };
    refused("valid");
    done(&dir, "revoke alice");
    dir.write("certs/alice-crt.pem", bob);
    refused("another's");
    dir.write("certs/alice-crt.pem", "nonsense");
    refused("unreadable");
    fs::remove_file(dir.path().join("certs/alice-crt.pem")).unwrap();
    refused("a key alone");
    dir.write("certs/alice-crt.pem", &alice);
    dir.write(&format!("certs/alice.revoked-{serial}.p12"), "mine");
    refused("the other name is taken");
    fs::remove_file(dir.path().join(format!("certs/alice.revoked-{serial}.p12"))).unwrap();
    // The command was killed after it had moved all but the certificate: the next one finishes.
    fs::rename(
        dir.path().join("certs/alice-key.pem"),
        dir.path().join(format!("certs/alice.revoked-{serial}-key.pem")),
    )
    .unwrap();
    told(&dir, "client alice");
    assert_eq!(snapshot(&dir).keys().filter(|name| name.starts_with("alice.revoked-")).count(), 4);
}

#[test]
fn a_request_that_cannot_be_met_moves_no_file() {
    let dir = initialised();
    done(&dir, "client alice");
    done(&dir, "revoke alice");
    let before = snapshot(&dir);
    for args in ["client alice --days 0", "client alice --email nobody", "client alice --password-file missing"] {
        fails(&dir, args);
        assert!(snapshot(&dir) == before, "{args} changed something");
    }
}

/// Numbers that count up by one come again after a restore, for different lists.
#[test]
fn a_directory_from_a_backup_uses_no_number_of_a_list_again() {
    let dir = initialised();
    done(&dir, "client alice");
    let backup = snapshot(&dir);
    let now = SystemTime::now();
    let at = |days: u64| now + Duration::from_secs(days * 24 * 3600);
    let directory = Directory::new(dir.path().join("certs"));
    directory.sign_crl(None, at(1)).unwrap();
    directory.revoke("alice", Default::default(), at(2)).unwrap();
    directory.sign_crl(None, at(3)).unwrap();
    let newest = crl(&dir).0;
    for (name, content) in &backup {
        dir.write(&format!("certs/{name}"), content);
    }
    directory.sign_crl(None, at(4)).unwrap();
    assert!(crl(&dir).0 > newest, "a server that has met the newest list sees that this is another, later one");
    // Numbers grow within a second too, and when the clock goes back.
    let mut last = crl(&dir).0;
    for when in [at(4), at(4), at(1)] {
        directory.sign_crl(None, when).unwrap();
        assert!(crl(&dir).0 > last);
        last = crl(&dir).0;
    }
}

/// A server accepts the numbers of older directories, which counted from 1, and the larger ones after them.
#[test]
fn an_index_that_counted_its_lists_goes_on_with_the_time() {
    let dir = initialised();
    let index = read(&dir, "index.txt");
    let line = index.lines().nth(1).unwrap();
    let counted = line.replacen(&crl(&dir).0.to_string(), "7", 1);
    dir.write("certs/index.txt", index.replacen(line, &counted, 1));
    fs::remove_file(dir.path().join("certs/crl.pem")).unwrap();
    done(&dir, "crl");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    assert!((now - 600..=now).contains(&crl(&dir).0), "{}", crl(&dir).0);
}

/// The newest list, brought back from a server, mends what a restored directory has forgotten.
#[test]
fn a_restored_directory_learns_from_the_list_that_a_server_has() {
    let dir = initialised();
    done(&dir, "client alice");
    let backup = snapshot(&dir);
    done(&dir, "revoke alice --reason key-compromise");
    let on_server = read(&dir, "crl.pem");
    let alice = holder(&dir, "alice");
    for (name, content) in &backup {
        dir.write(&format!("certs/{name}"), content);
    }
    dir.write("certs/crl.pem", on_server);
    let (_, list, notice) = certs(&dir, "list");
    assert!(
        notice.contains("1 revocation is taken over from certs/crl.pem, which is newer than index.txt"),
        "{notice}"
    );
    assert!(list.contains("key-compromise"), "{list}");
    told(&dir, "client bob");
    done(&dir, "crl");
    let args = ["--ca", "certs/ca.pem", "--crl", "certs/crl.pem", "--listen", "127.0.0.1:0"];
    let serving = Serving::start(&binary(), dir.path(), &args);
    assert_eq!(get(serving.addr, Some(&alice), &TLS13).unwrap().status, 401);
    assert_eq!(get(serving.addr, Some(&holder(&dir, "bob")), &TLS13).unwrap().status, 200);
}

/// Otherwise nobody would ever know it.
#[test]
fn a_password_that_cannot_be_shown_is_an_error_with_its_mend() {
    let dir = initialised();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(binary());
    command.args(["certs", "client", "alice"]).current_dir(dir.path()).stdin(Stdio::null());
    let output = command.stdout(full).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("their password could not be shown") && said.contains("certs renew alice"), "{said}");
    let again = done(&dir, "renew alice");
    assert!(again.contains("shown this once: "), "{again}");
}

#[test]
fn a_name_with_other_letters_is_told_which() {
    let dir = TempDir::new();
    for (name, letter) in [("zoë", "ë"), ("jürgen", "ü"), ("Ольга", "О"), ("李", "李")] {
        let said = fails(&dir, &format!("client {name}"));
        assert!(said.contains(&format!("write it without {letter}: only the letters a to z")), "{said}");
    }
    for name in ["a/b", "x.legacy", "ca", "a…b"] {
        let said = fails(&dir, &format!("client {name}"));
        assert!(said.contains("1 to 64 letters") && !said.contains("write it without"), "{said}");
    }
    let directory = Directory::new(dir.path().join("certs"));
    directory.issue_client(&ClientRequest::new("zoë"), "a password", SystemTime::now()).unwrap_err();
}

#[test]
fn a_running_server_takes_the_new_certificate_of_a_revoked_name() {
    let dir = initialised();
    done(&dir, "client phone");
    let args = ["--ca", "certs/ca.pem", "--crl", "certs/crl.pem", "--listen", "127.0.0.1:0"];
    let serving = Serving::start(&binary(), dir.path(), &args);
    let status = |holder| get(serving.addr, Some(&holder), &TLS13).unwrap().status;
    let old = holder(&dir, "phone");
    done(&dir, "revoke phone");
    eventually(|| status(old.clone()) == 401);
    told(&dir, "client phone");
    assert_eq!(status(holder(&dir, "phone")), 200);
    assert_eq!(status(old), 401);
}

/// What a hint puts between back quotes can be typed as it is.
#[test]
fn the_commands_in_hints_name_the_directory_that_is_worked_in() {
    let dir = TempDir::new();
    let certs = |words: &[&str]| {
        let output = run(dir.path(), &[&["certs", "--dir", "my certs"], words].concat());
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
    };
    certs(&["init"]);
    certs(&["client", "phone"]);
    let said = certs(&["client", "phone"]);
    assert!(said.contains("`mtls-min certs --dir 'my certs' renew phone`"), "{said}");
    certs(&["revoke", "phone"]);
    let said = certs(&["renew", "phone"]);
    assert!(said.contains("`mtls-min certs --dir 'my certs' client phone`"), "{said}");
    fs::remove_file(dir.path().join("my certs/crl.pem")).unwrap();
    let said = certs(&["list"]);
    assert!(said.contains("`mtls-min certs --dir 'my certs' crl`"), "{said}");
    // In the cause of an error.
    fs::remove_file(dir.path().join("my certs/index.txt")).unwrap();
    let said = certs(&["revoke", "phone"]);
    assert!(said.contains("`mtls-min certs --dir 'my certs' ") && !said.contains("certs crl"), "{said}");
}
