//! `mtls-min certs` with a CA that another program made: what that program revoked stays revoked, and what is signed fits the CA
//! byte for byte.

use std::fs;
use std::time::SystemTime;

use mtls_min::pki::Authority;
use rcgen::KeyUsagePurpose;
use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject;

use crate::support::certs::{certs, crl, digits, done, fails, holder, identity, initialised, read, snapshot, told};
use crate::support::client::{TLS13, get};
use crate::support::crl::{Crl, extension, serial};
use crate::support::files::TempDir;
use crate::support::pki::{self, Ca, Holder, armour, elements, write};
use crate::support::server::start;

/// A directory with a CA of another program.
fn directory_of(ca: &Ca) -> TempDir {
    let dir = TempDir::new();
    fs::create_dir(dir.path().join("certs")).unwrap();
    dir.write("certs/ca.pem", ca.pem());
    dir.write("certs/ca-key.pem", ca.key_pem());
    dir
}

fn listed(dir: &TempDir) -> Vec<String> {
    crl(dir).2.into_iter().map(|(serial, _)| serial).collect()
}

fn hexadecimal(serial: &[u8]) -> String {
    serial.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The hint was once to sign a list there, which let in again everybody whom the other program had revoked.
#[test]
fn no_first_list_is_signed_for_a_ca_that_may_have_revoked_others() {
    let dir = directory_of(&Ca::new("ca"));
    let before = snapshot(&dir);
    let said = fails(&dir, "crl");
    assert!(said.contains("nothing in certs says what this CA has revoked so far"), "{said}");
    assert!(said.contains("--empty") && said.contains("--adopt"), "{said}");
    assert!(done(&dir, "list").contains("no revocation list yet: `mtls-min certs crl --empty` signs one"));
    assert_eq!(snapshot(&dir).len(), before.len() + 1, "the lock, and nothing else");
    // Certificates made here do not prove that none was revoked elsewhere.
    done(&dir, "client alice");
    let before = snapshot(&dir);
    for args in ["crl", "crl --days 9", "revoke alice", "renew alice --revoke-old"] {
        assert!(fails(&dir, args).contains("--empty"), "{args}");
        assert!(snapshot(&dir) == before, "{args} changed something");
    }
    assert_eq!(done(&dir, "crl --empty --days 9"), "made certs/crl.pem\n");
    assert_eq!((crl(&dir).1, crl(&dir).2), (9, vec![]));
    done(&dir, "revoke alice");
    assert_eq!(listed(&dir), [digits(identity(&dir, "alice").serial())]);
    done(&dir, "crl");
    let said = fails(&dir, "crl --empty");
    assert!(
        said.contains("certs/index.txt has revoked certificates") && said.contains("`mtls-min certs crl` signs"),
        "{said}"
    );
    assert!(fails(&dir, "crl --empty --adopt").contains("do not go together"));
}

#[test]
fn what_the_other_program_revoked_is_taken_over_with_its_list() {
    let ca = Ca::new("ca");
    let dir = directory_of(&ca);
    let (bob, carol) = (ca.client("bob"), ca.client("carol"));
    dir.write("certs/carol-crt.pem", carol.pem());
    let mut list = Crl::number(5).revoking(&bob).revoking(&carol);
    // As openssl counts from 0, and a reason that `certs` does not know.
    list.revoked.push((vec![0], 6));
    dir.write("certs/crl.pem", list.pem(&ca));
    for args in ["crl", "list", "client alice", "crl --empty"] {
        let said = fails(&dir, args);
        assert!(said.contains("certs/crl.pem is there without index.txt"), "{args}: {said}");
        assert!(said.contains("backup") && said.contains("certs crl --adopt"), "{args}: {said}");
    }
    assert_eq!(told(&dir, "crl --adopt"), "mtls-min: 3 revocations are taken over from certs/crl.pem\n");
    let expected = || {
        let mut serials =
            vec![hexadecimal(&serial(&bob.chain[0])), hexadecimal(&serial(&carol.chain[0])), "00".to_owned()];
        serials.sort();
        serials
    };
    let sorted = |mut serials: Vec<String>| {
        serials.sort();
        serials
    };
    assert_eq!(sorted(listed(&dir)), expected());
    // From here on it is a directory like any other.
    done(&dir, "client alice");
    done(&dir, "revoke alice");
    let (number, _, entries) = crl(&dir);
    assert!(number > 5 && entries.len() == 4, "{entries:?}");
    let list = done(&dir, "list");
    let carol = list.lines().find(|line| line.starts_with("carol ")).unwrap();
    assert!(carol.contains("key-compromise"), "{list}");
    let trust = mtls_min::Trust::builder().pem_file(dir.path().join("certs/ca.pem"));
    let trust = trust.crl_file(dir.path().join("certs/crl.pem")).build().unwrap();
    let running = start(trust);
    for client in [&bob, &holder(&dir, "alice")] {
        assert_eq!(get(running.addr, Some(client), &TLS13).unwrap().status, 401);
    }
    assert_eq!(get(running.addr, Some(&ca.client("dora")), &TLS13).unwrap().status, 200);
}

/// The way out when index.txt is lost and there is no backup.
#[test]
fn a_lost_index_is_made_anew_from_the_list() {
    let dir = initialised();
    done(&dir, "client alice");
    done(&dir, "client bob");
    done(&dir, "revoke alice --reason key-compromise");
    let (number, _, entries) = crl(&dir);
    fs::remove_file(dir.path().join("certs/index.txt")).unwrap();
    assert!(fails(&dir, "crl").contains("certs crl --adopt"));
    told(&dir, "crl --adopt");
    assert!(crl(&dir).0 > number);
    assert_eq!(crl(&dir).2, entries);
    let list = done(&dir, "list");
    assert!(list.contains("bob") && list.contains("alice") && list.contains("key-compromise"), "{list}");
}

#[test]
fn a_list_that_is_not_whole_or_not_this_cas_is_not_taken_over() {
    let ca = Ca::new("ca");
    let dir = directory_of(&ca);
    assert!(fails(&dir, "crl --adopt").contains("there is no certs/crl.pem to adopt"));
    let delta = write(0x30, &[&[6, 3, 0x55, 0x1d, 0x1b][..], &[1, 1, 0xff], &[4, 3, 2, 1, 4]].concat());
    let partial = Crl { extensions: vec![delta], ..Crl::number(5) };
    let two = Crl::number(5).pem(&ca) + &Crl::number(6).pem(&ca);
    for list in [partial.pem(&ca), Crl::number(5).pem(&Ca::new("ca")), "nonsense".to_owned(), two] {
        dir.write("certs/crl.pem", list);
        let before = snapshot(&dir);
        let said = fails(&dir, "crl --adopt");
        assert!(said.contains("certs/crl.pem") && said.contains("replace it by the CA's last list"), "{said}");
        assert!(snapshot(&dir) == before, "something has changed");
    }
}

#[test]
fn the_database_of_openssl_is_not_taken_for_a_damaged_index() {
    let dir = directory_of(&Ca::new("ca"));
    dir.write("certs/index.txt", "R\t271126000000Z\t261126000000Z,keyCompromise\t4242\tunknown\t/CN=bob\n");
    for args in ["list", "crl", "crl --empty", "crl --adopt", "client alice"] {
        let said = fails(&dir, args);
        assert!(
            said.contains("it is the database of `openssl ca`") && said.contains("certs crl --adopt"),
            "{args}: {said}"
        );
        assert!(!said.contains("backup"), "{args}: {said}");
    }
}

/// A CA of this subject, signed by itself.
fn with_subject(ca: &Ca, name: &[u8]) -> String {
    let certificate = pki::read(&ca.der).content;
    let signed = pki::read(certificate);
    let algorithm = pki::read(signed.rest);
    // version, serial, algorithm, issuer, validity, subject, …
    let parts = elements(signed.content).enumerate();
    let parts: Vec<u8> = parts
        .flat_map(|(at, part)| if at == 3 || at == 5 { name.to_vec() } else { write(part.tag, part.content) })
        .collect();
    pki::pem(&ca.signed(&write(0x30, &parts), algorithm.content))
}

/// The issuer's name and the subject's in a certificate (section 4.1 of RFC 5280).
fn names(certificate: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let parts: Vec<_> = elements(pki::read(pki::read(certificate).content).content).collect();
    let whole = |at: usize| write(parts[at].tag, parts[at].content);
    (whole(3), whole(5))
}

/// A program that compares names byte by byte finds the issuer all the same.
#[test]
fn what_is_signed_bears_the_name_of_the_ca_byte_for_byte() {
    const DC: &[u8] = &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25];
    let (utf8, printable, t61, ia5, bmp) = (12, 19, 20, 22, 30);
    let odd = pki::name(&[
        &[(DC, ia5, b"org")],
        &[(DC, ia5, b"example")],
        &[(pki::OU, printable, b"One")],
        &[(pki::OU, utf8, "Zwölf".as_bytes())],
        &[(pki::OU, t61, b"caf\xe9")],
        &[(pki::O, bmp, b"\0E\0x"), (pki::CN, utf8, b"two in one")],
        &[(pki::CN, printable, b"The CA")],
    ]);
    let plain = pki::name(&[&[(pki::CN, printable, b"x")]]);
    for name in [odd, plain] {
        let ca = Ca::new("ca");
        let dir = directory_of(&ca);
        dir.write("certs/ca.pem", with_subject(&ca, &name));
        done(&dir, "client alice --email a@b.test");
        done(&dir, "server --host localhost");
        done(&dir, "renew alice");
        for made in ["alice", "server"] {
            assert_eq!(names(&holder(&dir, made).chain[0]).0, name, "{made}");
        }
        done(&dir, "crl --empty");
        done(&dir, "revoke alice");
        let list = CertificateRevocationListDer::from_pem_slice(read(&dir, "crl.pem").as_bytes()).unwrap();
        let issuer = elements(pki::read(pki::read(&list).content).content).nth(2).unwrap();
        assert_eq!(write(issuer.tag, issuer.content), name);
        // The signatures hold.
        let trust = mtls_min::Trust::builder().pem_file(dir.path().join("certs/ca.pem"));
        let running = start(trust.crl_file(dir.path().join("certs/crl.pem")).build().unwrap());
        done(&dir, "client bob");
        assert_eq!(get(running.addr, Some(&holder(&dir, "bob")), &TLS13).unwrap().status, 200);
        assert_eq!(get(running.addr, Some(&holder(&dir, "alice")), &TLS13).unwrap().status, 401);
    }
}

