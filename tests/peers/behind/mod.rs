//! Real applications behind `--forward`, in `tests/peers/apps`: what they do without the gate, they do behind it.

mod events;
mod express;
mod outages;
mod python;
#[cfg(feature = "tiny_http")]
mod tiny_http;
mod upload;
mod websocket;

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};

use crate::support::client::eventually;
use crate::support::command::{Serving, binary, collect, signal};
use crate::support::files::TempDir;
use crate::tools::{sh, try_sh};

/// The gate before an application, and the certificate of alice.
pub(crate) struct Gate {
    pub(crate) serving: Serving,
    pub(crate) dir: TempDir,
}

impl Gate {
    /// Everything goes to the application at this address.
    pub(crate) fn before(addr: SocketAddr) -> Self {
        Self::start(TempDir::new(), &["--forward", &format!("http://{addr}")])
    }

    /// With these options, and what they say behind it.
    pub(crate) fn with(options: &[&str]) -> Self {
        Self::start(TempDir::new(), options)
    }

    /// The same, with rules by path.
    pub(crate) fn with_rules(addr: SocketAddr, rules: &str) -> Self {
        let dir = TempDir::new();
        dir.write("rules", rules);
        Self::start(dir, &["--forward", &format!("http://{addr}"), "--policy", "rules"])
    }

    fn start(dir: TempDir, options: &[&str]) -> Self {
        let mtls_min = binary().display().to_string();
        dir.write("password.txt", PASSWORD);
        sh(dir.path(), &format!("{mtls_min} certs init"));
        sh(dir.path(), &format!("{mtls_min} certs client alice --password-file password.txt"));
        let fixed = ["--ca", "certs/ca.pem", "--crl", "certs/crl.pem", "--listen", "127.0.0.1:0"];
        let serving = Serving::start(&binary(), dir.path(), &[&fixed, options].concat());
        Self { serving, dir }
    }

    /// curl as alice; `$O` in the arguments is the origin.
    #[track_caller]
    pub(crate) fn curl(&self, arguments: &str) -> String {
        sh(self.dir.path(), &self.curl_command(&format!("{CREDENTIALS} {arguments}")))
    }

    /// The same, whatever its end.
    #[track_caller]
    pub(crate) fn try_curl(&self, arguments: &str) -> (bool, String) {
        try_sh(self.dir.path(), &self.curl_command(&format!("{CREDENTIALS} {arguments}")))
    }

    /// curl without a certificate.
    #[track_caller]
    pub(crate) fn curl_of_a_stranger(&self, arguments: &str) -> String {
        sh(self.dir.path(), &self.curl_command(arguments))
    }

    fn curl_command(&self, arguments: &str) -> String {
        let port = self.serving.addr.port();
        format!("O=https://localhost:{port}; curl -sS --max-time 60 --cacert certs/ca.pem {arguments}")
    }

    /// Returns when the command has done it.
    pub(crate) fn revoke_alice(&self) {
        sh(self.dir.path(), &format!("{} certs revoke alice", binary().display()));
    }

    /// Gives alice's certificate to Chromium in `dir`.
    pub(crate) fn into_browser(&self) {
        sh(self.dir.path(), "mkdir -p .pki/nssdb && certutil -d sql:.pki/nssdb -N --empty-password");
        sh(self.dir.path(), "certutil -d sql:.pki/nssdb -A -t C,, -n ca -i certs/ca.pem");
        sh(self.dir.path(), "pk12util -d sql:.pki/nssdb -i certs/alice.p12 -w password.txt");
    }
}

/// alice's, for curl.
pub(crate) const CREDENTIALS: &str = "--cert certs/alice-crt.pem --key certs/alice-key.pem";

const PASSWORD: &str = "for alice's p12\n";

/// A file of `tests/peers/apps`.
pub(crate) fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/apps").join(name)
}

/// A program that runs beside the test, and is killed with it.
pub(crate) struct Program {
    child: Child,
    stdin: ChildStdin,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
}

impl Program {
    pub(crate) fn start(command: &mut Command) -> Self {
        // The packages that tests/run has installed there.
        let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/apps/node_modules");
        assert!(packages.exists(), "tests/run installs the packages of the applications");
        command.env("NODE_PATH", packages).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = collect(child.stdout.take().unwrap());
        let stderr = collect(child.stderr.take().unwrap());
        Self { stdin: child.stdin.take().unwrap(), child, stdout, stderr }
    }

    /// An application of `tests/peers/apps`, and where it listens.
    pub(crate) fn app(interpreter: &str, name: &str) -> (Self, SocketAddr) {
        Self::app_at(interpreter, name, 0)
    }

    /// The same, at this port.
    pub(crate) fn app_at(interpreter: &str, name: &str, port: u16) -> (Self, SocketAddr) {
        let program = Self::start(Command::new(interpreter).arg(file(name)).arg(port.to_string()));
        let addr = program.wait_for("listening on ").parse().unwrap();
        (program, addr)
    }

    /// Waits until it says this, in whichever way: what stands behind it on that line.
    #[track_caller]
    pub(crate) fn wait_for(&self, text: &str) -> String {
        let mut found = None;
        eventually(|| {
            let said = self.said();
            found = said.lines().find_map(|line| Some(line.split_once(text)?.1.to_owned()));
            found.is_some()
        });
        found.unwrap()
    }

    /// Everything that it has said.
    pub(crate) fn said(&self) -> String {
        format!("{}{}", self.stdout.lock().unwrap(), self.stderr.lock().unwrap())
    }

    /// Once it has ended, or is about to: the same, with what was still on its way.
    pub(crate) fn said_to_the_end(&mut self) -> String {
        self.child.wait().unwrap();
        // Who collects it has let go.
        eventually(|| [&self.stdout, &self.stderr].map(Arc::strong_count) == [1, 1]);
        self.said()
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Writes a line to its standard input.
    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
