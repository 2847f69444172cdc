//! The certificates of the demo: made once, never overwritten, and valid for their purpose.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::SystemTime;

use mtls_min::pki::{Authority, pkcs12, random_password, throwaway};
use mtls_min::{ServerCertificate, Trust};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::support::client::{TLS13, VERSIONS, get};
use crate::support::files::TempDir;
use crate::support::pki::{Ca, Holder};
use crate::support::server::start;

const FILES: [&str; 9] = [
    "ca-key.pem",
    "ca.pem",
    "client1-crt.pem",
    "client1-key.pem",
    "client1-p12-password.txt",
    "client1.legacy.p12",
    "client1.p12",
    "server-crt.pem",
    "server-key.pem",
];

fn holder(dir: &TempDir) -> Holder {
    let read = |name: &str| fs::read(dir.path().join(name)).unwrap();
    Holder {
        chain: vec![CertificateDer::from_pem_slice(&read("client1-crt.pem")).unwrap()],
        key: PrivateKeyDer::from_pem_slice(&read("client1-key.pem")).unwrap(),
    }
}

#[test]
fn what_the_demo_makes_works() {
    let dir = TempDir::new();
    let made = throwaway(dir.path(), SystemTime::now()).unwrap();
    let mut names: Vec<_> = made.files.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, FILES);
    ServerCertificate::from_pem_files(dir.path().join("server-crt.pem"), dir.path().join("server-key.pem")).unwrap();
    let running = start(Trust::from_pem_files([dir.path().join("ca.pem")]).unwrap());
    for version in VERSIONS {
        let reply = get(running.addr, Some(&holder(&dir)), version).unwrap();
        assert_eq!(reply.body, "hello CN=client1,O=mtls-min\n");
    }
}

#[test]
fn secrets_are_for_their_owner_alone() {
    let dir = TempDir::new();
    throwaway(dir.path(), SystemTime::now()).unwrap();
    for name in FILES {
        let mode = fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777;
        let secret = name.contains("key") || name.contains("p12");
        assert_eq!(mode, if secret { 0o600 } else { 0o644 }, "{name}");
    }
}

#[test]
fn a_second_demo_makes_nothing_and_knows_the_password() {
    let dir = TempDir::new();
    let first = throwaway(dir.path(), SystemTime::now()).unwrap();
    let before = FILES.map(|name| fs::read(dir.path().join(name)).unwrap());
    let second = throwaway(dir.path(), SystemTime::now()).unwrap();
    assert!(second.files.is_empty());
    assert_eq!(second.password, first.password);
    assert_eq!(before, FILES.map(|name| fs::read(dir.path().join(name)).unwrap()));
}

#[test]
fn what_is_missing_is_made_with_the_ca_that_is_there() {
    let dir = TempDir::new();
    throwaway(dir.path(), SystemTime::now()).unwrap();
    let ca = fs::read(dir.path().join("ca.pem")).unwrap();
    for name in FILES.iter().filter(|name| name.starts_with("client1")) {
        fs::remove_file(dir.path().join(name)).unwrap();
    }
    assert_eq!(throwaway(dir.path(), SystemTime::now()).unwrap().files.len(), 5);
    assert_eq!(fs::read(dir.path().join("ca.pem")).unwrap(), ca);
    let running = start(Trust::from_pem_files([dir.path().join("ca.pem")]).unwrap());
    assert_eq!(get(running.addr, Some(&holder(&dir)), &TLS13).unwrap().status, 200);
}