#[test]
fn a_certificate_is_renewed_under_its_own_name_byte_for_byte() {
    let ca = Ca::new("ca");
    let dir = directory_of(&ca);
    let subject = pki::name(&[
        &[(pki::OU, 19, b"One")],
        &[(pki::OU, 30, b"\0T\0w\0o"), (pki::O, 12, b"Both")],
        &[(pki::CN, 19, b"alice")],
    ]);
    let old: Holder = ca.with_subject(&ca.client("alice"), &subject);
    dir.write("certs/alice-crt.pem", old.pem());
    dir.write("certs/alice-key.pem", old.key_pem());
    done(&dir, "renew alice");
    let new = holder(&dir, "alice");
    assert_ne!(new.chain, old.chain);
    assert_eq!(names(&new.chain[0]).1, subject);
    let running = start(mtls_min::Trust::from_pem_files([dir.path().join("certs/ca.pem")]).unwrap());
    assert_eq!(get(running.addr, Some(&new), &TLS13).unwrap().status, 200);
}

/// What lies within a PKCS#8 key: the older form.
fn older_form(pkcs8: &[u8]) -> Vec<u8> {
    elements(pki::read(pkcs8).content).nth(2).unwrap().content.to_vec()
}

fn is_taken(ca: &Ca, key_pem: String) {
    let dir = directory_of(ca);
    dir.write("certs/ca-key.pem", key_pem);
    done(&dir, "client alice");
    let running = start(mtls_min::Trust::from_pem_files([dir.path().join("certs/ca.pem")]).unwrap());
    assert_eq!(get(running.addr, Some(&holder(&dir, "alice")), &TLS13).unwrap().status, 200);
}

