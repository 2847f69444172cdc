//! Rows R5, T3 (while serving) and D6 of the immunity matrix: files that change while the server runs.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use mtls_min::{Files, Trust, TrustBuilder};
use rustls::HandshakeKind;

use crate::support::client::{GET, PATIENCE, TLS12, TLS13, Tls, VERSIONS, config, connect, eventually, exchange, get};
use crate::support::crl::Crl;
use crate::support::files::TempDir;
use crate::support::pki::{Ca, HOUR, self_signed};
use crate::support::server::{Running, start_watching, start_watching_with};

/// A directory with a CA's certificate, an empty list, and a server's certificate and key.
fn site(ca: &Ca) -> TempDir {
    let dir = TempDir::new();
    let server = ca.server();
    dir.write("ca.pem", ca.pem());
    dir.write("crl.pem", Crl::number(1).pem(ca));
    dir.write("server-crt.pem", server.pem());
    dir.write("server-key.pem", server.key_pem());
    dir
}

fn trust_in(dir: &Path) -> TrustBuilder {
    Trust::builder().pem_file(dir.join("ca.pem")).crl_file(dir.join("crl.pem"))
}

fn files(dir: &Path, trust: TrustBuilder) -> Files {
    Files::new(trust, dir.join("server-crt.pem"), dir.join("server-key.pem"))
}

fn watch(dir: &TempDir) -> Running {
    start_watching(files(dir.path(), trust_in(dir.path())))
}

fn status(running: &Running, holder: &crate::support::pki::Holder) -> u16 {
    get(running.addr, Some(holder), &TLS13).unwrap().status
}

/// A thousand clients with open connections, TLS 1.2 and 1.3 in turn, all asking in a loop while one list is replaced by a
/// rename: after that, each gets refused within a second, and never let in again.
#[test]
fn r5_a_revocation_reaches_a_thousand_open_connections() {
    const CLIENTS: usize = 1000;
    const THREADS: usize = 4;
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let running = watch(&dir);
    let alice = ca.client("alice");
    let renamed = std::sync::OnceLock::new();
    let ready = std::sync::Barrier::new(THREADS + 1);
    let mut delays: Vec<Duration> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    let mut streams: Vec<Option<Tls>> = (0..CLIENTS / THREADS)
                        .map(|n| Some(connect(running.addr, config(Some(&alice), VERSIONS[n % 2]))))
                        .collect();
                    let mut last: Vec<Option<Instant>> = vec![None; streams.len()];
                    for stream in streams.iter_mut().flatten() {
                        assert_eq!(exchange(stream, GET).unwrap().status, 200);
                    }
                    ready.wait();
                    while streams.iter().any(Option::is_some) {
                        assert!(
                            renamed.get().is_none_or(|renamed: &Instant| renamed.elapsed() < PATIENCE),
                            "not refused"
                        );
                        for (stream, last) in streams.iter_mut().zip(&mut last) {
                            let Some(open) = stream else { continue };
                            match exchange(open, GET).map(|reply| reply.status) {
                                Ok(200) => *last = Some(Instant::now()),
                                // Refused, or closed while it idled.
                                Ok(401) | Err(_) => *stream = None,
                                Ok(other) => panic!("status {other}"),
                            }
                        }
                    }
                    // Whoever comes after that is refused.
                    assert_eq!(get(running.addr, Some(&alice), &TLS12).unwrap().status, 401);
                    let renamed: &Instant = renamed.get().expect("refused before it was revoked");
                    last.into_iter()
                        .map(|last| last.map_or(Duration::ZERO, |last| last.saturating_duration_since(*renamed)))
                        .collect()
                })
            })
            .collect();
        ready.wait();
        let new = dir.write("crl.new", Crl::number(2).revoking(&alice).pem(&ca));
        renamed.set(Instant::now()).unwrap();
        fs::rename(new, dir.path().join("crl.pem")).unwrap();
        clients.into_iter().flat_map(|client| -> Vec<Duration> { client.join().unwrap() }).collect()
    });
    delays.sort_unstable();
    println!(
        "from the rename to the last 200: median {:?}, maximum {:?}",
        delays[delays.len() / 2],
        delays[delays.len() - 1]
    );
    assert_eq!(delays.len(), CLIENTS);
    running.seen.wait_for_event("Reloaded");
}

