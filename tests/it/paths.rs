//! Certification paths (RFC 5280, section 6): which issuer is tried, what completes a path, and rows T15 to T17 and T20 of the
//! immunity matrix.

use std::time::SystemTime;

use mtls_min::{RefusalCode, Trust, TrustKind, Verdict, judge};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, CustomExtension, DistinguishedName, DnType, DnValue,
    GeneralSubtree, IsCa, KeyUsagePurpose, NameConstraints, SanType,
};
use rustls::pki_types::CertificateDer;

use crate::support::client::{VERSIONS, get};
use crate::support::crl::extension;
use crate::support::pki::{CN, Ca, Holder, armour, elements, name, pem, read, write};
use crate::support::server::start;

fn trusting(ca: &str, intermediates: &str) -> Trust {
    let builder = Trust::builder().pem(ca, "ca.pem");
    let builder = if intermediates.is_empty() { builder } else { builder.intermediates(intermediates, "between.pem") };
    builder.build().unwrap()
}

fn code(chain: &[CertificateDer<'_>], trust: &Trust) -> Option<RefusalCode> {
    match judge(chain, trust, SystemTime::now()).verdict {
        Verdict::Authorised(_) => None,
        Verdict::Refused(refusal) => Some(refusal.code()),
    }
}

fn detail(chain: &[CertificateDer<'_>], trust: &Trust) -> String {
    match judge(chain, trust, SystemTime::now()).verdict {
        Verdict::Authorised(_) => String::new(),
        Verdict::Refused(refusal) => refusal.to_string(),
    }
}

#[test]
fn an_intermediate_completes_the_path_of_a_client_that_sends_only_its_own_certificate() {
    let root = Ca::new("root");
    let (upper, lower) = (root.intermediate("upper"), root.intermediate("upper"));
    let below = lower.intermediate("below");
    let alice = below.client("alice").alone();
    let missing = trusting(&root.pem(), "");
    assert_eq!(code(&alice.chain, &missing), Some(RefusalCode::UnknownIssuer));
    let whole = || trusting(&root.pem(), &[upper.pem(), lower.pem(), below.pem()].concat());
    let kinds: Vec<_> = whole().entries().iter().map(|entry| entry.kind()).collect();
    assert_eq!(kinds[0], TrustKind::Ca);
    assert!(kinds[1..].iter().all(|kind| *kind == TrustKind::Intermediate));
    let running = start(whole());
    for version in VERSIONS {
        assert_eq!(get(running.addr, Some(&alice), version).unwrap().status, 200);
    }
    // It needs all of them.
    let gap = trusting(&root.pem(), &below.pem());
    assert!(code(&alice.chain, &gap).is_some());
    assert!(gap.warnings(SystemTime::now()).iter().any(|warning| warning.contains("CN=below leads to no CA of trust")));
}

#[test]
fn an_intermediate_vouches_for_nobody_by_itself_and_sheds_no_limit_of_its_root() {
    let root = Ca::new("root");
    let other = Ca::new("other");
    let between = root.intermediate("between");
    let alice = between.client("alice").alone();
    assert_eq!(code(&alice.chain, &trusting(&other.pem(), &between.pem())), Some(RefusalCode::UnknownIssuer));
    // Neither is it let in itself, as one of --ca would be.
    assert!(code(std::slice::from_ref(&between.der), &trusting(&root.pem(), &between.pem())).is_some());

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
    assert_eq!(code(&evil.chain, &trusting(&limited.pem(), &between.pem())), Some(RefusalCode::NameConstraint));
    // In --ca it is an anchor of its own, which the start says.
    let as_anchor = trusting(&between.pem(), "");
    assert_eq!(code(&evil.chain, &as_anchor), None);
    let warnings = as_anchor.warnings(SystemTime::now());
    assert!(warnings.iter().any(|warning| warning.contains("CN=between") && warning.contains("anchor of its own")));

    let flat = Ca::with("root", |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let between = flat.intermediate("between");
    let alice = between.client("alice").alone();
    assert_eq!(code(&alice.chain, &trusting(&flat.pem(), &between.pem())), Some(RefusalCode::PathLength));
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

/// RFC 5280, section 7.1: however a name is written, it is that name.
#[test]
fn t14_an_issuer_is_found_by_its_name_however_it_is_encoded() {
    let root = Ca::with("Example  CA", |_| {});
    for written in
        [DnValue::PrintableString("Example CA".try_into().unwrap()), "EXAMPLE CA".into(), " example   ca ".into()]
    {
        // The client's certificate has the other form of its issuer's name.
        let alias = root.as_named(named(written.clone()));
        let alice = alias.client("alice").alone();
        assert_eq!(code(&alice.chain, &trusting(&root.pem(), "")), None, "{written:?}");
        // And so has an intermediate, sent or loaded.
        let between = alias.intermediate("between");
        let bob = between.client("bob");
        assert_eq!(code(&bob.chain, &trusting(&root.pem(), "")), None, "{written:?}");
        assert_eq!(code(&bob.alone().chain, &trusting(&root.pem(), &between.pem())), None, "{written:?}");
        let between = root.intermediate("Some One").as_named(named("SOME one".into()));
        let carol = between.client("carol");
        assert_eq!(code(&carol.chain, &trusting(&root.pem(), "")), None, "{written:?}");
    }
    let other = root.as_named(named("Example CB".into()));
    assert!(code(&other.client("alice").alone().chain, &trusting(&root.pem(), "")).is_some());
}

/// Section 4.2.1.1. webpki gave up after a hundred signatures, and a stranger cost as many (what he costs now: `trust::path`).
#[test]
fn t20_among_many_cas_of_one_name_the_right_one_is_found_by_its_key_identifier() {
    let namesakes: Vec<Ca> = (0..150).map(|_| Ca::new("rollover")).collect();
    let trusted = trusting(&namesakes.iter().map(Ca::pem).collect::<String>(), "");
    for at in [0, 75, 149] {
        assert_eq!(code(&namesakes[at].client("alice").chain, &trusted), None, "{at}");
    }
    let stranger = Ca::new("rollover").client("mallory");
    assert_eq!(code(&stranger.chain, &trusted), Some(RefusalCode::SameNameOtherKey));
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
        let trusted = trusting(&files.iter().map(|ca| ca.pem()).collect::<String>(), "");
        assert_eq!(code(&alice.chain, &trusted), None);
    }
    assert_eq!(code(&alice.chain, &trusting(&rekeyed.pem(), "")), Some(RefusalCode::SameNameOtherKey));
}

/// RFC 5280, section 4.2.1.9: "non-self-issued intermediate certificates" are what the length counts.
#[test]
fn a_self_issued_intermediate_does_not_count_for_the_path_length() {
    let root = Ca::with("root", |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    // The root's new key, certified by its old one.
    let rolled = root.intermediate("root");
    let alice = rolled.client("alice");
    assert_eq!(code(&alice.chain, &trusting(&root.pem(), "")), None);
    let counted = rolled.intermediate("other").client("alice");
    assert_eq!(code(&counted.chain, &trusting(&root.pem(), "")), Some(RefusalCode::PathLength));
}

/// RFC 5280, section 4.2.1.12: arcs over 64 bits, padded ones, and one more octet before or after.
#[test]
fn t15_a_purpose_that_looks_like_client_authentication_is_not() {
    let ca = Ca::new("ca");
    let holder = |purposes: &[&[u8]]| {
        let list: Vec<u8> = purposes.iter().flat_map(|purpose| write(6, purpose)).collect();
        ca.client_with("alice", |params| {
            params.extended_key_usages = Vec::new();
            params.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 37], write(0x30, &list))];
        })
    };
    const CLIENT: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];
    const ANY: &[u8] = &[0x55, 0x1d, 37, 0];
    let trusted = trusting(&ca.pem(), "");
    for right in [vec![CLIENT], vec![ANY], vec![&[0x2b, 6, 1, 5, 5, 7, 3, 1], CLIENT]] {
        assert_eq!(code(&holder(&right).chain, &trusted), None, "{right:02x?}");
    }
    // An arc of 2^64 + 2, whose low bits are those of clientAuth; the same for any.
    let huge = [&CLIENT[..7], &[0x82, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02]].concat();
    let huge_any = [&ANY[..3], &[0x82, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00]].concat();
    let first = [&[0x80 | 0x2b, 0x2b][..], &CLIENT[1..]].concat();
    for wrong in [&huge, &huge_any, &first, &[CLIENT, &[1]].concat(), &CLIENT[..7].to_vec()] {
        assert_eq!(code(&holder(&[wrong]).chain, &trusted), Some(RefusalCode::WrongUsage), "{wrong:02x?}");
    }
    // An arc that is not as short as can be is not DER (X.690, section 8.19.2).
    for padded in [[&CLIENT[..7], &[0x80, 2]].concat(), [&ANY[..3], &[0x80, 0]].concat()] {
        assert_eq!(code(&holder(&[&padded]).chain, &trusted), Some(RefusalCode::Malformed), "{padded:02x?}");
    }
    // So for an intermediate.
    let sub = ca.intermediate_with("sub", |params| {
        params.custom_extensions =
            vec![CustomExtension::from_oid_content(&[2, 5, 29, 37], write(0x30, &write(6, &huge)))];
    });
    assert_eq!(code(&sub.client("alice").chain, &trusted), Some(RefusalCode::WrongUsage));
}

