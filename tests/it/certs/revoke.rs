//! `mtls-min certs revoke` and `crl`: the serial number is on the list at once and for good.

use std::fs;
use std::time::{Duration, SystemTime};

use mtls_min::Trust;

use crate::support::certs::{certs, crl, digits, done, fails, holder, identity, initialised, read, snapshot, told};
use crate::support::client::{TLS13, eventually, get};
use crate::support::command::{Serving, binary};
use crate::support::files::TempDir;
use crate::support::pki::{self, Holder};

#[test]
fn revoking_puts_the_serial_on_the_list_at_once_and_for_good() {
    let dir = initialised();
    done(&dir, "client alice");
    let serial = digits(identity(&dir, "alice").serial());
    let said = done(&dir, "revoke alice --reason key-compromise");
    let hint = "a server with --crl certs/crl.pem applies it within a second";
    assert_eq!(said, format!("revoked alice, serial {serial}\n{hint}\n"));
    let (number, days, entries) = crl(&dir);
    assert_eq!((days, entries), (30, vec![(serial.clone(), 1)]));
    let first = done(&dir, "list");
    assert!(first.contains("key-compromise"), "{first}");
    // Revoked again: the first time and reason stay, and the list is signed anew.
    let again = done(&dir, "revoke alice --reason superseded");
    assert!(again.contains("alice was revoked before"), "{again}");
    assert!(crl(&dir).0 > number);
    assert_eq!(crl(&dir).2, [(serial.clone(), 1)]);
    assert_eq!(done(&dir, "list").lines().nth(2), first.lines().nth(2));
    // It stays on the list, and a new alice does not lift it.
    for name in ["alice-crt.pem", "alice-key.pem", "alice.p12", "alice.legacy.p12"] {
        fs::remove_file(dir.path().join("certs").join(name)).unwrap();
    }
    done(&dir, "client alice");
    done(&dir, "crl");
    assert_eq!(crl(&dir).2, [(serial, 1)]);
}

/// The recipe of the guide.
#[test]
fn a_running_server_turns_away_who_is_revoked_and_keeps_the_others() {
    let dir = initialised();
    done(&dir, "client alice");
    done(&dir, "client bob");
    let args = ["--ca", "certs/ca.pem", "--crl", "certs/crl.pem", "--crl-required", "--listen", "127.0.0.1:0"];
    let serving = Serving::start(&binary(), dir.path(), &args);
    let status = |holder: &Holder| get(serving.addr, Some(holder), &TLS13).unwrap().status;
    let (alice, bob) = (holder(&dir, "alice"), holder(&dir, "bob"));
    assert_eq!((status(&alice), status(&bob)), (200, 200));
    done(&dir, "revoke alice");
    eventually(|| status(&alice) == 401);
    assert_eq!(status(&bob), 200);
    done(&dir, "renew bob --revoke-old");
    eventually(|| status(&bob) == 401);
    assert_eq!(status(&holder(&dir, "bob")), 200);
    assert!(!serving.stderr().contains("warning"), "{}", serving.stderr());
}

#[test]
fn every_reason_reaches_the_list_as_its_code() {
    let dir = initialised();
    let reasons = [
        ("unspecified", 0),
        ("key-compromise", 1),
        ("affiliation-changed", 3),
        ("superseded", 4),
        ("cessation-of-operation", 5),
        ("privilege-withdrawn", 9),
    ];
    for (word, code) in reasons {
        done(&dir, &format!("client {word}"));
        done(&dir, &format!("revoke {word} --reason {word}"));
        let serial = digits(identity(&dir, word).serial());
        assert!(crl(&dir).2.contains(&(serial, code)), "{word}");
    }
    assert_eq!(crl(&dir).2.len(), reasons.len());
}

#[test]
fn a_new_list_is_no_list_from_the_future_to_a_clock_that_is_behind() {
    let dir = initialised();
    done(&dir, "crl");
    let path = |name: &str| dir.path().join("certs").join(name);
    let behind = SystemTime::now() - Duration::from_secs(55 * 60);
    Trust::builder().pem_file(path("ca.pem")).crl_file(path("crl.pem")).now(behind).build().unwrap();
}

#[test]
fn a_list_is_signed_for_the_days_that_were_chosen_last() {
    let dir = initialised();
    assert_eq!(done(&dir, "crl --days 90"), "made certs/crl.pem\n");
    assert_eq!(crl(&dir).1, 90);
    let number = crl(&dir).0;
    done(&dir, "revoke server");
    assert!(crl(&dir).0 > number && crl(&dir).1 == 90);
    let number = crl(&dir).0;
    fs::remove_file(dir.path().join("certs/crl.pem")).unwrap();
    assert!(done(&dir, "list").contains("no revocation list, or not of all"));
    done(&dir, "crl");
    assert!(crl(&dir).0 > number && crl(&dir).1 == 90);
}