#[test]
fn idle_connections_of_clients_that_are_now_refused_are_closed_and_the_others_stay() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let running = watch(&dir);
    let (alice, bob) = (ca.client("alice"), ca.client("bob"));
    let open = |holder, version| {
        let mut stream = connect(running.addr, config(Some(holder), version));
        assert_eq!(exchange(&mut stream, GET).unwrap().status, 200);
        stream
    };
    let mut alices: Vec<_> = (0..40).map(|n| open(&alice, VERSIONS[n % 2])).collect();
    let mut bobs: Vec<_> = (0..40).map(|n| open(&bob, VERSIONS[n % 2])).collect();
    dir.replace("crl.pem", Crl::number(2).revoking(&alice).pem(&ca));
    for alice in &mut alices {
        // A close_notify, without a word of HTTP.
        assert_eq!(std::io::Read::read(alice, &mut [0; 16]).unwrap(), 0);
    }
    for bob in &mut bobs {
        assert_eq!(exchange(bob, GET).unwrap().status, 200);
    }
}

#[test]
fn r5_resumed_sessions_end_with_the_rest() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let loaded = files(dir.path(), trust_in(dir.path())).load().unwrap();
    let server = mtls_min::Server::watching(listener, loaded).resumption().build().unwrap();
    let shutdown = server.shutdown_handle();
    let thread =
        std::thread::spawn(move || server.serve(|_: &mut mtls_min::Request<'_>| mtls_min::Response::default()));
    let alice = ca.client("alice");
    for (number, version) in (2..).zip(VERSIONS) {
        let config = std::sync::Arc::new(config(Some(&alice), version));
        let visit = || {
            let mut stream = crate::support::client::connect_as(addr, std::sync::Arc::clone(&config), "localhost");
            let status = exchange(&mut stream, GET).unwrap().status;
            (stream, status)
        };
        dir.replace("crl.pem", Crl::number(number * 2).pem(&ca));
        eventually(|| visit().1 == 200);
        eventually(|| visit().0.conn.handshake_kind() == Some(HandshakeKind::Resumed));
        let (mut open, _) = visit();
        dir.replace("crl.pem", Crl::number(number * 2 + 1).revoking(&alice).pem(&ca));
        eventually(|| !matches!(exchange(&mut open, GET), Ok(reply) if reply.status == 200));
        for _ in 0..6 {
            assert_eq!(visit().1, 401, "{version:?}");
        }
    }
    shutdown.shutdown();
    thread.join().unwrap().unwrap();
}

/// Every way in which files are changed: in place, by a rename, over symbolic links.
#[test]
fn every_way_of_changing_a_file_is_noticed() {
    let (one, two) = (Ca::new("one"), Ca::new("two"));
    let (alice, bob) = (one.client("alice"), two.client("bob"));
    let dir = TempDir::new();
    let server = one.server();
    // As Kubernetes mounts secrets: the files are links through `..data`, which is turned to another directory.
    for (name, ca) in [("..one", &one), ("..two", &two)] {
        fs::create_dir(dir.path().join(name)).unwrap();
        dir.write(&format!("{name}/ca.pem"), ca.pem());
    }
    symlink("..one", dir.path().join("..data")).unwrap();
    symlink("..data/ca.pem", dir.path().join("ca.pem")).unwrap();
    dir.write("server-crt.pem", server.pem());
    dir.write("server-key.pem", server.key_pem());
    let running = start_watching(files(dir.path(), Trust::builder().pem_file(dir.path().join("ca.pem"))));
    let is_two = |expected: bool| {
        eventually(|| {
            (status(&running, &alice), status(&running, &bob)) == if expected { (401, 200) } else { (200, 401) }
        });
    };
    is_two(false);
    symlink("..two", dir.path().join("..data.new")).unwrap();
    fs::rename(dir.path().join("..data.new"), dir.path().join("..data")).unwrap();
    is_two(true);
    fs::write(dir.path().join("ca.pem"), one.pem()).unwrap();
    is_two(false);
    dir.replace("ca.pem", two.pem());
    is_two(true);
    fs::remove_file(dir.path().join("ca.pem")).unwrap();
    symlink("..one/ca.pem", dir.path().join("ca.pem")).unwrap();
    is_two(false);
    assert_eq!(running.seen.events().iter().filter(|event| event.contains("ReloadFailed")).count(), 0);
}

#[test]
fn new_connections_are_shown_the_new_server_certificate() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let running = watch(&dir);
    let shown = || {
        let mut stream = connect(running.addr, config(None, &TLS13));
        exchange(&mut stream, GET).unwrap();
        stream.conn.peer_certificates().unwrap()[0].to_vec()
    };
    let new = ca.server();
    assert_ne!(shown(), new.chain[0].to_vec());
    // The certificate alone does not fit the key: nothing changes until both are there.
    dir.replace("server-crt.pem", new.pem());
    running.seen.wait_for_event("is not the key of");
    assert_ne!(shown(), new.chain[0].to_vec());
    dir.replace("server-key.pem", new.key_pem());
    eventually(|| shown() == new.chain[0].to_vec());
}

