//! Rows T5, T6 and T13 of the immunity matrix: each certificate that is refused gets its own code, over real sockets.

use std::time::SystemTime;

use mtls_min::{Request, Response, Trust};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose as Eku, GeneralSubtree, IsCa,
    KeyPair, KeyUsagePurpose, NameConstraints, SanType, SerialNumber,
};
use rustls::pki_types::CertificateDer;

use crate::support::admission::{admitted, refused};
use crate::support::client::{VERSIONS, get};
use crate::support::pki::{self, Ca, HOUR, self_signed};
use crate::support::server::{start_with, trust};

#[test]
fn t5_a_certificate_for_another_use_is_refused() {
    let ca = Ca::new("ca");
    let with = |usages: &[Eku]| ca.client_with("alice", |params| params.extended_key_usages = usages.to_vec());
    refused(trust(&ca), &with(&[Eku::ServerAuth]), "wrong_usage");
    refused(trust(&ca), &with(&[Eku::EmailProtection]), "wrong_usage");
    admitted(trust(&ca), &with(&[]), "CN=alice");
    admitted(trust(&ca), &with(&[Eku::Any]), "CN=alice");
    admitted(trust(&ca), &with(&[Eku::ServerAuth, Eku::ClientAuth]), "CN=alice");
    let servers_only = ca.intermediate_with("servers", |params| params.extended_key_usages = vec![Eku::ServerAuth]);
    refused(trust(&ca), &servers_only.client("alice"), "wrong_usage");
    let loaded = Ca::with("servers", |params| params.extended_key_usages = vec![Eku::ServerAuth]);
    refused(trust(&loaded), &loaded.client("alice"), "wrong_usage");
}

#[test]
fn t6_who_may_not_sign_does_not_vouch() {
    let ca = Ca::new("ca");
    let constrained =
        |length| move |params: &mut CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(length));

    let as_ca = ca.client_with("alice", |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    refused(trust(&ca), &as_ca, "ca_as_client");

    let leaf = ca.client("alice");
    let false_ca = Ca::out_of(&leaf, pki::params("alice"));
    refused(trust(&ca), &false_ca.client("mallory"), "issuer_not_ca");

    let short = ca.intermediate_with("short", constrained(0)).intermediate("below");
    refused(trust(&ca), &short.client("alice"), "path_length");
    let loaded = Ca::with("loaded", constrained(0));
    refused(trust(&loaded), &loaded.intermediate("below").client("alice"), "path_length");
    admitted(trust(&loaded), &loaded.client("alice"), "CN=alice");

    let unsigning = ca.intermediate_with("mute", |params| params.key_usages = vec![KeyUsagePurpose::CrlSign]);
    refused(trust(&ca), &unsigning.client("alice"), "issuer_without_cert_sign");

    refused(trust(&ca), &ca.intermediate_v1("old").client("alice"), "x509_v1");
}

#[test]
fn t13_dates_are_told_apart() {
    let ca = Ca::new("ca");
    let now = SystemTime::now();
    refused(trust(&ca), &ca.client_with("a", |params| params.not_after = (now - HOUR / 2).into()), "expired");
    refused(trust(&ca), &ca.client_with("a", |params| params.not_before = (now + HOUR / 2).into()), "not_yet_valid");
    let late = ca.intermediate_with("late", |params| params.not_after = (now - HOUR / 2).into());
    refused(trust(&ca), &late.client("a"), "expired");
}

