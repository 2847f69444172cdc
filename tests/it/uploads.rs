//! Row R5 of the immunity matrix, for a request whose body is still coming: who is no longer let in does not go on sending.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mtls_min::{Request, Response};

use crate::support::client::{TLS13, Tls, config, connect, eventually, read_reply};
use crate::support::pki::{Ca, Holder};
use crate::support::server::{Running, start_with, trust};
use crate::support::upstream::{in_front_of, scripted};

/// What the handler has read, and how reading ended.
type Reading = Arc<Mutex<(u64, Option<String>)>>;

/// Its handler reads whole bodies.
fn reading(ca: &Ca) -> (Running, Reading) {
    let reading = Reading::default();
    let seen = Arc::clone(&reading);
    let running = start_with(
        trust(ca),
        |builder| builder,
        move |request: &mut Request<'_>| {
            let mut piece = [0; 1000];
            loop {
                match request.body().read(&mut piece) {
                    Ok(0) => break,
                    Ok(n) => seen.lock().unwrap().0 += n as u64,
                    Err(error) => {
                        seen.lock().unwrap().1 = Some(error.to_string());
                        break;
                    }
                }
            }
            Response::new("read".into())
        },
    );
    (running, reading)
}

const POST: &str = "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 30000000\r\n\r\n";

fn begin(running: &Running, holder: &Holder) -> Tls {
    let mut stream = connect(running.addr, config(Some(holder), &TLS13));
    stream.write_all(POST.as_bytes()).unwrap();
    stream.write_all(&[b'x'; 5000]).unwrap();
    stream
}

#[test]
fn r5_an_upload_that_is_under_way_ends_when_its_client_is_no_longer_let_in() {
    let ca = Ca::new("ca");
    let alice = ca.client("alice");
    // It sends without a pause, or nothing more.
    for sends in [true, false] {
        let (running, reading) = reading(&ca);
        let mut upload = begin(&running, &alice);
        eventually(|| reading.lock().unwrap().0 >= 5000);
        let replaced = Instant::now();
        running.trust.replace(trust(&Ca::new("other"))).unwrap();
        while sends && reading.lock().unwrap().1.is_none() && replaced.elapsed() < Duration::from_secs(10) {
            let _ = upload.write_all(&[b'x'; 1000]);
            std::thread::sleep(Duration::from_millis(5));
        }
        eventually(|| reading.lock().unwrap().1.is_some());
        assert!(replaced.elapsed() < Duration::from_secs(3), "{:?}", replaced.elapsed());
        assert_eq!(reading.lock().unwrap().1.as_deref(), Some("the client is no longer let in"));
        let reply = read_reply(&mut upload).unwrap();
        assert_eq!((reply.status, reply.field("connection")), (401, Some("close")), "{reply:?}");
        assert!(reply.field("www-authenticate").is_some());
        assert_eq!(running.seen.last_note(1), (401, "the client is no longer let in".to_owned()));
        assert_eq!(running.seen.codes(1), ["unknown_issuer"]);
    }
}

#[test]
fn an_upload_goes_on_when_its_client_is_still_let_in_after_a_change() {
    let ca = Ca::new("ca");
    let (running, reading) = reading(&ca);
    let mut upload = begin(&running, &ca.client("alice"));
    eventually(|| reading.lock().unwrap().0 >= 5000);
    running.trust.replace(trust(&ca)).unwrap();
    for _ in 0..29_995 {
        upload.write_all(&[b'x'; 1000]).unwrap();
    }
    assert_eq!(read_reply(&mut upload).unwrap().body, "read");
    assert_eq!(*reading.lock().unwrap(), (30_000_000, None));
}

#[test]
fn r5_an_application_gets_no_more_of_an_upload_of_who_is_no_longer_let_in() {
    let (tell, told) = std::sync::mpsc::channel();
    let tell = Mutex::new(tell);
    let upstream = scripted(move |_, asked| {
        tell.lock().unwrap().send(asked.is_some()).unwrap();
        None
    });
    let (running, ca) = in_front_of(&upstream.url);
    let mut upload = begin(&running, &ca.client("alice"));
    eventually(|| upstream.connections() == 1);
    running.trust.replace(trust(&Ca::new("other"))).unwrap();
    // The application sees the end of the connection, and not the whole request.
    assert!(!told.recv_timeout(Duration::from_secs(10)).unwrap());
    assert_eq!(read_reply(&mut upload).unwrap().status, 401);
}
