//! Row T14 of the immunity matrix: one CA that is taken for two, and two that are taken for one. A list counts for every
//! certificate whose issuer has its name (RFC 5280, sections 6.3.3 (b) and 7.1); the list of the very key has the last word.

use std::time::SystemTime;

use mtls_min::{RefusalCode, StaleCrl, Trust, TrustBuilder, Verdict, judge};
use rcgen::{DistinguishedName, DnType, DnValue, SerialNumber};

use crate::support::client::{VERSIONS, get};
use crate::support::crl::Crl;
use crate::support::pki::{Ca, HOUR, Holder, elements, pem, read, write};
use crate::support::server::start;

const NAME: &str = "my ca";

/// The same name in other octets.
fn forms() -> [DnValue; 5] {
    [
        DnValue::PrintableString(NAME.try_into().unwrap()),
        DnValue::Utf8String("My CA".to_owned()),
        DnValue::Utf8String("  my   ca ".to_owned()),
        DnValue::BmpString(NAME.try_into().unwrap()),
        DnValue::PrintableString("MY CA".try_into().unwrap()),
    ]
}

/// The same CA, its name in another form.
fn renamed(ca: &Ca, form: DnValue) -> Ca {
    ca.renewed_with(NAME, |params| {
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, form);
    })
}

fn trusting(cas: &[&Ca], lists: &[Vec<u8>]) -> TrustBuilder {
    let cas: String = cas.iter().map(|ca| ca.pem()).collect();
    let builder = Trust::builder().pem(cas, "ca.pem");
    lists.iter().zip(1..).fold(builder, |builder, (list, number)| builder.crl(list.clone(), format!("crl{number}")))
}

fn code(trust: &Trust, holder: &Holder) -> Option<RefusalCode> {
    match judge(&holder.chain, trust, SystemTime::now()).verdict {
        Verdict::Authorised(_) => None,
        Verdict::Refused(refusal) => Some(refusal.code()),
    }
}

const REVOKED: Option<RefusalCode> = Some(RefusalCode::Revoked);

#[test]
fn t14_a_list_counts_under_every_form_of_its_ca_s_name_whichever_of_them_are_loaded() {
    for form in forms() {
        let ca = Ca::new(NAME);
        let (other, renewed) = (renamed(&ca, form.clone()), ca.renewed_as(NAME));
        let (alice, bob) = (ca.client("alice"), ca.client("bob"));
        for issuer in [&ca, &other] {
            let list = Crl::number(1).revoking(&alice).der(issuer);
            for loaded in [&[&ca][..], &[&ca, &other], &[&other, &ca], &[&renewed], &[&other, &renewed]] {
                let trust = trusting(loaded, std::slice::from_ref(&list)).require_crls().build().unwrap();
                assert_eq!((code(&trust, &alice), code(&trust, &bob)), (REVOKED, None), "{form:?}");
            }
            // A pin, under the other form alone.
            let pins = alice.alone().pem() + &bob.alone().pem();
            let trust = trusting(&[&other], std::slice::from_ref(&list)).pem(pins, "pins").build().unwrap();
            assert_eq!((code(&trust, &alice), code(&trust, &bob)), (REVOKED, None), "{form:?}");
        }
    }
}

#[test]
fn t14_a_client_that_is_revoked_under_another_form_of_the_name_gets_401() {
    let ca = Ca::new(NAME);
    let alice = ca.client("alice");
    let other = renamed(&ca, DnValue::PrintableString(NAME.try_into().unwrap()));
    let running = start(trusting(&[&ca, &other], &[Crl::number(1).revoking(&alice).der(&other)]).build().unwrap());
    for version in VERSIONS {
        assert_eq!(get(running.addr, Some(&alice), version).unwrap().status, 401);
        assert_eq!(get(running.addr, Some(&ca.client("bob")), version).unwrap().status, 200);
    }
    assert_eq!(running.seen.sorted_codes(4), ["CN=bob", "CN=bob", "revoked", "revoked"]);
}

/// An intermediate that was certified twice: the client sends one of its certificates, the other one is loaded.
#[test]
fn t14_whichever_certificate_of_an_intermediate_the_client_sends_its_list_counts() {
    for form in forms() {
        let root = Ca::new("root");
        let sent = root.intermediate(NAME);
        let alice = sent.client("alice");
        let loaded = renamed(&sent, form).certified_by(&root);
        let list = Crl::number(1).revoking(&alice).der(&loaded);
        let trust = trusting(&[&root, &loaded], &[list]).build().unwrap();
        assert_eq!((code(&trust, &alice), code(&trust, &sent.client("bob"))), (REVOKED, None));
    }
}

