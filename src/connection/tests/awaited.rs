//! Responses that are awaited: who makes them is a test, which says byte by byte what happens next.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, StatusCode};

use crate::handler::Response;
use crate::handler::body::{Body, Content};
use crate::handler::request::Request;
use crate::handler::response;
use crate::handler::upstream::{Arriving, Awaited, Note, Step, Tunnel};
use crate::server::builder::Builder;
use crate::support::client::{
    GET, PATIENCE, TLS13, Tls, VERSIONS, config, connect, exchange, get, read_reply, read_to_end,
};
use crate::support::pki::{Ca, Holder};
use crate::support::server::{Running, start_with, trust};

const SECOND: Duration = Duration::from_secs(1);

/// A response whose maker is told by the bytes that come: `i` an interim response, `s` a response whose body follows, `t` a
/// tunnel, `n` a new socket, `p` a panic. The end: a 502.
struct Told {
    socket: UnixStream,
    spare: Option<UnixStream>,
    /// It goes on with another socket, though nothing came on this one.
    switch: Arc<AtomicBool>,
    deadline: Instant,
    steps: Arc<AtomicUsize>,
}

impl Awaited for Told {
    fn advance(&mut self, _: Instant) -> Step {
        self.steps.fetch_add(1, Ordering::SeqCst);
        if self.switch.swap(false, Ordering::SeqCst) {
            self.socket = self.spare.take().unwrap();
        }
        let mut byte = [0];
        match self.socket.read(&mut byte) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Step::Wait,
            Err(_) | Ok(0) => {
                let mut response = response::status(StatusCode::BAD_GATEWAY);
                response.extensions_mut().insert(Note { reason: "it has left".into(), kind: None });
                Step::Response(response)
            }
            Ok(_) => match byte[0] {
                b'i' => {
                    let (mut parts, ()) = http::Response::new(()).into_parts();
                    parts.status = StatusCode::EARLY_HINTS;
                    parts.headers.insert("link", HeaderValue::from_static("</a>"));
                    Step::Interim(parts)
                }
                b'n' => {
                    self.socket = self.spare.take().unwrap();
                    self.advance(Instant::now())
                }
                b'p' => panic!("as it was told"),
                b't' => {
                    let socket = self.socket.try_clone().unwrap();
                    let mut response = response::tunnel("echo", socket).unwrap();
                    if let Content::Tunnel(tunnel) = &mut response.body_mut().0 {
                        let Tunnel { received, .. } = &mut **tunnel;
                        received.extend(b"first");
                    }
                    Step::Response(response)
                }
                b's' => {
                    let body = Box::new(Trailing(self.socket.try_clone().unwrap()));
                    let mut response = Response::new(Body(Content::Arriving { body, length: None }));
                    let fields = response.headers_mut();
                    fields.insert("x-made", HeaderValue::from_static("by the application"));
                    fields.insert("x-set", HeaderValue::from_static("by the application"));
                    Step::Response(response)
                }
                other => panic!("what is {other}?"),
            },
        }
    }

    fn deadline(&self) -> Instant {
        self.deadline
    }

    fn expire(&mut self) -> Response {
        response::status(StatusCode::GATEWAY_TIMEOUT)
    }
}

impl AsFd for Told {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A body with trailers.
struct Trailing(UnixStream);

impl Arriving for Trailing {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        self.0.read(output)
    }

    fn trailers(&mut self) -> Option<HeaderMap> {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("7"));
        trailers.insert("content-length", HeaderValue::from_static("7"));
        Some(trailers)
    }
}

impl AsFd for Trailing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

struct Site {
    running: Running,
    alice: Holder,
    ends: Receiver<(UnixStream, UnixStream)>,
    /// How often a response was looked at.
    steps: Arc<AtomicUsize>,
    switch: Arc<AtomicBool>,
}

/// A server whose responses are awaited, except that to `/`. `time`: for how long.
fn site_with(time: Duration, change: impl FnOnce(Builder) -> Builder) -> Site {
    let ca = Ca::new("ca");
    let (hand_over, ends) = channel();
    let hand_over = Mutex::new(hand_over);
    let steps = Arc::new(AtomicUsize::new(0));
    let switch = Arc::new(AtomicBool::new(false));
    let (counter, switched) = (Arc::clone(&steps), Arc::clone(&switch));
    let running = start_with(trust(&ca), change, move |request: &mut Request<'_>| {
        if request.uri().path() == "/" {
            return Response::new("served".into());
        }
        let pair = || {
            let (own, other) = UnixStream::pair().unwrap();
            own.set_read_timeout(Some(PATIENCE)).unwrap();
            other.set_nonblocking(true).unwrap();
            (own, other)
        };
        let ((mut own, socket), (new, spare)) = (pair(), pair());
        if request.uri().path() == "/at-once" {
            own.write_all(b"sbody").unwrap();
        }
        hand_over.lock().unwrap().send((own, new)).unwrap();
        let (steps, switch) = (Arc::clone(&counter), Arc::clone(&switched));
        let told = Told { socket, spare: Some(spare), switch, deadline: Instant::now() + time, steps };
        let mut response = Response::new(Body(Content::Awaited(Box::new(told))));
        for value in ["1", "2"] {
            response.headers_mut().append("x-set", HeaderValue::from_static(value));
        }
        response
    });
    Site { running, alice: ca.client("alice"), ends, steps, switch }
}

