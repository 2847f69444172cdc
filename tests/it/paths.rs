//! Certification paths (RFC 5280, section 6): which issuer is tried, and what completes a path. Row T20 of the immunity matrix.

use std::time::SystemTime;

use mtls_min::{RefusalCode, Trust, TrustKind};
use rcgen::{
    BasicConstraints, CustomExtension, DistinguishedName, DnType, DnValue, GeneralSubtree, IsCa, KeyUsagePurpose,
    NameConstraints, SanType,
};

use crate::support::client::{VERSIONS, get};
use crate::support::judged::{chain_code, trust_of};
use crate::support::pki::{Ca, armour};
use crate::support::server::start;

#[test]
fn an_intermediate_completes_the_path_of_a_client_that_sends_only_its_own_certificate() {
    let root = Ca::new("root");
    let (upper, lower) = (root.intermediate("upper"), root.intermediate("upper"));
    let below = lower.intermediate("below");
    let alice = below.client("alice").alone();
    let missing = trust_of(&root.pem(), "");
    assert_eq!(chain_code(&alice.chain, &missing), Some(RefusalCode::UnknownIssuer));
    let whole = || trust_of(&root.pem(), &[upper.pem(), lower.pem(), below.pem()].concat());
    let kinds: Vec<_> = whole().entries().iter().map(|entry| entry.kind()).collect();
    assert_eq!(kinds[0], TrustKind::Ca);
    assert!(kinds[1..].iter().all(|kind| *kind == TrustKind::Intermediate));
    let running = start(whole());
    for version in VERSIONS {
        assert_eq!(get(running.addr, Some(&alice), version).unwrap().status, 200);
    }
    // It needs all of them.
    let gap = trust_of(&root.pem(), &below.pem());
    assert!(chain_code(&alice.chain, &gap).is_some());
    assert!(gap.warnings(SystemTime::now()).iter().any(|warning| warning.contains("CN=below leads to no trusted CA")));
}

#[test]
fn an_intermediate_vouches_for_nobody_by_itself_and_sheds_no_limit_of_its_root() {
    let root = Ca::new("root");
    let other = Ca::new("other");
    let between = root.intermediate("between");
    let alice = between.client("alice").alone();
    assert_eq!(chain_code(&alice.chain, &trust_of(&other.pem(), &between.pem())), Some(RefusalCode::UnknownIssuer));
    // Nor is it let in itself, as a certificate in --ca would be.
    assert!(chain_code(std::slice::from_ref(&between.der), &trust_of(&root.pem(), &between.pem())).is_some());

    let limited = Ca::with("root", |params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("good.test".to_owned())],
            excluded_subtrees: Vec::new(),
        });
    });
    let between = limited.intermediate("between");
    let evil = between.client_with("alice", |params| {
        params.subject_alt_names = vec![SanType::DnsName("evil.test".try_into().unwrap())];
    });
    let evil = evil.alone();
    assert_eq!(chain_code(&evil.chain, &trust_of(&limited.pem(), &between.pem())), Some(RefusalCode::NameConstraint));
    // In --ca it is an anchor of its own, which the start says.
    let as_anchor = trust_of(&between.pem(), "");
    assert_eq!(chain_code(&evil.chain, &as_anchor), None);
    let warnings = as_anchor.warnings(SystemTime::now());
    assert!(
        warnings
            .iter()
            .any(|warning| warning.contains("CN=between") && warning.contains("as a trust anchor it stands alone"))
    );

    let flat = Ca::with("root", |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let between = flat.intermediate("between");
    let alice = between.client("alice").alone();
    assert_eq!(chain_code(&alice.chain, &trust_of(&flat.pem(), &between.pem())), Some(RefusalCode::PathLength));
}

#[test]
fn a_root_among_the_intermediates_is_called_a_root() {
    let (ca, other) = (Ca::new("ca"), Ca::new("other"));
    let trusted = trust_of(&ca.pem(), &other.pem());
    assert_eq!(chain_code(&other.client("alice").chain, &trusted), Some(RefusalCode::UnknownRoot));
    assert_eq!(chain_code(std::slice::from_ref(&other.der), &trusted), Some(RefusalCode::SelfSigned));
    let warnings = trusted.warnings(SystemTime::now()).join("\n");
    assert!(
        warnings.contains("the intermediate CN=other is a root, so it is of no use; if you trust it"),
        "{warnings}"
    );
    // Made again under its name, it is another CA.
    let again = Ca::new("other").client("alice");
    assert_eq!(chain_code(&again.chain, &trusted), Some(RefusalCode::SameNameOtherKey));
}

#[test]
fn a_certificate_that_can_complete_no_path_is_not_taken_for_an_intermediate() {
    let root = Ca::new("root");
    let mute = root.intermediate_with("mute", |params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature]);
    for (wrong, why) in [
        (root.client("alice").alone().pem(), "CA:TRUE"),
        (mute.pem(), "keyCertSign"),
        (root.intermediate_v1("old").pem(), "version 1"),
    ] {
        let error = Trust::builder().pem(root.pem(), "ca").intermediates(wrong, "between").build().unwrap_err();
        assert!(error.to_string().contains("between, line 1") && error.to_string().contains(why), "{error}");
        assert!(error.hint_text().is_some());
    }
    let missing = Trust::builder().pem(root.pem(), "ca").intermediates_file("/nowhere/at/all.pem").build().unwrap_err();
    assert!(missing.to_string().contains("the file of intermediates /nowhere/at/all.pem"), "{missing}");
}

