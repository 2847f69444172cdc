//! A gate, at which handlers wait: one side says that it was reached and waits, the other lets it go.

use std::io::Read;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use mtls_min::{Body, Request, Response};

use super::client::PATIENCE;

pub(crate) const AT_THE_GATE: &str = "GET /gate HTTP/1.1\r\nHost: localhost\r\n\r\n";

pub(crate) fn gate() -> (Gate, Arc<Barred>) {
    let ((reached, arrivals), (release, released)) = (sync_channel(300), sync_channel(300));
    (Gate { arrivals, release }, Arc::new(Barred { reached, released: Mutex::new(released) }))
}

pub(crate) struct Barred {
    reached: SyncSender<()>,
    released: Mutex<Receiver<()>>,
}

impl Barred {
    pub(crate) fn wait(&self) {
        self.reached.send(()).unwrap();
        self.released.lock().unwrap().recv().unwrap();
    }
}

pub(crate) struct Gate {
    arrivals: Receiver<()>,
    release: SyncSender<()>,
}

/// A handler whose path `/gate` says that it was reached, and waits to be let go; so does the body of `/body`.
pub(crate) fn with_a_gate() -> (Gate, impl Fn(&mut Request<'_>) -> Response + Send + Sync) {
    let (gate, barred) = gate();
    let handler = move |request: &mut Request<'_>| match request.uri().path() {
        "/body" => Response::new(Body::from_reader(Waits(Arc::clone(&barred)), None)),
        path => {
            if path == "/gate" {
                barred.wait();
            }
            Response::new("served".into())
        }
    };
    (gate, handler)
}

/// An empty body that waits when it is asked for.
struct Waits(Arc<Barred>);

impl Read for Waits {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        self.0.wait();
        Ok(0)
    }
}

impl Gate {
    pub(crate) fn wait_for_one(&self) {
        self.arrivals.recv_timeout(PATIENCE).unwrap();
    }

    pub(crate) fn let_one_go(&self) {
        self.release.send(()).unwrap();
    }
}