#[test]
fn a_ca_key_may_be_sec1_as_openssl_ecparam_writes_it() {
    const PARAMETERS: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    let ca = Ca::new("ca");
    let sec1 = armour("EC PRIVATE KEY", &older_form(&ca.key_der()));
    is_taken(&ca, sec1.clone());
    is_taken(&ca, format!("{}{sec1}", armour("EC PARAMETERS", PARAMETERS)));
}

#[cfg(feature = "aws-lc-rs")]
#[test]
fn a_ca_key_may_be_pkcs1_as_openssl_genrsa_writes_it() {
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let ca = Ca::with_key("ca", key);
    is_taken(&ca, armour("RSA PRIVATE KEY", &older_form(&ca.key_der())));
}

#[test]
fn a_ca_key_that_is_encrypted_or_anothers_is_told_as_that() {
    let (ca, other) = (Ca::new("ca"), Ca::new("other"));
    let now = SystemTime::now();
    let sec1 = armour("EC PRIVATE KEY", &older_form(&other.key_der()));
    let encrypted = armour("ENCRYPTED PRIVATE KEY", &[0x30, 0]);
    let old = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END EC PRIVATE KEY-----\n";
    for (key, part, hint) in [
        (other.key_pem(), "does not belong to the certificate", "put back the key"),
        (sec1, "does not belong to the certificate", "put back the key"),
        (armour("RSA PRIVATE KEY", &[0x30, 0]), "does not belong to the certificate", "put back the key"),
        (encrypted, "encrypted", "openssl pkey"),
        (old.to_owned(), "encrypted", "openssl pkey"),
        (ca.pem(), "cannot be read", "PRIVATE KEY"),
        (armour("EC PRIVATE KEY", &[0x30, 0]), "cannot be read", "PRIVATE KEY"),
    ] {
        let error = Authority::from_pem(&ca.pem(), &key, now).unwrap_err();
        assert!(error.to_string().contains(part), "{error}: {part}");
        assert!(error.hint_text().is_some_and(|text| text.contains(hint)), "{error:?}: {hint}");
    }
}