fn named(value: DnValue) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, value);
    names
}

/// RFC 5280, section 7.1: a name is the same however it is written.
#[test]
fn t14_an_issuer_is_found_by_its_name_however_it_is_encoded() {
    let root = Ca::with("Example  CA", |_| {});
    for written in
        [DnValue::PrintableString("Example CA".try_into().unwrap()), "EXAMPLE CA".into(), " example   ca ".into()]
    {
        // The client's certificate has the other form of its issuer's name.
        let alias = root.as_named(named(written.clone()));
        let alice = alias.client("alice").alone();
        assert_eq!(chain_code(&alice.chain, &trust_of(&root.pem(), "")), None, "{written:?}");
        // And so has an intermediate, sent or loaded.
        let between = alias.intermediate("between");
        let bob = between.client("bob");
        assert_eq!(chain_code(&bob.chain, &trust_of(&root.pem(), "")), None, "{written:?}");
        assert_eq!(chain_code(&bob.alone().chain, &trust_of(&root.pem(), &between.pem())), None, "{written:?}");
        let between = root.intermediate("Some One").as_named(named("SOME one".into()));
        let carol = between.client("carol");
        assert_eq!(chain_code(&carol.chain, &trust_of(&root.pem(), "")), None, "{written:?}");
    }
    let other = root.as_named(named("Example CB".into()));
    assert!(chain_code(&other.client("alice").alone().chain, &trust_of(&root.pem(), "")).is_some());
}

/// Section 4.2.1.1. webpki gave up after a hundred signatures, and a stranger cost as many (the limit now: `trust::path`).
#[test]
fn t20_among_many_cas_of_one_name_the_right_one_is_found_by_its_key_identifier() {
    let namesakes: Vec<Ca> = (0..150).map(|_| Ca::new("rollover")).collect();
    let trusted = trust_of(&namesakes.iter().map(Ca::pem).collect::<String>(), "");
    for at in [0, 75, 149] {
        assert_eq!(chain_code(&namesakes[at].client("alice").chain, &trusted), None, "{at}");
    }
    let stranger = Ca::new("rollover").client("mallory");
    assert_eq!(chain_code(&stranger.chain, &trusted), Some(RefusalCode::SameNameOtherKey));
}

#[test]
fn a_renewed_ca_beside_the_old_one_vouches_for_the_clients_of_both() {
    let old = Ca::new("ca");
    let rekeyed = Ca::new("ca");
    let renewed = old.renewed_as("ca");
    let alice = old.client("alice");
    for files in [
        vec![&old],
        vec![&renewed],
        vec![&old, &renewed],
        vec![&rekeyed, &renewed],
        vec![&rekeyed, &old],
        vec![&old, &rekeyed],
    ] {
        let trusted = trust_of(&files.iter().map(|ca| ca.pem()).collect::<String>(), "");
        assert_eq!(chain_code(&alice.chain, &trusted), None);
    }
    assert_eq!(chain_code(&alice.chain, &trust_of(&rekeyed.pem(), "")), Some(RefusalCode::SameNameOtherKey));
}

/// RFC 5280, section 4.2.1.9: "non-self-issued intermediate certificates" are what the length counts.
#[test]
fn a_self_issued_intermediate_does_not_count_for_the_path_length() {
    let root = Ca::with("root", |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    // The root's new key, certified by its old one.
    let rolled = root.intermediate("root");
    let alice = rolled.client("alice");
    assert_eq!(chain_code(&alice.chain, &trust_of(&root.pem(), "")), None);
    let counted = rolled.intermediate("other").client("alice");
    assert_eq!(chain_code(&counted.chain, &trust_of(&root.pem(), "")), Some(RefusalCode::PathLength));
}

#[test]
fn a_chain_that_is_larger_than_a_handshake_takes_is_too_long_for_check_too() {
    let ca = Ca::new("ca");
    let trusted = trust_of(&ca.pem(), "");
    let of_size = |octets: usize| {
        ca.client_with("alice", |params| {
            params.custom_extensions =
                vec![CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 9], vec![0; octets])];
        })
    };
    assert_eq!(chain_code(&of_size(64_000).chain, &trusted), None);
    let large = of_size(70_000);
    assert_eq!(chain_code(&large.chain, &trusted), Some(RefusalCode::ChainTooLong));
    assert!(armour("CERTIFICATE", &large.chain[0]).len() > 90_000);
    let running = start(trusted);
    for version in VERSIONS {
        assert_eq!(get(running.addr, Some(&of_size(64_000)), version).unwrap().status, 200);
        assert!(get(running.addr, Some(&large), version).is_err());
    }
}
