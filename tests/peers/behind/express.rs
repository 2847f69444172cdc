//! express with sessions and uploads, as the usual tutorial has it.

use std::process::Command;

use super::{Gate, Program, file};
use crate::support::files::TempDir;
use crate::tools::sh;

fn start() -> (Program, Gate) {
    let (app, addr) = Program::app("node", "express.js");
    (app, Gate::before(addr))
}

#[test]
fn express_keeps_a_session_in_a_secure_cookie() {
    let (_app, gate) = start();
    for visit in 1..=3 {
        let said = gate.curl("-c cookies -b cookies $O/");
        assert_eq!(said, format!("alice: visit {visit}\n"), "the cookie is set for https only");
    }
    assert_eq!(gate.curl("$O/"), "alice: visit 1\n", "without the cookie");
    assert_eq!(gate.curl("-b cookies -X DELETE -w '%{http_code}' $O/"), "204");
    assert_eq!(gate.curl("-b cookies $O/"), "alice: visit 1\n");
    assert_eq!(gate.curl_of_a_stranger("-b cookies $O/"), "User is not authorized\n");
}

#[test]
fn express_takes_uploads_whole() {
    let (_app, gate) = start();
    let bytes: Vec<u8> = (0..5_000_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    gate.dir.write("file", bytes);
    let sha256 = sh(gate.dir.path(), "sha256sum file").split(' ').next().unwrap().to_owned();
    let form = gate.curl("-F file=@file -F 'note=two words' $O/form");
    assert_eq!(form, format!(r#"{{"name":"file","size":5000000,"sha256":"{sha256}","note":"two words"}}"#));
    for options in ["", "-H 'Transfer-Encoding: chunked'", "-H 'Expect: 100-continue'", "-0 --no-alpn"] {
        assert_eq!(gate.curl(&format!("{options} -T file $O/raw")), sha256, "{options}");
    }
    // Several on one connection.
    let twice = gate.curl("-w ' %{num_connects}\\n' -T file $O/raw -T file $O/raw");
    assert_eq!(twice, format!("{sha256} 1\n{sha256} 0\n"));
}

/// What the client says of itself beside its certificate counts for nothing.
#[test]
fn express_reads_who_the_client_is() {
    let (_app, gate) = start();
    let fields = "-H 'X-Client-Name: root' -H 'X_Client_Name: root' -H 'x-client_name: root' -H 'X-CLIENT-SHA256: 00' \
                  -H 'Client-Cert: :AAAA:' -H 'X-Forwarded-For: 192.0.2.1' -H 'X-Forwarded-Proto: http' \
                  -H 'X-Forwarded-Host: evil.example' -H 'Forwarded: for=192.0.2.1' \
                  -H 'Connection: X-Client-Name, Client-Cert, close'";
    let said = gate.curl(&format!("{fields} $O/who?a=b%20c"));
    let port = gate.serving.addr.port();
    let value = |name: &str| {
        let after = said.split(&format!(r#""{name}":""#)).nth(1).unwrap_or_else(|| panic!("{name}: {said}"));
        after.split('"').next().unwrap().to_owned()
    };
    assert_eq!(value("name"), "alice");
    assert!(value("subject").starts_with("CN=alice"), "{said}");
    assert_eq!((value("sha256").len(), value("sha256")), (64, value("certificate")));
    assert_eq!(value("url"), format!("https://localhost:{port}/who?a=b%20c"));
    assert_eq!(value("ip"), "127.0.0.1");
}

#[test]
fn express_sees_no_identity_where_anyone_may_go() {
    let (_app, addr) = Program::app("node", "express.js");
    let gate = Gate::with_rules(addr, "/ any\n/public anyone\n");
    let said = gate.curl_of_a_stranger("-H 'X-Client-Name: root' -H 'Client-Cert: :AAAA:' $O/public");
    let url = format!("https://localhost:{}/public", gate.serving.addr.port());
    assert_eq!(said, format!(r#"{{"url":"{url}","ip":"127.0.0.1"}}"#));
    assert_eq!(gate.curl_of_a_stranger("$O/who"), "User is not authorized\n");
    assert!(gate.curl("$O/public").contains(r#""name":"alice""#));
}

#[test]
fn express_may_listen_on_a_unix_socket() {
    let dir = TempDir::new();
    let socket = dir.path().join("app.sock").display().to_string();
    let app = Program::start(Command::new("node").arg(file("express.js")).arg(&socket));
    app.wait_for("listening on ");
    let gate = Gate::start(dir, &["--forward", &format!("unix:{socket}")]);
    for visit in 1..=2 {
        assert_eq!(gate.curl("-c cookies -b cookies $O/"), format!("alice: visit {visit}\n"));
    }
    let said = gate.curl("-H 'X-Forwarded-For: 192.0.2.1' $O/who");
    let url = format!(r#""url":"https://localhost:{}/who","ip":"127.0.0.1""#, gate.serving.addr.port());
    assert!(said.contains(&url), "{said}");
}

#[test]
fn express_answers_arrive_as_it_gives_them() {
    let (_app, gate) = start();
    let app = std::fs::read_to_string(file("express.js")).unwrap();
    assert_eq!(gate.curl("$O/file"), app);
    assert_eq!(gate.curl("-r 10-19 -w ' %{http_code}' $O/file"), format!("{} 206", &app[10..20]));
    let head = gate.curl("-I $O/file");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.to_lowercase().contains(&format!("\r\ncontent-length: {}\r\n", app.len())), "{head}");
    assert_eq!(head.to_lowercase().matches("\r\ndate: ").count(), 1, "{head}");
    let tag = head.lines().find_map(|line| line.to_lowercase().strip_prefix("etag: ").map(str::to_owned)).unwrap();
    let again = format!("-o /dev/null -w '%{{http_code}}' -H 'If-None-Match: {}' $O/file", tag.replace("w/", "W/"));
    assert_eq!(gate.curl(&again), "304");
    let redirect = gate.curl("-o /dev/null -w '%{http_code} %{redirect_url}' $O/old");
    assert_eq!(redirect, format!("302 https://localhost:{}/", gate.serving.addr.port()));
    assert_eq!(gate.curl("-o /dev/null -w '%{http_code}' $O/nowhere"), "404");
    assert_eq!(gate.curl("-o /dev/null -w '%{http_code}' $O/fails"), "500");
    let fifty = gate.curl("-o /dev/null -w '%{http_code} %{num_connects}\\n' $O/who?[1-50]");
    assert_eq!(fifty, format!("200 1\n{}", "200 0\n".repeat(49)));
}

#[test]
fn express_may_die_and_come_back() {
    let (app, addr) = Program::app("node", "express.js");
    let gate = Gate::before(addr);
    let (whole, said) = gate.try_curl("$O/dies");
    assert!(!whole && said.contains("the beginning\n"), "half an answer is not taken for a whole one: {said}");
    assert_eq!(gate.curl("$O/"), "alice: visit 1\n");
    drop(app);
    let status = || gate.curl("-o /dev/null -w '%{http_code}' $O/");
    assert_eq!((status(), status()), ("502".to_owned(), "502".to_owned()));
    let (_app, _) = Program::app_at("node", "express.js", addr.port());
    assert_eq!(gate.curl("$O/"), "alice: visit 1\n");
}
