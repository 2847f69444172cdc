//! What of a request reaches the application, and what of its answer the client. Rows H2 and H3 of the immunity matrix.

use crate::support::client::{TLS13, config, connect, exchange, read_to_end};
use crate::support::echo::authorised;
use crate::support::upstream::{answering, in_front_of, in_front_with, ok};

/// What a client may claim in vain.
const CLAIMS: &[&str] = &[
    "Client-Cert: :YWRtaW4=:",
    "CLIENT-CERT: :YWRtaW4=:",
    "Client_Cert: admin",
    "client_cert: admin",
    "Client-Cert-Chain: :YWRtaW4=:",
    "Client_Cert_Chain: admin",
    "X-Client-Subject: CN=admin",
    "X_Client_Subject: CN=admin",
    "X-Client_Subject: CN=admin",
    "x-client-name: admin",
    "X-CLIENT-NAME: admin",
    "X_CLIENT_NAME: admin",
    "X-Client-Sha256: admin",
    "X-Client-Cert: admin",
    "X-Client-Certificate: admin",
    "X-Client-Verify: SUCCESS-admin",
    "X-Client-S-DN: CN=admin",
    "X-Client-DN: CN=admin",
    "X-SSL-Client-S-DN: CN=admin",
    "X-SSL-Client-Cert: admin",
    "X-SSL-Cert: admin",
    "SSL-Client-S-DN: CN=admin",
    "SSL_CLIENT_S_DN: CN=admin",
    "X-Forwarded-Client-Cert: Subject=\"CN=admin\"",
    "X_Forwarded_Client_Cert: Subject=\"CN=admin\"",
    "X-Forwarded-Tls-Client-Cert: admin",
    "X-Forwarded-Tls-Client-Cert-Info: admin",
    "X-Forwarded-User: admin",
    "X-Forwarded-For: admin",
    "X-Forwarded-Host: admin",
    "X_Forwarded_For: admin",
    "Forwarded: for=admin",
    "X-Real-IP: admin",
    "X-Amzn-Mtls-Clientcert-Subject: admin",
    "X-ARR-ClientCert: admin",
    "Tls-Client-Subject: admin",
    "Remote-User: admin",
    "X-Remote-User: admin",
    "X-Original-URL: /admin",
    "X-Rewrite-URL: /admin",
    "Proxy: admin",
    "Any_Name: admin",
    "X-Client-Version: admin",
    "X-Auth-User: admin",
    "X-User: admin",
    "X-MS-Client-Principal: admin",
    "X-MS-Client-Principal-Name: admin",
    "X-Goog-Authenticated-User-Email: admin",
    "X-Consumer-Username: admin",
    "X-Authenticated-UserId: admin",
];

/// What may stand in the name of a field beside letters and digits (RFC 9110, section 5.6.2). PHP, lighttpd and others make `_` of
/// each.
const MARKS: &str = "!#$%&'*+-.^_`|~";

#[test]
fn h2_what_a_client_claims_to_be_never_reaches_the_application() {
    let upstream = answering(|_| ok("fine"));
    let (running, ca) = in_front_with(&upstream.url, |forward| forward, |builder| builder.open_gate());
    let asking = |claims: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{claims}X-Own: 1\r\n\r\n");
    for holder in [Some(ca.client("alice")), None] {
        let mut stream = connect(running.addr, config(holder.as_ref(), &TLS13));
        exchange(&mut stream, asking("")).unwrap();
        let honest = upstream.last();
        let together: String = CLAIMS.iter().map(|claim| format!("{claim}\r\n")).collect();
        for claims in CLAIMS.iter().map(|claim| format!("{claim}\r\n")).chain([together]) {
            assert_eq!(exchange(&mut stream, asking(&claims)).unwrap().body, "fine");
            let asked = upstream.last();
            assert_eq!(asked.fields, honest.fields, "{claims}");
        }
        let said = honest.names();
        assert_eq!(said.contains(&"client-cert"), holder.is_some());
        assert_eq!(said.iter().any(|name| name.starts_with("x-client-")), holder.is_some());
    }
}

