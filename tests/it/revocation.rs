//! Rows T9 to T12 of the immunity matrix: revocation lists, good, bad, old and huge.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use mtls_min::{RefusalCode, StaleCrl, Trust, Verdict, judge};
use rcgen::{CustomExtension, ExtendedKeyUsagePurpose as Eku, SerialNumber};
use rustls::pki_types::CertificateDer;

use crate::support::client::{VERSIONS, get};
use crate::support::crl::{Crl, extension, serial};
use crate::support::judged::{refusal, trusting};
use crate::support::pki::{Ca, HOUR, Holder, SHA1, changed, self_signed};
use crate::support::server::{start, start_with};

/// The code of the refusal, and its detail; `None`: authorised.
fn verdict(trust: &Trust, holder: &Holder, now: SystemTime) -> Option<(RefusalCode, String)> {
    refusal(&holder.chain, trust, now).map(|refusal| (refusal.code(), refusal.detail().to_owned()))
}

#[track_caller]
fn refused_as(trust: &Trust, holder: &Holder, code: RefusalCode, details: &[&str]) {
    let (found, detail) = verdict(trust, holder, SystemTime::now()).expect("authorised");
    assert_eq!(found, code, "{detail}");
    for part in details {
        assert!(detail.contains(part), "{detail:?} lacks {part:?}");
    }
}

#[test]
fn a_revoked_client_gets_401_and_the_log_says_when_and_why() {
    let ca = Ca::new("ca");
    let (alice, bob) = (ca.client("alice"), ca.client("bob"));
    let running = start(trusting(&[&ca], &[Crl::number(7).revoking(&alice).der(&ca)]).build().unwrap());
    for version in VERSIONS {
        assert_eq!(get(running.addr, Some(&alice), version).unwrap().status, 401);
        assert_eq!(get(running.addr, Some(&bob), version).unwrap().status, 200);
    }
    assert_eq!(running.seen.sorted_codes(4), ["CN=bob", "CN=bob", "revoked", "revoked"]);
    let details = ["CN=alice", "was revoked on 20", "keyCompromise", "list number 7 of CN=ca"];
    refused_as(&running.trust.current(), &alice, RefusalCode::Revoked, &details);
}

#[test]
fn t9_the_highest_number_counts_whatever_the_order() {
    let ca = Ca::new("ca");
    let alice = ca.client("alice");
    let (old, new) = (Crl::number(9), Crl { number: Some(vec![1, 0]), ..Crl::number(0) }.revoking(&alice));
    for (first, second) in [(&old, &new), (&new, &old)] {
        let together = [first.pem(&ca), second.pem(&ca)].concat().into_bytes();
        for lists in
            [vec![together], vec![first.der(&ca), second.der(&ca)], vec![first.der(&ca), second.pem(&ca).into()]]
        {
            let trust = trusting(&[&ca], &lists).build().unwrap();
            refused_as(&trust, &alice, RefusalCode::Revoked, &["number 256"]);
            assert_eq!(trust.crls().map(mtls_min::Crl::number).collect::<Vec<_>>(), [Some("256".to_owned())]);
        }
    }
}

#[test]
fn t10_no_broken_list_is_taken_and_none_panics() {
    let ca = Ca::new("ca");
    let alice = ca.client("alice");
    let good = Crl::number(1).revoking(&alice).revoking(&ca.client("bob")).der(&ca);
    assert!(trusting(&[&ca], std::slice::from_ref(&good)).build().is_ok());
    for length in 0..good.len() {
        assert!(trusting(&[&ca], &[good[..length].to_vec()]).build().is_err(), "cut to {length}");
    }
    for at in 0..good.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[at] ^= change;
            assert!(trusting(&[&ca], &[bad]).build().is_err(), "octet {at} changed by {change}");
        }
    }
    let mut longer = good.clone();
    longer.push(0);
    assert!(trusting(&[&ca], &[longer]).build().is_err(), "bytes after its end");
    let nested: Vec<u8> = std::iter::repeat_n([0x30, 0x80], 100_000).flatten().collect();
    assert!(trusting(&[&ca], &[nested]).build().is_err());
}

