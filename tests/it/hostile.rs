//! Chains made to be expensive or to slip through, and what CAs forbid: found by readers who attacked `judge`.

use std::time::SystemTime;

use mtls_min::{RefusalCode, Trust, TrustKind, Verdict, judge};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, CrlDistributionPoint, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose as Eku, GeneralSubtree, IsCa, KeyUsagePurpose, NameConstraints, SanType,
};
use rustls::pki_types::CertificateDer;

use crate::support::judged::chain_code;
use crate::support::pki::{CN, Ca, HOUR, elements, name, params, pem, read, self_signed, write};
use crate::support::server::trust;

fn accepting_v1(ca: &Ca) -> Trust {
    Trust::builder().pem(ca.pem(), "ca").accept_v1().build().unwrap()
}

/// Path building that tries every order of certificates that share a name took two seconds for ten of them, padded.
#[test]
fn d3_many_intermediates_of_one_name_are_followed_where_a_signature_leads() {
    let padded = |params: &mut CertificateParams| {
        params.custom_extensions =
            (0..400_u64).map(|n| CustomExtension::from_oid_content(&[1, 3, 6, n], Vec::new())).collect();
    };
    let trusted = trust(&Ca::new("ca"));
    let namesakes: Vec<Ca> = (0..10).map(|_| Ca::with("x", padded)).collect();
    for sent in [2, 3, 10] {
        let mut chain = vec![namesakes[0].client("mallory").chain[0].clone()];
        chain.extend(namesakes[..sent].iter().map(|ca| ca.der.clone()));
        assert_eq!(chain_code(&chain, &trusted), Some(RefusalCode::UnknownRoot), "{sent}");
    }
    // A renewed intermediate beside the old one is fine, in any order.
    let root = Ca::new("root");
    let (old, new) = (root.intermediate("below"), root.intermediate("below"));
    for issuer in [&old, &new] {
        for order in [[&old, &new], [&new, &old]] {
            let mut chain = vec![issuer.client("alice").chain[0].clone()];
            chain.extend(order.map(|ca| ca.der.clone()));
            assert_eq!(chain_code(&chain, &trust(&root)), None);
        }
    }
}

/// A chain of 64 KiB has room for twenty thousand names. Keeping them took a megabyte for each connection of a
/// stranger, for as long as it was open.
#[test]
fn d3_a_certificate_has_so_many_names_and_no_more() {
    let ca = Ca::new("ca");
    let trusted = trust(&ca);
    let with_names = |count: usize| {
        let names: Vec<u8> = (0..count).flat_map(|_| write(0x82, b"a")).collect();
        let names = CustomExtension::from_oid_content(&[2, 5, 29, 17], write(0x30, &names));
        ca.client_with("alice", |params| params.custom_extensions = vec![names])
    };
    let with_attributes = |count: usize, in_one: bool| {
        let one: &[_] = &[(CN, 12, &b"x"[..])];
        let set = one.repeat(count);
        let relative = if in_one { vec![&set[..]] } else { vec![one; count] };
        ca.with_subject(&ca.client("alice"), &name(&relative))
    };
    for (right, wrong, why) in [
        (with_names(1000), with_names(1001), "more than 1000 alternative names"),
        (with_attributes(200, false), with_attributes(201, false), "a subject of more than 200 attributes"),
        (with_attributes(200, true), with_attributes(201, true), "a subject of more than 200 attributes"),
    ] {
        assert_eq!(chain_code(&right.chain, &trusted), None, "{why}");
        let Verdict::Refused(refusal) = judge(&wrong.chain, &trusted, SystemTime::now()).verdict else { panic!() };
        assert_eq!(refusal.code(), RefusalCode::Malformed);
        assert!(refusal.detail().contains(why), "{refusal}");
    }
}

/// The advice in the log must not make a CA of a client.
#[test]
fn following_the_repair_of_a_self_signed_certificate_lets_in_that_one_and_no_other() {
    let ca = Ca::new("ca");
    // As `openssl req -x509` makes it, and as `openssl x509 -req -signkey` does.
    let client = Ca::new("bob");
    let version_1 = client.as_version_1(&client.der);
    for der in [client.der.clone(), version_1] {
        let Verdict::Refused(refusal) = judge(std::slice::from_ref(&der), &trust(&ca), SystemTime::now()).verdict
        else {
            panic!()
        };
        assert_eq!(refusal.code(), RefusalCode::SelfSigned);
        assert!(refusal.repair().contains("`TrustBuilder::authorized_clients`"), "{}", refusal.repair());
        let dir = crate::support::files::TempDir::new();
        dir.write("bob.pem", pem(&der));
        let followed = Trust::builder().authorized_clients(dir.path()).build().unwrap();
        assert_eq!(chain_code(&[der], &followed), None);
        assert!(chain_code(&client.client("admin").chain, &followed).is_some(), "minted by the client");
        assert!(chain_code(&[client.as_version_1(&client.client("admin").chain[0])], &followed).is_some());
    }
}

