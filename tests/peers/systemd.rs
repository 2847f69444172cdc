//! The units in `deploy/` as systemd's own tools see them, and sockets passed by one of them.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};

use crate::support::client::{TLS13, eventually, get};
use crate::support::command::{binary, collect, site};
use crate::support::files::TempDir;
use crate::support::pki::Ca;
use crate::support::tree::root;
use crate::tools::{sh, try_sh};

const UNITS: [&str; 2] = ["mtls-min.service", "mtls-min.socket"];

/// The units, with the program of this build in place of the installed one.
fn units() -> TempDir {
    let dir = TempDir::new();
    for name in UNITS {
        let unit = fs::read_to_string(root().join("deploy").join(name)).unwrap();
        assert!(!name.ends_with(".service") || unit.contains("\nExecStart=/usr/bin/mtls-min --ca"));
        dir.write(name, unit.replace("=/usr/bin/mtls-min ", &format!("={} ", binary().display())));
    }
    dir
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let dir = units();
    // The manual page comes with the package.
    let said = sh(dir.path(), &format!("systemd-analyze verify --man=no ./{} ./{}", UNITS[0], UNITS[1]));
    assert_eq!(said.trim(), "");
    // And would say so.
    dir.write("bad.service", "[Service]\nType=notify\nExecStart=/nowhere\nProtectSystems=yes\n");
    let (_, said) = try_sh(dir.path(), "systemd-analyze verify --man=no ./bad.service");
    assert!(said.contains("ProtectSystems") && said.contains("/nowhere"), "{said}");
}

#[test]
fn the_exposure_of_the_service_is_at_most_1_5() {
    let said = sh(units().path(), "systemd-analyze security --offline=true --no-pager ./mtls-min.service");
    let level =
        said.lines().find_map(|line| line.split_once("Overall exposure level for mtls-min.service: ")).unwrap().1;
    let level: f64 = level.split(' ').next().unwrap().parse().unwrap();
    assert!(level <= 1.5, "{said}");
}

/// `ExecStart` has the options of this build, whatever its variables are.
#[test]
fn the_command_line_of_the_service_is_taken() {
    let unit = fs::read_to_string(root().join("deploy/mtls-min.service")).unwrap();
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/bin/mtls-min")).unwrap();
    let certs = dir.path().join("certs").display().to_string();
    let here = start.replace("/etc/mtls-min", &certs);
    let commands =
        format!("CERT={certs}/server-crt.pem KEY={certs}/server-key.pem OPTIONS=; {} {here}", binary().display());
    let (_, said) = try_sh(dir.path(), &commands);
    // All but the list is there.
    assert!(said.contains("cannot read the file of revocation lists") && said.contains("crl.pem"), "{said}");
}

/// Each socket is passed when the first connection comes to either, and has the connections that have come meanwhile.
#[test]
fn systemd_socket_activate_passes_two_sockets_with_names() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let free: Vec<TcpListener> = (0..2).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let at: Vec<SocketAddr> = free.iter().map(|listener| listener.local_addr().unwrap()).collect();
    drop(free);
    let mut command = Command::new("systemd-socket-activate");
    for address in &at {
        command.args(["-l", &address.to_string()]);
    }
    command.args(["--fdname=https:other", binary().to_str().unwrap()]).current_dir(dir.path()).stdin(Stdio::null());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let said = collect(child.stderr.take().unwrap());
    eventually(|| said.lock().unwrap().matches("Listening on ").count() == 2);
    for address in &at {
        assert_eq!(get(*address, Some(&ca.client("alice")), &TLS13).unwrap().status, 200);
        eventually(|| said.lock().unwrap().contains(&format!("listening on {address}\n")));
    }
    // The process is the same.
    let status = Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(status.success());
    eventually(|| child.try_wait().unwrap().is_some());
    eventually(|| said.lock().unwrap().contains("stopped, every answer was finished"));
}

#[test]
fn the_hook_of_certbot_restarts_the_service_for_its_own_certificate_only() {
    let dir = TempDir::new();
    for name in ["bin", "live/ours", "live/other"] {
        fs::create_dir_all(dir.path().join(name)).unwrap();
    }
    let systemctl = dir.write("bin/systemctl", "#!/bin/sh\necho systemctl \"$@\"\n");
    fs::set_permissions(systemctl, fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["ours", "other"] {
        let archived = dir.write(&format!("{name}2.pem"), "");
        symlink(archived, dir.path().join("live").join(name).join("fullchain.pem")).unwrap();
    }
    symlink(dir.path().join("live/ours/fullchain.pem"), dir.path().join("server-crt.pem")).unwrap();
    let hook = root().join("deploy/certbot-hook.sh");
    let renewed = |lineage: &str| {
        let variables = format!("PATH=$PWD/bin:$PATH MTLS_MIN_CERTIFICATE=server-crt.pem {lineage}");
        try_sh(dir.path(), &format!("{variables} {}", hook.display()))
    };
    assert_eq!(renewed("RENEWED_LINEAGE=live/ours"), (true, "systemctl try-restart mtls-min.service\n".into()));
    assert_eq!(renewed("RENEWED_LINEAGE=live/other"), (true, String::new()));
    let (success, said) = renewed("RENEWED_LINEAGE=");
    assert!(!success && said.contains("RENEWED_LINEAGE is not set"), "{said}");
}
