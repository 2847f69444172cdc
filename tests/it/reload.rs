//! Rows T3 (while serving) and D6 of the immunity matrix: files that change while the server runs.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use mtls_min::{ServerFiles, Trust};

use crate::support::client::{GET, TLS13, config, connect, eventually, exchange};
use crate::support::crl::Crl;
use crate::support::files::TempDir;
use crate::support::pki::{Ca, HOUR};
use crate::support::server::{Running, start_watching, start_watching_with};
use crate::support::watched::{files, site, status, trust_in, watch};

/// Every way in which files are changed: in place, by a rename, over symbolic links.
#[test]
fn every_way_of_changing_a_file_is_noticed() {
    let (one, two) = (Ca::new("one"), Ca::new("two"));
    let (alice, bob) = (one.client("alice"), two.client("bob"));
    let dir = TempDir::new();
    let server = one.server();
    // As Kubernetes mounts secrets: the files are links through `..data`, which is changed to another directory.
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

/// The certificate that new connections are shown.
fn shown(running: &Running) -> Vec<u8> {
    let mut stream = connect(running.addr, config(None, &TLS13));
    exchange(&mut stream, GET).unwrap();
    stream.conn.peer_certificates().unwrap()[0].to_vec()
}

/// certbot keeps all certificates in archive/, and turns the links in live/: each is removed and made anew, one after the other.
#[test]
fn the_links_of_certbot_are_noticed_when_they_are_turned() {
    let ca = Ca::new("ca");
    let dir = TempDir::new();
    let [live, archive] = ["live/example.org", "archive/example.org"].map(|name| dir.path().join(name));
    for directory in [&live, &archive] {
        fs::create_dir_all(directory).unwrap();
    }
    let renew = |number: u32| {
        let holder = ca.server();
        let files =
            [("cert", holder.pem()), ("chain", ca.pem()), ("fullchain", holder.pem()), ("privkey", holder.key_pem())];
        for (kind, content) in &files {
            fs::write(archive.join(format!("{kind}{number}.pem")), content).unwrap();
        }
        for (kind, _) in files {
            let link = live.join(format!("{kind}.pem"));
            let _ = fs::remove_file(&link);
            symlink(format!("../../archive/example.org/{kind}{number}.pem"), link).unwrap();
        }
        holder.chain[0].to_vec()
    };
    let first = renew(1);
    let trust = Trust::builder().pem_file(dir.write("ca.pem", ca.pem()));
    let running = start_watching(ServerFiles::new(trust, live.join("fullchain.pem"), live.join("privkey.pem")));
    assert_eq!(shown(&running), first);
    for number in 2..4 {
        let renewed = renew(number);
        eventually(|| shown(&running) == renewed);
    }
}

#[test]
fn new_connections_are_shown_the_new_server_certificate() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let running = watch(&dir);
    let shown = || shown(&running);
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
        ("crl.pem", &Crl::number(2).pem(&Ca::new("ca")), "not signed with its key"),
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
/// Parsers have had bugs (RUSTSEC-2026-0104). Here the clock panics, which is asked when the files are read.
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
    // Asked once at the start; after that, not before the files are read.
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
    // An expired CA that was not loaded before is a mistake.
    let only_ca = made_of(&ca.pem(), list(1)).build().unwrap();
    let error = later.rebuild(&only_ca).unwrap_err().to_string();
    assert!(error.contains("the CA CN=old expired on"), "{error}");
}

/// The list in force was not from the future when it was read, or it would not be in force.
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
    // A list from the future that replaces a good one is a mistake.
    let error = made_of(recent(1), recent(3)).now(earlier).rebuild(&after).unwrap_err().to_string();
    assert!(error.contains("from the future"), "{error}");
    // One that replaces another list from the future is not.
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
    running.seen.wait_for_event("it is not a regular file");
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

/// Files are read when nobody writes them; but a file that is written without end must not keep a revocation out.
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
