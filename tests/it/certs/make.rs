//! `mtls-min certs init` and `client`: what is made, what it is valid for, and what the list says about it.

use std::fs;
use std::time::{Duration, SystemTime};

use mtls_min::pki::{Authority, throwaway};
use mtls_min::{Identity, ServerCertificate, Trust};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, UnixTime};
use x509_parser::prelude::{FromDer, ParsedExtension, X509Extension};
use x509_parser::revocation_list::CertificateRevocationList;

use crate::support::certs::{DAY, crl, digits, done, holder, identity, initialised, read, snapshot};
use crate::support::client::{VERSIONS, get, provider};
use crate::support::command::run;
use crate::support::files::TempDir;
use crate::support::server::start;

/// The key identifier of a CA, or of the authority in a revocation list.
fn key_id(extensions: &[X509Extension<'_>]) -> Vec<u8> {
    let id = extensions.iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
        ParsedExtension::AuthorityKeyIdentifier(id) => Some(id.key_identifier.as_ref()?.0.to_vec()),
        _ => None,
    });
    id.unwrap()
}

fn crl_key_id(dir: &TempDir) -> Vec<u8> {
    let der = CertificateRevocationListDer::from_pem_slice(read(dir, "crl.pem").as_bytes()).unwrap();
    key_id(CertificateRevocationList::from_der(&der).unwrap().1.extensions())
}

#[test]
fn init_makes_a_ca_a_server_and_an_empty_revocation_list() {
    let dir = TempDir::new();
    let said = done(&dir, "init --host localhost --host 127.0.0.1");
    assert!(said.contains("made certs/ca.pem\n"), "{said}");
    assert!(said.contains("  mtls-min --ca certs/ca.pem --crl certs/crl.pem\n"), "{said}");
    assert!(said.contains("  mtls-min certs client alice\n"), "{said}");
    let names: Vec<_> = snapshot(&dir).into_keys().collect();
    let expected = [".lock", "ca-key.pem", "ca.pem", "crl.pem", "index.txt", "server-crt.pem", "server-key.pem"];
    assert_eq!(names, expected);
    let (number, days, revoked) = crl(&dir);
    let age = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH + Duration::from_secs(number)).unwrap();
    assert!(age < 600 * Duration::from_secs(1), "{age:?}");
    assert_eq!((days, revoked), (30, vec![]));
    let ca = CertificateDer::from_pem_slice(read(&dir, "ca.pem").as_bytes()).unwrap();
    assert_eq!(key_id(x509_parser::parse_x509_certificate(&ca).unwrap().1.extensions()), crl_key_id(&dir));
    let path = |name: &str| dir.path().join("certs").join(name);
    ServerCertificate::from_pem_files(path("server-crt.pem"), path("server-key.pem")).unwrap();
    assert_eq!(identity(&dir, "server").dns_names(), ["localhost"]);
    let elsewhere = done(&dir, "--dir other init");
    assert!(elsewhere.contains("--cert other/server-crt.pem --key other/server-key.pem"), "{elsewhere}");
    assert!(elsewhere.contains("certs --dir other client"), "{elsewhere}");
    let output = run(dir.path(), &["certs", "--dir", "my certs", "init"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("certs --dir 'my certs' client") && said.contains("--crl 'my certs/crl.pem'"), "{said}");
}

