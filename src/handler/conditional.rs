//! Conditional requests: whether a client that has a version of a file needs this one (RFC 9110, sections 8.8 and 13). Pure: no
//! I/O, no clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// What tells one version of a file from another (section 8.8).
#[derive(Debug)]
pub(super) struct Validators {
    is_weak: bool,
    /// The entity tag, without its quotes.
    tag: String,
    /// In whole seconds. `None`: it cannot be said, or is in the future, which it must not be (section 8.8.2.1).
    last_modified: Option<SystemTime>,
}

/// What the preconditions of a GET or HEAD come to (section 13.2.2).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Precondition {
    /// The request is to be answered as if it had none.
    Holds,
    /// The client has this version: 304.
    NotModified,
    /// The client wants another version: 412.
    Failed,
}

impl Validators {
    /// Of a file of `length` bytes. `changed` is when anything of it changed last (`st_ctime`): unlike `modified`, a program
    /// cannot set it.
    pub(super) fn new(length: u64, modified: SystemTime, changed: SystemTime, now: SystemTime) -> Self {
        // A later change may bear the same time if the file changed just now: the clocks of file systems tick every few
        // milliseconds, or every two seconds. Until then the tag does not vouch for each byte (section 8.8.1).
        let is_weak = now.duration_since(changed).map_or(true, |age| age < COARSEST_TICK);
        let nanoseconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let seconds = modified.duration_since(UNIX_EPOCH).ok().map(|since| Duration::from_secs(since.as_secs()));
        Self {
            is_weak,
            // A version with a weak tag may not be the last with these times. `If-None-Match` takes a weak tag for the strong one
            // of the same value, so the values differ.
            tag: format!(
                "{length:x}-{:x}-{:x}{}",
                nanoseconds(modified),
                nanoseconds(changed),
                if is_weak { "-weak" } else { "" }
            ),
            last_modified: seconds.map(|seconds| UNIX_EPOCH + seconds).filter(|modified| *modified <= now),
        }
    }

    /// Those of a coding of the file: they differ from the file's own, even if all of the above is equal (section 8.8.3.3).
    pub(super) fn of_coding(mut self, coding: Option<&str>) -> Self {
        if let Some(coding) = coding {
            self.tag.push('-');
            self.tag.push_str(coding);
        }
        self
    }

    /// The fields `ETag` and `Last-Modified`.
    pub(super) fn write_to(&self, fields: &mut HeaderMap) {
        let tag = format!("{}\"{}\"", if self.is_weak { "W/" } else { "" }, self.tag);
        // Hexadecimal digits, the names of codings, and a date: always valid values.
        if let Ok(tag) = HeaderValue::try_from(tag) {
            fields.insert(header::ETAG, tag);
        }
        if let Some(modified) = self.last_modified
            && let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(modified))
        {
            fields.insert(header::LAST_MODIFIED, date);
        }
    }

    /// Evaluates the preconditions of a GET or HEAD, in the order of section 13.2.2.
    pub(super) fn evaluate(&self, fields: &HeaderMap) -> Precondition {
        match tags(fields, header::IF_MATCH) {
            Tags::Absent => {
                if self.changed_after(date(fields, header::IF_UNMODIFIED_SINCE)) == Some(true) {
                    return Precondition::Failed;
                }
            }
            Tags::Any => {}
            Tags::These(tags) if tags.iter().any(|tag| self.matches_strongly(tag)) => {}
            // Refused when in doubt.
            Tags::These(_) | Tags::Unreadable => return Precondition::Failed,
        }
        let is_known = match tags(fields, header::IF_NONE_MATCH) {
            Tags::Absent => self.changed_after(date(fields, header::IF_MODIFIED_SINCE)) == Some(false),
            Tags::Any => true,
            // The weak comparison (section 8.8.3.2).
            Tags::These(tags) => tags.iter().any(|tag| tag.opaque == self.tag.as_bytes()),
            // Then the file is sent, which is never wrong.
            Tags::Unreadable => false,
        };
        if is_known { Precondition::NotModified } else { Precondition::Holds }
    }

    /// Whether a range may be sent: what the client has of the file is of this version (`If-Range`, section 13.1.5). A date
    /// does not say so: a file may change twice in one second (section 8.8.2.2).
    pub(super) fn allow_range(&self, fields: &HeaderMap) -> bool {
        if !fields.contains_key(header::IF_RANGE) {
            return true;
        }
        let tag = sole(fields, header::IF_RANGE).and_then(|value| EntityTag::read(value.as_bytes()));
        tag.is_some_and(|(tag, rest)| rest.is_empty() && self.matches_strongly(&tag))
    }

    /// `None`: one of the dates is not known, so the field is ignored (sections 13.1.3 and 13.1.4).
    fn changed_after(&self, date: Option<SystemTime>) -> Option<bool> {
        Some(self.last_modified? > date?)
    }

    /// The strong comparison (section 8.8.3.2).
    fn matches_strongly(&self, tag: &EntityTag<'_>) -> bool {
        !self.is_weak && !tag.is_weak && tag.opaque == self.tag.as_bytes()
    }
}