#[test]
fn t13_unknown_issuers_are_told_apart() {
    let ca = Ca::new("ca");
    let other = Ca::new("other");
    refused(trust(&ca), &self_signed("alice"), "self_signed");
    refused(trust(&ca), &other.client("alice"), "unknown_issuer");
    let mut complete = other.client("alice");
    complete.chain.push(other.der.clone());
    refused(trust(&ca), &complete, "unknown_root");
    refused(trust(&ca), &Ca::new("ca").client("alice"), "same_name_other_key");

    let below = ca.intermediate("below").client("alice");
    let mut without = below.alone();
    without.chain.push(ca.der.clone());
    refused(trust(&ca), &without, "missing_intermediate");
    // Alone, nothing shows that "below" is below "ca" …
    refused(trust(&ca), &below.alone(), "unknown_issuer");
    // … nor if they share their organisation, as all CAs of one program do.
    let of_acme = |params: &mut CertificateParams| params.distinguished_name.push(DnType::OrganizationName, "ACME");
    let acme = Ca::with("acme root", of_acme);
    refused(trust(&acme), &Ca::with("another root", of_acme).client("alice"), "unknown_issuer");
    // A certificate that our CA issued shows it, one of a stranger's does not, nor the client's own, sent twice.
    let issuing = ca.intermediate("issuing");
    for (sent, code) in [
        (&issuing.der, "missing_intermediate"),
        (&other.intermediate("issuing").der, "unknown_issuer"),
        (&below.chain[0], "unknown_issuer"),
    ] {
        let mut alone = below.alone();
        alone.chain.push(sent.clone());
        refused(trust(&ca), &alone, code);
    }
}

#[test]
fn t13_a_damaged_certificate_is_told_from_one_of_another_key() {
    let ca = Ca::new("ca");
    let mut holder = ca.client_with("alice", |params| params.serial_number = Some(SerialNumber::from(vec![0x11; 16])));
    let mut der = holder.chain[0].to_vec();
    let serial = der.windows(16).position(|window| window == [0x11; 16]).unwrap();
    der[serial] ^= 1;
    holder.chain[0] = CertificateDer::from(der);
    refused(trust(&ca), &holder, "bad_signature");
}

#[test]
fn t13_version_1_completes_the_handshake_and_is_refused() {
    let ca = Ca::new("ca");
    refused(trust(&ca), &ca.client_v1("alice"), "x509_v1");
}

#[test]
fn t13_version_1_is_accepted_if_asked_for_and_only_from_a_ca_itself() {
    let ca = Ca::new("ca");
    let accepting = || Trust::builder().pem(ca.pem(), "ca").accept_v1().build().unwrap();
    admitted(accepting(), &ca.client_v1("alice"), "CN=alice");
    refused(accepting(), &ca.intermediate("between").client_v1("alice"), "x509_v1");
    refused(accepting(), &Ca::new("ca").client_v1("alice"), "same_name_other_key");
    refused(accepting(), &Ca::new("other").client_v1("alice"), "unknown_issuer");
    // The name counts too, not the key alone.
    refused(accepting(), &ca.renewed_as("other").client_v1("alice"), "unknown_issuer");
    // Version 3 is judged as before.
    refused(accepting(), &ca.client_with("a", |p| p.not_after = (SystemTime::now() - HOUR / 2).into()), "expired");
    let late = ca.as_version_1(&ca.client_with("a", |p| p.not_after = (SystemTime::now() - HOUR / 2).into()).chain[0]);
    let judged = mtls_min::judge(&[late], &accepting(), SystemTime::now());
    let mtls_min::Verdict::Refused(refusal) = judged.verdict else { panic!("an expired certificate of version 1") };
    assert_eq!(refusal.code().as_str(), "expired");
}

#[test]
fn t13_long_and_heavy_chains_cost_no_more_than_a_refusal() {
    let ca = Ca::new("ca");
    let ten = (0..10).fold(ca.intermediate("level"), |above, level| above.intermediate(&format!("level{level}")));
    refused(trust(&ca), &ten.client("alice"), "chain_too_long");
    let seven = (0..7).fold(None, |above: Option<Ca>, level| {
        let name = format!("level{level}");
        Some(above.map_or_else(|| ca.intermediate(&name), |above| above.intermediate(&name)))
    });
    refused(trust(&ca), &seven.unwrap().client("alice"), "chain_too_long");
    // 60 kB in one further certificate.
    let mut heavy = ca.client("alice");
    let weight = CustomExtension::from_oid_content(
        &[1, 3, 6, 1, 4, 1, 99999, 1],
        [&[4, 0x82, 0xea, 0x60][..], &[0; 60_000]].concat(),
    );
    heavy.chain.push(ca.client_with("heavy", |params| params.custom_extensions = vec![weight]).chain[0].clone());
    admitted(trust(&ca), &heavy, "CN=alice");
}

