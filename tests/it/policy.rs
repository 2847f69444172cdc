//! What a valid certificate may do: rules by path and method, over real sockets. Row H5 of the immunity matrix.

use mtls_min::{Policy, Request, Response, Verdict};

use crate::support::client::{GET, TLS13, VERSIONS, config, connect, exchange};
use crate::support::pki::{Ca, self_signed};
use crate::support::rules::{get, misses, trusting};
use crate::support::server::{start, start_with};

#[test]
fn a_valid_certificate_without_a_rule_gets_403_and_the_log_names_the_nearest_rule() {
    let ca = Ca::new("ca");
    let policy = Policy::allowing(["cn:bob", "ou:Web", "cn:alic"]).unwrap();
    let running = start(trusting(&ca, None, policy));
    for version in VERSIONS {
        let mut stream = connect(running.addr, config(Some(&ca.client("alice")), version));
        for _ in 0..2 {
            let reply = exchange(&mut stream, GET).unwrap();
            assert_eq!((reply.status, reply.body.as_str()), (403, "User is not allowed to do this\n"));
            assert_eq!(reply.field("connection"), None, "it may go on");
            assert!(reply.field("x-request-id").is_some());
        }
        // A body that nobody reads ends the connection.
        let reply =
            exchange(&mut stream, "PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello").unwrap();
        assert_eq!((reply.status, reply.field("connection")), (403, Some("close")));
    }
    assert_eq!(running.seen.codes(6), ["not_allowed"; 6]);
    assert_eq!(running.calls(), 0);
    assert_eq!(get(&running, Some(&ca.client("bob")), "GET /").0, 200);
    assert_eq!(get(&running, None, "GET /").0, 401, "no certificate is still no certificate");
    misses(
        "cn:alic",
        &ca,
        &ca.client("alice"),
        "the nearest rule is cn:alic (Policy::allowing): the client's common name is alice",
    );
}

#[test]
fn a_policy_decides_by_path_and_method() {
    let ca = Ca::new("ca");
    let policy = "/ any\n/health anyone\n/admin cn:bob or cn:alice\n/admin/bob cn:bob\nOPTIONS /admin anyone\n";
    let policy = Policy::parse(policy, "policy").unwrap();
    let running = start_with(
        trusting(&ca, None, policy),
        |builder| builder,
        |request: &mut Request<'_>| match request.peer_verdict() {
            Verdict::Authorised(identity) => Response::new(identity.subject().to_owned().into()),
            Verdict::Refused(refusal) => Response::new(refusal.code().to_string().into()),
        },
    );
    let (alice, bob, mallory) = (ca.client("alice"), ca.client("bob"), self_signed("mallory"));
    for (request, anonymous, mallory_is, alice_is, bob_is) in [
        ("GET /", 401, 401, 200, 200),
        ("GET /health", 200, 200, 200, 200),
        ("GET /health/deep", 200, 200, 200, 200),
        ("GET /healthy", 401, 401, 200, 200),
        ("GET /admin", 401, 401, 200, 200),
        ("GET /admin/", 401, 401, 200, 200),
        ("GET /admin/bob", 401, 401, 403, 200),
        ("GET /admin/bob/x?y", 401, 401, 403, 200),
        ("OPTIONS /admin", 200, 200, 200, 200),
        ("OPTIONS /admin/bob", 401, 401, 403, 200),
        ("OPTIONS *", 401, 401, 200, 200),
    ] {
        for (holder, status) in
            [(None, anonymous), (Some(&mallory), mallory_is), (Some(&alice), alice_is), (Some(&bob), bob_is)]
        {
            assert_eq!(get(&running, holder, request).0, status, "{request}");
        }
    }
    assert_eq!(
        get(&running, Some(&alice), "GET /health").1,
        "CN=alice",
        "who it is, is known where it does not matter"
    );
    assert_eq!(get(&running, Some(&mallory), "GET /health").1, "self_signed");
}

/// Rule and handler see the same path, or the request is refused (row H5).
#[test]
fn h5_there_is_no_way_around_a_rule_by_spelling_a_path_differently() {
    let ca = Ca::new("ca");
    let policy = Policy::parse("/ any\n/admin cn:bob\n/u/@admin+x cn:bob\n", "policy").unwrap();
    let running = start(trusting(&ca, None, policy));
    let alice = ca.client("alice");
    for path in [
        "/u/@admin+x",
        "/u/%40admin%2Bx",
        "/u/%40admin%2bx/y",
        "/admin",
        "/admin/",
        "/%61dmin",
        "/%61%64%6d%69%6e",
        "//admin",
        "/./admin",
        "/x/../admin",
        "/x/%2e%2e/admin",
        "/x/..;/admin",
        "/x/.;y/..%3b/admin",
        "/admin%2f",
        "/admin%2Fx",
        "/admin?x",
        "/admin;x",
        "/admin%3bx",
        "/admin;/x",
        "/u;y/@admin+x;z",
        "https://localhost/admin",
        "https://localhost//admin",
    ] {
        let status = get(&running, Some(&alice), &format!("GET {path}")).0;
        assert!([400, 403].contains(&status), "{path}: {status}");
    }
    assert_eq!(running.calls(), 0);
    assert_eq!(get(&running, Some(&alice), "GET /Admin").0, 200, "another path: case counts");
}

#[test]
fn a_path_without_a_line_is_for_nobody() {
    let ca = Ca::new("ca");
    let running = start(trusting(&ca, None, Policy::parse("/a any\n/health anyone\n", "policy").unwrap()));
    let alice = ca.client("alice");
    for (path, status) in [("/a", 200), ("/a/b", 200), ("/", 403), ("/b", 403), ("/ab", 403), ("*", 403)] {
        let method = if path == "*" { "OPTIONS" } else { "GET" };
        assert_eq!(get(&running, Some(&alice), &format!("{method} {path}")).0, status, "{path}");
    }
    assert_eq!(get(&running, None, "GET /b").0, 401);
}

#[test]
fn behind_an_open_gate_the_handler_is_told_that_no_rule_matches() {
    let ca = Ca::new("ca");
    let running = start_with(
        trusting(&ca, None, Policy::allowing(["cn:bob"]).unwrap()),
        |builder| builder.open_gate(),
        |request: &mut Request<'_>| match request.peer_verdict() {
            Verdict::Authorised(identity) => Response::new(identity.subject().to_owned().into()),
            Verdict::Refused(refusal) => Response::new(refusal.code().to_string().into()),
        },
    );
    assert_eq!(get(&running, Some(&ca.client("bob")), "GET /").1, "CN=bob");
    assert_eq!(get(&running, Some(&ca.client("alice")), "GET /").1, "not_allowed");
    assert_eq!(get(&running, None, "GET /").1, "no_certificate");
}

#[test]
fn a_stranger_where_anyone_may_go_cannot_hold_a_worker_with_a_body() {
    let ca = Ca::new("ca");
    let running = start_with(
        trusting(&ca, None, Policy::parse("/ anyone\n", "policy").unwrap()),
        |builder| builder.max_unauthenticated_body(10),
        |request: &mut Request<'_>| {
            let mut body = String::new();
            std::io::Read::read_to_string(request.body(), &mut body).unwrap();
            Response::new(body.into())
        },
    );
    let post =
        |length: usize| format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{}", "x".repeat(length));
    let send = |length| exchange(&mut connect(running.addr, config(None, &TLS13)), post(length)).unwrap();
    assert_eq!((send(10).status, send(10).body), (200, "x".repeat(10)));
    assert_eq!(send(11).status, 413);
}