#[test]
fn h2_no_mark_stands_in_for_a_hyphen_in_fields_or_trailers() {
    let upstream = answering(|_| ok("fine"));
    let (running, ca) = in_front_of(&upstream.url);
    let mut stream = authorised(&running, &ca);
    let mut asked = |fields: &str, trailers: &str| {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}Transfer-Encoding: chunked\r\n\r\n");
        assert_eq!(exchange(&mut stream, format!("{head}0\r\n{trailers}X-Sum: 1\r\n\r\n")).unwrap().body, "fine");
        let asked = upstream.last();
        (asked.fields, asked.trailers)
    };
    let honest = asked("", "");
    for mark in MARKS.chars() {
        for name in ["Client-Cert", "X-Client-Subject", "X-Client-Name", "X-Client-Sha256", "X-Forwarded-For"] {
            let all = name.replace('-', &mark.to_string());
            let last = name.rsplit_once('-').map(|(before, after)| format!("{before}{mark}{after}")).unwrap();
            for spelled in [all, last] {
                let claim = format!("{spelled}: admin\r\n");
                assert_eq!(asked(&claim, &claim), honest, "{spelled}");
            }
        }
        if mark != '-' {
            let claim = format!("X{mark}Own: 1\r\n{mark}: 1\r\n");
            assert_eq!(asked(&claim, &claim), honest, "whatever the name is: {claim}");
        }
    }
    assert_eq!(honest.1, [("x-sum".to_owned(), "1".to_owned())]);
}