#[test]
fn t10_a_million_entries_are_read_and_each_is_found() {
    let ca = Ca::new("ca");
    let alice = ca.client_with("alice", |params| {
        params.serial_number = Some(SerialNumber::from_slice(&[0x55; 16]));
    });
    let bob = ca.client("bob");
    let numbers = (0..1_000_000_u32).map(|n| ([&[0x40], &[0x77; 11][..], &n.to_be_bytes()].concat(), 4));
    let mut list = Crl::number(1);
    list.revoked = numbers.collect();
    list.revoked.insert(500_000, (vec![0x55; 16], 1));
    let der = list.der(&ca);
    assert!(der.len() > 40_000_000, "{}", der.len());
    let begun = Instant::now();
    let trust = trusting(&[&ca], &[der]).build().unwrap();
    println!("a list of 1,000,001 entries was read in {:?}", begun.elapsed());
    assert_eq!(trust.crls().next().unwrap().revoked(), 1_000_001);
    refused_as(&trust, &alice, RefusalCode::Revoked, &["keyCompromise"]);
    assert_eq!(verdict(&trust, &bob, SystemTime::now()), None);
}

#[test]
fn t11_a_list_that_cannot_be_relied_on_is_named_and_says_why() {
    let (ca, other, namesake) = (Ca::new("ca"), Ca::new("other"), Ca::new("ca"));
    let no_crl_sign = Ca::with("ca", |params| params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign]);
    let alice = ca.client("alice");
    let idp = |inside: &[u8]| vec![extension(&[0x55, 0x1d, 0x1c], true, inside)];
    let with = |extensions: Vec<Vec<u8>>| Crl { extensions, ..Crl::number(1) };
    let reason = |code| Crl { revoked: vec![(vec![42], code)], ..Crl::number(1) }.der(&ca);
    for (what, list, words) in [
        ("another CA", Crl::number(1).der(&other), &["CN=other, which is not a loaded CA"][..]),
        (
            "the same name",
            Crl::number(1).der(&namesake),
            &["names CN=ca as its issuer, but is not signed with its key"],
        ),
        (
            "SHA-1",
            Crl { algorithm: Some(SHA1), ..Crl::number(1) }.der(&ca),
            &["of CN=ca is signed with an algorithm that is not accepted", "SHA-256"],
        ),
        ("version 3", Crl { version: Some(2), ..Crl::number(1) }.der(&ca), &["broken version"]),
        (
            "extensions in version 1",
            Crl { version: None, ..Crl::number(1) }.der(&ca),
            &["of version 1, but has extensions"],
        ),
        ("no next update", Crl { next_update: None, ..Crl::number(1) }.der(&ca), &["nextUpdate", "-crldays"]),
        (
            "a number below zero",
            Crl { number: Some(vec![0xff]), ..Crl::number(1) }.der(&ca),
            &["its CRL number", "5.2.3"],
        ),
        (
            "a number of 21 octets",
            Crl { number: Some(vec![1; 21]), ..Crl::number(1) }.der(&ca),
            &["its CRL number", "at most 20 octets"],
        ),
        ("reason 7", reason(7), &["the reason of the serial number 2a is 0a0107", "5.3.1"]),
        ("reason 11", reason(11), &["the reason of the serial number 2a is 0a010b", "5.3.1"]),
        ("a delta", with(vec![extension(&[0x55, 0x1d, 0x1b], true, &[2, 1, 1])]).der(&ca), &["partial", "a delta"]),
        ("some reasons only", with(idp(&[0x30, 4, 0x83, 2, 6, 0x40])).der(&ca), &["partial", "onlySomeReasons"]),
        ("an indirect list", with(idp(&[0x30, 3, 0x84, 1, 0xff])).der(&ca), &["an indirect list"]),
        ("attribute certificates", with(idp(&[0x30, 3, 0x85, 1, 0xff])).der(&ca), &["onlyContainsAttributeCerts"]),
        (
            "users and CAs only",
            with(idp(&[0x30, 6, 0x81, 1, 0xff, 0x82, 1, 0xff])).der(&ca),
            &["broken issuingDistributionPoint"],
        ),
        (
            "a relative name",
            with(idp(&[0x30, 15, 0xa0, 13, 0xa1, 11, 0x30, 9, 6, 3, 0x55, 4, 3, 0x0c, 2, b'c', b'a'])).der(&ca),
            &["nameRelativeToCRLIssuer", "a full name"],
        ),
        (
            "an unknown critical extension",
            with(vec![extension(&[0x55, 0x1d, 0x7f], true, &[5, 0])]).der(&ca),
            &["the critical extension 2.5.29.127, which is not supported", "mark it as not critical"],
        ),
        (
            "an extension twice",
            with(vec![extension(&[0x55, 0x1d, 0x14], false, &[2, 1, 2])]).der(&ca),
            &["one of them is repeated"],
        ),
        (
            "33 extensions",
            with((1..=32).map(|n| extension(&[0x2a, n], false, &[5, 0])).collect()).der(&ca),
            &["more than 32"],
        ),
        ("a certificate", alice.pem().into_bytes(), &["line 1", "\"CERTIFICATE\" among the revocation lists"]),
        ("a key", ca.key_pem().into_bytes(), &["line 1", "PRIVATE KEY"]),
        ("nothing", Vec::new(), &["holds no revocation list"]),
        ("text", b"hello".to_vec(), &["holds no revocation list"]),
        (
            "a certificate in DER",
            alice.chain[0].to_vec(),
            &["cannot be used as a revocation list", "a certificate in DER"],
        ),
    ] {
        let error = chain(&trusting(&[&ca], &[list]).build().expect_err(what));
        assert!(error.contains("crl1"), "{what}: {error}");
        for word in words {
            assert!(error.contains(word), "{what}: {error}");
        }
        let is_list = !["a certificate", "a key", "nothing", "text", "a certificate in DER"].contains(&what);
        assert!(!is_list || !error.contains("must be PEM"), "{what}: {error}");
    }
    assert!(
        trusting(&[&ca], &[with((1..=31).map(|n| extension(&[0x2a, n], false, &[5, 0])).collect()).der(&ca)])
            .build()
            .is_ok()
    );
    assert!(
        trusting(&[&ca], &[Crl { number: Some([&[0][..], &[0xff; 20]].concat()), ..Crl::number(1) }.der(&ca)])
            .build()
            .is_ok()
    );
    let error = chain(&trusting(&[&no_crl_sign], &[Crl::number(1).der(&no_crl_sign)]).build().unwrap_err());
    assert!(error.contains("cRLSign"), "{error}");
    let twice = [Crl::number(3).der(&ca), Crl::number(3).revoking(&alice).der(&ca)];
    let error = chain(&trusting(&[&ca], &twice).build().unwrap_err());
    assert!(error.contains("crl2: a second, different revocation list number 3"), "{error}");
}

