//! The command `mtls-min` with a handler that was led astray: it does whatever the query asks for, and answers `ok` or the kind of
//! the error. For the tests of the sandbox.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, ExitCode};

use mtls_min::http::StatusCode;
use mtls_min::{Request, Response, response};

fn main() -> ExitCode {
    mtls_min::cli::main_with(std::env::args_os(), answer)
}

fn answer(request: &mut Request<'_>) -> Response {
    let value = |name: &str| request.query().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let [what, on, to] = ["do", "on", "to"].map(|name| value(name).unwrap_or_default());
    // A thread of its own is bound as well.
    let done = std::thread::scope(|scope| scope.spawn(|| attempt(&what, &on, &to)).join().unwrap());
    let said = done.map_or_else(|error| format!("{:?}", error.kind()), |()| "ok".to_owned());
    response::text(StatusCode::OK, said)
}

fn attempt(what: &str, on: &str, to: &str) -> io::Result<()> {
    match what {
        "read" => fs::read(on).map(drop),
        "list" => fs::read_dir(on).map(drop),
        "write" => OpenOptions::new().append(true).open(on).map(drop),
        "truncate" => OpenOptions::new().write(true).truncate(true).open(on).map(drop),
        "create" => OpenOptions::new().write(true).create_new(true).open(on).map(drop),
        "make-directory" => fs::create_dir(on),
        "make-link" => std::os::unix::fs::symlink("anywhere", on),
        "make-socket" => UnixListener::bind(on).map(drop),
        "hard-link" => fs::hard_link(on, to),
        "rename" => fs::rename(on, to),
        "remove" => fs::remove_file(on),
        "remove-directory" => fs::remove_dir(on),
        "execute" => Command::new(on).status().map(drop),
        "connect" => TcpStream::connect(on).map(drop),
        "bind" => TcpListener::bind(on).map(drop),
        "unix" => UnixStream::connect(on).map(drop),
        "abstract" => connect_abstract(on),
        "signal" => signal(on),
        _ => Err(ErrorKind::InvalidInput.into()),
    }
}

#[cfg(target_os = "linux")]
fn connect_abstract(name: &str) -> io::Result<()> {
    use std::os::linux::net::SocketAddrExt;
    UnixStream::connect_addr(&std::os::unix::net::SocketAddr::from_abstract_name(name)?).map(drop)
}

#[cfg(not(target_os = "linux"))]
fn connect_abstract(_name: &str) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

/// Only asks whether it could.
fn signal(process: &str) -> io::Result<()> {
    let process = process.parse().ok().and_then(rustix::process::Pid::from_raw);
    Ok(rustix::process::test_kill_process(process.ok_or(ErrorKind::InvalidInput)?)?)
}