fn constrained(permitted: Vec<GeneralSubtree>, excluded: Vec<GeneralSubtree>) -> Ca {
    Ca::with("ca", |params| {
        params.name_constraints = Some(NameConstraints { permitted_subtrees: permitted, excluded_subtrees: excluded });
    })
}

const EMAIL: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 9, 1];

/// RFC 5280, section 4.2.1.10: "When a constraint has been imposed on the rfc822Name name form, but the certificate does not
/// include a subject alternative name, the rfc822Name constraint MUST be applied to the attribute of type emailAddress".
#[test]
fn t16_constraints_on_addresses_see_the_address_in_the_subject() {
    let limits = || vec![GeneralSubtree::Rfc822Name("example.com".to_owned())];
    let with_address = |ca: &Ca, tag: u8, address: &str| {
        let subject = name(&[&[(CN, 12, b"a")], &[(EMAIL, tag, address.as_bytes())]]);
        ca.with_subject(&ca.client("a"), &subject)
    };
    let ca = constrained(limits(), Vec::new());
    let trusted = trusting(&ca.pem(), "");
    // As an IA5String, as the book has it, and as others.
    for tag in [22, 12, 19] {
        assert_eq!(code(&with_address(&ca, tag, "ceo@example.com").chain, &trusted), None, "{tag}");
        let evil = with_address(&ca, tag, "ceo@evil.org");
        assert_eq!(code(&evil.chain, &trusted), Some(RefusalCode::NameConstraint), "{tag}");
        assert!(detail(&evil.chain, &trusted).contains("the e-mail address ceo@evil.org"));
        // The other way round.
        let ca = constrained(Vec::new(), limits());
        let trusted = trusting(&ca.pem(), "");
        assert_eq!(code(&with_address(&ca, tag, "ceo@evil.org").chain, &trusted), None, "{tag}");
        let excluded = with_address(&ca, tag, "ceo@example.com");
        assert_eq!(code(&excluded.chain, &trusted), Some(RefusalCode::NameConstraint), "{tag}");
    }
}

