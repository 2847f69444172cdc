//! `--log-file`: one file with the whole log, that others may move, remove or truncate while the server runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cli::ANY_PORT;
use crate::support::client::{GET, TLS13, Tls, config, connect, eventually, exchange, get};
use crate::support::command::{Serving, binary, run, site};
use crate::support::files::TempDir;
use crate::support::pki::Ca;

/// A server that logs to `log` in its directory.
fn serve(dir: &TempDir, args: &[&str]) -> Serving {
    let mut command = Command::new(binary());
    command.args(ANY_PORT).args(["--log-file", "log"]).args(args).current_dir(dir.path()).stdin(Stdio::null());
    Serving::spawn(command, Some(&dir.path().join("log")))
}

fn alice(ca: &Ca, serving: &Serving) -> Tls {
    connect(serving.addr, config(Some(&ca.client("alice")), &TLS13))
}

fn text(file: impl AsRef<Path>) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

#[test]
fn requests_and_all_else_are_in_one_file_and_the_streams_are_silent() {
    let ca = Ca::new("ca");
    for form in ["text", "json"] {
        let dir = site(&ca);
        fs::write(dir.path().join("log"), "what was there before\n").unwrap();
        let mut serving = serve(&dir, &["--log", form]);
        // A line is made when its answer was sent: only then does the next thing happen.
        let has = |part: &str| eventually(|| text(dir.path().join("log")).contains(part));
        assert_eq!(exchange(&mut alice(&ca, &serving), GET).unwrap().status, 200);
        has("CN=alice");
        assert_eq!(get(serving.addr, None, &TLS13).unwrap().status, 401);
        has("no_certificate");
        serving.signal("HUP");
        has("read the files anew");
        serving.signal("TERM");
        assert_eq!(serving.exit_code(), Some(0));
        let log = text(dir.path().join("log"));
        let at = |part: &str| log.find(part).unwrap_or_else(|| panic!("{part} is not in {log}"));
        assert_eq!(at("what was there before"), 0);
        // In the order in which it happened.
        let order =
            ["CN=ca", "listening on ", "CN=alice", "no_certificate", "read the files anew", "stopping", "stopped, "];
        assert!(order.windows(2).all(|pair| at(pair[0]) < at(pair[1])), "{log}");
        assert_eq!((serving.stdout(), serving.stderr()), (String::new(), String::new()));
    }
}

#[test]
fn without_an_access_log_the_file_has_everything_but_requests() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let mut serving = serve(&dir, &["--log", "off"]);
    assert_eq!(exchange(&mut alice(&ca, &serving), GET).unwrap().status, 200);
    serving.signal("TERM");
    assert_eq!(serving.exit_code(), Some(0));
    let log = text(dir.path().join("log"));
    assert!(log.contains("listening on ") && log.contains("stopped, ") && !log.contains("GET /"), "{log}");
}

/// As logrotate does it, with nothing that tells the server.
#[test]
fn a_file_that_is_moved_again_and_again_loses_no_line() {
    const ROTATIONS: usize = 5;
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let mut serving = serve(&dir, &[]);
    let file = |number: usize| dir.path().join(format!("log.{number}"));
    let mut client = alice(&ca, &serving);
    let mut sent = 0;
    let mut ask = || {
        assert_eq!(exchange(&mut client, format!("GET /{sent} HTTP/1.1\r\nHost: a\r\n\r\n")).unwrap().status, 200);
        sent += 1;
    };
    for number in 0..ROTATIONS {
        ask();
        fs::rename(dir.path().join("log"), file(number)).unwrap();
        eventually(|| {
            ask();
            dir.path().join("log").exists()
        });
    }
    serving.signal("TERM");
    assert_eq!(serving.exit_code(), Some(0));
    let files: Vec<PathBuf> = (0..ROTATIONS).map(file).chain([dir.path().join("log")]).collect();
    let all: String = files.iter().map(text).collect();
    let lines: Vec<&str> = all.lines().filter(|line| line.contains("\"GET /")).collect();
    assert_eq!(lines.len(), sent, "{all}");
    for (number, line) in lines.iter().enumerate() {
        assert!(line.contains(&format!(" \"GET /{number}\" 200 ")), "{number}: {line}");
    }
    assert_eq!(serving.stderr(), "");
}