fn chain(error: &mtls_min::Error) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    format!("{error}; {}; {}", cause.unwrap_or_default(), error.hint_text().unwrap_or_default())
}

#[test]
fn t11_what_was_revoked_does_not_come_back_by_an_older_list_or_none() {
    let (ca, other) = (Ca::new("ca"), Ca::new("other"));
    let alice = ca.client("alice");
    let [old, same, new] = [4, 5, 6].map(|number| Crl::number(number).revoking(&alice).der(&ca));
    let before = trusting(&[&ca], std::slice::from_ref(&same)).build().unwrap();
    let error = chain(&trusting(&[&ca], &[old]).rebuild(&before).unwrap_err());
    assert!(error.contains("crl1") && error.contains("number 4, lower than 5, which is in force"), "{error}");
    let error = chain(&trusting(&[&ca], &[]).rebuild(&before).unwrap_err());
    assert!(error.contains("the revocation list of CN=ca is gone: number 5 is in force, from crl1"), "{error}");
    assert!(trusting(&[&ca], &[same]).rebuild(&before).is_ok());
    assert!(trusting(&[&ca], &[new]).rebuild(&before).is_ok());
    assert!(trusting(&[&other], &[]).rebuild(&before).is_ok(), "the CA went with its list");
    // Two CAs of one name: each has its own list.
    let made_anew = Ca::new("ca");
    let issued = SystemTime::now() - HOUR;
    let both = |old: u8, new: u8| {
        let list = |number| Crl { this_update: issued, ..Crl::number(number) };
        let lists = [list(old).der(&ca), list(new).der(&made_anew)];
        trusting(&[&ca], &lists).pem(made_anew.pem(), "new.pem")
    };
    let before = both(9, 2).build().unwrap();
    assert!(both(9, 3).rebuild(&before).is_ok());
    let error = chain(&both(9, 1).rebuild(&before).unwrap_err());
    assert!(error.contains("crl2") && error.contains("number 1, lower than 2"), "{error}");
}