/// Each kind that the manual calls supported is, and each other one fails closed.
#[test]
fn t16_name_constraints_of_every_kind_hold_or_fail_closed() {
    let organisation = |name: &str| {
        let mut names = DistinguishedName::new();
        names.push(DnType::OrganizationName, name);
        names
    };
    let subject = |names: DistinguishedName, common: &str| {
        let mut names = names;
        names.push(DnType::CommonName, common);
        names
    };
    let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
    let email = |name: &str| SanType::Rfc822Name(name.try_into().unwrap());
    let cidr = || GeneralSubtree::IpAddress(CidrSubnet::V4([10, 0, 0, 0], [255, 0, 0, 0]));
    let directory = || GeneralSubtree::DirectoryName(organisation("Example"));
    type Change = Box<dyn Fn(&mut CertificateParams)>;
    let san = |name: SanType| -> Change { Box::new(move |params| params.subject_alt_names = vec![name.clone()]) };
    let named =
        |names: DistinguishedName| -> Change { Box::new(move |params| params.distinguished_name = names.clone()) };
    let rows: Vec<(GeneralSubtree, Change, Change)> = vec![
        (GeneralSubtree::DnsName("good.test".into()), san(dns("a.good.test")), san(dns("notgood.test"))),
        (GeneralSubtree::Rfc822Name("good.test".into()), san(email("a@good.test")), san(email("a@evil.test"))),
        (cidr(), san(SanType::IpAddress([10, 1, 2, 3].into())), san(SanType::IpAddress([11, 1, 2, 3].into()))),
        (directory(), named(subject(organisation("EXAMPLE"), "a")), named(subject(organisation("Evil"), "a"))),
    ];
    for (at, (limit, within, without)) in rows.iter().enumerate() {
        let permitting = constrained(vec![limit.clone()], Vec::new());
        let excluding = constrained(Vec::new(), vec![limit.clone()]);
        for (ca, good, bad) in [(&permitting, within, without), (&excluding, without, within)] {
            let trusted = trusting(&ca.pem(), "");
            assert_eq!(code(&ca.client_with("a", |params| good(params)).chain, &trusted), None, "row {at}");
            let bad = ca.client_with("a", |params| bad(params));
            assert_eq!(code(&bad.chain, &trusted), Some(RefusalCode::NameConstraint), "row {at}");
            // Also of an intermediate below, for what it issues.
            let below = ca.intermediate_with("a", |params| good(params));
            let bad = below.client_with("a", |params| {
                if at < 3 { without(params) } else { params.distinguished_name = organisation("Evil") }
            });
            if std::ptr::eq(ca, &permitting) {
                assert_eq!(code(&bad.chain, &trusted), Some(RefusalCode::NameConstraint), "row {at}, below");
            }
        }
    }
    // URIs, and kinds that are not known: written by hand, as rcgen has no limits of them.
    let general = |tag: u8, value: &[u8]| write(tag, value);
    let by_hand = |subtree: Vec<u8>| {
        let list = write(0x30, &write(0xa0, &write(0x30, &subtree)));
        Ca::with("ca", |params| {
            params.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 30], list.clone())];
        })
    };
    let other_name = [write(6, &[0x2a, 3]), write(0xa0, &write(12, b"x"))].concat();
    let carrying = |ca: &Ca, name: Vec<u8>| {
        ca.client_with("a", |params| {
            params.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 17], write(0x30, &name))];
        })
    };
    for (limit, name, expected) in [
        (general(0x86, b"good.test"), general(0x86, b"spiffe://good.test/a"), None),
        (general(0x86, b"good.test"), general(0x86, b"spiffe://evil.test/a"), Some(RefusalCode::NameConstraint)),
        (general(0x86, b"good.test"), general(0x86, b"urn:uuid:a"), Some(RefusalCode::NameConstraint)),
        (general(0xa0, &other_name), general(0xa0, &other_name), Some(RefusalCode::NameConstraint)),
        (general(0x88, &[0x2a, 3]), general(0x88, &[0x2a, 3]), Some(RefusalCode::NameConstraint)),
        // Names of another kind are not limited by it.
        (general(0x86, b"good.test"), general(0x82, b"evil.test"), None),
        (general(0xa0, &other_name), general(0x82, b"evil.test"), None),
    ] {
        let ca = by_hand(limit);
        assert_eq!(code(&carrying(&ca, name.clone()).chain, &trusting(&ca.pem(), "")), expected, "{name:02x?}");
    }
    // A minimum or maximum MUST NOT be there.
    let ca = by_hand([general(0x82, b"good.test"), write(0x80, &[1])].concat());
    let chain = carrying(&ca, general(0x82, b"good.test")).chain;
    assert_eq!(code(&chain, &trusting(&ca.pem(), "")), Some(RefusalCode::NameConstraint));
}

