//! The smallest build, made as the guide says, in an empty root directory, with little memory and few
//! descriptors.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::client::{TLS13, VERSIONS, eventually, get};
use crate::support::command::Serving;
use crate::support::files::TempDir;
use crate::support::pki::Ca;
use crate::tools::sh;

#[test]
fn the_smallest_build_serves_in_an_empty_root_with_little_memory_and_sheds() {
    let program = build();
    let size = std::fs::metadata(&program).unwrap().len();
    assert!(size < 3_600_000, "{size} bytes");
    let dir = TempDir::new();
    let ca = Ca::new("ca");
    std::fs::create_dir_all(dir.path().join("root/certs")).unwrap();
    dir.write("root/certs/ca.pem", ca.pem());
    let server = Ca::new("server CA").server();
    dir.write("root/certs/server-crt.pem", server.pem());
    dir.write("root/certs/server-key.pem", server.key_pem());
    sh(dir.path(), &format!("cp {} root/mtls-min", program.display()));
    // Kilobytes, and descriptors for 32 connections. A user who is not root becomes root in a name space.
    let limited = "ulimit -v 60000; ulimit -n 64; [ $(id -u) = 0 ] || become='unshare -r'\n";
    let script = dir.write("limited", format!("{limited}exec $become chroot root /mtls-min --listen 127.0.0.1:0\n"));
    let mut serving = Serving::start(Path::new("/bin/sh"), dir.path(), &[script.to_str().unwrap()]);
    let alice = ca.client("alice");
    for version in VERSIONS {
        assert_eq!(get(serving.addr, Some(&alice), version).unwrap().body, "hello world\n");
        assert_eq!(get(serving.addr, None, version).unwrap().status, 401);
    }
    let held: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(serving.addr).unwrap()).collect();
    assert_eq!(get(serving.addr, Some(&alice), &TLS13).unwrap().status, 200);
    eventually(|| serving.stderr().contains("closed, there are"));
    assert!(serving.stderr().contains("warning: only 64 files may be open"), "{}", serving.stderr());
    drop(held);
    serving.signal("TERM");
    assert_eq!(serving.exit_code(), Some(0), "{}", serving.stderr());
}

fn build() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut cargo = Command::new(env!("CARGO"));
    // RUSTFLAGS in the environment would replace those of the alias.
    cargo.args(["smallest", "--locked", "--quiet", "--target", &target]).current_dir(root).env_remove("RUSTFLAGS");
    cargo.env_remove("CARGO_ENCODED_RUSTFLAGS").env("CARGO_TARGET_DIR", root.join("target"));
    assert!(cargo.status().unwrap().success());
    root.join("target").join(target).join("smallest/mtls-min")
}
