//! Refused for what the certificate says it is for, and how it says so.

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose as Eku, GeneralSubtree, IsCa,
    KeyUsagePurpose, NameConstraints,
};

use super::{Setup, Way, way};
use crate::support::pki::Ca;

pub(super) fn by_marks(ca: &Ca, plain: &Setup) -> Vec<Way> {
    let flat = ca.intermediate_with("flat", |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let flat_root = Ca::with("flat", |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let deep = (0..8).fold(ca.intermediate("level"), |above, level| above.intermediate(&format!("level{level}")));
    let mut many = ca.client("alice");
    many.chain.extend((0..11).map(|_| ca.der.clone()));
    let padding = vec![CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 9], vec![0; 70_000])];
    let large = ca.client_with("alice", |params| params.custom_extensions = padding.clone());
    let eku = |usage: Eku| move |params: &mut CertificateParams| params.extended_key_usages = vec![usage.clone()];
    let for_servers = Ca::with("for servers", eku(Eku::ServerAuth));
    let critical = || {
        let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 18], vec![0x30, 3, 0x82, 1, 0x61]);
        extension.set_criticality(true);
        vec![extension]
    };
    let odd = ca.intermediate_with("odd", |params| params.custom_extensions = critical());
    let policies = || CustomExtension::from_oid_content(&[2, 5, 29, 32], vec![0x30, 6, 0x30, 4, 6, 2, 0x2a, 3]);
    let asked_for = CustomExtension::from_oid_content(&[2, 5, 29, 36], vec![0x30, 3, 0x80, 1, 0]);
    let asking = ca.intermediate_with("asking", |params| params.custom_extensions = vec![policies(), asked_for]);
    let broken = || vec![CustomExtension::from_oid_content(&[2, 5, 29, 19], vec![0x30, 0x7f])];
    let accepting = Setup { accept_v1: true, ..plain.clone() };
    let limited = Ca::with("limited", |params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("good.test".to_owned())],
            excluded_subtrees: Vec::new(),
        });
    });
    let accepting_limited = Setup { accept_v1: true, ..Setup::of(&limited) };
    let between = ca.intermediate("between");
    let ca_mark = |params: &mut CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    vec![
        way(
            "path_length",
            "CN=flat allows 0 intermediates below it, and there are 1",
            "pathlen",
            plain,
            flat.intermediate("below").client("alice"),
        )
        .mended(plain, ca.intermediate("below").client("alice")),
        way(
            "path_length",
            "CN=flat allows 0",
            "issue the certificate from the CA itself",
            &Setup::of(&flat_root),
            flat_root.intermediate("below").client("alice"),
        )
        .mended(&Setup::of(&flat_root), flat_root.client("alice")),
        way("chain_too_long", "more than 6 intermediates", "at most six intermediates", plain, deep.client("alice")),
        way("chain_too_long", "the client sent 12 certificates", "send only those", plain, many)
            .mended(plain, ca.client("alice")),
        way("chain_too_long", "octets, and at most 65535 are accepted", "without what makes it so large", plain, large),
        way(
            "wrong_usage",
            "the client's certificate has an extendedKeyUsage without clientAuth",
            "clientAuth",
            plain,
            ca.client_with("alice", eku(Eku::ServerAuth)),
        )
        .mended(plain, ca.client("alice")),
        way(
            "wrong_usage",
            "the client's certificate has a keyUsage without digitalSignature",
            "digitalSignature",
            plain,
            ca.client_with("alice", |params| params.key_usages = vec![KeyUsagePurpose::KeyEncipherment]),
        )
        .mended(plain, ca.client_with("alice", |params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature])),
        way(
            "wrong_usage",
            "the certificate of CN=between has an extendedKeyUsage without clientAuth",
            "clientAuth",
            plain,
            ca.intermediate_with("between", eku(Eku::EmailProtection)).client("alice"),
        ),
        way(
            "wrong_usage",
            "the certificate of CN=for servers has an extendedKeyUsage without clientAuth",
            "clientAuth",
            &Setup::of(&for_servers),
            for_servers.client("alice"),
        )
        .mended(&Setup::of(&for_servers.renewed_as("for servers")), for_servers.client("alice")),
        way(
            "ca_as_client",
            "the client's certificate is marked as a CA",
            "CA:FALSE",
            plain,
            ca.client_with("alice", ca_mark),
        )
        .mended(plain, ca.client("alice")),
        way(
            "x509_v1",
            "the client's certificate is of version 1",
            "or allow it with --accept-v1",
            plain,
            ca.client_v1("alice"),
        )
        .mended(&accepting, ca.client_v1("alice")),
        // Where --accept-v1 does not help, it is not offered.
        way(
            "x509_v1",
            "CN=limited, which issued it, may only vouch for certain names",
            "issue the certificate with extensions",
            &accepting_limited,
            limited.client_v1("alice"),
        )
        .mended(&accepting_limited, limited.client("alice")),
        way(
            "x509_v1",
            "CN=between, which issued it, is an intermediate",
            "issue the certificate with extensions",
            &accepting,
            between.client_v1("alice"),
        )
        .mended(&accepting, between.client("alice")),
        way(
            "x509_v1",
            "the certificate of CN=between is of version 1",
            "issue the intermediate again",
            plain,
            ca.intermediate_v1("between").client("alice"),
        ),
        way(
            "unsupported_extension",
            "the client's certificate has the critical extension 2.5.29.18 (issuerAltName)",
            "without the unsupported critical extension",
            plain,
            ca.client_with("alice", |params| params.custom_extensions = critical()),
        )
        .mended(plain, ca.client("alice")),
        way(
            "unsupported_extension",
            "the certificate of CN=odd has the critical extension 2.5.29.18",
            "critical extension",
            plain,
            odd.client("alice"),
        ),
        way(
            "missing_policy",
            "the client's certificate: a CA above it requires a certificate policy",
            "that every CA above it has too",
            plain,
            asking.client("alice"),
        )
        .mended(plain, asking.client_with("alice", |params| params.custom_extensions = vec![policies()])),
        way(
            "malformed",
            "a broken extension 2.5.29.19",
            "issue the certificate again",
            plain,
            ca.client_with("alice", |params| {
                params.is_ca = IsCa::NoCa;
                params.custom_extensions = broken();
            }),
        )
        .mended(plain, ca.client("alice")),
    ]
}