/// RFC 5280, section 4.2: "A certificate MUST NOT include more than one instance of a particular extension."
#[test]
fn t17_two_instances_of_one_extension_are_malformed() {
    let ca = Ca::new("ca");
    let trusted = trusting(&ca.pem(), "");
    let twice = |holder: &Holder, new: &[u8]| {
        let certificate = read(&holder.chain[0]).content;
        let signed = read(certificate);
        let algorithm = read(signed.rest);
        let parts = elements(signed.content).flat_map(|element| match element.tag {
            0xa3 => write(0xa3, &write(0x30, &[read(element.content).content, new].concat())),
            _ => write(element.tag, element.content),
        });
        ca.signed(&write(0x30, &parts.collect::<Vec<_>>()), algorithm.content)
    };
    let alice = ca.client("alice");
    let unknown = extension(&[0x2a, 3, 4], false, &[5, 0]);
    assert_eq!(code(&[twice(&alice, &unknown)], &trusted), None, "once");
    let basic = extension(&[0x55, 0x1d, 19], true, &[0x30, 0]);
    let usage = extension(&[0x55, 0x1d, 37], false, &write(0x30, &write(6, &[0x2b, 6, 1, 5, 5, 7, 3, 2])));
    let authority = extension(&[0x55, 0x1d, 35], false, &write(0x30, &write(0x80, &[1; 20])));
    let subject = extension(&[0x55, 0x1d, 14], false, &write(4, &[1; 20]));
    for (new, what) in [
        ([&unknown[..], &unknown].concat(), "unknown"),
        (basic, "2.5.29.19"),
        (usage, "2.5.29.37"),
        (authority, "2.5.29.35"),
        ([&subject[..], &subject].concat(), "2.5.29.14"),
    ] {
        let made = twice(&alice, &new);
        assert_eq!(code(std::slice::from_ref(&made), &trusted), Some(RefusalCode::Malformed), "{what}");
        assert!(detail(&[made], &trusted).contains("twice"), "{what}");
    }
    // So in a CA that is loaded.
    let double = twice(&Holder { chain: vec![ca.der.clone()], key: alice.key }, &[&subject[..], &subject].concat());
    let error = Trust::builder().pem(pem(&double), "ca").build().unwrap_err();
    assert!(error.to_string().contains("cannot be read"), "{error}");
}