#[test]
fn t13_an_empty_subject_is_no_fault() {
    let ca = Ca::new("ca");
    let nameless = ca.client_with("x", |params| {
        params.distinguished_name.remove(DnType::CommonName);
        params.subject_alt_names = vec![SanType::DnsName("x.test".try_into().unwrap())];
    });
    admitted(trust(&ca), &nameless, "");
}

#[test]
fn t13_keys_of_other_kinds_are_valid() {
    let ca = Ca::new("ca");
    let mut kinds = vec![&rcgen::PKCS_ED25519, &rcgen::PKCS_ECDSA_P384_SHA384];
    if cfg!(feature = "aws-lc-rs") {
        kinds.extend(p521());
    }
    for kind in kinds {
        let key = KeyPair::generate_for(kind).unwrap();
        admitted(trust(&ca), &ca.client_with_key("alice", &key, |_| {}), "CN=alice");
    }
}

#[cfg(feature = "aws-lc-rs")]
fn p521() -> Option<&'static rcgen::SignatureAlgorithm> {
    Some(&rcgen::PKCS_ECDSA_P521_SHA512)
}

#[cfg(not(feature = "aws-lc-rs"))]
fn p521() -> Option<&'static rcgen::SignatureAlgorithm> {
    None
}

#[test]
fn t13_names_and_extensions_that_a_ca_forbids_are_told() {
    let limits = NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("good.test".to_owned())],
        excluded_subtrees: Vec::new(),
    };
    let ca = Ca::with("ca", |params| params.name_constraints = Some(limits));
    let named = |name: &str| {
        let name = name.to_owned();
        ca.client_with("x", move |params| params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())])
    };
    admitted(trust(&ca), &named("a.good.test"), "CN=x");
    refused(trust(&ca), &named("evil.test"), "name_constraint");

    let ca = Ca::new("ca");
    let strange = ca.client_with("x", |params| {
        let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 2], vec![5, 0]);
        extension.set_criticality(true);
        params.custom_extensions = vec![extension];
    });
    refused(trust(&ca), &strange, "unsupported_extension");
}

#[test]
fn refusing_in_the_handshake_is_the_same_judgement_as_an_alert() {
    let ca = Ca::new("ca");
    let strict =
        |trust| start_with(trust, |builder| builder.refuse_in_handshake(), |_: &mut Request<'_>| Response::default());
    let running = strict(trust(&ca));
    for version in VERSIONS {
        assert_eq!(get(running.addr, Some(&ca.client("alice")), version).unwrap().status, 200);
        assert!(get(running.addr, None, version).is_err());
        assert!(get(running.addr, Some(&Ca::new("other").client("bob")), version).is_err());
    }
    assert_eq!(running.calls(), 2);
    running.seen.wait_for_event("NoCertificate");
    running.seen.wait_for_event("UnknownIssuer");
}

#[test]
fn every_bit_of_a_certificate_counts() {
    let ca = Ca::new("ca");
    let good = ca.client("alice").chain[0].to_vec();
    let trusted = trust(&ca);
    let judged = |der: &[u8]| {
        let chain = [CertificateDer::from(der)];
        matches!(mtls_min::judge(&chain, &trusted, SystemTime::now()).verdict, mtls_min::Verdict::Authorised(_))
    };
    assert!(judged(&good));
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(!judged(&bad), "bit {bit}");
    }
    for length in 0..good.len() {
        assert!(!judged(&good[..length]), "{length} bytes");
    }
}