#[test]
fn accepting_version_1_accepts_nothing_else() {
    let ca = Ca::new("ca");
    let for_servers = ca.client_with("srv", |params| params.extended_key_usages = vec![Eku::ServerAuth]);
    let authority = ca.client_with("sub", |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    let plain = ca.client_v1("alice").chain[0].clone();
    assert_eq!(chain_code(std::slice::from_ref(&plain), &accepting_v1(&ca)), None);
    for version in [None, Some(1), Some(3), Some(9)] {
        for holder in [&for_servers, &authority] {
            let made = ca.as_version(&holder.chain[0], version);
            assert!(chain_code(&[made], &accepting_v1(&ca)).is_some(), "version {version:?}, extensions and all");
        }
        let made = ca.as_version(&plain, version);
        assert_eq!(
            chain_code(&[made], &accepting_v1(&ca)).is_none(),
            version.is_none(),
            "{version:?}, without extensions"
        );
    }
    // No bit of it can be changed.
    for bit in 0..plain.len() * 8 {
        let mut bad = plain.to_vec();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(chain_code(&[bad.into()], &accepting_v1(&ca)).is_some(), "bit {bit}");
    }
}

#[test]
fn version_1_does_not_escape_the_name_constraints_of_a_ca() {
    let mut allowed = DistinguishedName::new();
    allowed.push(DnType::OrganizationName, "department A");
    let permitted_subtrees = vec![GeneralSubtree::DirectoryName(allowed)];
    let constraints = NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() };
    let ca = Ca::with("ca", |params| params.name_constraints = Some(constraints));
    assert_eq!(chain_code(&ca.client("admin").chain, &accepting_v1(&ca)), Some(RefusalCode::NameConstraint));
    assert!(chain_code(&ca.client_v1("admin").chain, &accepting_v1(&ca)).is_some());
}

#[test]
fn a_key_that_may_not_sign_authenticates_nobody() {
    let ca = Ca::new("ca");
    let with = |usages: Vec<KeyUsagePurpose>| {
        chain_code(&ca.client_with("alice", |params| params.key_usages = usages).chain, &trust(&ca))
    };
    assert_eq!(with(vec![KeyUsagePurpose::KeyEncipherment]), Some(RefusalCode::WrongUsage));
    assert_eq!(with(vec![KeyUsagePurpose::KeyEncipherment, KeyUsagePurpose::DigitalSignature]), None);
    assert_eq!(with(Vec::new()), None);
}

/// RFC 5280 lets a server ignore them (section 6.2); an operator who wrote them meant them.
#[test]
fn what_a_ca_of_trust_says_of_itself_holds_too() {
    let short = Ca::with("short", |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    assert_eq!(chain_code(&short.client("alice").chain, &trust(&short)), None);
    assert_eq!(
        chain_code(&short.intermediate("i").client("alice").chain, &trust(&short)),
        Some(RefusalCode::PathLength)
    );
    let for_servers = Ca::with("servers", |params| params.extended_key_usages = vec![Eku::ServerAuth]);
    assert_eq!(chain_code(&for_servers.client("alice").chain, &trust(&for_servers)), Some(RefusalCode::WrongUsage));
}

/// RFC 5280, section 4.2: "A certificate-using system MUST reject the certificate if it encounters a critical extension it does
/// not recognize". What limits a CA is its operator's will, whoever signed it.
#[test]
fn a_critical_extension_of_a_ca_of_trust_that_is_not_known_holds_too() {
    let unknown = || {
        let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 18], vec![0x30, 3, 0x82, 1, 0x61]);
        extension.set_criticality(true);
        vec![extension]
    };
    let root = Ca::with("root", |params| params.custom_extensions = unknown());
    let trusted = trust(&root);
    let alice = root.client("alice");
    assert_eq!(chain_code(&alice.chain, &trusted), Some(RefusalCode::UnsupportedExtension));
    let warnings = trusted.warnings(SystemTime::now());
    assert!(warnings.iter().any(|warning| warning.contains("CN=root") && warning.contains("issuerAltName")));
    // The same for an intermediate, sent or loaded.
    let plain = Ca::new("plain");
    let between = plain.intermediate_with("between", |params| params.custom_extensions = unknown());
    let alice = between.client("alice");
    assert_eq!(chain_code(&alice.chain, &trust(&plain)), Some(RefusalCode::UnsupportedExtension));
}

