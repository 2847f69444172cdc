//! Python's http.server and a folder.

use std::net::SocketAddr;
use std::process::Command;

use super::{Gate, Program};
use crate::support::files::TempDir;

/// As one starts it, with a folder of one file and one folder; `options` are its own.
fn folder(options: &[&str]) -> (Program, SocketAddr, TempDir, String) {
    let dir = TempDir::new();
    let text: String = (0..100_000).map(|number| format!("{number}\n")).collect();
    dir.write("a b.txt", &text);
    std::fs::create_dir(dir.path().join("sub")).unwrap();
    let arguments = ["-u", "-m", "http.server", "0", "--bind", "127.0.0.1"];
    let program = Program::start(Command::new("python3").args(arguments).args(options).current_dir(dir.path()));
    let said = program.wait_for("Serving HTTP on 127.0.0.1 port ");
    let port: u16 = said.split(' ').next().unwrap().parse().unwrap();
    (program, SocketAddr::from(([127, 0, 0, 1], port)), dir, text)
}

#[test]
fn pythons_http_server_serves_its_folder() {
    // By itself it speaks HTTP/1.0, and each answer ends with its connection.
    for options in [&[][..], &["--protocol", "HTTP/1.1"]] {
        let (program, addr, _dir, text) = folder(options);
        let gate = Gate::before(addr);
        assert!(gate.curl("$O/a%20b.txt") == text, "{options:?}");
        let listing = gate.curl("$O/");
        assert!(listing.contains(r#"<a href="a%20b.txt">a b.txt</a>"#), "{listing}");

        let head = gate.curl("-I $O/a%20b.txt").to_lowercase();
        assert!(head.starts_with("http/1.1 200 ok\r\n"), "{head}");
        for line in [format!("content-length: {}", text.len()), "content-type: text/plain".to_owned()] {
            assert!(head.contains(&format!("\r\n{line}\r\n")), "{head}");
        }
        assert!(!head.contains("\r\nconnection: "), "the connection to the client stays: {head}");

        let redirect = gate.curl("-o /dev/null -w '%{http_code} %{redirect_url}' $O/sub");
        assert_eq!(redirect, format!("301 https://localhost:{}/sub/", gate.serving.addr.port()));
        let missing = gate.curl("-w '%{http_code}' $O/nowhere");
        assert!(missing.contains("File not found") && missing.ends_with("404"), "{missing}");
        assert!(gate.curl("-d x -w '%{http_code}' $O/").ends_with("501"));

        // One connection to the gate, whatever becomes of the one behind it.
        let urls = "$O/a%20b.txt $O/nowhere $O/a%20b.txt -I $O/sub/";
        let four = gate.curl(&format!("-o /dev/null -o /dev/null -o /dev/null -w '%{{num_connects}} ' {urls}"));
        let connects: String = four.split_whitespace().filter(|word| word.len() == 1).collect();
        assert!(connects.ends_with("1000"), "{four}");
        assert!(!program.said().contains("Traceback"), "{}", program.said());
    }
}