#[test]
fn t3_a_bad_file_leaves_what_was_in_force_and_is_told_once() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    dir.write("policy", "/ any\n");
    let running = start_watching(files(dir.path(), trust_in(dir.path()).policy_file(dir.path().join("policy"))));
    let (alice, mallory) = (ca.client("alice"), Ca::new("other").client("mallory"));
    let good: Vec<_> = ["ca.pem", "crl.pem", "policy", "server-key.pem"]
        .map(|name| (name, fs::read(dir.path().join(name)).unwrap()))
        .into();
    let failures = || running.seen.events().iter().filter(|event| event.contains("ReloadFailed")).count();
    for (number, (name, content, words)) in (1..).zip([
        ("ca.pem", "", "the file is empty"),
        ("ca.pem", "nonsense", "holds no certificate"),
        ("ca.pem", &(ca.pem() + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "cannot be read"),
        ("ca.pem", &ca.key_pem(), "PRIVATE KEY"),
        ("crl.pem", "", "holds no revocation list"),
        ("crl.pem", &Crl { number: Some(vec![0]), ..Crl::number(0) }.pem(&ca), "lower than 1"),
        ("crl.pem", &Crl::number(2).pem(&Ca::new("ca")), "not its signature"),
        ("policy", "/ nobody\n", "line 1"),
        ("policy", "", "has no line"),
        ("server-key.pem", "", "holds no private key"),
    ]) {
        dir.replace(name, content);
        eventually(|| failures() == number);
        let told = running.seen.events().into_iter().rfind(|event| event.contains("ReloadFailed")).unwrap();
        assert!(told.contains(words), "{name}: {told}");
        assert_eq!((status(&running, &alice), status(&running, &mallory)), (200, 401));
        for (name, content) in &good {
            dir.write(name, content);
        }
        let before = running.seen.events().iter().filter(|event| event.contains("Reloaded")).count();
        eventually(|| running.seen.events().iter().filter(|event| event.contains("Reloaded")).count() > before);
    }
    fs::remove_file(dir.path().join("ca.pem")).unwrap();
    running.seen.wait_for_event("No such file");
    assert_eq!((status(&running, &alice), status(&running, &mallory)), (200, 401));
}

