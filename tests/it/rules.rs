//! What each kind of rule means. Rows T7 and T8 of the immunity matrix, as far as rules are concerned.

use mtls_min::{Policy, Trust};
use rcgen::{CertificateParams, DnType, OtherNameValue, SanType};

use crate::support::pki::{self, CN, Ca, Holder, O, OU, self_signed};
use crate::support::rules::{get, matches, misses, permission, trusting};
use crate::support::server::start;

fn fingerprint(ca: &Ca) -> String {
    mtls_min::Identity::from_der(&ca.der).unwrap().sha256().to_owned()
}

fn named(params: &mut CertificateParams) {
    params.distinguished_name.push(DnType::OrganizationName, "Example");
    params.distinguished_name.push(DnType::OrganizationalUnitName, "Web");
    params.subject_alt_names = vec![
        SanType::DnsName("host.example.com".try_into().unwrap()),
        SanType::DnsName("*.example.org".try_into().unwrap()),
        SanType::Rfc822Name("Alice@Example.com".try_into().unwrap()),
        SanType::URI("spiffe://example.org/ns/web".try_into().unwrap()),
        SanType::IpAddress("10.1.2.3".parse().unwrap()),
        user_principal_name("Alice@corp.example.com"),
    ];
}

fn user_principal_name(name: &str) -> SanType {
    SanType::OtherName((vec![1, 3, 6, 1, 4, 1, 311, 20, 2, 3], OtherNameValue::Utf8String(name.to_owned())))
}

#[test]
fn each_kind_of_rule_means_its_own_kind_of_name() {
    let ca = Ca::new("ca");
    let alice = ca.client_with("alice", named);
    let identity = mtls_min::Identity::from_der(&alice.chain[0]).unwrap();
    let (sha256, spki) = (format!("sha256:{}", identity.sha256()), format!("spki:{}", identity.spki_sha256()));
    let issuer = format!("issuer-sha256:{}", fingerprint(&ca));
    for rule in [
        "cn:alice",
        "dns:HOST.example.com",
        "email:Alice@example.COM",
        "uri:spiffe://example.org/ns/web",
        "uri:spiffe://example.org/ns/*",
        "ip:10.1.2.3",
        "o:Example",
        "ou:Web",
        "upn:Alice@CORP.example.com",
        "dn:OU=Web,O=Example,CN=alice",
        "issuer:CN=ca",
        &issuer,
        &sha256,
        &spki,
    ] {
        matches(rule, &ca, &alice);
    }
    for (rule, why) in [
        ("cn:Alice", "upper and lower case differ"),
        ("cn:bob", "the client's common name is alice"),
        ("cn:host.example.com", "is its dns, which needs a rule of that kind"),
        ("dns:alice", "is its cn"),
        ("dns:other.example.com", "DNS name"),
        ("dns:a.example.org", "DNS name"),
        ("email:alice@Example.com", "upper and lower case"),
        ("email:spiffe@x", "e-mail address is Alice@Example.com"),
        ("upn:alice@corp.example.com", "upper and lower case"),
        ("upn:Alice@Example.com", "is its email"),
        ("email:Alice@corp.example.com", "is its upn"),
        ("dn:CN=alice,O=Example,OU=Web", "the client's subject is OU=Web,O=Example,CN=alice"),
        ("dn:CN=alice", "the client's subject is"),
        ("dn:OU=Web,O=Example,CN=Alice", "upper and lower case differ, or spaces"),
        ("uri:spiffe://example.org/*", "URI is spiffe://example.org/ns/web"),
        ("uri:spiffe://example.org/ns/web/*", "URI is"),
        ("uri:SPIFFE://example.org/ns/web", "upper and lower case"),
        ("ip:10.1.2.4", "IP address is 10.1.2.3"),
        ("o:Web", "is its ou"),
        ("ou:Example", "is its o"),
        (&format!("sha256:{}", identity.spki_sha256()), "is its spki"),
        (&format!("spki:{}", identity.sha256()), "is its sha256"),
    ] {
        misses(rule, &ca, &alice, why);
    }
}

