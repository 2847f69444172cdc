//! The log of the command: every line is short, true and dated, and nobody can flood it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use rcgen::DnType;

use crate::cli::ANY_PORT;
use crate::support::client::{GET, TLS13, VERSIONS, config, connect, connect_as, eventually, exchange, get};
use crate::support::command::{Serving, binary, run, site};
use crate::support::files::TempDir;
use crate::support::pki::{Ca, self_signed_with};

const FORMS: [&str; 2] = ["text", "json"];

fn serve(dir: &TempDir, args: &[&str]) -> Serving {
    Serving::start(&binary(), dir.path(), &[&ANY_PORT[..], args].concat())
}

/// The sum of the numbers that stand after `left_out=`, or its like in JSON.
fn left_out(log: &str) -> usize {
    let numbers = log.split("left_out=").skip(1).chain(log.split("\"left_out\":").skip(1));
    numbers.map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse::<usize>().unwrap()).sum()
}

#[test]
fn d9_a_certificate_of_62_kb_is_one_short_line_with_its_fingerprint() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    // Each of these characters would be written as nine. A self-signed certificate has the name twice.
    let long = |times| {
        move |params: &mut rcgen::CertificateParams| {
            params.distinguished_name.push(DnType::CommonName, "\u{202e}".repeat(times));
        }
    };
    let (mallory, alice) = (self_signed_with("x", long(10_000)), ca.client_with("x", long(20_000)));
    for form in FORMS {
        let serving = serve(&dir, &["--log", form]);
        for (holder, status) in [(&mallory, 401), (&alice, 200)] {
            for version in VERSIONS {
                assert_eq!(get(serving.addr, Some(holder), version).unwrap().status, status);
            }
        }
        eventually(|| serving.stdout().lines().count() == 4);
        for line in serving.stdout().lines() {
            assert!(line.len() < 2000, "{} bytes: {line}", line.len());
            assert!(line.contains("…\"") && line.contains("sha256"), "{line}");
        }
    }
}

#[test]
fn every_value_of_a_line_is_cut_after_256_characters() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    for form in FORMS {
        let serving = serve(&dir, &["--log", form]);
        let mut stream = connect(serving.addr, config(Some(&ca.client("alice")), &TLS13));
        // The slash is the first character.
        for length in [255, 256, 4000] {
            let request = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(length));
            assert_eq!(exchange(&mut stream, request).unwrap().status, 200);
        }
        eventually(|| serving.stdout().lines().count() == 3);
        let log = serving.stdout();
        let lines: Vec<&str> = log.lines().collect();
        assert!(lines[0].contains(&("/".to_owned() + &"x".repeat(255) + "\"")), "{}", lines[0]);
        for line in &lines[1..] {
            assert!(line.contains(&("/".to_owned() + &"x".repeat(255) + "…\"")), "{line}");
        }
    }
}

#[test]
fn d9_the_lines_of_strangers_are_few_and_counted_and_those_of_good_clients_are_all_there() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    for form in FORMS {
        let serving = serve(&dir, &["--log", form]);
        let mut alice = connect(serving.addr, config(Some(&ca.client("alice")), &TLS13));
        let start = Instant::now();
        let mut references = Vec::new();
        for _ in 0..100 {
            assert_eq!(exchange(&mut alice, GET).unwrap().status, 200);
            let reply = get(serving.addr, None, &TLS13).unwrap();
            references.push(reply.field("x-request-id").unwrap().to_owned());
        }
        let seconds = usize::try_from(start.elapsed().as_secs()).unwrap() + 1;
        let refused = |log: &str| log.lines().filter(|line| line.contains("because")).count();
        // The count comes a while after the last line, though nobody is refused any more.
        eventually(|| {
            let log = serving.stdout();
            refused(&log) + left_out(&log) == 100
        });
        let log = serving.stdout();
        assert!(refused(&log) <= 4 + seconds, "{} in {seconds} s", refused(&log));
        assert_eq!(log.lines().filter(|line| line.contains("CN=alice")).count(), 100);
        // A refusal that was left out early can still be found by the id that was shown.
        for reference in &references[..20] {
            assert!(log.contains(reference), "{reference}: {log}");
        }
        assert!(log.lines().all(|line| line.len() < 1500), "{log}");
    }
}

#[test]
fn d9_another_reason_is_another_line() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let serving = serve(&dir, &[]);
    for _ in 0..10 {
        assert_eq!(get(serving.addr, None, &TLS13).unwrap().status, 401);
    }
    let mallory = self_signed_with("mallory", |_| {});
    assert_eq!(get(serving.addr, Some(&mallory), &TLS13).unwrap().status, 401);
    eventually(|| serving.stdout().contains("refused=self_signed"));
}

