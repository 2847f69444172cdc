//! Rows R1 to R4, R6 and R7 of the immunity matrix: nothing of an old handshake lets anybody in, with resumption and
//! without.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use mtls_min::{Policy, Request, Response, Trust};

use rustls::client::ClientSessionStore;
use rustls::client::{Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind, NamedGroup, SupportedProtocolVersion};

use crate::support::client::{GET, TLS12, TLS13, VERSIONS, config, connect_as, exchange};
use crate::support::crl::Crl;
use crate::support::pki::{Ca, HOUR, Holder};
use crate::support::server::{Running, start, start_with, trust};

/// Remembers whether the server ever gave a ticket or a session, and offers it under any name, as a hostile client.
#[derive(Debug, Default)]
struct Store {
    given: std::sync::Mutex<usize>,
    inner: std::sync::OnceLock<Arc<rustls::client::ClientSessionMemoryCache>>,
}

impl Store {
    fn cache(&self) -> &rustls::client::ClientSessionMemoryCache {
        self.inner.get_or_init(|| Arc::new(rustls::client::ClientSessionMemoryCache::new(32)))
    }

    fn given(&self) -> usize {
        *self.given.lock().unwrap()
    }
}

fn any_name() -> ServerName<'static> {
    ServerName::try_from("any").unwrap()
}

impl ClientSessionStore for Store {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.cache().set_kx_hint(any_name(), group);
    }
    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.cache().kx_hint(&any_name())
    }
    fn set_tls12_session(&self, _: ServerName<'static>, value: Tls12ClientSessionValue) {
        *self.given.lock().unwrap() += 1;
        self.cache().set_tls12_session(any_name(), value);
    }
    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.cache().tls12_session(&any_name())
    }
    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.cache().remove_tls12_session(&any_name());
    }
    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        *self.given.lock().unwrap() += 1;
        self.cache().insert_tls13_ticket(any_name(), value);
    }
    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.cache().take_tls13_ticket(&any_name())
    }
}

fn resuming(holder: Option<&Holder>, version: &'static SupportedProtocolVersion) -> (Arc<ClientConfig>, Arc<Store>) {
    let store = Arc::new(Store::default());
    let mut config = config(holder, version);
    config.resumption = Resumption::store(Arc::clone(&store) as Arc<dyn ClientSessionStore>);
    config.enable_early_data = true;
    (Arc::new(config), store)
}

#[test]
fn r1_a_refused_client_gets_no_ticket_and_stays_refused() {
    let running = start(trust(&Ca::new("ca")));
    for version in VERSIONS {
        let (config, store) = resuming(None, version);
        for _ in 0..3 {
            let mut stream = connect_as(running.addr, Arc::clone(&config), "localhost");
            assert_eq!(exchange(&mut stream, GET).unwrap().status, 401);
            // To the end, by which tickets would have come.
            let _ = stream.read(&mut [0; 16]);
            assert_eq!(stream.conn.handshake_kind(), Some(HandshakeKind::Full));
        }
        assert_eq!(store.given(), 0, "{version:?}");
    }
    assert_eq!(running.calls(), 0);
}

#[test]
fn r2_no_certificate_after_a_good_client_is_refused() {
    let ca = Ca::new("ca");
    let alice = ca.client("alice");
    let running = start(trust(&ca));
    for version in VERSIONS {
        for _ in 0..20 {
            for (holder, status) in [(Some(&alice), 200), (None, 401)] {
                let (config, _) = resuming(holder, version);
                let mut stream = connect_as(running.addr, config, "localhost");
                assert_eq!(exchange(&mut stream, GET).unwrap().status, status);
            }
        }
    }
}

#[test]
fn r6_there_is_no_early_data() {
    let ca = Ca::new("ca");
    let running = start(trust(&ca));
    let (config, store) = resuming(Some(&ca.client("alice")), &TLS13);
    for _ in 0..2 {
        let mut stream = connect_as(running.addr, Arc::clone(&config), "localhost");
        assert!(stream.conn.early_data().is_none(), "the client was given leave for early data");
        assert_eq!(exchange(&mut stream, GET).unwrap().status, 200);
    }
    assert_eq!(store.given(), 0);
}

