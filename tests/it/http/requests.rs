//! Requests over real sockets, rows H1, H4, H5 and H7 of the immunity matrix among them.

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::SystemTime;

use mtls_min::{Policy, Request, Response, Trust};

use crate::support::client::{self, GET, TLS13, VERSIONS, config, connect, exchange, read_reply, read_to_end};
use crate::support::echo::{authorised, echo};
use crate::support::pki::{Ca, HOUR};
use crate::support::server::{start, start_with, trust};
use crate::support::smuggling::SMUGGLING;

#[test]
fn h1_what_could_smuggle_a_request_is_answered_400_and_the_next_request_never() {
    let (running, ca) = echo();
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    for fields in SMUGGLING {
        let mut stream = authorised(&running, &ca);
        let reply = exchange(&mut stream, format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}{smuggled}")).unwrap();
        assert_eq!((reply.status, reply.field("connection")), (400, Some("close")), "{fields:?}");
        assert_eq!(read_to_end(&mut stream).unwrap(), b"", "{fields:?}");
    }
    let targets = running.seen.requests.lock().unwrap();
    assert!(targets.iter().all(|(status, _)| *status == 400));
}

#[test]
fn h4_a_pipelined_request_after_a_change_of_trust_is_judged_anew() {
    let (old, new) = (Ca::new("old"), Ca::new("new"));
    let replacement = Mutex::new(Some(trust(&new)));
    let (tell, told) = mpsc::channel::<mtls_min::TrustHandle>();
    let told = Mutex::new(told);
    let running = start_with(
        trust(&old),
        |builder| builder,
        move |_: &mut Request<'_>| {
            // Trust changes while the first request is answered and the second has arrived.
            if let Some(trust) = replacement.lock().unwrap().take() {
                told.lock().unwrap().recv().unwrap().replace(trust).unwrap();
            }
            Response::new("answered".into())
        },
    );
    tell.send(running.trust.clone()).unwrap();
    let mut stream = authorised(&running, &old);
    assert_eq!(exchange(&mut stream, GET.repeat(2)).unwrap().status, 200);
    assert_eq!(read_reply(&mut stream).unwrap().status, 401);
    assert_eq!(running.calls(), 1);
}

/// The certificate expires while the first request is answered and the second has arrived.
#[test]
fn h4_a_pipelined_request_after_a_date_has_passed_is_judged_anew() {
    let ca = Ca::new("ca");
    let late = Arc::new(AtomicBool::new(false));
    let (told, tell) = (Arc::clone(&late), Arc::clone(&late));
    let running = start_with(
        trust(&ca),
        |builder| builder.clock(move || SystemTime::now() + HOUR * u32::from(told.load(Ordering::SeqCst))),
        move |_: &mut Request<'_>| {
            tell.store(true, Ordering::SeqCst);
            Response::new("answered".into())
        },
    );
    let soon = ca.client_with("alice", |params| params.not_after = (SystemTime::now() + HOUR / 2).into());
    let mut stream = connect(running.addr, config(Some(&soon), &TLS13));
    assert_eq!(exchange(&mut stream, GET.repeat(2)).unwrap().status, 200);
    assert_eq!(read_reply(&mut stream).unwrap().status, 401);
    assert_eq!(running.calls(), 1);
}