#[test]
fn files_that_do_not_fit_are_an_error_and_stay() {
    let remove = |dir: &TempDir, name: &str| fs::remove_file(dir.path().join(name)).unwrap();
    let cases: [(&[&str], &str); 5] = [
        (&["server-key.pem"], "server-crt.pem is there without server-key.pem"),
        (&["client1-crt.pem"], "client1-key.pem is there without client1-crt.pem"),
        (&["ca-key.pem", "client1.p12"], "ca.pem is there without ca-key.pem"),
        (&["ca.pem", "ca-key.pem"], "was not made by the demo: it contains client1-crt.pem"),
        (&["client1.p12"], "client1-p12-password.txt is there without client1.p12"),
    ];
    for (gone, message) in cases {
        let dir = TempDir::new();
        throwaway(dir.path(), SystemTime::now()).unwrap();
        gone.iter().for_each(|name| remove(&dir, name));
        let count = || fs::read_dir(dir.path()).unwrap().count();
        let before = count();
        let error = throwaway(dir.path(), SystemTime::now()).unwrap_err();
        assert!(error.to_string().contains(message), "{gone:?}: {error}");
        assert!(error.hint_text().is_some(), "{gone:?}");
        assert_eq!(count(), before, "{gone:?}: nothing half done");
    }
    let (dir, other) = (TempDir::new(), TempDir::new());
    throwaway(dir.path(), SystemTime::now()).unwrap();
    throwaway(other.path(), SystemTime::now()).unwrap();
    fs::copy(other.path().join("ca-key.pem"), dir.path().join("ca-key.pem")).unwrap();
    remove(&dir, "client1.p12");
    assert!(throwaway(dir.path(), SystemTime::now()).unwrap_err().to_string().contains("cannot be used"));
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let dir = TempDir::new();
    let file = dir.write("file", "");
    let error = throwaway(&file, SystemTime::now()).unwrap_err();
    assert!(error.to_string().contains("cannot make the directory") && error.to_string().contains("file"), "{error}");
}

#[test]
fn an_expired_authority_signs_nothing() {
    let now = SystemTime::now();
    let authority = Authority::new("ca", now).unwrap();
    let later = now + std::time::Duration::from_secs(3651 * 24 * 3600);
    let error = Authority::from_pem(authority.certificate_pem(), &authority.key_pem(), later).unwrap_err();
    assert!(error.to_string().contains("expired"), "{error}");
    assert!(!format!("{authority:?}").contains("PRIVATE"));
}

#[test]
fn a_pkcs12_file_has_a_password() {
    let now = SystemTime::now();
    let authority = Authority::new("ca", now).unwrap();
    let client = authority.issue_client("x", now).unwrap();
    assert!(pkcs12("x", &client.certificate_pem, &client.key_pem, authority.certificate_pem(), "").is_err());
    let (one, two) = (random_password().unwrap(), random_password().unwrap());
    assert_ne!(one, two);
    assert_eq!(one.len(), 19);
}

#[test]
fn a_clients_file_is_not_made_of_parts_that_do_not_fit() {
    // The certificate and the key of two clients, then a client of another CA.
    for foreign in [&["client1-key.pem"][..], &["client1-crt.pem", "client1-key.pem"]] {
        let (dir, other) = (TempDir::new(), TempDir::new());
        throwaway(dir.path(), SystemTime::now()).unwrap();
        throwaway(other.path(), SystemTime::now()).unwrap();
        for name in foreign {
            fs::copy(other.path().join(name), dir.path().join(name)).unwrap();
        }
        for name in ["client1.p12", "client1.legacy.p12", "client1-p12-password.txt"] {
            fs::remove_file(dir.path().join(name)).unwrap();
        }
        let error = throwaway(dir.path(), SystemTime::now()).expect_err("parts of two PKIs");
        assert!(error.to_string().contains("client1-crt.pem"), "{error}");
        assert!(error.hint_text().is_some(), "{error}");
        assert!(!dir.path().join("client1.p12").exists() && !dir.path().join("client1-p12-password.txt").exists());
    }
}

