//! Text made safe for where it is shown: logs and terminals, JSON, HTML, a shell.

use std::fmt::Write as _;

use crate::byte_set::ByteSet;

/// A value for people to read: control characters and those that change the direction of text are shown as a backslash and two digits, byte by
/// byte, as in names (RFC 4514, section 2.4).
pub(crate) fn visible(value: &str) -> String {
    replaced(value, PRINTABLE, push_visible)
}

/// The same for one character.
pub(crate) fn push_visible(c: char, out: &mut String) {
    if is_deceptive(c) {
        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
            // Writing to a string cannot fail; the same below.
            let _ = write!(out, "\\{byte:02X}");
        }
    } else {
        out.push(c);
    }
}

/// A JSON string (RFC 8259, section 7), in which deceptive characters are escaped too.
#[cfg(feature = "cli")]
pub(crate) fn json(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    push_json(value, usize::MAX, &mut out);
    out.push('"');
    out
}

/// What stands between the quotation marks of a JSON string, and of a value in a line of text. After `most` characters it is
/// cut, and ends with an ellipsis.
pub(crate) fn push_json(value: &str, most: usize, out: &mut String) {
    let (kept, ellipsis) = cut(value, most);
    push_replacing(kept, IN_QUOTES, out, |c, out| {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        push_unicode(c, out);
    });
    out.push_str(ellipsis);
}

/// Text outside of quotation marks, cut likewise.
pub(crate) fn push_prose(value: &str, most: usize, out: &mut String) {
    let (kept, ellipsis) = cut(value, most);
    push_replacing(kept, PRINTABLE, out, push_unicode);
    out.push_str(ellipsis);
}

/// Text in HTML, or the value of an attribute in quotation marks.
pub(crate) fn html(value: &str) -> String {
    replaced(value, IN_HTML, |c, out| match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&#39;"),
        c => out.push(c),
    })
}

/// One word of a POSIX shell.
#[cfg(feature = "cli")]
pub(crate) fn shell(word: &str) -> String {
    const PLAIN: &ByteSet = &ByteSet::ALPHANUMERIC.with(b"/._-+,:@%=");
    match !word.is_empty() && PLAIN.contains_all(word.as_bytes()) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// Characters that stay as they are; all of them are ASCII.
const PRINTABLE: &ByteSet = &ByteSet::PRINTABLE;
const IN_QUOTES: &ByteSet = &ByteSet::PRINTABLE.without(b"\"\\");
const IN_HTML: &ByteSet = &ByteSet::PRINTABLE.without(b"&<>\"'");

fn replaced(value: &str, plain: &ByteSet, replace: impl Fn(char, &mut String)) -> String {
    let mut out = String::with_capacity(value.len());
    push_replacing(value, plain, &mut out, replace);
    out
}

/// Copies what is plain, in runs, and asks `replace` to write each other character.
fn push_replacing(value: &str, plain: &ByteSet, out: &mut String, replace: impl Fn(char, &mut String)) {
    let mut rest = value;
    loop {
        // Plain bytes are ASCII, so a character begins behind them.
        let (copied, other) = rest.split_at(plain.run(rest.as_bytes()));
        out.push_str(copied);
        let mut others = other.chars();
        let Some(c) = others.next() else { return };
        replace(c, out);
        rest = others.as_str();
    }
}

/// A value up to the limit, and an ellipsis if it is longer.
fn cut(value: &str, most: usize) -> (&str, &'static str) {
    let end = if value.len() > most { value.char_indices().nth(most) } else { None };
    end.map_or((value, ""), |(at, _)| (&value[..at], "…"))
}

/// A deceptive character as `\u` and four digits (RFC 8259, section 7), any other as it is.
fn push_unicode(c: char, out: &mut String) {
    if is_deceptive(c) {
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    } else {
        out.push(c);
    }
}

/// Whether a character, shown as it is, could control a terminal or make the text around it look like another text.
fn is_deceptive(c: char) -> bool {
    c.is_control() || is_misleading(c)
}

/// Characters that cannot be seen, or that make the text around them look like another: line and paragraph separators,
/// directions, joiners, the byte order mark, tags.
fn is_misleading(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whether a character is copied with others or alone makes no difference.
        #[test]
        fn a_value_is_escaped_as_its_characters_are(value in "(?s).{0,20}|[ -~\u{a0}-\u{ff}]{0,20}", most in 0..25_usize) {
            let kept: Vec<char> = value.chars().take(most).collect();
            let ellipsis = if value.chars().count() > most { "…" } else { "" };
            let joined = |escape: fn(&mut String, char)| {
                kept.iter().fold(String::new(), |mut out, c| { escape(&mut out, *c); out }) + ellipsis
            };
            let mut json = String::from("a");
            push_json(&value, most, &mut json);
            let in_quotes = |out: &mut String, c| {
                out.push_str(if matches!(c, '"' | '\\') { "\\" } else { "" });
                push_unicode(c, out);
            };
            prop_assert_eq!(json, "a".to_owned() + &joined(in_quotes));
            let mut prose = String::from("a");
            push_prose(&value, most, &mut prose);
            prop_assert_eq!(prose, "a".to_owned() + &joined(|out, c| push_unicode(c, out)));
            prop_assert_eq!(visible(&value), value.chars().fold(String::new(), |mut out, c| { push_visible(c, &mut out); out }));
            prop_assert_eq!(html(&value), value.chars().map(|c| match c {
                '&' => "&amp;".to_owned(),
                '<' => "&lt;".to_owned(),
                '>' => "&gt;".to_owned(),
                '"' => "&quot;".to_owned(),
                '\'' => "&#39;".to_owned(),
                c => c.to_string(),
            }).collect::<String>());
        }
    }

    #[test]
    fn what_would_mislead_a_reader_is_shown_as_bytes() {
        assert_eq!(visible("abc\u{202e}fdp.exe"), r"abc\E2\80\AEfdp.exe");
        assert_eq!(visible("Zoë Müller"), "Zoë Müller");
    }

    #[test]
    fn values_cannot_break_out_of_the_page() {
        assert_eq!(html("<script>'\"&"), "&lt;script&gt;&#39;&quot;&amp;");
    }

    #[test]
    #[cfg(feature = "cli")]
    fn a_word_of_the_shell_is_one_word() {
        assert_eq!(shell("certs/ca.pem"), "certs/ca.pem");
        assert_eq!(shell(""), "''");
        assert_eq!(shell("it's $HOME"), r"'it'\''s $HOME'");
    }
}