/// Without extensions, a certificate that signed itself is a CA by custom. With extensions, those decide.
#[test]
fn a_certificate_of_an_odd_version_is_a_ca_only_if_it_does_not_say_otherwise() {
    let plain = self_signed("bob");
    let bob = Ca::out_of(&plain, params("bob"));
    for (version, kind) in [(None, TrustKind::PinnedClient), (Some(3), TrustKind::PinnedClient)] {
        let odd = bob.as_version(&plain.chain[0], version);
        let trusted = Trust::builder().pem(pem(&odd), "ca").build().unwrap();
        assert_eq!(trusted.entries()[0].kind(), kind, "{version:?}");
        assert!(chain_code(&bob.client("mallory").alone().chain, &trusted).is_some(), "{version:?}");
    }
    let old = bob.as_version_1(&plain.chain[0]);
    assert_eq!(Trust::builder().pem(pem(&old), "ca").build().unwrap().entries()[0].kind(), TrustKind::Ca);
}

/// A pinned client becomes one that a CA vouches for: the cache must not remember the old judgement.
#[test]
fn a_pinned_client_is_judged_anew_when_its_ca_becomes_valid() {
    let now = SystemTime::now();
    let ca = Ca::with("young", |params| params.not_before = (now + HOUR).into());
    let alice = ca.client("alice");
    let trusted = Trust::builder().pem(ca.pem() + &alice.alone().pem(), "ca").build().unwrap();
    let vouched = |at: SystemTime| match judge(&alice.chain, &trusted, at).verdict {
        Verdict::Authorised(identity) => identity.is_vouched_for(),
        Verdict::Refused(refusal) => panic!("{refusal}"),
    };
    assert!(!vouched(now));
    assert!(vouched(now + HOUR * 2));
}

#[test]
fn a_ca_of_trust_counts_within_its_dates_only() {
    let young = Ca::with("young", |params| params.not_before = (SystemTime::now() + HOUR).into());
    assert_eq!(chain_code(&young.client("alice").chain, &trust(&young)), Some(RefusalCode::NotYetValid));
    assert_eq!(
        chain_code(&[young.client_v1("alice").chain[0].clone()], &accepting_v1(&young)),
        Some(RefusalCode::NotYetValid)
    );
}

#[test]
fn a_damaged_border_does_not_make_a_certificate_vanish() {
    let (one, two) = (Ca::new("one"), Ca::new("two"));
    for (from, to) in [
        ("-----BEGIN CERTIFICATE", "----BEGIN CERTIFICATE"),
        ("-----BEGIN CERTIFICATE-----", "-- BEGIN CERTIFICATE --"),
        ("-----BEGIN CERTIFICATE-----\n", ""),
    ] {
        let text = one.pem() + &two.pem().replace(from, to);
        let error = Trust::builder().pem(text, "f").build().unwrap_err().to_string();
        assert!(error.starts_with("f, line "), "{error}");
    }
    let commented = format!("# the first\n{}\n===== the END =====\n-- second --\n{}", one.pem(), two.pem());
    assert_eq!(Trust::builder().pem(commented, "f").build().unwrap().entries().len(), 2);
}

/// A stranger's certificate that names our CA, with a signature algorithm that nobody checks, says nothing about that CA.
#[test]
fn what_is_not_proven_is_not_told_as_a_fact() {
    let ca = Ca::new("ca");
    let sha1 = write(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1]);
    let late = ca.client_with("x", |params| params.not_after = (SystemTime::now() - HOUR / 2).into());
    let tbs: Vec<u8> = elements(read(read(&late.chain[0]).content).content)
        .enumerate()
        .flat_map(|(at, element)| write(element.tag, if at == 2 { &sha1 } else { element.content }))
        .collect();
    let der = Ca::new("mallory").signed(&write(0x30, &tbs), &sha1);
    assert_eq!(chain_code(&[der], &trust(&ca)), Some(RefusalCode::UnsupportedSignature));
}

#[test]
fn a_self_signed_client_in_the_ca_file_is_pinned_if_it_is_no_ca() {
    let pinned = self_signed("bob");
    let trusted = Trust::builder().pem(pinned.pem(), "pinned").build().unwrap();
    assert_eq!(chain_code(&pinned.chain, &trusted), None);
    assert_eq!(trusted.entries()[0].kind(), TrustKind::PinnedClient);
}

