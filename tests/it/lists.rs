//! Revocation lists as CAs in the field make them: without numbers, for a part of the certificates, from a clock that is ahead,
//! from a backup (row T19 of the immunity matrix).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use mtls_min::{RefusalCode, StaleCrl, Trust, TrustBuilder, judge};
use rcgen::CustomExtension;

use crate::support::client::{GET, VERSIONS, config, connect, eventually, exchange};
use crate::support::crl::{Crl, extension, serial};
use crate::support::files::TempDir;
use crate::support::judged::{self, REVOKED, code, code_at};
use crate::support::pki::{Ca, HOUR, Holder, name, write};
use crate::support::server::start_with;

fn trusting(ca: &Ca, lists: &[Crl]) -> TrustBuilder {
    judged::trusting(&[ca], &lists.iter().map(|list| list.der(ca)).collect::<Vec<_>>())
}

/// Issued this many hours ago, as easy-rsa and cfssl do: with an authority key identifier and without a number.
fn unnumbered(hours: u32) -> Crl {
    let identifier = extension(&[0x55, 0x1d, 0x23], false, &[0x30, 0]);
    Crl { number: None, this_update: SystemTime::now() - HOUR * hours, extensions: vec![identifier], ..Crl::number(0) }
}

/// As `openssl ca -gencrl` does by default: of version 1, and so without any extensions (RFC 5280, section 5.1.2.1).
fn version_1(hours: u32) -> Crl {
    Crl { version: None, extensions: Vec::new(), without_reasons: true, ..unnumbered(hours) }
}

/// RFC 5280, section 6.3.3 does not require a number.
#[test]
fn a_list_without_a_number_is_heeded_and_the_latest_counts_whatever_the_order() {
    let ca = Ca::new("ca");
    let alice = ca.client("alice");
    for made in [unnumbered, version_1] {
        let (old, new) = (made(3), made(2).revoking(&alice));
        for order in [[&old, &new], [&new, &old]] {
            let lists = order.map(|list| list.der(&ca));
            let builder =
                lists.iter().fold(Trust::builder().pem(ca.pem(), "ca"), |builder, der| builder.crl(der.clone(), "crl"));
            let trust = builder.require_crls().build().unwrap();
            assert_eq!((code(&trust, &alice), code(&trust, &ca.client("bob"))), (REVOKED, None));
            assert_eq!(trust.crls().map(mtls_min::Crl::number).collect::<Vec<_>>(), [None]);
            assert!(trust.crls().next().unwrap().to_string().starts_with("list of 20"));
        }
        // Two within a second: the later one names more, unless something is wrong.
        let issued = SystemTime::now() - HOUR;
        let at_once = |list: Crl| Crl { this_update: issued, ..list };
        let (first, second) = (at_once(made(0)), at_once(made(0).revoking(&alice)));
        for order in [[first.der(&ca), second.der(&ca)], [second.der(&ca), first.der(&ca)]] {
            let [one, other] = order;
            let trust = Trust::builder().pem(ca.pem(), "ca").crl(one, "one").crl(other, "other").build().unwrap();
            assert_eq!(code(&trust, &alice), REVOKED);
        }
        let bob = at_once(made(0).revoking(&ca.client("bob")));
        let error = trusting(&ca, &[second, bob]).build().unwrap_err().to_string();
        assert!(error.contains("a second, different revocation list of 20"), "{error}");
    }
}

