//! One table: every code, every way into it, and the way out. The judge, `check` and a server are asked; the reason and the
//! repair have to be true, so where a program can follow the repair, it is followed, and the client is let in.

use std::collections::BTreeSet;
use std::time::SystemTime;

use mtls_min::{Policy, RefusalCode, Trust, TrustBuilder, Verdict, judge};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose as Eku, GeneralSubtree, IsCa,
    KeyPair, KeyUsagePurpose, NameConstraints, SanType,
};
use rustls::pki_types::CertificateDer;

use crate::support::client::{TLS13, get};
use crate::support::command::run;
use crate::support::crl::{Crl, extension};
use crate::support::files::TempDir;
use crate::support::pki::{Ca, HOUR, Holder, SHA1, changed, elements, params, pem, private, read, self_signed, write};
use crate::support::server::start;

/// What the operator has loaded, and with which options.
#[derive(Clone, Default)]
struct Setup {
    ca: String,
    intermediates: String,
    crl: String,
    accept_v1: bool,
    crl_required: bool,
    allow: Option<&'static str>,
}

impl Setup {
    fn of(ca: &Ca) -> Self {
        Self { ca: ca.pem(), ..Self::default() }
    }

    fn ca(&self, ca: &Ca) -> Self {
        Self { ca: self.ca.clone() + &ca.pem(), ..self.clone() }
    }

    fn intermediate(&self, ca: &Ca) -> Self {
        Self { intermediates: self.intermediates.clone() + &ca.pem(), ..self.clone() }
    }

    fn crl(&self, crl: String) -> Self {
        Self { crl, ..self.clone() }
    }

    /// Writes the files; returns the options of `check`, and the builder of the same trust.
    fn write(&self, dir: &TempDir) -> (Vec<&'static str>, TrustBuilder) {
        let mut options = vec!["--ca", "ca.pem"];
        let mut builder = Trust::builder().pem_file(dir.write("ca.pem", &self.ca));
        if !self.intermediates.is_empty() {
            options.extend(["--intermediates", "between.pem"]);
            builder = builder.intermediates_file(dir.write("between.pem", &self.intermediates));
        }
        if !self.crl.is_empty() {
            options.extend(["--crl", "crl.pem"]);
            builder = builder.crl_file(dir.write("crl.pem", &self.crl));
        }
        if self.accept_v1 {
            options.push("--accept-v1");
            builder = builder.accept_v1();
        }
        if self.crl_required {
            options.push("--crl-required");
            builder = builder.require_crls();
        }
        if let Some(rule) = self.allow {
            options.extend(["--allow", rule]);
            builder = builder.policy(Policy::allowing([rule]).unwrap());
        }
        (options, builder)
    }
}

/// One way to be refused.
struct Way {
    code: &'static str,
    /// What the reason and the repair have to say.
    because: &'static str,
    repair: &'static str,
    setup: Setup,
    holder: Holder,
    /// What the repair comes to: then the client is let in.
    mended: Option<(Setup, Holder)>,
}

fn way(code: &'static str, because: &'static str, repair: &'static str, setup: &Setup, holder: Holder) -> Way {
    Way { code, because, repair, setup: setup.clone(), holder, mended: None }
}

impl Way {
    fn mended(self, setup: &Setup, holder: Holder) -> Self {
        Self { mended: Some((setup.clone(), holder)), ..self }
    }
}

#[test]
fn every_way_to_be_refused_has_its_true_code_reason_and_repair() {
    let mut covered = BTreeSet::new();
    for Way { code, because, repair, setup, holder, mended } in ways() {
        let (found, reason, advice) = asked(&setup, &holder);
        assert_eq!(found, code, "{because}: {reason}");
        assert!(reason.contains(because), "{code}: {reason:?} does not say {because:?}");
        assert!(advice.contains(repair), "{code}: {advice:?} does not say {repair:?}");
        if let Some((setup, holder)) = mended {
            let (found, reason, _) = asked(&setup, &holder);
            assert_eq!(found, "", "{code}, repaired: {reason}");
        }
        covered.insert(code);
    }
    for code in RefusalCode::ALL {
        assert!(covered.contains(code.as_str()), "{code} is not in the table");
    }
}