/// RFC 5280, section 6.3.3 (f), and NIST's PKITS 4.5: the list of one key counts for certificates of the other.
#[test]
fn t14_a_list_of_the_old_key_counts_for_the_new_one_and_the_other_way_round() {
    let (old, new) = (Ca::new(NAME), Ca::new(NAME));
    // Signed with the new key, sent with the certificate of the new key by the old one; and the other way round.
    for (one, other) in [(&old, &new), (&new, &old)] {
        let cross = other.certified_by(one);
        let alice = cross.client("alice");
        let list = Crl::number(1).revoking(&alice).der(one);
        for loaded in [&[one][..], &[one, other], &[other, one]] {
            let trust = trusting(loaded, std::slice::from_ref(&list)).build().unwrap();
            assert_eq!(code(&trust, &alice), REVOKED);
            assert_eq!(code(&trust, &cross.client("bob")), None);
        }
        // A pin whose own CA is not loaded any more.
        let trust = trusting(&[one], &[list]).pem(alice.alone().pem(), "pins").build().unwrap();
        assert_eq!(code(&trust, &alice.alone()), REVOKED);
    }
}

/// Serial numbers begin anew with a CA that is made anew under its old name.
#[test]
fn twins_with_a_list_each_do_not_revoke_each_other_s_clients() {
    let one = |params: &mut rcgen::CertificateParams| params.serial_number = Some(SerialNumber::from(1_u64));
    let (first, second) = (Ca::new(NAME), Ca::new(NAME));
    let revoked = second.client_with("revoked", one);
    let spared = first.client_with("spared", one);
    let of_second = Crl::number(1).revoking(&revoked).der(&second);
    for own in [Crl::number(1).der(&first), Crl::number(9).revoking(&first.client("other")).der(&first)] {
        let both = || trusting(&[&first, &second], &[of_second.clone(), own.clone()]).require_crls();
        let trust = both().build().unwrap();
        assert_eq!((code(&trust, &spared), code(&trust, &revoked)), (None, REVOKED));
        // A pin that its chain would not let in, and a CA.
        let pinned = first.client_with("pinned", |params| {
            one(params);
            params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        });
        assert_eq!(code(&both().pem(pinned.alone().pem(), "pins").build().unwrap(), &pinned), None);
    }
    // With no list of its own, who can tell? What a namesake revokes is refused.
    let trust = trusting(&[&first, &second], &[of_second]).build().unwrap();
    assert_eq!((code(&trust, &spared), code(&trust, &first.client("carol"))), (REVOKED, None));
}

/// RFC 5280, section 6.3.3 (f): the anchor has to be the same.
#[test]
fn a_list_of_a_namesake_under_another_anchor_revokes_but_does_not_stand_for_the_ca_s_own() {
    let (first, second) = (Ca::new(NAME), Ca::new(NAME));
    let stale = Crl { next_update: Some(SystemTime::now() - HOUR / 2), ..Crl::number(1) }.der(&first);
    for list in [stale, Crl::number(1).der(&first)] {
        let both = || trusting(&[&first, &second], std::slice::from_ref(&list));
        let alice = second.client("alice");
        assert_eq!(code(&both().build().unwrap(), &alice), None);
        let trust = both().require_crls().build().unwrap();
        assert_eq!(code(&trust, &alice), Some(RefusalCode::CrlMissing));
        let warning = "no revocation list of CN=my ca, and one is required";
        assert!(trust.warnings(SystemTime::now()).iter().any(|text| text.contains(warning)));
    }
}

