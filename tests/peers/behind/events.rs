//! Server-sent events, and a long poll: what the application says is there before it says more.

use std::time::{Duration, Instant};

use super::{CREDENTIALS, Gate, Program};
use crate::browser::{Policy, page};
use crate::support::client::eventually;

#[test]
fn chromium_sees_each_event_before_the_next_is_made() {
    let (app, addr) = Program::app("python3", "events.py");
    let gate = Gate::before(addr);
    gate.into_browser();
    let port = gate.serving.addr.port();
    let _policy = Policy::new(&[format!("localhost:{port}")]);
    let page = page(gate.dir.path(), "localhost", port);
    let list = "<li>alice: first</li><li>second</li><li>third</li><li>fourth</li><li>last</li>";
    assert!(page.contains(list), "{page}\n{}", app.said());
    assert!(app.said().contains("sent last, seen last"), "{}", app.said());
}

/// The same without a browser: curl writes each event as it comes, and another curl says that it is seen.
#[test]
fn each_event_goes_out_as_it_comes() {
    let (_app, addr) = Program::app("python3", "events.py");
    let gate = Gate::before(addr);
    let say = format!("curl -sS --cacert certs/ca.pem {CREDENTIALS} -d \"$event\" $O/seen");
    let each = format!("while read -r _ event; do [ -z \"$event\" ] || {{ echo \"$event\"; {say}; }}; done");
    assert_eq!(gate.curl(&format!("-N $O/events | {each}")), "alice: first\nsecond\nthird\nfourth\nlast\n");
}

#[test]
fn a_long_poll_is_answered_when_there_is_something_to_say() {
    let (_app, addr) = Program::app("python3", "events.py");
    let gate = Gate::before(addr);
    std::thread::scope(|scope| {
        let polling = scope.spawn(|| (gate.curl("$O/poll"), Instant::now()));
        eventually(|| gate.curl("$O/polls") == "1\n");
        assert!(!polling.is_finished());
        let said = Instant::now();
        gate.curl("-d 'at last' $O/say");
        let (answer, answered) = polling.join().unwrap();
        assert_eq!(answer, "at last");
        assert!(answered.duration_since(said) < Duration::from_secs(2));
    });
}