/// A CA can give any name to what it signs, so what counts is the CA that the operator loaded.
#[test]
fn an_issuer_rule_means_a_loaded_ca_and_not_one_of_the_same_name() {
    let (ca, partner) = (Ca::new("ca"), Ca::new("partner"));
    let policy = Policy::allowing(["issuer:CN=ca"]).unwrap();
    let both = ca.pem() + &partner.pem();
    let running = start(Trust::builder().pem(both, "ca.pem").policy(policy).build().unwrap());
    for (holder, status) in [
        (ca.client("alice"), 200),
        (ca.intermediate("below").client("bob"), 200),
        (partner.client("carol"), 403),
        (partner.intermediate("ca").client("mallory"), 403),
    ] {
        assert_eq!(get(&running, Some(&holder), "GET /").0, status);
    }
    let policy = Policy::allowing(["issuer:CN=below"]).unwrap();
    let error = Trust::builder().pem(ca.pem(), "ca.pem").policy(policy).build().unwrap_err().to_string();
    assert!(error.contains("issuer:CN=below can never match") && error.contains("CN=ca"), "{error}");
}

/// RFC 5280, section 7.1: neither the string type nor letter case nor blanks make another name.
#[test]
fn an_issuer_rule_that_would_mean_two_cas_is_an_error_that_offers_their_fingerprints() {
    let admin = Ca::with("Admin CA", |params| params.distinguished_name.push(DnType::OrganizationName, "Example"));
    let printable = |text: &str| rcgen::DnValue::PrintableString(text.try_into().unwrap());
    for (name, organization) in [
        (rcgen::DnValue::from("Admin CA"), "Example".into()),
        (printable("Admin CA"), printable("Example")),
        ("ADMIN  ca".into(), " example".into()),
    ] {
        let twin = Ca::with("", |params| {
            params.distinguished_name.push(DnType::CommonName, name);
            params.distinguished_name.push(DnType::OrganizationName, organization);
        });
        let both = admin.pem() + &twin.pem();
        let build = |rule: &str| {
            let policy = Policy::parse(&format!("/ any\n/admin {rule}\n"), "policy").unwrap();
            Trust::builder().pem(both.clone(), "ca.pem").policy(policy).build()
        };
        let error = build("issuer:\"O=Example,CN=Admin CA\"").unwrap_err().to_string();
        assert!(error.contains("policy, line 2: issuer:O=Example,CN=Admin CA means several loaded CAs"), "{error}");
        let [first, second] = [&admin, &twin].map(|ca| format!("issuer-sha256:{}", fingerprint(ca)));
        assert!(error.contains(&first) && error.contains(&second), "{error}");

        let running = start(build(&first).unwrap());
        for (holder, status) in [(admin.client("admin"), 200), (twin.client("mallory"), 403)] {
            assert_eq!(get(&running, Some(&holder), "GET /admin").0, status);
        }
        // What the error suggests.
        let running = start(build(&format!("{first} or {second}")).unwrap());
        for holder in [admin.client("admin"), twin.client("other")] {
            assert_eq!(get(&running, Some(&holder), "GET /admin").0, 200);
        }
    }
}

#[test]
fn a_second_ca_of_a_name_that_a_rule_goes_by_does_not_come_into_force() {
    let (ca, twin) = (Ca::new("ca"), Ca::new("CA"));
    let policy = Policy::allowing(["issuer:CN=ca"]).unwrap();
    let alone = Trust::builder().pem(ca.pem(), "ca.pem").policy(policy.clone()).build().unwrap();
    let both = Trust::builder().pem(ca.pem() + &twin.pem(), "ca.pem").policy(policy);
    let error = both.rebuild(&alone).unwrap_err().to_string();
    assert!(error.contains("means several loaded CAs"), "{error}");
}