/// What ages while nobody touches it must not keep a later revocation out.
/// Parsers have had bugs (RUSTSEC-2026-0104). Here it is the clock, which is asked when the files are read.
#[test]
fn t3_a_panic_while_the_files_are_read_is_not_the_last_reading() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let (asked, is_broken) = (std::sync::Arc::new(AtomicBool::new(false)), std::sync::Arc::new(AtomicBool::new(false)));
    let (was_asked, broken) = (std::sync::Arc::clone(&asked), std::sync::Arc::clone(&is_broken));
    let clock = move || {
        was_asked.store(true, Ordering::SeqCst);
        assert!(!broken.load(Ordering::SeqCst), "the clock's own");
        SystemTime::now()
    };
    let running = start_watching_with(files(dir.path(), trust_in(dir.path())), |builder| builder.clock(clock));
    // Once at the start; from then on, nobody asks before the files are read.
    eventually(|| asked.load(Ordering::SeqCst));
    is_broken.store(true, Ordering::SeqCst);
    running.trust.reload();
    running.seen.wait_for_event("the clock's own");
    is_broken.store(false, Ordering::SeqCst);
    let alice = ca.client("alice");
    assert_eq!(status(&running, &alice), 200);
    dir.replace("crl.pem", Crl::number(2).revoking(&alice).pem(&ca));
    eventually(|| status(&running, &alice) == 401);
}

#[test]
fn a_ca_that_expires_while_it_is_trusted_does_not_stop_the_reading_of_the_files() {
    let (ca, clock) = (Ca::new("ca"), SystemTime::now() + 2 * HOUR);
    let old = Ca::with("old", |params| params.not_after = (SystemTime::now() + HOUR).into());
    let alice = ca.client("alice");
    let list = |number: u8| Crl::number(number).pem(&ca);
    let made_of = |cas: &str, list: String| Trust::builder().pem(cas, "ca.pem").crl(list, "crl.pem");
    let both = ca.pem() + &old.pem();
    let before = made_of(&both, list(1)).build().unwrap();
    let later = made_of(&both, Crl::number(2).revoking(&alice).pem(&ca)).now(clock);
    assert!(later.build().is_err(), "at the start it is told");
    let after = later.rebuild(&before).unwrap();
    let refused = |trust: &Trust, holder: &crate::support::pki::Holder| {
        matches!(mtls_min::judge(&holder.chain, trust, clock).verdict, mtls_min::Verdict::Refused(_))
    };
    assert!(refused(&after, &alice) && refused(&after, &old.client("bob")) && !refused(&after, &ca.client("carol")));
    assert!(after.warnings(clock).iter().any(|warning| warning.contains("the CA CN=old expired on")));
    // One that comes in expired is a mistake.
    let only_ca = made_of(&ca.pem(), list(1)).build().unwrap();
    let error = later.rebuild(&only_ca).unwrap_err().to_string();
    assert!(error.contains("the CA CN=old expired on"), "{error}");
}

/// The list in force was of the present when it was read, or nobody would be judged by it.
#[test]
fn a_clock_that_is_set_back_does_not_stop_the_reading_of_the_files() {
    let (ca, other) = (Ca::new("ca"), Ca::new("other"));
    let (alice, earlier) = (other.client("alice"), SystemTime::now() - HOUR / 2);
    let made_of = |ca_list: Crl, other_list: Crl| {
        let lists = ca_list.pem(&ca) + &other_list.pem(&other);
        Trust::builder().pem(ca.pem() + &other.pem(), "ca.pem").crl(lists, "crl.pem")
    };
    let issued = SystemTime::now() - HOUR / 4;
    let recent = |number: u8| Crl { this_update: issued, ..Crl::number(number) };
    let before = made_of(recent(1), Crl::number(1)).build().unwrap();
    let later = made_of(recent(1), Crl::number(2).revoking(&alice)).now(earlier);
    let after = later.rebuild(&before).unwrap();
    let verdict = mtls_min::judge(&alice.chain, &after, earlier).verdict;
    assert!(matches!(verdict, mtls_min::Verdict::Refused(_)));
    // One that comes in from the future, in the place of one that is good, is a mistake.
    let error = made_of(recent(1), recent(3)).now(earlier).rebuild(&after).unwrap_err().to_string();
    assert!(error.contains("from the future"), "{error}");
    // In the place of one that is from the future itself, it is not.
    made_of(recent(2), Crl::number(3).revoking(&alice)).now(earlier).rebuild(&after).unwrap();
}