#[test]
fn a_clients_certificate_is_let_in_with_all_that_was_asked_for() {
    let dir = initialised();
    let said =
        done(&dir, "client alice.smith@x --days 9 --email a@b.test --email c@d.test --uri spiffe://x.test/alice");
    let password = said.lines().find_map(|line| line.split_once("shown this once: ")).unwrap().1;
    assert_eq!(password.len(), 19, "{said}");
    let alice = identity(&dir, "alice.smith@x");
    assert_eq!(alice.common_name(), Some("alice.smith@x"));
    assert_eq!(alice.emails(), ["a@b.test", "c@d.test"]);
    assert_eq!(alice.uris(), ["spiffe://x.test/alice"]);
    let left = alice.not_after().duration_since(SystemTime::now()).unwrap();
    assert!(left < 9 * DAY && left > 8 * DAY, "{left:?}");
    assert!(snapshot(&dir).contains_key("alice.smith@x.legacy.p12"));
    // The name constraints of the CA do not keep the server from letting in names of any kind.
    done(&dir, "client alice.smith");
    let running = start(Trust::from_pem_files([dir.path().join("certs/ca.pem")]).unwrap());
    for version in VERSIONS {
        for name in ["alice.smith@x", "alice.smith"] {
            let reply = get(running.addr, Some(&holder(&dir, name)), version).unwrap();
            assert_eq!(reply.body, format!("hello CN={name},O=mtls-min\n"));
        }
    }
}

#[cfg(not(feature = "aws-lc-rs"))]
#[test]
fn a_build_that_makes_no_rsa_keys_says_so() {
    let dir = initialised();
    let said = crate::support::certs::fails(&dir, "client old --rsa 2048");
    assert!(said.contains("aws-lc-rs"), "{said}");
    assert!(!snapshot(&dir).contains_key("old-key.pem"));
}

#[test]
fn a_given_password_is_not_shown() {
    let dir = initialised();
    dir.write("password", "correct horse\nsecond line\n");
    let said = done(&dir, "client alice --password-file password");
    assert!(!said.contains("password") && !said.contains("horse"), "{said}");
}

#[test]
fn the_demos_certificates_are_managed_too() {
    let dir = TempDir::new();
    throwaway(dir.path().join("certs"), SystemTime::now()).unwrap();
    let said = done(&dir, "list");
    assert!(said.contains("client1  client") && said.contains("server   server"), "{said}");
    assert!(said.contains("no revocation list yet"), "{said}");
    assert!(!snapshot(&dir).contains_key("index.txt"), "listing changes nothing");
    let old = digits(identity(&dir, "client1").serial());
    let said = done(&dir, "renew client1 --revoke-old");
    let password = said.lines().find_map(|line| line.split_once("shown this once: ")).unwrap().1;
    assert_eq!(read(&dir, "client1-p12-password.txt").trim(), password, "the demo shows the right one");
    done(&dir, "client bob");
    done(&dir, "revoke bob");
    let revoked: Vec<_> = crl(&dir).2.into_iter().map(|(serial, _)| serial).collect();
    assert_eq!(revoked, [old, digits(identity(&dir, "bob").serial())]);
    assert!(throwaway(dir.path().join("certs"), SystemTime::now()).unwrap().files.is_empty());
}

#[test]
fn the_list_shows_name_serial_state_and_days_left() {
    let dir = initialised();
    done(&dir, "client alice --days 10");
    let index = dir.path().join("certs/index.txt");
    let mut text = fs::read_to_string(&index).unwrap();
    text.push_str("client\told\t4a\t2020-01-01T00:00:00Z\tvalid\n");
    text.push_str("client\tbad\t4b\t2099-01-01T00:00:00Z\trevoked\t2026-01-02T03:04:05Z\tkey-compromise\n");
    fs::write(&index, &text).unwrap();
    let said = done(&dir, "list");
    let rows: Vec<Vec<_>> = said.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NAME", "KIND", "SERIAL", "DAYS", "LEFT", "STATE"]);
    assert_eq!((rows[1][0], rows[1][1], rows[1][3], rows[1][4]), ("server", "server", "396", "valid"));
    let serial = digits(identity(&dir, "alice").serial());
    assert_eq!(rows[2], ["alice", "client", &serial, "9", "valid"]);
    assert_eq!(rows[3], ["old", "client", "4a", "0", "expired"]);
    assert_eq!(rows[4][4..], ["revoked", "2026-01-02T03:04:05Z", "key-compromise"]);
    let number = crl(&dir).0;
    assert!(said.ends_with(&format!("\nrevocation list {number}, 29 days left\n")), "{said}");
    let json = done(&dir, "list --json");
    for part in [
        "{\"certificates\":[{\"name\":\"server\",\"kind\":\"server\",",
        "\"name\":\"old\",\"kind\":\"client\",\"serial\":\"4a\",\"not_after\":\"2020-01-01T00:00:00Z\",\"state\":\"expired\"}",
        "\"state\":\"revoked\",\"revoked\":\"2026-01-02T03:04:05Z\",\"reason\":\"key-compromise\"}",
        &format!("\"crl\":{{\"number\":{number},\"next_update\":\"20"),
    ] {
        assert!(json.contains(part), "{part}: {json}");
    }
    let due = text.lines().nth(1).unwrap().rsplit('\t').next().unwrap();
    fs::write(&index, text.replace(due, "2020-01-01T00:00:00Z")).unwrap();
    let expired = format!("revocation list {number}, expired: `mtls-min certs crl` signs it anew");
    assert!(done(&dir, "list").contains(&expired));
}