#[test]
fn r7_a_session_of_one_server_means_nothing_to_another() {
    let ours = Ca::new("ours");
    let theirs = Ca::new("theirs");
    let (one, two) = (start(trust(&ours)), start(trust(&theirs)));
    for version in VERSIONS {
        let (config, _) = resuming(Some(&ours.client("alice")), version);
        for _ in 0..2 {
            let mut stream = connect_as(one.addr, Arc::clone(&config), "localhost");
            assert_eq!(exchange(&mut stream, GET).unwrap().status, 200);
            let mut stream = connect_as(two.addr, Arc::clone(&config), "localhost");
            assert_eq!(exchange(&mut stream, GET).unwrap().status, 401);
        }
    }
    assert_eq!(two.calls(), 0);
}

#[test]
fn a_change_of_trust_reaches_open_connections_at_their_next_request() {
    let (old, new) = (Ca::new("old"), Ca::new("new"));
    let running = start(trust(&old));
    for version in VERSIONS {
        running.trust.replace(trust(&old)).unwrap();
        let (config, _) = resuming(Some(&old.client("alice")), version);
        let mut stream = connect_as(running.addr, Arc::clone(&config), "localhost");
        assert_eq!(exchange(&mut stream, GET).unwrap().status, 200);
        running.trust.replace(trust(&new)).unwrap();
        // It gets 401, or was closed while it was idle.
        assert!(exchange(&mut stream, GET).map_or(true, |reply| reply.status == 401));
        let mut stream = connect_as(running.addr, config, "localhost");
        assert_eq!(exchange(&mut stream, GET).unwrap().status, 401);
    }
    assert_eq!(running.calls(), 2);
}

/// A server that resumes sessions, whose clock can be set forward.
fn start_resuming(trust: Trust) -> (Running, Arc<AtomicU32>) {
    let hours = Arc::new(AtomicU32::new(0));
    let clock = Arc::clone(&hours);
    let running = start_with(
        trust,
        |builder| builder.resumption().clock(move || SystemTime::now() + HOUR * clock.load(Ordering::SeqCst)),
        |request: &mut Request<'_>| Response::new(request.peer().subject().to_owned().into()),
    );
    (running, hours)
}

/// Connects, says whether the session was resumed, and the status.
fn visit(running: &Running, config: &Arc<ClientConfig>, name: &str) -> (HandshakeKind, u16) {
    let mut stream = connect_as(running.addr, Arc::clone(config), name);
    let status = exchange(&mut stream, GET).unwrap().status;
    // To the end, by which tickets have come, if any do.
    stream.conn.send_close_notify();
    let _ = stream.flush();
    let _ = stream.read(&mut [0; 16]);
    (stream.conn.handshake_kind().unwrap(), status)
}

#[test]
fn r1_with_resumption_a_refused_client_gets_no_ticket_either() {
    let ca = Ca::new("ca");
    let (running, _) = start_resuming(trust(&ca));
    let stranger = Ca::new("other").client("mallory");
    for version in VERSIONS {
        for holder in [None, Some(&stranger)] {
            let (config, store) = resuming(holder, version);
            for _ in 0..3 {
                assert_eq!(visit(&running, &config, "localhost"), (HandshakeKind::Full, 401), "{version:?}");
            }
            // TLS 1.2 names a session before it sees the certificate; the server does not keep it.
            assert!(*version == TLS12 || store.given() == 0);
        }
    }
    assert_eq!(running.calls(), 0);
}

#[test]
fn an_authorised_client_resumes_its_session_where_that_is_asked_for() {
    let ca = Ca::new("ca");
    let (running, _) = start_resuming(trust(&ca));
    for version in VERSIONS {
        let (config, _) = resuming(Some(&ca.client("alice")), version);
        assert_eq!(visit(&running, &config, "localhost"), (HandshakeKind::Full, 200));
        for _ in 0..4 {
            assert_eq!(visit(&running, &config, "localhost"), (HandshakeKind::Resumed, 200), "{version:?}");
        }
    }
    assert_eq!(running.seen.codes(10), ["CN=alice"; 10]);
}

/// A resumed session gets no new ticket, so the key must be proven again from time to time.
#[test]
fn tickets_are_not_renewed_for_ever() {
    let ca = Ca::new("ca");
    let (running, _) = start_resuming(trust(&ca));
    let (config, store) = resuming(Some(&ca.client("alice")), &TLS13);
    let kinds: Vec<_> = (0..6).map(|_| visit(&running, &config, "localhost").0).collect();
    let mut expected = vec![HandshakeKind::Resumed; 6];
    expected[0] = HandshakeKind::Full;
    expected[5] = HandshakeKind::Full;
    assert_eq!(kinds, expected);
    assert_eq!(store.given(), 8);
}