/// One name and one key are one CA: whoever has the key can sign for each of its certificates.
#[test]
fn a_renewed_ca_is_one_ca_by_its_name_and_by_each_of_its_fingerprints() {
    let old = Ca::new("ca");
    let new = old.renewed_as("CA");
    for rule in [
        "issuer:CN=ca".to_owned(),
        format!("issuer-sha256:{}", fingerprint(&old)),
        format!("issuer-sha256:{}", fingerprint(&new)),
    ] {
        for pem in [old.pem() + &new.pem(), new.pem() + &old.pem()] {
            let policy = Policy::allowing([&rule]).unwrap();
            let running = start(Trust::builder().pem(pem, "ca.pem").policy(policy).build().unwrap());
            for holder in [old.client("alice"), new.client("alice")] {
                assert_eq!(get(&running, Some(&holder), "GET /").0, 200, "{rule}");
            }
        }
    }
    // The same key under another name is another CA.
    let other = old.renewed_as("other");
    let policy = Policy::allowing([format!("issuer-sha256:{}", fingerprint(&other))]).unwrap();
    let trust = Trust::builder().pem(old.pem() + &other.pem(), "ca.pem").policy(policy).build().unwrap();
    let running = start(trust);
    assert_eq!(get(&running, Some(&other.client("alice")), "GET /").0, 200);
    assert_eq!(get(&running, Some(&old.client("alice")), "GET /").0, 403);
}

#[test]
fn an_issuer_rule_is_written_as_the_name_is_shown() {
    let ca = Ca::with("a, b = \"c\"", |params| params.distinguished_name.push(DnType::OrganizationName, "x\u{202e}y"));
    let shown = mtls_min::Identity::from_der(&ca.der).unwrap().subject().to_owned();
    for line in [format!("/ issuer:{shown} # ours\n"), format!("/ issuer:\"{shown}\" # ours\n")] {
        let trust = Trust::builder().pem(ca.pem(), "ca.pem").policy(Policy::parse(&line, "policy").unwrap());
        let running = start(trust.build().unwrap());
        assert_eq!(get(&running, Some(&ca.client("alice")), "GET /").0, 200, "{line}");
    }
}

#[test]
fn t7_name_types_are_not_confused() {
    let ca = Ca::new("ca");
    let name = "x.example";
    let san = |san: SanType| ca.client_with("other", |params| params.subject_alt_names = vec![san]);
    let dns = san(SanType::DnsName(name.try_into().unwrap()));
    let uri = san(SanType::URI(name.try_into().unwrap()));
    let email = san(SanType::Rfc822Name(name.try_into().unwrap()));
    let cn = ca.client(name);
    matches("dns:x.example", &ca, &dns);
    for other in [&uri, &email, &cn] {
        misses("dns:x.example", &ca, other, "the nearest rule is dns:x.example");
    }
    matches("cn:x.example", &ca, &cn);
    for other in [&uri, &email, &dns] {
        misses("cn:x.example", &ca, other, "the client's common name is other");
    }
}