fn site() -> Site {
    site_with(PATIENCE * 2, |builder| builder)
}

impl Site {
    fn end(&self) -> (UnixStream, UnixStream) {
        self.ends.recv_timeout(PATIENCE).unwrap()
    }

    /// Asks: the client, and who makes the response.
    fn ask(&self, request: &str) -> (Tls, UnixStream) {
        let mut client = connect(self.running.addr, config(Some(&self.alice), &TLS13));
        client.write_all(request.as_bytes()).unwrap();
        (client, self.end().0)
    }
}

const MADE: &str = "GET /made HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn a_response_is_passed_on_when_it_comes_with_what_the_handler_has_set() {
    let site = site();
    for version in VERSIONS {
        let mut client = connect(site.running.addr, config(Some(&site.alice), version));
        for request in [MADE, "GET /at-once HTTP/1.1\r\nHost: a\r\n\r\n"] {
            client.write_all(request.as_bytes()).unwrap();
            let (mut end, _) = site.end();
            if request == MADE {
                end.write_all(b"sbody").unwrap();
            }
            drop(end);
            let reply = read_reply(&mut client).unwrap();
            assert_eq!((reply.status, reply.body.as_str()), (200, "body"));
            assert_eq!(reply.field("x-made"), Some("by the application"));
            let set = reply.fields.iter().filter(|(name, _)| name == "x-set").map(|(_, value)| value.as_str());
            assert_eq!(set.collect::<Vec<_>>(), ["1", "2"]);
        }
    }
    site.running.seen.wait_for_line("GET /made 200");
}

#[test]
fn interim_responses_go_out_as_they_come_to_who_knows_them() {
    let site = site();
    let (mut client, mut end) = site.ask(MADE);
    for _ in 0..100 {
        end.write_all(b"i").unwrap();
        let reply = read_reply(&mut client).unwrap();
        assert_eq!((reply.status, reply.field("link")), (103, Some("</a>")));
    }
    // More than TLS takes at a time, and more than one turn.
    end.write_all(&[b'i'; 5000]).unwrap();
    end.write_all(b"s").unwrap();
    drop(end);
    for _ in 0..5000 {
        assert_eq!(read_reply(&mut client).unwrap().status, 103);
    }
    assert_eq!(read_reply(&mut client).unwrap().status, 200);
    let (mut old, mut end) = site.ask("GET /made HTTP/1.0\r\n\r\n");
    end.write_all(b"iiisbody").unwrap();
    drop(end);
    let all = String::from_utf8(read_to_end(&mut old).unwrap()).unwrap();
    assert!(all.starts_with("HTTP/1.1 200 OK\r\n") && all.ends_with("\r\n\r\nbody"), "{all}");
}

#[test]
fn what_is_awaited_holds_no_worker() {
    let site = site_with(PATIENCE, |builder| builder.workers(1));
    let mut asked: Vec<_> = (0..20).map(|_| site.ask(MADE)).collect();
    for (client, end) in &mut asked {
        assert_eq!(get(site.running.addr, Some(&site.alice), &TLS13).unwrap().body, "served");
        end.write_all(b"s").unwrap();
        end.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(read_reply(client).unwrap().status, 200);
    }
}