/// The code, the reason and the repair by the judge, by `check` and by a server, which have to be the same.
fn asked(setup: &Setup, holder: &Holder) -> (String, String, String) {
    let dir = TempDir::new();
    let (options, builder) = setup.write(&dir);
    let trust = builder.build().unwrap();
    let (code, reason, repair) = match judge(&holder.chain, &trust, SystemTime::now()).verdict {
        Verdict::Refused(refusal) => {
            (refusal.code().to_string(), refusal.detail().to_owned(), refusal.repair().to_owned())
        }
        Verdict::Authorised(_) if setup.allow.is_some_and(|rule| rule != "cn:alice") => {
            (RefusalCode::NotAllowed.to_string(), "cn:bob".to_owned(), RefusalCode::NotAllowed.repair().to_owned())
        }
        Verdict::Authorised(_) => Default::default(),
    };
    // A client without a certificate has nothing that could be checked offline.
    if !holder.chain.is_empty() {
        dir.write("client.pem", holder.pem());
        let check = run(dir.path(), &[&options[..], &["check", "--json", "client.pem"]].concat());
        let said = String::from_utf8(check.stdout).unwrap();
        assert_eq!(check.status.code(), Some(i32::from(!code.is_empty())), "{code} {reason}: {said}");
        if !code.is_empty() {
            assert!(said.starts_with(&format!("{{\"decision\":\"refused\",\"code\":\"{code}\",")), "{code}: {said}");
            let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            assert!(said.contains(&quoted(&repair)), "{code}: {said} lacks {repair}");
            // What time it is differs by the second.
            let reason = reason.split(", and it is ").next().unwrap();
            assert!(said.contains(&quoted(reason)), "{code}: {said} lacks {reason}");
        }
    }
    let sends_nothing = holder.chain.is_empty();
    let running = start(trust);
    let status = get(running.addr, (!sends_nothing).then_some(holder), &TLS13).map(|reply| reply.status);
    match code.as_str() {
        "" => assert_eq!(status.unwrap(), 200),
        "not_allowed" => assert_eq!(status.unwrap(), 403),
        // A key that cannot be checked, and a chain that is not read, prove nothing: the handshake fails.
        "weak_key" | "unsupported_key" | "chain_too_long" if status.is_err() => {}
        code => {
            assert_eq!(status.unwrap(), 401, "{code}");
            assert_eq!(running.seen.codes(1), [code]);
        }
    }
    (code, reason, repair)
}

fn ways() -> Vec<Way> {
    let ca = Ca::new("ca");
    let plain = Setup::of(&ca);
    [
        by_dates(&ca, &plain),
        by_issuer(&ca, &plain),
        by_marks(&ca, &plain),
        by_key(&ca, &plain),
        by_names(),
        by_lists(&ca, &plain),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn by_dates(ca: &Ca, plain: &Setup) -> Vec<Way> {
    let past = |params: &mut CertificateParams| params.not_after = (SystemTime::now() - HOUR / 2).into();
    let future = |params: &mut CertificateParams| params.not_before = (SystemTime::now() + HOUR).into();
    let nobody = Holder { chain: Vec::new(), key: private(&KeyPair::generate().unwrap()) };
    let (old, new) = (ca.intermediate_with("between", past), ca.intermediate("between"));
    let early = ca.intermediate_with("between", future);
    vec![
        way("no_certificate", "sent no certificate", "have the client send its certificate", plain, nobody)
            .mended(plain, ca.client("alice")),
        way(
            "expired",
            "the client's certificate: valid until",
            "issue a new certificate",
            plain,
            ca.client_with("alice", past),
        )
        .mended(plain, ca.client("alice")),
        way(
            "expired",
            "the certificate of CN=between: valid until",
            "issue a new certificate",
            plain,
            old.client("alice"),
        )
        .mended(plain, new.client("alice")),
        way(
            "expired",
            "the certificate of CN=between: valid until",
            "issue a new certificate",
            &plain.intermediate(&old),
            old.client("alice").alone(),
        ),
        way("not_yet_valid", "the client's certificate: valid from", "clock", plain, ca.client_with("alice", future)),
        way("not_yet_valid", "the certificate of CN=between: valid from", "clock", plain, early.client("alice")),
    ]
}

fn by_issuer(ca: &Ca, plain: &Setup) -> Vec<Way> {
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
    let edwards = ca.with_key_of(&rcgen::PKCS_ED25519);
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
            "missing_intermediate",
            "O=Example,CN=between",
            "--intermediates",
            &Setup::of(&ours),
            of_ours.client("alice").alone(),
        )
        .mended(&Setup::of(&ours).intermediate(&of_ours), of_ours.client("alice").alone()),
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
            "names the key of CN=ca, whose signature it does not bear",
            "get the certificate again",
            plain,
            damaged,
        )
        .mended(plain, ca.client("alice")),
        way(
            "bad_signature",
            "names the key of CN=between, whose signature it does not bear",
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
            "signed by CN=plain, which --ca loads, but it is not marked as a CA",
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
            "signed by CN=mute, which --ca loads, but its keyUsage lacks keyCertSign",
            "keyUsage keyCertSign",
            &Setup::of(&mute),
            mute.client("alice"),
        )
        .mended(&Setup::of(&mute.renewed_as("mute")), mute.client("alice")),
        way(
            "malformed",
            "certificate 2 of those that the client sent is not a readable X.509 certificate",
            "issue the certificate anew",
            plain,
            unreadable,
        )
        .mended(plain, between.client("alice")),
    ]
}

