//! docs/operate.md as a transcript: every block of commands in it is run, in its order, below a directory that stands for the
//! root of a machine. What this machine cannot run is listed here, with the reason, as it is in the document.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::support::client::eventually;
use crate::support::command::{Serving, binary};
use crate::support::files::TempDir;
use crate::tools::{sh, try_sh};

const LOG: &str = "var/log/mtls-min/mtls-min.log";

/// The first words of each block that is not run, and why.
const NOT_RUN: [(&str, &str); 7] = [
    ("deploy/package", "it builds the package; `deploy/package --check` is a step of .ci/run"),
    (
        "systemctl enable",
        "there is no systemd as process 1; tests/peers has systemd-socket-activate and systemd-analyze instead",
    ),
    ("apt-get install certbot", "it asks Let's Encrypt for a certificate"),
    ("deploy/image", "it needs a container engine; `deploy/image --check` runs the same root file system in .ci/run"),
    ("kubectl create namespace", "it needs a cluster"),
    ("kubectl -n mtls-min create configmap", "it needs a cluster"),
    ("systemd-analyze security", "there is no systemd as process 1; tests/peers runs the same offline"),
];

#[derive(Debug)]
struct Block {
    /// The comment before it.
    mark: String,
    commands: String,
}

/// The blocks of commands, each with the comment on the line before it.
fn blocks(document: &str) -> Vec<Block> {
    let lines: Vec<&str> = document.lines().collect();
    let starts = (0..lines.len()).filter(|at| lines[*at].trim_start() == "```sh");
    let block = |at: usize| {
        let indent = lines[at].len() - lines[at].trim_start().len();
        let body = lines[at + 1..].iter().take_while(|line| line.trim_start() != "```");
        let before = at.checked_sub(1).map_or("", |before| lines[before].trim());
        let mark = before.strip_prefix("<!-- ").and_then(|text| text.strip_suffix(" -->")).unwrap_or_default();
        let commands = body.map(|line| line.get(indent..).unwrap_or_default().to_owned() + "\n").collect();
        Block { mark: mark.to_owned(), commands }
    };
    starts.map(block).collect()
}

/// A directory that stands for a machine.
struct Machine {
    dir: TempDir,
    /// Where the server's ports are, as the document names them.
    https: Option<u16>,
    admin: Option<u16>,
}

