//! What an application may change the protocol to.

use std::io::{Read, Write};

use crate::support::client::{exchange, read_reply, read_to_end};
use crate::support::echo::authorised;
use crate::support::upstream::{answering, in_front_of, ok, scripted};

#[test]
fn after_an_upgrade_bytes_go_both_ways() {
    let upstream = scripted(|stream, asked| {
        let asked = asked?;
        assert_eq!((asked.field("upgrade"), asked.field("sec-websocket-key")), (Some("websocket"), Some("x")));
        let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: y\r\n\r\n";
        stream.get_mut().write_all(format!("{head}welcome").as_bytes()).ok()?;
        let mut bytes = [0; 5];
        for _ in 0..3 {
            stream.read_exact(&mut bytes).ok()?;
            stream.get_mut().write_all(&bytes).ok()?;
        }
        None
    });
    let (running, ca) = in_front_of(&upstream.url);
    let mut stream = authorised(&running, &ca);
    let request =
        "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n";
    let reply = exchange(&mut stream, request).unwrap();
    let said = |name| reply.field(name).map(str::to_ascii_lowercase);
    assert_eq!((reply.status, said("upgrade").as_deref()), (101, Some("websocket")));
    assert_eq!((said("connection").as_deref(), said("sec-websocket-accept").as_deref()), (Some("upgrade"), Some("y")));
    assert_eq!((said("content-length"), said("transfer-encoding")), (None, None));
    let mut welcome = [0; 7];
    stream.read_exact(&mut welcome).unwrap();
    assert_eq!(&welcome, b"welcome");
    let mut bytes = [0; 5];
    for sent in [b"hello", b"GET /", b"\0\xff\r\n\r"] {
        stream.write_all(sent).unwrap();
        stream.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, sent);
    }
    assert_eq!(read_to_end(&mut stream).unwrap(), b"");
    assert_eq!((upstream.connections(), upstream.asked().len()), (1, 1));
}

/// What is within HTTP or TLS again would not be asked about by the rules.
#[test]
fn only_an_upgrade_that_ends_http_is_asked_for() {
    let upstream = answering(|asked| ok(&format!("{:?} {:?}", asked.all("upgrade"), asked.field("connection"))));
    let (running, ca) = in_front_of(&upstream.url);
    let mut stream = authorised(&running, &ca);
    let mut ask = |line: &str, fields: &str| {
        exchange(&mut stream, format!("{line}\r\nHost: a\r\n{fields}\r\n\r\n")).unwrap().body
    };
    let get = "GET / HTTP/1.1";
    for (fields, seen) in [
        ("Connection: Upgrade\r\nUpgrade: websocket", "[\"websocket\"] Some(\"Upgrade\")"),
        ("Connection: keep-alive, upgrade\r\nUpgrade: WebSocket, h2c", "[\"WebSocket\"] Some(\"Upgrade\")"),
        ("Connection: upgrade\r\nUpgrade: tcp\r\nTE: trailers", "[\"tcp\"] Some(\"TE, Upgrade\")"),
        ("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x", "[] None"),
        ("Connection: Upgrade\r\nUpgrade: H2C", "[] None"),
        ("Connection: Upgrade\r\nUpgrade: HTTP/2.0, TLS/1.0, h3", "[] None"),
        ("Connection: Upgrade\r\nUpgrade:", "[] None"),
        ("Upgrade: websocket", "[] None"),
    ] {
        assert_eq!(ask(get, fields), seen, "{fields}");
    }
    let with_body = "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\nxGET / HTTP/1.1\r\nHost: a";
    assert_eq!(ask("POST / HTTP/1.1", with_body), "[] None");
    assert_eq!(read_reply(&mut stream).unwrap().status, 200);
}

#[test]
fn a_change_of_protocol_that_nobody_asked_for_is_no_answer() {
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    ] {
        let upstream = scripted(|stream, _| {
            let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n";
            stream.get_mut().write_all(answer.as_bytes()).ok()
        });
        let (running, ca) = in_front_of(&upstream.url);
        let mut stream = authorised(&running, &ca);
        assert_eq!(exchange(&mut stream, request).unwrap().status, 502);
        assert_eq!(read_to_end(&mut stream).unwrap(), b"");
        let (status, note) = running.seen.last_note(1);
        assert_eq!(status, 502);
        assert!(note.contains("a protocol that was not asked for"), "{note}");
    }
}
