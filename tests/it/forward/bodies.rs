//! Bodies on their way to an application and back.

use std::io::{BufReader, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use crate::support::client::{GET, Tls, exchange, read_reply, read_to_end};
use crate::support::echo::authorised;
use crate::support::upstream::{
    answering, in_front_of, in_front_with, listening, ok, read_request, read_request_head, scripted,
};

/// The head of a reply, as text.
fn head_of(stream: &mut Tls) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        bytes.push(byte[0]);
    }
    String::from_utf8(bytes).unwrap().to_ascii_lowercase()
}

/// RFC 9110, sections 8.6, 9.3.2 and 15.4.5.
#[test]
fn an_answer_without_a_body_says_what_the_application_says_of_its_length() {
    for (method, answer, said, unsaid) in [
        ("HEAD", "200 OK\r\nContent-Length: 77", "content-length: 77", "transfer-encoding"),
        ("HEAD", "200 OK\r\nTransfer-Encoding: chunked", "transfer-encoding: chunked", "content-length"),
        ("HEAD", "200 OK", "200 ok", "content-length"),
        ("HEAD", "404 Not Found\r\nContent-Length: 0", "content-length: 0", "transfer-encoding"),
        ("GET", "204 No Content", "204 no content", "content-length"),
        ("GET", "204 No Content\r\nContent-Length: 0", "204 no content", "content-length"),
        ("GET", "304 Not Modified\r\nContent-Length: 77\r\nETag: \"x\"", "content-length: 77", "transfer-encoding"),
        ("GET", "304 Not Modified", "304 not modified", "content-length"),
        ("HEAD", "304 Not Modified", "304 not modified", "content-length"),
        ("POST", "200 OK\r\nContent-Length: 0", "content-length: 0", "transfer-encoding"),
    ] {
        let upstream = answering(move |_| format!("HTTP/1.1 {answer}\r\n\r\n"));
        let (running, ca) = in_front_of(&upstream.url);
        let mut stream = authorised(&running, &ca);
        for _ in 0..2 {
            stream.write_all(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).unwrap();
            let head = head_of(&mut stream);
            assert!(head.contains(said) && !head.contains(unsaid), "{method} {answer:?}: {head}");
        }
        assert_eq!(upstream.connections(), 1, "{method} {answer:?}");
    }
}

#[test]
fn bodies_travel_both_ways_in_each_framing() {
    let upstream = scripted(|stream, asked| {
        let asked = asked?;
        let body = String::from_utf8(asked.body).unwrap();
        let out = stream.get_mut();
        match asked.line.split(' ').nth(1)? {
            "/length" => out.write_all(ok(&body).as_bytes()).ok(),
            "/chunked" => {
                out.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").ok()?;
                for piece in body.as_bytes().chunks(7001) {
                    write!(out, "{:X};x=\"y\"\r\n", piece.len()).ok()?;
                    out.write_all(piece).ok()?;
                    out.write_all(b"\r\n").ok()?;
                }
                out.write_all(b"000\r\nDigest: x\r\n\r\n").ok()
            }
            _ => {
                write!(out, "HTTP/1.1 200 OK\r\n\r\n{body}").ok()?;
                None
            }
        }
    });
    let (running, ca) = in_front_of(&upstream.url);
    let mut stream = authorised(&running, &ca);
    for length in [0, 1, 16 * 1024, 16 * 1024 + 1, 300_000] {
        let body: String = (0..length).map(|at| char::from(b'a' + (at % 23) as u8)).collect();
        for target in ["/length", "/chunked", "/close"] {
            let by_length = format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}");
            let chunks: String = body
                .as_bytes()
                .chunks(9001)
                .map(|piece| format!("{:x}\r\n{}\r\n", piece.len(), std::str::from_utf8(piece).unwrap()))
                .collect();
            let chunked =
                format!("POST {target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n");
            for request in [by_length, chunked] {
                let framing = request.contains("chunked\r\n\r\n");
                assert!(exchange(&mut stream, request).unwrap().body == body, "{target} {length}");
                let asked = upstream.last();
                assert_eq!(asked.field("transfer-encoding").is_some(), framing);
                assert_eq!(asked.field("content-length").is_none(), framing);
            }
        }
    }
    let old = "GET /chunked HTTP/1.0\r\n\r\n";
    let reply = exchange(&mut stream, old).unwrap();
    assert_eq!((reply.field("transfer-encoding"), reply.body.as_str()), (None, ""));
}

