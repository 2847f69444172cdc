//! Rows T1 to T8 and T13 of the immunity matrix: who is let in, over real sockets, TLS 1.2 and 1.3.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use mtls_min::{Request, Response, Trust, TrustKind};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose as Eku, GeneralSubtree, IsCa,
    KeyPair, KeyUsagePurpose, NameConstraints, SanType, SerialNumber,
};
use rustls::pki_types::CertificateDer;

use crate::support::client::{GET, TLS12, TLS13, VERSIONS, config, connect, eventually, exchange, get};
use crate::support::pki::{self, CN, Ca, HOUR, Holder, O, OU, self_signed};
use crate::support::server::{start, start_with, trust};

/// Connects with each TLS version; the client is refused with 401 and this code, and the handler is not called.
#[track_caller]
fn refused(trusted: Trust, holder: &Holder, code: &str) {
    let running = start(trusted);
    for version in VERSIONS {
        let reply = get(running.addr, Some(holder), version).unwrap();
        assert_eq!((reply.status, reply.body.as_str()), (401, "User is not authorized\n"), "{version:?}");
    }
    assert_eq!(running.seen.codes(2), [code, code]);
    assert_eq!(running.calls(), 0);
}

#[track_caller]
fn admitted(trusted: Trust, holder: &Holder, subject: &str) {
    let running = start(trusted);
    for version in VERSIONS {
        let reply = get(running.addr, Some(holder), version).unwrap();
        assert_eq!((reply.status, reply.body), (200, format!("hello {subject}\n")), "{version:?}");
    }
    assert_eq!(running.calls(), 2);
}

#[test]
fn a_valid_certificate_gets_the_page_and_the_handler_its_subject() {
    let ca = Ca::new("ca");
    admitted(trust(&ca), &ca.client("alice"), "CN=alice");
}

#[test]
fn a_certificate_below_intermediates_is_valid_if_they_are_sent() {
    let ca = Ca::new("ca");
    let lowest = ca.intermediate("one").intermediate("two");
    admitted(trust(&ca), &lowest.client("alice"), "CN=alice");
}

#[test]
fn no_certificate_gets_401() {
    let running = start(trust(&Ca::new("ca")));
    for version in VERSIONS {
        assert_eq!(get(running.addr, None, version).unwrap().status, 401);
    }
    assert_eq!(running.seen.codes(2), ["no_certificate", "no_certificate"]);
    assert_eq!(running.calls(), 0);
}

#[test]
fn t1_a_stolen_public_certificate_fails_the_handshake() {
    let ca = Ca::new("ca");
    let stolen = |chain| Holder { chain, key: pki::private(&pki::key()) };
    let running = start(trust(&ca));
    // Also where the possession is proven by the bare key: a certificate of version 1.
    for victim in [ca.client("alice"), ca.client_v1("alice")] {
        for version in VERSIONS {
            assert!(get(running.addr, Some(&stolen(victim.chain.clone())), version).is_err(), "{version:?}");
        }
    }
    assert_eq!(running.calls(), 0);
    assert_eq!(running.seen.codes(0), [""; 0], "there was no request");
    eventually(|| running.seen.events().iter().filter(|event| event.contains("HandshakeFailed")).count() == 4);
}

/// Takes down the names of issuers that the server asks for.
#[derive(Debug, Default)]
struct Asked(std::sync::Mutex<Vec<Vec<u8>>>);

