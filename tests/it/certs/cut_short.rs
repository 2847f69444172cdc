//! `mtls-min certs` killed at the worst moment: nothing is lost, and the next command finishes what was begun.

use std::fs;
use std::process::Command;
use std::time::{Duration, SystemTime};

use mtls_min::ServerCertificate;

use crate::support::certs::{crl, digits, done, fails, identity, initialised, read, snapshot};
use crate::support::command::binary;
use crate::support::files::TempDir;

/// An index that says its list has yet to be signed.
fn with_pending_list(index: &str) -> String {
    let line = index.lines().nth(1).unwrap();
    index.replacen(line, &format!("{}\tpending", line.rsplit_once('\t').unwrap().0), 1)
}

/// The list cannot be written: the revocation is in the index, says so, and reaches the list with the next change of any
/// kind.
#[test]
fn a_revocation_that_was_cut_short_is_not_lost() {
    for next in ["crl", "client bob", "revoke alice", "renew server"] {
        let dir = initialised();
        done(&dir, "client alice");
        let list = read(&dir, "crl.pem");
        done(&dir, "revoke alice");
        let number = crl(&dir).0;
        // As if the process had been killed between the index and the list.
        dir.write("certs/crl.pem", list);
        dir.write("certs/index.txt", with_pending_list(&read(&dir, "index.txt")));
        let said = done(&dir, "list");
        assert!(said.contains("revoked 20") && said.contains("or not of all that is revoked"), "{said}");
        assert_eq!(crl(&dir).2, []);
        done(&dir, next);
        assert_eq!(crl(&dir).2, [(digits(identity(&dir, "alice").serial()), 0)], "{next}");
        assert!(crl(&dir).0 > number, "the number of the list that was not written is not used again");
        assert!(!done(&dir, "list").contains("not of all"), "{next}");
    }
}

/// Ends the command at the first byte of a file that is over 512.
fn killed_over_a_large_file(dir: &TempDir, args: &str) {
    let script = format!("ulimit -c 0; ulimit -f 1; exec {} certs {args}", binary().display());
    assert!(!Command::new("sh").args(["-c", &script]).current_dir(dir.path()).output().unwrap().status.success());
}

/// The name of the CA makes the list large; the index stays small.
#[test]
fn a_revocation_is_in_the_index_before_its_list_is_written() {
    let dir = TempDir::new();
    done(&dir, &format!("init --name {}", "é".repeat(64)));
    done(&dir, "client alice");
    let list = read(&dir, "crl.pem");
    assert!(list.len() > 512, "{}", list.len());
    killed_over_a_large_file(&dir, "revoke alice");
    assert_eq!(read(&dir, "crl.pem"), list);
    let said = done(&dir, "list");
    assert!(said.contains("revoked 20") && said.contains("or not of all that is revoked"), "{said}");
    done(&dir, "client bob");
    assert_eq!(crl(&dir).2, [(digits(identity(&dir, "alice").serial()), 0)]);
}

#[test]
fn a_certificate_is_in_the_index_before_its_files_have_their_names() {
    let dir = initialised();
    done(&dir, "client alice");
    let p12 = dir.path().join("certs/alice.p12");
    fs::remove_file(&p12).unwrap();
    fs::create_dir(&p12).unwrap();
    let said = fails(&dir, "renew alice");
    assert!(said.contains("cannot write certs/alice.p12"), "{said}");
    assert_eq!(read(&dir, "index.txt").matches("alice").count(), 2);
    fs::remove_dir(&p12).unwrap();
    done(&dir, "crl");
    let path = |name: &str| dir.path().join("certs").join(name);
    ServerCertificate::from_pem_files(path("alice-crt.pem"), path("alice-key.pem")).unwrap();
    done(&dir, "revoke alice");
    assert!(crl(&dir).2.contains(&(digits(identity(&dir, "alice").serial()), 0)));
}

#[test]
fn a_certificate_whose_making_was_cut_short_is_made_by_the_next_try() {
    for (begun, next) in [("", "client alice"), ("client alice", "renew alice")] {
        let dir = initialised();
        if !begun.is_empty() {
            done(&dir, begun);
        }
        let before = snapshot(&dir);
        killed_over_a_large_file(&dir, next);
        let after = snapshot(&dir);
        assert!(after.contains_key("alice-key.pem.mtls-min-new"), "{:?}", after.keys());
        assert!(before.iter().all(|(name, content)| after[name] == *content), "nothing has changed");
        done(&dir, next);
        ServerCertificate::from_pem_files(
            dir.path().join("certs/alice-crt.pem"),
            dir.path().join("certs/alice-key.pem"),
        )
        .unwrap();
        assert!(!snapshot(&dir).keys().any(|name| name.ends_with("-new")), "{:?}", snapshot(&dir).keys());
    }
}

