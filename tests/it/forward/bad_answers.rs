//! Answers of an application that could be read in two ways: the client gets a 502, and nothing of them reaches another request.

use std::io::Write;
use std::sync::mpsc::channel;

use crate::support::client::{GET, PATIENCE, exchange, read_to_end};
use crate::support::echo::authorised;
use crate::support::smuggling::SMUGGLING;
use crate::support::upstream::{Upstream, answering, in_front_of, ok, scripted};

const POISON: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";

/// Answers what is asked for as `/bad` with these bytes.
fn answering_badly(bad: &str) -> Upstream {
    let bad = bad.to_owned();
    answering(move |asked| if asked.line.starts_with("GET /bad ") { bad.clone() } else { ok("fine") })
}

const BAD: &str = "GET /bad HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn an_answer_with_bad_framing_is_502_and_nothing_of_it_reaches_the_next_request() {
    for bad in [
        "\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 999 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        "http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "hello\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 6\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0, 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0x0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\r\n folded\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\nY: b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\na\n0\n\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a\nb\r\na\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\na\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX : y\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ] {
        let upstream = answering_badly(&format!("{bad}{POISON}"));
        let (running, ca) = in_front_of(&upstream.url);
        let mut stream = authorised(&running, &ca);
        assert_eq!(exchange(&mut stream, GET).unwrap().body, "fine");
        let reply = exchange(&mut stream, format!("{BAD}{GET}")).unwrap();
        assert_eq!((reply.status, reply.body.as_str()), (502, "Bad Gateway\n"), "{bad:?}");
        assert_eq!(read_to_end(&mut stream).unwrap(), b"", "{bad:?}");
        let (status, note) = running.seen.last_note(2);
        assert!(status == 502 && note.starts_with("the application's answer is not acceptable: "), "{bad:?}: {note}");
        let mut next = authorised(&running, &ca);
        assert_eq!(exchange(&mut next, GET).unwrap().body, "fine", "{bad:?}");
        assert_eq!((upstream.connections(), upstream.asked().len()), (2, 3), "{bad:?}");
    }
}

#[test]
fn too_many_interim_responses_are_no_answer() {
    for (number, status) in [(16, 200), (17, 502)] {
        let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(number);
        let upstream = answering_badly(&format!("{interim}{}", ok("fine")));
        let (running, ca) = in_front_of(&upstream.url);
        assert_eq!(exchange(&mut authorised(&running, &ca), BAD).unwrap().status, status);
    }
}

#[test]
fn bytes_behind_an_answer_belong_to_no_request() {
    for answer in [
        ok("fine"),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n".to_owned(),
        "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        "HTTP/1.1 304 Not Modified\r\n\r\n".to_owned(),
    ] {
        let upstream = answering_badly(&format!("{answer}{POISON}"));
        let (running, ca) = in_front_of(&upstream.url);
        let mut stream = authorised(&running, &ca);
        assert_ne!(exchange(&mut stream, BAD).unwrap().status, 502);
        assert_eq!(exchange(&mut stream, GET).unwrap().body, "fine", "{answer:?}");
        assert_eq!(upstream.connections(), 2, "{answer:?}");
    }
}

/// Between two requests.
#[test]
fn bytes_that_nobody_asked_for_belong_to_no_request() {
    let (said, is_said) = channel();
    let upstream = scripted(move |stream, asked| {
        let asked = asked?;
        stream.get_mut().write_all(ok(&format!("{}", asked.connection)).as_bytes()).ok()?;
        if asked.connection == 0 {
            stream.get_mut().write_all(POISON.as_bytes()).ok()?;
            said.send(()).ok()?;
        }
        Some(())
    });
    let (running, ca) = in_front_of(&upstream.url);
    let mut stream = authorised(&running, &ca);
    assert_eq!(exchange(&mut stream, GET).unwrap().body, "0");
    is_said.recv_timeout(PATIENCE).unwrap();
    for _ in 0..3 {
        let body = exchange(&mut stream, GET).unwrap().body;
        assert!(body == "0" || body == "1", "{body}");
        assert_ne!(body, "poison");
    }
}

/// Row H1 of the immunity matrix: the application never sees what was refused, and each time as many requests as were forwarded.
#[test]
fn h1_nothing_is_smuggled_through_to_an_application() {
    let upstream = answering(|asked| ok(&asked.line));
    let (running, ca) = in_front_of(&upstream.url);
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut refused_early = 0;
    for fields in SMUGGLING {
        let mut stream = authorised(&running, &ca);
        assert_eq!(exchange(&mut stream, GET).unwrap().body, "GET / HTTP/1.1");
        let reply = exchange(&mut stream, format!("POST /bad HTTP/1.1\r\nHost: a\r\n{fields}{smuggled}")).unwrap();
        assert_eq!((reply.status, reply.field("connection")), (400, Some("close")), "{fields:?}");
        assert_eq!(read_to_end(&mut stream).unwrap(), b"", "{fields:?}");
        refused_early += 1;
    }
    for request in [
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\nxxxxx",
        "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n23\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n\r\n0\r\n\r\n",
        "GET /a?%0d%0a%20HTTP/1.1%0d%0aHost:%20a%0d%0a%0d%0aGET%20/smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        "PUT /a HTTP/1.1\r\nHost: a\r\nConnection: Content-Length\r\nContent-Length: 35\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        "PUT /a HTTP/1.1\r\nHost: a\r\nConnection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: a\r\nContent_Length: 34\r\nTransfer_Encoding: chunked\r\n\r\n",
    ] {
        let reply = exchange(&mut authorised(&running, &ca), request).unwrap();
        assert_eq!(reply.status, 200, "{request:?}");
    }
    running.seen.codes(2 * refused_early + 6);
    let forwarded = running.seen.lines.lock().unwrap().iter().filter(|line| line.ends_with(" 200")).count();
    let asked = upstream.asked();
    assert_eq!(asked.len(), forwarded);
    // The head of a request whose body turned out bad was sent, but never a whole request.
    assert!(asked.iter().all(|asked| !asked.line.starts_with("GET /smuggled") && !asked.line.contains("/bad")));
}