#[test]
fn who_makes_the_response_learns_that_the_client_has_left() {
    let site = site();
    // Also behind bytes that nobody reads.
    for more in ["", GET] {
        let (mut client, mut end) = site.ask(MADE);
        client.write_all(more.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        let start = Instant::now();
        drop(client);
        assert_eq!(end.read(&mut [0]).unwrap(), 0);
        assert!(start.elapsed() < SECOND, "{:?}", start.elapsed());
    }
    site.running.seen.wait_for_line("GET /made 499 the client left before the response");
}

#[test]
fn a_client_is_told_what_became_of_who_makes_the_response() {
    let site = site();
    let (mut client, end) = site.ask(MADE);
    drop(end);
    assert_eq!(read_reply(&mut client).unwrap().status, 502);
    assert_eq!(exchange(&mut client, GET).unwrap().body, "served");
    site.running.seen.wait_for_line("GET /made 502 it has left");
}

#[test]
fn after_the_deadline_the_client_gets_what_stands_for_the_response() {
    let site = site_with(Duration::from_millis(300), |builder| builder);
    let (mut client, mut end) = site.ask(MADE);
    let start = Instant::now();
    end.write_all(b"i").unwrap();
    assert_eq!(read_reply(&mut client).unwrap().status, 103);
    assert_eq!(read_reply(&mut client).unwrap().status, 504);
    assert!(start.elapsed() < SECOND, "{:?}", start.elapsed());
    assert_eq!(end.read(&mut [0]).unwrap(), 0);
    assert_eq!(exchange(&mut client, GET).unwrap().body, "served");
    assert!(site.running.seen.events().is_empty(), "it is not the client's fault: {:?}", site.running.seen.events());
}

/// Its bytes are left where they are: they neither wake a worker again and again, nor take memory.
#[test]
fn a_client_that_sends_its_next_requests_gets_its_answers_in_their_order() {
    const MORE: usize = 2000;
    let site = site();
    let (mut client, mut end) = site.ask(MADE);
    for _ in 0..MORE {
        client.write_all(GET.as_bytes()).unwrap();
    }
    std::thread::sleep(Duration::from_millis(300));
    let steps = site.steps.load(Ordering::SeqCst);
    assert!(steps < MORE + 10, "it was looked at {steps} times");
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(site.steps.load(Ordering::SeqCst), steps, "nothing comes any more");
    end.write_all(b"sbody").unwrap();
    drop(end);
    assert_eq!(read_reply(&mut client).unwrap().body, "body");
    for _ in 0..MORE {
        assert_eq!(read_reply(&mut client).unwrap().body, "served");
    }
}

#[test]
fn a_panic_of_who_makes_the_response_costs_one_response() {
    let site = site_with(PATIENCE, |builder| builder.workers(1));
    for _ in 0..5 {
        let (mut client, mut end) = site.ask(MADE);
        end.write_all(b"p").unwrap();
        assert_eq!(read_reply(&mut client).unwrap().status, 500);
        assert_eq!(exchange(&mut client, GET).unwrap().body, "served");
    }
    site.running.seen.wait_for_event("as it was told");
}

#[test]
fn who_is_refused_meanwhile_does_not_get_the_response() {
    let site = site();
    let (mut client, mut end) = site.ask(MADE);
    site.running.trust.replace(trust(&Ca::new("other"))).unwrap();
    assert_eq!(end.read(&mut [0]).unwrap(), 0, "nobody waits for it any more");
    assert_eq!(read_to_end(&mut client).unwrap(), b"");
    site.running.seen.wait_for_line("GET /made 499 the client is no longer let in");
}

#[test]
fn it_may_go_on_with_another_socket() {
    let site = site();
    let mut client = connect(site.running.addr, config(Some(&site.alice), &TLS13));
    for _ in 0..3 {
        client.write_all(MADE.as_bytes()).unwrap();
        let (mut first, mut second) = site.end();
        first.write_all(b"n").unwrap();
        assert_eq!(first.read(&mut [0]).unwrap(), 0, "it was closed");
        second.write_all(b"i").unwrap();
        assert_eq!(read_reply(&mut client).unwrap().status, 103);
        second.write_all(b"sbody").unwrap();
        drop(second);
        assert_eq!(read_reply(&mut client).unwrap().body, "body");
    }
    client.write_all(MADE.as_bytes()).unwrap();
    let (mut first, mut second) = site.end();
    // Until it is parked.
    std::thread::sleep(Duration::from_millis(50));
    // Now it is looked at for another reason than its socket.
    site.switch.store(true, Ordering::SeqCst);
    client.write_all(GET.as_bytes()).unwrap();
    assert_eq!(first.read(&mut [0]).unwrap(), 0, "it was closed");
    std::thread::sleep(Duration::from_millis(50));
    second.write_all(b"sbody").unwrap();
    drop(second);
    assert_eq!(read_reply(&mut client).unwrap().body, "body");
}

#[test]
fn trailers_reach_who_asks_for_them() {
    let site = site();
    for (te, trailers) in [("", ""), ("TE: trailers\r\nConnection: te\r\n", "x-sum: 7\r\n")] {
        let (mut client, mut end) = site.ask(&format!("GET /made HTTP/1.1\r\nHost: a\r\n{te}\r\n"));
        end.write_all(b"sx").unwrap();
        drop(end);
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        let all = String::from_utf8(read_to_end(&mut client).unwrap()).unwrap();
        let body = format!("\r\n\r\n1\r\nx\r\n0\r\n{trailers}\r\nHTTP/1.1 200 OK\r\n");
        assert!(all.contains(&body), "{all}");
    }
}

#[test]
fn it_may_become_a_tunnel() {
    let site = site();
    let (mut client, mut end) =
        site.ask("GET /made HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    end.write_all(b"i").unwrap();
    assert_eq!(read_reply(&mut client).unwrap().status, 103);
    client.write_all(b"early").unwrap();
    end.write_all(b"t").unwrap();
    let reply = read_reply(&mut client).unwrap();
    assert_eq!((reply.status, reply.field("x-set")), (101, Some("1")));
    let mut seen = [0; 5];
    client.read_exact(&mut seen).unwrap();
    assert_eq!(&seen, b"first");
    end.read_exact(&mut seen).unwrap();
    assert_eq!(&seen, b"early");
}