/// A pipe can be opened for reading only when somebody writes; whoever opens it waits.
#[test]
fn a_pipe_in_the_place_of_a_file_is_an_error_and_stops_nothing() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let running = watch(&dir);
    let alice = ca.client("alice");
    let pipe = dir.path().join("crl.pem");
    fs::remove_file(&pipe).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from_raw_mode(0o644)).unwrap();
    running.seen.wait_for_event("it is no regular file");
    assert_eq!(status(&running, &alice), 200);
    dir.replace("crl.pem", Crl::number(2).revoking(&alice).pem(&ca));
    eventually(|| status(&running, &alice) == 401);
}

#[test]
fn d6_a_storm_of_half_written_files_never_opens_or_empties_the_trust() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let running = watch(&dir);
    let (alice, mallory) = (ca.client("alice"), Ca::new("other").client("mallory"));
    let pem = ca.pem();
    let writing = AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..1000 {
                if round % 2 == 0 {
                    let mut file = fs::File::create(dir.path().join("ca.pem")).unwrap();
                    for byte in pem.as_bytes() {
                        file.write_all(&[*byte]).unwrap();
                    }
                } else {
                    dir.replace("ca.pem", &pem);
                }
            }
            writing.store(false, Ordering::SeqCst);
        });
        while writing.load(Ordering::SeqCst) {
            running.trust.reload();
            assert_eq!((status(&running, &alice), status(&running, &mallory)), (200, 401));
        }
    });
    let before = running.seen.events().len();
    running.trust.reload();
    eventually(|| running.seen.events()[before..].iter().any(|event| event.contains("Reloaded")));
    assert_eq!((status(&running, &alice), status(&running, &mallory)), (200, 401));
}

/// Files are best read at rest; but whoever writes on and on must not keep a revocation out.
#[test]
fn files_that_never_come_to_rest_are_read_all_the_same() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let running = watch(&dir);
    let alice = ca.client("alice");
    dir.replace("crl.pem", Crl::number(2).revoking(&alice).pem(&ca));
    eventually(|| {
        dir.replace("ca.pem", ca.pem());
        status(&running, &alice) == 401
    });
}

#[test]
fn a_list_from_the_future_is_taken_when_its_time_has_come() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let running = watch(&dir);
    let alice = ca.client("alice");
    // Long enough for a second try.
    let soon = SystemTime::now() + Duration::from_secs(7);
    dir.replace("crl.pem", Crl { this_update: soon, ..Crl::number(2) }.revoking(&alice).pem(&ca));
    running.seen.wait_for_event("from the future");
    assert_eq!(status(&running, &alice), 200);
    // Nothing changes any more but the time.
    eventually(|| status(&running, &alice) == 401);
    let failures = running.seen.events().iter().filter(|event| event.contains("ReloadFailed")).count();
    assert_eq!(failures, 1, "the same failure is told once");
}

