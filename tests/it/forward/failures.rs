//! An application that is not there, or too slow: 502 and 504, with the reason in the log.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use mtls_min::http::StatusCode;
use mtls_min::{Forward, Request, response};

use crate::support::client::{GET, PATIENCE, exchange, read_reply, read_to_end};
use crate::support::echo::authorised;
use crate::support::files::TempDir;
use crate::support::pki::Ca;
use crate::support::server::{start_with, trust};
use crate::support::upstream::{in_front_of, in_front_with, listening, ok, read_request};

const SOON: Duration = Duration::from_millis(300);

/// The status and the note of a request to this application.
#[track_caller]
fn fails(url: &str, request: &str) -> (u16, String) {
    let (running, ca) = in_front_with(url, |forward| forward.timeout(SOON), |builder| builder);
    let mut stream = authorised(&running, &ca);
    // What of the request is not taken does not matter.
    let _ = stream.write_all(request.as_bytes());
    let reply = read_reply(&mut stream).unwrap();
    assert_eq!(reply.field("content-type"), Some("text/plain; charset=utf-8"));
    let (status, note) = running.seen.last_note(1);
    assert_eq!((reply.status, reply.field("server")), (status, None));
    (status, note)
}

#[test]
fn an_application_that_is_not_there_is_502() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (status, note) = fails(&format!("http://{nobody}"), GET);
    assert_eq!(status, 502);
    assert!(note.starts_with(&format!("cannot connect to http://{nobody}: ")) && note.contains("refused"), "{note}");
    let (status, note) = fails("unix:/nowhere/app.sock", GET);
    assert_eq!(status, 502);
    assert!(note.starts_with("cannot connect to unix:/nowhere/app.sock: No such file"), "{note}");
}

#[test]
fn an_application_that_does_not_accept_is_504() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    // Until there is no more room for those that wait.
    let waiting: Vec<_> = (0..1000).map_while(|_| TcpStream::connect_timeout(&address, SOON).ok()).collect();
    assert!(waiting.len() < 1000);
    let (status, note) = fails(&format!("http://{address}"), GET);
    assert_eq!((status, note), (504, format!("http://{address} took too long to accept a connection")));
}

/// While a connection is made, other requests of the same client, and of others, have their turn.
#[test]
fn an_application_that_does_not_accept_holds_no_thread() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let _waiting: Vec<_> = (0..10_000).map_while(|_| TcpStream::connect_timeout(&address, SOON).ok()).collect();
    let forward = Forward::to(&format!("http://{address}")).unwrap();
    let ca = Ca::new("ca");
    let running = start_with(
        trust(&ca),
        |builder| builder.workers(2),
        move |request: &mut Request<'_>| match request.uri().path() {
            "/here" => response::text(StatusCode::OK, "here"),
            _ => forward.answer(request),
        },
    );
    let _asked: Vec<_> = (0..8)
        .map(|number| {
            let mut stream = authorised(&running, &ca);
            let body = "x".repeat(number % 2);
            let request = format!("POST /there HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            stream.write_all(request.as_bytes()).unwrap();
            stream
        })
        .collect();
    let mut stream = authorised(&running, &ca);
    assert_eq!(exchange(&mut stream, "GET /here HTTP/1.1\r\nHost: a\r\n\r\n").unwrap().body, "here");
}

#[test]
fn an_application_that_leaves_early_is_502() {
    for answer in ["", "H", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 100 Continue\r\n\r\n"] {
        let (url, connections) = listening(move |stream, _| {
            let mut stream = BufReader::new(stream);
            read_request(&mut stream).unwrap();
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
        });
        let (status, note) = fails(&url, GET);
        assert_eq!((status, note.as_str()), (502, "the application closed the connection before its answer was there"));
        assert_eq!(connections.load(std::sync::atomic::Ordering::SeqCst), 1, "a new connection is not tried twice");
    }
}

#[test]
fn an_application_that_does_not_begin_its_answer_is_504() {
    for answer in ["", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 100 Continue\r\n\r\n"] {
        let (url, _) = listening(move |mut stream, _| {
            stream.write_all(answer.as_bytes()).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let (status, note) = fails(&url, GET);
        assert_eq!((status, note.as_str()), (504, "the application took too long to begin its answer"), "{answer:?}");
    }
}

#[test]
fn an_application_that_does_not_take_a_body_is_504() {
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let (url, _) = listening(move |_stream, _| assert!(wait.lock().unwrap().recv().is_err()));
    let length = 32 * 1024 * 1024;
    let request = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{}", "x".repeat(length));
    let (running, ca) = in_front_with(&url, |forward| forward.timeout(SOON), |builder| builder);
    let mut stream = authorised(&running, &ca);
    let _ = stream.write_all(request.as_bytes());
    let (status, note) = running.seen.last_note(1);
    assert_eq!((status, note.as_str()), (504, "the application took too long to take the request"));
    drop(done);
}

#[test]
fn an_application_can_listen_at_a_path() {
    let folder = TempDir::new();
    let path = folder.path().join("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut stream = BufReader::new(stream);
        while let Some(asked) = read_request(&mut stream).unwrap() {
            stream.get_mut().write_all(ok(asked.field("host").unwrap()).as_bytes()).unwrap();
        }
    });
    let (running, ca) = in_front_of(&format!("unix:{}", path.display()));
    let mut stream = authorised(&running, &ca);
    for _ in 0..2 {
        assert_eq!(exchange(&mut stream, GET).unwrap().body, "localhost");
    }
    assert_eq!(exchange(&mut stream, "GET / HTTP/1.0\r\n\r\n").unwrap().body, "localhost");
}

/// Who is revoked while the application makes its answer does not get it.
#[test]
fn an_answer_does_not_reach_a_client_that_was_revoked_meanwhile() {
    let (asked, was_asked) = std::sync::mpsc::channel();
    let (url, _) = listening(move |stream, _| {
        let mut stream = BufReader::new(stream);
        read_request(&mut stream).unwrap();
        asked.send(()).unwrap();
        assert_eq!(stream.read_to_end(&mut Vec::new()).unwrap(), 0, "nobody waits for the answer any more");
    });
    let (running, ca) = in_front_of(&url);
    let mut stream = authorised(&running, &ca);
    stream.write_all(GET.as_bytes()).unwrap();
    was_asked.recv_timeout(PATIENCE).unwrap();
    let start = Instant::now();
    running.trust.replace(trust(&Ca::new("another"))).unwrap();
    assert_eq!(read_to_end(&mut stream).unwrap(), b"");
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(running.seen.last_note(1), (499, "the client is no longer let in".to_owned()));
}
