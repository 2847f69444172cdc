//! `--admin` of the command.

use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;

use crate::support::admin::{Figures, ask};
use crate::support::client::{PATIENCE, TLS13, eventually, get, read_reply};
use crate::support::command::{Serving, binary, run, site};
use crate::support::pki::Ca;

/// Starts it with `--admin` on a free port.
fn start(site: &std::path::Path, more: &[&str]) -> (Serving, SocketAddr) {
    let args = [&["--listen", "127.0.0.1:0", "--admin", "localhost:0"], more].concat();
    let serving = Serving::start(&binary(), site, &args);
    let said = serving.stderr();
    let admin = said.lines().find_map(|line| line.split_once("admin port: http://")?.1.trim_end().parse().ok());
    (serving, admin.unwrap_or_else(|| panic!("{said}")))
}

#[test]
fn the_command_answers_on_its_admin_port_until_it_has_stopped() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let (mut serving, admin) = start(dir.path(), &["--log", "off"]);
    assert_eq!((ask(admin, "/healthz").status, ask(admin, "/readyz").status), (200, 200));
    assert_eq!(get(serving.addr, Some(&ca.client("alice")), &TLS13).unwrap().status, 200);
    eventually(|| Figures::of(admin).get("requests_total{method=\"GET\",class=\"2xx\"}") == Some(1.0));
    assert!(ask(admin, "/clients").body.contains("\"subject\":\"CN=alice\""));
    assert!(
        ask(admin, "/metrics")
            .body
            .contains(&format!("mtls_min_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION")))
    );
    serving.signal("TERM");
    assert_eq!(serving.exit_code(), Some(0));
    assert!(std::net::TcpStream::connect(admin).is_err());
}

/// Whoever counts still logs.
#[test]
fn the_log_is_written_as_without_it() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let (serving, _) = start(dir.path(), &[]);
    assert_eq!(get(serving.addr, Some(&ca.client("alice")), &TLS13).unwrap().status, 200);
    eventually(|| serving.stdout().contains("\"GET /\" 200"));
}

#[test]
fn a_unix_socket_is_one_too() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let args = ["--listen", "127.0.0.1:0", "--admin", "unix:admin.sock"];
    let mut serving = Serving::start(&binary(), dir.path(), &args);
    let path = dir.path().join("admin.sock");
    let mut socket = UnixStream::connect(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert_eq!(read_reply(&mut socket).unwrap().status, 200);
    serving.signal("TERM");
    assert_eq!(serving.exit_code(), Some(0));
    assert!(!path.exists());
}

#[test]
fn what_is_asked_for_in_a_dangerous_or_impossible_way_is_refused_with_the_repair() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    dir.write("precious", "precious");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (args, message, hint) in [
        (&["--admin", "0.0.0.0:0"][..], "others than this host could connect", "add --admin-anywhere"),
        (&["--admin", "[::]:0"], "others than this host could connect", "127.0.0.1:port"),
        (&["--admin", "[::ffff:192.0.2.1]:0"], "others than this host could connect", "unix:/path"),
        (&["--admin", "somewhere:0"], "--admin somewhere:0 is not a valid address", "127.0.0.1:9433"),
        (&["--admin", "unix:"], "names no socket", "unix:/path/of/socket"),
        (&["--admin", "unix:precious"], "precious is there already, and is not a socket", "choose another path"),
        (&["--admin", &taken], "for --admin", "choose another address or port"),
        (&["--admin-anywhere"], "--admin-anywhere is for --admin", "leave it out"),
    ] {
        let output = run(dir.path(), &[&["--listen", "127.0.0.1:0"], args].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.contains(message) && said.contains("  hint: ") && said.contains(hint), "{args:?}: {said}");
        assert!(!said.contains("listening on"), "{said}");
    }
    assert_eq!(std::fs::read(dir.path().join("precious")).unwrap(), b"precious");
    // Asked for in so many words, it is possible.
    let args = ["--listen", "127.0.0.1:0", "--admin", "0.0.0.0:0", "--admin-anywhere"];
    let serving = Serving::start(&binary(), dir.path(), &args);
    assert!(serving.stderr().contains("admin port: http://0.0.0.0:"));
}
