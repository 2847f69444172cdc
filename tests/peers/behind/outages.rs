//! An application that is stopped, killed and started again while clients are served.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustls::ClientConfig;

use super::{Gate, Program};
use crate::support::certs;
use crate::support::client::{TLS13, Tls, config, connect_as, eventually, exchange};
use crate::support::files::TempDir;

const CLIENTS: usize = 16;

/// What the clients have seen.
#[derive(Default, Debug)]
struct Seen {
    /// Whole answers, each to its own request.
    right: AtomicUsize,
    bad_gateway: AtomicUsize,
    too_late: AtomicUsize,
    cut: AtomicUsize,
}

impl Seen {
    fn right(&self) -> usize {
        self.right.load(Ordering::SeqCst)
    }

    fn failures(&self) -> [usize; 3] {
        [&self.bad_gateway, &self.too_late, &self.cut].map(|count| count.load(Ordering::SeqCst))
    }

    /// The application works again, for everybody.
    #[track_caller]
    fn goes_on(&self) {
        let right = self.right();
        eventually(|| self.right() >= right + 20 * CLIENTS);
    }
}

/// Ends the clients, whatever the end of the test is.
struct AtEnd<'a>(&'a AtomicBool);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn no_client_gets_the_answer_of_another_while_the_application_is_stopped_and_killed() {
    let (mut app, addr) = Program::app("node", "ids.js");
    let url = format!("http://{addr}");
    let gate = Gate::start(TempDir::new(), &["--forward", &url, "--forward-timeout", "2"]);
    let config = Arc::new(config(Some(&certs::holder(&gate.dir, "alice")), &TLS13));
    let (seen, ended, mut said) = (Seen::default(), AtomicBool::new(false), String::new());
    thread::scope(|scope| {
        let _at_end = AtEnd(&ended);
        for client in 0..CLIENTS {
            let connect = || connect_as(gate.serving.addr, Arc::<ClientConfig>::clone(&config), "localhost");
            let (seen, ended) = (&seen, &ended);
            scope.spawn(move || ask(client, connect, seen, ended));
        }
        seen.goes_on();
        assert_eq!(seen.failures(), [0, 0, 0]);
        report("it runs", &seen);

        for killed_while_stopped in [false, true, false] {
            app.signal("STOP");
            thread::sleep(Duration::from_millis(500));
            app.signal("CONT");
            let before = seen.failures();
            seen.goes_on();
            assert_eq!(seen.failures(), before, "a stop that is shorter than the timeout costs nobody anything");
            report("stopped for half a second", &seen);

            app.signal("STOP");
            let [_, late, _] = seen.failures();
            eventually(|| seen.failures()[1] >= late + CLIENTS / 2);
            if !killed_while_stopped {
                app.signal("CONT");
                seen.goes_on();
            }
            report("stopped for longer than the timeout", &seen);

            let [bad, _, _] = seen.failures();
            said += &end(&mut app);
            eventually(|| seen.failures()[0] >= bad + 20 * CLIENTS);
            app = Program::app_at("node", "ids.js", addr.port()).0;
            seen.goes_on();
            report("killed, and away for a while", &seen);

            said += &end(&mut app);
            app = Program::app_at("node", "ids.js", addr.port()).0;
            seen.goes_on();
            report("killed, and started again at once", &seen);
        }
    });
    said += &end(&mut app);

    let mut times = HashMap::<&str, usize>::new();
    said.lines().filter(|line| line.ends_with('.')).for_each(|line| *times.entry(line).or_default() += 1);
    assert!(times.len() >= seen.right());
    for (line, times) in times {
        assert!(times <= if line.starts_with("POST") { 1 } else { 2 }, "{line}: {times}");
    }
}

/// Kills it: what it has said.
fn end(app: &mut Program) -> String {
    app.signal("KILL");
    app.said_to_the_end()
}

fn report(when: &str, seen: &Seen) {
    println!("{when}: {seen:?}");
}

/// A client that asks until the end, on one connection for as long as that lasts.
fn ask(client: usize, connect: impl Fn() -> Tls, seen: &Seen, ended: &AtomicBool) {
    let mut stream = None;
    for number in 0.. {
        if ended.load(Ordering::SeqCst) {
            return;
        }
        let id = format!("{client}-{number}");
        let request = match number % 3 {
            0 => format!("POST /{id} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{id}", id.len()),
            _ => format!("GET /{id} HTTP/1.1\r\nHost: a\r\n\r\n"),
        };
        let count = match exchange(stream.get_or_insert_with(&connect), request) {
            Ok(reply) => {
                if reply.field("connection") == Some("close") {
                    stream = None;
                }
                match reply.status {
                    200 => {
                        let text = format!("{id}\n").repeat(if number % 4 == 2 { 40_000 } else { 1 });
                        assert!(reply.body == text && reply.field("x-id") == Some(&id), "{id}: {:?}", reply.fields);
                        &seen.right
                    }
                    502 | 504 => {
                        assert_eq!(reply.field("x-id"), None);
                        if reply.status == 502 { &seen.bad_gateway } else { &seen.too_late }
                    }
                    status => panic!("{id}: {status}"),
                }
            }
            Err(error) => {
                assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "{id}: cut, not left waiting");
                stream = None;
                &seen.cut
            }
        };
        count.fetch_add(1, Ordering::SeqCst);
    }
}
