//! A server whose handler hands sockets over, and the other ends of them.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};

use mtls_min::{Body, Builder, Request, Response, Trust, response};

use super::client::{PATIENCE, TLS13, Tls, config, connect, read_reply};
use super::pki::Holder;
use super::server::{Running, start_with};

/// The server, and what its handler hands over to the tests.
pub(crate) struct Behind {
    pub(crate) running: Running,
    ends: Receiver<UnixStream>,
}

/// `/tunnel…` becomes a tunnel, `/stream…` and `/ten` have a body that arrives (without a length, or of ten bytes); the rest is
/// `served`.
pub(crate) fn behind(trust: Trust, change: impl FnOnce(Builder) -> Builder) -> Behind {
    let (hand_over, ends) = channel();
    let hand_over = Mutex::new(hand_over);
    let running = start_with(trust, change, move |request: &mut Request<'_>| {
        let socket = || {
            let (own, other) = UnixStream::pair().unwrap();
            own.set_read_timeout(Some(PATIENCE)).unwrap();
            own.set_write_timeout(Some(PATIENCE)).unwrap();
            hand_over.lock().unwrap().send(own).unwrap();
            other
        };
        match request.uri().path() {
            path if path.starts_with("/tunnel") => response::tunnel("echo", socket()).unwrap(),
            path if path.starts_with("/stream") => Response::new(Body::from_socket(socket(), None).unwrap()),
            "/ten" => Response::new(Body::from_socket(socket(), Some(10)).unwrap()),
            _ => Response::new("served".into()),
        }
    });
    Behind { running, ends }
}

impl Behind {
    /// Asks for a tunnel at `path`: the client, and the other end.
    #[track_caller]
    pub(crate) fn tunnel(&self, holder: Option<&Holder>, path: &str) -> (Tls, UnixStream) {
        let (mut client, end) = self.ask(holder, &upgrade(path));
        let reply = read_reply(&mut client).unwrap();
        assert_eq!((reply.status, reply.field("upgrade")), (101, Some("echo")));
        (client, end)
    }

    /// Sends a request: the client, and the other end of what the handler hands over for it.
    #[track_caller]
    pub(crate) fn ask(&self, holder: Option<&Holder>, request: &str) -> (Tls, UnixStream) {
        let mut client = connect(self.running.addr, config(holder, &TLS13));
        client.write_all(request.as_bytes()).unwrap();
        (client, self.end())
    }

    #[track_caller]
    pub(crate) fn end(&self) -> UnixStream {
        self.ends.recv_timeout(PATIENCE).unwrap()
    }
}

pub(crate) fn upgrade(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
}

pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}
