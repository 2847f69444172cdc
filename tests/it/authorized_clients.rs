//! A directory of authorised clients: who is in it is let in, under the name of the file.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use mtls_min::Trust;

use crate::support::client::{GET, TLS12, TLS13, config, connect, eventually, exchange, get};
use crate::support::files::TempDir;
use crate::support::pki::{Ca, self_signed};
use crate::support::server::start_watching;
use crate::support::watched::{files, status};

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
    // Another client under the same name. A file that is not a certificate file does not count.
    dir.write("clients/README.txt", "not a certificate");
    dir.write("clients/.hidden.pem", "not a certificate");
    put("phone.crt", &bob.pem());
    eventually(|| status(&running, &bob) == 200);
    fs::remove_file(clients.join("laptop.pem")).unwrap();
    eventually(|| status(&running, &alice) == 401);
    assert!(!matches!(exchange(&mut open, GET), Ok(reply) if reply.status == 200), "the open connection too");
    assert_eq!(status(&running, &bob), 200);
    // The file is overwritten with another certificate; the directory itself does not change.
    fs::write(clients.join("phone.crt"), alice.pem()).unwrap();
    eventually(|| (status(&running, &alice), status(&running, &bob)) == (200, 401));
    // A bad file is reported, and changes nothing for others.
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
    running.seen.wait_for_event("have the same name");
    fs::remove_file(clients.join("phone.crt")).unwrap();
    eventually(|| status(&running, &alice) == 401);
    assert_eq!(status(&running, &bob), 200);
    fs::remove_dir_all(&clients).unwrap();
    running.seen.wait_for_event("cannot read the directory of authorised clients");
    assert_eq!(status(&running, &bob), 200, "a directory that is gone is a mistake; an empty one lets nobody in");
}

/// The client of a file that cannot be read stays as it was. A client that is in no file any more does not.
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
    assert!(warnings[0].contains("laptop.pem") && warnings[0].contains("it lets nobody in"), "{warnings:?}");
    // A file that now holds another's certificate.
    dir.write("alice.pem", alice.pem());
    let trust = builder.rebuild(&trust).unwrap();
    put("phone.pem", &alice.pem());
    let trust = builder.rebuild(&trust).unwrap();
    assert_eq!(names(&trust), ["laptop", "", ""]);
    // Of two files for one name neither counts: the client that had the name keeps it, however often they are read.
    put("phone.pem", &bob.pem());
    let trust = builder.rebuild(&trust).unwrap();
    put("phone.crt", &carol.pem());
    let trust = (0..8).fold(trust, |trust, _| builder.rebuild(&trust).unwrap());
    assert_eq!(names(&trust), ["laptop", "phone", ""]);
    assert_eq!(trust.authorized_clients(), Some(2));
    remove("clients/phone.pem");
    let trust = builder.rebuild(&trust).unwrap();
    assert_eq!(names(&trust), ["laptop", "", "phone"]);
    // A client's file under a new name is read, whatever the old file holds.
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
