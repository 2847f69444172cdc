//! The clients that were last seen: with them a CA is replaced with knowledge.

use mtls_min::Trust;
use serde_json::Value;

use crate::support::admin::{Watched, start};
use crate::support::client::{TLS13, eventually, get};
use crate::support::pki::{Ca, Holder};

fn clients(watched: &Watched) -> Vec<Value> {
    let value: Value = serde_json::from_str(&watched.ask("/clients").body).unwrap();
    value["clients"].as_array().unwrap().clone()
}

fn names(clients: &[Value], member: &str) -> Vec<String> {
    clients.iter().map(|client| client[member].as_str().unwrap_or("none").to_owned()).collect()
}

/// Two CAs, of which the old one is to go: who still uses it?
#[test]
fn who_still_comes_by_the_old_ca_is_seen() {
    let (old, new) = (Ca::new("old CA"), Ca::new("new CA"));
    let pinned = crate::support::pki::self_signed("pinned");
    let trust =
        Trust::builder().pem(old.pem(), "old").pem(new.pem(), "new").pem(pinned.pem(), "pinned").build().unwrap();
    let watched = start(trust, |builder| builder);
    assert!(clients(&watched).is_empty());
    let visit = |holder: Option<&Holder>, status| {
        assert_eq!(get(watched.running.addr, holder, &TLS13).unwrap().status, status);
    };
    let (alice, bob, evil) = (old.client("alice"), new.client("bob"), old.client("evil \"},{ \\ \u{202e}"));
    visit(Some(&alice), 200);
    visit(Some(&bob), 200);
    visit(Some(&alice), 200);
    visit(Some(&evil), 200);
    visit(Some(&pinned), 200);
    visit(None, 401);
    visit(Some(&Ca::new("stranger").client("mallory")), 401);
    eventually(|| watched.figures().get("request_duration_seconds_count") == Some(7.0));
    let seen = clients(&watched);
    assert_eq!(seen.len(), 4, "only those who were let in: {seen:#?}");
    assert_eq!(names(&seen, "ca"), ["none", "CN=old CA", "CN=old CA", "CN=new CA"]);
    let subjects = names(&seen, "subject");
    assert_eq!((subjects[0].as_str(), subjects[2].as_str(), subjects[3].as_str()), ("CN=pinned", "CN=alice", "CN=bob"));
    assert!(subjects[1].starts_with("CN=evil "), "{subjects:?}");
    assert!(!watched.ask("/clients").body.contains('\u{202e}'), "it is escaped as in the log");
    let alices = &seen[2];
    assert_eq!(alices["requests"], 2);
    assert_eq!(alices["sha256"].as_str().unwrap().len(), 64);
    for member in ["first_seen", "last_seen", "expires"] {
        assert!(alices[member].as_str().unwrap().starts_with("20"), "{alices:#?}");
    }
    assert!(alices["first_seen"].as_str() <= alices["last_seen"].as_str());
    assert_eq!(alices["issuer"], "CN=old CA");
    assert!(watched.figures().sum("certificate_expires_seconds{kind=\"client\"") > 0.0);
}

#[test]
fn a_client_that_comes_by_another_ca_after_a_change_is_seen_under_that() {
    let old = Ca::new("ca");
    let new = old.renewed_with("ca", |_| {});
    let watched = start(crate::support::server::trust(&old), |builder| builder);
    let alice = old.client("alice");
    let visits = |number: u64| {
        assert_eq!(get(watched.running.addr, Some(&alice), &TLS13).unwrap().status, 200);
        eventually(|| clients(&watched).first().is_some_and(|client| client["requests"] == number));
        clients(&watched)[0]["ca_sha256"].clone()
    };
    let before = visits(1);
    watched.running.trust.replace(crate::support::server::trust(&new)).unwrap();
    let after = visits(2);
    assert_ne!(before, after);
    assert_eq!(clients(&watched).len(), 1);
}