/// DER has one form (X.690, section 10.1): what one program reads otherwise than another is not read.
#[test]
fn a_certificate_is_read_in_one_form_only() {
    let ca = Ca::new("ca");
    let trusted = trusting(&ca.pem(), "");
    let alice = ca.client("alice");
    let certificate = read(&alice.chain[0]).content;
    let signed = read(certificate);
    let algorithm = read(signed.rest);
    let resigned = |to_be_signed: Vec<u8>| ca.signed(&to_be_signed, algorithm.content);
    assert_eq!(code(&[resigned(write(0x30, signed.content))], &trusted), None);
    // A length in more octets than it takes, and something after the last field.
    let mut padded = vec![0x30, 0x83, 0];
    padded.extend(u16::try_from(signed.content.len()).unwrap().to_be_bytes());
    padded.extend(signed.content);
    let trailing = write(0x30, &[signed.content, &write(5, &[])].concat());
    for wrong in [resigned(padded), resigned(trailing)] {
        assert_eq!(code(&[wrong], &trusted), Some(RefusalCode::Malformed));
    }
    let mut longer = alice.chain[0].to_vec();
    longer.push(0);
    assert_eq!(code(&[longer.into()], &trusted), Some(RefusalCode::Malformed));
}

/// A part of a certificate replaced, and signed by `ca`: version, serial, algorithm, issuer, validity, subject, …
fn with_part(ca: &Ca, at: usize, part: &[u8]) -> CertificateDer<'static> {
    let alice = ca.client("alice");
    let signed = read(read(&alice.chain[0]).content);
    let algorithm = read(signed.rest);
    let parts = elements(signed.content).enumerate().flat_map(|(number, element)| match number == at {
        true => part.to_vec(),
        false => write(element.tag, element.content),
    });
    ca.signed(&write(0x30, &parts.collect::<Vec<_>>()), algorithm.content)
}

