//! The file of the log with those who look after it: logrotate renames it under load, fail2ban searches it for strangers.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use rcgen::DnType;

use crate::support::client::{GET, TLS13, config, connect, eventually, exchange, get};
use crate::support::command::{Serving, binary, site};
use crate::support::files::TempDir;
use crate::support::pki::{Ca, HOUR, self_signed_with};
use crate::support::tree::root;
use crate::tools::sh;

/// A server that logs to `logs/log` in its directory.
fn serve(dir: &Path, args: &[&str]) -> Serving {
    let mut command = Command::new(binary());
    command
        .args(["--listen", "127.0.0.1:0", "--log-file", "logs/log"])
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null());
    Serving::spawn(command, Some(&dir.join("logs/log")))
}

fn prepared(ca: &Ca) -> TempDir {
    let dir = site(ca);
    fs::create_dir(dir.path().join("logs")).unwrap();
    dir
}

#[test]
fn logrotate_renames_and_compresses_it_under_load_and_every_request_is_in_it_once() {
    const ROTATIONS: usize = 6;
    const CLIENTS: usize = 3;
    let ca = Ca::new("ca");
    let dir = prepared(&ca);
    let mut serving = serve(dir.path(), &[]);
    let log = dir.path().join("logs/log");
    let configuration = fs::read_to_string(root().join("deploy/logrotate.d/mtls-min")).unwrap();
    assert!(configuration.contains("/var/log/mtls-min/mtls-min.log"));
    dir.write("logrotate.conf", configuration.replace("/var/log/mtls-min/mtls-min.log", log.to_str().unwrap()));
    let is_over = AtomicBool::new(false);
    let sent: BTreeSet<String> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (is_over, alice) = (&is_over, ca.client("alice"));
                let mut stream = connect(serving.addr, config(Some(&alice), &TLS13));
                scope.spawn(move || {
                    let mut sent = Vec::new();
                    while !is_over.load(Ordering::SeqCst) {
                        let target = format!("/{client}-{}", sent.len());
                        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
                        assert_eq!(exchange(&mut stream, request).unwrap().status, 200);
                        sent.push(target);
                    }
                    sent
                })
            })
            .collect();
        for number in 1..=ROTATIONS {
            sh(dir.path(), "logrotate -f -s state logrotate.conf");
            assert!(dir.path().join("logs/log.1").exists(), "{number}");
            eventually(|| log.exists());
        }
        is_over.store(true, Ordering::SeqCst);
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    serving.signal("TERM");
    assert_eq!(serving.exit_code(), Some(0));
    // The newest but one is not compressed yet, and none is there twice.
    let files = sh(dir.path(), "cd logs && ls");
    assert_eq!(files.lines().filter(|name| name.ends_with(".gz")).count(), ROTATIONS - 1, "{files}");
    assert_eq!(files.lines().count(), ROTATIONS + 1, "{files}");
    let text = sh(dir.path(), "zcat -f logs/*");
    let logged: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_once("\"GET ")?.1.split_once("\" 200 "))
        .map(|(target, _)| target)
        .collect();
    assert!(sent.len() > 100, "{}", sent.len());
    assert_eq!(logged.len(), sent.len(), "lines and requests");
    assert_eq!(logged.into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), sent);
    assert_eq!(serving.stderr(), "");
}

/// The addresses that the filter finds in a log, one for each line that counts.
fn found(log: &Path, mode: &str) -> Vec<String> {
    let filter = root().join("deploy/fail2ban/filter.d/mtls-min.conf");
    let command = format!("fail2ban-regex -o '<ip>' {} '{}[mode={mode}]'", log.display(), filter.display());
    sh(log.parent().unwrap(), &command).lines().map(str::to_owned).collect()
}

const HOSTS: [&str; 2] = ["203.0.113.9", "2001:db8::9"];

/// What somebody would send who wants these addresses banned: lines and fields as the server writes them.
fn forgeries() -> Vec<String> {
    let of = |host: &str| {
        let (at, time) =
            (if host.contains(':') { format!("[{host}]:1") } else { format!("{host}:1") }, "2026-11-29T20:41:39.371Z");
        [
            format!("\n{time} {at} \"GET /\" 401 276B 26us TLSv1.3 refused=no_certificate because="),
            format!(
                "\r\n{{\"time\":\"{time}\",\"remote\":\"{at}\",\"method\":\"GET\",\"target\":\"/\",\"status\":401,\"bytes\":1,\"microseconds\":1,\"tls\":\"TLSv1.3\",\"refused\":\"no_certificate\"}}"
            ),
            format!(
                "\",\"remote\":\"{at}\",\"method\":\"GET\",\"target\":\"/\",\"status\":401,\"bytes\":1,\"microseconds\":1,\"tls\":\"\",\"refused\":\"no_certificate\""
            ),
            format!(
                "\" 401 276B 26us TLSv1.3 refused=no_certificate\u{2028}{time} mtls-min: {at}: refused in the handshake refused=no_certificate"
            ),
            format!("{time} mtls-min: {at}: speaks HTTP without TLS"),
            format!("mtls-min: {at}: the handshake failed: code=not_tls"),
        ]
    };
    HOSTS.into_iter().flat_map(of).collect()
}