#[test]
fn r3_a_ticket_from_before_a_change_never_opens_anything_after_it() {
    let root = Ca::new("ca");
    let (ca, other) = (root.intermediate("below"), Ca::new("other"));
    let short = |holder: &mut rcgen::CertificateParams| holder.not_after = (SystemTime::now() + 5 * HOUR).into();
    let expiring = ca.client_with("alice", short);
    let below_expiring = root.intermediate_with("short", short).client("alice");
    let alice = ca.client("alice");
    type Change<'c> = &'c dyn Fn(&Running, &AtomicU32);
    let revoking = |list: Crl, issuer: &Ca| {
        let builder = Trust::builder().pem(root.pem(), "ca").pem(ca.pem(), "below");
        builder.crl(list.der(issuer), "crl").build().unwrap()
    };
    let in_five_hours: Change<'_> = &|_, hours| hours.store(6, Ordering::SeqCst);
    let cases: [(&str, &Holder, Change<'_>, u16); 6] = [
        ("the CA was replaced", &alice, &|running, _| running.trust.replace(trust(&other)).unwrap(), 401),
        (
            "the leaf was revoked",
            &alice,
            &|running, _| running.trust.replace(revoking(Crl::number(1).revoking(&alice), &ca)).unwrap(),
            401,
        ),
        (
            "the intermediate was revoked",
            &alice,
            &|running, _| {
                let mut list = Crl::number(1);
                list.revoked.push((crate::support::crl::serial(&ca.der), 0));
                running.trust.replace(revoking(list, &root)).unwrap();
            },
            401,
        ),
        (
            "the rule was removed",
            &alice,
            &|running, _| {
                let policy = Policy::allowing(["cn:bob"]).unwrap();
                running.trust.replace(Trust::builder().pem(root.pem(), "ca").policy(policy).build().unwrap()).unwrap();
            },
            403,
        ),
        ("the leaf expired", &expiring, in_five_hours, 401),
        ("the intermediate expired", &below_expiring, in_five_hours, 401),
    ];
    for version in VERSIONS {
        for (what, holder, change, status) in &cases {
            let (running, hours) = start_resuming(trust(&root));
            let (config, store) = resuming(Some(holder), version);
            assert_eq!(visit(&running, &config, "localhost"), (HandshakeKind::Full, 200), "{what}");
            assert!(store.given() > 0);
            let calls = running.calls();
            change(&running, &hours);
            for _ in 0..3 {
                assert_eq!(visit(&running, &config, "localhost").1, *status, "{what}, {version:?}");
            }
            assert_eq!(running.calls(), calls, "{what}");
        }
    }
}

#[test]
fn sessions_from_before_a_change_are_not_looked_up_after_it() {
    let ca = Ca::new("ca");
    let (running, _) = start_resuming(trust(&ca));
    for version in VERSIONS {
        let (config, _) = resuming(Some(&ca.client("alice")), version);
        visit(&running, &config, "localhost");
        running.trust.replace(trust(&ca)).unwrap();
        assert_eq!(visit(&running, &config, "localhost"), (HandshakeKind::Full, 200), "{version:?}");
    }
}

#[test]
fn r4_whatever_name_is_asked_for_the_verdict_is_that_of_a_fresh_handshake() {
    let ca = Ca::new("ca");
    let (running, _) = start_resuming(trust(&ca));
    let names = ["a.test", "b.test", "127.0.0.1", "A.TEST", "a.test."];
    for version in VERSIONS {
        for (holder, status) in [(Some(ca.client("alice")), 200), (None, 401), (Some(Ca::new("x").client("m")), 401)] {
            for first in names {
                for second in names {
                    let (config, _) = resuming(holder.as_ref(), version);
                    assert_eq!(visit(&running, &config, first).1, status);
                    assert_eq!(visit(&running, &config, second).1, status, "{first}, then {second}, {version:?}");
                }
            }
        }
    }
    let (config, _) = resuming(Some(&ca.client("alice")), &TLS13);
    let mut stream = connect_as(running.addr, config, "a.test");
    let reply = exchange(&mut stream, "GET / HTTP/1.1\r\nHost: b.test\r\n\r\n").unwrap();
    assert_eq!(reply.status, 200, "there is one site, whatever it is called");
}