/// With an index from a backup, a client revoked since then stays revoked.
#[test]
fn an_old_index_undoes_no_revocation() {
    let dir = initialised();
    done(&dir, "client alice");
    let index = read(&dir, "index.txt");
    done(&dir, "client bob");
    done(&dir, "revoke alice --reason key-compromise");
    done(&dir, "revoke bob");
    let (number, _, mut revoked) = crl(&dir);
    let bob = digits(identity(&dir, "bob").serial());
    // Bob is known neither by the index nor by a file.
    fs::remove_file(dir.path().join("certs/bob-crt.pem")).unwrap();
    dir.write("certs/index.txt", index);
    let (_, listed, notice) = certs(&dir, "list");
    let expected = "mtls-min: 2 revocations are taken over from certs/crl.pem, which is newer than index.txt: is index.txt from a backup?\n";
    assert_eq!(notice, expected);
    assert!(listed.contains(&format!("serial-{bob}")) && !listed.contains(" valid\nbob"), "{listed}");
    told(&dir, "crl");
    let (now, _, mut entries) = crl(&dir);
    entries.sort();
    revoked.sort();
    assert!(now > number);
    assert_eq!(entries, revoked, "alice and bob, with their reasons");
    assert!(done(&dir, "revoke alice").contains("was revoked before"));
}

/// The other way round: the index is the newer one, so the list is signed anew.
#[test]
fn an_old_list_is_told_and_signed_anew_by_the_next_change() {
    for next in ["crl", "client bob", "renew server"] {
        let dir = initialised();
        done(&dir, "client alice");
        let list = read(&dir, "crl.pem");
        done(&dir, "revoke alice");
        let number = crl(&dir).0;
        dir.write("certs/crl.pem", list);
        let (_, said, notice) = certs(&dir, "list");
        assert!(said.contains("or not of all that is revoked"), "{said}");
        assert!(notice.contains("certs/crl.pem is older than index.txt, as if from a backup"), "{notice}");
        told(&dir, next);
        assert_eq!(crl(&dir).2, [(digits(identity(&dir, "alice").serial()), 0)], "{next}");
        assert!(crl(&dir).0 > number && !done(&dir, "list").contains("not of all"), "{next}");
    }
}

/// Its list would be pending for ever, and stop every later command.
#[test]
fn with_a_ca_that_may_not_sign_lists_nothing_is_revoked_by_halves() {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = pki::params("ca");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    let dir = TempDir::new();
    fs::create_dir(dir.path().join("certs")).unwrap();
    dir.write("certs/ca.pem", params.self_signed(&key).unwrap().pem());
    dir.write("certs/ca-key.pem", key.serialize_pem());
    done(&dir, "client alice");
    let before = snapshot(&dir);
    for args in ["revoke alice", "renew alice --revoke-old", "crl", "crl --empty"] {
        let said = fails(&dir, args);
        let of_signing = said.contains("the revocation list cannot be signed") && said.contains("cRLSign");
        assert!(of_signing == args.contains("empty") && (of_signing || said.contains("crl --empty")), "{args}: {said}");
        assert!(snapshot(&dir) == before, "{args} changed something");
    }
    done(&dir, "renew alice");
    done(&dir, "client bob");
}

/// A serial number whose first bit is set has a zero octet before it in the certificate; on the list it is the same number.
#[test]
fn serial_numbers_of_others_reach_the_list_as_they_are() {
    let dir = initialised();
    let key = rcgen::KeyPair::from_pem(&read(&dir, "ca-key.pem")).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_pem(&read(&dir, "ca.pem"), key).unwrap();
    for (name, serial, listed) in [("high", vec![0x80, 1], "008001"), ("small", vec![1], "01")] {
        let mut params = pki::params(name);
        params.serial_number = Some(serial.into());
        let certificate = params.signed_by(&rcgen::KeyPair::generate().unwrap(), &issuer).unwrap();
        dir.write(&format!("certs/{name}-crt.pem"), certificate.pem());
        let said = done(&dir, &format!("revoke {name}"));
        let serial = listed.trim_start_matches("00");
        assert!(said.starts_with(&format!("revoked {name}, serial {serial}\n")), "{said}");
        assert!(crl(&dir).2.contains(&(listed.to_owned(), 0)), "{:?}", crl(&dir));
    }
}
