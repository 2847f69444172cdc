//! Row D12 of the immunity matrix: behind a balancer that sends the PROXY protocol nobody can claim an address, and nobody holds a
//! thread or hangs.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mtls_min::{Builder, Network, Request, Response};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::support::client::{GET, PATIENCE, TLS13, Tls, config, eventually, exchange, read_to_end};
use crate::support::pki::{Ca, Holder};
use crate::support::server::{Running, start_with, trust};
use crate::support::wire::client_hello;

/// Answers each request with the address that it believes.
fn start_behind(ca: &Ca, networks: &[&str], change: impl FnOnce(Builder) -> Builder) -> Running {
    let networks: Vec<Network> = networks.iter().map(|network| network.parse().unwrap()).collect();
    start_with(
        trust(ca),
        |builder| change(builder.proxy_protocol(networks)),
        |request: &mut Request<'_>| Response::new(request.remote_addr().to_string().into()),
    )
}

const LINE: &[u8] = b"PROXY TCP4 192.0.2.1 192.0.2.2 4096 443\r\n";

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// 192.0.2.1:4096, for 192.0.2.2:443.
const IPV4: &[u8] = &[192, 0, 2, 1, 192, 0, 2, 2, 16, 0, 1, 187];

fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    [SIGNATURE, &[command, family], &u16::try_from(rest.len()).unwrap().to_be_bytes(), rest].concat()
}

/// A connection that begins with these bytes, sent one by one or at once, and then speaks TLS.
fn connect(addr: SocketAddr, header: &[u8], config: ClientConfig) -> Tls {
    let mut socket = TcpStream::connect(addr).unwrap();
    socket.set_nodelay(true).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    let _ = socket.write_all(header);
    StreamOwned::new(ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap(), socket)
}

/// The address that the server believes.
#[track_caller]
fn believed(running: &Running, header: &[u8], holder: &Holder) -> String {
    exchange(&mut connect(running.addr, header, config(Some(holder), &TLS13)), GET).unwrap().body
}

#[test]
fn the_client_is_the_one_that_the_balancer_names() {
    let ca = Ca::new("ca");
    let running = start_behind(&ca, &["127.0.0.0/8"], |builder| builder);
    let alice = ca.client("alice");
    let mut ipv6 = [0; 36];
    (ipv6[0], ipv6[1], ipv6[15], ipv6[32]) = (0x20, 0x01, 1, 16);
    let mut mapped = [0; 36];
    mapped[10..16].copy_from_slice(&[255, 255, 192, 0, 2, 1]);
    mapped[32] = 16;
    let fields = [IPV4, &[0xEA, 1, 0], &[7; 256], &[4, 0, 0]].concat();
    for (header, address) in [
        (LINE.to_vec(), "192.0.2.1:4096"),
        (b"PROXY TCP6 2001::1 2001::2 4096 443\r\n".to_vec(), "[2001::1]:4096"),
        (b"PROXY TCP6 ::ffff:192.0.2.1 ::2 4096 443\r\n".to_vec(), "192.0.2.1:4096"),
        (binary(0x21, 0x11, IPV4), "192.0.2.1:4096"),
        (binary(0x21, 0x21, &ipv6), "[2001::1]:4096"),
        (binary(0x21, 0x21, &mapped), "192.0.2.1:4096"),
        (binary(0x21, 0x11, &fields), "192.0.2.1:4096"),
    ] {
        assert_eq!(believed(&running, &header, &alice), address);
    }
    // Health checks, and clients that the balancer does not know: the connection's own address.
    for header in [b"PROXY UNKNOWN\r\n".to_vec(), binary(0x20, 0, b""), binary(0x20, 0x11, IPV4), binary(0x21, 0, b"")]
    {
        assert!(believed(&running, &header, &alice).starts_with("127.0.0.1:"));
    }
    assert_eq!(running.seen.events(), [""; 0]);
}