/// An intermediate that was given a new key: the new one signs the lists for both, and both lead to the same root.
#[test]
fn a_list_of_a_namesake_under_the_same_anchor_stands_for_the_ca_s_own() {
    let (root, other) = (Ca::new("root"), Ca::new("other"));
    let old = root.intermediate(NAME);
    let (new, foreign) = (root.intermediate(NAME), other.intermediate(NAME));
    let alice = old.client("alice");
    let judged = |signer: &Ca, list: Crl, now: SystemTime| {
        let builder = trusting(&[&root, &other], &[list.der(signer)])
            .crl(Crl::number(1).der(&root), "root.crl")
            .crl(Crl::number(1).der(&other), "other.crl")
            .intermediates(signer.pem(), "intermediates");
        let trust = builder.require_crls().build().unwrap();
        match judge(&alice.chain, &trust, now).verdict {
            Verdict::Authorised(_) => None,
            Verdict::Refused(refusal) => Some(refusal.code()),
        }
    };
    let (now, later) = (SystemTime::now(), SystemTime::now() + 3 * HOUR);
    let list = || Crl { next_update: Some(now + 2 * HOUR), ..Crl::number(1) };
    for signer in [&old, &new] {
        assert_eq!(judged(signer, list(), now), None);
        assert_eq!(judged(signer, list().revoking(&alice), now), REVOKED);
        assert_eq!(judged(signer, list(), later), Some(RefusalCode::CrlExpired));
    }
    // Of one that is revoked itself, the list revokes and says nothing else.
    let revoking = Crl { revoked: vec![(crate::support::crl::serial(&new.der), 2)], ..Crl::number(1) };
    let trust = trusting(&[&root], &[list().der(&new), revoking.der(&root)]).intermediates(new.pem(), "intermediates");
    assert_eq!(code(&trust.require_crls().build().unwrap(), &alice), Some(RefusalCode::CrlMissing));
    // Under another root it revokes, and says nothing else.
    assert_eq!(judged(&foreign, list(), now), Some(RefusalCode::CrlMissing));
    assert_eq!(judged(&foreign, list().revoking(&alice), now), REVOKED);
}

/// The CA revokes with its new key, while the last list of the old one is still good: a serial number is one certificate of one
/// name (RFC 5280, section 4.1.2.2).
#[test]
fn t14_of_two_keys_of_one_ca_each_list_revokes_and_one_that_is_current_is_enough() {
    let root = Ca::new("root");
    let (old, new) = (root.intermediate(NAME), root.intermediate(NAME));
    let alice = old.client("alice");
    let stale = Crl { next_update: Some(SystemTime::now() - HOUR / 2), ..Crl::number(9) };
    for (of_old, of_new, found) in [
        (Crl::number(9), Crl::number(1), None),
        (Crl::number(9), Crl::number(1).revoking(&alice), REVOKED),
        (Crl::number(9).revoking(&alice), Crl::number(1), REVOKED),
        (stale, Crl::number(1), None),
    ] {
        let builder = trusting(&[&root], &[of_old.der(&old), of_new.der(&new), Crl::number(1).der(&root)])
            .intermediates(old.pem() + &new.pem(), "intermediates");
        assert_eq!(code(&builder.clone().require_crls().build().unwrap(), &alice), found);
        // A pin that its chain would not let in.
        let pinned = builder.pem(alice.alone().pem(), "pins").build().unwrap();
        assert_eq!(code(&pinned, &alice.alone()), found);
    }
}

/// RFC 5280, section 5.1.1.3, and NIST's PKITS 4.4.19 and 4.5.6: the key of the lists has a certificate of its own, which is for
/// nothing else.
#[test]
fn a_list_that_is_signed_with_a_key_for_lists_counts_and_that_key_vouches_for_nobody() {
    let lists_only = |params: &mut rcgen::CertificateParams| {
        params.is_ca = rcgen::IsCa::NoCa;
        params.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign];
    };
    let root = Ca::new("root");
    let between = root.intermediate(NAME);
    // Of the root, which has signed it; and of the intermediate, signed by the root.
    for (ca, signer) in
        [(&root, root.intermediate_with("root", lists_only)), (&between, root.intermediate_with(NAME, lists_only))]
    {
        let (alice, bob) = (ca.client("alice"), ca.client("bob"));
        let list = Crl::number(1).revoking(&alice);
        let with = |list: &Crl| {
            trusting(&[&root], &[list.der(&signer), Crl::number(1).der(&root)])
                .intermediates(signer.pem() + &between.pem(), "intermediates")
        };
        let trust = with(&list).require_crls().build().unwrap();
        assert_eq!((code(&trust, &alice), code(&trust, &bob)), (REVOKED, None));
        assert!(code(&trust, &signer.client("mallory")).is_some(), "it vouches for nobody");
        assert!(code(&trust, &signer.client("mallory").alone()).is_some(), "it vouches for nobody");
        // From another root it stands for nothing.
        let foreign = Ca::new("root").intermediate_with("root", lists_only);
        assert!(trusting(&[&root], &[list.der(&foreign)]).intermediates(foreign.pem(), "int").build().is_err());
    }
}

#[test]
fn a_list_of_an_intermediate_that_leads_to_no_ca_is_an_error() {
    let (root, other) = (Ca::new("root"), Ca::new("other"));
    let below = root.intermediate(NAME);
    let list = Crl::number(1).der(&below);
    let with =
        |ca: &Ca| trusting(&[ca], std::slice::from_ref(&list)).intermediates(below.pem(), "intermediates").build();
    assert!(with(&root).is_ok());
    let error = with(&other).unwrap_err().to_string();
    assert!(error.contains("crl1") && error.contains("an intermediate that leads to no CA of --ca"), "{error}");
}

