//! Certificate policies (RFC 5280, section 6.1): paths on which a CA asks for one. NIST PKITS (`tests/peers`) tries more.

use std::time::SystemTime;

use mtls_min::{RefusalCode, Trust, Verdict, judge};
use rcgen::{CertificateParams, CustomExtension};

use crate::support::judged::chain_code;
use crate::support::pki::{Ca, Holder, write};

/// Policies are digits, `*` is anyPolicy, `1>2` is a mapping. `explicit`, `unmapped` and `named` with a number are limits that begin after
/// this many certificates: requireExplicitPolicy, inhibitPolicyMapping, inhibitAnyPolicy.
fn with(words: &'static str) -> impl FnOnce(&mut CertificateParams) {
    move |params| {
        let (mut policies, mut mappings, mut constraints) = (Vec::new(), Vec::new(), [const { Vec::new() }; 2]);
        let mut add = |id: u64, value: Vec<u8>| {
            let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, id], value);
            // `!` makes these critical, except for certificatePolicies. They count either way.
            extension.set_criticality(id != 32 && words.contains('!'));
            params.custom_extensions.push(extension);
        };
        for word in words.split_whitespace().filter(|word| *word != "!") {
            match (word.split_once('='), word.split_once('>')) {
                (Some(("explicit", skip)), _) => constraints[0] = write(0x80, &[number(skip)]),
                (Some(("unmapped", skip)), _) => constraints[1] = write(0x81, &[number(skip)]),
                (Some(("named", skip)), _) => add(54, write(2, &[number(skip)])),
                (_, Some((from, to))) => mappings.extend(write(0x30, &[policy(from), policy(to)].concat())),
                _ => policies.extend(write(0x30, &policy(word))),
            }
        }
        for (id, content) in [(32, policies), (33, mappings), (36, constraints.concat())] {
            if !content.is_empty() {
                add(id, write(0x30, &content));
            }
        }
    }
}

fn number(word: &str) -> u8 {
    word.parse().unwrap()
}

fn policy(word: &str) -> Vec<u8> {
    match word {
        "*" => write(6, &[0x55, 0x1d, 32, 0]),
        word => write(6, &[0x2a, 3, number(word)]),
    }
}