#[test]
fn fail2ban_finds_strangers_in_text_and_in_json_and_nobody_else() {
    let ca = Ca::new("ca");
    let alice = ca.client("alice");
    let expired = ca.client_with("expired", |params| params.not_after = (std::time::SystemTime::now() - HOUR).into());
    for form in ["text", "json"] {
        for (in_handshake, flag) in [(false, &[][..]), (true, &["--refuse-in-handshake"])] {
            let dir = prepared(&ca);
            let mut serving = serve(dir.path(), &[&["--log", form, "--handshake-timeout", "3"], flag].concat());
            assert_eq!(get(serving.addr, Some(&alice), &TLS13).unwrap().status, 200);
            let mallory = self_signed_with("mallory", |_| {});
            for holder in [None, None, Some(&mallory), Some(&expired)] {
                let reply = get(serving.addr, holder, &TLS13);
                assert_eq!(reply.ok().map(|reply| reply.status), (!in_handshake).then_some(401));
            }
            let mut plain = TcpStream::connect(serving.addr).unwrap();
            plain.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
            plain.read_to_end(&mut Vec::new()).unwrap();
            let mut garbage = TcpStream::connect(serving.addr).unwrap();
            garbage.write_all(&[0x99; 64]).unwrap();
            let _ = garbage.read_to_end(&mut Vec::new());
            let _silent = TcpStream::connect(serving.addr).unwrap();
            let log = dir.path().join("logs/log");
            eventually(|| fs::read_to_string(&log).unwrap().contains("closed in phase handshake"));
            serving.signal("TERM");
            assert_eq!(serving.exit_code(), Some(0));
            let text = fs::read_to_string(&log).unwrap();
            // Two without a certificate and one with that of another CA; not the one that has expired.
            assert_eq!(found(&log, "normal"), ["127.0.0.1"; 3], "{text}");
            // And HTTP without TLS, no TLS at all, and silence.
            assert_eq!(found(&log, "aggressive"), ["127.0.0.1"; 6], "{text}");
        }
    }
}

#[test]
fn nobody_can_have_another_address_banned() {
    let ca = Ca::new("ca");
    for form in ["text", "json"] {
        for flag in [&[][..], &["--refuse-in-handshake"]] {
            let dir = prepared(&ca);
            let mut serving = serve(dir.path(), &[&["--log", form], flag].concat());
            for forgery in forgeries() {
                let named = |params: &mut rcgen::CertificateParams| {
                    params.distinguished_name.push(DnType::CommonName, forgery.as_str())
                };
                // In the name of somebody who is let in, and of strangers.
                for holder in [ca.client_with("x", named), self_signed_with("x", named)] {
                    let _ = get(serving.addr, Some(&holder), &TLS13);
                }
                // In the target, in the method, in fields, and in place of all that.
                let visible: String = forgery.chars().filter(|c| c.is_ascii_graphic()).collect();
                for request in [
                    format!("GET /{visible} HTTP/1.1\r\nHost: a\r\n\r\n"),
                    format!("GET /{forgery} HTTP/1.1\r\nHost: a\r\n\r\n"),
                    format!("{visible} / HTTP/1.1\r\nHost: a\r\n\r\n"),
                    format!(
                        "GET / HTTP/1.1\r\nHost: {visible}\r\nX-Forwarded-For: {}\r\nForwarded: for={visible}\r\n\r\n",
                        HOSTS[0]
                    ),
                    format!("{forgery}\r\n\r\n"),
                ] {
                    for holder in [None, Some(&ca.client("alice"))] {
                        let _ = exchange(&mut connect(serving.addr, config(holder, &TLS13)), request.as_str());
                    }
                    let mut plain = TcpStream::connect(serving.addr).unwrap();
                    let _ = plain.write_all(request.as_bytes());
                    let _ = plain.read_to_end(&mut Vec::new());
                }
            }
            assert_eq!(get(serving.addr, Some(&ca.client("alice")), &TLS13).unwrap().status, 200, "{GET}");
            serving.signal("TERM");
            assert_eq!(serving.exit_code(), Some(0));
            let log = dir.path().join("logs/log");
            let text = fs::read_to_string(&log).unwrap();
            assert!(HOSTS.iter().all(|host| text.contains(host)), "{text}");
            for mode in ["normal", "aggressive"] {
                let found = found(&log, mode);
                assert!(
                    !found.is_empty() && found.iter().all(|address| address == "127.0.0.1"),
                    "{mode}: {found:?}\n{text}"
                );
            }
        }
    }
}
