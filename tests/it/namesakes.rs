//! Row T14 of the immunity matrix: one CA that is taken for two, and two that are taken for one. A list counts for every
//! certificate whose issuer has its name (RFC 5280, sections 6.3.3 (b) and 7.1); the list of the very key has the last word.

use std::time::SystemTime;

use mtls_min::{RefusalCode, Verdict, judge};
use rcgen::{DnValue, SerialNumber};

use crate::support::client::{VERSIONS, get};
use crate::support::crl::Crl;
use crate::support::judged::{REVOKED, code, trusting};
use crate::support::namesakes::{NAME, forms, renamed};
use crate::support::pki::{Ca, HOUR, Holder};
use crate::support::server::start;

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
    // Signed with the new key, and sent with the certificate that the old key signed for the new one; and the other way round.
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

/// Serial numbers start again in a CA that is made anew under its old name.
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
    // Without a list of its own, what a namesake revokes is refused.
    let trust = trusting(&[&first, &second], &[of_second]).build().unwrap();
    assert_eq!((code(&trust, &spared), code(&trust, &first.client("carol"))), (REVOKED, None));
}

/// RFC 5280, section 6.3.3 (f): both paths must end at the same anchor.
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
    // The list of a revoked issuer revokes, and counts for nothing else.
    let revoking = Crl { revoked: vec![(crate::support::crl::serial(&new.der), 2)], ..Crl::number(1) };
    let trust = trusting(&[&root], &[list().der(&new), revoking.der(&root)]).intermediates(new.pem(), "intermediates");
    assert_eq!(code(&trust.require_crls().build().unwrap(), &alice), Some(RefusalCode::CrlMissing));
    // Under another root it revokes, and counts for nothing else.
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

/// RFC 5280, section 5.1.1.3, and NIST's PKITS 4.4.19 and 4.5.6: the key that signs lists has a certificate of its own, which is for
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
        // From another root it counts for nothing.
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
    assert!(error.contains("crl1") && error.contains("an intermediate that leads to no trusted CA"), "{error}");
}

/// A CA that was loaded with two encodings, two dates and two keys at once, one of them sent by the client.
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
                    // Without a CA that has the issuer's key there is no path on which it could be revoked.
                    let has_path = sent.is_some() || [signer, with].iter().any(|ca| !std::ptr::eq(*ca, &other_key));
                    assert_eq!(found == REVOKED, has_path, "{found:?}");
                    assert!(found.is_some());
                }
            }
        }
    }
}

/// Two keys of one CA under one root belong together, whatever path leads to one of them: a further root that certified the older
/// key, as in a change of roots, must not separate them.
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