/// Numbers that look random and are the same in each run (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    /// A few octets are changed, removed, inserted or repeated.
    fn mutated(&mut self, der: &[u8]) -> Vec<u8> {
        let mut der = der.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(der.len());
            let end = (at + 1 + self.below(8)).min(der.len());
            match self.below(6) {
                0 => der[at] ^= 1 << self.below(8),
                1 => der[at] = [0, 1, 0x30, 0x7f, 0x80, 0x81, 0x84, 0xa0, 0xff][self.below(9)],
                2 => der[at] = der[at].wrapping_add(1),
                3 if der.len() > 16 => drop(der.drain(at..end)),
                4 => drop(der.splice(at..at, der[at..end].to_vec())),
                _ => der.insert(at, self.below(256) as u8),
            }
        }
        der
    }
}

/// A root with constraints of every kind, an intermediate and a client with every extension that is read.
fn full_chain() -> (Ca, Vec<CertificateDer<'static>>) {
    let mut organisation = DistinguishedName::new();
    organisation.push(DnType::OrganizationName, "Example");
    let limits = || {
        vec![
            GeneralSubtree::DnsName("good.test".to_owned()),
            GeneralSubtree::Rfc822Name("good.test".to_owned()),
            GeneralSubtree::DirectoryName(organisation.clone()),
            GeneralSubtree::IpAddress(CidrSubnet::V4([10, 0, 0, 0], [255, 0, 0, 0])),
        ]
    };
    let other = vec![GeneralSubtree::DnsName("evil.good.test".to_owned())];
    let constraints = || Some(NameConstraints { permitted_subtrees: limits(), excluded_subtrees: other.clone() });
    let named = |name: &str| {
        let mut names = organisation.clone();
        names.push(DnType::CommonName, name);
        names
    };
    let root = Ca::with("root", |params| {
        params.name_constraints = constraints();
        params.distinguished_name = named("root");
    });
    let between = root.intermediate_with("between", |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.extended_key_usages = vec![Eku::ClientAuth, Eku::Any];
        params.name_constraints = constraints();
        params.distinguished_name = named("between");
    });
    let points = ["http://a.test/1.crl", "http://a.test/2.crl"].map(str::to_owned).to_vec();
    let client = between.client_with("alice", |params| {
        params.distinguished_name = named("alice");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.subject_alt_names = vec![
            SanType::DnsName("a.good.test".try_into().unwrap()),
            SanType::Rfc822Name("alice@good.test".try_into().unwrap()),
            SanType::URI("spiffe://good.test/alice".try_into().unwrap()),
            SanType::IpAddress([10, 1, 2, 3].into()),
        ];
        params.crl_distribution_points = vec![CrlDistributionPoint { uris: points }];
        params.custom_extensions = vec![CustomExtension::from_oid_content(&[1, 3, 6, 1, 4], vec![5, 0])];
    });
    (root, client.chain)
}

#[test]
fn no_certificate_that_was_changed_is_let_in_and_none_makes_the_judge_panic() {
    let (root, chain) = full_chain();
    let trusted = trust(&root);
    assert_eq!(chain_code(&chain, &trusted), None);
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for round in 0..2000 {
        let mut changed = chain.clone();
        let at = numbers.below(changed.len());
        changed[at] = numbers.mutated(&chain[at]).into();
        let is_in = chain_code(&changed, &trusted).is_none();
        assert!(!is_in || changed == chain, "round {round}: {:02x?}", &changed[at][..]);
    }
}

/// The same, but the CA has signed the changed certificate, and the operator has loaded it.
#[test]
fn whatever_a_ca_signs_or_an_operator_loads_makes_nothing_panic() {
    let (root, chain) = full_chain();
    let trusted = trust(&root);
    let mut numbers = Numbers(0xd1b5_4a32_d192_ed03);
    for _ in 0..300 {
        for der in [&chain[0], &chain[1], &root.der] {
            let signed = read(read(der).content);
            let changed = root.signed(&write(0x30, &numbers.mutated(signed.content)), read(signed.rest).content);
            chain_code(&[changed.clone(), chain[1].clone()], &trusted);
            chain_code(&[chain[0].clone(), changed.clone()], &trusted);
            let builder = Trust::builder().pem(root.pem() + &pem(&changed), "ca").accept_v1();
            if let Ok(trusted) = builder.intermediates(pem(&chain[1]), "between").build() {
                chain_code(&[chain[0].clone()], &trusted);
                chain_code(&[changed], &trusted);
            }
        }
    }
}