#[test]
fn h5_the_handler_sees_one_form_of_a_path() {
    let (running, ca) = echo();
    let mut stream = authorised(&running, &ca);
    for (target, seen) in [
        ("/admin", "/admin"),
        ("/%61dmin", "/admin"),
        ("https://localhost/admin", "/admin"),
        ("https://localhost?x", "/?x"),
        ("/posts/[id].js", "/posts/%5Bid%5D.js"),
        ("/posts/%5bid%5D.js", "/posts/%5Bid%5D.js"),
        ("/a|b{c}^`", "/a%7Cb%7Bc%7D%5E%60"),
        ("/?q=100%&r=%zz[|]", "/?q=100%&r=%zz[|]"),
    ] {
        let reply = exchange(&mut stream, format!("GET {target} HTTP/1.1\r\nHost: localhost:\r\n\r\n")).unwrap();
        assert_eq!(reply.body, format!("GET {seen} "), "{target}");
    }
    for target in [
        "//admin",
        "/x/../admin",
        "/admin%2f",
        "/x/%2e%2e/admin",
        "/x/..;/admin",
        "/admin\\",
        "/a\"b",
        "/a<b",
        "/a>b",
        "/a%zz",
        "/?a#b",
        "/\u{e9}",
    ] {
        let mut stream = authorised(&running, &ca);
        let reply = exchange(&mut stream, format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")).unwrap();
        assert_eq!(reply.status, 400, "{target}");
    }
}

#[test]
fn h5_a_rule_is_met_by_each_spelling_of_what_browsers_send_raw() {
    let ca = Ca::new("ca");
    let policy = "/ any\n/posts/%5Bid%5D cn:bob\n/a%7Cb cn:bob\n";
    let trusted = |policy: &str| {
        let policy = Policy::parse(policy, "policy")?;
        Trust::builder().pem(ca.pem(), "ca").policy(policy).build()
    };
    let running = start(trusted(policy).unwrap());
    let mut stream = authorised(&running, &ca);
    for (target, status) in [
        ("/posts/[id]", 403),
        ("/posts/%5bid]/x", 403),
        ("/posts/[%69d%5D?x", 403),
        ("https://a/posts/[id]", 403),
        ("/a|b", 403),
        ("/%61%7cb/", 403),
        ("/posts/[ID]", 200),
        ("/posts/id", 200),
        ("/a?|b", 200),
    ] {
        let reply = exchange(&mut stream, format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).unwrap();
        assert_eq!(reply.status, status, "{target}");
    }
    let error = trusted("/posts/[id] cn:bob\n").unwrap_err().to_string();
    assert!(error.contains("policy, line 1") && error.contains("requests are seen as \"/posts/%5Bid%5D\""), "{error}");
}

#[test]
fn h7_only_http_1_1_is_spoken() {
    let (running, ca) = echo();
    let alice = ca.client("alice");
    let mut offering = config(Some(&alice), &TLS13);
    offering.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut stream = connect(running.addr, offering.clone());
    exchange(&mut stream, GET).unwrap();
    assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    let mut stream = authorised(&running, &ca);
    assert_eq!(exchange(&mut stream, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap().status, 400);
    offering.alpn_protocols = vec![b"h2".to_vec()];
    assert!(exchange(&mut connect(running.addr, offering), GET).is_err());
}

#[test]
fn identity_fields_of_a_client_change_nothing() {
    let ca = Ca::new("ca");
    let running = start(trust(&ca));
    let request = "GET / HTTP/1.1\r\nHost: a\r\nClient-Cert: :YWRtaW4=:\r\nX-SSL-Client-S-DN: CN=admin\r\n\
                   X-Forwarded-Client-Cert: Subject=\"CN=admin\"\r\nClient_Cert: admin\r\n\r\n";
    assert_eq!(exchange(&mut authorised(&running, &ca), request).unwrap().body, "hello CN=alice\n");
    let mut stranger = connect(running.addr, config(None, &TLS13));
    assert_eq!(exchange(&mut stranger, request).unwrap().status, 401);
}

#[test]
fn requests_follow_each_other_on_one_connection() {
    let (running, ca) = echo();
    for version in VERSIONS {
        let mut stream = connect(running.addr, config(Some(&ca.client("alice")), version));
        for number in 0..50 {
            let reply = exchange(&mut stream, format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n")).unwrap();
            assert_eq!((reply.status, reply.body.as_str()), (200, format!("GET /{number} ").as_str()));
            assert_eq!(reply.field("connection"), None);
            assert!(reply.field("date").is_some());
        }
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let (running, ca) = echo();
    let mut stream = authorised(&running, &ca);
    let requests: String = (0..200)
        .map(|number| match number % 3 {
            0 => format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n"),
            1 => format!("POST /{number} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"),
            _ => format!(
                "POST /{number} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n"
            ),
        })
        .collect();
    stream.write_all(requests.as_bytes()).unwrap();
    for number in 0..200 {
        let body = read_reply(&mut stream).unwrap().body;
        assert_eq!(body, if number % 3 == 0 { format!("GET /{number} ") } else { format!("POST /{number} hi") });
    }
}

#[test]
fn the_same_bytes_split_otherwise_get_the_same_answers() {
    let (running, ca) = echo();
    let bytes = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n\
                  POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nxyzGET /c HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answers = |step: usize| {
        let mut stream = authorised(&running, &ca);
        for piece in bytes.chunks(step) {
            stream.write_all(piece).unwrap();
            stream.flush().unwrap();
        }
        let replies: Vec<_> = (0..3).map(|_| read_reply(&mut stream).unwrap()).map(|r| (r.status, r.body)).collect();
        assert_eq!(read_to_end(&mut stream).unwrap(), b"");
        replies
    };
    let whole = answers(bytes.len());
    assert_eq!(whole[0], (200, "POST /a abcde".to_owned()));
    for step in [1, 2, 3, 7, 50] {
        assert_eq!(answers(step), whole, "in steps of {step}");
    }
}

#[test]
fn http_1_0_is_answered_and_closed_unless_it_asks_otherwise() {
    let (running, ca) = echo();
    let mut stream = authorised(&running, &ca);
    let reply = exchange(&mut stream, "GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").unwrap();
    assert_eq!((reply.body.as_str(), reply.field("connection")), ("GET /x ", Some("keep-alive")));
    let reply = exchange(&mut stream, "GET /y HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!((reply.body.as_str(), reply.field("connection")), ("GET /y ", Some("close")));
    assert_eq!(read_to_end(&mut stream).unwrap(), b"");
}

#[test]
fn d5_plain_http_is_told_to_use_https() {
    let running = start(trust(&Ca::new("ca")));
    let mut stream = TcpStream::connect(running.addr).unwrap();
    stream.set_read_timeout(Some(client::PATIENCE)).unwrap();
    stream.write_all(GET.as_bytes()).unwrap();
    let reply = read_reply(&mut stream).unwrap();
    assert_eq!(reply.status, 400);
    assert!(reply.body.contains("HTTPS"), "{}", reply.body);
    running.seen.wait_for_event("PlainHttp");
    assert_eq!(running.calls.load(Ordering::SeqCst), 0);
}