/// No hint says to make a list after a hint that another program's list is not good enough.
#[test]
fn no_hint_sends_the_holder_of_another_programs_list_to_an_empty_one() {
    let ca = Ca::new("ca");
    let dir = directory_of(&ca);
    dir.write("old.crl", Crl { number: None, version: None, ..Crl::number(5) }.pem(&ca));
    dir.write("bob.pem", ca.client("bob").pem());
    let args = ["check", "--ca", "certs/ca.pem", "--crl", "old.crl", "bob.pem"];
    let said = String::from_utf8(crate::support::command::run(dir.path(), &args).stderr).unwrap();
    assert!(!said.contains("certs crl"), "{said}");
    for code in mtls_min::RefusalCode::ALL {
        assert!(!code.repair().contains("certs crl") || code.repair().contains("that signed it before"), "{code}");
    }
    assert_eq!(certs(&dir, "crl").0, 1);
}

/// RFC 5280, section 5.2.5: this list does not say whom the other lists of the CA revoke.
#[test]
fn a_list_of_a_part_of_the_certificates_is_not_taken_over_as_the_list_of_all() {
    let ca = Ca::new("ca");
    let dir = directory_of(&ca);
    fails(&dir, "crl");
    let point = write(0xa0, &write(0xa0, &write(0x86, b"http://crl.example/1.crl")));
    for (parts, words) in [(vec![0x81, 1, 0xff], "of end entities"), (point, "http://crl.example/1.crl")] {
        let scope = extension(&[0x55, 0x1d, 0x1c], true, &write(0x30, &parts));
        dir.write("certs/crl.pem", Crl { extensions: vec![scope], ..Crl::number(5) }.pem(&ca));
        let before = snapshot(&dir);
        let said = fails(&dir, "crl --adopt");
        assert!(
            said.contains("certs/crl.pem covers only some of the CA's certificates") && said.contains(words),
            "{said}"
        );
        assert!(snapshot(&dir) == before, "something has changed");
    }
}

/// -1 is ff in an INTEGER, and 255 is 00 ff. Writing one for the other would let in a revoked client and refuse another.
#[test]
fn a_negative_serial_number_is_not_signed_anew_as_a_positive_one() {
    let ca = Ca::new("ca");
    let dir = directory_of(&ca);
    fails(&dir, "crl");
    dir.write("certs/crl.pem", Crl { revoked: vec![(vec![0, 0xff], 1), (vec![0xff], 1)], ..Crl::number(5) }.pem(&ca));
    let before = snapshot(&dir);
    let said = fails(&dir, "crl --adopt");
    assert!(said.contains("revokes a negative serial number (in DER: ff)") && said.contains("4.1.2.2"), "{said}");
    assert!(snapshot(&dir) == before, "something has changed");
    dir.write("certs/crl.pem", Crl { revoked: vec![(vec![0, 0xff], 1)], ..Crl::number(5) }.pem(&ca));
    told(&dir, "crl --adopt");
    assert_eq!(listed(&dir), ["00ff"]);
}

