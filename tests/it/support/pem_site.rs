//! A directory of certificates, and each place that reads PEM.

use std::error::Error as _;

use mtls_min::{Error, Server, ServerCertificate, Trust};

use crate::support::client::{TLS13, config, connect};
use crate::support::command::run;
use crate::support::crl::Crl;
use crate::support::files::TempDir;
use crate::support::pki::{Ca, Holder, pem};
use crate::support::words::in_words_of_the_command;

/// A chain of two for a client and for a server, and the CA with its list.
pub(crate) struct Site {
    pub(crate) ca: Ca,
    pub(crate) client: Holder,
    pub(crate) server: Holder,
    pub(crate) dir: TempDir,
}

/// The kinds of file that PEM is read from.
pub(crate) const FILES: [&str; 7] =
    ["--ca", "--intermediates", "--cert", "--key", "--crl", "--authorized-clients", "check"];

pub(crate) fn site() -> Site {
    let ca = Ca::new("ca");
    let between = ca.intermediate("between");
    let (client, server, dir) = (between.client("alice"), between.server(), TempDir::new());
    dir.write("ca.pem", ca.pem());
    dir.write("server-crt.pem", server.pem());
    dir.write("server-key.pem", server.key_pem());
    std::fs::create_dir(dir.path().join("clients")).unwrap();
    Site { ca, client, server, dir }
}

impl Site {
    /// Two good blocks. The second is the one that such a file is read for.
    pub(crate) fn blocks(&self, file: &str) -> (String, String) {
        let list = |number| Crl::number(number).pem(&self.ca);
        let two = |chain: &Holder| (pem(&chain.chain[0]), pem(&chain.chain[1]));
        match file {
            "--ca" => (Ca::new("other").pem(), self.ca.pem()),
            "--intermediates" => (self.ca.intermediate("one").pem(), self.ca.intermediate("two").pem()),
            "--crl" => (list(1), list(2)),
            "--cert" => two(&self.server),
            "--key" => (pem(&self.server.chain[0]), self.server.key_pem()),
            "--authorized-clients" | "check" => two(&self.client),
            _ => unreachable!("{file}"),
        }
    }

    /// Has a file with this content read: everything that is said about it, or how many of its blocks count.
    pub(crate) fn read(&self, file: &str, content: &[u8]) -> Result<usize, String> {
        let name = if file == "--authorized-clients" { "clients/f.pem" } else { "f.pem" };
        let path = self.dir.write(name, content);
        let path =
            |name: &str| if self.dir.path().join(name) == path { path.clone() } else { self.dir.path().join(name) };
        let trust = Trust::builder();
        match file {
            "--ca" => trust.pem_file(path("f.pem")).build().map(|trust| trust.entries().len()),
            "--intermediates" => {
                let trust = trust.pem_file(path("ca.pem")).intermediates_file(path("f.pem")).build();
                trust.map(|trust| trust.entries().len() - 1)
            }
            "--crl" => {
                let trust = trust.pem_file(path("ca.pem")).crl_file(path("f.pem")).build();
                // Of two lists the later one counts, if it was read.
                trust.map(|trust| trust.crls().next().unwrap().number().unwrap().parse().unwrap())
            }
            "--authorized-clients" => {
                trust.authorized_clients(path("clients")).build().map(|trust| trust.authorized_clients().unwrap())
            }
            "--cert" => {
                ServerCertificate::from_pem_files(path("f.pem"), path("server-key.pem")).map(|it| sent(it, &self.ca))
            }
            "--key" => {
                ServerCertificate::from_pem_files(path("server-crt.pem"), path("f.pem")).map(|it| sent(it, &self.ca))
            }
            _ => return self.check("f.pem"),
        }
        .map_err(|error| in_words_of_the_command(&in_full(&error)))
    }

    /// By `check`, which needs both certificates of the chain to authorise.
    pub(crate) fn check(&self, file: &str) -> Result<usize, String> {
        let output = run(self.dir.path(), &["check", "--ca", "ca.pem", file]);
        match output.status.code() {
            Some(0) => Ok(2),
            Some(1) => Ok(1),
            _ => Err(String::from_utf8(output.stderr).unwrap()),
        }
    }
}

pub(crate) fn in_full(error: &Error) -> String {
    let mut text = format!("{error}; {}", error.hint_text().unwrap_or_default());
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!("; {error}"));
        cause = error.source();
    }
    text
}

/// How many certificates a client is sent.
pub(crate) fn sent(certificate: ServerCertificate, ca: &Ca) -> usize {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let trust = Trust::builder().pem(ca.pem(), "ca").build().unwrap();
    let server = Server::builder(listener, certificate, trust).build().unwrap();
    let (addr, shutdown) = (server.local_addrs()[0], server.shutdown_handle());
    std::thread::scope(|scope| {
        let serving = scope.spawn(|| server.serve(|_: &mut mtls_min::Request<'_>| mtls_min::Response::new("".into())));
        let mut stream = connect(addr, config(None, &TLS13));
        stream.conn.complete_io(&mut stream.sock).unwrap();
        let sent = stream.conn.peer_certificates().unwrap().len();
        drop(stream);
        shutdown.shutdown();
        serving.join().unwrap().unwrap();
        sent
    })
}

pub(crate) fn lines(text: &str) -> usize {
    text.lines().count()
}
