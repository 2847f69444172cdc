//! WebSockets: the server and the client of `ws`, and Chromium.

use std::process::Command;
use std::time::{Duration, Instant};

use super::{Gate, Program, file};
use crate::browser::{Policy, page};
use crate::support::client::eventually;

fn start() -> (Program, Gate) {
    let (app, addr) = Program::app("node", "websocket.js");
    (app, Gate::before(addr))
}

/// A client that is connected.
fn connect(gate: &Gate) -> Program {
    let port = gate.serving.addr.port().to_string();
    let client =
        Program::start(Command::new("node").arg(file("websocket_client.js")).arg(port).current_dir(gate.dir.path()));
    assert_eq!(client.wait_for("open, "), "protocol chat, extensions permessage-deflate");
    assert_eq!(client.wait_for("hello "), "alice");
    client
}

#[test]
fn a_websocket_carries_messages_of_all_sizes_both_ways() {
    let (_app, gate) = start();
    let mut client = connect(&gate);
    let sizes = [0, 1, 125, 126, 65_535, 65_536, 1024 * 1024];
    client.tell(&format!("send {}", sizes.map(|size| size.to_string()).join(" ")));
    for size in sizes {
        assert_eq!(client.wait_for(&format!("{size} bytes ")), "came back");
    }
    // More than fits into all buffers on the way.
    client.tell(&format!("send {}", "1048577 ".repeat(50).trim()));
    eventually(|| client.said().matches("1048577 bytes came back").count() == 50);
    client.tell("ping still there");
    assert_eq!(client.wait_for("pong "), "still there");
}

#[test]
fn a_websocket_is_closed_by_either_side_in_order() {
    let (app, gate) = start();
    let mut client = connect(&gate);
    client.tell("close thank you");
    assert_eq!(client.wait_for("closed "), "1000 thank you");
    assert_eq!(app.wait_for("closed "), "1000 thank you");
    let mut client = connect(&gate);
    client.tell("say close");
    assert_eq!(client.wait_for("closed "), "4001 as you asked");
    assert_eq!(app.wait_for("closed 4001 "), "as you asked");
}

#[test]
fn a_websocket_ends_when_its_client_is_revoked() {
    let (app, gate) = start();
    let mut clients = [connect(&gate), connect(&gate)];
    gate.revoke_alice();
    let revoked = Instant::now();
    for client in &clients {
        assert_eq!(client.wait_for("closed "), "1006 ", "cut, without a close frame");
    }
    assert!(revoked.elapsed() < Duration::from_secs(1), "{:?}", revoked.elapsed());
    eventually(|| app.said().matches("closed 1006").count() == clients.len());
    for client in &mut clients {
        assert!(!client.said().contains("error"), "{}", client.said());
    }
    assert_eq!(gate.curl("$O/"), "User is not authorized\n");
}

#[test]
fn a_stranger_gets_no_websocket() {
    let (app, gate) = start();
    let upgrade = "-H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' \
                   -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='";
    let said = gate.curl_of_a_stranger(&format!("-w '%{{http_code}}' {upgrade} $O/echo"));
    assert_eq!(said, "User is not authorized\n401");
    assert!(!app.said().contains("closed"), "{}", app.said());
}

/// An upgrade that the application refuses is an answer like any other, and the connection stays.
#[test]
fn a_refused_upgrade_is_an_answer() {
    let (_app, gate) = start();
    let said = gate.curl(
        "-w ' %{http_code} %{num_connects}\\n' -H 'Connection: Upgrade' -H 'Upgrade: websocket' $O/echo $O/nowhere",
    );
    assert!(said.contains(" 400 1\n"), "{said}");
}

#[test]
fn chromium_speaks_websocket_through_the_gate() {
    let (app, gate) = start();
    gate.into_browser();
    let port = gate.serving.addr.port();
    let _policy = Policy::new(&[format!("localhost:{port}")]);
    let page = page(gate.dir.path(), "localhost", port);
    let sizes = [0, 1, 125, 126, 65_535, 65_536, 1024 * 1024];
    let echoes: String = sizes.iter().map(|size| format!("<li>{size} bytes came back</li>")).collect();
    let list = format!("<li>open, protocol chat</li><li>hello alice</li>{echoes}<li>closed 4002 done, clean</li>");
    assert!(page.contains(&list), "{page}\n{}", app.said());
    assert_eq!(app.wait_for("closed "), "4002 done");
}
