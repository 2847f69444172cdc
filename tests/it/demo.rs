//! `mtls-min demo`: it makes and serves in a directory of its own, and nowhere else.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use mtls_min::pki::{Authority, throwaway};

use crate::support::certs::{certs, done, fails, initialised};
use crate::support::client::{TLS13, eventually, get};
use crate::support::command::{Serving, binary, run};
use crate::support::files::TempDir;
use crate::support::pki::Ca;

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap())).collect()
}

fn demo(dir: &TempDir, directory: &str) -> Serving {
    Serving::start(&binary(), dir.path(), &["demo", "--dir", directory, "--listen", "127.0.0.1:0"])
}

/// It refuses, makes nothing, and says where it would.
#[track_caller]
fn refuses(dir: &TempDir, why: &str) -> String {
    let before = files(&dir.path().join("certs"));
    let output = run(dir.path(), &["demo", "--listen", "127.0.0.1:0"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{why}: {said}");
    assert!(!said.contains("listening"), "{why}: {said}");
    assert!(said.contains("--dir") && said.contains("certs client"), "{why}: {said}");
    assert!(files(&dir.path().join("certs")) == before, "{why}: something has changed");
    said
}

#[test]
fn beside_a_real_ca_it_makes_nothing_and_does_not_serve() {
    let ours = initialised();
    let said = refuses(&ours, "a CA of certs init");
    assert!(said.contains("certs was not made by the demo: it contains ca.pem"), "{said}");
    done(&ours, "client client1");
    refuses(&ours, "with a client1 of its own");

    let ca = Ca::new("Example CA");
    let other = |names: &[&str]| {
        let dir = TempDir::new();
        fs::create_dir(dir.path().join("certs")).unwrap();
        let server = ca.server();
        for name in names {
            let content = match *name {
                "ca-key.pem" | "ca.key" => ca.key_pem(),
                "server-crt.pem" => server.pem(),
                "server-key.pem" => server.key_pem(),
                _ => ca.pem(),
            };
            dir.write(&format!("certs/{name}"), content);
        }
        dir
    };
    for names in [
        &["ca.pem", "ca-key.pem"][..],
        &["ca.pem", "ca-key.pem", "server-crt.pem", "server-key.pem"],
        &["ca.pem"],
        &["ca-key.pem"],
        &["ca.crt", "ca.key"],
        &["server-crt.pem", "server-key.pem"],
        &["notes.txt"],
    ] {
        let said = refuses(&other(names), &format!("{names:?}"));
        assert!(said.contains(names[0]) || said.contains("ca.pem"), "{said}");
    }
    throwaway(other(&["ca.pem", "ca-key.pem"]).path().join("certs"), SystemTime::now()).unwrap_err();
}

/// The subject alone does not make a CA the demo's: another CA could have the same.
#[test]
fn a_real_ca_does_not_get_the_name_of_the_demos() {
    let dir = TempDir::new();
    let output = run(dir.path(), &["certs", "init", "--name", "mtls-min throw-away CA"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("is the name of the demo's CA"), "{said}");
    assert!(!dir.path().join("certs").exists());
    // Alike, and not the same.
    let now = SystemTime::now();
    for name in ["mtls-min throw-away CA 2", "mtls-min Throw-away CA", "x"] {
        fs::create_dir_all(dir.path().join("certs")).unwrap();
        let ca = Authority::new(name, now).unwrap();
        dir.write("certs/ca.pem", ca.certificate_pem());
        dir.write("certs/ca-key.pem", ca.key_pem());
        refuses(&dir, name);
    }
    let alone = Ca::new("mtls-min throw-away CA");
    dir.write("certs/ca.pem", alone.pem());
    dir.write("certs/ca-key.pem", alone.key_pem());
    refuses(&dir, "without the organization");
}

#[test]
fn a_new_an_empty_and_its_own_directory_are_the_demos() {
    let dir = TempDir::new();
    let names = |directory: &str| files(&dir.path().join(directory)).into_keys().collect::<Vec<_>>();
    drop(demo(&dir, "new/deep"));
    fs::create_dir(dir.path().join("empty")).unwrap();
    // As in the source of this program.
    for name in ["README.md", "make-certs.sh", ".gitignore"] {
        dir.write(&format!("empty/{name}"), "");
    }
    let serving = demo(&dir, "empty");
    assert!(serving.stderr().contains("made 9 files in empty"), "{}", serving.stderr());
    assert!(names("empty").contains(&"client1.legacy.p12".to_owned()));
    let before = files(&dir.path().join("empty"));
    let again = demo(&dir, "empty");
    assert!(again.stderr().contains("using the certificates in empty"), "{}", again.stderr());
    assert!(files(&dir.path().join("empty")) == before);
    // Its password is known, so the older form, which earlier demos did not make, can be made.
    fs::remove_file(dir.path().join("empty/client1.legacy.p12")).unwrap();
    assert!(demo(&dir, "empty").stderr().contains("made 1 files in empty"));
    // Of a file with an unknown password it cannot.
    for name in ["client1.legacy.p12", "client1-p12-password.txt"] {
        fs::remove_file(dir.path().join("empty").join(name)).unwrap();
    }
    assert!(demo(&dir, "empty").stderr().contains("using the certificates in empty"));
}

/// Somebody has signed for others there, and may have removed client1 for a reason.
#[test]
fn where_certs_has_an_index_the_demo_serves_and_makes_nothing() {
    let dir = TempDir::new();
    drop(demo(&dir, "certs"));
    done(&dir, "client alice");
    done(&dir, "revoke client1");
    let serving = demo(&dir, "certs");
    let client1 = crate::support::certs::holder(&dir, "client1");
    assert_eq!(get(serving.addr, Some(&client1), &TLS13).unwrap().status, 401, "its list is heeded");
    assert_eq!(get(serving.addr, Some(&crate::support::certs::holder(&dir, "alice")), &TLS13).unwrap().status, 200);
    for name in ["client1-crt.pem", "client1-key.pem", "client1.p12", "client1.legacy.p12", "client1-p12-password.txt"]
    {
        fs::remove_file(dir.path().join("certs").join(name)).unwrap();
    }
    let said = refuses(&dir, "client1 was taken away");
    assert!(said.contains("certs/client1-crt.pem is not there"), "{said}");
    assert_eq!(certs(&dir, "client client1").0, 0);
    drop(demo(&dir, "certs"));
    assert!(fails(&dir, "client client1").contains("is there already"));
}

#[test]
fn what_it_prints_can_be_pasted_into_a_shell() {
    let dir = TempDir::new();
    for (directory, quoted) in [("it's a demo", r"'it'\''s a demo/"), ("$HOME", "'$HOME/"), ("plain", "plain/")] {
        let serving = demo(&dir, directory);
        let [ca, crt, key] = ["ca.pem", "client1-crt.pem", "client1-key.pem"]
            .map(|name| if quoted.starts_with('\'') { format!("{quoted}{name}'") } else { format!("{quoted}{name}") });
        let line =
            format!("  curl --cacert {ca} --cert {crt} --key {key} https://localhost:{}/\n", serving.addr.port());
        eventually(|| serving.stdout().contains("remove it again"));
        assert!(serving.stdout().contains(&line), "{}: {line}", serving.stdout());
        assert!(serving.stdout().contains(&format!("{directory}/client1.legacy.p12 on macOS")), "{}", serving.stdout());
    }
}
