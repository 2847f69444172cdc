//! Values by path prefix: of those that a path has, the longest comes first. A prefix is made of whole segments, so `/admin` is
//! `/admin` and everything below it, and not `/adminx`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::target::normal_path;

/// A prefix has at most this many bytes.
const LONGEST_PREFIX: usize = 1024;

/// Values by prefix.
#[derive(Debug, Clone)]
pub(crate) struct Prefixes<V> {
    /// By prefix without its last slash, so the key of `/` is empty.
    values: HashMap<String, V>,
    longest: usize,
}

impl<V> Default for Prefixes<V> {
    fn default() -> Self {
        Self { values: HashMap::new(), longest: 0 }
    }
}

impl<V> Prefixes<V> {
    /// The place of a prefix, as [`read_prefix`] returns it.
    pub(crate) fn entry(&mut self, prefix: &str) -> Entry<'_, String, V> {
        self.longest = self.longest.max(prefix.len());
        self.values.entry(prefix.to_owned())
    }

    pub(crate) fn get(&self, prefix: &str) -> Option<&V> {
        self.values.get(prefix)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.values.values()
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.values.values_mut()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The values of all prefixes that a normal path has, that of the longest first. `OPTIONS *` is about the server as a whole,
    /// so `*` has the prefix `/`.
    pub(crate) fn of<'v>(&'v self, path: &str) -> impl Iterator<Item = &'v V> {
        // Where `/` is the only prefix, or there is none, nothing is looked up.
        let only = if self.longest == 0 { self.values.values().next() } else { None };
        let whole = path.strip_suffix('/').unwrap_or(path);
        let first = (self.longest > 0).then_some(if whole == "*" { "" } else { whole });
        let prefixes = std::iter::successors(first, |prefix| Some(&prefix[..prefix.rfind('/')?]));
        let others =
            prefixes.filter(|prefix| prefix.len() <= self.longest).filter_map(|prefix| self.values.get(prefix));
        only.into_iter().chain(others)
    }
}

/// A prefix without its last slash. It has to be written in the form in which requests are compared, or it would never match.
pub(crate) fn read_prefix(text: &str) -> Result<&str, String> {
    if text.len() > LONGEST_PREFIX {
        return Err(format!("a path is longer than {LONGEST_PREFIX} bytes"));
    }
    if text.contains('*') {
        return Err(format!("{text:?} can never match: a path includes everything below it, and * is not a wildcard"));
    }
    match normal_path(text) {
        Ok(normal) if normal == text => Ok(text.strip_suffix('/').unwrap_or(text)),
        Ok(normal) => Err(format!("{text:?} can never match: requests are seen as {normal:?}")),
        Err(why) => Err(format!("{text:?} can never match: {why} is answered with 400")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefixes_of_a_path_come_from_the_longest_to_the_shortest() {
        let mut prefixes = Prefixes::default();
        for prefix in ["/", "/a", "/a/b/", "/a/b/c", "/%C3%A9"] {
            prefixes.entry(read_prefix(prefix).unwrap()).or_insert(prefix);
        }
        let of = |path| prefixes.of(path).copied().collect::<Vec<_>>().join(" ");
        for (path, expected) in [
            ("/", "/"),
            ("*", "/"),
            ("/x", "/"),
            ("/a", "/a /"),
            ("/a/", "/a /"),
            ("/ab", "/"),
            ("/a/b", "/a/b/ /a /"),
            ("/a/bc/d", "/a /"),
            ("/a/b/c/d/e/", "/a/b/c /a/b/ /a /"),
            ("/%C3%A9/x", "/%C3%A9 /"),
        ] {
            assert_eq!(of(path), expected, "{path}");
        }
        assert_eq!(Prefixes::<()>::default().of("/a/b").count(), 0);
    }

    #[test]
    fn a_prefix_that_no_request_has_is_refused() {
        for wrong in ["", "a", "//", "/a//b", "/../a", "/a?b", "/a#b", "/%61", "/a%2Fb", "/a b", "/é", "/a*"] {
            assert!(read_prefix(wrong).unwrap_err().contains("can never match"), "{wrong:?}");
        }
        let longest = format!("/{}", "a".repeat(LONGEST_PREFIX - 1));
        assert_eq!(read_prefix(&longest), Ok(&*longest));
        assert!(read_prefix(&format!("{longest}a")).is_err());
    }
}
