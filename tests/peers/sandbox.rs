//! The sandbox beside the system: kernels without Landlock, as a filter of system calls makes one of this, and names of hosts.

use std::fs;
use std::path::Path;

use crate::support::client::{TLS13, get};
use crate::support::command::{Serving, binary, site};
use crate::support::pki::Ca;
use crate::support::upstream::{answering, ok};

/// Has the kernel answer `landlock_create_ruleset` with an error, and then executes the rest of the line.
const FILTER: &str = r#"
import ctypes, os, struct, sys
NO_NEW_PRIVS, SECCOMP, FILTER, LANDLOCK = 38, 22, 2, 444
ALLOW, ERROR = 0x7fff0000, 0x00050000 | int(sys.argv[1])
steps = [(0x20, 0, 0, 0), (0x15, 0, 1, LANDLOCK), (0x06, 0, 0, ERROR), (0x06, 0, 0, ALLOW)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
prctl = ctypes.CDLL(None, use_errno=True).prctl
assert prctl(NO_NEW_PRIVS, 1, 0, 0, 0) == 0
assert prctl(SECCOMP, FILTER, program, 0, 0) == 0, os.strerror(ctypes.get_errno())
os.execv(sys.argv[2], sys.argv[2:])
"#;

const ENOSYS: &str = "38";
const EOPNOTSUPP: &str = "95";
const EPERM: &str = "1";

#[test]
fn without_landlock_the_server_starts_and_says_why_there_is_no_sandbox() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    dir.write("filter.py", FILTER);
    let command = binary().display().to_string();
    for (errno, why) in [
        (ENOSYS, "not sandboxed: this kernel has no Landlock"),
        (EOPNOTSUPP, "not sandboxed: Landlock is switched off in this kernel"),
        // As some containers do.
        (EPERM, "not sandboxed: this kernel has no Landlock"),
    ] {
        let args = ["filter.py", errno, &command, "--listen", "127.0.0.1:0"];
        let serving = Serving::start(Path::new("python3"), dir.path(), &args);
        assert!(serving.stderr().contains(why), "{}", serving.stderr());
        assert_eq!(get(serving.addr, Some(&ca.client("alice")), &TLS13).unwrap().body, "hello world\n");
    }
}

/// The system's resolver reads files and loads libraries when it is first asked, which is under the sandbox.
#[test]
fn an_application_is_reached_by_a_name_that_the_system_resolves() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let hosts = fs::read_to_string("/etc/hosts").unwrap();
    let names = hosts.lines().filter_map(|line| line.strip_prefix("127.0.0.1")).flat_map(str::split_whitespace);
    let other = names.filter(|name| !name.starts_with("localhost")).next_back();
    let name = other.expect("a name of 127.0.0.1 other than localhost in /etc/hosts");
    let application = answering(|_| ok("by name"));
    let to = application.url.replace("127.0.0.1", name);
    assert!(to.contains(name), "{to}");
    let serving = Serving::start(&binary(), dir.path(), &["--forward", &to, "--listen", "127.0.0.1:0"]);
    assert!(serving.stderr().contains("sandboxed: it can read what is in "), "{}", serving.stderr());
    assert_eq!(get(serving.addr, Some(&ca.client("alice")), &TLS13).unwrap().body, "by name");
}
