//! `--proxy-protocol`, `--trusted-proxy` and `--drain-delay` on the command line.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ClientConnection, StreamOwned};

use crate::support::client::{GET, PATIENCE, TLS13, Tls, config, eventually, exchange, get};
use crate::support::command::{Serving, binary, run, site};
use crate::support::pki::{Ca, Holder};
use crate::support::upstream::{answering, ok};

const HEADER: &str = "PROXY TCP4 192.0.2.1 192.0.2.2 4096 443\r\n";

fn connect(addr: SocketAddr, holder: &Holder) -> Tls {
    let mut socket = TcpStream::connect(addr).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(HEADER.as_bytes()).unwrap();
    let tls = ClientConnection::new(Arc::new(config(Some(holder), &TLS13)), "localhost".try_into().unwrap()).unwrap();
    StreamOwned::new(tls, socket)
}

#[test]
fn one_option_without_the_other_and_what_is_not_a_network_are_errors_at_the_start() {
    let dir = site(&Ca::new("ca"));
    for (args, error, hint) in [
        (&["--proxy-protocol"][..], "--proxy-protocol is given without --trusted-proxy", "--trusted-proxy 10.0.0.5"),
        (&["--trusted-proxy", "10.0.0.5"], "--trusted-proxy is given without --proxy-protocol", "add --proxy-protocol"),
        (&["--proxy-protocol", "--trusted-proxy", "balancer"], "balancer is not a network", "10.0.0.0/24"),
        (
            &["--proxy-protocol", "--trusted-proxy", "10.0.0.5/24"],
            "shorter than the address",
            "zeros behind the prefix",
        ),
        (&["--proxy-protocol", "--trusted-proxy", "::1", "--trusted-proxy", ""], "not a network", "10.0.0.5"),
    ] {
        for command in [&[][..], &["demo", "--dir", "certs"]] {
            let output = run(dir.path(), &[command, args, &["--listen", "127.0.0.1:0"]].concat());
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
            assert!(said.contains(error) && said.contains("\n  hint: ") && said.contains(hint), "{said}");
        }
    }
}

#[test]
fn the_log_and_the_application_have_the_client_s_address() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let upstream = answering(|_| ok("seen"));
    let args = ["--proxy-protocol", "--trusted-proxy", "127.0.0.1", "--trusted-proxy", "::/0"];
    let serving = Serving::start(
        &binary(),
        dir.path(),
        &[&args[..], &["--listen", "127.0.0.1:0", "--forward", &upstream.url]].concat(),
    );
    let said = serving.stderr();
    assert!(said.contains("each connection begins with a PROXY header, and comes from 127.0.0.1, ::/0\n"), "{said}");
    assert!(said.contains("warning: --trusted-proxy ::/0 believes everybody"), "{said}");
    assert_eq!(exchange(&mut connect(serving.addr, &ca.client("alice")), GET).unwrap().body, "seen");
    let asked = upstream.last();
    assert_eq!(asked.field("x-forwarded-for"), Some("192.0.2.1"));
    assert!(asked.field("forwarded").unwrap().starts_with("for=192.0.2.1;"), "{asked:?}");
    eventually(|| serving.stdout().contains(" 192.0.2.1:4096 "));
    assert_eq!(exchange(&mut connect(serving.addr, &Ca::new("other").client("mallory")), GET).unwrap().status, 401);
    eventually(|| serving.stdout().lines().count() == 2);
    assert!(serving.stdout().lines().all(|line| line.contains("192.0.2.1:4096")), "{}", serving.stdout());
}

#[test]
fn who_is_no_balancer_is_a_few_lines_with_a_count_and_the_repair() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    for (network, code) in [("127.0.0.1", "no_proxy_header"), ("127.0.0.2", "untrusted_proxy")] {
        let args = ["--proxy-protocol", "--trusted-proxy", network, "--listen", "127.0.0.1:0"];
        let serving = Serving::start(&binary(), dir.path(), &args);
        for _ in 0..50 {
            let mut socket = TcpStream::connect(serving.addr).unwrap();
            let _ = socket.write_all(b"GET / HTTP/1.1\r\n\r\n");
            let _ = socket.read_to_end(&mut Vec::new());
        }
        let coded = format!(" code={code}");
        let left_out = || serving.stderr().lines().any(|line| line.contains(&coded) && line.contains("left_out="));
        eventually(left_out);
        let said = serving.stderr();
        let lines: Vec<&str> = said.lines().filter(|line| line.contains(&coded)).collect();
        assert!((4..15).contains(&lines.len()), "{said}");
        let first = lines[0];
        assert!(first.contains(" mtls-min: 127.0.0.1:") && first.contains(": closed, "), "{first}");
        assert!(first.contains(" repair=\"") && first.contains("--proxy-protocol and --trusted-proxy"), "{first}");
    }
}

#[test]
fn a_header_that_nobody_expects_is_named_with_the_option() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let serving = Serving::start(&binary(), dir.path(), &["--listen", "127.0.0.1:0"]);
    let _ = exchange(&mut connect(serving.addr, &ca.client("alice")), GET);
    eventually(|| {
        serving.stderr().contains("a balancer sent a PROXY header, and none is expected here code=proxy_header")
    });
    assert!(serving.stderr().contains("(--proxy-protocol and --trusted-proxy)"), "{}", serving.stderr());
}

#[test]
fn sigterm_waits_for_the_delay_and_a_second_signal_does_not() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let alice = ca.client("alice");
    let args = |delay| ["--listen", "127.0.0.1:0", "--drain-delay", delay];
    let mut serving = Serving::start(&binary(), dir.path(), &args("2"));
    let asked = Instant::now();
    serving.signal("TERM");
    eventually(|| serving.stderr().contains("stopping in 2 s; running answers are finished"));
    assert_eq!(get(serving.addr, Some(&alice), &TLS13).unwrap().status, 200);
    assert_eq!(serving.exit_code(), Some(0));
    assert!(asked.elapsed() >= Duration::from_secs(2));
    let mut serving = Serving::start(&binary(), dir.path(), &args("3600"));
    serving.signal("TERM");
    eventually(|| serving.stderr().contains("stopping in 3600 s"));
    serving.signal("TERM");
    assert_eq!(serving.exit_code(), Some(143));
    let mut serving = Serving::start(&binary(), dir.path(), &args("0"));
    serving.signal("INT");
    assert_eq!(serving.exit_code(), Some(0));
    assert!(serving.stderr().contains("stopping; running"), "{}", serving.stderr());
}
