//! HTTP over real sockets, rows H1 and H4 to H8 among it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use mtls_min::http::{HeaderValue, Method, StatusCode};
use mtls_min::{Access, Body, Observer, Policy, Request, Response, Trust, Verdict};

use crate::support::client::{self, GET, TLS13, Tls, VERSIONS, config, connect, exchange, read_reply, read_to_end};
use crate::support::pki::{self, CN, Ca};
use crate::support::server::{Running, start, start_observed, start_with, trust};

/// A server that answers with method, target and body, and a client of it that is authorised.
fn echo() -> (Running, Ca) {
    let ca = Ca::new("ca");
    let running = start_with(
        trust(&ca),
        |builder| builder.max_body(100_000),
        |request: &mut Request<'_>| {
            let mut body = String::new();
            match request.body().read_to_string(&mut body) {
                Ok(_) => Response::new(format!("{} {} {body}", request.method(), request.uri()).into()),
                Err(_) => Response::new("the handler answers nonsense".into()),
            }
        },
    );
    (running, ca)
}

fn authorised(running: &Running, ca: &Ca) -> Tls {
    connect(running.addr, config(Some(&ca.client("alice")), &TLS13))
}

#[test]
fn h1_what_could_smuggle_a_request_is_answered_400_and_the_next_request_never() {
    let (running, ca) = echo();
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    for fields in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
        "Content-Length: +0\r\n\r\n",
        "Content-Length: 0x0\r\n\r\n",
        "Content-Length: 0,0\r\n\r\n",
        "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "X: a\r\n folded\r\n\r\n",
        "X : a\r\n\r\n",
        "X: a\nY: b\r\n\r\n",
        "X: a\rb\r\n\r\n",
        "X: a\0b\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\na\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n1;a\nb\r\na\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n1 \n;a\r\na\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n1; a \r\na\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n00000000000000000fffffffffffffffff\r\na\r\n0\r\n\r\n",
    ] {
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
            // The change comes while the first request is answered and the second has arrived.
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
fn h6_a_name_cannot_reach_a_response_as_a_field() {
    const UTF8: u8 = 12;
    let ca = Ca::new("ca");
    let running = start_with(
        trust(&ca),
        |builder| builder,
        |request: &mut Request<'_>| {
            // What a careless application would do; the types do not let it happen.
            let mut response = Response::default();
            let name = request.peer().common_name().unwrap_or_default();
            match HeaderValue::from_str(name) {
                Ok(value) => drop(response.headers_mut().insert("x-user", value)),
                Err(_) => *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY,
            }
            response
        },
    );
    let evil = pki::name(&[&[(CN, UTF8, b"a\r\nSet-Cookie: x")]]);
    let holder = ca.with_subject(&ca.client("x"), &evil);
    let reply = client::get(running.addr, Some(&holder), &TLS13).unwrap();
    assert_eq!((reply.status, reply.field("set-cookie")), (422, None));
}