impl Machine {
    fn new() -> Self {
        let dir = TempDir::new();
        for folder in
            ["bin", "srv", "etc/haproxy", "etc/logrotate.d", "etc/fail2ban/filter.d", "var/log/mtls-min", "var/backups"]
        {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        std::os::unix::fs::symlink(binary(), dir.path().join("bin/mtls-min")).unwrap();
        dir.write("bin/systemctl", "#!/bin/sh\necho \"$@\" >>systemctl-was-called\n");
        sh(dir.path(), "chmod 755 bin/systemctl");
        Self { dir, https: None, admin: None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name.trim_start_matches('/'))
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The commands, with the paths, names and ports of this machine.
    fn words(&self, commands: &str) -> String {
        let root = self.dir.path().display().to_string();
        let mut words = format!("\n{commands}");
        for (name, whole) in [
            ("deploy/", concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/").to_owned()),
            ("/srv", format!("{root}/srv")),
            ("/etc/", format!("{root}/etc/")),
            ("/var/", format!("{root}/var/")),
            ("/usr/local/", format!("{root}/usr/local/")),
        ] {
            for before in [" ", "=", ">", "\n"] {
                words = words.replace(&format!("{before}{name}"), &format!("{before}{whole}"));
            }
        }
        words = words.replace("0.0.0.0:8443", "127.0.0.1:0").replace("0.0.0.0:443", "127.0.0.1:0");
        words = words.replace("0.0.0.0:9090", "127.0.0.1:0").replace("192.0.2.10/32", "127.0.0.1/32");
        if let Some(port) = self.https {
            words = words.replace("curl ", &format!("curl -sS --connect-to example.org:443:127.0.0.1:{port} "));
        }
        if let Some(port) = self.admin {
            words = words.replace("127.0.0.1:9090", &format!("127.0.0.1:{port}"));
        }
        format!("export PATH={root}/bin:$PATH MTLS_MIN_CERTIFICATE={root}/etc/mtls-min/server-crt.pem\n{words}")
    }

    fn run(&self, commands: &str) -> String {
        sh(self.dir.path(), &format!("set -e; {}", self.words(commands)))
    }

    /// A server that goes on running.
    fn serve(&self, commands: &str) -> Serving {
        let script = self.words(&format!("exec {commands}").replacen("exec mtls-min", "exec bin/mtls-min", 1));
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &script]).current_dir(self.dir.path()).stdin(Stdio::null());
        let log = commands.contains("--log-file").then(|| self.path(LOG));
        Serving::spawn(command, log.as_deref())
    }

    /// With the files that the unit reads, and the admin port.
    fn serve_as_unit(&mut self) -> Serving {
        let serving = self.serve(
            "mtls-min --listen 127.0.0.1:0 --ca /etc/mtls-min/ca.pem --crl /etc/mtls-min/crl.pem \
             --cert /etc/mtls-min/server-crt.pem --key /etc/mtls-min/server-key.pem \
             --admin 127.0.0.1:0 --log-file /var/log/mtls-min/mtls-min.log",
        );
        self.https = Some(serving.addr.port());
        self.admin = Some(self.admin_port());
        serving
    }

    /// As the log says.
    fn admin_port(&self) -> u16 {
        let said = self.read(LOG);
        let line = said.lines().find_map(|line| line.split_once("admin port: http://127.0.0.1:"));
        line.and_then(|(_, port)| port.parse().ok()).unwrap_or_else(|| panic!("{said}"))
    }

    /// What a client of a CA's directory gets.
    fn ask_as(&self, ca: &str, client: &str) -> String {
        self.run(&format!(
            "curl --cacert /srv/ca/ca.pem --cert {ca}/{client}-crt.pem --key {ca}/{client}-key.pem https://example.org/"
        ))
    }
}

#[test]
fn every_command_of_the_document_is_run_or_listed() {
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operate.md")).unwrap();
    let mut machine = Machine::new();
    let mut left_out = NOT_RUN.to_vec();
    let mut unit: Option<Serving> = None;
    for block in blocks(&document) {
        let commands = block.commands.as_str();
        if let Some(reason) = block.mark.strip_prefix("not run: ") {
            let listed = left_out.iter().position(|(begins, why)| commands.starts_with(begins) && *why == reason);
            left_out.remove(listed.unwrap_or_else(|| panic!("not listed: {commands}{reason}")));
            continue;
        }
        before(commands, &mut machine, &mut unit);
        if block.mark == "serves" {
            let serving = machine.serve(commands);
            check_server(commands, &machine, serving);
        } else {
            let said = machine.run(commands);
            after(commands, &said, &machine);
            // As systemd would.
            if unit.is_some() && std::fs::remove_file(machine.path("systemctl-was-called")).is_ok() {
                drop(unit.take());
                std::fs::remove_file(machine.path(LOG)).unwrap();
                unit = Some(machine.serve_as_unit());
            }
        }
    }
    assert!(left_out.is_empty(), "no longer in the document: {left_out:?}");
}

/// What stands ready when an operator types this.
fn before(commands: &str, machine: &mut Machine, unit: &mut Option<Serving>) {
    if commands.starts_with("mtls-min check") {
        *unit = Some(machine.serve_as_unit());
    } else if commands.contains("renewal-hooks") {
        // certbot's layout.
        machine.run(
            "mkdir -p etc/letsencrypt/live/example.org etc/letsencrypt/archive/example.org
             mtls-min certs --dir /srv/ca server --host example.org first
             mtls-min certs --dir /srv/ca server --host example.org second
             for n in first:1 second:2; do
                 cp srv/ca/${n%:*}-crt.pem etc/letsencrypt/archive/example.org/fullchain${n#*:}.pem
                 install -m 600 srv/ca/${n%:*}-key.pem etc/letsencrypt/archive/example.org/privkey${n#*:}.pem
             done
             cd etc/letsencrypt/live/example.org
             ln -s ../../archive/example.org/fullchain1.pem fullchain.pem
             ln -s ../../archive/example.org/privkey1.pem privkey.pem",
        );
    } else if commands.starts_with("curl -sS http://127.0.0.1:9090/clients") {
        assert_eq!(machine.ask_as("/srv/ca", "alice"), "hello world\n");
        // Within a second after the new CA was put in place.
        eventually(|| machine.ask_as("/srv/ca-2", "alice") == "hello world\n");
    } else if commands.starts_with("mv /srv/ca ") {
        // Revoked since the backup, and known to the servers.
        machine.run("mtls-min certs --dir /srv/ca revoke alice\ncp /srv/ca/crl.pem /etc/mtls-min/crl.pem");
    } else if commands.contains("fail2ban-regex") {
        let stranger = "curl --cacert /srv/ca/ca.pem https://example.org/";
        assert_eq!(machine.run(stranger), "User is not authorized\n");
        eventually(|| machine.read(LOG).contains("no_certificate"));
    }
}

fn after(commands: &str, said: &str, machine: &Machine) {
    let has = |part: &str| assert!(said.contains(part), "{commands}{part:?} is not in {said}");
    if commands.contains("completions zsh") {
        assert!(machine.read("usr/local/share/man/man1/mtls-min.1").starts_with(".TH"));
    } else if commands.contains("certs --dir /srv/ca list") {
        has("alice");
    } else if commands.starts_with("mtls-min check") {
        has("authorised");
        has("hello world\n");
    } else if commands.contains("renewal-hooks") {
        assert_eq!(
            machine.read("etc/mtls-min/server-crt.pem"),
            machine.read("etc/letsencrypt/live/example.org/fullchain.pem")
        );
        assert!(machine.read("systemctl-was-called").contains("try-restart mtls-min.service"));
    } else if commands.contains("/srv/ca-2/ca.pem >") || commands.starts_with("install -m 644 /srv/ca-2/ca.pem") {
        let is_over = !commands.contains("cat");
        eventually(|| (machine.ask_as("/srv/ca", "alice") == "hello world\n") != is_over);
    } else if commands.starts_with("curl -sS http://127.0.0.1:9090/clients") {
        has("CN=alice");
        has("Example CA 2");
    } else if commands.contains("fail2ban-regex") {
        assert!(said.contains(" matched") && !said.contains(", 0 matched"), "{said}");
    } else if commands.contains("/readyz") {
        has("mtls_min_");
    }
    if commands.contains("tar --extract") {
        has("revoked");
    }
}

fn check_server(commands: &str, machine: &Machine, serving: Serving) {
    let port = serving.addr.port();
    let ask = format!(
        "curl -sS --connect-to example.org:443:127.0.0.1:{port} --cacert srv/ca/ca.pem --cert srv/ca/alice-crt.pem --key srv/ca/alice-key.pem"
    );
    if commands.contains("--proxy-protocol") {
        assert_eq!(sh(machine.dir.path(), &format!("{ask} --haproxy-protocol https://example.org/")), "hello world\n");
        assert!(!try_sh(machine.dir.path(), &format!("{ask} https://example.org/")).0);
        return;
    }
    assert_eq!(sh(machine.dir.path(), &format!("{ask} https://example.org/")), "hello world\n");
    // As certbot renews.
    let serial = || {
        sh(
            machine.dir.path(),
            &format!("openssl s_client -connect 127.0.0.1:{port} </dev/null 2>/dev/null | openssl x509 -noout -serial"),
        )
    };
    let first = serial();
    machine.run(
        "cd etc/letsencrypt/live/example.org
         ln -sf ../../archive/example.org/privkey2.pem privkey.pem
         ln -sf ../../archive/example.org/fullchain2.pem fullchain.pem",
    );
    eventually(|| serial() != first);
}