/// What one reader stops at another may read on from: an address behind it would be seen by neither the constraints on
/// addresses nor by the log.
#[test]
fn a_name_is_read_whole_or_not_at_all() {
    let ca = Ca::new("ca");
    let trusted = trusting(&ca.pem(), "");
    let attribute = |kind: &[u8], value: &[u8]| write(0x30, &[write(6, kind), value.to_vec()].concat());
    let relative = |attributes: &[u8]| write(0x31, attributes);
    let first = attribute(CN, &write(12, b"alice"));
    let second = relative(&attribute(EMAIL, &write(22, b"ceo@example.com")));
    let subject = |parts: &[&[u8]]| with_part(&ca, 5, &write(0x30, &parts.concat()));
    assert_eq!(code(&[subject(&[&relative(&first), &second])], &trusted), None);
    for broken in [
        write(0x30, &first),
        relative(&[]),
        relative(&attribute(CN, &[write(12, b"alice"), write(5, &[])].concat())),
        relative(&[&first[..], &write(5, &[])].concat()),
        relative(&attribute(CN, &[])),
        relative(&attribute(CN, &[12, 0x81, 1, b'a'])),
        relative(&attribute(&[0x80, 0x55, 4, 3], &write(12, b"alice"))),
    ] {
        for parts in [[&relative(&first)[..], &broken, &second], [&broken, &relative(&first), &second]] {
            assert_eq!(code(&[subject(&parts)], &trusted), Some(RefusalCode::Malformed), "{broken:02x?}");
        }
    }
}

/// RFC 5280, section 4.1.2.5.
#[test]
fn a_date_is_in_utc_and_to_the_second_or_there_is_none() {
    let ca = Ca::new("ca");
    let trusted = trusting(&ca.pem(), "");
    let until = |tag: u8, text: &str| {
        let validity = [write(0x17, b"250101000000Z"), write(tag, text.as_bytes())].concat();
        code(&[with_part(&ca, 4, &write(0x30, &validity))], &trusted)
    };
    for (tag, text) in [(0x17, "491231235959Z"), (0x18, "20491231235959Z"), (0x18, "99991231235959Z")] {
        assert_eq!(until(tag, text), None, "{text}");
    }
    for (tag, text) in [
        (0x17, "4912312359Z"),
        (0x17, "491231235959+0000"),
        (0x17, "491231235959"),
        (0x17, "20491231235959Z"),
        (0x18, "20491231235959"),
        (0x18, "20491231235959+1400"),
        (0x18, "20491231235959.5Z"),
        (0x18, "2049123123Z"),
        (0x18, "20491331235959Z"),
        (0x18, "20491231235960Z"),
        (0x0c, "20491231235959Z"),
    ] {
        assert_eq!(until(tag, text), Some(RefusalCode::Malformed), "{text}");
    }
    let three = [write(0x17, b"250101000000Z"), write(0x17, b"491231235959Z"), write(0x17, b"491231235959Z")].concat();
    assert_eq!(code(&[with_part(&ca, 4, &write(0x30, &three))], &trusted), Some(RefusalCode::Malformed));
}

/// X.690, section 8.3.2: a list that names it otherwise would not be about it. Whether it is zero, negative or long does not
/// count.
#[test]
fn a_serial_number_has_one_form() {
    let ca = Ca::new("ca");
    let trusted = trusting(&ca.pem(), "");
    for right in [&[0][..], &[1], &[0xfb], &[0, 0xff], &[0x7f; 40]] {
        assert_eq!(code(&[with_part(&ca, 1, &write(2, right))], &trusted), None, "{right:02x?}");
    }
    for wrong in [&[][..], &[0, 1], &[0, 0], &[0xff, 0xfb]] {
        assert_eq!(
            code(&[with_part(&ca, 1, &write(2, wrong))], &trusted),
            Some(RefusalCode::Malformed),
            "{wrong:02x?}"
        );
    }
}