/// Trailer fields that go neither way.
const MISLEADING: &str = "Host: b\r\nAuthorization: x\r\nCookie: a=1\r\nSet-Cookie: a=1\r\nExpect: 100-continue\r\nIf-Match: x\r\n\
                          Range: bytes=0-\r\nPragma: x\r\nWarning: x\r\nDate: x\r\n";

#[test]
fn trailers_travel_to_the_application_but_not_those_that_could_mislead_it() {
    let upstream = answering(|_| ok("fine"));
    let (running, ca) = in_front_of(&upstream.url);
    let request = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: digest\r\n\r\n2\r\nhi\r\n0\r\nDigest: x\r\n\
                   X-Client-Name: admin\r\nX_Y: z\r\nContent-Length: 9\r\n{MISLEADING}My-Sum: 1\r\n\r\n"
    );
    assert_eq!(exchange(&mut authorised(&running, &ca), request).unwrap().body, "fine");
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(upstream.last().trailers, [field("digest", "x"), field("my-sum", "1")]);
}

/// Counts what goes through, for a side that takes nothing until it is told to.
fn settles(count: &AtomicUsize) -> usize {
    let mut before = usize::MAX;
    loop {
        let now = count.load(Ordering::SeqCst);
        if now == before && now > 0 {
            return now;
        }
        before = now;
        thread::sleep(Duration::from_millis(100));
    }
}

const LARGE: usize = 24 * 1024 * 1024;

#[test]
fn an_application_that_takes_a_body_slowly_slows_its_client_down() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let (url, _) = listening(move |stream, _| {
        let mut stream = BufReader::new(stream);
        read_request_head(&mut stream).unwrap();
        wait.lock().unwrap().recv().unwrap();
        let read = std::io::copy(&mut (&mut stream).take(LARGE as u64), &mut std::io::sink()).unwrap();
        stream.get_mut().write_all(ok(&read.to_string()).as_bytes()).unwrap();
    });
    let (running, ca) = in_front_of(&url);
    let mut stream = authorised(&running, &ca);
    let sent = AtomicUsize::new(0);
    thread::scope(|scope| {
        let sent = &sent;
        let reply = scope.spawn(move || {
            write!(stream, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {LARGE}\r\n\r\n").unwrap();
            for _ in 0..LARGE / 16384 {
                stream.write_all(&[b'x'; 16384]).unwrap();
                sent.fetch_add(16384, Ordering::SeqCst);
            }
            read_reply(&mut stream).unwrap()
        });
        assert!(settles(sent) < LARGE);
        go.send(()).unwrap();
        assert_eq!(reply.join().unwrap().body, LARGE.to_string());
    });
}

#[test]
fn a_client_that_takes_an_answer_slowly_slows_the_application_down() {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let (url, _) = listening(move |stream, _| {
        let mut stream = BufReader::new(stream);
        read_request(&mut stream).unwrap();
        let mut stream = stream.into_inner();
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n").unwrap();
        for _ in 0..LARGE / 16384 {
            stream.write_all(&[b'x'; 16384]).unwrap();
            count.fetch_add(16384, Ordering::SeqCst);
        }
    });
    let (running, ca) = in_front_of(&url);
    let mut stream = authorised(&running, &ca);
    stream.write_all(GET.as_bytes()).unwrap();
    assert!(settles(&sent) < LARGE);
    assert_eq!(read_reply(&mut stream).unwrap().body.len(), LARGE);
}

#[test]
fn an_answer_that_is_cut_is_not_taken_for_a_whole_one() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhello",
    ] {
        let upstream = scripted(move |stream, asked| {
            asked?;
            let _ = stream.get_mut().write_all(answer.as_bytes());
            None
        });
        let (running, ca) = in_front_of(&upstream.url);
        let mut stream = authorised(&running, &ca);
        stream.write_all(GET.as_bytes()).unwrap();
        let got = String::from_utf8(read_to_end(&mut stream).unwrap()).unwrap().to_ascii_lowercase();
        let whole = got.contains("content-length: 5\r\n") || got.ends_with("0\r\n\r\n");
        assert!(got.starts_with("http/1.1 200 ok") && got.contains("hello") && !whole, "{answer:?}: {got}");
        assert!(running.seen.last_note(1).1.contains("before the end of its answer"), "{answer:?}");
    }
}