#[test]
fn a_stale_list_refuses_its_clients_unless_told_to_warn_and_says_so_a_day_before() {
    let ca = Ca::new("ca");
    let (alice, bob) = (ca.client("alice"), ca.client("bob"));
    let due = SystemTime::now() + 48 * HOUR;
    let list = Crl { next_update: Some(due), ..Crl::number(1) }.revoking(&bob).der(&ca);
    let strict = trusting(&[&ca], std::slice::from_ref(&list)).build().unwrap();
    let lenient = trusting(&[&ca], std::slice::from_ref(&list)).stale_crl(StaleCrl::Warn).build().unwrap();
    for (trust, after) in [(&strict, Some(RefusalCode::CrlExpired)), (&lenient, None)] {
        let code = |holder, now| verdict(trust, holder, now).map(|(code, _)| code);
        assert_eq!(code(&alice, due - HOUR), None);
        assert_eq!(code(&alice, due + HOUR), after);
        assert_eq!(code(&bob, due + HOUR), Some(RefusalCode::Revoked), "that is known all the same");
        assert_eq!(trust.warnings(due - 25 * HOUR), [""; 0]);
        assert!(
            trust.warnings(due - 23 * HOUR)[0].contains("number 1, is only valid until"),
            "{:?}",
            trust.warnings(due)
        );
        assert!(trust.warnings(due + HOUR)[0].contains("is stale"));
    }
    let old = ca.client_v1("old");
    let accepting = trusting(&[&ca], &[list]).accept_v1().build().unwrap();
    for (trust, holder) in [(&strict, &alice), (&accepting, &old)] {
        let judgement = judge(&holder.chain, trust, due - HOUR);
        assert!(judgement.valid_until.unwrap() <= due, "the cached verdict must not outlive the list");
    }
}

#[test]
fn an_open_connection_notices_that_the_list_has_become_stale() {
    let ca = Ca::new("ca");
    let due = SystemTime::now() + 10 * HOUR;
    let list = Crl { next_update: Some(due), ..Crl::number(1) }.der(&ca);
    let hours = Arc::new(AtomicU64::new(0));
    let clock = Arc::clone(&hours);
    let running = start_with(
        trusting(&[&ca], &[list]).build().unwrap(),
        |builder| builder.clock(move || SystemTime::now() + HOUR * clock.load(Ordering::SeqCst) as u32),
        |_: &mut mtls_min::Request<'_>| mtls_min::Response::default(),
    );
    let config = crate::support::client::config(Some(&ca.client("alice")), VERSIONS[1]);
    let mut stream = crate::support::client::connect(running.addr, config);
    let mut status = || crate::support::client::exchange(&mut stream, crate::support::client::GET).unwrap().status;
    assert_eq!(status(), 200);
    hours.store(11, Ordering::SeqCst);
    assert_eq!(status(), 401);
    assert_eq!(running.seen.codes(2)[1], "crl_expired");
}

