//! What the system lets this process have: open files, and room for its memory.

use rustix::process::{Resource, getrlimit};

/// Raises the soft limit of open files to the hard limit and returns it: each connection needs one.
#[cfg(feature = "cli")]
pub(crate) fn raise_open_files() -> Option<u64> {
    use rustix::process::{Rlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).map_or(current, |()| maximum)
}

/// How many bytes of addresses this process may use (`ulimit -v`). `None`: there is no limit.
pub(crate) fn address_space() -> Option<u64> {
    getrlimit(Resource::As).current
}

/// How many of them are left. `None`: there is no limit, or nobody says.
pub(crate) fn address_space_left() -> Option<u64> {
    let limit = address_space()?;
    let taken = kilobytes(&std::fs::read_to_string("/proc/self/status").ok()?, "VmSize:")?;
    Some(limit.saturating_sub(taken))
}

/// What a line like `VmSize:  12345 kB` says, in bytes.
pub(crate) fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let number = text.lines().find_map(|line| line.strip_prefix(name))?.trim().strip_suffix("kB")?;
    number.trim().parse::<u64>().ok()?.checked_mul(1024)
}