/// X.690, section 11.2.1. OpenSSL takes the mark keyCertSign from such a CA; whoever reads the bits alone gives it to it.
#[test]
fn a_usage_in_bits_that_do_not_count_is_none() {
    let ca = Ca::new("ca");
    let trusted = trusting(&ca.pem(), "");
    let with_usage = |usage: &[u8]| {
        let usage = CustomExtension::from_oid_content(&[2, 5, 29, 15], write(3, usage));
        let between = ca.intermediate_with("between", |params| {
            params.key_usages = Vec::new();
            params.custom_extensions = vec![usage];
        });
        code(&between.client("alice").chain, &trusted)
    };
    // digitalSignature and keyCertSign, with further zeros or without; then as if only the first counted.
    for right in [&[2, 0x84][..], &[0, 0x84], &[0, 0x84, 0]] {
        assert_eq!(with_usage(right), None, "{right:02x?}");
    }
    for wrong in [&[7, 0x84][..], &[3, 0x84], &[8, 0x84], &[7], &[]] {
        assert!(with_usage(wrong).is_some(), "{wrong:02x?}");
    }
}

/// What OpenSSL takes, and webpki did not: unique identifiers, path lengths over 255, dates before 1970.
#[test]
fn what_is_old_or_odd_and_right_is_taken() {
    let ca = Ca::with("ca", |params| {
        params.custom_extensions = vec![CustomExtension::from_oid_content(
            &[2, 5, 29, 19],
            write(0x30, &[write(1, &[0xff]), write(2, &[0x01, 0x2c])].concat()),
        )];
        params.is_ca = IsCa::NoCa;
    });
    let trusted = trusting(&ca.pem(), "");
    assert_eq!(trusted.entries()[0].kind(), TrustKind::Ca);
    let alice = ca.client("alice");
    assert_eq!(code(&alice.chain, &trusted), None, "a path length of 300");
    let signed = read(read(&alice.chain[0]).content);
    let algorithm = read(signed.rest);
    type Change<'c> = &'c dyn Fn(usize, u8, &[u8]) -> Vec<u8>;
    let changed = |change: Change<'_>| {
        let parts = elements(signed.content).enumerate().flat_map(|(at, part)| change(at, part.tag, part.content));
        ca.signed(&write(0x30, &parts.collect::<Vec<_>>()), algorithm.content)
    };
    let identified = changed(&|_, tag, content| match tag {
        0xa3 => [write(0x81, &[0, 7]), write(0x82, &[0, 8]), write(tag, content)].concat(),
        _ => write(tag, content),
    });
    assert_eq!(code(&[identified], &trusted), None, "unique identifiers");
    // version, serial, algorithm, issuer, validity, …
    let old = changed(&|at, tag, content| match at {
        4 => write(tag, &[write(0x17, b"550101000000Z"), write(0x18, b"20991231235959Z")].concat()),
        _ => write(tag, content),
    });
    assert_eq!(code(&[old], &trusted), None, "valid from 1955 on");
}

#[test]
fn a_chain_that_is_larger_than_a_handshake_takes_is_too_long_for_check_too() {
    let ca = Ca::new("ca");
    let trusted = trusting(&ca.pem(), "");
    let of_size = |octets: usize| {
        ca.client_with("alice", |params| {
            params.custom_extensions =
                vec![CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 9], vec![0; octets])];
        })
    };
    assert_eq!(code(&of_size(64_000).chain, &trusted), None);
    let large = of_size(70_000);
    assert_eq!(code(&large.chain, &trusted), Some(RefusalCode::ChainTooLong));
    assert!(armour("CERTIFICATE", &large.chain[0]).len() > 90_000);
    let running = start(trusted);
    for version in VERSIONS {
        assert_eq!(get(running.addr, Some(&of_size(64_000)), version).unwrap().status, 200);
        assert!(get(running.addr, Some(&large), version).is_err());
    }
}