/// With a stolen CA key: a server certificate for another site is refused by those who trust the CA.
#[test]
fn the_name_constraints_of_the_ca_hold_for_who_has_its_key() {
    let now = SystemTime::now();
    let verify = |ca: &Authority, issued: &rcgen::Certificate, name: &str| {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca.certificate_pem().as_bytes()).unwrap()).unwrap();
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider()).build().unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        verifier.verify_server_cert(issued.der(), &[], &name, &[], UnixTime::now()).is_ok()
    };
    let forged = |ca: &Authority, name: &str| {
        let key = rcgen::KeyPair::from_pem(&ca.key_pem()).unwrap();
        let issuer = rcgen::Issuer::from_ca_cert_pem(ca.certificate_pem(), key).unwrap();
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.signed_by(&rcgen::KeyPair::generate().unwrap(), &issuer).unwrap()
    };
    let cases: [(&[&str], &[&str], &[&str]); 4] = [
        (&["a.test"], &["a.test", "x.a.test"], &["b.test", "xa.test", "test", "127.0.0.1", "::1"]),
        (&["*.a.test", "10.0.0.1"], &["x.a.test", "10.0.0.1"], &["b.test", "10.0.0.2", "::1"]),
        (&["10.0.0.1"], &["10.0.0.1"], &["a.test", "10.0.0.2", "::1"]),
        (&["::1"], &["::1"], &["a.test", "127.0.0.1", "::2"]),
    ];
    for (hosts, good, bad) in cases {
        let ca = Authority::for_hosts("ca", hosts, now).unwrap();
        for (names, expected) in [(good, true), (bad, false)] {
            for name in names {
                assert_eq!(verify(&ca, &forged(&ca, name), name), expected, "{hosts:?} {name}");
                // What would be refused is not signed in the first place.
                assert_eq!(ca.issue_server(&[name], now).is_ok(), expected, "{hosts:?} {name}");
            }
        }
    }
    let any = Authority::new("ca", now).unwrap();
    assert!(verify(&any, &forged(&any, "b.test"), "b.test"));
    let dir = TempDir::new();
    done(&dir, "init --any-host");
    done(&dir, "server two --host other.test");
}

#[test]
fn no_certificate_outlives_its_ca() {
    let made = SystemTime::now() - 3600 * DAY;
    let ca = Authority::new("ca", made).unwrap();
    let client = ca.issue_client("x", SystemTime::now()).unwrap();
    let client = CertificateDer::from_pem_slice(client.certificate_pem.as_bytes()).unwrap();
    let authority = CertificateDer::from_pem_slice(ca.certificate_pem().as_bytes()).unwrap();
    let not_after = |der| Identity::from_der(der).unwrap().not_after();
    assert_eq!(not_after(&client), not_after(&authority));
}
