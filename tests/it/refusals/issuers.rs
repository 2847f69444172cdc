//! Refused for its issuer: unknown, damaged, or not allowed to sign.

use rcgen::{CertificateParams, IsCa, KeyUsagePurpose};

use super::{Setup, Way, way};
use crate::support::pki::{Ca, Holder, params, self_signed};

pub(super) fn by_issuer(ca: &Ca, plain: &Setup) -> Vec<Way> {
    let other = Ca::new("other");
    let mut with_root = other.client("alice");
    with_root.chain.push(other.der.clone());
    let between = ca.intermediate("between");
    let mut with_ours = between.client("alice").alone();
    with_ours.chain.push(ca.der.clone());
    let organisation = |params: &mut CertificateParams| {
        params.distinguished_name.push(rcgen::DnType::OrganizationName, "Example");
    };
    let ours = Ca::with("root of ours", organisation);
    let of_ours = ours.intermediate_with("between", organisation);
    let remade = Ca::new("ca");
    let edwards = Ca::with_key("ca", rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap());
    let damage = |mut holder: Holder| {
        let mut bytes = holder.chain[0].to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        holder.chain[0] = bytes.into();
        holder
    };
    let damaged = damage(ca.client("alice"));
    let damaged_below = damage(ca.intermediate("between").client("alice"));
    // As openssl makes roots, which name their own key as that of their issuer.
    let names_itself = Ca::with("names itself", |params| params.use_authority_key_identifier_extension = true);
    let mut with_it = names_itself.client("alice");
    with_it.chain.push(names_itself.der.clone());
    let alone = self_signed("alice");
    let leaf = ca.client("leaf");
    let below_leaf = Ca::out_of(&leaf, params("leaf"));
    let not_a_ca = Ca::with("plain", |params| params.is_ca = IsCa::ExplicitNoCa);
    let mute = Ca::with("mute", |params| params.key_usages = vec![KeyUsagePurpose::CrlSign]);
    let mute_below = ca.intermediate_with("between", |params| params.key_usages = vec![KeyUsagePurpose::CrlSign]);
    let mut unreadable = between.client("alice");
    unreadable.chain[1] = b"\x30\x03\x02\x01\x00".to_vec().into();
    vec![
        way("self_signed", "is signed by itself", "--authorized-clients", plain, alone.clone())
            .mended(&Setup { ca: alone.pem(), ..Setup::default() }, alone),
        way(
            "unknown_issuer",
            "issued by CN=other, which is not a loaded CA",
            "add the issuing CA with --ca",
            plain,
            other.client("alice"),
        )
        .mended(&plain.ca(&other), other.client("alice")),
        way(
            "unknown_root",
            "the certificate of CN=other, which is not a loaded CA",
            "add it with --ca",
            plain,
            with_root.clone(),
        )
        .mended(&plain.ca(&other), with_root),
        way(
            "unknown_root",
            "the certificate of CN=names itself, which is not a loaded CA",
            "add it with --ca",
            plain,
            with_it.clone(),
        )
        .mended(&plain.ca(&names_itself), with_it),
        way(
            "missing_intermediate",
            "issued by CN=between",
            "have the client send the intermediate",
            plain,
            with_ours.clone(),
        )
        .mended(plain, between.client("alice")),
        way("missing_intermediate", "issued by CN=between", "--intermediates", plain, with_ours.clone())
            .mended(&plain.intermediate(&between), with_ours),
        way(
            "unknown_issuer",
            "O=Example,CN=between",
            "--intermediates",
            &Setup::of(&ours),
            of_ours.client("alice").alone(),
        )
        .mended(&Setup::of(&ours).intermediate(&of_ours), of_ours.client("alice").alone()),
        way(
            "unknown_root",
            "the certificate of CN=other, which is loaded as an intermediate, not as a trusted CA",
            "this root is loaded with --intermediates; if you trust it, load it with --ca",
            &plain.intermediate(&other),
            other.client("alice"),
        )
        .mended(&plain.ca(&other), other.client("alice")),
        way(
            "same_name_other_key",
            "not with the key of the loaded CA of that name",
            "add the old ca.pem with a second --ca",
            plain,
            remade.client("alice"),
        )
        .mended(&plain.ca(&remade), remade.client("alice")),
        // With another kind of key: it is not the algorithm that is at fault.
        way(
            "same_name_other_key",
            "not with the key of the loaded CA of that name",
            "a second --ca",
            plain,
            edwards.client("alice"),
        )
        .mended(&plain.ca(&edwards), edwards.client("alice")),
        way(
            "bad_signature",
            "names the key of CN=ca, but was not signed with it",
            "get the certificate again",
            plain,
            damaged,
        )
        .mended(plain, ca.client("alice")),
        way(
            "bad_signature",
            "names the key of CN=between, but was not signed with it",
            "get the certificate again",
            plain,
            damaged_below,
        ),
        way(
            "issuer_not_ca",
            "the certificate of CN=leaf is not marked as a CA",
            "basicConstraints CA:TRUE",
            plain,
            below_leaf.client("alice"),
        ),
        way(
            "issuer_not_ca",
            "signed by CN=plain, which is loaded, but it is not marked as a CA",
            "basicConstraints CA:TRUE",
            &Setup::of(&not_a_ca),
            not_a_ca.client("alice"),
        )
        .mended(&Setup::of(&not_a_ca.renewed_as("plain")), not_a_ca.client("alice")),
        way(
            "issuer_without_cert_sign",
            "the certificate of CN=between lacks keyCertSign",
            "keyUsage keyCertSign",
            plain,
            mute_below.client("alice"),
        ),
        way(
            "issuer_without_cert_sign",
            "signed by CN=mute, which is loaded, but its keyUsage lacks keyCertSign",
            "keyUsage keyCertSign",
            &Setup::of(&mute),
            mute.client("alice"),
        )
        .mended(&Setup::of(&mute.renewed_as("mute")), mute.client("alice")),
        way(
            "malformed",
            "certificate number 2 of the client's chain is not a readable X.509 certificate",
            "issue the certificate again",
            plain,
            unreadable,
        )
        .mended(plain, between.client("alice")),
    ]
}
