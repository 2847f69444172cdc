//! Threads come when handlers block, and go when they are not needed any more.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mtls_min::{Request, Response};

use crate::support::client::{GET, PATIENCE, TLS13, Tls, config, connect, eventually, exchange, get, read_reply, send};
use crate::support::gate::{AT_THE_GATE, Gate, with_a_gate};
use crate::support::pki::Ca;
use crate::support::server::{Running, start_with, trust};

/// One for each processor, but at least two, and one on standby.
fn at_start() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).max(2) + 1
}

/// The name and the directory in `/proc` of each thread that has called the handler.
type Threads = Arc<Mutex<BTreeSet<(String, String)>>>;

/// Also collects the threads that it runs on.
fn noting(threads: &Threads) -> (Gate, impl Fn(&mut Request<'_>) -> Response + Send + Sync + 'static) {
    let (gate, handler) = with_a_gate();
    let threads = Arc::clone(threads);
    let noting = move |request: &mut Request<'_>| {
        thread_local!(static NOTED: Cell<bool> = const { Cell::new(false) });
        if NOTED.replace(true) {
            return handler(request);
        }
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        let link = std::fs::read_link("/proc/thread-self").unwrap_or_default();
        threads.lock().unwrap().insert((name, format!("/proc/{}", link.display())));
        handler(request)
    };
    (gate, noting)
}

fn living(threads: &Threads) -> usize {
    threads.lock().unwrap().iter().filter(|(_, path)| Path::new(path).exists()).count()
}

/// Each from a client of its own.
fn block(running: &Running, ca: &Ca, gate: &Gate, requests: usize) -> Vec<Tls> {
    let blocked = (0..requests).map(|_| {
        let mut client = connect(running.addr, config(Some(&ca.client("alice")), &TLS13));
        send(&mut client, AT_THE_GATE);
        gate.wait_for_one();
        client
    });
    blocked.collect()
}

fn release(gate: &Gate, blocked: &mut [Tls]) {
    blocked.iter().for_each(|_| gate.let_one_go());
    for client in blocked {
        assert_eq!(read_reply(client).unwrap().status, 200);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn threads_come_while_handlers_block_and_go_when_they_are_not_needed() {
    const BLOCKED: usize = 40;
    let ca = Ca::new("ca");
    let threads = Threads::default();
    let (gate, handler) = noting(&threads);
    let running = start_with(trust(&ca), |builder| builder.workers(64), handler);
    let mut good = connect(running.addr, config(Some(&ca.client("bob")), &TLS13));
    assert_eq!(exchange(&mut good, GET).unwrap().status, 200);
    for _ in 0..2 {
        let mut blocked = block(&running, &ca, &gate, BLOCKED);
        for _ in 0..100 {
            let begun = Instant::now();
            assert_eq!(exchange(&mut good, GET).unwrap().status, 200);
            assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        }
        assert!(living(&threads) >= BLOCKED, "{}", living(&threads));
        release(&gate, &mut blocked);
        drop(blocked);
        eventually(|| living(&threads) <= at_start());
        assert_eq!(exchange(&mut good, GET).unwrap().status, 200);
    }
    let threads = threads.lock().unwrap();
    let names: BTreeSet<_> = threads.iter().map(|(name, _)| name).collect();
    assert!(names.iter().all(|name| name.starts_with("worker-")), "{names:?}");
    assert_eq!(names.len(), threads.len(), "each has a name of its own");
}

#[test]
fn handlers_that_are_quick_are_called_on_few_threads() {
    let ca = Ca::new("ca");
    let threads = Threads::default();
    let (_gate, handler) = noting(&threads);
    let running = start_with(trust(&ca), |builder| builder, handler);
    let alice = ca.client("alice");
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                let mut client = connect(running.addr, config(Some(&alice), &TLS13));
                for _ in 0..100 {
                    assert_eq!(exchange(&mut client, GET).unwrap().status, 200);
                }
            });
        }
    });
    let threads = threads.lock().unwrap();
    // A few more than at the start where the machine is so busy that they take some milliseconds nevertheless.
    assert!(threads.len() <= at_start() + 20, "{threads:?}");
}