/// The way of a CA that was loaded under two encodings, two dates and two keys at once, one of them sent.
#[test]
fn t14_whatever_is_loaded_and_sent_of_an_intermediate_a_revoked_client_stays_out() {
    let root = Ca::new("root");
    let old = root.intermediate(NAME);
    let other_dates = old.certified_by(&root);
    for form in forms() {
        let other_form = renamed(&old, form).certified_by(&root);
        let other_key = root.intermediate(NAME);
        let alice = old.client("alice");
        for signer in [&old, &other_dates, &other_form, &other_key] {
            let list = Crl::number(1).revoking(&alice).der(signer);
            for with in [&old, &other_dates, &other_form, &other_key] {
                for sent in [None, Some(&old), Some(&other_dates), Some(&other_form)] {
                    let mut client = alice.alone();
                    client.chain.extend(sent.map(|ca| ca.der.clone()));
                    let intermediates = signer.pem() + &with.pem();
                    let builder =
                        trusting(&[&root], std::slice::from_ref(&list)).intermediates(intermediates, "int.pem");
                    let found = code(&builder.build().unwrap(), &client);
                    // With nobody who has its issuer's key there is no path to be revoked on.
                    let has_path = sent.is_some() || [signer, with].iter().any(|ca| !std::ptr::eq(*ca, &other_key));
                    assert_eq!(found == REVOKED, has_path, "{found:?}");
                    assert!(found.is_some());
                }
            }
        }
    }
}

fn error(builder: &TrustBuilder, before: &Trust) -> String {
    builder.rebuild(before).unwrap_err().to_string()
}

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

/// A compromised key must be taken out while the server runs; what it revoked must not come back by a cross-certificate.
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
        assert!(warnings.iter().any(|text| text.contains("not among the files any more")), "{warnings:?}");
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
    assert!(error.to_string().contains("has the name of CN=my ca, but not its signature"), "{error}");
    assert!(hint.contains("--intermediates") && hint.contains("--ca"), "{hint}");
    let trust = Trust::builder().pem(pem(&new.der) + &old.pem(), "ca.pem").crl(Crl::number(1).der(&old), "crl");
    assert!(trust.build().is_ok());
}

/// Two keys of one CA under one root are relatives on whatever path one of them is met: a further root that certified the older
/// key, as in a change of roots, must not part them.
#[test]
fn t14_a_cross_certificate_under_another_anchor_does_not_hide_the_list_of_the_ca_s_other_key() {
    let (root, next_root) = (Ca::new("root"), Ca::new("next root"));
    let (old, new) = (root.intermediate(NAME), root.intermediate(NAME));
    let cross = old.certified_by(&next_root);
    let (alice, bob) = (old.client("alice"), old.client("bob"));
    let lists = [Crl::number(9).der(&old), Crl::number(1).revoking(&alice).der(&new)];
    for loaded in [old.pem() + &new.pem(), cross.pem() + &old.pem() + &new.pem()] {
        let trust = trusting(&[&root, &next_root], &lists).intermediates(loaded, "intermediates").build().unwrap();
        for sent in [None, Some(&old), Some(&cross)] {
            let by = |holder: &Holder| {
                let mut holder = holder.alone();
                holder.chain.extend(sent.map(|ca| ca.der.clone()));
                code(&trust, &holder)
            };
            assert_eq!((by(&alice), by(&bob)), (REVOKED, None));
        }
    }
}

/// Its root vouches for it still, so whoever sends the intermediate along has a path.
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
    assert!(warnings.iter().any(|text| text.contains("not among the files any more")), "{warnings:?}");
    // It comes back, and nothing older with it.
    assert!(error(&with(&[list(4)]), &without).contains("has number 4, lower than 5"));
    assert_eq!(code(&with(&[]).rebuild(&without).unwrap(), &alice), REVOKED);
    let back = with(&[fifth]).rebuild(&without).unwrap();
    assert!(back.warnings(SystemTime::now()).iter().all(|text| !text.contains("any more")));
}

/// It is remembered for what it revoked, and says nothing else: the files have no list of that key.
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

/// In two steps as little as in one.
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
    // The dates of lists do not matter then.
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

