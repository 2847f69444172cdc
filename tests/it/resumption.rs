//! Rows R1, R2, R6 and R7 of the immunity matrix: nothing of an old handshake lets anybody in.

use std::io::Read;
use std::sync::Arc;

use rustls::client::ClientSessionStore;
use rustls::client::{Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind, NamedGroup, SupportedProtocolVersion};

use crate::support::client::{GET, VERSIONS, config, connect_as, exchange};
use crate::support::pki::{Ca, Holder};
use crate::support::server::{start, trust};

/// Remembers whether the server ever gave a ticket or a session.
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

impl ClientSessionStore for Store {
    fn set_kx_hint(&self, name: ServerName<'static>, group: NamedGroup) {
        self.cache().set_kx_hint(name, group);
    }
    fn kx_hint(&self, name: &ServerName<'_>) -> Option<NamedGroup> {
        self.cache().kx_hint(name)
    }
    fn set_tls12_session(&self, name: ServerName<'static>, value: Tls12ClientSessionValue) {
        *self.given.lock().unwrap() += 1;
        self.cache().set_tls12_session(name, value);
    }
    fn tls12_session(&self, name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.cache().tls12_session(name)
    }
    fn remove_tls12_session(&self, name: &ServerName<'static>) {
        self.cache().remove_tls12_session(name);
    }
    fn insert_tls13_ticket(&self, name: ServerName<'static>, value: Tls13ClientSessionValue) {
        *self.given.lock().unwrap() += 1;
        self.cache().insert_tls13_ticket(name, value);
    }
    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.cache().take_tls13_ticket(name)
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
            // To the end, where tickets would have come.
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
    let (config, store) = resuming(Some(&ca.client("alice")), &rustls::version::TLS13);
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
        assert_eq!(exchange(&mut stream, GET).unwrap().status, 401);
        let mut stream = connect_as(running.addr, config, "localhost");
        assert_eq!(exchange(&mut stream, GET).unwrap().status, 401);
    }
    assert_eq!(running.calls(), 2);
}
