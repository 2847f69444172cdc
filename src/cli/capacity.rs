//! How many connections there may be: as many as the memory bears where nobody asks for a number, and files may be open.

use std::fs;
use std::path::Path;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::handler::forward::MOST_KEPT;
use crate::resources;

/// Bytes of memory that are reckoned for each connection: the most that a client can make it take, by holding back the end of
/// the longest chain. An idle connection takes 9 KiB.
const BYTES_PER_CONNECTION: u64 = 80 * 1024;

/// Connections may take one part in this many of the memory.
const SHARE_OF_MEMORY: u64 = 10;

/// The most connections by default; more would be a surprise.
const MOST: usize = 16_384;

/// The fewest connections by default, even where there is hardly any memory; fewer are of no use.
const LEAST: usize = 64;

/// Open files that are neither connections nor what these need.
const OTHERS: u64 = 32;

/// The fewest connections, even where hardly any file may be open.
const FEWEST: usize = 4;

/// How many connections the memory allows; used if no number is asked for.
pub(super) fn connections_borne() -> usize {
    connections(memory(Path::new("/")))
}

/// How many connections a limit of open files allows. Each is one. If its requests go to applications or to folders
/// (`has_behind`), it can hold another at the same time: a socket, or a file. Each of the `applications` keeps some sockets beside.
pub(super) fn connections_of_files(limit: Option<u64>, applications: usize, has_behind: bool) -> usize {
    let kept = (applications * MOST_KEPT) as u64;
    let each = if has_behind { 2 } else { 1 };
    let possible = limit.map_or(u64::MAX, |limit| limit.saturating_sub(OTHERS + kept) / each);
    usize::try_from(possible).unwrap_or(usize::MAX).max(FEWEST)
}

/// Raises the soft limit of open files to the hard limit and returns it. `None`: there is no limit.
pub(super) fn raise_open_files() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).map_or(current, |()| maximum)
}

fn connections(memory: Option<u64>) -> usize {
    let borne = memory.map_or(u64::MAX, |memory| memory / SHARE_OF_MEMORY / BYTES_PER_CONNECTION);
    usize::try_from(borne).unwrap_or(usize::MAX).clamp(LEAST, MOST)
}

/// The bytes of memory that this process may use: the smallest of the machine's memory, the limits of its control group
/// (version 2 or 1) and the groups above it, and its address space (`ulimit -v`). `None`: unknown. `root` is `/` except in
/// tests.
fn memory(root: &Path) -> Option<u64> {
    let machine =
        fs::read_to_string(root.join("proc/meminfo")).ok().and_then(|text| resources::proc_value(&text, "MemTotal:"));
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let of_groups = groups.lines().filter_map(|line| of_group(line, &root.join("sys/fs/cgroup")));
    of_groups.chain(machine).chain(resources::address_space()).min()
}

/// The smallest limit of a control group and of those above it. `line`: `0::/path` for version 2, `4:memory:/path` for
/// version 1. In a container the path may be that of the host, where only the group at the top can be seen.
fn of_group(line: &str, mounted: &Path) -> Option<u64> {
    let mut fields = line.splitn(3, ':');
    let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    let (top, file) = match controllers {
        "" => (mounted.to_owned(), "memory.max"),
        _ if controllers.split(',').any(|name| name == "memory") => (mounted.join("memory"), "memory.limit_in_bytes"),
        _ => return None,
    };
    // A limit may be the word `max`.
    let limit = |group: &Path| fs::read_to_string(top.join(group).join(file)).ok()?.trim().parse::<u64>().ok();
    Path::new(path.trim_start_matches('/')).ancestors().filter_map(limit).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIGABYTE: u64 = 1 << 30;

    #[test]
    fn connections_are_as_many_as_a_tenth_of_the_memory_bears_and_from_64_to_16384() {
        for (memory, expected) in [
            (None, 16_384),
            (Some(64 * GIGABYTE), 16_384),
            (Some(25 * GIGABYTE / 2), 16_384),
            (Some(25 * GIGABYTE / 2 - 1), 16_383),
            (Some(GIGABYTE), 1_310),
            (Some(64 << 20), 81),
            (Some(24_000 * 1024), 64),
            (Some(0), 64),
        ] {
            assert_eq!(connections(memory), expected, "{memory:?}");
        }
    }

    #[test]
    fn a_connection_is_one_open_file_or_two_if_something_stands_behind_the_gate() {
        for (limit, applications, has_behind, expected) in [
            (None, 0, false, usize::MAX),
            (None, 2, true, usize::MAX),
            (Some(1024), 0, false, 992),
            (Some(1024), 0, true, 496),
            (Some(1024), 1, true, 464),
            (Some(1024), 3, true, 400),
            (Some(105), 1, true, 4),
            (Some(106), 1, true, 5),
            (Some(0), 100, true, 4),
            (Some(0), 0, false, 4),
        ] {
            assert_eq!(connections_of_files(limit, applications, has_behind), expected, "{limit:?} {applications}");
        }
    }

    #[test]
    fn memory_is_that_of_the_machine_or_of_a_control_group_whichever_is_less() {
        let directory = std::env::temp_dir().join(format!("mtls-min-capacity-{}", std::process::id()));
        let write = |file: &str, text: &str| {
            let file = directory.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        write("proc/meminfo", "MemTotal:       4194304 kB\nMemFree:        1 kB\n");
        assert_eq!(memory(&directory), Some(4 * GIGABYTE));
        // Version 2: the limit is that of a group above, and `max` means that there is none.
        write("proc/self/cgroup", "0::/a/b\n");
        write("sys/fs/cgroup/a/b/memory.max", "max\n");
        assert_eq!(memory(&directory), Some(4 * GIGABYTE));
        write("sys/fs/cgroup/a/memory.max", "2147483648\n");
        assert_eq!(memory(&directory), Some(2 * GIGABYTE));
        // Version 1, in a container that does not see the path of the host.
        write("proc/self/cgroup", "4:cpu,memory:/on/the/host\n1:cpu:/\n");
        assert_eq!(memory(&directory), Some(4 * GIGABYTE));
        write("sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n");
        assert_eq!(memory(&directory), Some(GIGABYTE));
        write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(memory(&directory), Some(4 * GIGABYTE));
        fs::remove_dir_all(directory).unwrap();
    }
}