#[test]
fn the_observer_is_told_of_the_client_and_not_of_the_balancer() {
    let ca = Ca::new("ca");
    let running = start_behind(&ca, &["127.0.0.1"], |builder| builder);
    let mut plain = TcpStream::connect(running.addr).unwrap();
    plain.write_all(&[LINE, b"GET / HTTP/1.1\r\n\r\n"].concat()).unwrap();
    assert!(String::from_utf8(read_to_end(&mut plain).unwrap()).unwrap().contains("use https:"));
    running.seen.wait_for_event("PlainHttp { remote: 192.0.2.1:4096 }");
    // A second header is none: the first counts, and the connection fails.
    for second in [b"PROXY TCP4 1.2.3.4 192.0.2.2 1 443\r\n".to_vec(), binary(0x21, 0x11, IPV4)] {
        let mut twice = TcpStream::connect(running.addr).unwrap();
        let before = running.seen.events().len();
        twice.write_all(&[LINE, &second].concat()).unwrap();
        read_to_end(&mut twice).unwrap();
        eventually(|| running.seen.events().len() > before);
        let event = running.seen.events()[before].clone();
        assert!(event.contains("remote: 192.0.2.1:4096") && event.contains("proxy_header"), "{event}");
    }
    // Within TLS it is a bad request.
    let alice = ca.client("alice");
    let mut inside = connect(running.addr, LINE, config(Some(&alice), &TLS13));
    assert_eq!(exchange(&mut inside, "PROXY TCP4 1.2.3.4 1.2.3.4 1 443\r\n\r\n").unwrap().status, 400);
    let mut fields = connect(running.addr, LINE, config(Some(&alice), &TLS13));
    let forwarded = "GET / HTTP/1.1\r\nHost: a\r\nForwarded: for=1.2.3.4\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n";
    assert_eq!(exchange(&mut fields, forwarded).unwrap().body, "192.0.2.1:4096");
}

#[test]
fn a_header_that_is_cut_at_any_byte_is_the_same_header() {
    let ca = Ca::new("ca");
    let running = start_behind(&ca, &["127.0.0.1"], |builder| builder);
    let alice = ca.client("alice");
    let binary = binary(0x21, 0x11, &[IPV4, &[4, 0, 2, 0, 0]].concat());
    for header in [LINE, &binary] {
        std::thread::scope(|scope| {
            for cut in 1..=header.len() {
                let (running, alice) = (&running, &alice);
                scope.spawn(move || {
                    let mut stream = connect(running.addr, &header[..cut], config(Some(alice), &TLS13));
                    // So that the server has taken the first part.
                    std::thread::sleep(Duration::from_millis(20));
                    stream.sock.write_all(&header[cut..]).unwrap();
                    assert_eq!(exchange(&mut stream, GET).unwrap().body, "192.0.2.1:4096", "cut at {cut}");
                });
            }
        });
    }
    // And together with the first bytes of the client.
    let mut stream = TcpStream::connect(running.addr).unwrap();
    stream.write_all(&[LINE, &client_hello()].concat()).unwrap();
    stream.read_exact(&mut [0; 200]).unwrap();
    assert_eq!(running.seen.events(), [""; 0]);
}

/// Bad beginnings of a connection: none of them is valid, nor becomes so.
fn bad_headers() -> Vec<Vec<u8>> {
    let line = |text: &str| format!("PROXY TCP4 {text}\r\n").into_bytes();
    let with = |field: &[u8]| binary(0x21, 0x11, &[IPV4, field].concat());
    let mut long = with(b"");
    long[14..16].copy_from_slice(&4081_u16.to_be_bytes());
    let mut longest = with(b"");
    longest[14..16].copy_from_slice(&[255, 255]);
    vec![
        client_hello(),
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        b"PROXY / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        b"\r\n\r\nPROXY UNKNOWN\r\n".to_vec(),
        b" PROXY UNKNOWN\r\n".to_vec(),
        b"proxy tcp4 192.0.2.1 192.0.2.2 1 2\r\n".to_vec(),
        b"PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n".to_vec(),
        b"PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n".to_vec(),
        b"PROXY\tTCP4 192.0.2.1 192.0.2.2 1 2\r\n".to_vec(),
        b"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n".to_vec(),
        b"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n".to_vec(),
        b"PROXY TCP6 fe80::1%lo ::2 1 2\r\n".to_vec(),
        b"PROXY UNKNOWNS\r\n".to_vec(),
        line("::1 ::2 1 2"),
        line("192.0.2.1"),
        line("192.0.2.1 192.0.2.2 1"),
        line("192.0.2.1 192.0.2.2 1 2 3"),
        line("192.0.2.1 192.0.2.2 1 2 "),
        line("192.0.2.1  192.0.2.2 1 2"),
        line("192.0.2.01 192.0.2.2 1 2"),
        line("192.0.2.256 192.0.2.2 1 2"),
        line("192.0.2.1 192.0.2.2 01 2"),
        line("192.0.2.1 192.0.2.2 65536 2"),
        line("192.0.2.1 192.0.2.2 +1 2"),
        line("192.0.2.1 192.0.2.2 -1 2"),
        line("192.0.2.1, 192.0.2.2 1 2"),
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n".to_vec(),
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r \n".to_vec(),
        b"PROXY TCP4 192.0.2.1\0 192.0.2.2 1 2\r\n".to_vec(),
        format!("PROXY UNKNOWN{:93}\r\n", "").into_bytes(),
        b"PROXY UNKNOWN".iter().copied().chain([b' '; 95]).collect(),
        binary(0x11, 0x11, IPV4),
        binary(0x31, 0x11, IPV4),
        binary(0x22, 0x11, IPV4),
        binary(0x21, 0x41, IPV4),
        binary(0x21, 0x13, IPV4),
        binary(0x21, 0x12, IPV4),
        binary(0x21, 0x31, &[0; 216]),
        binary(0x21, 0x11, &IPV4[..11]),
        binary(0x21, 0x21, IPV4),
        with(&[4]),
        with(&[4, 0, 1]),
        with(&[4, 255, 255]),
        with(&[3, 0, 4, 1, 2, 3, 4]),
        with(&[3, 0, 0]),
        long,
        longest,
        b"\r\n\r\n\0\r\nQUIT\r".to_vec(),
    ]
}

