//! Row T14 of the immunity matrix, as files change and time passes: what was revoked under one form of a CA's name, or by one of
//! its keys, stays revoked.

use std::time::SystemTime;

use mtls_min::{RefusalCode, StaleCrl, Trust, TrustBuilder, Verdict, judge};

use crate::support::crl::Crl;
use crate::support::judged::{REVOKED, code, trusting};
use crate::support::namesakes::{NAME, error, forms, renamed};
use crate::support::pki::{Ca, HOUR, Holder, pem};

#[test]
fn t14_what_was_revoked_does_not_come_back_with_another_form_of_the_name() {
    let ca = Ca::new(NAME);
    let alice = ca.client("alice");
    let list = |number, issuer: &Ca| Crl::number(number).revoking(&alice).der(issuer);
    for form in forms() {
        let other = renamed(&ca, form);
        let before = trusting(&[&ca], &[list(5, &ca)]).build().unwrap();
        assert!(error(&trusting(&[&other], &[list(4, &other)]), &before).contains("has number 4, lower than 5"));
        assert!(error(&trusting(&[&other], &[]), &before).contains("is gone: number 5 is in force"));
        assert!(error(&trusting(&[&ca, &other], &[list(4, &other)]), &before).contains("lower than 5"));
        assert!(trusting(&[&other], &[list(6, &other)]).rebuild(&before).is_ok());
    }
}

/// A compromised key can be removed while the server runs; a cross-certificate must not bring back what it revoked.
#[test]
fn t14_what_a_key_revoked_that_is_not_loaded_any_more_stays_revoked() {
    let (old, new) = (Ca::new(NAME), Ca::new(NAME));
    let below = old.certified_by(&new);
    let (alice, bob) = (below.client("alice"), below.client("bob"));
    let revoking = Crl::number(5).revoking(&alice);
    let before = trusting(&[&old], &[revoking.der(&old)]).build().unwrap();
    let mut trust = before;
    for lists in [&[][..], &[Crl::number(1).der(&new)], &[Crl::number(2).der(&new)]] {
        trust = trusting(&[&new], lists).rebuild(&trust).unwrap();
        assert_eq!((code(&trust, &alice), code(&trust, &bob)), (REVOKED, None));
        let warnings = trust.warnings(SystemTime::now());
        assert!(warnings.iter().any(|text| text.contains("no longer among the files")), "{warnings:?}");
    }
    // It comes back with an older list.
    let back = trusting(&[&old, &new], &[Crl::number(4).der(&old), Crl::number(3).der(&new)]);
    assert!(error(&back, &trust).contains("lower than 5"));
    // Nor when nobody of that name is loaded in between.
    let elsewhere = Ca::new("elsewhere");
    let trust = trusting(&[&elsewhere], &[]).rebuild(&trust).unwrap();
    assert!(error(&back, &trust).contains("lower than 5"));
}

#[test]
fn a_list_may_be_superseded_by_one_of_another_key_that_revokes_all_that_it_did() {
    let (old, new) = (Ca::new(NAME), Ca::new(NAME));
    let (alice, held) = (old.client("alice"), crate::support::crl::serial(&old.client("held").chain[0]));
    let mut revoking = Crl::number(5).revoking(&alice);
    // certificateHold
    revoking.revoked.push((held, 6));
    let before = trusting(&[&old, &new], &[revoking.der(&old)]).build().unwrap();
    let with = |list: &Crl| trusting(&[&old, &new], &[list.der(&new)]);
    let trust = with(&Crl::number(1).revoking(&alice)).rebuild(&before).unwrap();
    assert_eq!(code(&trust, &alice), REVOKED);
    assert_eq!(trust.crls().count(), 2, "the other one is remembered: no certificate says that the keys are of one CA");
    let cross = old.certified_by(&new);
    let related = |builder: TrustBuilder| builder.intermediates(cross.pem(), "intermediates");
    let trust = related(with(&Crl::number(1).revoking(&alice))).rebuild(&before).unwrap();
    assert_eq!((code(&trust, &alice), trust.crls().count()), (REVOKED, 1));
    assert!(error(&with(&Crl::number(1)), &before).contains("is gone: number 5"));
    let earlier = Crl { this_update: SystemTime::now() - 2 * HOUR, ..Crl::number(1) }.revoking(&alice);
    assert!(error(&with(&earlier), &before).contains("is gone: number 5"));
}

