//! Files that are mounted as Kubernetes mounts Secrets and ConfigMaps: a change counts on every replica within a second.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use mtls_min::{ServerFiles, Trust};

use crate::support::client::{PATIENCE, TLS13, get};
use crate::support::crl::Crl;
use crate::support::files::TempDir;
use crate::support::pki::{Ca, Holder};
use crate::support::server::{Running, start_watching};

/// Writes a volume as the kubelet does: a new directory, to which `..data` is turned by a rename; then the old one is removed. The
/// files that are seen are links through `..data`, and stay as they are.
fn project(volume: &TempDir, generation: u32, name: &str, content: &str) {
    let path = |name: &str| volume.path().join(name);
    let directory = format!("..2026_11_29_{generation}");
    fs::create_dir(path(&directory)).unwrap();
    volume.write(&format!("{directory}/{name}"), content);
    let before = fs::read_link(path("..data"));
    symlink(&directory, path("..data_tmp")).unwrap();
    fs::rename(path("..data_tmp"), path("..data")).unwrap();
    match before {
        Ok(before) => fs::remove_dir_all(path(before.to_str().unwrap())).unwrap(),
        Err(_) => symlink(format!("..data/{name}"), path(name)).unwrap(),
    }
}

/// Asks each replica until it answers so, and how long after `since` the last request was made that it answered otherwise.
fn delays(replicas: &[Running], holder: &Holder, status: u16, since: Instant) -> Vec<Duration> {
    let asked = |replica: &Running| {
        let mut last = Duration::ZERO;
        loop {
            let now = since.elapsed();
            if get(replica.addr, Some(holder), &TLS13).unwrap().status == status {
                return last;
            }
            last = now;
            assert!(last < PATIENCE, "never {status}");
        }
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = replicas.iter().map(|replica| scope.spawn(|| asked(replica))).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

#[test]
fn a_list_and_a_ca_in_mounted_volumes_count_on_every_replica_within_a_second() {
    let (one, two) = (Ca::new("one"), Ca::new("two"));
    let (alice, bob) = (one.client("alice"), two.client("bob"));
    let (cas, lists, server) = (TempDir::new(), TempDir::new(), TempDir::new());
    server.write_certificates("", &one);
    project(&cas, 1, "ca.pem", &one.pem());
    project(&lists, 1, "crl.pem", &Crl::number(1).pem(&one));
    let replicas: Vec<Running> = (0..3)
        .map(|_| {
            let trust = Trust::builder().pem_file(cas.path().join("ca.pem")).crl_file(lists.path().join("crl.pem"));
            let path = |name: &str| server.path().join(name);
            start_watching(ServerFiles::new(trust, path("server-crt.pem"), path("server-key.pem")))
        })
        .collect();
    let within_a_second = |holder: &Holder, status: u16, since: Instant| {
        let delays = delays(&replicas, holder, status, since);
        assert!(delays.iter().all(|delay| *delay < Duration::from_secs(1)), "{delays:?}");
    };
    within_a_second(&alice, 200, Instant::now());
    within_a_second(&bob, 401, Instant::now());
    // A further CA.
    let changed = Instant::now();
    project(&cas, 2, "ca.pem", &(one.pem() + &two.pem()));
    within_a_second(&bob, 200, changed);
    let changed = Instant::now();
    project(&lists, 2, "crl.pem", &Crl::number(2).revoking(&alice).pem(&one));
    within_a_second(&alice, 401, changed);
    // The first CA goes, and its list with it.
    project(&lists, 3, "crl.pem", &Crl::number(1).pem(&two));
    let changed = Instant::now();
    project(&cas, 3, "ca.pem", &two.pem());
    within_a_second(&one.client("carol"), 401, changed);
    within_a_second(&bob, 200, Instant::now());
}