/// What the server answers to these bytes and a whole request of alice behind them. The connection has to end.
fn answered(running: &Running, header: &[u8], holder: &Holder) -> Vec<u8> {
    let mut stream = connect(running.addr, header, config(Some(holder), &TLS13));
    let _ = exchange(&mut stream, GET);
    read_to_end(&mut stream.sock).expect("the connection is closed")
}

#[test]
fn d12_bad_headers_of_a_balancer_are_closed_at_once_and_name_nobody() {
    let ca = Ca::new("ca");
    let running = start_behind(&ca, &["127.0.0.1"], |builder| builder.handshake_timeout(PATIENCE * 2));
    let (alice, bad) = (ca.client("alice"), bad_headers());
    assert!(bad.len() >= 40, "{}", bad.len());
    for (at, header) in bad.iter().enumerate() {
        assert_eq!(answered(&running, header, &alice), b"", "{}", String::from_utf8_lossy(header));
        eventually(|| running.seen.events().len() > at);
        let event = running.seen.events()[at].clone();
        let known =
            ["no_proxy_header", "bad_proxy_header", "long_proxy_header"].iter().any(|code| event.contains(code));
        assert!(event.starts_with("ProxyRefused { remote: 127.0.0.1:") && known, "{event}");
    }
    assert_eq!((running.calls(), running.seen.events().len()), (0, bad.len()));
    assert_eq!(believed(&running, LINE, &alice), "192.0.2.1:4096");
}

#[test]
fn d12_from_any_other_address_good_headers_are_closed_like_bad_ones() {
    let ca = Ca::new("ca");
    // Beside it, and of the other family.
    let running = start_behind(&ca, &["127.0.0.2", "10.0.0.0/8", "::/0"], |builder| builder);
    let alice = ca.client("alice");
    let good =
        [LINE.to_vec(), binary(0x21, 0x11, IPV4), binary(0x20, 0, b""), b"PROXY UNKNOWN\r\n".to_vec(), Vec::new()];
    // One that claims to be the balancer.
    let claims = b"PROXY TCP4 127.0.0.2 127.0.0.1 1 443\r\n".to_vec();
    let all: Vec<_> = bad_headers().into_iter().chain(good).chain([claims]).collect();
    for header in &all {
        assert_eq!(answered(&running, header, &alice), b"", "{}", String::from_utf8_lossy(header));
    }
    eventually(|| running.seen.events().len() == all.len());
    for event in running.seen.events() {
        assert!(event.starts_with("ProxyRefused { remote: 127.0.0.1:") && event.contains("untrusted_proxy"), "{event}");
    }
    assert_eq!(running.calls(), 0);
    // From the balancer it is served.
    let socket = from([127, 0, 0, 2].into(), running.addr);
    let mut stream = StreamOwned::new(
        ClientConnection::new(Arc::new(config(Some(&alice), &TLS13)), "localhost".try_into().unwrap()).unwrap(),
        socket,
    );
    stream.sock.write_all(LINE).unwrap();
    assert_eq!(exchange(&mut stream, GET).unwrap().body, "192.0.2.1:4096");
}