#[test]
fn a_list_of_a_key_that_is_not_loaded_is_an_error_that_says_what_to_load() {
    let (old, new) = (Ca::new(NAME), Ca::new(NAME));
    let error = trusting(&[&new], &[Crl::number(1).der(&old)]).build().unwrap_err();
    let hint = error.hint_text().unwrap();
    assert!(error.to_string().contains("names CN=my ca as its issuer, but is not signed with its key"), "{error}");
    assert!(hint.contains("`TrustBuilder::intermediates_file`") && hint.contains("`TrustBuilder::pem_file`"), "{hint}");
    let trust = Trust::builder().pem(pem(&new.der) + &old.pem(), "ca.pem").crl(Crl::number(1).der(&old), "crl");
    assert!(trust.build().is_ok());
}

/// Its root still vouches for it, so a client that sends the intermediate has a path.
#[test]
fn t14_what_an_intermediate_revoked_stays_revoked_when_the_intermediate_and_its_list_are_taken_out() {
    let root = Ca::new("root");
    let below = root.intermediate(NAME);
    let (alice, bob) = (below.client("alice"), below.client("bob"));
    let list = |number| Crl::number(number).revoking(&alice).der(&below);
    let with = |lists: &[Vec<u8>]| trusting(&[&root], lists).intermediates(below.pem(), "intermediates");
    let fifth = list(5);
    let before = with(std::slice::from_ref(&fifth)).build().unwrap();
    let without = trusting(&[&root], &[]).rebuild(&before).unwrap();
    assert_eq!((code(&without, &alice), code(&without, &bob)), (REVOKED, None));
    let warnings = without.warnings(SystemTime::now());
    assert!(warnings.iter().any(|text| text.contains("no longer among the files")), "{warnings:?}");
    // It comes back, but no older list does.
    assert!(error(&with(&[list(4)]), &without).contains("has number 4, lower than 5"));
    assert_eq!(code(&with(&[]).rebuild(&without).unwrap(), &alice), REVOKED);
    let back = with(&[fifth]).rebuild(&without).unwrap();
    assert!(back.warnings(SystemTime::now()).iter().all(|text| !text.contains("any more")));
}

/// It is remembered for what it revoked, and counts for nothing else: the files have no list of that key.
#[test]
fn t14_a_list_whose_key_is_not_loaded_any_more_neither_hides_another_nor_grows_stale() {
    let (old, new) = (Ca::new(NAME), Ca::new(NAME));
    let below = old.certified_by(&new);
    let (alice, bob, carol) = (below.client("alice"), below.client("bob"), below.client("carol"));
    let pins = alice.alone().pem() + &bob.alone().pem();
    let of_old = Crl { next_update: Some(SystemTime::now() + HOUR), ..Crl::number(5) }.revoking(&bob);
    let before = trusting(&[&old], &[of_old.der(&old)]).pem(pins.clone(), "pins").build().unwrap();
    let builder = trusting(&[&new], &[Crl::number(1).revoking(&alice).der(&new)]).pem(pins, "pins");
    let trust = builder.rebuild(&before).unwrap();
    assert_eq!((code(&trust, &alice.alone()), code(&trust, &bob.alone())), (REVOKED, REVOKED));
    // Over the certificate that the new key has signed for the old one.
    let later = |trust: &Trust| match judge(&carol.chain, trust, SystemTime::now() + 2 * HOUR).verdict {
        Verdict::Authorised(_) => None,
        Verdict::Refused(refusal) => Some(refusal.code()),
    };
    let without = trusting(&[&new], &[]);
    assert_eq!(later(&without.rebuild(&before).unwrap()), None);
    assert_eq!(later(&without.clone().require_crls().rebuild(&before).unwrap()), Some(RefusalCode::CrlMissing));
}

/// Two steps do not lead where one does not.
#[test]
fn t14_a_list_that_another_key_s_list_superseded_does_not_come_back_older() {
    let (old, new) = (Ca::new(NAME), Ca::new(NAME));
    let alice = old.client("alice");
    let before = trusting(&[&old, &new], &[Crl::number(5).revoking(&alice).der(&old)]).build().unwrap();
    let of_new = Crl::number(1).revoking(&alice).der(&new);
    let between = trusting(&[&old, &new], std::slice::from_ref(&of_new)).rebuild(&before).unwrap();
    assert_eq!(code(&between, &alice), REVOKED);
    assert!(error(&trusting(&[&old, &new], &[Crl::number(4).der(&old), of_new]), &between).contains("lower than 5"));
}

