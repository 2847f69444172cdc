//! `mtls-min certs renew`: the names stay, the key and the serial number are new.

use std::time::SystemTime;

use mtls_min::ServerCertificate;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::support::certs::{DAY, crl, digits, done, fails, identity, initialised, read, snapshot};
use crate::support::files::TempDir;
use crate::support::pki::{self, Ca, Holder};

#[test]
fn renewing_keeps_the_names_and_changes_key_and_serial() {
    let dir = initialised();
    done(&dir, "client alice --email a@b.test --uri urn:x:y");
    let (old, files) = (identity(&dir, "alice"), snapshot(&dir));
    let said = done(&dir, "renew alice --days 30");
    assert!(said.contains("shown this once"), "{said}");
    let new = identity(&dir, "alice");
    assert_eq!(new.subject(), old.subject());
    assert_eq!((new.emails(), new.uris()), (old.emails(), old.uris()));
    assert_ne!(new.serial(), old.serial());
    let left = new.not_after().duration_since(SystemTime::now()).unwrap();
    assert!(left < 30 * DAY && left > 29 * DAY, "{left:?}");
    for (name, content) in snapshot(&dir) {
        let kept = !name.starts_with("alice") && name != "index.txt";
        assert_eq!(files[&name] == content, kept, "{name}");
    }
    // The old one stays valid, and is revoked with its name.
    assert_eq!(done(&dir, "list").matches(" valid").count(), 3);
    done(&dir, "revoke alice");
    let serials: Vec<_> = crl(&dir).2.into_iter().map(|(serial, _)| serial).collect();
    assert_eq!(serials, [digits(old.serial()), digits(new.serial())]);
}

#[test]
fn renewing_with_revoke_old_revokes_the_old_one_alone() {
    let dir = initialised();
    done(&dir, "client alice");
    let old = digits(identity(&dir, "alice").serial());
    done(&dir, "renew alice --revoke-old");
    assert_eq!(crl(&dir).2, [(old, 4)]);
    let said = done(&dir, "list");
    assert_eq!(said.matches("alice").count(), 2, "{said}");
    assert_eq!((said.matches(" valid").count(), said.matches("superseded").count()), (2, 1), "{said}");
}

#[test]
fn a_server_is_renewed_for_the_same_hosts() {
    let dir = TempDir::new();
    done(&dir, "init --host *.a.test --host b.test --host 10.1.2.3");
    done(&dir, "server two --host c.b.test --days 20");
    let said = done(&dir, "renew server");
    assert!(!said.contains("p12") && !said.contains("password"), "{said}");
    let server = identity(&dir, "server");
    assert_eq!(server.dns_names(), ["*.a.test", "b.test"]);
    assert_eq!(server.ip_addresses(), ["10.1.2.3".parse::<std::net::IpAddr>().unwrap()]);
    let path = |name: &str| dir.path().join("certs").join(name);
    for name in ["server", "two"] {
        let files = (path(&format!("{name}-crt.pem")), path(&format!("{name}-key.pem")));
        ServerCertificate::from_pem_files(files.0, files.1).unwrap();
    }
}

/// The CA would vouch for names that it never saw.
#[test]
fn what_lies_in_the_place_of_a_certificate_is_not_renewed() {
    let dir = initialised();
    done(&dir, "client alice");
    done(&dir, "client bob");
    let foreign = Ca::new("other").client("admin").pem();
    for content in [foreign, read(&dir, "bob-crt.pem"), "nonsense".to_owned()] {
        dir.write("certs/alice-crt.pem", content);
        let before = snapshot(&dir);
        let said = fails(&dir, "renew alice");
        assert!(said.contains("the index does not know certs/alice-crt.pem as a certificate of alice"), "{said}");
        assert!(snapshot(&dir) == before, "something has changed");
    }
}

/// Names that could not be copied exactly are refused.
#[test]
fn what_cannot_be_repeated_is_not_renewed() {
    use rcgen::{DnType, SanType};
    let dir = initialised();
    let key = rcgen::KeyPair::from_pem(&read(&dir, "ca-key.pem")).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_pem(&read(&dir, "ca.pem"), key).unwrap();
    let issue = |name: &str, change: &dyn Fn(&mut rcgen::CertificateParams)| {
        let mut params = pki::params(name);
        params.serial_number = Some(vec![0x41, 1].into());
        change(&mut params);
        let key = rcgen::KeyPair::generate().unwrap();
        dir.write(&format!("certs/{name}-crt.pem"), params.signed_by(&key, &issuer).unwrap().pem());
        dir.write(&format!("certs/{name}-key.pem"), key.serialize_pem());
    };
    issue("other", &|params| {
        let value = rcgen::OtherNameValue::Utf8String("x".to_owned());
        params.subject_alt_names = vec![SanType::OtherName((vec![1, 3, 6, 1, 4, 1, 311, 20, 2, 3], value))];
    });
    let said = fails(&dir, "renew other");
    assert!(said.contains("certs/other-crt.pem cannot be renewed") && said.contains("cannot be repeated"), "{said}");
    // A subject is copied, so it cannot change: a value that is not a string; a type that is commonName if its number is
    // cut to 64 bits.
    let large = [&[0x55, 4, 0x82][..], &[0x80; 8], &[3]].concat();
    for subject in [pki::name(&[&[(pki::CN, 3, b"\0x")]]), pki::name(&[&[(&large, 12, b"admin")]])] {
        issue("odd", &|_| {});
        let signer = Holder {
            chain: vec![CertificateDer::from_pem_slice(read(&dir, "ca.pem").as_bytes()).unwrap()],
            key: PrivateKeyDer::from_pem_slice(read(&dir, "ca-key.pem").as_bytes()).unwrap(),
        };
        let signer = Ca::out_of(&signer, pki::params("ca"));
        let holder = Holder {
            chain: vec![CertificateDer::from_pem_slice(read(&dir, "odd-crt.pem").as_bytes()).unwrap()],
            key: PrivateKeyDer::from_pem_slice(read(&dir, "odd-key.pem").as_bytes()).unwrap(),
        };
        dir.write("certs/odd-crt.pem", signer.with_subject(&holder, &subject).pem());
        done(&dir, "renew odd");
        let renewed = CertificateDer::from_pem_slice(read(&dir, "odd-crt.pem").as_bytes()).unwrap();
        assert_ne!(renewed, holder.chain[0]);
        assert!(renewed.windows(subject.len()).any(|window| window == subject));
    }
    issue("full", &|params| {
        params.serial_number = Some(vec![0x41, 2].into());
        params.distinguished_name.push(DnType::CountryName, "CH");
        params.distinguished_name.push(DnType::from_oid(&[2, 5, 4, 5]), "7");
        params.distinguished_name.push(DnType::from_oid(&[0, 9, 2342, 19_200_300, 100, 1, 25]), "example");
    });
    let before = identity(&dir, "full").subject().to_owned();
    done(&dir, "renew full");
    assert_eq!(identity(&dir, "full").subject(), before);
}