#[test]
fn clients_of_a_ca_without_a_list_are_judged_without_one_unless_it_is_required() {
    let (one, two) = (Ca::new("one"), Ca::new("two"));
    let both = || trusting(&[&one], &[Crl::number(1).der(&one)]).pem(two.pem(), "two.pem");
    let (lenient, strict) = (both().build().unwrap(), both().require_crls().build().unwrap());
    let alice = two.client("alice");
    assert_eq!(verdict(&lenient, &alice, SystemTime::now()), None);
    let warnings = lenient.warnings(SystemTime::now());
    assert!(warnings[0].contains("no revocation list of CN=two"), "{warnings:?}");
    refused_as(&strict, &alice, RefusalCode::CrlMissing, &["CN=two", "CN=alice"]);
    assert_eq!(verdict(&strict, &one.client("bob"), SystemTime::now()), None);
    // The intermediate's clients too: its list is not there.
    refused_as(&strict, &one.intermediate("below").client("carol"), RefusalCode::CrlMissing, &["CN=below"]);
}

#[test]
fn a_revoked_intermediate_refuses_those_below_it_and_a_loaded_ca_can_be_revoked_too() {
    let root = Ca::new("root");
    let below = root.intermediate("below");
    let alice = below.client("alice");
    let mut list = Crl::number(1);
    list.revoked.push((serial(&below.der), 2));
    let list = list.der(&root);
    let trust = trusting(&[&root], std::slice::from_ref(&list)).build().unwrap();
    refused_as(&trust, &alice, RefusalCode::Revoked, &["CN=below", "cACompromise"]);
    let trust = trusting(&[&root], &[list]).pem(below.pem(), "below.pem").build().unwrap();
    refused_as(&trust, &alice, RefusalCode::Revoked, &["CN=below"]);
    // Not sent, it is found among the CAs; and it is revoked there too.
    refused_as(&trust, &alice.alone(), RefusalCode::Revoked, &["the CA CN=below"]);
    assert!(trust.warnings(SystemTime::now()).iter().any(|warning| warning.contains("the CA CN=below")));
    // With the intermediate loaded as a CA, its own list is found.
    let own = Crl::number(1).revoking(&alice).der(&below);
    let trust = trusting(&[&root], &[own]).pem(below.pem(), "below.pem").build().unwrap();
    refused_as(&trust, &alice, RefusalCode::Revoked, &["of CN=below"]);
}

#[test]
fn pins_and_version_1_do_not_escape_revocation() {
    let ca = Ca::new("ca");
    let (alice, old) = (ca.client("alice"), ca.client_v1("old"));
    let list = Crl::number(1).revoking(&alice).revoking(&old).der(&ca);
    let trust = trusting(&[&ca], &[list]).pem(alice.alone().pem(), "pins").accept_v1().build().unwrap();
    refused_as(&trust, &alice, RefusalCode::Revoked, &["CN=alice"]);
    refused_as(&trust, &old, RefusalCode::Revoked, &["CN=old"]);
    assert_eq!(verdict(&trust, &ca.client_v1("other"), SystemTime::now()), None);
}