/// Killed while the new files were renamed: the next command finishes it, so that certificate and key fit.
#[test]
fn a_renewal_that_was_cut_short_is_finished_by_the_next_who_comes() {
    let whole = initialised();
    done(&whole, "client alice");
    let old = snapshot(&whole);
    done(&whole, "renew alice --revoke-old");
    let new = snapshot(&whole);
    let files = ["alice-key.pem", "alice.p12", "alice.legacy.p12", "alice-crt.pem"];
    for renamed in 0..files.len() {
        let dir = TempDir::new();
        fs::create_dir(dir.path().join("certs")).unwrap();
        for (name, content) in &old {
            dir.write(&format!("certs/{name}"), content);
        }
        dir.write("certs/index.txt", with_pending_list(&read(&whole, "index.txt")));
        for (at, file) in files.iter().enumerate() {
            let suffix = if at < renamed { "" } else { ".mtls-min-new" };
            dir.write(&format!("certs/{file}{suffix}"), &new[*file]);
        }
        done(&dir, "crl");
        let now = snapshot(&dir);
        assert!(files.iter().all(|file| now[*file] == new[*file]), "{renamed} were renamed");
        assert!(!now.keys().any(|name| name.ends_with("-new")), "{:?}", now.keys());
        assert_eq!(crl(&dir).2.len(), 1);
    }
}

#[test]
fn what_killed_processes_left_is_taken_away_in_time() {
    let dir = initialised();
    for name in ["alice-key.pem.77-0.mtls-min-tmp", "notes.2026-11.tmp", "young.1-2.mtls-min-tmp", "notes.new"] {
        dir.write(&format!("certs/{name}"), "");
    }
    for name in ["alice-key.pem.77-0.mtls-min-tmp", "notes.2026-11.tmp", "notes.new"] {
        let file = fs::File::options().write(true).open(dir.path().join("certs").join(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(3601)).unwrap();
    }
    done(&dir, "crl");
    let left: Vec<_> = snapshot(&dir).into_keys().filter(|name| name.contains("tmp") || name.contains("new")).collect();
    assert_eq!(left, ["notes.2026-11.tmp", "notes.new", "young.1-2.mtls-min-tmp"]);
}

/// Names that people give to files when they change a key themselves.
#[test]
fn a_file_that_somebody_called_new_is_left_alone() {
    let dir = initialised();
    let names = ["server-key.pem.new", "server-crt.pem.new", "alice-key.pem.new", "alice.p12.new"];
    for name in names {
        dir.write(&format!("certs/{name}"), "mine");
    }
    done(&dir, "client alice");
    done(&dir, "renew alice");
    done(&dir, "crl");
    for name in names {
        assert_eq!(snapshot(&dir).get(name).map(Vec::as_slice), Some(&b"mine"[..]), "{name}");
    }
}

#[test]
fn an_init_that_was_cut_short_says_how_to_go_on() {
    let dir = initialised();
    for file in ["index.txt", "crl.pem", "server-crt.pem", "server-key.pem"] {
        fs::remove_file(dir.path().join("certs").join(file)).unwrap();
    }
    let said = fails(&dir, "init");
    assert!(said.contains("certs server --host HOST") && said.contains("certs crl --empty"), "{said}");
    done(&dir, "server --host localhost");
    done(&dir, "crl --empty");
    assert!(done(&dir, "list").contains("server"));
    let half = TempDir::new();
    fs::create_dir(half.path().join("certs")).unwrap();
    half.write("certs/ca-key.pem", read(&dir, "ca-key.pem"));
    let said = fails(&half, "init");
    assert!(said.contains("ca-key.pem is there without ca.pem") && said.contains("move it away"), "{said}");
}

#[test]
fn a_name_whose_files_are_gone_is_not_given_away_twice() {
    let dir = initialised();
    done(&dir, "client alice");
    for name in ["alice-crt.pem", "alice-key.pem", "alice.p12", "alice.legacy.p12"] {
        fs::remove_file(dir.path().join("certs").join(name)).unwrap();
    }
    let said = fails(&dir, "client alice");
    assert!(said.contains("has a valid certificate already") && said.contains("certs revoke alice"), "{said}");
    done(&dir, "revoke alice");
    done(&dir, "client alice");
    assert_eq!(crl(&dir).2.len(), 1);
}