fn by_marks(ca: &Ca, plain: &Setup) -> Vec<Way> {
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
            "issue from the CA itself",
            &Setup::of(&flat_root),
            flat_root.intermediate("below").client("alice"),
        )
        .mended(&Setup::of(&flat_root), flat_root.client("alice")),
        way("chain_too_long", "more than 6 intermediates", "at most six intermediates", plain, deep.client("alice")),
        way("chain_too_long", "the client sent 12 certificates", "send only those", plain, many)
            .mended(plain, ca.client("alice")),
        way("chain_too_long", "octets, and at most 65535 are read", "without what makes it so large", plain, large),
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
            "CN=limited, which issued it, may vouch for certain names only",
            "issue the certificate with extensions",
            &accepting_limited,
            limited.client_v1("alice"),
        )
        .mended(&accepting_limited, limited.client("alice")),
        way(
            "x509_v1",
            "CN=between, which issued it, is not a CA of --ca",
            "issue the certificate with extensions",
            &accepting,
            between.client_v1("alice"),
        )
        .mended(&accepting, between.client("alice")),
        way(
            "x509_v1",
            "the certificate of CN=between is of version 1",
            "issue the intermediate anew",
            plain,
            ca.intermediate_v1("between").client("alice"),
        ),
        way(
            "unsupported_extension",
            "the client's certificate has the critical extension 2.5.29.18 (issuerAltName)",
            "without the unknown critical extension",
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
            "the client's certificate: a CA above it asks for a certificate policy",
            "that each CA above it names too",
            plain,
            asking.client("alice"),
        )
        .mended(plain, asking.client_with("alice", |params| params.custom_extensions = vec![policies()])),
        way(
            "malformed",
            "a broken extension 2.5.29.19",
            "issue the certificate anew",
            plain,
            ca.client_with("alice", |params| {
                params.is_ca = IsCa::NoCa;
                params.custom_extensions = broken();
            }),
        )
        .mended(plain, ca.client("alice")),
    ]
}