#[test]
fn h3_connection_cannot_name_what_we_say() {
    let upstream = answering(|_| ok("fine"));
    let (running, ca) = in_front_of(&upstream.url);
    let mut stream = authorised(&running, &ca);
    exchange(&mut stream, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let honest = upstream.last();
    for name in honest.names() {
        for connection in [name.to_owned(), format!("keep-alive, {}", name.to_uppercase())] {
            exchange(&mut stream, format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: {connection}\r\n\r\n")).unwrap();
            assert_eq!(upstream.last().fields, honest.fields, "{connection}");
        }
    }
    let post = "POST / HTTP/1.1\r\nHost: a\r\nConnection: content-length, Host, Transfer-Encoding\r\nContent-Length: 2\r\n\r\nhi";
    exchange(&mut stream, post).unwrap();
    assert_eq!((upstream.last().field("content-length"), &upstream.last().body[..]), (Some("2"), &b"hi"[..]));
}

/// RFC 9110, section 7.6.1.
#[test]
fn what_is_the_connections_own_stays_behind_and_the_rest_travels() {
    let upstream = answering(|_| {
        "HTTP/1.1 200 OK\r\nServer: app\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\n\
         Date: never\r\nX: \u{e9}\r\nContent-Length: 0\r\n\r\n"
            .to_owned()
    });
    let (running, ca) = in_front_of(&upstream.url);
    let request = "PUT /a%20b/[c]?d=[e] HTTP/1.1\r\nHOST: Example.org:\r\nConnection: X-Mine, keep-alive\r\nX-Mine: 1\r\nKeep-Alive: 1\r\n\
                   Proxy-Connection: x\r\nProxy-Authorization: x\r\nTE: gzip, trailers\r\nTrailer: x\r\nUpgrade: websocket\r\n\
                   HTTP2-Settings: x\r\nCookie: a=1\r\nCookie: b=2\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n";
    let mut stream = authorised(&running, &ca);
    let reply = exchange(&mut stream, request).unwrap();
    let asked = upstream.last();
    assert_eq!(asked.line, "PUT /a%20b/%5Bc%5D?d=[e] HTTP/1.1");
    assert_eq!(asked.field("host"), Some("Example.org:"));
    assert_eq!((asked.field("te"), asked.field("connection")), (Some("trailers"), Some("TE")));
    assert_eq!((asked.all("cookie"), asked.field("x-empty")), (vec!["a=1", "b=2"], Some("")));
    for gone in [
        "x-mine",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "trailer",
        "upgrade",
        "http2-settings",
        "transfer-encoding",
    ] {
        assert_eq!(asked.field(gone), None, "{gone}");
    }
    let cookies: Vec<_> =
        reply.fields.iter().filter(|(name, _)| name == "set-cookie").map(|(_, value)| &**value).collect();
    assert_eq!((reply.field("server"), cookies), (Some("app"), vec!["a=1", "b=2"]));
    for gone in ["connection", "x-hop", "keep-alive"] {
        assert_eq!(reply.field(gone), None, "{gone}");
    }
    assert_ne!(reply.field("date"), Some("never"));
    assert_eq!(exchange(&mut stream, request).unwrap().status, 200, "the connection is kept");
}

/// RFC 9110, sections 8.6 and 10.1.1.
#[test]
fn a_request_without_a_body_says_so_and_expects_no_leave_to_send_one() {
    let upstream = answering(|_| ok(""));
    let (running, ca) = in_front_of(&upstream.url);
    let mut stream = authorised(&running, &ca);
    for (method, length) in [
        ("GET", None),
        ("HEAD", None),
        ("DELETE", None),
        ("OPTIONS", None),
        ("PROPFIND", None),
        ("POST", Some("0")),
        ("PUT", Some("0")),
        ("PATCH", Some("0")),
    ] {
        for fields in ["", "Expect: 100-continue\r\n"] {
            let request = format!("{method} / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            assert_eq!(exchange(&mut stream, request).unwrap().status, 200);
            let asked = upstream.last();
            assert_eq!((asked.field("content-length"), asked.field("expect")), (length, None), "{method} {fields}");
        }
    }
    let empty = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(exchange(&mut stream, empty).unwrap().status, 200);
    assert_eq!((upstream.last().field("content-length"), upstream.last().field("expect")), (Some("0"), None));
}

#[test]
fn a_request_of_http_1_0_is_forwarded_as_1_1_and_names_the_application_if_it_names_no_host() {
    let upstream = answering(|_| ok("fine"));
    let (running, ca) = in_front_of(&upstream.url);
    let mut stream = authorised(&running, &ca);
    let reply = exchange(&mut stream, "GET /x HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!((reply.body.as_str(), read_to_end(&mut stream).unwrap()), ("fine", Vec::new()));
    let asked = upstream.last();
    assert_eq!((asked.line.as_str(), asked.field("host")), ("GET /x HTTP/1.1", upstream.url.strip_prefix("http://")));
    assert_eq!(asked.field("x-forwarded-host"), None);
    assert!(!asked.field("forwarded").unwrap().contains("host="));
}

#[test]
fn a_prefix_is_taken_off_the_path() {
    let upstream = answering(|asked| ok(&asked.line));
    let (running, ca) =
        in_front_with(&upstream.url, |forward| forward.strip_prefix("/api").unwrap(), |builder| builder);
    let mut stream = authorised(&running, &ca);
    let mut ask = |target: &str| exchange(&mut stream, format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).unwrap();
    for (target, seen) in [
        ("/api", "/"),
        ("/api/", "/"),
        ("/api?q=/api", "/?q=/api"),
        ("/api/api/x", "/api/x"),
        ("/%61pi/%5b", "/%5B"),
        ("https://a/api/x", "/x"),
    ] {
        assert_eq!(ask(target).body, format!("GET {seen} HTTP/1.1"), "{target}");
    }
    for target in ["/", "/apis", "/API/x", "/x/api"] {
        assert_eq!(ask(target).status, 404, "{target}");
    }
    assert_eq!(upstream.asked().len(), 6);
    for prefix in ["", "api", "/a//b", "/a/../b", "/[a]", "/a?b"] {
        assert!(mtls_min::Forward::to(&upstream.url).unwrap().strip_prefix(prefix).is_err(), "{prefix:?}");
    }
}

#[test]
fn options_of_the_whole_server_are_forwarded() {
    let upstream = answering(|asked| ok(&asked.line));
    let (running, ca) = in_front_of(&upstream.url);
    let reply = exchange(&mut authorised(&running, &ca), "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(reply.body, "OPTIONS * HTTP/1.1");
}