/// As easy-rsa, cfssl and openssl make them. A server that has the list in force takes the one that follows it.
#[test]
fn a_list_without_a_number_is_taken_over_and_a_server_takes_the_next_one() {
    for version in [None, Some(1)] {
        let ca = Ca::new("ca");
        let dir = directory_of(&ca);
        let alice = ca.client("alice");
        let issued = SystemTime::now() - std::time::Duration::from_secs(60);
        let list = Crl { version, number: None, this_update: issued, without_reasons: true, ..Crl::number(0) };
        dir.write("certs/crl.pem", list.revoking(&alice).pem(&ca));
        let path = |file: &str| dir.path().join("certs").join(file);
        let builder = mtls_min::Trust::builder().pem_file(path("ca.pem")).crl_file(path("crl.pem"));
        let before = builder.build().unwrap();
        assert_eq!(told(&dir, "crl --adopt"), "mtls-min: 1 revocation is taken over from certs/crl.pem\n");
        assert_eq!(listed(&dir), [hexadecimal(&serial(&alice.chain[0]))]);
        let after = builder.rebuild(&before).unwrap();
        assert!(after.crls().all(|crl| crl.number().is_some()));
        done(&dir, "client bob");
        done(&dir, "revoke bob");
        assert_eq!(builder.rebuild(&after).unwrap().crls().next().unwrap().revoked(), 2);
    }
}

/// The dates of numbered lists have to grow too.
#[test]
fn a_list_that_follows_another_programs_is_no_earlier() {
    let ca = Ca::new("ca");
    let dir = directory_of(&ca);
    let issued = SystemTime::now() - std::time::Duration::from_secs(60);
    dir.write("certs/crl.pem", Crl { this_update: issued, ..Crl::number(5) }.pem(&ca));
    let path = |file: &str| dir.path().join("certs").join(file);
    let builder = mtls_min::Trust::builder().pem_file(path("ca.pem")).crl_file(path("crl.pem"));
    let before = builder.build().unwrap();
    told(&dir, "crl --adopt");
    let after = builder.rebuild(&before).unwrap();
    assert!(after.crls().next().unwrap().this_update() >= before.crls().next().unwrap().this_update());
}

/// Another program's list in place of ours: what it revoked is taken over, and it is not called a backup.
#[test]
fn a_list_without_a_number_beside_an_index_is_learned_from() {
    let ca = Ca::new("ca");
    let dir = directory_of(&ca);
    done(&dir, "crl --empty");
    done(&dir, "client alice");
    done(&dir, "revoke alice");
    let list =
        Crl { number: None, version: None, without_reasons: true, revoked: vec![(vec![42], 0)], ..Crl::number(0) };
    dir.write("certs/crl.pem", list.pem(&ca));
    let said = told(&dir, "crl");
    assert!(
        said.contains("has no number") && !said.contains("backup") && said.contains("1 revocation is taken over"),
        "{said}"
    );
    assert_eq!(listed(&dir).len(), 2);
}

/// RFC 5280, section 4.2.1.3: no list of such a CA is valid. The message says so with the repair, and the repair works.
#[test]
fn a_ca_whose_key_usage_allows_no_lists_is_told_apart_and_how_to_mend_it() {
    let ca = Ca::new("ca");
    let without = ca.renewed_with("ca", |params| params.key_usages = vec![KeyUsagePurpose::KeyCertSign]);
    let dir = directory_of(&without);
    done(&dir, "client alice");
    let said = fails(&dir, "crl --empty");
    assert!(
        said.contains("the keyUsage of this CA does not allow signing lists")
            && said.contains("keyCertSign and cRLSign"),
        "{said}"
    );
    dir.write("certs/ca.pem", ca.pem());
    done(&dir, "crl --empty");
    done(&dir, "revoke alice");
    assert_eq!(listed(&dir), [digits(identity(&dir, "alice").serial())]);
}