fn by_key(ca: &Ca, plain: &Setup) -> Vec<Way> {
    let rsa = |bits: usize| {
        let modulus = [&[0, 0xc1][..], &vec![0xc1; bits / 8 - 1]].concat();
        write(3, &[&[0], &write(0x30, &[write(2, &modulus), write(2, &[1, 0, 1])].concat())[..]].concat())
    };
    const RSA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1];
    let rsa_id = write(0x30, &[write(6, &RSA), write(5, &[])].concat());
    let without_null = [write(0x30, &write(6, &RSA)), rsa(2048)].concat();
    let short = [rsa_id.clone(), rsa(1024)].concat();
    let huge = [rsa_id, rsa(8200)].concat();
    let for_pss = [write(0x30, &write(6, &[&RSA[..8], &[10]].concat())), rsa(2048)].concat();
    let ed448 = [write(0x30, &write(6, &[0x2b, 0x65, 0x71])), write(3, &[0; 58])].concat();
    // A CA with a short key, and what it seems to have signed: sha256WithRSAEncryption.
    let sha256_rsa = [write(6, &[&RSA[..8], &[11]].concat()), write(5, &[])].concat();
    let weak_ca = with_key(ca, &short);
    let by_weak_ca = changed(ca, None, Some(&sha256_rsa));
    // RSA-PSS with SHA-256 and a salt of 20 octets, beside an RSA key of good size.
    let sha256 = write(0x30, &[write(6, &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1]), write(5, &[])].concat());
    let mgf = write(0x30, &[write(6, &[&RSA[..8], &[8]].concat()), sha256.clone()].concat());
    let parameters = [write(0xa0, &sha256), write(0xa1, &mgf), write(0xa2, &write(2, &[20]))].concat();
    let pss = [write(6, &[&RSA[..8], &[10]].concat()), write(0x30, &parameters)].concat();
    let rsa_ca = with_key(ca, &[write(0x30, &[write(6, &RSA), write(5, &[])].concat()), rsa(2048)].concat());
    let loaded = |der: &CertificateDer<'_>| Setup { ca: pem(der), ..Setup::default() };
    vec![
        way(
            "weak_key",
            "the client's key is RSA 1024",
            "EC P-256, or RSA of 2048 bits",
            plain,
            changed(ca, Some(&short), None),
        )
        .mended(plain, ca.client("alice")),
        way(
            "weak_key",
            "was signed with a key of the certificate of CN=ca: RSA 1024",
            "make the CA anew",
            &loaded(&weak_ca),
            by_weak_ca,
        )
        .mended(plain, ca.client("alice")),
        way("unsupported_key", "the client's key is Ed448", "a supported kind", plain, changed(ca, Some(&ed448), None)),
        way(
            "unsupported_key",
            "the client's key is RSA 8200",
            "2048 to 8192 bits",
            plain,
            changed(ca, Some(&huge), None),
        ),
        // RFC 3279, section 2.3.1; RFC 4055, section 1.2.
        way(
            "unsupported_key",
            "RSA without the NULL",
            "a supported kind",
            plain,
            changed(ca, Some(&without_null), None),
        ),
        way("unsupported_key", "RSA for PSS only", "a supported kind", plain, changed(ca, Some(&for_pss), None)),
        way("unsupported_signature", "not accepted: SHA-1 with ECDSA", "SHA-256", plain, changed(ca, None, Some(SHA1)))
            .mended(plain, ca.client("alice")),
        way(
            "unsupported_signature",
            "RSA-PSS with SHA-256, a mask by SHA-256 and a salt of 20 octets",
            "a salt as long as the hash",
            &loaded(&rsa_ca),
            changed(ca, None, Some(&pss)),
        ),
    ]
}

/// The certificate of a CA with another key in it; its own signature is nobody's business.
fn with_key(ca: &Ca, key: &[u8]) -> CertificateDer<'static> {
    let signed = read(read(&ca.der).content);
    let algorithm = read(signed.rest);
    // version, serial, algorithm, issuer, validity, subject, key, …
    let parts = elements(signed.content).enumerate();
    let parts = parts.flat_map(|(at, part)| write(part.tag, if at == 6 { key } else { part.content }));
    ca.signed(&write(0x30, &parts.collect::<Vec<_>>()), algorithm.content)
}