#[test]
fn sighup_opens_the_file_anew_and_says_so_on_stderr_if_it_cannot() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    fs::create_dir(dir.path().join("logs")).unwrap();
    let log = dir.path().join("logs/log");
    let mut command = Command::new(binary());
    command.args(ANY_PORT).args(["--log-file", "logs/log"]).current_dir(dir.path()).stdin(Stdio::null());
    let serving = Serving::spawn(command, Some(&log));
    fs::rename(dir.path().join("logs"), dir.path().join("old")).unwrap();
    serving.signal("HUP");
    eventually(|| text(dir.path().join("old/log")).contains("read the files anew"));
    eventually(|| {
        serving.stderr().contains("mtls-min: cannot open the log file logs/log anew, so what was open before is")
    });
    let told = serving.stderr().lines().count();
    assert_eq!(exchange(&mut alice(&ca, &serving), GET).unwrap().status, 200);
    eventually(|| text(dir.path().join("old/log")).contains("CN=alice"));
    assert_eq!(serving.stderr().lines().count(), told, "{}", serving.stderr());
    // Asked for again, it is told again; and once it works, it works.
    serving.signal("HUP");
    eventually(|| serving.stderr().lines().count() == told + 1);
    // The same directory: another one would not be in the sandbox.
    fs::rename(dir.path().join("old"), dir.path().join("logs")).unwrap();
    fs::remove_file(&log).unwrap();
    serving.signal("HUP");
    eventually(|| text(&log).contains("read the files anew"));
}

/// A full disk, by the limit of a file's size; the signal of that limit would end the process.
#[test]
fn what_finds_no_room_is_counted_and_told_and_when_there_is_room_again_it_goes_on() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\"", binary().to_str().unwrap()]);
    command.args(ANY_PORT).args(["--log-file", "log"]).current_dir(dir.path()).stdin(Stdio::null());
    let mut serving = Serving::spawn(command, Some(&dir.path().join("log")));
    let mut client = alice(&ca, &serving);
    let mut sent = 0;
    eventually(|| {
        for _ in 0..20 {
            assert_eq!(exchange(&mut client, GET).unwrap().status, 200);
        }
        sent += 20;
        serving.stderr().contains("cannot be written, so its lines are lost and counted: File too large")
    });
    fs::rename(dir.path().join("log"), dir.path().join("full")).unwrap();
    eventually(|| {
        assert_eq!(exchange(&mut client, GET).unwrap().status, 200);
        sent += 1;
        serving.stderr().contains("the log file log can be written again")
    });
    serving.signal("TERM");
    assert_eq!(serving.exit_code(), Some(0));
    let (full, log) = (text(dir.path().join("full")), text(dir.path().join("log")));
    let lost = log.lines().find_map(|line| line.split_once(" lines of the log were lost here")).unwrap().0;
    let lost: usize = lost.rsplit(' ').next().unwrap().parse().unwrap();
    // Not the torn line at the end.
    let whole =
        |text: &str| text.split_inclusive('\n').filter(|l| l.contains("CN=alice\"\n") && l.contains("GET")).count();
    assert_eq!(whole(&full) + whole(&log) + lost, sent, "{full}{log}");
    assert_eq!(serving.stderr().lines().count(), 2, "{}", serving.stderr());
}

#[test]
fn a_file_that_cannot_be_opened_ends_the_start_with_the_reason() {
    let dir = site(&Ca::new("ca"));
    for (path, because, hint) in [
        (".", "Is a directory", "name a file, not a directory"),
        ("/dev/null", "not a regular file", "name a file, not a directory"),
        ("missing/log", "No such file", "its directory has to exist"),
        ("certs/ca.pem/log", "Not a directory", "its directory has to exist"),
    ] {
        let output = run(dir.path(), &["--listen", "127.0.0.1:0", "--log-file", path]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        for part in [&format!("mtls-min: cannot open the log file {path}\n"), because, hint] {
            assert!(said.contains(part), "{path}: {said}");
        }
    }
}

#[test]
fn a_file_that_is_read_is_not_written() {
    let dir = site(&Ca::new("ca"));
    std::os::unix::fs::symlink("certs/ca.pem", dir.path().join("log")).unwrap();
    let before = text(dir.path().join("certs/ca.pem"));
    for log in ["certs/ca.pem", "certs/server-key.pem", "log"] {
        let output = run(dir.path(), &[&ANY_PORT[..], &["--log-file", log]].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("which is read") && said.contains("choose another file"), "{said}");
    }
    assert_eq!(text(dir.path().join("certs/ca.pem")), before);
}
