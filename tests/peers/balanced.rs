//! Behind a balancer: haproxy in TCP mode with both versions of the PROXY protocol, and curl, which speaks version 1 itself.

use std::net::TcpListener;
use std::process::Command;

use crate::behind::{CREDENTIALS, Gate, Program};
use crate::support::client::eventually;
use crate::support::upstream::{answering, ok};
use crate::tools::{sh, try_sh};

/// A port that is free now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// haproxy before a gate that expects its header. Each frontend has a port of its own, and one way to send the header.
fn haproxy(gate: &Gate, ways: &[&str]) -> (Program, Vec<u16>) {
    let mut settings = String::from(
        "global\n  maxconn 100\n  stats socket unix@haproxy.sock level admin\n\
         defaults\n  mode tcp\n  timeout connect 10s\n  timeout client 60s\n  timeout server 60s\n",
    );
    let ports: Vec<u16> = ways.iter().map(|_| free_port()).collect();
    for (at, (way, port)) in ways.iter().zip(&ports).enumerate() {
        settings += &format!(
            "listen way{at}\n  bind 127.0.0.1:{port}\n  unique-id-format %ci:%cp-%Ts-%rt\n  \
             server gate {} check inter 200ms fall 1 rise 1 {way}\n",
            gate.serving.addr
        );
    }
    gate.dir.write("haproxy.cfg", settings);
    let haproxy =
        Program::start(Command::new("haproxy").args(["-db", "-f", "haproxy.cfg"]).current_dir(gate.dir.path()));
    let shown = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('haproxy.sock'); \
                 s.send(b'show stat\\n'); print(s.makefile().read())";
    eventually(|| {
        let (_, stat) = try_sh(gate.dir.path(), &format!("python3 -c \"{shown}\""));
        // Not before its health checks have been answered.
        stat.lines().filter(|line| line.contains(",gate,") && line.contains(",UP,") && line.contains(",L4OK,")).count()
            == ways.len()
    });
    (haproxy, ports)
}

#[test]
fn through_haproxy_the_client_s_address_is_known_in_both_versions() {
    let upstream = answering(|_| ok("seen"));
    let url = upstream.url.clone();
    let gate = Gate::with(&["--forward", &url, "--proxy-protocol", "--trusted-proxy", "127.0.0.1"]);
    let ways = ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"];
    let (_haproxy, ports) = haproxy(&gate, &ways);
    for (at, (way, port)) in ways.iter().zip(ports).enumerate() {
        let client = format!("127.0.7.{}", at + 1);
        let curl = format!("curl -sS --max-time 60 --interface {client} --cacert certs/ca.pem");
        let answer = sh(gate.dir.path(), &format!("{curl} {CREDENTIALS} https://localhost:{port}/ --ipv4"));
        assert_eq!(answer, "seen", "{way}");
        let asked = upstream.last();
        assert_eq!(asked.field("x-forwarded-for"), Some(&*client), "{way}");
        assert!(asked.field("forwarded").unwrap().starts_with(&format!("for={client};")), "{way}: {asked:?}");
        let refused = sh(gate.dir.path(), &format!("{curl} https://localhost:{port}/ --ipv4"));
        assert_eq!(refused, "User is not authorized\n", "{way}");
        let of_client = || gate.serving.stdout().lines().filter(|line| line.contains(&format!(" {client}:"))).count();
        eventually(|| of_client() == 2);
    }
    // Its health checks are connections of its own, and no failures.
    let said = gate.serving.stderr();
    assert!(!said.contains("proxy_header") && !said.contains("too slow"), "{said}");
}

#[test]
fn haproxy_that_does_not_send_the_header_is_told_and_one_that_nobody_expects_too() {
    let expecting = Gate::with(&["--proxy-protocol", "--trusted-proxy", "127.0.0.1"]);
    let (_haproxy, ports) = haproxy(&expecting, &[""]);
    let curl = format!("curl -sS --max-time 60 --cacert certs/ca.pem {CREDENTIALS}");
    assert!(!try_sh(expecting.dir.path(), &format!("{curl} https://localhost:{}/", ports[0])).0);
    eventually(|| expecting.serving.stderr().contains("code=no_proxy_header repair=\""));
    let other = Gate::with(&[]);
    for way in ["send-proxy", "send-proxy-v2"] {
        let before = other.serving.stderr().len();
        let (_haproxy, ports) = haproxy(&other, &[way]);
        assert!(!try_sh(other.dir.path(), &format!("{curl} https://localhost:{}/", ports[0])).0);
        eventually(|| other.serving.stderr()[before..].contains("code=proxy_header repair=\""));
    }
}

#[test]
fn curl_sends_the_header_itself() {
    let gate = Gate::with(&["--proxy-protocol", "--trusted-proxy", "127.0.0.0/29"]);
    let port = gate.serving.addr.port();
    let curl = format!("curl -sS --max-time 60 --ipv4 --cacert certs/ca.pem {CREDENTIALS} https://localhost:{port}/");
    assert_eq!(sh(gate.dir.path(), &format!("{curl} --haproxy-protocol")), "hello world\n");
    // Without it, and from an address that is not trusted, it gets nothing.
    assert!(!try_sh(gate.dir.path(), &curl).0);
    eventually(|| gate.serving.stderr().contains("code=no_proxy_header"));
    assert!(!try_sh(gate.dir.path(), &format!("{curl} --haproxy-protocol --interface 127.0.0.9")).0);
    eventually(|| gate.serving.stderr().contains("mtls-min: 127.0.0.9:"));
    assert!(gate.serving.stderr().contains("code=untrusted_proxy"), "{}", gate.serving.stderr());
}
