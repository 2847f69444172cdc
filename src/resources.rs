//! How much memory the system lets this process have.

use rustix::process::{Resource, getrlimit};

/// The limit of this process's address space in bytes (`ulimit -v`). `None`: there is none.
pub(crate) fn address_space() -> Option<u64> {
    getrlimit(Resource::As).current
}

/// How much of it is left, in bytes. `None`: there is no limit, or it cannot be read how much is used.
pub(crate) fn address_space_left() -> Option<u64> {
    let limit = address_space()?;
    let used = proc_value(&std::fs::read_to_string("/proc/self/status").ok()?, "VmSize:")?;
    Some(limit.saturating_sub(used))
}

/// The value of a line like `VmSize:  12345 kB` in a file of /proc, in bytes.
pub(crate) fn proc_value(text: &str, name: &str) -> Option<u64> {
    let number = text.lines().find_map(|line| line.strip_prefix(name))?.trim().strip_suffix("kB")?;
    number.trim().parse::<u64>().ok()?.checked_mul(1024)
}