#[test]
fn d9_connections_that_are_shed_are_a_few_lines_with_a_count() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    for form in FORMS {
        let serving = serve(&dir, &["--log", form, "--max-connections", "8"]);
        let start = Instant::now();
        let held: Vec<TcpStream> = (0..300).map(|_| TcpStream::connect(serving.addr).unwrap()).collect();
        let shed = |said: &str| said.lines().filter(|line| line.contains("closed, there are")).count();
        // Six of the eight are for strangers.
        eventually(|| {
            let said = serving.stderr();
            shed(&said) + left_out(&said) == 294
        });
        let (lines, seconds) = (shed(&serving.stderr()), usize::try_from(start.elapsed().as_secs()).unwrap() + 1);
        assert!(lines <= 4 + seconds, "{lines} in {seconds} s");
        drop(held);
    }
}

/// The command with this stdout, on a port that is known beforehand.
fn with_stdout(dir: &Path, stdout: Stdio) -> (Child, SocketAddr, Arc<std::sync::Mutex<String>>) {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = Command::new(binary());
    command.args(["--listen", &address.to_string()]).current_dir(dir).stdout(stdout).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let said = crate::support::command::collect(child.stderr.take().unwrap());
    eventually(|| said.lock().unwrap().contains("listening on "));
    (child, address, said)
}

#[test]
fn d9_a_log_that_cannot_be_written_is_said_once_and_holds_up_no_request() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let (reader, closed) = std::io::pipe().unwrap();
    drop(reader);
    let full = File::options().write(true).open("/dev/full").ok();
    let full = full.map(|file| (Stdio::from(file), "No space left on device"));
    for (stdout, why) in full.into_iter().chain([(Stdio::from(closed), "Broken pipe")]) {
        let (mut child, address, said) = with_stdout(dir.path(), stdout);
        let mut stream = connect(address, config(Some(&ca.client("alice")), &TLS13));
        for _ in 0..300 {
            assert_eq!(exchange(&mut stream, GET).unwrap().status, 200);
        }
        eventually(|| said.lock().unwrap().contains(why));
        let config = Arc::new(config(None, &TLS13));
        assert_eq!(exchange(&mut connect_as(address, config, "localhost"), GET).unwrap().status, 401);
        Command::new("kill").arg(child.id().to_string()).status().unwrap();
        eventually(|| child.try_wait().unwrap().is_some());
        eventually(|| said.lock().unwrap().contains("stopped, "));
        let said = said.lock().unwrap().clone();
        assert_eq!(said.matches("the access log cannot be written").count(), 1, "{said}");
    }
}

/// A time like `2026-11-23T20:41:39.363Z` (RFC 3339).
fn is_time(text: &str) -> bool {
    text.len() == 24
        && text.bytes().zip("dddd-dd-ddTdd:dd:dd.dddZ".bytes()).all(|(byte, wanted)| match wanted {
            b'd' => byte.is_ascii_digit(),
            wanted => byte == wanted,
        })
}

#[test]
fn all_that_a_server_says_on_stderr_is_dated_and_json_if_asked_for() {
    use std::os::unix::fs::PermissionsExt;
    let ca = Ca::new("ca");
    let dir = site(&ca);
    // With warnings at the start: a key that others can read, and an empty list.
    let key = dir.path().join("certs/server-key.pem");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    dir.write("certs/crl.pem", "");
    for form in FORMS {
        let mut serving = serve(&dir, &["--log", form, "--handshake-timeout", "0.2"]);
        let silent = TcpStream::connect(serving.addr).unwrap();
        let mut plain = TcpStream::connect(serving.addr).unwrap();
        plain.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        plain.read_to_end(&mut Vec::new()).unwrap();
        eventually(|| serving.stderr().contains("closed in phase handshake"));
        serving.signal("HUP");
        eventually(|| serving.stderr().contains("read the files anew"));
        drop((silent, plain));
        serving.signal("TERM");
        assert_eq!(serving.exit_code(), Some(0));
        eventually(|| serving.stderr().contains("stopped, every answer was finished"));
        let said = serving.stderr();
        assert!(
            said.contains("chmod 600") && said.contains("no certificate is revoked") && said.contains("without TLS"),
            "{said}"
        );
        for line in said.lines() {
            let time = match form {
                "text" => line.split_once(" mtls-min: ").map(|(time, _)| time),
                _ => {
                    let members = line.strip_prefix("{\"time\":\"").and_then(|line| line.strip_suffix('}')).unwrap();
                    let (time, members) = members.split_once("\",\"event\":\"").unwrap();
                    assert!(members.contains("\",\"message\":\""), "{line}");
                    Some(time)
                }
            };
            assert!(time.is_some_and(is_time), "{line}");
        }
    }
}