#[test]
fn t8_separators_within_values_make_no_new_names() {
    let ca = Ca::new("ca");
    let base = ca.client("mallory");
    for subject in [
        pki::name(&[&[(O, 12, b"x,CN=admin")], &[(CN, 12, b"mallory")]]),
        pki::name(&[&[(CN, 12, b"mallory\nCN=admin")]]),
        pki::name(&[&[(CN, 12, b"admin\0")]]),
        pki::name(&[&[(CN, 12, b"/CN=admin")]]),
        pki::name(&[&[(CN, 12, b"admin")], &[(CN, 12, b"mallory")]]),
        pki::name(&[&[(CN, 12, b"admin"), (CN, 12, b"mallory")]]),
        pki::name(&[&[(OU, 12, b"CN=admin"), (CN, 12, b"mallory")]]),
        pki::name(&[&[(CN, 12, b" admin")]]),
        // Another type, whose number is commonName's when it is cut to 128 bits.
        pki::name(&[&[(&[&[0x55, 4, 0x84][..], &[0x80; 17], &[3]].concat(), 12, b"admin")]]),
        // A tag of another class.
        pki::name(&[&[(CN, 0x8c, b"admin")]]),
    ] {
        misses("dn:CN=admin", &ca, &ca.with_subject(&base, &subject), "the nearest rule is dn:CN=admin");
        misses("cn:admin", &ca, &ca.with_subject(&base, &subject), "the nearest rule is cn:admin");
    }
    // The same value in another string type is the same value.
    for subject in [
        pki::name(&[&[(CN, 30, b"\0a\0d\0m\0i\0n")]]),
        pki::name(&[&[(CN, 20, b"admin")]]),
        pki::name(&[&[(OU, 12, b"x"), (CN, 19, b"admin")]]),
    ] {
        matches("cn:admin", &ca, &ca.with_subject(&base, &subject));
    }
}

#[test]
fn t8_a_dn_rule_means_one_whole_subject_however_it_is_written() {
    let ca = Ca::new("ca");
    let base = ca.client("mallory");
    let client = |subject: &[u8]| ca.with_subject(&base, subject);
    let plain = client(&pki::name(&[&[(O, 12, b"y")], &[(CN, 12, b"x")]]));
    let printable = client(&pki::name(&[&[(O, 19, b"y")], &[(CN, 19, b"x")]]));
    let joined = client(&pki::name(&[&[(CN, 12, b"x,O=y")]]));
    let multi = client(&pki::name(&[&[(O, 12, b"y"), (CN, 12, b"x")]]));
    let longer = client(&pki::name(&[&[(O, 12, b"y")], &[(OU, 12, b"z")], &[(CN, 12, b"x")]]));
    let not_text = client(&pki::name(&[&[(CN, 12, b"\xff\x0a\x78")]]));
    let all = [&plain, &printable, &joined, &multi, &longer, &not_text];
    for (rules, meant) in [
        (&["dn:CN=x,O=y", "dn:cn=x,2.5.4.10=y", "dn:CN=#0c0178,O=\\79"][..], &[&plain, &printable][..]),
        (&["dn:CN=x\\,O\\=y", "dn:CN=x\\2cO\\3dy", "dn:CN=x\\,O=y"], &[&joined]),
        (&["dn:CN=x+O=y", "dn:O=y+CN=x"], &[&multi]),
        (&["dn:CN=x,OU=z,O=y"], &[&longer]),
        (&["dn:CN=#0c03ff0a78"], &[&not_text]),
        (&["dn:CN=\\#0c03ff0a78", "dn:CN=\\#ff0a78", "dn:O=y,CN=x", "dn:CN=x", "dn:CN=X,O=y", "dn:CN=x,O=y\\20"], &[]),
    ] {
        for rule in rules {
            for holder in all {
                let granted = permission(rule, &ca, holder).is_ok();
                assert_eq!(granted, meant.iter().any(|meant| std::ptr::eq(*meant, holder)), "{rule}");
            }
        }
    }
    // Each is matched by its name as shown, in a policy too, with quotes and without.
    for holder in all {
        let shown = mtls_min::Identity::from_der(&holder.chain[0]).unwrap().subject().to_owned();
        matches(&format!("dn:{shown}"), &ca, holder);
        for line in [format!("/ dn:{shown}\n"), format!("/ cn:nobody or dn:\"{shown}\" # hers\n")] {
            let running = start(trusting(&ca, None, Policy::parse(&line, "policy").unwrap()));
            assert_eq!(get(&running, Some(holder), "GET /").0, 200, "{line}");
        }
    }
}

