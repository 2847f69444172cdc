//! Text made safe for where it is shown: logs and terminals, JSON, HTML, a shell.

use std::fmt::Write as _;

/// A value for people to read: control characters and those that change the direction of text are shown as a backslash and two digits, byte by
/// byte, as in names (RFC 4514, section 2.4).
pub(crate) fn visible(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    value.chars().for_each(|c| push_visible(c, &mut out));
    out
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
    let is_plain = |byte| matches!(byte, b' ' | b'!' | b'#'..=b'[' | b']'..=b'~');
    // Nearly every value of nearly every line.
    if value.len() <= most && value.bytes().all(is_plain) {
        return out.push_str(value);
    }
    for c in cut(value, most) {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        push_unicode(c, out);
    }
}

/// Text outside of quotation marks, cut likewise.
pub(crate) fn push_prose(value: &str, most: usize, out: &mut String) {
    cut(value, most).for_each(|c| push_unicode(c, out));
}

/// Text in HTML, or the value of an attribute in quotation marks.
pub(crate) fn html(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// One word of a POSIX shell.
#[cfg(feature = "cli")]
pub(crate) fn shell(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+,:@%=".contains(&byte);
    match !word.is_empty() && word.bytes().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

fn cut(value: &str, most: usize) -> impl Iterator<Item = char> {
    let is_longer = value.len() > most && value.chars().nth(most).is_some();
    value.chars().take(most).chain(is_longer.then_some('…'))
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