/// The value of a field that is there once.
pub(super) fn sole(fields: &HeaderMap, name: HeaderName) -> Option<&HeaderValue> {
    let mut values = fields.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// Of file systems that are in use (FAT).
const COARSEST_TICK: Duration = Duration::from_secs(2);

/// A client may name at most this many entity tags.
const MOST_TAGS: usize = 64;

/// An entity tag as a client sends it (section 8.8.3).
struct EntityTag<'f> {
    is_weak: bool,
    opaque: &'f [u8],
}

impl<'f> EntityTag<'f> {
    /// Reads a tag at the front of `text`; returns what follows it too.
    fn read(text: &'f [u8]) -> Option<(Self, &'f [u8])> {
        // The W is case-sensitive.
        let (is_weak, quoted) = match text.strip_prefix(b"W/") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let rest = quoted.strip_prefix(b"\"")?;
        let (opaque, rest) = rest.split_at(rest.iter().position(|byte| *byte == b'"')?);
        let is_etagc = |byte: &u8| matches!(byte, 0x21 | 0x23..=0x7e | 0x80..);
        opaque.iter().all(is_etagc).then(|| (Self { is_weak, opaque }, &rest[1..]))
    }
}

/// What `If-Match` or `If-None-Match` names.
enum Tags<'f> {
    Absent,
    Any,
    These(Vec<EntityTag<'f>>),
    Unreadable,
}

fn tags(fields: &HeaderMap, name: HeaderName) -> Tags<'_> {
    if !fields.contains_key(&name) {
        return Tags::Absent;
    }
    if sole(fields, name.clone()).is_some_and(|value| value == "*") {
        return Tags::Any;
    }
    let mut tags = Vec::new();
    for line in fields.get_all(name) {
        if read_list(line.as_bytes(), &mut tags).is_none() {
            return Tags::Unreadable;
        }
    }
    if tags.is_empty() { Tags::Unreadable } else { Tags::These(tags) }
}

/// Adds the tags of a list, of which elements may be empty (section 5.6.1.2). `None`: it is not valid, or too long.
fn read_list<'f>(mut text: &'f [u8], tags: &mut Vec<EntityTag<'f>>) -> Option<()> {
    loop {
        text = text.trim_ascii_start();
        if let Some(rest) = text.strip_prefix(b",") {
            text = rest;
            continue;
        }
        if text.is_empty() {
            return Some(());
        }
        let (tag, rest) = EntityTag::read(text)?;
        let rest = rest.trim_ascii_start();
        if tags.len() == MOST_TAGS || !(rest.is_empty() || rest.starts_with(b",")) {
            return None;
        }
        tags.push(tag);
        text = rest;
    }
}