#[test]
fn a_ca_that_cannot_sign_is_named_with_the_way_to_mend_it() {
    let dir = TempDir::new();
    let now = SystemTime::now();
    throwaway(dir.path(), now).unwrap();
    for name in ["client1.p12", "client1.legacy.p12", "client1-p12-password.txt"] {
        fs::remove_file(dir.path().join(name)).unwrap();
    }
    let late = throwaway(dir.path(), now + std::time::Duration::from_secs(3651 * 24 * 3600)).unwrap_err();
    assert!(late.to_string().contains("ca.pem"), "{late}");
    assert!(late.hint_text().is_some_and(|hint| hint.contains("empty directory")), "{late:?}");
    for content in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        fs::remove_file(dir.path().join("ca.pem")).unwrap();
        dir.write("ca.pem", content);
        let broken = throwaway(dir.path(), now).unwrap_err();
        assert!(broken.to_string().contains("ca.pem"), "{broken}");
        assert!(broken.hint_text().is_some(), "{broken:?}");
    }
}

#[test]
fn what_stands_in_the_way_is_found_before_anything_is_made() {
    let dir = TempDir::new();
    throwaway(dir.path(), SystemTime::now()).unwrap();
    for name in ["server-crt.pem", "server-key.pem", "client1.p12"] {
        fs::remove_file(dir.path().join(name)).unwrap();
    }
    let count = || fs::read_dir(dir.path()).unwrap().count();
    let before = count();
    assert!(throwaway(dir.path(), SystemTime::now()).unwrap_err().to_string().contains("client1-p12-password.txt"));
    fs::remove_file(dir.path().join("client1-p12-password.txt")).unwrap();
    assert!(throwaway(dir.path(), SystemTime::now()).unwrap_err().to_string().contains("client1.legacy.p12"));
    assert_eq!(count(), before - 1, "nothing half done");

    let dir = TempDir::new();
    dir.write("client1-p12-password.txt", "left over");
    assert!(throwaway(dir.path(), SystemTime::now()).unwrap_err().hint_text().is_some());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no new CA for a start");
}

#[test]
fn a_link_that_leads_nowhere_is_not_written_through() {
    let dir = TempDir::new();
    std::os::unix::fs::symlink(dir.path().join("elsewhere"), dir.path().join("ca-key.pem")).unwrap();
    throwaway(dir.path(), SystemTime::now()).unwrap_err();
    assert!(!dir.path().join("elsewhere").exists());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else either");
}

#[test]
fn demos_started_together_leave_one_whole_set_or_say_why_not() {
    let dir = TempDir::new();
    let made = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..8).map(|_| scope.spawn(|| throwaway(dir.path(), SystemTime::now()).is_ok())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).filter(|ok| *ok).count()
    });
    assert!(made >= 1, "one of them gets through");
    let mut names: Vec<_> =
        fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != ".lock");
    names.sort_unstable();
    assert_eq!(names, FILES);
    let running = start(Trust::from_pem_files([dir.path().join("ca.pem")]).unwrap());
    assert_eq!(get(running.addr, Some(&holder(&dir)), &TLS13).unwrap().status, 200);
}

#[test]
fn a_ca_whose_key_usage_forbids_it_signs_nothing() {
    use rcgen::KeyUsagePurpose::CrlSign;
    let ca = Ca::with("mute", |params| params.key_usages = vec![CrlSign]);
    let error = Authority::from_pem(&ca.pem(), &ca.key_pem(), SystemTime::now()).unwrap_err();
    assert!(error.to_string().contains("key usage"), "{error}");
}

#[test]
fn names_that_are_none_are_refused() {
    let now = SystemTime::now();
    let authority = Authority::new("ca", now).unwrap();
    for bad in ["", "a b", "https://x", "x:443", "a..b", "zoë.test", "10.0.0.0/8", "*", "*.*.test"] {
        assert!(authority.issue_server(&[bad], now).is_err(), "{bad}");
    }
    for good in ["localhost", "a.test", "*.a.test", "127.0.0.1", "::1"] {
        assert!(authority.issue_server(&[good], now).is_ok(), "{good}");
    }
    for bad in ["", &"x".repeat(65)] {
        assert!(authority.issue_client(bad, now).is_err(), "{bad}");
        assert!(Authority::new(bad, now).is_err(), "{bad}");
    }
}
