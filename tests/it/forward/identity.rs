//! Who the client is, as the application is told.

use mtls_min::http::StatusCode;
use mtls_min::{Forward, Policy, Request, Trust, response};

use crate::support::client::{GET, TLS13, config, connect, exchange};
use crate::support::echo::authorised;
use crate::support::pki::{CN, Ca, name};
use crate::support::server::{start_with, trust};
use crate::support::upstream::{answering, in_front_of, in_front_with, ok};

/// RFC 9440, section 2.1: a byte sequence of the whole certificate.
fn byte_sequence(der: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::from(":");
    for three in der.chunks(3) {
        let number = three.iter().chain([&0; 3]).take(3).fold(0, |number, byte| number << 8 | usize::from(*byte));
        for place in 0..4 {
            let digit = DIGITS[number >> (18 - 6 * place) & 63];
            text.push(if place <= three.len() { char::from(digit) } else { '=' });
        }
    }
    text + ":"
}

#[test]
fn the_application_is_told_who_the_client_is() {
    let upstream = answering(|_| ok("fine"));
    let (running, ca) = in_front_of(&upstream.url);
    let alice = ca.client("alice");
    let mut stream = connect(running.addr, config(Some(&alice), &TLS13));
    exchange(&mut stream, "GET / HTTP/1.1\r\nHost: example.org:8443\r\n\r\n").unwrap();
    let asked = upstream.last();
    assert_eq!(asked.field("client-cert"), Some(byte_sequence(&alice.chain[0]).as_str()));
    assert_eq!(asked.field("client-cert-chain"), None);
    assert_eq!(asked.field("x-client-subject"), Some("CN=alice"));
    assert_eq!(asked.field("x-client-name"), Some("alice"));
    assert_eq!(asked.field("x-client-sha256").map(str::len), Some(64));
    assert_eq!(asked.field("forwarded"), Some("for=127.0.0.1;proto=https;host=\"example.org:8443\""));
    assert_eq!(asked.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(asked.field("x-forwarded-proto"), Some("https"));
    assert_eq!(asked.field("x-forwarded-host"), Some("example.org:8443"));
}

/// RFC 9440, section 2.2.
#[test]
fn the_chain_travels_if_it_is_asked_for() {
    let upstream = answering(|_| ok("fine"));
    let (running, ca) = in_front_with(&upstream.url, Forward::with_chain, |builder| builder);
    let (first, second) = (ca.intermediate("first"), ca.intermediate("second"));
    let mut holder = first.client("alice");
    holder.chain = vec![holder.chain[0].clone(), holder.chain[1].clone(), second.client("x").chain[1].clone()];
    exchange(&mut connect(running.addr, config(Some(&holder), &TLS13)), GET).unwrap();
    let expected = format!("{}, {}", byte_sequence(&holder.chain[1]), byte_sequence(&holder.chain[2]));
    assert_eq!(upstream.last().field("client-cert-chain"), Some(expected.as_str()));
    let alone = ca.client("alice").alone();
    exchange(&mut connect(running.addr, config(Some(&alone), &TLS13)), GET).unwrap();
    assert_eq!(upstream.last().field("client-cert-chain"), None);
}

/// Row H6 of the immunity matrix.
#[test]
fn h6_a_name_cannot_become_a_field_or_be_read_in_two_ways() {
    const UTF8: u8 = 12;
    let upstream = answering(|_| ok("fine"));
    let (running, ca) = in_front_of(&upstream.url);
    for (common_name, subject, name_field) in [
        ("a\r\nX-Client-Name: admin", "CN=a\\0D\\0AX-Client-Name: admin", "a%0D%0AX-Client-Name: admin"),
        ("Zo\u{eb}", "CN=Zo%C3%AB", "Zo%C3%AB"),
        ("100%", "CN=100%25", "100%25"),
        (" a,b ", "CN=\\ a\\,b\\%20", "%20a,b%20"),
    ] {
        let holder = ca.with_subject(&ca.client("x"), &name(&[&[(CN, UTF8, common_name.as_bytes())]]));
        let reply = exchange(&mut connect(running.addr, config(Some(&holder), &TLS13)), GET).unwrap();
        assert_eq!(reply.body, "fine");
        let asked = upstream.last();
        assert_eq!(asked.field("x-client-subject"), Some(subject), "{common_name:?}");
        assert_eq!(asked.field("x-client-name"), Some(name_field), "{common_name:?}");
    }
    let long = ca.with_subject(&ca.client("x"), &name(&[&[(CN, UTF8, &[b'x'; 9000])]]));
    let before = upstream.asked().len();
    let reply = exchange(&mut connect(running.addr, config(Some(&long), &TLS13)), GET).unwrap();
    assert_eq!((reply.status, upstream.asked().len()), (431, before), "it is not cut");
    assert!(running.seen.last_note(5).1.contains("too long to be forwarded"));
    let two = ca.with_subject(&ca.client("x"), &name(&[&[(CN, UTF8, b"alice")], &[(CN, UTF8, b"admin")]]));
    exchange(&mut connect(running.addr, config(Some(&two), &TLS13)), GET).unwrap();
    assert_eq!(upstream.last().field("x-client-name"), None, "it is unknown which is meant");
}

#[test]
fn a_path_for_anyone_reaches_the_application_without_an_identity() {
    let upstream = answering(|asked| ok(&asked.names().join(" ")));
    let ca = Ca::new("ca");
    let policy = Policy::parse("/ any\n/public anyone\n", "policy").unwrap();
    let trust = Trust::builder().pem(ca.pem(), "ca").policy(policy).build().unwrap();
    let forward = Forward::to(&upstream.url).unwrap();
    let running = start_with(trust, |builder| builder, move |request: &mut Request<'_>| forward.answer(request));
    let claim = "GET /public HTTP/1.1\r\nHost: a\r\nX-Client-Name: admin\r\n\r\n";
    let stranger_ca = Ca::new("other");
    for holder in [None, Some(stranger_ca.client("alice"))] {
        let mut stream = connect(running.addr, config(holder.as_ref(), &TLS13));
        let reply = exchange(&mut stream, claim).unwrap();
        assert_eq!(reply.body, "host x-forwarded-for x-forwarded-proto x-forwarded-host forwarded");
        let post =
            "POST /public HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nDigest: x\r\n\r\n";
        exchange(&mut stream, post).unwrap();
        let asked = upstream.last();
        assert_eq!((&asked.body[..], asked.trailers), (&b"hi"[..], vec![("digest".to_owned(), "x".to_owned())]));
    }
    assert_eq!(upstream.asked().len(), 4);
    let refused = exchange(&mut connect(running.addr, config(None, &TLS13)), GET).unwrap();
    assert_eq!((refused.status, upstream.asked().len()), (401, 4), "rules come first");
    let known = exchange(&mut authorised(&running, &ca), GET).unwrap();
    assert!(known.body.contains("client-cert") && known.body.contains("x-client-name"));
}

#[test]
fn a_handler_sees_the_certificates_that_were_sent() {
    let ca = Ca::new("ca");
    let handler = |request: &mut Request<'_>| {
        let lengths: Vec<_> = request.certificates().map(|der| der.len().to_string()).collect();
        response::text(StatusCode::OK, lengths.join(" "))
    };
    let running = start_with(trust(&ca), |builder| builder.open_gate(), handler);
    let holder = ca.intermediate("between").client("alice");
    let lengths: Vec<_> = holder.chain.iter().map(|der| der.len().to_string()).collect();
    assert!(lengths.len() > 1);
    assert_eq!(
        exchange(&mut connect(running.addr, config(Some(&holder), &TLS13)), GET).unwrap().body,
        lengths.join(" ")
    );
    assert_eq!(exchange(&mut connect(running.addr, config(None, &TLS13)), GET).unwrap().body, "");
}
