//! More than fits into memory, both ways.

use super::{Gate, Program};
use crate::support::files::TempDir;
use crate::tools::sh;

/// The most memory that the gate has had, in KiB.
fn peak(gate: &Gate) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gate.serving.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_hundred_megabytes_travel_both_ways_in_little_memory() {
    let (_app, addr) = Program::app("python3", "upload.py");
    let gate = Gate::start(TempDir::new(), &["--forward", &format!("http://{addr}"), "--max-body", "100"]);
    sh(
        gate.dir.path(),
        "head -c 104857600 /dev/urandom >file && head -c 1000000 file >small && (cat file; echo) >larger",
    );
    gate.curl("-T small $O/");
    assert_eq!(gate.curl("-w ' %{size_download}' -o /dev/null $O/1000000"), " 1000000");
    let before = peak(&gate);
    let sha256 = sh(gate.dir.path(), "sha256sum file");
    assert_eq!(gate.curl("-T file $O/"), sha256.split(' ').next().unwrap());
    assert_eq!(gate.curl("-w ' %{size_download}' -o /dev/null $O/100000000"), " 100000000");
    let after = peak(&gate);
    println!("{before} KiB after 1 MB each way, {after} KiB after 100 MB");
    assert!(after < before + 4096, "{before} KiB, {after} KiB");
    // One byte too many; curl may be cut off while it still sends.
    let (_, said) = gate.try_curl("-w '%{http_code}' -T larger $O/");
    assert!(said.contains("413"), "{said}");
}
