//! Connections to an application are kept, and a request is sent again only if that is sure to be harmless.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::client::{GET, exchange};
use crate::support::echo::authorised;
use crate::support::upstream::{Upstream, answering, in_front_of, ok, scripted};

const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";

fn bare(method: &str) -> String {
    format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")
}

#[test]
fn requests_of_all_clients_share_connections() {
    let upstream = answering(|_| ok("fine"));
    let (running, ca) = in_front_of(&upstream.url);
    for _ in 0..3 {
        let mut stream = authorised(&running, &ca);
        for request in [GET, POST, "GET / HTTP/1.0\r\n\r\n"] {
            assert_eq!(exchange(&mut stream, request).unwrap().body, "fine");
        }
    }
    assert_eq!((upstream.connections(), upstream.asked().len()), (1, 9));
}

#[test]
fn a_connection_is_kept_only_if_the_application_keeps_it() {
    for answer in [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 0\r\n\r\n",
    ] {
        let upstream = answering(|_| answer.to_owned());
        let (running, ca) = in_front_of(&upstream.url);
        let mut stream = authorised(&running, &ca);
        for number in 1..4 {
            assert_eq!(exchange(&mut stream, GET).unwrap().status, 200);
            assert_eq!(upstream.connections(), number, "{answer}");
        }
    }
}

/// Answers the first request on each connection as `first` says. At the second one it sends `last`, and is gone.
fn dying(first: &'static str, last: &'static str) -> Upstream {
    let seen = std::sync::Mutex::new(std::collections::HashSet::new());
    scripted(move |stream, asked| {
        let is_first = seen.lock().unwrap().insert(asked?.connection);
        stream.get_mut().write_all(if is_first { first } else { last }.as_bytes()).ok()?;
        is_first.then_some(())
    })
}

const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";

#[test]
fn a_request_is_sent_again_if_a_kept_connection_died_and_it_is_idempotent_and_has_no_body() {
    for method in ["GET", "HEAD", "OPTIONS", "DELETE", "PUT"] {
        let upstream = dying(FINE, "");
        let (running, ca) = in_front_of(&upstream.url);
        assert_eq!(exchange(&mut authorised(&running, &ca), GET).unwrap().status, 200);
        let mut stream = authorised(&running, &ca);
        stream.write_all(bare(method).as_bytes()).unwrap();
        let (status, note) = running.seen.last_note(2);
        assert_eq!((status, note.as_str()), (200, ""), "{method}");
        // Once on the connection that died, once on the new one.
        let asked: Vec<_> = upstream.asked().iter().map(|asked| (asked.line.clone(), asked.connection)).collect();
        let line = format!("{method} / HTTP/1.1");
        assert_eq!(asked, [("GET / HTTP/1.1".to_owned(), 0), (line.clone(), 0), (line, 1)]);
    }
}

#[test]
fn any_other_request_is_sent_once() {
    for request in [
        POST.to_owned(),
        bare("POST"),
        bare("PATCH"),
        bare("UNHEARD-OF"),
        POST.replace("POST", "PUT"),
        POST.replace("POST", "GET"),
        POST.replace("POST", "DELETE"),
        POST.replace("Content-Length: 2\r\n\r\nhi", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ] {
        let upstream = dying(FINE, "");
        let (running, ca) = in_front_of(&upstream.url);
        let mut stream = authorised(&running, &ca);
        assert_eq!(exchange(&mut stream, GET).unwrap().status, 200);
        assert_eq!(exchange(&mut stream, &request).unwrap().status, 502, "{request:?}");
        assert_eq!(upstream.asked().len(), 2, "{request:?}");
    }
}

#[test]
fn a_request_whose_answer_had_begun_is_not_sent_again() {
    for last in ["H", "HTTP/1.1 103 Early Hints\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n"] {
        let upstream = dying(FINE, last);
        let (running, ca) = in_front_of(&upstream.url);
        let mut stream = authorised(&running, &ca);
        assert_eq!(exchange(&mut stream, GET).unwrap().status, 200);
        stream.write_all(GET.as_bytes()).unwrap();
        assert_eq!(running.seen.last_note(2).0, 502);
        assert_eq!(upstream.asked().len(), 2, "{last:?}");
    }
}

#[test]
fn a_request_is_not_sent_a_third_time() {
    let first = AtomicBool::new(true);
    let upstream = scripted(move |stream, asked| {
        asked?;
        first.swap(false, Ordering::SeqCst).then(|| stream.get_mut().write_all(FINE.as_bytes()).ok())?
    });
    let (running, ca) = in_front_of(&upstream.url);
    let mut stream = authorised(&running, &ca);
    assert_eq!(exchange(&mut stream, GET).unwrap().status, 200);
    assert_eq!(exchange(&mut stream, GET).unwrap().status, 502);
    assert_eq!(upstream.asked().len(), 3);
}

/// The application restarts between two requests.
#[test]
fn a_connection_that_ended_while_nobody_used_it_costs_nothing() {
    let upstream = scripted(|stream, asked| {
        asked?;
        let _ = stream.get_mut().write_all(FINE.as_bytes());
        None
    });
    let (running, ca) = in_front_of(&upstream.url);
    let mut stream = authorised(&running, &ca);
    for number in 1..5 {
        let reply = exchange(&mut stream, POST).unwrap();
        // The end may come a little later than the answer.
        if reply.status == 200 {
            assert!(upstream.connections() <= number);
        }
        std::thread::yield_now();
    }
}