fn by_names() -> Vec<Way> {
    let limits = |permitted: GeneralSubtree| {
        move |params: &mut CertificateParams| {
            params.name_constraints =
                Some(NameConstraints { permitted_subtrees: vec![permitted.clone()], excluded_subtrees: Vec::new() });
        }
    };
    let hosts = Ca::with("ca", limits(GeneralSubtree::DnsName("good.test".to_owned())));
    let root = Ca::new("root");
    let between = root.intermediate_with("between", limits(GeneralSubtree::Rfc822Name("good.test".to_owned())));
    let dns = |name: &str| {
        let name = SanType::DnsName(name.try_into().unwrap());
        move |params: &mut CertificateParams| params.subject_alt_names = vec![name.clone()]
    };
    let email = |name: &str| {
        let name = SanType::Rfc822Name(name.try_into().unwrap());
        move |params: &mut CertificateParams| params.subject_alt_names = vec![name.clone()]
    };
    vec![
        way(
            "name_constraint",
            "below the name constraints of the certificate of CN=ca: the DNS name evil.test",
            "names that its CA may vouch for",
            &Setup::of(&hosts),
            hosts.client_with("alice", dns("evil.test")),
        )
        .mended(&Setup::of(&hosts), hosts.client_with("alice", dns("a.good.test"))),
        way(
            "name_constraint",
            "the certificate of CN=between: the e-mail address a@evil.test",
            "names that its CA may vouch for",
            &Setup::of(&root),
            between.client_with("alice", email("a@evil.test")),
        )
        .mended(&Setup::of(&root), between.client_with("alice", email("a@good.test"))),
    ]
}

fn by_lists(ca: &Ca, plain: &Setup) -> Vec<Way> {
    let alice = ca.client("alice");
    let revoking = plain.crl(Crl::number(1).revoking(&alice).pem(ca));
    let between = ca.intermediate("between");
    let fired = Holder { chain: vec![between.der.clone()], ..between.client("x") };
    let revoking_between = plain.crl(Crl::number(1).revoking(&fired).pem(ca));
    let stale = Crl { next_update: Some(SystemTime::now() - HOUR / 2), ..Crl::number(1) };
    let early = Crl { this_update: SystemTime::now() + HOUR, ..Crl::number(1) };
    // issuingDistributionPoint with onlyContainsCACerts
    let scope = extension(&[0x55, 0x1d, 0x1c], true, &[0x30, 3, 0x82, 1, 0xff]);
    let of_authorities = Crl { extensions: vec![scope], ..Crl::number(1) };
    let required = Setup { crl_required: true, ..plain.clone() };
    vec![
        way("revoked", "was revoked on", "issue the client a new certificate", &revoking, alice.clone())
            .mended(&revoking, ca.client("alice")),
        way("revoked", "CN=between", "issued by another CA", &revoking_between, between.client("alice"))
            .mended(&revoking_between, ca.client("alice")),
        way(
            "revoked",
            "the CA CN=between",
            "issued by another CA",
            &revoking_between.ca(&between),
            between.client("alice").alone(),
        )
        .mended(&revoking_between.ca(&between), ca.client("alice")),
        way(
            "crl_missing",
            "there is no revocation list of CN=ca, which issued",
            "load the CA's revocation list with --crl",
            &required,
            alice.clone(),
        )
        .mended(&required.crl(Crl::number(1).pem(ca)), alice.clone()),
        way(
            "crl_missing",
            "there is no revocation list of CN=between, which issued CN=alice",
            "--crl",
            &required.crl(Crl::number(1).pem(ca)),
            between.client("alice"),
        )
        .mended(
            &required.intermediate(&between).crl(Crl::number(1).pem(ca) + &Crl::number(1).pem(&between)),
            between.client("alice"),
        ),
        way(
            "crl_missing",
            "list number 1 of CN=ca (of CAs) is not",
            "load the list that is for it too",
            &required.crl(of_authorities.pem(ca)),
            alice.clone(),
        )
        .mended(&required.crl(of_authorities.pem(ca) + &Crl::number(1).pem(ca)), alice.clone()),
        way(
            "crl_not_yet_valid",
            "the revocation list of CN=ca, number 1, is from the future: it was issued on 20",
            "set the clock",
            &plain.crl(early.pem(ca)),
            alice.clone(),
        )
        .mended(&plain.crl(Crl::number(1).pem(ca)), alice.clone()),
        way(
            "crl_expired",
            "was due on",
            "have the CA sign its revocation list anew",
            &plain.crl(stale.pem(ca)),
            alice.clone(),
        )
        .mended(&plain.crl(Crl::number(2).pem(ca)), alice.clone()),
        way(
            "not_allowed",
            "cn:bob",
            "add a rule that means this client",
            &Setup { allow: Some("cn:bob"), ..plain.clone() },
            alice.clone(),
        )
        .mended(&Setup { allow: Some("cn:alice"), ..plain.clone() }, alice),
    ]
}
