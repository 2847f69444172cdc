//! When clients should not be sent here, and what is said of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, SystemTime};

use mtls_min::{Request, Response, ServerFiles, StaleCrl, Trust};

use crate::support::admin::{Watched, start, start_watching, start_with};
use crate::support::client::{TLS13, config, connect, eventually, get, send};
use crate::support::crl::Crl;
use crate::support::pki::{Ca, HOUR};
use crate::support::server::trust;
use crate::support::watched::{files, site, trust_in};

/// Says what readiness is, without what follows.
fn said(watched: &Watched) -> (u16, String) {
    let reply = watched.ask("/readyz");
    (reply.status, reply.body)
}

fn ready(watched: &Watched) {
    eventually(|| said(watched) == (200, "ready\n".to_owned()));
}

#[test]
fn a_server_that_drains_is_not_ready_but_works() {
    let ca = Ca::new("ca");
    let (tell, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let watched = start_with(
        trust(&ca),
        |builder| builder,
        move |_: &mut Request<'_>| {
            told.lock().unwrap().recv().unwrap();
            Response::new("finished".into())
        },
    );
    ready(&watched);
    let mut busy = connect(watched.running.addr, config(Some(&ca.client("alice")), &TLS13));
    send(&mut busy, crate::support::client::GET);
    eventually(|| watched.running.calls() == 1);
    watched.running.shutdown.shutdown();
    assert_eq!(said(&watched), (503, "the server is stopping\n".to_owned()));
    assert_eq!(watched.ask("/healthz").status, 200);
    assert_eq!(watched.figures().get("stopping"), Some(1.0));
    tell.send(()).unwrap();
}

#[test]
fn what_is_expired_is_named_a_line_each() {
    let ca = Ca::new("the old CA");
    let offset = Arc::new(AtomicU64::new(0));
    let days = Arc::clone(&offset);
    let clock = move || SystemTime::now() + Duration::from_secs(days.load(Ordering::SeqCst) * 24 * 60 * 60);
    let watched = start(trust(&ca), |builder| builder.clock(clock));
    ready(&watched);
    offset.store(100 * 365, Ordering::SeqCst);
    let (status, text) = said(&watched);
    assert_eq!((status, text.lines().count()), (503, 2), "{text}");
    assert!(
        text.contains("the server's certificate CN=") && text.contains("the CA CN=the old CA expired on "),
        "{text}"
    );
    assert!(watched.figures().sum("certificate_expires_seconds{kind=\"server\"") < 0.0);
    offset.store(0, Ordering::SeqCst);
    ready(&watched);
}

#[test]
fn a_stale_list_counts_if_clients_are_refused_for_it() {
    let ca = Ca::new("ca");
    for (stale, is_ready) in [(StaleCrl::Refuse, false), (StaleCrl::Warn, true)] {
        let offset = Arc::new(AtomicU64::new(0));
        let seconds = Arc::clone(&offset);
        let clock = move || SystemTime::now() + Duration::from_secs(seconds.load(Ordering::SeqCst));
        let list = Crl { next_update: Some(SystemTime::now() + 48 * HOUR), ..Crl::number(1) };
        let trust = Trust::builder().pem(ca.pem(), "ca").crl(list.der(&ca), "list").stale_crl(stale);
        let watched = start(trust.build().unwrap(), |builder| builder.clock(clock));
        ready(&watched);
        let left = watched.figures().sum("certificate_expires_seconds{kind=\"crl\"");
        assert!(left > 0.0);
        offset.store(left as u64 + 10, Ordering::SeqCst);
        let (status, text) = said(&watched);
        assert_eq!(status == 200, is_ready, "{text}");
        assert!(is_ready || text.starts_with("the revocation list of CN=ca is stale since "), "{text}");
    }
}

#[test]
fn a_failed_reload_is_told_and_changes_no_readiness() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let files: ServerFiles = files(dir.path(), trust_in(dir.path()));
    let watched = start_watching(files, |builder| builder);
    ready(&watched);
    assert_eq!(watched.figures().get("last_reload_success"), Some(1.0));
    let good = std::fs::read(dir.path().join("ca.pem")).unwrap();
    dir.replace("ca.pem", "nonsense");
    watched.wait_for("last_reload_success", 0.0);
    watched.wait_for("reloads_total{result=\"failure\"}", 1.0);
    let (status, text) = said(&watched);
    assert_eq!(status, 200);
    assert!(text.starts_with("ready\nnote: the last reload failed, and what was in force before still is: "), "{text}");
    assert!(text.contains("ca.pem"), "{text}");
    assert_eq!(get(watched.running.addr, Some(&ca.client("alice")), &TLS13).unwrap().status, 200);
    let before = watched.figures();
    dir.replace("ca.pem", good);
    watched.wait_for("last_reload_success", 1.0);
    watched.wait_for("reloads_total{result=\"success\"}", 1.0);
    ready(&watched);
    let after = watched.figures();
    for name in ["last_reload_timestamp_seconds", "trust_generation"] {
        assert!(after.get(name) > before.get(name), "{name}");
    }
}