/// RFC 5280, section 6.3.3 (f): the path of whoever issued the list has to be valid, not only its last certificate.
#[test]
fn a_list_below_a_revoked_ca_does_not_stand_for_another() {
    let root = Ca::new("root");
    let between = root.intermediate("between");
    let (own, other) = (root.intermediate(NAME), between.intermediate(NAME));
    let alice = own.client("alice");
    let revoking = Crl { revoked: vec![(crate::support::crl::serial(&between.der), 2)], ..Crl::number(1) };
    for (of_root, found) in [(Crl::number(1), None), (revoking, Some(RefusalCode::CrlMissing))] {
        let lists = [Crl::number(1).der(&other), of_root.der(&root), Crl::number(1).der(&between)];
        let intermediates = own.pem() + &between.pem() + &other.pem();
        let trust = trusting(&[&root], &lists).intermediates(intermediates, "intermediates").require_crls();
        assert_eq!(code(&trust.build().unwrap(), &alice), found);
    }
}

/// Whoever holds an intermediate of the name of another CA: what it revokes and forgets is no matter to that one's clients.
#[test]
fn t14_an_intermediate_of_another_cas_name_neither_revokes_nor_brings_back_its_clients() {
    let (ca, root) = (Ca::new(NAME), Ca::new("root"));
    let thief = root.intermediate(NAME);
    let (alice, bob) = (ca.client("alice"), ca.client("bob"));
    // Over a certificate that the thief has made for the key of the other one.
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
    // The list of the other one vanishes, and the thief's, which says the same, forgets it afterwards.
    let before = with(&[own, thiefs[0].clone()]).build().unwrap();
    let vanished = with(&[Crl::number(10).revoking(&alice).der(&thief)]);
    let forgotten = with(&[Crl::number(11).der(&thief)]);
    let trust = vanished.rebuild(&before).unwrap();
    assert_eq!(by(&trust, &alice), [REVOKED; 2]);
    let trust = forgotten.rebuild(&trust).unwrap();
    assert_eq!(by(&trust, &alice), [REVOKED; 2]);
    let warnings = trust.warnings(SystemTime::now());
    let warning = "list number 5 of CN=my ca is not among the files any more: what it revoked stays revoked";
    assert!(warnings.iter().any(|text| text.contains(warning)), "{warnings:?}");
}

/// The same certificate of a root, the point of its key in the other of its two forms.
#[cfg(feature = "aws-lc-rs")]
fn with_compressed_point(ca: &Ca) -> String {
    let signed = read(read(&ca.der).content);
    let algorithm = read(signed.rest);
    let fields = elements(signed.content).enumerate().flat_map(|(at, field)| {
        // version, serial, algorithm, issuer, validity, subject, key, …
        if at != 6 {
            return write(field.tag, field.content);
        }
        let algorithm = read(field.content);
        let point = &read(algorithm.rest).content[2..];
        let compressed = [&[0, 2 + (point[63] & 1)], &point[..32]].concat();
        write(0x30, &[write(0x30, algorithm.content), write(3, &compressed)].concat())
    });
    pem(&ca.signed(&write(0x30, &fields.collect::<Vec<_>>()), algorithm.content))
}

/// RFC 5480, section 2.2. Only one of the crypto libraries takes the other form.
#[cfg(feature = "aws-lc-rs")]
#[test]
fn t14_a_key_is_the_same_in_both_forms_of_its_point() {
    let ca = Ca::new(NAME);
    let (alice, bob) = (ca.client("alice"), ca.client("bob"));
    let other = with_compressed_point(&ca);
    let list = |number| Crl::number(number).revoking(&alice).der(&ca);
    let forms = [ca.pem(), other.clone(), ca.pem() + &other, other + &ca.pem()];
    for (one, next) in forms.iter().flat_map(|one| forms.iter().map(move |next| (one, next))) {
        let with = |cas: &str, lists: &[Vec<u8>]| {
            let builder = Trust::builder().pem(cas, "ca.pem").require_crls();
            lists.iter().fold(builder, |builder, list| builder.crl(list.clone(), "crl"))
        };
        let before = with(one, &[list(5)]).build().unwrap();
        assert_eq!((code(&before, &alice), code(&before, &bob)), (REVOKED, None));
        assert!(error(&with(next, &[Crl::number(4).der(&ca)]), &before).contains("has number 4, lower than 5"));
        assert!(error(&with(next, &[]), &before).contains("is gone: number 5 is in force"));
        let after = with(next, &[list(6)]).rebuild(&before).unwrap();
        assert_eq!((code(&after, &alice), code(&after, &bob), after.crls().count()), (REVOKED, None, 1));
    }
}