/// When so many are in handlers, other requests wait, and hold no thread: handshakes and refusals go on.
#[test]
fn there_are_no_more_handlers_at_once_than_asked_for_and_strangers_are_refused_meanwhile() {
    for workers in [1, 2, 3, 5] {
        let ca = Ca::new("ca");
        let threads = Threads::default();
        let (gate, handler) = noting(&threads);
        let running = start_with(trust(&ca), |builder| builder.workers(workers), handler);
        let mut blocked = block(&running, &ca, &gate, workers);
        std::thread::scope(|scope| {
            let (say, heard) = channel();
            let (running, ca) = (&running, &ca);
            scope.spawn(move || say.send(get(running.addr, Some(&ca.client("bob")), &TLS13).unwrap().status));
            assert!(heard.recv_timeout(Duration::from_millis(300)).is_err(), "all {workers} are busy");
            assert_eq!(get(running.addr, None, &TLS13).unwrap().status, 401);
            release(&gate, &mut blocked);
            assert_eq!(heard.recv_timeout(PATIENCE), Ok(200));
        });
        let threads = threads.lock().unwrap().len();
        assert!((workers..=workers + at_start() - 1).contains(&threads), "{threads}");
    }
}

/// The example `upload` reads bodies in its handler, so one that does not end holds a thread.
#[cfg(all(target_os = "linux", feature = "cli"))]
mod of_a_process {
    use super::*;
    use crate::support::command::{Serving, example, site};
    use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

    struct Uploading {
        serving: Serving,
        ca: Ca,
        _dir: crate::support::files::TempDir,
    }

    impl Uploading {
        fn start() -> Self {
            let ca = Ca::new("ca");
            let dir = site(&ca);
            let serving = Serving::start(&example("upload"), dir.path(), &["127.0.0.1:0", "uploads"]);
            Self { serving, ca, _dir: dir }
        }

        fn get(&self) -> u16 {
            get(self.serving.addr, Some(&self.ca.client("bob")), &TLS13).unwrap().status
        }

        /// The server asks for the body when the handler reads it.
        fn upload(&self) -> Tls {
            let mut client = connect(self.serving.addr, config(Some(&self.ca.client("alice")), &TLS13));
            send(&mut client, "PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n");
            client
        }

        fn held(&self, number: usize) -> Vec<Tls> {
            let mut held: Vec<_> = (0..number).map(|_| self.upload()).collect();
            held.iter_mut().for_each(|client| assert_eq!(read_reply(client).unwrap().status, 100));
            held
        }

        fn path(&self, name: &str) -> std::path::PathBuf {
            Path::new("/proc").join(self.serving.child.id().to_string()).join(name)
        }

        fn threads(&self) -> usize {
            std::fs::read_dir(self.path("task")).unwrap().count()
        }

        /// In kB.
        fn value(&self, name: &str) -> u64 {
            let status = std::fs::read_to_string(self.path("status")).unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim_end_matches(" kB").trim().parse().unwrap()
        }
    }

    fn finish(held: Vec<Tls>) {
        for mut client in held {
            assert_eq!(exchange(&mut client, "x").unwrap().status, 201);
        }
    }

    #[test]
    fn memory_of_threads_that_are_not_needed_any_more_is_given_back() {
        let uploading = Uploading::start();
        assert_eq!(uploading.get(), 405);
        let threads = uploading.threads();
        let resident = [(); 2].map(|()| {
            let held = uploading.held(120);
            assert!(uploading.threads() >= threads + 110, "{}", uploading.threads());
            finish(held);
            eventually(|| uploading.threads() <= threads);
            uploading.value("VmRSS:")
        });
        assert!(resident[1] < resident[0] + 2048, "a further burst takes nothing: {resident:?} kB");
        assert_eq!(uploading.get(), 405);
    }

    #[test]
    fn a_server_that_can_start_no_further_thread_says_so_and_goes_on_with_those_it_has() {
        let uploading = Uploading::start();
        let held = uploading.held(20);
        let pid = Pid::from_child(&uploading.serving.child);
        let space = |current| prlimit(Some(pid), Resource::As, Rlimit { current, ..getrlimit(Resource::As) }).unwrap();
        space(Some(uploading.value("VmSize:") * 1024 + 512 * 1024));
        std::thread::scope(|scope| {
            // More than those that are there can take up.
            for _ in 0..at_start() + 1 {
                scope.spawn(|| finish(uploading.held(1)));
            }
            eventually(|| uploading.serving.stderr().contains("no further worker can be started"));
            // The timekeeper tries again.
            space(None);
        });
        assert_eq!(uploading.serving.stderr().matches("no further worker").count(), 1, "once a day");
        finish(held);
        assert_eq!(uploading.get(), 405);
    }
}
