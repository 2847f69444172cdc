//! Rows T1, T2, T4 and T6b to T8 of the immunity matrix: who is let in, over real sockets, TLS 1.2 and 1.3.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use mtls_min::{Trust, TrustKind};
use rcgen::SanType;

use crate::support::admission::{admitted, refused};
use crate::support::client::{GET, TLS12, TLS13, VERSIONS, config, connect, eventually, exchange, get};
use crate::support::pki::{self, CN, Ca, HOUR, Holder, O, OU, self_signed};
use crate::support::server::{start, trust};

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
    // Also where possession is proven with the raw key: a certificate of version 1.
    for victim in [ca.client("alice"), ca.client_v1("alice")] {
        for version in VERSIONS {
            assert!(get(running.addr, Some(&stolen(victim.chain.clone())), version).is_err(), "{version:?}");
        }
    }
    assert_eq!(running.calls(), 0);
    assert_eq!(running.seen.codes(0), [""; 0], "there was no request");
    eventually(|| running.seen.events().iter().filter(|event| event.contains("HandshakeFailed")).count() == 4);
}

/// Records the names of issuers that the server asks for.
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

/// A browser offers its user only certificates of these issuers.
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
    // 100,000 requests in all, most of them on kept connections.
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
    // The old one alone has expired.
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