/// A connection from another address of this machine.
fn from(source: IpAddr, addr: SocketAddr) -> TcpStream {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddr::new(source, 0)).unwrap();
    connect(&socket, &addr).unwrap();
    let socket = TcpStream::from(socket);
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// One thread serves all, and 200 connections that stop in a header, or drip, are cut at the deadline.
#[test]
fn d12_headers_that_never_end_hold_no_thread_and_end_at_the_deadline() {
    let ca = Ca::new("ca");
    let deadline = Duration::from_secs(2);
    let running = start_behind(&ca, &["127.0.0.1"], |builder| builder.workers(1).handshake_timeout(deadline));
    let alice = ca.client("alice");
    let mut field = binary(0x21, 0x11, IPV4);
    field[14..16].copy_from_slice(&4080_u16.to_be_bytes());
    let begun = Instant::now();
    let mut slow: Vec<TcpStream> = (0..200)
        .map(|at: usize| {
            let header = [LINE, &field].concat();
            let sent = [&header[..at % 40], &field[..at % field.len()], &field][at % 3];
            let mut socket = TcpStream::connect(running.addr).unwrap();
            socket.set_nodelay(true).unwrap();
            socket.write_all(sent).unwrap();
            socket
        })
        .collect();
    let mut served = 0;
    let ended =
        || running.seen.events().iter().filter(|event| event.contains("TimedOut") && event.contains("Proxy")).count();
    while ended() < slow.len() && begun.elapsed() < PATIENCE {
        // Those that wait for the rest of 4 KiB go on, with a byte that is never the last.
        slow.iter_mut().skip(2).step_by(3).for_each(|socket| _ = socket.write(&[0]));
        let asked = Instant::now();
        assert_eq!(believed(&running, LINE, &alice), "192.0.2.1:4096");
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
        served += 1;
    }
    assert_eq!(ended(), slow.len(), "{:?}", running.seen.events());
    assert!(begun.elapsed() >= deadline && served > 1, "{served}");
    for mut socket in slow {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(read_to_end(&mut socket).unwrap(), b"");
    }
}

/// The header and the handshake have one deadline together.
#[test]
fn a_header_gives_the_handshake_no_more_time() {
    let ca = Ca::new("ca");
    let deadline = Duration::from_secs(2);
    let running = start_behind(&ca, &["127.0.0.1"], |builder| builder.handshake_timeout(deadline));
    let begun = Instant::now();
    let mut socket = TcpStream::connect(running.addr).unwrap();
    socket.write_all(&LINE[..10]).unwrap();
    std::thread::sleep(deadline * 3 / 4);
    socket.write_all(&LINE[10..]).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(read_to_end(&mut socket).unwrap(), b"");
    assert!(begun.elapsed() < deadline * 3 / 2, "{:?}", begun.elapsed());
    running.seen.wait_for_event("TimedOut { remote: 192.0.2.1:4096, phase: Handshake }");
}

#[test]
fn without_the_option_a_header_fails_as_ever_and_is_named() {
    let ca = Ca::new("ca");
    let running = start_with(trust(&ca), |builder| builder, |_: &mut Request<'_>| Response::new("served".into()));
    let alice = ca.client("alice");
    for header in [LINE.to_vec(), binary(0x21, 0x11, IPV4), binary(0x20, 0, b""), b"PROXY UNKNOWN\r\n".to_vec()] {
        let before = running.seen.events().len();
        let said = answered(&running, &header, &alice);
        assert!(!String::from_utf8_lossy(&said).contains("HTTP"), "{said:?}");
        eventually(|| running.seen.events().len() > before);
        let event = running.seen.events()[before].clone();
        assert!(event.contains("HandshakeFailed") && event.contains("proxy_header"), "{event}");
        assert!(event.contains("`Builder::proxy_protocol`"), "{event}");
    }
    assert_eq!(running.calls(), 0);
}

#[test]
fn balancers_are_needed_to_expect_their_headers() {
    let ca = Ca::new("ca");
    let holder = ca.server();
    let certificate =
        mtls_min::ServerCertificate::from_pem(holder.pem().as_bytes(), holder.key_pem().as_bytes()).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let builder = mtls_min::Server::builder(listener, certificate, trust(&ca)).proxy_protocol([]);
    assert!(builder.build().unwrap_err().to_string().contains("needs the network of a balancer"));
}