#[test]
fn a_certificate_in_the_directory_is_let_in_under_its_name_and_out_when_it_is_gone() {
    let dir = TempDir::new();
    let server = Ca::new("server").server();
    dir.write("server-crt.pem", server.pem());
    dir.write("server-key.pem", server.key_pem());
    fs::create_dir(dir.path().join("clients")).unwrap();
    let clients = dir.path().join("clients");
    // No CA at all.
    let running = start_watching(files(dir.path(), Trust::builder().authorized_clients(&clients)));
    let (alice, bob) = (self_signed("alice"), self_signed("bob"));
    assert_eq!((status(&running, &alice), status(&running, &bob)), (401, 401));
    let put = |name: &str, content: &str| dir.replace(&format!("clients/{name}"), content);
    put("laptop.pem", &alice.pem());
    eventually(|| status(&running, &alice) == 200);
    assert_eq!(running.trust.current().authorized_clients(), Some(1));
    let mut open = connect(running.addr, config(Some(&alice), &TLS12));
    assert_eq!(exchange(&mut open, GET).unwrap().status, 200);
    // Another client under the same name; what is no certificate file does not count.
    dir.write("clients/README.txt", "not a certificate");
    dir.write("clients/.hidden.pem", "not a certificate");
    put("phone.crt", &bob.pem());
    eventually(|| status(&running, &bob) == 200);
    fs::remove_file(clients.join("laptop.pem")).unwrap();
    eventually(|| status(&running, &alice) == 401);
    assert!(!matches!(exchange(&mut open, GET), Ok(reply) if reply.status == 200), "the open connection too");
    assert_eq!(status(&running, &bob), 200);
    // In place, by another's; the directory itself does not change.
    fs::write(clients.join("phone.crt"), alice.pem()).unwrap();
    eventually(|| (status(&running, &alice), status(&running, &bob)) == (200, 401));
    // A file that is wrong is told, and changes nothing for others.
    put("twice.pem", &alice.pem());
    running.seen.wait_for_event("the same certificate as the file of phone");
    put("twice.pem", &(bob.pem() + &alice.pem()));
    running.seen.wait_for_event("holds 2 certificates");
    put("twice.pem", "");
    running.seen.wait_for_event("the file is empty");
    assert_eq!((status(&running, &alice), status(&running, &bob)), (200, 401));
    // Its own client stays as it was.
    put("phone.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    running.seen.wait_for_event("phone.crt, line 1: this certificate is broken");
    put("tablet.CER", &bob.pem());
    eventually(|| status(&running, &bob) == 200);
    assert_eq!((status(&running, &alice), running.trust.current().authorized_clients()), (200, Some(2)));
    put("tablet.pem", &alice.pem());
    running.seen.wait_for_event("are of one name");
    fs::remove_file(clients.join("phone.crt")).unwrap();
    eventually(|| status(&running, &alice) == 401);
    assert_eq!(status(&running, &bob), 200);
    fs::remove_dir_all(&clients).unwrap();
    running.seen.wait_for_event("cannot read the directory of authorised clients");
    assert_eq!(status(&running, &bob), 200, "a directory that is gone is a mistake; an empty one lets nobody in");
}

/// What stays as it was is the client of a file that cannot be read, and nobody who stands in no file any more.
#[test]
fn a_certificate_that_no_file_holds_any_more_is_out_whatever_became_of_its_file() {
    let dir = TempDir::new();
    fs::create_dir(dir.path().join("clients")).unwrap();
    let (alice, bob, carol) = (self_signed("alice"), self_signed("bob"), self_signed("carol"));
    let put = |name: &str, content: &str| dir.write(&format!("clients/{name}"), content);
    let remove = |name: &str| fs::remove_file(dir.path().join(name)).unwrap();
    let builder = Trust::builder().authorized_clients(dir.path().join("clients"));
    let names = |trust: &Trust| {
        let name = |holder: &crate::support::pki::Holder| match mtls_min::judge(&holder.chain, trust, SystemTime::now())
            .verdict
        {
            mtls_min::Verdict::Authorised(identity) => identity.known_as().unwrap().to_owned(),
            mtls_min::Verdict::Refused(_) => String::new(),
        };
        [&alice, &bob, &carol].map(name)
    };
    // A link whose target is taken away.
    dir.write("alice.pem", alice.pem());
    symlink("../alice.pem", dir.path().join("clients/laptop.pem")).unwrap();
    put("phone.pem", &bob.pem());
    let trust = builder.build().unwrap();
    assert_eq!(names(&trust), ["laptop", "phone", ""]);
    remove("alice.pem");
    assert!(builder.build().is_err(), "at the start it is told");
    let trust = builder.rebuild(&trust).unwrap();
    assert_eq!(names(&trust), ["", "phone", ""]);
    let warnings = trust.warnings(SystemTime::now());
    assert!(warnings[0].contains("laptop.pem") && warnings[0].contains("nobody is let in by it"), "{warnings:?}");
    // A file that now holds another's certificate.
    dir.write("alice.pem", alice.pem());
    let trust = builder.rebuild(&trust).unwrap();
    put("phone.pem", &alice.pem());
    let trust = builder.rebuild(&trust).unwrap();
    assert_eq!(names(&trust), ["laptop", "", ""]);
    // Of two files of one name neither counts: who had it before keeps it, however often they are read.
    put("phone.pem", &bob.pem());
    let trust = builder.rebuild(&trust).unwrap();
    put("phone.crt", &carol.pem());
    let trust = (0..8).fold(trust, |trust, _| builder.rebuild(&trust).unwrap());
    assert_eq!(names(&trust), ["laptop", "phone", ""]);
    assert_eq!(trust.authorized_clients(), Some(2));
    remove("clients/phone.pem");
    let trust = builder.rebuild(&trust).unwrap();
    assert_eq!(names(&trust), ["laptop", "", "phone"]);
    // The file of a client that has another name now is read, whatever stands in the old one.
    put("phone.crt", "");
    put("tablet.pem", &carol.pem());
    assert_eq!(names(&builder.rebuild(&trust).unwrap()), ["laptop", "", "tablet"]);
}

#[test]
fn an_authorised_client_still_has_to_be_in_time_and_to_prove_its_key() {
    let dir = TempDir::new();
    let expired = crate::support::pki::self_signed_with("old", |params| {
        params.not_after = (SystemTime::now() - Duration::from_secs(60)).into();
    });
    let alice = self_signed("alice");
    dir.write("old.pem", expired.pem());
    dir.write("alice.cer", &alice.chain[0]);
    let trust = Trust::builder().authorized_clients(dir.path()).build().unwrap();
    let running = crate::support::server::start(trust);
    let reply = get(running.addr, Some(&alice), &TLS13).unwrap();
    assert_eq!(reply.status, 200);
    assert_eq!(status(&running, &expired), 401);
    let thief = crate::support::pki::Holder { chain: alice.chain.clone(), key: expired.key.clone_key() };
    assert!(get(running.addr, Some(&thief), &TLS13).is_err());
    assert_eq!(running.seen.sorted_codes(2), ["CN=alice", "expired"]);
}

/// A change that comes while an answer is under way counts for the connection as soon as that is sent.
#[test]
fn a_client_that_is_refused_while_it_is_answered_does_not_stay_idle() {
    let ca = Ca::new("ca");
    let handle = std::sync::Arc::new(std::sync::OnceLock::<mtls_min::TrustHandle>::new());
    let in_handler = std::sync::Arc::clone(&handle);
    let other = Ca::new("other").pem();
    let running = crate::support::server::start_with(
        crate::support::server::trust(&ca),
        |builder| builder,
        move |_: &mut mtls_min::Request<'_>| {
            in_handler.get().unwrap().replace(Trust::builder().pem(other.clone(), "other").build().unwrap()).unwrap();
            mtls_min::Response::new("the last".into())
        },
    );
    handle.set(running.trust.clone()).unwrap();
    let mut stream = connect(running.addr, config(Some(&ca.client("alice")), &TLS13));
    assert_eq!(exchange(&mut stream, GET).unwrap().body, "the last");
    assert_eq!(std::io::Read::read(&mut stream, &mut [0; 16]).unwrap(), 0, "it was left open");
}

/// A client that has shaken hands, and whose request is on its way, is told 401 and not just cut off.
#[test]
fn a_client_that_is_refused_before_its_first_request_is_answered_all_the_same() {
    let (ca, other) = (Ca::new("ca"), Ca::new("other"));
    let running = crate::support::server::start(crate::support::server::trust(&ca));
    let mut waiting: Vec<_> =
        (0..20).map(|_| connect(running.addr, config(Some(&ca.client("alice")), &TLS13))).collect();
    for stream in &mut waiting {
        stream.conn.complete_io(&mut stream.sock).unwrap();
    }
    let mut idle = connect(running.addr, config(Some(&ca.client("alice")), &TLS13));
    assert_eq!(exchange(&mut idle, GET).unwrap().status, 200);
    running.trust.replace(crate::support::server::trust(&other)).unwrap();
    // Once this one is closed, all have been looked at.
    assert_eq!(std::io::Read::read(&mut idle, &mut [0; 16]).unwrap(), 0);
    for stream in &mut waiting {
        assert_eq!(exchange(stream, GET).unwrap().status, 401);
    }
}
