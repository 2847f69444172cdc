//! The files of `mtls-min certs`: who may read them, links, and several processes at once.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use mtls_min::pki::{ClientRequest, Directory};

use crate::support::certs::{crl, digits, done, identity, initialised, read, snapshot};
use crate::support::client::eventually;
use crate::support::command::binary;

#[test]
fn keys_and_p12_files_are_for_their_owner_alone() {
    let dir = initialised();
    done(&dir, "client alice");
    done(&dir, "renew alice --revoke-old");
    for name in snapshot(&dir).keys() {
        let mode = fs::metadata(dir.path().join("certs").join(name)).unwrap().permissions().mode() & 0o777;
        let secret = name.contains("key") || name.contains("p12") || name == ".lock";
        assert_eq!(mode, if secret { 0o600 } else { 0o644 }, "{name}");
    }
}

/// A server that runs as another user must not lose sight of the list when it is signed anew.
#[test]
fn who_may_read_the_list_stays_as_it_was_set() {
    let dir = initialised();
    let list = dir.path().join("certs/crl.pem");
    for mode in [0o644, 0o640] {
        fs::set_permissions(&list, fs::Permissions::from_mode(mode)).unwrap();
        let script = format!("umask 077; exec {} certs crl", binary().display());
        assert!(Command::new("sh").args(["-c", &script]).current_dir(dir.path()).status().unwrap().success());
        assert_eq!(fs::metadata(&list).unwrap().permissions().mode() & 0o777, mode);
    }
}

/// A server reads the list where it really is.
#[test]
fn a_list_behind_a_link_is_written_where_the_link_leads() {
    let dir = initialised();
    let (list, public) = (dir.path().join("certs/crl.pem"), dir.path().join("public.pem"));
    fs::rename(&list, &public).unwrap();
    std::os::unix::fs::symlink("../public.pem", &list).unwrap();
    done(&dir, "revoke server");
    assert!(fs::symlink_metadata(&list).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&public).unwrap(), read(&dir, "crl.pem"));
    assert_eq!(crl(&dir).2.len(), 1);
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn eight_at_once_all_come_through_and_the_index_is_whole() {
    let dir = initialised();
    let spawn = |n: u32| {
        let mut command = Command::new(binary());
        command.args(["certs", "client", &format!("c{n}")]).current_dir(dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let running: Vec<_> = (0..8).map(spawn).collect();
    for process in running {
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let said = done(&dir, "list");
    for n in 0..8 {
        assert!(said.contains(&digits(identity(&dir, &format!("c{n}")).serial())), "{said}");
    }
    assert_eq!(said.matches(" valid").count(), 9, "{said}");
    assert!(!snapshot(&dir).keys().any(|name| name.ends_with("-tmp")));
}

fn hold(dir: &Path) -> fs::File {
    let lock = fs::File::options().write(true).open(dir.join("certs/.lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    lock
}

#[test]
fn who_finds_the_lock_taken_says_so_and_waits() {
    let dir = initialised();
    let lock = hold(dir.path());
    let mut command = Command::new(binary());
    command.args(["certs", "client", "alice"]).current_dir(dir.path()).stdin(Stdio::null()).stdout(Stdio::null());
    let stderr = dir.path().join("stderr");
    let mut waiting = command.stderr(fs::File::create(&stderr).unwrap()).spawn().unwrap();
    eventually(|| fs::read_to_string(&stderr).unwrap().contains("waiting for another process that works in certs"));
    assert!(waiting.try_wait().unwrap().is_none());
    assert!(!snapshot(&dir).contains_key("alice-key.pem"));
    drop(lock);
    assert!(waiting.wait().unwrap().success());
    assert!(snapshot(&dir).contains_key("alice-key.pem"));
}

#[test]
fn a_lock_that_is_never_freed_is_an_error_and_no_hindrance_to_reading() {
    let dir = initialised();
    let _lock = hold(dir.path());
    let directory = Directory::new(dir.path().join("certs")).patience(Duration::from_millis(50));
    let error = directory.issue_client(&ClientRequest::new("x"), "a password", SystemTime::now()).unwrap_err();
    assert!(error.to_string().contains("another process is using"), "{error}");
    assert!(error.hint_text().is_some_and(|hint| hint.contains(".lock")), "{error:?}");
    done(&dir, "list");
}