/// Time alone never lets in whom a stale list kept out.
#[test]
fn a_stale_list_matters_when_the_certificate_of_its_key_has_expired_too() {
    let root = Ca::new("root");
    let old = root.intermediate(NAME);
    let new = root.intermediate_with(NAME, |params| params.not_after = (SystemTime::now() + 3 * HOUR).into());
    let list = Crl { next_update: Some(SystemTime::now() + 2 * HOUR), ..Crl::number(1) }.der(&new);
    let with =
        |list: &[u8]| trusting(&[&root], &[list.to_vec()]).intermediates(old.pem() + &new.pem(), "intermediates");
    let builder = with(&list);
    let trust = builder.build().unwrap();
    let alice = old.client("alice");
    let at = |hours: u32| match judge(&alice.chain, &trust, SystemTime::now() + HOUR * hours).verdict {
        Verdict::Authorised(_) => None,
        Verdict::Refused(refusal) => Some(refusal.code()),
    };
    assert_eq!(at(0), None);
    for hours in [2, 3, 4, 24] {
        assert_eq!(at(hours), Some(RefusalCode::CrlExpired), "{hours}");
    }
    let later = SystemTime::now() + 4 * HOUR;
    // Then the dates of lists do not matter.
    let lenient = builder.clone().stale_crl(StaleCrl::Warn).build().unwrap();
    assert!(matches!(judge(&alice.chain, &lenient, later).verdict, Verdict::Authorised(_)));
    // A list that is good for longer than the certificate of its key.
    let trust = with(&Crl::number(1).der(&new)).build().unwrap();
    let until = trust.entries()[2].identity().not_after() + std::time::Duration::from_secs(1);
    assert_eq!(judge(&alice.chain, &trust, SystemTime::now()).valid_until, Some(until));
    let Verdict::Refused(refusal) = judge(&alice.chain, &trust, later).verdict else { panic!("let in") };
    assert_eq!(refusal.code(), RefusalCode::CrlExpired);
    assert!(refusal.detail().contains("list number 1 of CN=my ca was signed by a CA that is valid from"), "{refusal}");
    assert!(refusal.repair().contains("a key whose certificate is valid"), "{}", refusal.repair());
}

/// A thief has an intermediate with the name of another CA: what it revokes and drops does not matter to that CA's clients.
#[test]
fn t14_an_intermediate_of_another_cas_name_neither_revokes_nor_brings_back_its_clients() {
    let (ca, root) = (Ca::new(NAME), Ca::new("root"));
    let thief = root.intermediate(NAME);
    let (alice, bob) = (ca.client("alice"), ca.client("bob"));
    // By a certificate that the thief made for the key of the other CA.
    let cross = ca.certified_by(&thief);
    let with = |lists: &[Vec<u8>]| trusting(&[&ca, &root], lists).intermediates(thief.pem(), "intermediates");
    let by = |trust: &Trust, holder: &Holder| {
        let mut roundabout = holder.alone();
        roundabout.chain.extend([cross.der.clone(), thief.der.clone()]);
        [code(trust, &holder.alone()), code(trust, &roundabout)]
    };
    let own = Crl::number(5).revoking(&alice).der(&ca);
    let thiefs = [Crl::number(9).der(&thief), Crl::number(9).revoking(&bob).der(&thief)];
    for other in &thiefs {
        let trust = with(&[other.clone(), own.clone()]).build().unwrap();
        assert_eq!(by(&trust, &alice), [REVOKED; 2]);
        assert_eq!(code(&trust, &bob.alone()), None);
    }
    // The other CA's list vanishes; then the thief's list, which had the same entry, drops it.
    let before = with(&[own, thiefs[0].clone()]).build().unwrap();
    let vanished = with(&[Crl::number(10).revoking(&alice).der(&thief)]);
    let forgotten = with(&[Crl::number(11).der(&thief)]);
    let trust = vanished.rebuild(&before).unwrap();
    assert_eq!(by(&trust, &alice), [REVOKED; 2]);
    let trust = forgotten.rebuild(&trust).unwrap();
    assert_eq!(by(&trust, &alice), [REVOKED; 2]);
    let warnings = trust.warnings(SystemTime::now());
    let warning = "list number 5 of CN=my ca is no longer among the files: what it revoked stays revoked";
    assert!(warnings.iter().any(|text| text.contains(warning)), "{warnings:?}");
}
