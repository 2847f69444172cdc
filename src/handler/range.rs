//! Which part of a file a client wants (RFC 9110, section 14). Pure: no I/O, no clock.

use http::header::{self, HeaderMap};

use super::conditional::sole;
use crate::http1;

/// What is sent of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Selection {
    /// All of it.
    Whole,
    /// The bytes from `first` to `last`, both included.
    Part { first: u64, last: u64 },
    /// Nothing: there are no such bytes.
    Unsatisfiable,
}

/// Reads the field `Range` for a file of `length` bytes. A field that is not valid is ignored, as section 14.2 allows, and so is
/// one that asks for several ranges, and any of an empty file: all of it is sent then.
pub(super) fn select(fields: &HeaderMap, length: u64) -> Selection {
    let Some((first, last)) = sole(fields, header::RANGE).and_then(|value| specifier(value.as_bytes())) else {
        return Selection::Whole;
    };
    match (first, last) {
        _ if length == 0 => Selection::Whole,
        // The last bytes: at most all of them.
        (None, Some(0)) => Selection::Unsatisfiable,
        (None, Some(count)) => Selection::Part { first: length.saturating_sub(count), last: length - 1 },
        (Some(first), _) if first >= length => Selection::Unsatisfiable,
        (Some(first), last) => Selection::Part { first, last: last.map_or(length - 1, |last| last.min(length - 1)) },
        (None, None) => Selection::Whole,
    }
}

/// One range of bytes, `bytes=FIRST-LAST`, of which one number may be left out (section 14.1.2).
fn specifier(value: &[u8]) -> Option<(Option<u64>, Option<u64>)> {
    // The name of a unit may have any case (section 14.1).
    let (unit, range) = value.split_at_checked(6)?;
    if !unit.eq_ignore_ascii_case(b"bytes=") {
        return None;
    }
    let dash = range.iter().position(|byte| *byte == b'-')?;
    let (first, last) = (number(&range[..dash])?, number(&range[dash + 1..])?);
    match (first, last) {
        (None, None) => None,
        (Some(first), Some(last)) if last < first => None,
        range => Some(range),
    }
}

/// `None`: not a number of at most 19 digits. `Some(None)`: it is left out.
fn number(digits: &[u8]) -> Option<Option<u64>> {
    if digits.is_empty() { Some(None) } else { http1::number(digits).map(Some) }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn selected(range: &str, length: u64) -> Selection {
        let value = HeaderValue::from_str(range).unwrap();
        select(&HeaderMap::from_iter([(header::RANGE, value)]), length)
    }

    fn part(first: u64, last: u64) -> Selection {
        Selection::Part { first, last }
    }

    /// Section 14.1.2: a representation of 10,000 bytes.
    #[test]
    fn the_examples_of_the_rfc() {
        assert_eq!(selected("bytes=0-499", 10_000), part(0, 499));
        assert_eq!(selected("bytes=500-999", 10_000), part(500, 999));
        assert_eq!(selected("bytes=-500", 10_000), part(9_500, 9_999));
        assert_eq!(selected("bytes=9500-", 10_000), part(9_500, 9_999));
        assert_eq!(selected("bytes=0-0", 10_000), part(0, 0));
        assert_eq!(selected("bytes=-1", 10_000), part(9_999, 9_999));
        for several in ["bytes=0-0,-1", "bytes= 0-999, 4500-5499, -1000", "bytes=500-600,601-999"] {
            assert_eq!(selected(several, 10_000), Selection::Whole, "{several}");
        }
    }

    #[test]
    fn a_range_ends_with_the_file_and_does_not_begin_after_it() {
        assert_eq!(selected("bytes=0-9", 10), part(0, 9));
        assert_eq!(selected("bytes=0-10", 10), part(0, 9));
        assert_eq!(selected("bytes=9-", 10), part(9, 9));
        assert_eq!(selected("bytes=10-", 10), Selection::Unsatisfiable);
        assert_eq!(selected("bytes=10-20", 10), Selection::Unsatisfiable);
        assert_eq!(selected("bytes=-10", 10), part(0, 9));
        assert_eq!(selected("bytes=-11", 10), part(0, 9));
        assert_eq!(selected("bytes=-0", 10), Selection::Unsatisfiable);
        assert_eq!(selected("BYTES=1-1", 10), part(1, 1));
        for range in ["bytes=0-", "bytes=0-0", "bytes=-1", "bytes=-0"] {
            assert_eq!(selected(range, 0), Selection::Whole, "{range} of an empty file");
        }
    }

    #[test]
    fn a_number_has_at_most_19_digits() {
        assert_eq!(selected(&format!("bytes=1-{}", "9".repeat(19)), 10), part(1, 9));
        assert_eq!(selected(&format!("bytes=1-{}", "9".repeat(20)), 10), Selection::Whole);
        assert_eq!(
            selected(&format!("bytes=-{}", "9".repeat(19)), u64::MAX),
            part(u64::MAX - 9_999_999_999_999_999_999, u64::MAX - 1)
        );
    }

    #[test]
    fn what_is_not_a_range_is_ignored() {
        for range in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=1",
            "bytes=2-1",
            "bytes=a-b",
            "bytes=+1-2",
            "bytes=1--2",
            "bytes=-1-2",
            "bytes= 1-2",
            "bytes=1 -2",
            "bytes=1-2 ",
            "bytes=1-2,",
            "bytes =1-2",
            "lines=1-2",
            "bytes=0x1-2",
            "bytes:1-2",
        ] {
            assert_eq!(selected(range, 10), Selection::Whole, "{range:?}");
        }
        let mut twice = HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static("bytes=1-2"))]);
        assert_eq!(select(&twice, 10), part(1, 2));
        twice.append(header::RANGE, HeaderValue::from_static("bytes=1-2"));
        assert_eq!(select(&twice, 10), Selection::Whole);
        assert_eq!(select(&HeaderMap::new(), 10), Selection::Whole);
    }
}