/// RFC 4514, section 2.4: a value that is not a string is shown as # and digits, and a string may look like that.
#[test]
fn t8_a_rule_is_text_and_equal_to_no_value_that_is_no_string() {
    let ca = Ca::new("ca");
    let base = ca.client("x");
    for (kind, word) in [(CN, "cn"), (O, "o"), (OU, "ou")] {
        for (tag, value) in [(12, &b"\xff\x0a\x78"[..]), (3, b"\0\x0a\x78"), (30, b"\xd8\0"), (19, b"\xff")] {
            let holder = ca.with_subject(&base, &pki::name(&[&[(kind, tag, value)]]));
            let identity = mtls_min::Identity::from_der(&holder.chain[0]).unwrap();
            let [attribute] = identity.attributes() else { panic!() };
            assert!(!attribute.is_text() && attribute.value().starts_with(&format!("#{tag:02x}")));
            assert_eq!(identity.common_name(), None, "there is no text that a handler could compare");
            let content: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
            for text in
                [attribute.value().to_owned(), format!("#{content}"), format!("{} (not text)", attribute.value())]
            {
                misses(&format!("{word}:{text}"), &ca, &holder, "(not text)");
            }
            // And the text that looks like it is a text like any other.
            let text = attribute.value().to_owned();
            let alike = ca.with_subject(&base, &pki::name(&[&[(kind, 12, text.as_bytes())]]));
            matches(&format!("{word}:{text}"), &ca, &alike);
        }
    }
}

#[test]
fn of_several_common_names_the_nearest_rule_says_that_there_are_several() {
    let ca = Ca::new("ca");
    let two = ca.with_subject(&ca.client("x"), &pki::name(&[&[(CN, 12, b"admin")], &[(CN, 12, b"mallory")]]));
    for rule in ["cn:admin", "cn:mallory", "cn:Admin", "cn:other"] {
        misses(rule, &ca, &two, "the client has 2 common names, admin the first, and cn: only matches exactly one");
    }
}

#[test]
fn a_user_principal_name_is_an_other_name_of_its_type_and_a_utf8_string() {
    let ca = Ca::new("ca");
    let with = |oid: &[u64], value: OtherNameValue| {
        ca.client_with("x", |params| params.subject_alt_names = vec![SanType::OtherName((oid.to_vec(), value))])
    };
    let upns = |holder: &Holder| mtls_min::Identity::from_der(&holder.chain[0]).unwrap().upns().to_vec();
    const UPN: &[u64] = &[1, 3, 6, 1, 4, 1, 311, 20, 2, 3];
    let alice = with(UPN, OtherNameValue::Utf8String("ålice@corp.test".to_owned()));
    assert_eq!(upns(&alice), ["ålice@corp.test"]);
    matches("upn:ålice@CORP.test", &ca, &alice);
    misses("upn:ÅLICE@corp.test", &ca, &alice, "the client's user principal name is ålice@corp.test");
    for other in [&UPN[..9], &[UPN, &[0]].concat()] {
        let other = with(other, OtherNameValue::Utf8String("alice@corp.test".to_owned()));
        assert!(upns(&other).is_empty());
        misses("upn:alice@corp.test", &ca, &other, "the client has no user principal name");
    }
}

#[test]
fn names_in_a_pinned_certificate_mean_nothing_to_a_rule() {
    let ca = Ca::new("ca");
    let pinned = self_signed("bob");
    let running = start(trusting(&ca, Some(&pinned), Policy::allowing(["cn:bob"]).unwrap()));
    assert_eq!(get(&running, Some(&ca.client("bob")), "GET /").0, 200);
    assert_eq!(get(&running, Some(&pinned), "GET /").0, 403);
    let sha256 = mtls_min::Identity::from_der(&pinned.chain[0]).unwrap().sha256().to_owned();
    running
        .trust
        .replace(trusting(&ca, Some(&pinned), Policy::allowing([format!("sha256:{sha256}")]).unwrap()))
        .unwrap();
    assert_eq!(get(&running, Some(&pinned), "GET /").0, 200);
    assert_eq!(get(&running, Some(&ca.client("bob")), "GET /").0, 403);
}
