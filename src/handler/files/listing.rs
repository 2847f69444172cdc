//! The list of what is in a folder, as a page.

use std::fmt::Write as _;
use std::time::SystemTime;

use http::StatusCode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use super::beneath::{Failure, Folder, Found, Root};
use crate::clock::timestamp;
use crate::escape::{self, visible};
use crate::handler::{Response, pages};
use crate::http1::normal_path;

/// A list has at most this many names. Each is opened to see what it is.
const MOST_NAMES: usize = 10_000;

/// The page for a folder, whose path with its slash is `place` in the root, and `path` in requests. Only what can be opened is on it.
pub(super) fn listing(
    root: &Root,
    folder: &Folder,
    place: &[u8],
    path: &str,
    may_show: impl Fn(&[u8]) -> bool,
) -> Result<Response, Failure> {
    let (names, is_cut) = folder.names(MOST_NAMES, |name| may_show(name) && can_be_asked_for(name))?;
    let mut entries = Vec::with_capacity(names.len());
    for name in names {
        match root.find(&[place, &name].concat()) {
            Ok(found) => entries.push(Entry::of(name, &found)),
            // A link that leads out, what may not be read, or what is gone by now.
            Err(Failure::Nothing) => {}
            Err(failure) => return Err(failure),
        }
    }
    entries.sort_unstable_by(|a, b| (a.length.is_some(), &a.name).cmp(&(b.length.is_some(), &b.name)));
    Ok(pages::html(StatusCode::OK, page(path, !place.is_empty(), &entries, is_cut)))
}

/// A name that no request could ask for would be a link that leads to a 400.
fn can_be_asked_for(name: &[u8]) -> bool {
    normal_path(&format!("/{}", encoded(name))).is_ok()
}

struct Entry {
    name: Vec<u8>,
    /// `None`: a folder.
    length: Option<u64>,
    modified: Option<SystemTime>,
}

impl Entry {
    fn of(name: Vec<u8>, found: &Found) -> Self {
        let (file, is_file) = match found {
            Found::File(file) => (file, true),
            Found::Folder(Folder(file)) => (file, false),
        };
        let metadata = file.metadata().ok();
        Self {
            name,
            length: is_file.then(|| metadata.as_ref().map_or(0, |metadata| metadata.len())),
            modified: metadata.and_then(|metadata| metadata.modified().ok()),
        }
    }
}

fn page(path: &str, has_parent: bool, entries: &[Entry], is_cut: bool) -> String {
    let title = shown(&percent_decode_str(path).collect::<Vec<_>>());
    let mut rows = String::new();
    if has_parent {
        rows.push_str("<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n");
    }
    for Entry { name, length, modified } in entries {
        let slash = if length.is_none() { "/" } else { "" };
        let size = length.map(size).unwrap_or_default();
        let modified = modified.map(|time| timestamp(time)[..16].replace('T', " ")).unwrap_or_default();
        // A name with a colon would be taken for an address with a scheme, without the dot (RFC 3986, section 4.2). Writing to a
        // string cannot fail.
        let _ = writeln!(
            rows,
            "<tr><td><a href=\"./{}{slash}\">{}{slash}</a></td><td>{size}</td><td>{modified}</td></tr>",
            encoded(name),
            shown(name),
        );
    }
    let note = match (is_cut, entries.is_empty()) {
        (true, _) => format!("<p>There is more here: a list has {MOST_NAMES} names at most.</p>\n"),
        (false, true) => "<p>Nothing is here.</p>\n".to_owned(),
        (false, false) => String::new(),
    };
    let body = format!(
        "{note}<table>
<thead><tr><th scope=\"col\">Name</th><th scope=\"col\">Size</th><th scope=\"col\">Changed (UTC)</th></tr></thead>
<tbody>
{rows}</tbody>
</table>"
    );
    pages::styled_page(STYLE, "ok", &title, &body)
}

/// A name as HTML. What is not UTF-8 or would not be visible in it is shown otherwise; the link has the true name.
fn shown(name: &[u8]) -> String {
    escape::html(&visible(&String::from_utf8_lossy(name)))
}

/// A segment of a path. Everything but the unreserved characters is encoded (RFC 3986, section 2.3), which means the same.
fn encoded(name: &[u8]) -> String {
    percent_encode(name, RESERVED).to_string()
}

const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A length in bytes, as people read it: `999 B`, `1.0 kB`, `23 MB`.
fn size(length: u64) -> String {
    let mut unit = "B";
    let mut thousandths = length.saturating_mul(1000);
    for larger in ["kB", "MB", "GB", "TB", "PB"] {
        if thousandths < 1_000_000 {
            break;
        }
        unit = larger;
        thousandths /= 1000;
    }
    match (unit, thousandths / 1000) {
        ("B", bytes) => format!("{bytes} B"),
        (unit, whole @ 0..10) => format!("{whole}.{} {unit}", thousandths / 100 % 10),
        (unit, whole) => format!("{whole} {unit}"),
    }
}

const STYLE: &str = "main { max-width: 60rem; }
h1 { overflow-wrap: anywhere; }
table { width: 100%; border-collapse: collapse; margin: 1.5rem 0; }
th, td { padding: .35rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { font-weight: normal; opacity: .7; }
td:first-child { width: 100%; overflow-wrap: anywhere; }
td + td, th + th { padding-left: 1.5rem; white-space: nowrap; text-align: right; font-variant-numeric: tabular-nums; }
a { color: inherit; }
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        for (length, text) in [
            (0, "0 B"),
            (1, "1 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (1999, "1.9 kB"),
            (9999, "9.9 kB"),
            (10_000, "10 kB"),
            (999_999, "999 kB"),
            (1_000_000, "1.0 MB"),
            (5_300_000_000, "5.3 GB"),
            (42_000_000_000_000, "42 TB"),
            (u64::MAX, "18 PB"),
        ] {
            assert_eq!(size(length), text, "{length}");
        }
    }

    #[test]
    fn names_are_escaped_as_html_and_as_links() {
        let entry = |name: &[u8], length| Entry { name: name.to_owned(), length, modified: None };
        let entries = [
            entry(b"a<b>&\"'", None),
            entry(b"javascript:alert(1)", Some(1)),
            entry("é \u{202e}%?#\u{1}".as_bytes(), None),
        ];
        let page = page("/%3Cx%3E/", true, &entries, false);
        for expected in [
            "<title>/&lt;x&gt;/</title>",
            "<a href=\"./a%3Cb%3E%26%22%27/\">a&lt;b&gt;&amp;&quot;&#39;/</a>",
            "<a href=\"./javascript%3Aalert%281%29\">javascript:alert(1)</a>",
            "<a href=\"./%C3%A9%20%E2%80%AE%25%3F%23%01/\">é \\E2\\80\\AE%?#\\01/</a>",
            "<a href=\"../\">",
        ] {
            assert!(page.contains(expected), "{expected}: {page}");
        }
        assert!(!page.contains('\u{202e}') && !page.contains("<b>"));
    }

    #[test]
    fn a_name_that_every_request_would_be_refused_for_is_not_listed() {
        for name in ["a", "a b", "é", "a;b", "~", "a:b", "...", "a\u{85}"] {
            assert!(can_be_asked_for(name.as_bytes()), "{name}");
        }
        assert!(can_be_asked_for(b"\xff"));
        for name in ["a\\b", "a\nb", "\u{7f}", ";a", "..;a"] {
            assert!(!can_be_asked_for(name.as_bytes()), "{name}");
        }
    }
}
