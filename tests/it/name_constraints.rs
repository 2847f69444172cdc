//! Row T16 of the immunity matrix: name constraints (RFC 5280, section 4.2.1.10).

use mtls_min::RefusalCode;
use rcgen::{
    CertificateParams, CidrSubnet, CustomExtension, DistinguishedName, DnType, GeneralSubtree, NameConstraints, SanType,
};

use crate::support::judged::{chain_code, detail, trust_of};
use crate::support::pki::{CN, Ca, EMAIL, name, write};

fn constrained(permitted: Vec<GeneralSubtree>, excluded: Vec<GeneralSubtree>) -> Ca {
    Ca::with("ca", |params| {
        params.name_constraints = Some(NameConstraints { permitted_subtrees: permitted, excluded_subtrees: excluded });
    })
}

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
    let trusted = trust_of(&ca.pem(), "");
    // As an IA5String, as the RFC says, and as other string types.
    for tag in [22, 12, 19] {
        assert_eq!(chain_code(&with_address(&ca, tag, "ceo@example.com").chain, &trusted), None, "{tag}");
        let evil = with_address(&ca, tag, "ceo@evil.org");
        assert_eq!(chain_code(&evil.chain, &trusted), Some(RefusalCode::NameConstraint), "{tag}");
        assert!(detail(&evil.chain, &trusted).contains("the e-mail address ceo@evil.org"));
        // The other way round.
        let ca = constrained(Vec::new(), limits());
        let trusted = trust_of(&ca.pem(), "");
        assert_eq!(chain_code(&with_address(&ca, tag, "ceo@evil.org").chain, &trusted), None, "{tag}");
        let excluded = with_address(&ca, tag, "ceo@example.com");
        assert_eq!(chain_code(&excluded.chain, &trusted), Some(RefusalCode::NameConstraint), "{tag}");
    }
}

/// Each kind that the manual calls supported works, and each other kind fails closed.
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
            let trusted = trust_of(&ca.pem(), "");
            assert_eq!(chain_code(&ca.client_with("a", |params| good(params)).chain, &trusted), None, "row {at}");
            let bad = ca.client_with("a", |params| bad(params));
            assert_eq!(chain_code(&bad.chain, &trusted), Some(RefusalCode::NameConstraint), "row {at}");
            // Also of an intermediate below, for what it issues.
            let below = ca.intermediate_with("a", |params| good(params));
            let bad = below.client_with("a", |params| {
                if at < 3 { without(params) } else { params.distinguished_name = organisation("Evil") }
            });
            if std::ptr::eq(ca, &permitting) {
                assert_eq!(chain_code(&bad.chain, &trusted), Some(RefusalCode::NameConstraint), "row {at}, below");
            }
        }
    }
    // URIs and unknown kinds: encoded here, because rcgen has no constraints of these kinds.
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
        // Names of another kind are not constrained by it.
        (general(0x86, b"good.test"), general(0x82, b"evil.test"), None),
        (general(0xa0, &other_name), general(0x82, b"evil.test"), None),
    ] {
        let ca = by_hand(limit);
        assert_eq!(chain_code(&carrying(&ca, name.clone()).chain, &trust_of(&ca.pem(), "")), expected, "{name:02x?}");
    }
    // A minimum or maximum MUST NOT be there.
    let ca = by_hand([general(0x82, b"good.test"), write(0x80, &[1])].concat());
    let chain = carrying(&ca, general(0x82, b"good.test")).chain;
    assert_eq!(chain_code(&chain, &trust_of(&ca.pem(), "")), Some(RefusalCode::NameConstraint));
}