#[test]
fn a_chunk_that_turns_bad_later_cuts_the_answer() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let upstream = scripted(move |stream, asked| {
        asked?;
        let out = stream.get_mut();
        out.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").ok()?;
        wait.lock().unwrap().recv().ok()?;
        out.write_all(b"5 \r\nagain\r\n0\r\n\r\n").ok()
    });
    let (running, ca) = in_front_of(&upstream.url);
    let mut stream = authorised(&running, &ca);
    stream.write_all(GET.as_bytes()).unwrap();
    let head = head_of(&mut stream);
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
    let mut chunk = [0; "5\r\nhello\r\n".len()];
    stream.read_exact(&mut chunk).unwrap();
    go.send(()).unwrap();
    assert_eq!(read_to_end(&mut stream).unwrap(), b"");
    assert!(
        running.seen.last_note(1).1.contains("is not acceptable: not a valid chunk extension"),
        "{:?}",
        running.seen.last_note(1)
    );
}

/// Server-sent events, for example.
#[test]
fn what_an_application_sends_goes_out_as_it_comes() {
    for (head, chunk, last) in [
        ("Transfer-Encoding: chunked\r\n", "4\r\ntick\r\n", "0\r\n\r\n"),
        ("Content-Length: 12\r\n", "tick", ""),
        ("", "tick", ""),
    ] {
        let (go, wait) = mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        let upstream = scripted(move |stream, asked| {
            asked?;
            let out = stream.get_mut();
            write!(out, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{head}\r\n").ok()?;
            for _ in 0..3 {
                wait.lock().unwrap().recv().ok()?;
                out.write_all(chunk.as_bytes()).ok()?;
            }
            out.write_all(last.as_bytes()).ok()?;
            (!head.is_empty()).then_some(())
        });
        let (running, ca) = in_front_of(&upstream.url);
        let mut stream = authorised(&running, &ca);
        stream.write_all(GET.as_bytes()).unwrap();
        let reply = head_of(&mut stream);
        let mut received = vec![0; if reply.contains("chunked") { 9 } else { 4 }];
        for _ in 0..3 {
            go.send(()).unwrap();
            stream.read_exact(&mut received).unwrap();
            assert!(String::from_utf8_lossy(&received).contains("tick"));
        }
    }
}

/// RFC 9110, sections 15.2 and 15.2.1.
#[test]
fn interim_responses_are_passed_on_to_those_who_know_them() {
    let upstream = answering(|_| {
        let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: x\r\nX: y\r\n\r\n";
        format!("{hints}HTTP/1.1 100 Continue\r\n\r\n{hints}{}", ok("fine"))
    });
    let (running, ca) = in_front_of(&upstream.url);
    let mut stream = authorised(&running, &ca);
    for _ in 0..2 {
        let mut reply = exchange(&mut stream, GET).unwrap();
        for _ in 0..2 {
            assert_eq!((reply.status, reply.field("link"), reply.field("x")), (103, Some("</a.css>"), None));
            assert_eq!((reply.field("content-length"), reply.field("connection")), (None, None));
            reply = read_reply(&mut stream).unwrap();
        }
        assert_eq!((reply.status, reply.body.as_str()), (200, "fine"));
    }
    let reply = exchange(&mut stream, "GET / HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (200, "fine"));
}

#[test]
fn trailers_travel_to_the_client_but_not_those_that_could_mislead_it() {
    let upstream = answering(|_| {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        format!("{head}2\r\nhi\r\n0\r\nDigest: x\r\nContent-Length: 9\r\n{MISLEADING}\r\n")
    });
    let (running, ca) = in_front_of(&upstream.url);
    let mut stream = authorised(&running, &ca);
    let taking = "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n";
    for _ in 0..2 {
        stream.write_all(taking.as_bytes()).unwrap();
        head_of(&mut stream);
        let mut body = vec![0; "2\r\nhi\r\n0\r\ndigest: x\r\n\r\n".len()];
        stream.read_exact(&mut body).unwrap();
        assert_eq!(String::from_utf8(body).unwrap(), "2\r\nhi\r\n0\r\ndigest: x\r\n\r\n");
    }
    assert_eq!(upstream.connections(), 1);
}

const LONG_POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n";

/// RFC 9112, section 9.3: an answer may come before the request has ended.
#[test]
fn an_early_answer_ends_an_upload() {
    for post in [LONG_POST.to_owned(), LONG_POST.replace("Content-Length: 1000000000", "Transfer-Encoding: chunked")] {
        let (url, connections) = listening(|stream, number| {
            let mut stream = BufReader::new(stream);
            if number == 0 {
                read_request_head(&mut stream).unwrap();
                // Part of the body is there, and it goes on.
                stream.read_exact(&mut [0; 20_000]).unwrap();
                stream.get_mut().write_all(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno").unwrap();
                let _ = std::io::copy(&mut stream, &mut std::io::sink());
            } else {
                read_request(&mut stream).unwrap();
                stream.get_mut().write_all(ok("fine").as_bytes()).unwrap();
            }
        });
        let (running, ca) = in_front_with(&url, |forward| forward, |builder| builder.max_body(u64::MAX));
        let mut stream = authorised(&running, &ca);
        stream.write_all(post.as_bytes()).unwrap();
        let chunk = format!("7530\r\n{}\r\n", "x".repeat(30_000));
        stream.write_all(chunk.as_bytes()).unwrap();
        let reply = read_reply(&mut stream).unwrap();
        assert_eq!((reply.status, reply.body.as_str(), reply.field("connection")), (413, "no", Some("close")));
        let mut next = authorised(&running, &ca);
        assert_eq!(exchange(&mut next, GET).unwrap().body, "fine");
        assert_eq!(connections.load(Ordering::SeqCst), 2, "half a request is on the first");
    }
}

const EXPECTING: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";

/// RFC 9110, section 10.1.1.
#[test]
fn a_client_that_expects_continue_gets_it_from_the_application() {
    let (seen, see) = mpsc::channel::<&str>();
    let (go, wait) = mpsc::channel::<()>();
    let (seen, wait) = (Mutex::new(seen), Mutex::new(wait));
    let (url, _) = listening(move |stream, _| {
        let mut stream = BufReader::new(stream);
        let mut asked = read_request_head(&mut stream).unwrap().unwrap();
        assert_eq!(asked.field("expect"), Some("100-continue"));
        seen.lock().unwrap().send("head").unwrap();
        wait.lock().unwrap().recv().unwrap();
        stream.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
        asked.body = vec![0; 5];
        stream.read_exact(&mut asked.body).unwrap();
        let body = String::from_utf8(asked.body).unwrap();
        stream.get_mut().write_all(ok(&body).as_bytes()).unwrap();
    });
    let (running, ca) = in_front_of(&url);
    let mut stream = authorised(&running, &ca);
    stream.write_all(EXPECTING.as_bytes()).unwrap();
    assert_eq!(see.recv().unwrap(), "head", "before the body");
    go.send(()).unwrap();
    assert_eq!(read_reply(&mut stream).unwrap().status, 100);
    assert_eq!(exchange(&mut stream, "hello").unwrap().body, "hello");
}

#[test]
fn a_client_that_expects_continue_gets_the_final_answer_instead_if_that_comes() {
    let (url, connections) = listening(|stream, _| {
        let mut stream = BufReader::new(stream);
        read_request_head(&mut stream).unwrap();
        stream.get_mut().write_all(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n").unwrap();
        assert_eq!(stream.read_to_end(&mut Vec::new()).unwrap(), 0, "the body is not sent");
    });
    let (running, ca) = in_front_of(&url);
    for number in 1..3 {
        let mut stream = authorised(&running, &ca);
        assert_eq!(exchange(&mut stream, EXPECTING).unwrap().status, 417);
        assert_eq!(read_to_end(&mut stream).unwrap(), b"");
        assert_eq!(connections.load(Ordering::SeqCst), number);
    }
}

#[test]
fn a_body_is_sent_to_an_application_that_does_not_know_of_expectations() {
    let upstream = answering(|asked| ok(std::str::from_utf8(&asked.body).unwrap()));
    let (running, ca) = in_front_of(&upstream.url);
    let mut stream = authorised(&running, &ca);
    assert_eq!(exchange(&mut stream, EXPECTING).unwrap().status, 100);
    assert_eq!(exchange(&mut stream, "hello").unwrap().body, "hello");
}

#[test]
fn a_client_that_leaves_in_its_body_takes_the_connection_to_the_application_along() {
    let (told, tell) = mpsc::channel::<bool>();
    let told = Mutex::new(told);
    let (url, _) = listening(move |stream, _| {
        let whole = read_request(&mut BufReader::new(stream)).is_ok_and(|asked| asked.is_some());
        told.lock().unwrap().send(whole).unwrap();
    });
    let (running, ca) = in_front_of(&url);
    let mut stream = authorised(&running, &ca);
    stream.write_all(LONG_POST.replace("1000000000", "20000").as_bytes()).unwrap();
    stream.write_all(b"some").unwrap();
    stream.flush().unwrap();
    drop(stream);
    assert!(!tell.recv().unwrap());
    let (status, note) = running.seen.last_note(1);
    assert_eq!((status, note.as_str()), (400, "the client left before the body's end"));
}