#[test]
fn h6_a_very_long_name_is_served() {
    const UTF8: u8 = 12;
    let ca = Ca::new("ca");
    let running = start(trust(&ca));
    let long = pki::name(&[&[(CN, UTF8, &[b'x'; 40_000])]]);
    let reply = client::get(running.addr, Some(&ca.with_subject(&ca.client("x"), &long)), &TLS13).unwrap();
    assert_eq!(reply.body.len(), "hello CN=\n".len() + 40_000);
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

/// RFC 9112, sections 7.1 and 7.1.1.
#[test]
fn a_chunked_body_with_zeros_before_its_sizes_and_white_space_around_its_extensions_is_read() {
    let (running, ca) = echo();
    let mut stream = authorised(&running, &ca);
    let post = "POST /a HTTP/1.1\r\nHost: a=b\r\nTransfer-Encoding: chunked\r\n\r\n00000000000000000003 ; x = \"y z\"\r\nabc\r\n\
                000; ieof\r\n\r\n";
    assert_eq!(exchange(&mut stream, format!("{post}{GET}")).unwrap().body, "POST /a abc");
    assert_eq!(read_reply(&mut stream).unwrap().body, "GET / ", "the next request is found");
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
fn head_is_answered_without_a_body() {
    let (running, ca) = echo();
    let mut stream = authorised(&running, &ca);
    stream.write_all(b"HEAD /abc HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let all = String::from_utf8(read_to_end(&mut stream).unwrap()).unwrap();
    assert!(all.starts_with("HTTP/1.1 200 OK\r\n") && all.ends_with("\r\n\r\n"), "{all}");
    assert!(all.contains("content-length: 10\r\n"), "{all}");
}

/// Sends `request` and returns the answer's status, when it is a head and nothing else (RFC 9110, section 9.3.2).
#[track_caller]
fn status_without_content(stream: &mut (impl Read + Write), request: &str) -> u16 {
    stream.write_all(request.as_bytes()).unwrap();
    let all = String::from_utf8(read_to_end(stream).unwrap()).unwrap();
    let (_, content) = all.split_once("\r\n\r\n").unwrap();
    assert_eq!(content, "", "{request:?}: {all}");
    all.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn h8_what_the_server_itself_answers_to_head_has_no_content() {
    let ca = Ca::new("ca");
    let policy = Policy::parse("/ any\n/bob cn:bob\n/open anyone\n", "policy").unwrap();
    let trusted = Trust::builder().pem(ca.pem(), "ca").policy(policy).build().unwrap();
    let short = Duration::from_millis(300);
    let running = start_with(
        trusted,
        |builder| builder.head_timeout(short).transfer_timeout(short).max_body(10).max_unauthenticated_body(10),
        |request: &mut Request<'_>| {
            assert_ne!(request.uri().path(), "/panic", "boom");
            let _ = std::io::copy(request.body(), &mut std::io::sink());
            Response::new("a handler's".into())
        },
    );
    let alice = ca.client("alice");
    let head =
        |target: &str, fields: &str| format!("HEAD {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n");
    let chunked = "Transfer-Encoding: chunked\r\n";
    for (status, request) in [
        (200, head("/", "")),
        (400, "HEAD / HTTP/1.1\r\n\r\n".to_owned()),
        (400, "HEAD  / HTTP/1.1\r\n".to_owned()),
        (400, "HEAD\r\n".to_owned()),
        (400, "HEAD /\n".to_owned()),
        (400, "HEAD\t/ HTTP/1.1\r\n".to_owned()),
        (400, " HEAD / HTTP/1.1\r\n".to_owned()),
        (400, "\r\nHEAD /\0".to_owned()),
        (400, "HEAD\0".to_owned()),
        (400, "\r\n\r\n".to_owned()),
        (400, "\0".to_owned()),
        (400, head("//", "")),
        (400, head("/", "Host: b\r\n")),
        (400, head("/", "X : y\r\n")),
        (400, head("/", "Content-Length: 1\r\nContent-Length: 1\r\n")),
        (400, head("/", chunked) + "x"),
        (400, head("/open", chunked) + "x"),
        (403, head("/bob", "")),
        (403, head("/bob", "Accept: text/html\r\n")),
        (408, "HEAD / HT".to_owned()),
        (408, "H".to_owned()),
        (408, "\r\n".to_owned()),
        (408, head("/", "Content-Length: 5\r\n") + "hel"),
        (413, head("/", "Content-Length: 11\r\n")),
        (413, head("/", chunked) + "b\r\n01234567890\r\n"),
        (414, head(&format!("/{}", "x".repeat(8192)), "")),
        (414, format!("HEAD /{}", "x".repeat(8300))),
        (417, head("/", "Expect: tea\r\n")),
        (431, head("/", &format!("X: {}\r\n", "x".repeat(16_384)))),
        (431, head("/", &"X: y\r\n".repeat(100))),
        (500, head("/panic", "")),
        (501, head("/", "Transfer-Encoding: gzip, chunked\r\n")),
        (505, "HEAD / HTTP/3.0\r\n".to_owned()),
    ] {
        let mut stream = connect(running.addr, config(Some(&alice), &TLS13));
        assert_eq!(status_without_content(&mut stream, &request), status, "{request:?}");
    }
    for (status, request) in [
        (401, head("/", "")),
        (401, head("/", "Accept: text/html\r\n")),
        (400, head("/open", chunked) + "x"),
        (408, head("/open", "Content-Length: 5\r\n") + "hel"),
        (413, head("/open", "Content-Length: 11\r\n")),
        (413, head("/open", chunked) + "b\r\n01234567890\r\n"),
    ] {
        let mut stream = connect(running.addr, config(None, &TLS13));
        assert_eq!(status_without_content(&mut stream, &request), status, "{request:?}");
    }
    for request in [head("/", ""), "H".to_owned()] {
        let mut plain = TcpStream::connect(running.addr).unwrap();
        plain.set_read_timeout(Some(client::PATIENCE)).unwrap();
        assert_eq!(status_without_content(&mut plain, &request), 400, "without TLS");
    }
}

/// RFC 9110, section 8.6: the length that is said to HEAD is what GET would get.
#[test]
fn a_rejection_says_to_head_the_length_of_what_it_says_to_get() {
    let (running, ca) = echo();
    let reply = |method: &str| {
        let mut stream = authorised(&running, &ca);
        stream.write_all(format!("{method} / HTTP/3.0\r\n").as_bytes()).unwrap();
        String::from_utf8(read_to_end(&mut stream).unwrap()).unwrap()
    };
    let without_date =
        |text: String| text.lines().filter(|line| !line.starts_with("date")).collect::<Vec<_>>().join("\n");
    let (get, head) = (without_date(reply("GET")), without_date(reply("HEAD")));
    assert_eq!(get, head + "\nHTTP Version Not Supported");
}

#[test]
fn a_request_whose_body_is_rejected_before_the_handler_is_logged_by_its_method_and_target() {
    struct Lines(mpsc::Sender<String>);
    impl Observer for Lines {
        fn request(&self, access: &Access<'_>) {
            let _ = self.0.send(format!("{} {} {}", access.method, access.target, access.status));
        }
    }
    let (lines, logged) = mpsc::channel();
    let running = start_observed(
        trust(&Ca::new("ca")),
        |builder| builder.open_gate().transfer_timeout(Duration::from_millis(300)),
        Lines(lines),
    );
    for (body, status) in [("Content-Length: 5\r\n\r\nhel", 408), ("Transfer-Encoding: chunked\r\n\r\nx", 400)] {
        let mut stream = connect(running.addr, config(None, &TLS13));
        let reply = exchange(&mut stream, format!("PUT /a HTTP/1.1\r\nHost: a\r\n{body}")).unwrap();
        assert_eq!(reply.status, status);
        assert_eq!(logged.recv_timeout(client::PATIENCE).unwrap(), format!("PUT /a {status}"));
    }
}

#[test]
fn a_client_that_expects_continue_is_told_to_when_the_handler_reads() {
    let (running, ca) = echo();
    let mut stream = authorised(&running, &ca);
    stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n").unwrap();
    assert_eq!(read_reply(&mut stream).unwrap().status, 100);
    assert_eq!(exchange(&mut stream, "hello").unwrap().body, "POST / hello");
    assert_eq!(exchange(&mut stream, GET).unwrap().status, 200, "the connection is kept");
}

#[test]
fn a_body_that_the_handler_does_not_read_ends_the_connection_unless_it_is_there() {
    let ca = Ca::new("ca");
    let running = start(trust(&ca));
    let mut stream = authorised(&running, &ca);
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
    let reply = exchange(&mut stream, format!("{post}hello{GET}")).unwrap();
    assert_eq!((reply.status, reply.field("connection")), (200, None));
    assert_eq!(read_reply(&mut stream).unwrap().status, 200);
    // Never sent, because nobody asked for it.
    let expecting = post.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    let reply = exchange(&mut stream, expecting).unwrap();
    assert_eq!((reply.status, reply.field("connection")), (200, Some("close")));
    assert_eq!(read_to_end(&mut stream).unwrap(), b"");
}

#[test]
fn bodies_past_the_limit_are_413_whatever_the_handler_says() {
    let (running, ca) = echo();
    for request in [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100001\r\n\r\n".to_owned(),
        format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n186a1\r\n{}\r\n0\r\n\r\n",
            "x".repeat(100_001)
        ),
    ] {
        let reply = exchange(&mut authorised(&running, &ca), request).unwrap();
        assert_eq!((reply.status, reply.field("connection")), (413, Some("close")));
    }
    let at_limit = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n{}", "x".repeat(100_000));
    assert_eq!(exchange(&mut authorised(&running, &ca), at_limit).unwrap().status, 200);
}

#[test]
fn each_status_belongs_to_its_fault() {
    let (running, ca) = echo();
    for (status, request) in [
        (400, "GET / HTTP/1.1\r\n\r\n".to_owned()),
        (411, "POST / HTTP/1.0\r\n\r\n".to_owned()),
        (414, format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(8192))),
        (417, "POST / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n".to_owned()),
        (431, format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(16_384))),
        (501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n".to_owned()),
        (505, "GET / HTTP/3.0\r\nHost: a\r\n\r\n".to_owned()),
    ] {
        let mut stream = authorised(&running, &ca);
        let reply = exchange(&mut stream, request).unwrap();
        assert_eq!((reply.status, reply.field("connection")), (status, Some("close")));
        assert_eq!(read_to_end(&mut stream).unwrap(), b"");
    }
    assert_eq!(running.calls(), 0);
}

#[test]
fn slow_heads_and_bodies_are_told_408() {
    let ca = Ca::new("ca");
    let short = Duration::from_millis(300);
    let running = start_with(
        trust(&ca),
        |builder| builder.head_timeout(short).transfer_timeout(short),
        |request: &mut Request<'_>| {
            let _ = std::io::copy(request.body(), &mut std::io::sink());
            Response::default()
        },
    );
    for beginning in ["GET / HT", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel"] {
        let mut stream = authorised(&running, &ca);
        let reply = exchange(&mut stream, beginning).unwrap();
        assert_eq!((reply.status, reply.field("connection")), (408, Some("close")), "{beginning:?}");
    }
    let events = running.seen.events();
    assert!(
        events.iter().any(|event| event.contains("Head")) && events.iter().any(|event| event.contains("Body")),
        "{events:?}"
    );
}

