//! The command on a machine with little memory.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rcgen::CustomExtension;

use crate::support::client::{TLS13, Tls, config, connect, eventually, get};
use crate::support::command::{Serving, binary, collect, site};
use crate::support::pki::Ca;

/// The command under `sh`, with this many kilobytes of address space.
fn with_address_space(kilobytes: u32, options: &str) -> Vec<String> {
    let binary = binary();
    let script = format!("ulimit -v {kilobytes}; exec {} --listen 127.0.0.1:0 {options}", binary.display());
    vec!["-c".to_owned(), script]
}

#[test]
fn with_24_megabytes_of_address_space_it_starts_and_serves_by_default() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let args = with_address_space(24_000, "");
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let serving = Serving::start("/bin/sh".as_ref(), dir.path(), &args);
    for _ in 0..20 {
        assert_eq!(get(serving.addr, Some(&ca.client("alice")), &TLS13).unwrap().status, 200);
    }
}

/// With ever less memory, until it does not start.
#[test]
fn a_start_that_fails_for_want_of_threads_does_not_say_that_it_listens() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    for kilobytes in (4_000..40_000).rev().step_by(500) {
        let mut command = Command::new("/bin/sh");
        command.args(with_address_space(kilobytes, "")).current_dir(dir.path()).stdout(Stdio::null());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let stderr = collect(child.stderr.take().unwrap());
        let mut status = None;
        eventually(|| {
            status = child.try_wait().unwrap();
            status.is_some() || stderr.lock().unwrap().contains("listening")
        });
        if let Some(status) = status {
            eventually(|| Arc::strong_count(&stderr) == 1);
            let said = stderr.lock().unwrap();
            assert_eq!(status.code(), Some(1), "{said}");
            assert!(said.contains("cannot start a thread") && said.contains("fewer workers"), "{said}");
            assert!(!said.contains("listening"), "{said}");
            return;
        }
        let _ = (child.kill(), child.wait());
    }
    panic!("it starts without memory");
}

#[test]
fn with_less_room_than_for_the_workers_that_were_asked_for_it_warns_and_serves_with_fewer() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    for (options, warns) in [("--workers 1000", true), ("--workers 4", false), ("", false)] {
        let args = with_address_space(40_000, options);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let serving = Serving::start("/bin/sh".as_ref(), dir.path(), &args);
        assert_eq!(get(serving.addr, Some(&ca.client("alice")), &TLS13).unwrap().status, 200);
        assert_eq!(serving.stderr().contains("workers only"), warns, "{options}: {}", serving.stderr());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn at_the_start_there_are_few_threads() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let processors = std::thread::available_parallelism().unwrap().get();
    let workers = processors.max(2) + 1;
    for options in ["", "--workers 1"] {
        let args = format!("--listen 127.0.0.1:0 {options}");
        let serving = Serving::start(&binary(), dir.path(), &args.split_whitespace().collect::<Vec<_>>());
        let tasks = std::fs::read_dir(format!("/proc/{}/task", serving.child.id())).unwrap();
        let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        let names: Vec<_> = tasks.map(|task| name(task.unwrap())).collect();
        assert_eq!(names.iter().filter(|name| name.starts_with("worker-")).count(), workers, "{names:?}");
    }
}

/// Nothing that stays may be allocated above the memory of a burst, or the allocator cannot give that back. (By default glibc keeps some of
/// what each thread freed, anywhere. With that turned off, the test measures what we keep.)
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn the_memory_of_a_burst_is_given_back() {
    const CLIENTS: usize = 600;
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let options = "--listen 127.0.0.1:0 --max-connections 1000 --handshake-timeout 60";
    let script = format!("GLIBC_TUNABLES=glibc.malloc.tcache_count=0 exec {} {options}", binary().display());
    let serving = Serving::start("/bin/sh".as_ref(), dir.path(), &["-c", &script]);
    let resident = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", serving.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap()
    };
    let open = || std::fs::read_dir(format!("/proc/{}/fd", serving.child.id())).unwrap().count();
    let at_first = open();
    // The longest chain that is read, without its end.
    let weight = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![0; 62_000]);
    let heavy = ca.client_with("mallory", |params| params.custom_extensions = vec![weight]);
    let stalled = || {
        let mut stream: Tls = connect(serving.addr, config(Some(&heavy), &TLS13));
        stream.conn.write_tls(&mut stream.sock).unwrap();
        while !stream.conn.wants_write() {
            stream.conn.read_tls(&mut stream.sock).unwrap();
            stream.conn.process_new_packets().unwrap();
        }
        let mut flight = Vec::new();
        while stream.conn.wants_write() {
            stream.conn.write_tls(&mut flight).unwrap();
        }
        stream.sock.write_all(&flight[..flight.len() - 300]).unwrap();
        stream
    };
    // What the first connections allocate for good; the server remembers its clients.
    let next = ca.client("alice");
    let answered = || assert_eq!(get(serving.addr, Some(&next), &TLS13).unwrap().status, 200);
    drop(stalled());
    answered();
    eventually(|| open() <= at_first);
    let before = resident();
    let held: Vec<Tls> = (0..CLIENTS).map(|_| stalled()).collect();
    let taken = CLIENTS * 64;
    eventually(|| resident() > before + taken);
    assert!(resident() < before + CLIENTS * 80, "the manual says 80 KiB: {} and {before}", resident());
    drop(held);
    eventually(|| open() <= at_first);
    // glibc looks for what it can give back when a thread frees something large. The last of the burst may have been small.
    eventually(|| {
        answered();
        resident() < before + taken / 8
    });
}