/// A date in one of its three forms (section 5.6.7). Anything else is ignored (sections 13.1.3 and 13.1.4).
fn date(fields: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(sole(fields, name)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The second of the example in section 5.6.7: Sun, 06 Nov 1994 08:49:37 GMT.
    fn at(seconds: i64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs((784_111_777 + seconds) as u64)
    }

    /// A file that was changed at `at(0)`, with this tag, as seen a day later.
    fn tagged(tag: &str, is_weak: bool) -> Validators {
        Validators { is_weak, tag: tag.to_owned(), last_modified: Some(at(0)) }
    }

    fn fields(lines: &[(HeaderName, &str)]) -> HeaderMap {
        let mut fields = HeaderMap::new();
        for (name, value) in lines {
            fields.append(name, HeaderValue::from_str(value).unwrap());
        }
        fields
    }

    fn evaluated(validators: &Validators, name: HeaderName, value: &str) -> Precondition {
        validators.evaluate(&fields(&[(name, value)]))
    }

    #[test]
    fn the_tag_changes_with_the_length_and_either_time() {
        let written = |length, modified, changed| {
            let mut fields = HeaderMap::new();
            Validators::new(length, modified, changed, at(86_400)).write_to(&mut fields);
            fields
        };
        let first = written(5, at(0), at(1));
        assert_eq!(first["last-modified"], "Sun, 06 Nov 1994 08:49:37 GMT");
        assert!(first["etag"].to_str().unwrap().starts_with("\"5-"), "{first:?}");
        let tick = Duration::from_nanos(1);
        for other in [written(6, at(0), at(1)), written(5, at(0) + tick, at(1)), written(5, at(0), at(1) + tick)] {
            assert_ne!(other["etag"], first["etag"]);
        }
    }

    #[test]
    fn the_tag_is_weak_while_the_file_may_change_again_under_the_same_time() {
        let seen = |now| Validators::new(5, at(-100), at(0), now);
        let is_weak = |now| seen(now).is_weak;
        assert!(is_weak(at(-5)), "the clock was set back");
        assert!(is_weak(at(0)));
        assert!(is_weak(at(2) - Duration::from_nanos(1)));
        assert!(!is_weak(at(2)));
        let weak = format!("W/\"{}\"", seen(at(1)).tag);
        assert_eq!(evaluated(&seen(at(1)), header::IF_NONE_MATCH, &weak), Precondition::NotModified);
        assert_eq!(
            evaluated(&seen(at(2)), header::IF_NONE_MATCH, &weak),
            Precondition::Holds,
            "it may have changed again"
        );
    }

    #[test]
    fn a_date_that_cannot_be_said_is_left_out() {
        let known = |modified| Validators::new(5, modified, at(0), at(10)).last_modified;
        assert_eq!(known(at(10) + Duration::from_millis(1)), Some(at(10)), "it is cut to the second");
        assert_eq!(known(at(11)), None, "the future");
        assert_eq!(known(UNIX_EPOCH - Duration::from_secs(1)), None);
    }

    /// Section 8.8.3.2: the table of comparisons.
    #[test]
    fn the_comparisons_of_the_rfc() {
        for (ours, theirs, strong, weak) in [
            (tagged("1", true), "W/\"1\"", false, true),
            (tagged("1", true), "W/\"2\"", false, false),
            (tagged("1", true), "\"1\"", false, true),
            (tagged("1", false), "\"1\"", true, true),
            (tagged("1", false), "W/\"1\"", false, true),
        ] {
            let holds = if strong { Precondition::Holds } else { Precondition::Failed };
            assert_eq!(evaluated(&ours, header::IF_MATCH, theirs), holds, "{theirs}");
            let known = if weak { Precondition::NotModified } else { Precondition::Holds };
            assert_eq!(evaluated(&ours, header::IF_NONE_MATCH, theirs), known, "{theirs}");
            assert_eq!(ours.allow_range(&fields(&[(header::IF_RANGE, theirs)])), strong, "{theirs}");
        }
    }

    /// Sections 13.1.1 and 13.1.2.
    #[test]
    fn the_lists_of_the_rfc() {
        let file = tagged("xyzzy", false);
        for (list, is_in) in [
            ("\"xyzzy\"", true),
            ("\"xyzzy\", \"r2d2xxxx\", \"c3piozzzz\"", true),
            ("\"r2d2xxxx\", \"c3piozzzz\"", false),
            ("W/\"r2d2xxxx\",W/\"c3piozzzz\",\"xyzzy\"", true),
            (",, \"a\"\t,\"xyzzy\" ,", true),
            ("\"a,b\", \"xyzzy\"", true),
            ("\"a,\"", false),
            ("*", true),
        ] {
            let (matches, known) = match is_in {
                true => (Precondition::Holds, Precondition::NotModified),
                false => (Precondition::Failed, Precondition::Holds),
            };
            assert_eq!(evaluated(&file, header::IF_MATCH, list), matches, "{list}");
            assert_eq!(evaluated(&file, header::IF_NONE_MATCH, list), known, "{list}");
        }
        let lines = fields(&[(header::IF_NONE_MATCH, "\"a\""), (header::IF_NONE_MATCH, "\"xyzzy\"")]);
        assert_eq!(file.evaluate(&lines), Precondition::NotModified);
    }

    #[test]
    fn a_list_that_is_not_valid_changes_nothing_and_matches_nothing() {
        let file = tagged("a", false);
        for list in [
            "",
            ",",
            "a",
            "\"a",
            "a\"",
            "w/\"a\"",
            "W/ \"a\"",
            "\"a\" \"b\"",
            "\"a\"b",
            "\"a\", b",
            "\"a\", *",
            "*, \"a\"",
            "\"a \"",
        ] {
            assert_eq!(evaluated(&file, header::IF_NONE_MATCH, list), Precondition::Holds, "{list:?}");
            assert_eq!(evaluated(&file, header::IF_MATCH, list), Precondition::Failed, "{list:?}");
        }
        let list = |others: usize| format!("{}\"a\"", "\"b\",".repeat(others));
        assert_eq!(evaluated(&file, header::IF_NONE_MATCH, &list(MOST_TAGS - 1)), Precondition::NotModified);
        assert_eq!(evaluated(&file, header::IF_NONE_MATCH, &list(MOST_TAGS)), Precondition::Holds);
    }

    /// Sections 13.1.3 and 13.1.4.
    #[test]
    fn dates_are_ignored_if_the_modification_date_is_not_known() {
        let file = Validators { last_modified: None, ..tagged("a", false) };
        for name in [header::IF_MODIFIED_SINCE, header::IF_UNMODIFIED_SINCE] {
            for date in ["Sun, 06 Nov 1994 08:49:37 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"] {
                assert_eq!(evaluated(&file, name.clone(), date), Precondition::Holds, "{name}: {date}");
            }
        }
    }

    #[test]
    fn dates_are_compared_to_the_second_and_in_three_forms() {
        let file = tagged("a", false);
        for (date, is_known) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", true),
            ("Sunday, 06-Nov-94 08:49:37 GMT", true),
            ("Sun Nov  6 08:49:37 1994", true),
            ("Sun, 06 Nov 1994 08:49:38 GMT", true),
            ("Sun, 06 Nov 1994 08:49:36 GMT", false),
        ] {
            let known = if is_known { Precondition::NotModified } else { Precondition::Holds };
            assert_eq!(evaluated(&file, header::IF_MODIFIED_SINCE, date), known, "{date}");
            let holds = if is_known { Precondition::Holds } else { Precondition::Failed };
            assert_eq!(evaluated(&file, header::IF_UNMODIFIED_SINCE, date), holds, "{date}");
        }
        for ignored in
            ["", "now", "1994-11-06T08:49:37Z", "Sun, 06 Nov 1994 08:49:37 GMT, x", "Sun, 06 Nov 1994 08:49:37 CET"]
        {
            assert_eq!(evaluated(&file, header::IF_MODIFIED_SINCE, ignored), Precondition::Holds, "{ignored:?}");
            assert_eq!(evaluated(&file, header::IF_UNMODIFIED_SINCE, ignored), Precondition::Holds, "{ignored:?}");
        }
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let twice = fields(&[(header::IF_MODIFIED_SINCE, date), (header::IF_MODIFIED_SINCE, date)]);
        assert_eq!(file.evaluate(&twice), Precondition::Holds);
    }

    /// Section 13.2.2.
    #[test]
    fn tags_come_before_dates_and_if_match_before_if_none_match() {
        let file = tagged("a", false);
        let (before, after) = ("Sun, 06 Nov 1994 08:49:36 GMT", "Sun, 06 Nov 1994 08:49:38 GMT");
        let holds = fields(&[(header::IF_MATCH, "\"a\""), (header::IF_UNMODIFIED_SINCE, before)]);
        assert_eq!(file.evaluate(&holds), Precondition::Holds);
        let changed = fields(&[(header::IF_NONE_MATCH, "\"b\""), (header::IF_MODIFIED_SINCE, after)]);
        assert_eq!(file.evaluate(&changed), Precondition::Holds);
        let both = fields(&[(header::IF_MATCH, "\"b\""), (header::IF_NONE_MATCH, "\"a\"")]);
        assert_eq!(file.evaluate(&both), Precondition::Failed);
    }

    #[test]
    fn a_range_is_for_the_very_version_or_not_at_all() {
        let file = tagged("a", false);
        assert!(file.allow_range(&HeaderMap::new()));
        assert!(file.allow_range(&fields(&[(header::IF_RANGE, "\"a\"")])));
        for other in ["\"b\"", "\"a\", \"a\"", "\"a\" ", "*", "", "Sun, 06 Nov 1994 08:49:37 GMT"] {
            assert!(!file.allow_range(&fields(&[(header::IF_RANGE, other)])), "{other:?}");
        }
        assert!(!file.allow_range(&fields(&[(header::IF_RANGE, "\"a\""), (header::IF_RANGE, "\"a\"")])));
    }
}