impl rustls::client::ResolvesClientCert for Asked {
    fn resolve(
        &self,
        names: &[&[u8]],
        _: &[rustls::SignatureScheme],
    ) -> Option<std::sync::Arc<rustls::sign::CertifiedKey>> {
        *self.0.lock().unwrap() = names.iter().map(|name| name.to_vec()).collect();
        None
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// A browser offers its user no other certificates.
#[test]
fn a_client_is_told_whose_certificates_it_may_show() {
    let (ca, other) = (Ca::new("ca"), Ca::new("other"));
    let dir = crate::support::files::TempDir::new();
    dir.write("laptop.pem", self_signed("laptop").pem());
    let pinned = ca.pem() + &other.client("pinned").alone().pem();
    let running = start(Trust::builder().pem(pinned, "CA and pin").authorized_clients(dir.path()).build().unwrap());
    let names = |expected: &[&str]| {
        for version in VERSIONS {
            let asked = std::sync::Arc::new(Asked::default());
            let mut config = config(None, version);
            config.client_auth_cert_resolver = std::sync::Arc::clone(&asked) as _;
            assert_eq!(exchange(&mut connect(running.addr, config), GET).unwrap().status, 401);
            let names = expected.iter().map(|name| pki::name(&[&[(CN, 12, name.as_bytes())]]));
            assert_eq!(*asked.0.lock().unwrap(), names.collect::<Vec<_>>(), "{version:?}");
        }
    };
    names(&["ca", "other", "laptop"]);
    running.trust.replace(trust(&other)).unwrap();
    names(&["other"]);
}

#[test]
fn t2_the_verdict_always_fits_the_client() {
    const THREADS: usize = 64;
    // In all 100,000 requests; most of them on kept connections.
    const CONNECTIONS: usize = 6;
    const REQUESTS: usize = 300;
    let ca = Ca::new("ca");
    let other = Ca::new("other");
    let running = start(trust(&ca));
    let wrong = AtomicUsize::new(0);
    let asked = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for number in 0..THREADS {
            let name = format!("client{number}");
            let good = (number % 3 == 0).then(|| ca.client(&name));
            let bad = (number % 3 == 1).then(|| other.client(&name));
            let (running, wrong, asked) = (&running, &wrong, &asked);
            scope.spawn(move || {
                for _ in 0..CONNECTIONS {
                    let version = if number % 2 == 0 { &TLS12 } else { &TLS13 };
                    let mut stream = connect(running.addr, config(good.as_ref().or(bad.as_ref()), version));
                    for _ in 0..if good.is_some() { REQUESTS * 3 } else { 1 } {
                        let reply = exchange(&mut stream, GET).unwrap();
                        let right = match good {
                            Some(_) => reply.status == 200 && reply.body == format!("hello CN={name}\n"),
                            None => reply.status == 401,
                        };
                        wrong.fetch_add(usize::from(!right), Ordering::Relaxed);
                        asked.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert!(asked.into_inner() >= 100_000);
    assert_eq!(wrong.into_inner(), 0);
}

#[test]
fn t4_the_identity_is_that_of_the_certificate_that_was_verified() {
    let ca = Ca::new("ca");
    let mallory = ca.client("mallory");
    for other in [ca.client("alice").chain[0].clone(), ca.der.clone()] {
        let mut holder = mallory.clone();
        holder.chain.push(other);
        admitted(trust(&ca), &holder, "CN=mallory");
    }
}

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
fn t6b_a_leaf_in_the_ca_file_is_let_in_and_never_vouches() {
    let ca = Ca::new("ca");
    let pinned = ca.client("pinned");
    let trusted = || Trust::builder().pem(pinned.alone().pem(), "pins").build().unwrap();
    assert_eq!(trusted().entries()[0].kind(), TrustKind::PinnedClient);
    admitted(trusted(), &pinned, "CN=pinned");
    // By its own signature …
    let issued = Ca::out_of(&pinned, pki::params("pinned")).client("mallory");
    let running = start(trusted());
    assert_eq!(get(running.addr, Some(&issued), &TLS13).unwrap().status, 401);
    // … or by that of the CA that signed it.
    assert_eq!(get(running.addr, Some(&ca.client("bob")), &TLS13).unwrap().status, 401);
    assert_eq!(running.calls(), 0);

    let alone = self_signed("self");
    admitted(Trust::builder().pem(alone.pem(), "pins").build().unwrap(), &alone, "CN=self");
}

#[test]
fn t6b_a_version_1_certificate_is_a_ca_only_if_it_signed_itself() {
    let ca = Ca::new("ca");
    let root = ca.as_version_1(&ca.der);
    let of_root = Trust::builder().pem(pki::pem(&root), "root").build().unwrap();
    assert_eq!(of_root.entries()[0].kind(), TrustKind::Ca, "a root of the old kind");
    admitted(of_root, &ca.client("alice"), "CN=alice");
    let leaf = ca.client_v1("pinned");
    let trusted = Trust::builder().pem(leaf.alone().pem(), "pins").build().unwrap();
    assert_eq!(trusted.entries()[0].kind(), TrustKind::PinnedClient);
    refused(trusted, &Ca::out_of(&leaf, pki::params("pinned")).client("mallory").alone(), "issuer_not_ca");
}

#[test]
fn t6b_a_pinned_certificate_is_still_held_to_its_dates() {
    let past = pki::self_signed_with("late", |params| params.not_after = (SystemTime::now() - HOUR / 2).into());
    refused(Trust::builder().pem(past.pem(), "pins").build().unwrap(), &past, "expired");
}

#[test]
fn t6b_an_expired_ca_is_an_error_that_names_it() {
    let ca = Ca::with("bygone", |params| params.not_after = (SystemTime::now() - HOUR / 2).into());
    let error = Trust::builder().pem(ca.pem(), "the file").build().unwrap_err().to_string();
    assert!(error.contains("the file, line 1") && error.contains("CN=bygone") && error.contains("expired"), "{error}");
}

#[test]
fn a_renewed_ca_takes_over_when_the_old_one_expires() {
    let now = SystemTime::now();
    let old = Ca::with("ca", |params| params.not_after = (now + Duration::from_secs(60)).into());
    let renewed = old.renewed_as("ca");
    let holder = old.client("alice");
    for pem in [old.pem() + &renewed.pem(), renewed.pem() + &old.pem()] {
        let trusted = Trust::builder().pem(pem, "both").build().unwrap();
        for later in [0, 120] {
            let judged = mtls_min::judge(&holder.chain, &trusted, now + Duration::from_secs(later));
            assert!(matches!(judged.verdict, mtls_min::Verdict::Authorised(_)), "after {later} s");
        }
    }
    // Alone, the old one is over.
    let judged = mtls_min::judge(&holder.chain, &trust(&old), now + Duration::from_secs(120));
    let mtls_min::Verdict::Refused(refusal) = judged.verdict else { panic!("an expired CA vouched") };
    assert_eq!(refusal.code().as_str(), "expired");
}

#[test]
fn t7_names_of_one_type_are_never_taken_for_another() {
    let ca = Ca::new("ca");
    let holder = ca.client_with("dns.test", |params| {
        params.subject_alt_names = vec![
            SanType::URI("spiffe://x/uri".try_into().unwrap()),
            SanType::Rfc822Name("mail@x.test".try_into().unwrap()),
            SanType::DnsName("*.x.test".try_into().unwrap()),
            SanType::IpAddress("192.0.2.7".parse().unwrap()),
        ];
    });
    let identity = mtls_min::Identity::from_der(&holder.chain[0]).unwrap();
    assert_eq!(identity.dns_names(), ["*.x.test"], "a wildcard is a literal, the common name is none of them");
    assert_eq!(identity.emails(), ["mail@x.test"]);
    assert_eq!(identity.uris(), ["spiffe://x/uri"]);
    assert_eq!(identity.ip_addresses(), ["192.0.2.7".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(identity.common_name(), Some("dns.test"));
}

#[test]
fn t8_names_are_values_not_text_to_be_split() {
    const UTF8: u8 = 12;
    let ca = Ca::new("ca");
    let named = |name: &[u8]| {
        let holder = ca.with_subject(&ca.client("x"), name);
        mtls_min::Identity::from_der(&holder.chain[0]).unwrap()
    };
    let injected = named(&pki::name(&[&[(O, UTF8, b"x,CN=admin")], &[(CN, UTF8, b"mallory")]]));
    assert_eq!(injected.common_name(), Some("mallory"));
    assert_eq!(injected.attributes().len(), 2);
    assert_eq!(injected.subject(), r"CN=mallory,O=x\,CN\=admin");

    for odd in [&b"ad\nmin"[..], b"admin\0", b"/CN=admin", b"admin\r\nX: y"] {
        let identity = named(&pki::name(&[&[(CN, UTF8, odd)]]));
        assert_eq!(identity.common_name().unwrap().as_bytes(), odd, "just as it stands");
        assert!(!identity.subject().contains(['\n', '\r', '\0']), "but shown without harm");
    }
    let two = named(&pki::name(&[&[(CN, UTF8, b"admin")], &[(CN, UTF8, b"mallory")]]));
    assert_eq!(two.common_name(), None, "there is no telling which is meant");
    let multi = named(&pki::name(&[&[(CN, UTF8, b"admin"), (OU, UTF8, b"x")]]));
    assert_eq!((multi.common_name(), multi.subject()), (Some("admin"), "CN=admin+OU=x"));
}

#[test]
fn t8_every_kind_of_string_is_decoded() {
    let ca = Ca::new("ca");
    for (tag, bytes) in
        [(12, "Zoë".as_bytes()), (20, b"Zo\xeb"), (28, b"\0\0\0Z\0\0\0o\0\0\0\xeb"), (30, b"\0Z\0o\0\xeb")]
    {
        let holder = ca.with_subject(&ca.client("x"), &pki::name(&[&[(CN, tag, bytes)]]));
        assert_eq!(mtls_min::Identity::from_der(&holder.chain[0]).unwrap().common_name(), Some("Zoë"), "tag {tag}");
    }
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
    // Alone, nothing tells that "below" is below "ca" …
    refused(trust(&ca), &below.alone(), "unknown_issuer");
    // … unless they share their organisation.
    let of_acme = |params: &mut CertificateParams| params.distinguished_name.push(DnType::OrganizationName, "ACME");
    let acme = Ca::with("acme root", of_acme);
    let holder = acme.intermediate_with("acme issuing", of_acme).client("alice");
    refused(trust(&acme), &holder.alone(), "missing_intermediate");
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
    // Version 3 is judged as ever.
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
    // 60 kB in one certificate more.
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
fn a_verdict_changes_when_a_date_passes_on_an_open_connection() {
    let ca = Ca::new("ca");
    let start_of_test = SystemTime::now();
    let clock = std::sync::Arc::new(AtomicUsize::new(0));
    let told = std::sync::Arc::clone(&clock);
    let now = move || start_of_test + Duration::from_secs(told.load(Ordering::SeqCst) as u64);
    let short = |params: &mut CertificateParams| params.not_after = (start_of_test + Duration::from_secs(100)).into();
    let (bygone, pinned) = (Ca::with("bygone", short), pki::self_signed_with("pinned", short));
    let trusted = Trust::builder().pem(ca.pem() + &bygone.pem(), "CAs").pem(pinned.pem(), "pins").build().unwrap();
    let holders = [
        ca.client_with("alice", short),
        ca.intermediate_with("short", short).client("alice"),
        bygone.client("alice"),
        pinned,
    ];
    let running = start_with(
        trusted,
        |builder| builder.clock(now),
        |request: &mut Request<'_>| Response::new(request.peer().subject().to_owned().into()),
    );
    for (version, holder) in
        VERSIONS.into_iter().flat_map(|version| holders.iter().map(move |holder| (version, holder)))
    {
        clock.store(0, Ordering::SeqCst);
        let mut stream = connect(running.addr, config(Some(holder), version));
        for (seconds, status) in [(0, 200), (99, 200), (102, 401)] {
            clock.store(seconds, Ordering::SeqCst);
            assert_eq!(exchange(&mut stream, GET).unwrap().status, status, "after {seconds} seconds");
        }
    }
}

/// RFC 5280, section 4.1.2.5: before notBefore it is not valid, and neither is it on a connection that is open already.
#[test]
fn a_clock_that_is_set_back_counts_on_an_open_connection() {
    let ca = Ca::new("ca");
    let start_of_test = SystemTime::now();
    let back = std::sync::Arc::new(AtomicUsize::new(0));
    let told = std::sync::Arc::clone(&back);
    let running = start_with(
        trust(&ca),
        |builder| builder.clock(move || start_of_test - HOUR / 4 * told.load(Ordering::SeqCst) as u32),
        |_: &mut Request<'_>| Response::default(),
    );
    let alice = ca.client_with("alice", |params| params.not_before = (start_of_test - HOUR / 2).into());
    let mut stream = connect(running.addr, config(Some(&alice), &TLS13));
    for (quarters, status) in [(0, 200), (1, 200), (3, 401)] {
        back.store(quarters, Ordering::SeqCst);
        assert_eq!(exchange(&mut stream, GET).unwrap().status, status, "{quarters} quarters of an hour back");
    }
}

/// A connection that is never closed is judged once; its client has to be told of every day all the same.
#[test]
fn a_client_that_stays_connected_is_told_of_once_a_day_when_it_expires_soon() {
    const DAY: u64 = 24 * 60 * 60;
    let ca = Ca::new("ca");
    // The first day begins an hour after midnight, so that none of the times below is near another day.
    let today = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() / DAY;
    let start_of_test = SystemTime::UNIX_EPOCH + Duration::from_secs((today + 1) * DAY) + HOUR;
    let clock = std::sync::Arc::new(AtomicUsize::new(0));
    let told = std::sync::Arc::clone(&clock);
    let running = start_with(
        trust(&ca),
        |builder| builder.clock(move || start_of_test + HOUR * told.load(Ordering::SeqCst) as u32),
        |_: &mut Request<'_>| Response::default(),
    );
    let alice = ca.client_with("alice", |params| params.not_after = (start_of_test + 24 * HOUR * 15).into());
    let mut stream = connect(running.addr, config(Some(&alice), &TLS13));
    let expires = |event: &String| event.contains("ClientExpires");
    for (hours, times) in [(0, 0), (2, 0), (24, 0), (30, 1), (40, 1), (48, 2), (60, 2)] {
        clock.store(hours, Ordering::SeqCst);
        assert_eq!(exchange(&mut stream, GET).unwrap().status, 200);
        assert_eq!(running.seen.events().iter().filter(|event| expires(event)).count(), times, "after {hours} hours");
    }
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