#[test]
fn a_response_reaches_a_client_that_is_still_sending() {
    let ca = Ca::new("ca");
    let running = start(trust(&ca));
    for holder in [None, Some(ca.client("alice"))] {
        let mut stream = connect(running.addr, config(holder.as_ref(), &TLS13));
        let length = 8 * 1024 * 1024;
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        // All of it, before looking at the answer. The server throws it away, but does not cut it off.
        stream.write_all(&vec![b'x'; length]).unwrap();
        let reply = read_reply(&mut stream).unwrap();
        assert_eq!(reply.status, if holder.is_some() { 200 } else { 401 });
    }
}

#[test]
fn bodies_stream_in_both_directions() {
    let ca = Ca::new("ca");
    let running = start_with(
        trust(&ca),
        |builder| builder,
        |request: &mut Request<'_>| {
            let mut sum = 0_u64;
            let mut buffer = [0; 10_000];
            while let Ok(n @ 1..) = request.body().read(&mut buffer) {
                sum += buffer[..n].iter().map(|byte| u64::from(*byte)).sum::<u64>();
            }
            let length = 3_000_000;
            let known = request.uri().path() == "/known";
            let bytes = std::io::repeat(b'y').take(length);
            let mut response = Response::new(Body::from_reader(bytes, known.then_some(length)));
            response.headers_mut().insert("x-sum", sum.into());
            response
        },
    );
    for version in VERSIONS {
        let mut stream = connect(running.addr, config(Some(&ca.client("alice")), version));
        for path in ["/known", "/unknown", "/known"] {
            let request =
                format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n{}", "a".repeat(2_000_000));
            let reply = exchange(&mut stream, request).unwrap();
            assert_eq!(reply.field("x-sum"), Some("194000000"));
            assert_eq!(reply.body.len(), 3_000_000);
            assert_eq!(reply.field("transfer-encoding").is_some(), path == "/unknown");
        }
    }
    let mut stream = connect(running.addr, config(Some(&ca.client("alice")), &TLS13));
    stream.write_all(b"GET /unknown HTTP/1.0\r\n\r\n").unwrap();
    let all = read_to_end(&mut stream).unwrap();
    assert!(all.len() > 3_000_000 && all.ends_with(b"yyy"), "until the end of the connection");
}

