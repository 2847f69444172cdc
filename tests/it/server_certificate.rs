//! The server's own certificate: what the start and each reload report about it.

use mtls_min::ServerCertificate;
use rcgen::{ExtendedKeyUsagePurpose as Eku, SanType};

use crate::support::client::eventually;
use crate::support::command::{Serving, binary};
use crate::support::pem_site::{Site, lines, sent, site};
use crate::support::pki::{Ca, Holder, key, params, pem};

/// RFC 5280, section 4.2.1.12; RFC 9525, section 2. None of it is a reason not to serve.
#[test]
fn why_clients_may_refuse_the_servers_certificate_is_told() {
    let ca = Ca::new("ca");
    let host = || vec![SanType::DnsName("localhost".try_into().unwrap())];
    let usage = |purposes: &[Eku]| purposes.to_vec();
    let server = |purposes: Vec<Eku>, names: Vec<SanType>| {
        let mut params = params("localhost");
        params.extended_key_usages = purposes;
        params.subject_alt_names = names;
        ca.sign(&params, &key())
    };
    let mail = || vec![SanType::Rfc822Name("ops@a.test".try_into().unwrap())];
    let uri = || vec![SanType::URI("spiffe://a.test/server".try_into().unwrap())];
    let address = || vec![SanType::IpAddress([127, 0, 0, 1].into())];
    for (purposes, names, expected) in [
        (usage(&[Eku::ServerAuth]), host(), &[][..]),
        (usage(&[Eku::ServerAuth, Eku::ClientAuth]), address(), &[]),
        (usage(&[Eku::Any]), uri(), &[]),
        (usage(&[]), host(), &[]),
        (usage(&[Eku::ClientAuth]), host(), &["lacks serverAuth"]),
        (usage(&[Eku::ServerAuth]), Vec::new(), &["no DNS name"]),
        (usage(&[Eku::ServerAuth]), mail(), &["no DNS name"]),
        (usage(&[Eku::EmailProtection]), Vec::new(), &["lacks serverAuth", "no DNS name"]),
    ] {
        let holder = server(purposes, names);
        let made = ServerCertificate::from_pem(holder.pem().as_bytes(), holder.key_pem().as_bytes()).unwrap();
        let said = made.warnings();
        assert_eq!(said.len(), expected.len(), "{said:?}");
        assert!(said.iter().zip(expected).all(|(said, words)| said.contains(words)), "{said:?}");
        // It is served all the same.
        assert_eq!(sent(made, &ca), 1);
    }
}

#[test]
fn a_certificate_that_is_not_part_of_the_servers_chain_is_told_with_its_line_and_subject() {
    let ca = Ca::new("ca");
    let (upper, lower) = (ca.intermediate("upper"), ca.intermediate("upper").intermediate("lower"));
    let server = lower.server();
    let [leaf, lower, own_upper] = [0, 1, 2].map(|at| pem(&server.chain[at]));
    // It has the right name, and another key.
    let namesake = pem(&upper.der);
    let (root, client) = (ca.pem(), pem(&ca.client("alice").chain[0]));
    for (chain, unrelated) in [
        (vec![&leaf, &lower, &own_upper], vec![]),
        (vec![&leaf, &lower, &own_upper, &root], vec![]),
        // In another order, which TLS 1.3 allows (RFC 8446, section 4.4.2).
        (vec![&leaf, &root, &own_upper, &lower], vec![]),
        (vec![&leaf, &lower, &client], vec![(2, "CN=alice")]),
        (vec![&leaf, &lower, &namesake], vec![(2, "CN=upper")]),
        (vec![&leaf, &lower, &own_upper, &leaf], vec![(3, "CN=localhost")]),
        // The intermediate is missing.
        (vec![&leaf, &own_upper, &root], vec![(1, "CN=upper"), (2, "CN=ca")]),
    ] {
        let text: String = chain.iter().map(|pem| pem.as_str()).collect();
        let made = ServerCertificate::from_pem(text.as_bytes(), server.key_pem().as_bytes()).unwrap();
        let said = made.warnings();
        assert_eq!(said.len(), unrelated.len(), "{said:?}");
        for (said, (at, subject)) in said.iter().zip(unrelated) {
            let line = chain[..at].iter().map(|pem| lines(pem)).sum::<usize>() + 1;
            assert!(said.contains(&format!("line {line}: the certificate of {subject} is not part of")), "{said}");
        }
        assert_eq!(sent(made, &ca), chain.len());
    }
    let unreadable = leaf.clone() + &pem(b"nonsense");
    let made = ServerCertificate::from_pem(unreadable.as_bytes(), server.key_pem().as_bytes()).unwrap();
    assert!(
        made.warnings()[0].contains(&format!("line {}: not a readable", lines(&leaf) + 1)),
        "{:?}",
        made.warnings()
    );
    // One past the limit: in a longer chain, signatures are not checked.
    let long = leaf + &root.repeat(16);
    let made = ServerCertificate::from_pem(long.as_bytes(), server.key_pem().as_bytes()).unwrap();
    assert!(made.warnings()[0].contains("here begin 17 certificates"), "{:?}", made.warnings());
}

/// In the lines of the start and of each reload.
#[test]
fn the_servers_certificate_is_told_at_the_start_and_at_each_reload() {
    let Site { ca, dir, .. } = site();
    let line = |holder: &Holder, names: &'static str| {
        let sha256 = mtls_min::Identity::from_der(&holder.chain[0]).unwrap().sha256().to_owned();
        move |said: &str| {
            let line = said.lines().rfind(|line| line.contains(&sha256));
            line.is_some_and(|line| {
                line.contains("server CN=localhost, ") && line.contains(", valid until ") && line.ends_with(names)
            })
        }
    };
    let first = ca.server();
    dir.write("server-crt.pem", first.pem());
    dir.write("server-key.pem", first.key_pem());
    let args = ["--ca", "ca.pem", "--cert", "server-crt.pem", "--key", "server-key.pem", "--listen", "127.0.0.1:0"];
    let serving = Serving::start(&binary(), dir.path(), &args);
    assert!(line(&first, ", for localhost a.test b.test 127.0.0.1")(&serving.stderr()), "{}", serving.stderr());
    let mut params = params("localhost");
    params.extended_key_usages = vec![Eku::ClientAuth];
    params.subject_alt_names =
        (0..10).map(|number| SanType::DnsName(format!("h{number}").try_into().unwrap())).collect();
    let second = ca.sign(&params, &key());
    for name in ["server-crt.pem", "server-key.pem"] {
        dir.replace(name, second.pem() + &second.key_pem());
    }
    let told = line(&second, ", for h0 h1 h2 h3 h4 h5 h6 h7 and 2 more");
    eventually(|| told(&serving.stderr()));
    eventually(|| serving.stderr().contains("warning: server-crt.pem: its extended key usage lacks serverAuth"));
}