#[test]
fn number_and_date_both_guard_against_going_back() {
    let ca = Ca::new("ca");
    let alice = ca.client("alice");
    let issued = SystemTime::now() - HOUR * 2;
    let at_once = || Crl { this_update: issued, ..unnumbered(2) };
    let numbered = |number, hours: u32| Crl { this_update: SystemTime::now() - HOUR * hours, ..Crl::number(number) };
    for (before, after, words) in [
        (unnumbered(2), unnumbered(3), "was issued on 20"),
        (at_once().revoking(&alice), at_once(), "like the one in force, but revokes less"),
        (at_once().revoking(&alice), at_once().revoking(&ca.client("bob")), "has the same date"),
        (numbered(5, 2), unnumbered(3), "was issued on 20"),
        (unnumbered(2), numbered(5, 3), "was issued on 20"),
        (version_1(2), unnumbered(3), "was issued on 20"),
        (numbered(5, 2), numbered(4, 3), "has number 4, lower than 5"),
        (numbered(5, 2), numbered(4, 1), "has number 4, lower than 5"),
        (numbered(5, 2), numbered(6, 3), "the higher number has the earlier date"),
        (numbered(5, 2), numbered(5, 1), "has the same number 5"),
    ] {
        let trust = trusting(&ca, std::slice::from_ref(&before)).build().unwrap();
        let error = trusting(&ca, &[after]).rebuild(&trust).unwrap_err().to_string();
        assert!(error.contains("crl1") && error.contains(words), "{words}: {error}");
        let error = trusting(&ca, &[]).rebuild(&trust).unwrap_err().to_string();
        assert!(error.contains("is gone"), "{error}");
    }
    for (before, after) in [
        (unnumbered(3), unnumbered(2)),
        (unnumbered(3), numbered(1, 2)),
        (numbered(5, 3), unnumbered(2)),
        (numbered(5, 2), numbered(6, 2)),
    ] {
        let trust = trusting(&ca, &[before]).build().unwrap();
        assert_eq!(code(&trusting(&ca, &[after.revoking(&alice)]).rebuild(&trust).unwrap(), &alice), REVOKED);
    }
    for order in [[numbered(5, 2), numbered(6, 3)], [numbered(6, 3), numbered(5, 2)]] {
        let error = trusting(&ca, &order).build().unwrap_err().to_string();
        assert!(error.contains("the higher number has the earlier date"), "{error}");
    }
}

/// `[0] { [0] { names } }`, as in both extensions.
fn point(names: &[&str]) -> Vec<u8> {
    let names: Vec<u8> = names.iter().flat_map(|name| write(0x86, name.as_bytes())).collect();
    write(0xa0, &write(0xa0, &names))
}

/// A list with an issuingDistributionPoint of these parts.
fn scoped(parts: &[u8]) -> Crl {
    Crl { extensions: vec![extension(&[0x55, 0x1d, 0x1c], true, &write(0x30, parts))], ..Crl::number(1) }
}

fn client_at(ca: &Ca, points: &[&str]) -> Holder {
    let points: Vec<u8> = points.iter().flat_map(|name| write(0x30, &point(&[name]))).collect();
    ca.client_with("alice", |params| {
        if !points.is_empty() {
            params.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 31], write(0x30, &points))];
        }
    })
}

const ONE: &str = "http://crl.example/1.crl";
const TWO: &str = "http://crl.example/2.crl";
const USERS: &[u8] = &[0x81, 1, 0xff];
const AUTHORITIES: &[u8] = &[0x82, 1, 0xff];

/// RFC 5280, section 6.3.3 (b) (2).
#[test]
fn a_list_for_some_certificates_stands_for_these_and_revokes_whatever_it_names() {
    let ca = Ca::new("ca");
    let missing = Some(RefusalCode::CrlMissing);
    let directory = |name: &[u8]| write(0xa0, &write(0xa0, &write(0xa4, name)));
    let own_name = name(&[&[(crate::support::pki::CN, 0x13, b"CA")]]);
    for (what, parts, points, found) in [
        ("users only", USERS.to_vec(), &[][..], None),
        ("CAs only", AUTHORITIES.to_vec(), &[], missing),
        ("nothing said", vec![], &[], None),
        ("what is false is said", vec![0x81, 1, 0, 0x84, 1, 0], &[], None),
        ("its point", point(&[ONE]), &[ONE], None),
        ("one of its points", point(&[ONE]), &[TWO, ONE], None),
        ("one of the list's names", point(&[TWO, ONE]), &[ONE], None),
        ("another point", point(&[ONE]), &[TWO], missing),
        ("other letters", point(&[ONE]), &["http://crl.example/1.CRL"], missing),
        ("users of its point", [point(&[ONE]), USERS.to_vec()].concat(), &[ONE], None),
        ("CAs of its point", [point(&[ONE]), AUTHORITIES.to_vec()].concat(), &[ONE], missing),
        // As the certificates of smallstep: without a distribution point. The end of section 6.3.3 then assumes one of the issuer's name.
        ("the certificate has no point", point(&[ONE]), &[], missing),
        ("the list's point is the issuer", directory(&own_name), &[], None),
        ("the list's point is another", directory(&name(&[&[(crate::support::pki::CN, 0x13, b"x")]])), &[], missing),
    ] {
        let alice = client_at(&ca, points);
        let list = scoped(&parts);
        assert_eq!(code(&trusting(&ca, std::slice::from_ref(&list)).build().unwrap(), &alice), None, "{what}");
        assert_eq!(
            code(&trusting(&ca, std::slice::from_ref(&list)).require_crls().build().unwrap(), &alice),
            found,
            "{what}"
        );
        let trust = trusting(&ca, &[list.revoking(&alice)]).build().unwrap();
        assert_eq!(code(&trust, &alice), REVOKED, "{what}");
    }
}