#[test]
fn a_body_that_ends_early_is_cut_so_that_the_client_notices() {
    let ca = Ca::new("ca");
    let running = start_with(
        trust(&ca),
        |builder| builder,
        |request: &mut Request<'_>| {
            let short = std::io::repeat(b'y').take(10);
            match request.uri().path() {
                "/short" => Response::new(Body::from_reader(short, Some(100_000))),
                "/long" => Response::new(Body::from_reader(std::io::repeat(b'y'), Some(10))),
                _ => Response::new(Body::from_reader(Panics, None)),
            }
        },
    );
    let ask = |path: &str| {
        let mut stream = authorised(&running, &ca);
        exchange(&mut stream, format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"))
    };
    for path in ["/short", "/panic"] {
        let error = ask(path).unwrap_err();
        assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "{path}: cut, not left waiting");
    }
    assert_eq!(ask("/long").unwrap().body, "y".repeat(10), "no more than announced");
    running.seen.wait_for_event("boom in a reader");
}

struct Panics;

impl Read for Panics {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        panic!("boom in a reader")
    }
}

#[test]
fn d2_a_handler_that_panics_costs_one_500_and_no_worker() {
    let ca = Ca::new("ca");
    let running = start_with(
        trust(&ca),
        |builder| builder.workers(1),
        |request: &mut Request<'_>| {
            assert_ne!(request.method(), Method::DELETE, "boom");
            Response::new("fine".into())
        },
    );
    for _ in 0..5 {
        let mut stream = authorised(&running, &ca);
        let delete = "DELETE / HTTP/1.1\r\nHost: a\r\n\r\n";
        assert_eq!(exchange(&mut stream, delete).unwrap().status, 500);
        assert_eq!(exchange(&mut stream, GET).unwrap().body, "fine", "on the same connection");
    }
    running.seen.wait_for_event("boom");
}