#[test]
fn without_an_access_log_all_that_is_not_a_request_is_said_as_ever() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let mut serving = serve(&dir, &["--log", "off"]);
    let mut open = connect(serving.addr, config(Some(&ca.client("alice")), &TLS13));
    assert_eq!(exchange(&mut open, GET).unwrap().status, 200);
    assert_eq!(get(serving.addr, None, &TLS13).unwrap().status, 401);
    TcpStream::connect(serving.addr).unwrap().write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    eventually(|| serving.stderr().contains(": speaks HTTP without TLS\n"));
    dir.replace("certs/ca.pem", Ca::new("other").pem());
    eventually(|| serving.stderr().contains(" mtls-min: closed 1 idle connection of a client that is now refused\n"));
    serving.signal("TERM");
    assert_eq!(serving.exit_code(), Some(0));
    assert_eq!(serving.stdout(), "");
    let said = serving.stderr();
    for part in ["CN=ca", "listening on ", "read the files anew", "stopped, every answer was finished"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("GET /") && !said.contains("no_certificate"), "{said}");
}

/// The reason why a server does not start is for the person who starts it.
#[test]
fn an_error_before_the_start_is_prose_whatever_the_form_of_the_log() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    for form in ["text", "json", "off"] {
        let output = run(dir.path(), &["--log", form, "--ca", "missing"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.starts_with("mtls-min: ") && said.contains("\n  because: "), "{said}");
        let output = run(dir.path(), &["--log", form, "--listen", "192.0.2.1:1"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.starts_with("mtls-min: cannot listen on 192.0.2.1:1\n  because: "), "{said}");
    }
}

/// Everything a server says goes through its log: anything else would be neither dated nor JSON.
#[test]
fn nothing_bypasses_the_log_of_a_server() {
    let source = include_str!("../../src/cli/serve.rs");
    assert!(!source.contains("tell!("), "use the log's `notice`");
}

#[test]
fn what_a_client_asks_for_cannot_end_its_quotation_marks() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let serving = serve(&dir, &[]);
    let mut stream = connect(serving.addr, config(Some(&ca.client("alice")), &TLS13));
    assert_eq!(exchange(&mut stream, "GET /?a\\ HTTP/1.1\r\nHost: a\r\n\r\n").unwrap().status, 200);
    assert_eq!(exchange(&mut stream, "GET /?a\\\\b HTTP/1.1\r\nHost: a\r\n\r\n").unwrap().status, 200);
    eventually(|| serving.stdout().lines().count() == 2);
    let log = serving.stdout();
    assert!(log.contains(r#" "GET /?a\\" 200 "#) && log.contains(r#" "GET /?a\\\\b" 200 "#), "{log}");
}

#[test]
fn a_verdict_that_refuses_nothing_is_not_called_refused() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let policy = dir.write("policy", "/ any\n/open anyone\n");
    for (form, quote) in [("text", ""), ("json", "\"")] {
        let serving = serve(&dir, &["--log", form, "--policy", policy.to_str().unwrap()]);
        let mallory = self_signed_with("mallory", |_| {});
        let ask =
            |holder, request: &str| exchange(&mut connect(serving.addr, config(holder, &TLS13)), request).unwrap();
        assert_eq!(ask(None, "GET /open HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
        assert_eq!(ask(Some(&mallory), "GET /open HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
        // Not for who it is.
        assert_eq!(ask(None, "GET\r\n\r\n").status, 400);
        assert_eq!(ask(None, GET).status, 401);
        eventually(|| serving.stdout().lines().count() == 4);
        let log = serving.stdout();
        let field = |name: &str, value: &str| match form {
            "text" => format!(" {name}={value} "),
            _ => format!("\"{name}\":{quote}{value}{quote}"),
        };
        let mut of_status: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for line in log.lines() {
            let status = ["200", "400", "401"].into_iter().find(|status| {
                line.contains(&format!(" {status} ")) || line.contains(&format!("\"status\":{status},"))
            });
            of_status.entry(status.unwrap()).or_default().push(line);
        }
        let served = of_status["200"].join("\n");
        assert!(served.contains(&field("verdict", "no_certificate")), "{served}");
        assert!(served.contains(&field("verdict", "self_signed")) && served.contains("CN=mallory"), "{served}");
        for line in [&of_status["200"][..], &of_status["400"]].concat() {
            assert!(!line.contains("refused") && !line.contains("repair"), "{line}");
        }
        assert!(of_status["400"][0].contains(&field("verdict", "no_certificate")), "{log}");
        let refused = of_status["401"][0];
        assert!(refused.contains(&field("refused", "no_certificate")) && refused.contains("repair"), "{refused}");
    }
}

#[test]
fn idle_connections_that_a_change_of_the_files_closes_are_a_line() {
    let ca = Ca::new("ca");
    for (form, line) in [
        ("text", " mtls-min: closed 1 idle connection of a client that is now refused\n"),
        (
            "json",
            ",\"event\":\"idle_closed\",\"message\":\"closed 1 idle connection of a client that is now refused\"}\n",
        ),
    ] {
        let dir = site(&ca);
        let serving = serve(&dir, &["--log", form]);
        let mut open = connect(serving.addr, config(Some(&ca.client("alice")), &TLS13));
        assert_eq!(exchange(&mut open, GET).unwrap().status, 200);
        dir.replace("certs/ca.pem", Ca::new("other").pem());
        eventually(|| serving.stderr().contains(line));
    }
}