/// The path that a client chooses must not matter: it decides what it sends.
#[test]
fn a_revoked_pin_stays_out_whatever_is_sent_along_and_however_it_is_made() {
    let ca = Ca::new("ca");
    let alice = ca.client("alice");
    let for_servers = ca.client_with("srv", |params| params.extended_key_usages = vec![Eku::ServerAuth]);
    let (old, spared) = (ca.client_v1("old"), ca.client("spared"));
    let list = Crl::number(1).revoking(&alice).revoking(&for_servers).revoking(&old).der(&ca);
    let pins = [&alice, &for_servers, &old, &spared].map(|holder| holder.alone().pem()).concat();
    let trust = trusting(&[&ca], &[list]).pem(pins, "pins").build().unwrap();
    let others: Vec<_> = (0..11).map(|n| ca.client(&n.to_string()).chain[0].clone()).collect();
    let judged = |holder: &Holder, along: &[CertificateDer<'static>]| {
        let chain: Vec<_> = holder.chain[..1].iter().chain(along).cloned().collect();
        match judge(&chain, &trust, SystemTime::now()).verdict {
            Verdict::Authorised(_) => None,
            Verdict::Refused(refusal) => Some(refusal.code()),
        }
    };
    for along in [&[][..], std::slice::from_ref(&ca.der), &[ca.der.clone(), ca.der.clone(), ca.der.clone()], &others] {
        for holder in [&alice, &for_servers, &old] {
            assert_eq!(judged(holder, along), Some(RefusalCode::Revoked), "{} along", along.len());
        }
        assert_eq!(judged(&spared, along), None, "{} along", along.len());
    }
}

/// Such a signature is not checked, so it may be the CA's.
#[test]
fn a_revoked_pin_stays_out_though_its_ca_signed_it_with_sha_1() {
    let ca = Ca::new("ca");
    let (old, spared) = (changed(&ca, None, Some(SHA1)), changed(&ca, None, Some(SHA1)));
    let list = Crl::number(1).revoking(&old).der(&ca);
    let pins = old.pem() + &spared.pem();
    let trust = trusting(&[&ca], &[list]).pem(pins, "pins").build().unwrap();
    refused_as(&trust, &old, RefusalCode::Revoked, &["CN=alice", "list number 1 of CN=ca"]);
    assert_eq!(verdict(&trust, &spared, SystemTime::now()), None);
}

#[test]
fn two_different_lists_of_one_number_are_never_taken_for_each_other() {
    let ca = Ca::new("ca");
    let (alice, bob) = (ca.client("alice"), ca.client("bob"));
    let issued = SystemTime::now() - HOUR;
    let list = |holder: &Holder| Crl { this_update: issued, ..Crl::number(2) }.revoking(holder).der(&ca);
    let (of_alice, of_bob) = (list(&alice), list(&bob));
    for order in [[&of_alice, &of_bob], [&of_bob, &of_alice]] {
        let error = chain(&trusting(&[&ca], &order.map(Clone::clone)).build().unwrap_err());
        assert!(error.contains("a second, different revocation list number 2 of CN=ca"), "{error}");
    }
    let before = trusting(&[&ca], std::slice::from_ref(&of_alice)).build().unwrap();
    let error = chain(&trusting(&[&ca], &[of_bob]).rebuild(&before).unwrap_err());
    assert!(error.contains("differs from the one in force, but has the same number 2"), "{error}");
    assert!(trusting(&[&ca], &[of_alice.clone(), of_alice]).rebuild(&before).is_ok(), "the same one twice");
}

#[test]
fn a_list_counts_for_its_issuer_only() {
    let (ca, other) = (Ca::new("ca"), Ca::new("other"));
    let number = |holder: &mut rcgen::CertificateParams| holder.serial_number = Some(SerialNumber::from(77_u64));
    let (ours, theirs) = (ca.client_with("ours", number), other.client_with("theirs", number));
    let trust = trusting(&[&ca], &[Crl::number(1).revoking(&ours).der(&ca)]).pem(other.pem(), "other").build().unwrap();
    refused_as(&trust, &ours, RefusalCode::Revoked, &[]);
    assert_eq!(verdict(&trust, &theirs, SystemTime::now()), None);
    // Two CAs with one key (a renewed CA): the list counts for both.
    let renewed = ca.renewed_as("ca");
    let trust =
        trusting(&[&ca], &[Crl::number(1).revoking(&ours).der(&ca)]).pem(renewed.pem(), "renewed").build().unwrap();
    refused_as(&trust, &ours, RefusalCode::Revoked, &[]);
    assert_eq!(trust.crls().count(), 1);
}

