//! How much memory the system lets this process have.

use rustix::process::{Resource, getrlimit};

/// What a thread takes beside its stack, in bytes.
const PER_THREAD: u64 = 64 * 1024;

/// The address space that the threads of a start leave to what the server takes when it serves.
pub(crate) const LEFT_AT_START: u64 = 2 * 1024 * 1024;

/// The same for threads that are started later, when some of that is taken.
pub(crate) const LEAST_LEFT: u64 = LEFT_AT_START / 2;

/// The limit of this process's address space in bytes (`ulimit -v`). `None`: there is none.
pub(crate) fn address_space() -> Option<u64> {
    getrlimit(Resource::As).current
}

/// How many threads with stacks of `stack` bytes have room in the address space, if `others` bytes of it are left. `None`: there
/// is no limit, or it cannot be read how much is used.
///
/// A thread that finds no memory when it has begun would end the process, without a reason.
pub(crate) fn room_for_threads(stack: usize, others: u64) -> Option<usize> {
    let each = (stack as u64).saturating_add(PER_THREAD);
    Some(usize::try_from(address_space_left()?.saturating_sub(others) / each).unwrap_or(usize::MAX))
}

/// How much of it is left, in bytes. `None`: there is no limit, or it cannot be read how much is used.
fn address_space_left() -> Option<u64> {
    let limit = address_space()?;
    let used = proc_value(&std::fs::read_to_string("/proc/self/status").ok()?, "VmSize:")?;
    Some(limit.saturating_sub(used))
}

/// The value of a line like `VmSize:  12345 kB` in a file of /proc, in bytes.
pub(crate) fn proc_value(text: &str, name: &str) -> Option<u64> {
    let number = text.lines().find_map(|line| line.strip_prefix(name))?.trim().strip_suffix("kB")?;
    number.trim().parse::<u64>().ok()?.checked_mul(1024)
}
