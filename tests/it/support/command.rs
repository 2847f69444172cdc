//! The command `mtls-min` and the examples as processes.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use super::client::{PATIENCE, eventually};
use super::files::TempDir;
use super::pki::Ca;

/// A directory with certs/ca.pem, certs/server-crt.pem and certs/server-key.pem.
pub(crate) fn site(ca: &Ca) -> TempDir {
    let dir = TempDir::new();
    std::fs::create_dir(dir.path().join("certs")).unwrap();
    dir.write_certificates("certs/", ca);
    dir
}

pub(crate) fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_mtls-min"))
}

pub(crate) fn example(name: &str) -> PathBuf {
    let path = binary().with_file_name("examples").join(name);
    assert!(path.exists(), "`cargo test` builds the examples; with --test it, first `cargo build --examples`");
    path
}

/// Runs the command to its end. If it does not end, it is killed: a server that should not have started.
pub(crate) fn run(dir: &Path, args: &[&str]) -> Output {
    run_program(&binary(), dir, args)
}

/// The same with another program, which then executes the command.
pub(crate) fn run_program(program: &Path, dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(args).current_dir(dir).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let id = child.id().to_string();
    let (ended, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || ended.send(child.wait_with_output()));
    end.recv_timeout(3 * PATIENCE)
        .unwrap_or_else(|_| {
            let _ = Command::new("kill").args(["-KILL", &id]).status();
            panic!("{args:?} does not end");
        })
        .unwrap()
}

/// A process that serves, killed with the test.
pub(crate) struct Serving {
    pub(crate) child: Child,
    pub(crate) addr: SocketAddr,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
}

impl Serving {
    /// Starts it and waits until it says where it listens.
    pub(crate) fn start(program: &Path, dir: &Path, args: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(args).current_dir(dir).stdin(Stdio::null());
        Self::spawn(command, None)
    }

    /// The same with a command that is described otherwise. It says where it listens on stderr, or in its log file.
    pub(crate) fn spawn(mut command: Command, log_file: Option<&Path>) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = collect(child.stdout.take().unwrap());
        let stderr = collect(child.stderr.take().unwrap());
        let mut addr = None;
        eventually(|| {
            let said = match log_file {
                Some(file) => std::fs::read_to_string(file).unwrap_or_default(),
                None => stderr.lock().unwrap().clone(),
            };
            // As text or within JSON.
            let address = |line: &str| line.split_once("listening on ")?.1.trim_end_matches("\"}").parse().ok();
            addr = said.lines().find_map(address);
            let has_ended = child.try_wait().unwrap().is_some();
            assert!(addr.is_some() || !has_ended, "it ended: {said}{}", stderr.lock().unwrap());
            addr.is_some()
        });
        Self { child, addr: addr.unwrap(), stdout, stderr }
    }

    pub(crate) fn stdout(&self) -> String {
        self.stdout.lock().unwrap().clone()
    }

    pub(crate) fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Waits for its end: the exit code.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        let mut status = None;
        eventually(|| {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().code()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// Its output, line by line.
pub(crate) fn collect(pipe: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let written = Arc::clone(&text);
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let mut text = written.lock().unwrap();
            text.push_str(&line);
            text.push('\n');
        }
    });
    text
}