#[test]
fn behind_an_open_gate_the_handler_decides() {
    let ca = Ca::new("ca");
    let running = start_with(
        trust(&ca),
        |builder| builder.open_gate().max_unauthenticated_body(1000),
        |request: &mut Request<'_>| {
            let mut body = String::new();
            request.body().read_to_string(&mut body).unwrap();
            match request.peer_verdict() {
                Verdict::Authorised(identity) => Response::new(format!("{} {body}", identity.subject()).into()),
                Verdict::Refused(refusal) => Response::new(format!("{} {body}", refusal.code()).into()),
            }
        },
    );
    let post =
        |length: usize| format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{}", "x".repeat(length));
    for version in VERSIONS {
        let mut stranger = connect(running.addr, config(None, version));
        assert_eq!(exchange(&mut stranger, GET).unwrap().body, "no_certificate ");
        assert_eq!(exchange(&mut stranger, post(3)).unwrap().body, "no_certificate xxx", "the connection is kept");
        assert_eq!(exchange(&mut stranger, post(1000)).unwrap().status, 200);
        assert_eq!(exchange(&mut stranger, post(1001)).unwrap().status, 413);
        let mut known = connect(running.addr, config(Some(&ca.client("alice")), version));
        assert_eq!(exchange(&mut known, post(1001)).unwrap().status, 200);
    }
}

#[test]
fn behind_an_open_gate_asking_for_a_peer_that_is_not_authorised_fails_closed() {
    let ca = Ca::new("ca");
    let running = start_with(
        trust(&ca),
        |builder| builder.open_gate(),
        |request: &mut Request<'_>| Response::new(request.peer().subject().to_owned().into()),
    );
    assert_eq!(client::get(running.addr, None, &TLS13).unwrap().status, 500);
}

#[test]
fn behind_an_open_gate_a_stranger_that_expects_continue_gets_it() {
    let ca = Ca::new("ca");
    let running = start_with(
        trust(&ca),
        |builder| builder.open_gate(),
        |request: &mut Request<'_>| {
            let mut body = String::new();
            request.body().read_to_string(&mut body).unwrap();
            Response::new(body.into())
        },
    );
    let mut stream = connect(running.addr, config(None, &TLS13));
    stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n").unwrap();
    assert_eq!(read_reply(&mut stream).unwrap().status, 100);
    assert_eq!(exchange(&mut stream, "hi").unwrap().body, "hi");
}

#[test]
fn the_refusal_has_its_fields_and_closes() {
    let running = start(trust(&Ca::new("ca")));
    for version in VERSIONS {
        let mut stream = connect(running.addr, config(None, version));
        let reply = exchange(&mut stream, GET).unwrap();
        assert_eq!((reply.status, reply.body.as_str()), (401, "User is not authorized\n"));
        assert_eq!(reply.field("connection"), Some("close"));
        assert_eq!(reply.field("cache-control"), Some("no-store"));
        assert!(reply.field("www-authenticate").is_some());
        assert_eq!(reply.field("x-request-id").unwrap().len(), 12);
        assert_eq!(read_to_end(&mut stream).unwrap(), b"");
        let html = "GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html,*/*;q=0.8\r\n\r\n";
        let page = exchange(&mut connect(running.addr, config(None, version)), html).unwrap();
        assert_eq!(page.status, 401);
        assert!(
            page.body.contains("<h1>User is not authorized</h1>")
                && page.body.contains(page.field("x-request-id").unwrap())
        );
    }
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