/// RFC 5280, section 4.1.2.2: a serial number is an integer, with a sign.
#[test]
fn a_list_of_minus_1_does_not_revoke_255_and_the_other_way_round() {
    let ca = Ca::new("ca");
    for (own, other) in [(&[0xff][..], &[0, 0xff][..]), (&[0x80, 0], &[0, 0x80, 0])] {
        for (serial, foreign) in [(own, other), (other, own)] {
            let holder = ca.with_serial(&ca.client("alice"), serial);
            let list = |revoked: &[u8]| Crl { revoked: vec![(revoked.to_vec(), 1)], ..Crl::number(1) }.der(&ca);
            refused_as(&trusting(&[&ca], &[list(serial)]).build().unwrap(), &holder, RefusalCode::Revoked, &[]);
            assert_eq!(verdict(&trusting(&[&ca], &[list(foreign)]).build().unwrap(), &holder, SystemTime::now()), None);
        }
    }
}

#[test]
fn a_serial_number_with_leading_zeros_is_the_same_number() {
    let ca = Ca::new("ca");
    let alice = ca.client_with("alice", |params| params.serial_number = Some(SerialNumber::from_slice(&[0x99, 1])));
    assert_eq!(serial(&alice.chain[0]), [0, 0x99, 1]);
    for written in [vec![0, 0x99, 1], vec![0, 0, 0x99, 1]] {
        let mut list = Crl::number(1);
        list.revoked.push((written, 0));
        let trust = trusting(&[&ca], &[list.der(&ca)]).build();
        // A wrong encoding may be refused; the entry must not be missed.
        if let Ok(trust) = trust {
            refused_as(&trust, &alice, RefusalCode::Revoked, &["unspecified"]);
        }
    }
}

#[test]
fn t12_addresses_in_a_certificate_are_not_called() {
    let canary = TcpListener::bind("127.0.0.1:0").unwrap();
    canary.set_nonblocking(true).unwrap();
    let url = format!("http://127.0.0.1:{}/", canary.local_addr().unwrap().port());
    let uri = crate::support::pki::write(0x86, url.as_bytes());
    let sequence = |content: &[u8]| crate::support::pki::write(0x30, content);
    // caIssuers and OCSP (1.3.6.1.5.5.7.48.2, .1); a distribution point.
    let access = |last: u8| sequence(&[&[6, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, last], &uri[..]].concat());
    let authority_info = sequence(&[access(1), access(2)].concat());
    let point = crate::support::pki::write(0xa0, &crate::support::pki::write(0xa0, &uri));
    let distribution = sequence(&sequence(&point));
    let ca = Ca::new("ca");
    let alice = ca.intermediate("unsent").client_with("alice", |params| {
        params.custom_extensions = vec![
            CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], authority_info),
            CustomExtension::from_oid_content(&[2, 5, 29, 31], distribution),
        ];
    });
    let running = start(trusting(&[&ca], &[Crl::number(1).der(&ca)]).require_crls().build().unwrap());
    for version in VERSIONS {
        assert_eq!(get(running.addr, Some(&alice.alone()), version).unwrap().status, 401);
        assert_eq!(get(running.addr, Some(&alice), version).unwrap().status, 401);
    }
    assert_eq!(running.seen.sorted_codes(4), ["crl_missing", "crl_missing", "unknown_issuer", "unknown_issuer"]);
    assert_eq!(canary.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "somebody called");
}

#[test]
fn a_pinned_client_needs_no_list_even_if_lists_are_required() {
    let ca = Ca::new("ca");
    let pinned = self_signed("pinned");
    let trust = trusting(&[&ca], &[Crl::number(1).der(&ca)]).require_crls().pem(pinned.pem(), "pins").build().unwrap();
    assert_eq!(verdict(&trust, &pinned, SystemTime::now() + Duration::from_secs(1)), None);
}