/// RFC 5280, section 5.2.5: such lists do not cover certificates of version 1.
#[test]
fn a_list_of_users_does_not_stand_for_a_client_of_version_1() {
    let ca = Ca::new("ca");
    let old = ca.client_v1("old");
    let judged = |list: Crl| code(&trusting(&ca, &[list]).require_crls().accept_v1().build().unwrap(), &old);
    assert_eq!(judged(Crl::number(1)), None);
    assert_eq!(judged(scoped(USERS)), Some(RefusalCode::CrlMissing));
    assert_eq!(judged(scoped(USERS).revoking(&old)), REVOKED);
}

#[test]
fn several_lists_of_one_ca_are_in_force_and_each_is_newest_in_its_own_scope() {
    let ca = Ca::new("ca");
    let (alice, bob) = (client_at(&ca, &[ONE]), client_at(&ca, &[TWO]));
    let issued = SystemTime::now() - HOUR;
    let part = |url: &str, number: u8, next_update: SystemTime| Crl {
        number: Some(vec![number]),
        this_update: issued,
        next_update: Some(next_update),
        ..scoped(&[point(&[url]), USERS.to_vec()].concat())
    };
    let (later, past) = (SystemTime::now() + 10 * HOUR, SystemTime::now() - HOUR / 2);
    let lists = [part(ONE, 3, later), part(TWO, 7, past), part(ONE, 4, later), part(ONE, 2, later).revoking(&alice)];
    let trust = trusting(&ca, &lists).require_crls().build().unwrap();
    assert_eq!(trust.crls().count(), 2);
    let shown: Vec<_> = trust.crls().map(ToString::to_string).collect();
    assert_eq!(shown[0], format!("list number 4 of CN=ca (of end entities, of the distribution point {ONE})"));
    // A stale list of another part does not matter.
    assert_eq!((code(&trust, &alice), code(&trust, &bob)), (None, Some(RefusalCode::CrlExpired)));
    // For a certificate that does not say which list it belongs to, it may be that one.
    assert_eq!(code(&trust, &client_at(&ca, &[])), Some(RefusalCode::CrlExpired));
    for (lists, words) in [
        (vec![part(ONE, 4, later)], "distribution point http://crl.example/2.crl) is gone: number 7 is in force"),
        (vec![part(ONE, 4, later), part(TWO, 6, later)], "has number 6, lower than 7"),
    ] {
        let error = trusting(&ca, &lists).rebuild(&trust).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    // One list for everything replaces the parts, if it drops no entry.
    trusting(&ca, &[Crl::number(1)]).rebuild(&trust).unwrap();
    let trust = trusting(&ca, &[part(TWO, 7, later).revoking(&bob)]).build().unwrap();
    assert!(trusting(&ca, &[Crl::number(1)]).rebuild(&trust).is_err());
    assert_eq!(code(&trusting(&ca, &[Crl::number(1).revoking(&bob)]).rebuild(&trust).unwrap(), &bob), REVOKED);
}

/// Like a board without a clock at boot: the server has to start, or nobody can reach it to set the clock.
#[test]
fn a_clock_before_the_list_refuses_its_clients_until_the_clock_is_right_and_takes_the_list_then() {
    let ca = Ca::with("ca", |params| params.not_before = (SystemTime::now() - 1000 * HOUR).into());
    let client =
        |name: &str| ca.client_with(name, |params| params.not_before = (SystemTime::now() - 1000 * HOUR).into());
    let (alice, bob) = (client("alice"), client("bob"));
    let list = Crl::number(1).revoking(&alice);
    let early = SystemTime::now() - 100 * HOUR;
    let trust = trusting(&ca, std::slice::from_ref(&list)).now(early).build().unwrap();
    // What it revokes is known.
    assert_eq!(code_at(&trust, &alice, early), REVOKED);
    assert_eq!(code_at(&trust, &bob, early), Some(RefusalCode::CrlNotYetValid));
    let judgement = judge(&bob.chain, &trust, early);
    let from = trust.crls().next().unwrap().this_update();
    assert_eq!(judgement.valid_until, Some(from));
    assert_eq!((code(&trust, &alice), code(&trust, &bob)), (REVOKED, None));
    let warnings = trust.warnings(early);
    assert!(
        warnings[0].contains("is from the future, issued on 20") && warnings[0].contains("refused until then"),
        "{warnings:?}"
    );
    assert_eq!(trust.warnings(SystemTime::now()), [""; 0]);
    // With stale lists allowed, their dates do not matter.
    let lenient = trusting(&ca, &[list]).stale_crl(StaleCrl::Warn).now(early).build().unwrap();
    assert_eq!((code_at(&lenient, &alice, early), code_at(&lenient, &bob, early)), (REVOKED, None));

    // It is accepted without a restart, as soon as the clock is right.
    let hours = Arc::new(AtomicU32::new(100));
    let clock = Arc::clone(&hours);
    let running = start_with(
        trust,
        |builder| builder.clock(move || SystemTime::now() - HOUR * clock.load(Ordering::SeqCst)),
        |_: &mut mtls_min::Request<'_>| mtls_min::Response::default(),
    );
    let mut stream = connect(running.addr, config(Some(&bob), VERSIONS[1]));
    assert_eq!(exchange(&mut stream, GET).unwrap().status, 401);
    hours.store(0, Ordering::SeqCst);
    assert_eq!(crate::support::client::get(running.addr, Some(&bob), VERSIONS[1]).unwrap().status, 200);
    assert_eq!(running.seen.sorted_codes(2), ["CN=bob", "crl_not_yet_valid"]);
}

#[test]
fn t19_a_newer_list_that_forgets_revocations_is_taken_with_a_loud_warning_that_names_them() {
    let ca = Ca::new("ca");
    let (alice, bob, held) = (ca.client("alice"), ca.client("bob"), ca.client("held"));
    let mut before = Crl::number(5).revoking(&alice).revoking(&bob);
    // certificateHold
    before.revoked.push((serial(&held.chain[0]), 6));
    let trust = trusting(&ca, &[before]).build().unwrap();
    let text = |trust: &Trust| trust.warnings(SystemTime::now()).concat();
    assert_eq!(text(&trust), "");
    // RFC 5280, section 5.3.1: an entry on hold may be removed.
    let same = trusting(&ca, &[Crl::number(6).revoking(&alice).revoking(&bob)]).rebuild(&trust).unwrap();
    assert_eq!(text(&same), "");
    let restored = trusting(&ca, &[Crl::number(6).revoking(&bob)]);
    let after = restored.rebuild(&trust).unwrap();
    let serial_number = crate::support::crl::hex(&serial(&alice.chain[0]));
    let warning = text(&after);
    for part in
        ["list number 6 of CN=ca no longer revokes 1 serial number that list number 5", &*serial_number, "backup"]
    {
        assert!(warning.contains(part), "{warning:?} lacks {part:?}");
    }
    // It stays until the next list.
    let again = restored.rebuild(&after).unwrap();
    assert_eq!(text(&again), warning);
    assert_eq!(text(&trusting(&ca, &[Crl::number(7).revoking(&bob)]).rebuild(&again).unwrap()), "");
    // At most twenty are named.
    let many =
        |numbers: std::ops::Range<u8>| Crl { revoked: numbers.map(|n| (vec![0x40, n], 1)).collect(), ..Crl::number(8) };
    for (count, dots) in [(20, false), (21, true)] {
        let trust = trusting(&ca, &[many(0..count)]).build().unwrap();
        let warning = text(&trusting(&ca, &[Crl::number(9)]).rebuild(&trust).unwrap());
        assert!(warning.contains(&format!("revokes {count} serial numbers")), "{warning}");
        assert_eq!((warning.contains("4013"), warning.contains("4014"), warning.contains('…')), (true, false, dots));
    }
}

#[test]
fn t19_the_log_of_a_running_server_says_that_revocations_were_forgotten() {
    let ca = Ca::new("ca");
    let alice = ca.client("alice");
    let dir = TempDir::new();
    dir.write("ca.pem", ca.pem());
    dir.write("crl.pem", Crl::number(1).revoking(&alice).pem(&ca));
    let server = Ca::new("server").server();
    dir.write("server-crt.pem", server.pem());
    dir.write("server-key.pem", server.key_pem());
    let path = |name: &str| dir.path().join(name);
    let trust = Trust::builder().pem_file(path("ca.pem")).crl_file(path("crl.pem"));
    let files = mtls_min::ServerFiles::new(trust, path("server-crt.pem"), path("server-key.pem"));
    let running = crate::support::server::start_watching(files);
    dir.replace("crl.pem", Crl::number(2).pem(&ca));
    let serial_number = crate::support::crl::hex(&serial(&alice.chain[0]));
    eventually(|| {
        running.seen.events().iter().any(|event| event.contains("no longer revokes") && event.contains(&serial_number))
    });
}

/// RFC 5280, section 5.2.3: numbers grow, even across a list without a number.
#[test]
fn a_list_without_a_number_does_not_make_the_numbers_before_it_forgotten() {
    let ca = Ca::new("ca");
    let alice = ca.client("alice");
    let numbered = |number, hours: u32| Crl { this_update: SystemTime::now() - HOUR * hours, ..Crl::number(number) };
    let trust = trusting(&ca, &[numbered(5, 4).revoking(&alice)]).build().unwrap();
    let trust = trusting(&ca, &[unnumbered(3).revoking(&alice)]).rebuild(&trust).unwrap();
    let error = trusting(&ca, &[numbered(4, 2)]).rebuild(&trust).unwrap_err().to_string();
    assert!(error.contains("has number 4, lower than 5"), "{error}");
    trusting(&ca, &[numbered(6, 2).revoking(&alice)]).rebuild(&trust).unwrap();
    // In one set of files the order does not matter.
    let (a, b, c) = (|| numbered(5, 4).revoking(&alice), || unnumbered(3).revoking(&alice), || numbered(4, 2));
    for order in [[a(), b(), c()], [a(), c(), b()], [b(), a(), c()], [b(), c(), a()], [c(), a(), b()], [c(), b(), a()]]
    {
        let error = trusting(&ca, &order).build().unwrap_err().to_string();
        assert!(error.contains("the higher number has the earlier date"), "{error}");
    }
}

/// Otherwise whoever serves a list could fill the log, not only its CA.
#[test]
fn what_is_told_of_a_list_that_cannot_be_used_is_short() {
    let ca = Ca::new("ca");
    let long = vec![0x41; 100_000];
    let reason = extension(&[0x55, 0x1d, 0x15], false, &long);
    let entry =
        |serial: &[u8]| write(0x30, &[write(2, serial), write(0x17, b"250101000000Z"), write(0x30, &reason)].concat());
    let common_name = |length: usize| name(&[&[(crate::support::pki::CN, 12, &long[..length])]]);
    let other = common_name(10);
    let mut texts = Vec::new();
    for (issuer, entries) in [(&common_name(100_000), Vec::new()), (&other, entry(&[1])), (&other, entry(&long))] {
        let algorithm = write(0x30, &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]);
        let dates = [write(0x17, b"250101000000Z"), write(0x17, b"350101000000Z")].concat();
        let tbs = [write(2, &[1]), algorithm.clone(), issuer.clone(), dates, write(0x30, &entries)].concat();
        let der = write(0x30, &[write(0x30, &tbs), algorithm, write(3, &[0, 1])].concat());
        let error = Trust::builder().pem(ca.pem(), "ca").crl(der, "crl").build().unwrap_err();
        texts.push(format!("{error}; {:?}", std::error::Error::source(&error).map(ToString::to_string)).len());
    }
    assert!(texts.iter().all(|length| *length < 1000), "{texts:?}");
}