/// From the root down to the client. A certificate with `self` before it has the name of its issuer.
fn judged(path: &[&'static str]) -> Option<RefusalCode> {
    let [root, between @ .., client] = path else { panic!("a root and a client") };
    let root = Ca::with("ca", with(root));
    let (mut issuer_name, mut issuer): (_, Option<Ca>) = ("ca".to_owned(), None);
    for (at, words) in between.iter().enumerate() {
        let (name, words) = called(words, format!("between{at}"), &issuer_name);
        issuer = Some(issuer.as_ref().unwrap_or(&root).intermediate_with(&name, with(words)));
        issuer_name = name;
    }
    let (name, client) = called(client, "alice".to_owned(), &issuer_name);
    let Holder { chain, .. } = issuer.as_ref().unwrap_or(&root).client_with(&name, with(client));
    let trust = Trust::builder().pem(root.pem(), "ca.pem").build().unwrap();
    chain_code(&chain, &trust)
}

fn called(words: &'static str, name: String, issuer: &str) -> (String, &'static str) {
    words.strip_prefix("self").map_or((name, words), |words| (issuer.to_owned(), words))
}

#[test]
fn a_policy_that_a_ca_asks_for_has_to_hold_all_the_way_down() {
    for good in [
        // No certificate asks for a policy.
        &["", "1", "2"][..],
        &["", "1 1>2", "3"],
        &["", "! named=0", "*"],
        &["", "", ""],
        // One of several matches.
        &["", "1 2 3 explicit=0", "2 3 4", "3 5"],
        &["", "! 1 explicit=0", "1"],
        &["", "* explicit=0", "1"],
        &["", "1 explicit=0", "*"],
        // Not yet.
        &["", "explicit=3", "", ""],
        // The policy is mapped on the way.
        &["", "1 1>2 explicit=0", "2"],
        &["", "! * 1>2 explicit=0", "2"],
        &["", "! * 1>2 explicit=0", "1"],
        &["", "1 1>2 1>3 explicit=0", "3 3>4", "4"],
        &["", "1 2 1>2 2>1 explicit=0", "1", "1"],
        &["", "1 1>2 explicit=0 unmapped=1", "2 2>3", "3"],
        // Any policy counts in a certificate that a CA issued to itself, but not in the client's.
        &["", "1 explicit=0 named=0", "self *", "1"],
        &["", "1 explicit=0 unmapped=1", "self 1", "1 1>2", "2"],
        // The anchor names none, so any will do.
        &["explicit=0", "1", "1"],
        &["1 2 explicit=0", "2", "2"],
    ] {
        assert_eq!(judged(good), None, "{good:?}");
    }
    for bad in [
        &["", "1 explicit=0", ""][..],
        &["", "! 1 explicit=0", ""],
        &["", "1 explicit=0", "2"],
        &["", "explicit=0", "1"],
        &["", "1 explicit=0", "", "1"],
        &["", "1 explicit=0", "2", "*"],
        &["", "1 2 explicit=0", "1 3", "2 3"],
        &["", "explicit=2", "", ""],
        &["", "explicit=3", "explicit=0", ""],
        &["", "1 explicit=0", "2 explicit=3", "2"],
        &["", "1 explicit=0 named=0", "1 named=3", "*"],
        // The client's certificate itself asks.
        &["", "1", "2 explicit=0"],
        &["", "1 1>2 explicit=0", "1"],
        &["", "1 1>2 explicit=0 unmapped=0", "2 2>3", "3"],
        &["", "1 1>2 explicit=0 unmapped=0", "2 2>3", "2"],
        &["", "1 1>2 explicit=0 unmapped=1", "2", "2 2>3", "3"],
        &["", "2 1>2 explicit=0", "1"],
        &["", "3 1>2 explicit=0", "2"],
        &["", "1 explicit=0 named=0", "*"],
        &["", "1 explicit=0 named=0", "self *", "*"],
        &["", "1 explicit=0 named=0", "self *"],
        &["", "1 explicit=0 named=1", "*", "*"],
        // Section 6.1.4 (a): whether one is asked for or not.
        &["", "* *>1", "1"],
        &["", "1 1>*", "1"],
        // The limits in the anchor itself count, as its name constraints do.
        &["explicit=0", "1", "2"],
        &["1 explicit=0", "2", "2"],
        &["! * explicit=0 named=0", "*", "*"],
    ] {
        assert_eq!(judged(bad), Some(RefusalCode::MissingPolicy), "{bad:?}");
    }
}

/// A broken extension is not treated as a missing one.
#[test]
fn broken_extensions_on_policies_are_malformed() {
    let ca = Ca::new("ca");
    let trust = Trust::builder().pem(ca.pem(), "ca.pem").build().unwrap();
    let any = [0x55, 0x1d, 32, 0];
    for (id, value) in [
        (32, write(0x30, &[])),
        (32, write(0x30, &write(6, &any))),
        (33, write(0x30, &[])),
        (33, write(0x30, &write(0x30, &write(6, &any)))),
        (36, write(0x30, &[])),
        (36, write(0x30, &write(0x80, &[0xff]))),
        (36, write(0x30, &write(0x80, &[]))),
        (54, write(2, &[0xff])),
        (54, vec![2, 1, 0, 0]),
    ] {
        let holder = ca.client_with("alice", |params| {
            params.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, id], value.clone())];
        });
        let Verdict::Refused(refusal) = judge(&holder.chain, &trust, SystemTime::now()).verdict else {
            panic!("{id} {value:?}")
        };
        assert_eq!(refusal.code(), RefusalCode::Malformed, "{id} {value:?}");
        assert!(refusal.detail().contains(&format!("a broken extension 2.5.29.{id}")), "{refusal}");
    }
}
