//! Names as text (RFC 4514). A name that is shown can be read back.

use super::der::Reader;
use super::distinguished_name::{Attribute, oid_of};
use crate::escape::push_visible;
use crate::hex::from_hex;

/// A name as text, the last relative name first. Control characters and those that change the direction of text are escaped
/// too, so it is safe in a log or on a terminal.
pub(crate) fn write(names: &[Vec<Attribute>]) -> String {
    let mut out = String::new();
    for (number, relative) in names.iter().rev().enumerate() {
        for (position, attribute) in relative.iter().enumerate() {
            if position > 0 {
                out.push('+');
            } else if number > 0 {
                out.push(',');
            }
            out.push_str(attribute.short_name().unwrap_or(attribute.oid()));
            out.push('=');
            match attribute.text() {
                Some(text) => push_escaped(text, &mut out),
                None => out.push_str(attribute.value()),
            }
        }
    }
    out
}

/// Reads a name; the result is in the order of a certificate. The error says what is wrong.
pub(crate) fn parse(text: &str) -> Result<Vec<Vec<Attribute>>, String> {
    let relative = unescaped_parts(text, ',').into_iter().rev();
    relative.map(|relative| unescaped_parts(relative, '+').into_iter().map(parse_attribute).collect()).collect()
}

/// Splits at separators that are not escaped by a backslash.
fn unescaped_parts(text: &str, separator: char) -> Vec<&str> {
    let mut escaped = false;
    text.split(|c| {
        let is_separator = c == separator && !escaped;
        escaped = c == '\\' && !escaped;
        is_separator
    })
    .collect()
}

fn parse_attribute(text: &str) -> Result<Attribute, String> {
    let (kind, value) = text.split_once('=').ok_or_else(|| {
        format!(
            "{text:?} is not an attribute; a name is written as in CN=alice,O=Example, with \\, for a comma in a value"
        )
    })?;
    let oid = match oid_of(kind) {
        Some(oid) => oid.to_owned(),
        None if is_numeric_oid(kind) => kind.to_owned(),
        None if kind.trim() != kind => {
            return Err(format!(
                "there must be no space before or after the type in {text:?}; write the name as the start, the log and `check` show it \
                 (openssl shows it the other way round)"
            ));
        }
        None => {
            return Err(format!(
                "{kind:?} is not a known type of attribute; write its object identifier, for example 2.5.4.3"
            ));
        }
    };
    match value.strip_prefix('#') {
        Some(digits) => {
            let der = from_hex(digits).unwrap_or_default();
            let mut reader = Reader::new(&der);
            let value = reader.any().ok().filter(|_| reader.is_at_end()).ok_or_else(|| {
                format!("after # come the hexadecimal digits of a value in DER, but {digits:?} is not one; write \\# for the character #")
            })?;
            Ok(Attribute::new(oid, value))
        }
        None => Ok(Attribute::with_text(oid, unescaped(value)?)),
    }
}

/// RFC 4512, section 1.4.
fn is_numeric_oid(text: &str) -> bool {
    let is_number = |arc: &str| {
        !arc.is_empty() && arc.bytes().all(|byte| byte.is_ascii_digit()) && (arc == "0" || !arc.starts_with('0'))
    };
    text.contains('.') && text.split('.').all(is_number)
}

/// A value without its escapes (RFC 4514, section 2.4).
fn unescaped(value: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.chars();
    let mut ends_with_blank = false;
    while let Some(c) = rest.next() {
        match c {
            '\\' => bytes.push(escaped(&mut rest).ok_or_else(|| {
                format!("after a backslash comes the escaped character, or two hexadecimal digits: {value:?}")
            })?),
            '"' | ';' | '<' | '>' => return Err(format!("in a value, {c} is written \\{c}: {value:?}")),
            c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        ends_with_blank = c == ' ';
    }
    if value.starts_with(' ') || ends_with_blank {
        return Err(format!("a space at the beginning or the end of a value is written \\20: {value:?}"));
    }
    String::from_utf8(bytes).map_err(|_| format!("the escaped octets are not UTF-8: {value:?}"))
}

/// The character that is escaped, after the backslash.
fn escaped(rest: &mut std::str::Chars<'_>) -> Option<u8> {
    match rest.next()? {
        c @ (' ' | '"' | '#' | '+' | ',' | ';' | '<' | '=' | '>' | '\\') => u8::try_from(c).ok(),
        high => from_hex(&String::from_iter([high, rest.next()?]))?.pop(),
    }
}

fn push_escaped(value: &str, out: &mut String) {
    let last = value.chars().count().saturating_sub(1);
    for (position, c) in value.chars().enumerate() {
        let at_edge = (position == 0 && matches!(c, ' ' | '#')) || (position == last && c == ' ');
        if at_edge || matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=') {
            out.push('\\');
            out.push(c);
        } else {
            push_visible(c, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CN: &str = "2.5.4.3";
    const O: &str = "2.5.4.10";

    fn text(oid: &str, value: &str) -> Attribute {
        Attribute::with_text(oid.to_owned(), value.to_owned())
    }

    fn shown(pairs: &[(&str, &str)]) -> String {
        write(&pairs.iter().map(|(oid, value)| vec![text(oid, value)]).collect::<Vec<_>>())
    }

    #[test]
    fn a_value_cannot_pretend_to_be_another_attribute() {
        assert_eq!(shown(&[(O, "x,CN=admin"), (CN, "mallory")]), r"CN=mallory,O=x\,CN\=admin");
        assert_eq!(shown(&[(CN, "a+OU=b")]), r"CN=a\+OU\=b");
        assert_eq!(shown(&[(CN, " # ")]), r"CN=\ #\ ");
        assert_eq!(shown(&[(CN, "#x")]), r"CN=\#x");
    }

    #[test]
    fn what_would_mislead_a_reader_is_shown_as_bytes() {
        assert_eq!(shown(&[(CN, "a\nb\0c\u{1b}[31m")]), r"CN=a\0Ab\00c\1B[31m");
    }

    #[test]
    fn a_value_that_is_no_string_is_not_shown_as_one_that_looks_like_it() {
        let bits = Attribute::new(CN.to_owned(), Reader::new(b"\x03\x02\0A").any().unwrap());
        assert_eq!(write(&[vec![bits]]), "CN=#03020041");
        assert_eq!(write(&[vec![text(CN, "#03020041")]]), r"CN=\#03020041");
    }

    /// The examples of RFC 4514, section 4, and what else it allows.
    #[test]
    fn every_form_of_writing_a_name_is_read() {
        for (written, names) in [
            ("UID=jsmith,DC=example,DC=net", "DC=example|DC=net|UID=jsmith"),
            ("OU=Sales+CN=J.  Smith,DC=example", "DC=example|OU=Sales+CN=J.  Smith"),
            (r#"CN=James \"Jim\" Smith\, III"#, r#"CN=James \"Jim\" Smith\, III"#),
            (r"CN=Before\0dAfter", "CN=Before\rAfter"),
            (r"CN=Lu\C4\8Di\C4\87", "CN=Lučić"),
            ("1.3.6.1.4.1.1466.0=#04024869", "1.3.6.1.4.1.1466.0=#04024869"),
            ("cn=a,2.5.4.10=b", "O=b|CN=a"),
            ("CN=#0c0161", "CN=a"),
            (r"CN=\#0c0161", r"CN=\23\30c0161"),
            (r"CN=\20a\20", r"CN=\ a\ "),
            (r"CN=a\\,O=b", r"O=b|CN=a\5C"),
            ("CN=a=b", r"CN=a\=b"),
            ("CN=", "CN="),
        ] {
            let mut wanted: Vec<_> = names.split('|').map(|name| parse(name).unwrap().remove(0)).collect();
            if names.starts_with("DC=example|DC=net") {
                wanted[..2].reverse();
            }
            assert_eq!(parse(written).unwrap(), wanted, "{written}");
        }
        assert_eq!(parse(r"CN=x\,O\=y").unwrap(), [[text(CN, "x,O=y")]]);
        assert_eq!(parse("CN=x,O=y").unwrap(), [[text(O, "y")], [text(CN, "x")]]);
        assert_eq!(parse("O=y+CN=x").unwrap(), [[text(O, "y"), text(CN, "x")]]);
    }

    #[test]
    fn what_is_no_name_is_an_error_that_says_why() {
        for (written, why) in [
            ("alice", "not an attribute"),
            ("CN=a,", "not an attribute"),
            ("CN=a,b", "not an attribute"),
            ("CN=a, O=b", "no space"),
            ("CN =a", "no space"),
            ("CN= a", "\\20"),
            ("CN=a ,O=b", "\\20"),
            (r"CN=\41 ", "\\20"),
            ("CN= ", "\\20"),
            ("XX=a", "object identifier"),
            ("2.05.4=a", "object identifier"),
            ("25=a", "object identifier"),
            ("CN=a;O=b", "\\;"),
            ("CN=\"a\"", "\\\""),
            ("CN=<a>", "\\<"),
            ("CN=a\\", "backslash"),
            ("CN=\\4", "backslash"),
            ("CN=\\zz", "backslash"),
            ("CN=\\ff", "UTF-8"),
            ("CN=#", "DER"),
            ("CN=#0c", "DER"),
            ("CN=#0c01616", "DER"),
            ("CN=#0c016161", "DER"),
            ("CN=#xx", "DER"),
        ] {
            let error = parse(written).unwrap_err();
            assert!(error.contains(why), "{written}: {error}");
        }
    }

    fn any_attribute() -> impl Strategy<Value = Attribute> {
        let oid = prop::sample::select(vec![CN, O, "0.9.2342.19200300.100.1.25", "1.2.3"]);
        let value = prop_oneof![
            any::<String>().prop_map(|value| (value, None)),
            "[ #,+\\\\\"=;<>\0a]{0,6}".prop_map(|value| (value, None)),
            any::<[u8; 2]>().prop_map(|bits| (String::new(), Some([3, 2, bits[0], bits[1]]))),
        ];
        (oid, value).prop_map(|(oid, (value, bits))| match bits {
            Some(der) => Attribute::new(oid.to_owned(), Reader::new(&der).any().unwrap()),
            None => text(oid, &value),
        })
    }

    proptest! {
        #[test]
        fn what_is_shown_of_a_name_is_read_as_that_name(
            names in prop::collection::vec(prop::collection::vec(any_attribute(), 1..3), 1..4),
        ) {
            prop_assert_eq!(parse(&write(&names)).unwrap(), names);
        }

        #[test]
        fn no_text_is_too_odd_to_be_judged(text in "\\PC*|[CN=#,+\\\\0-9a-f ]*") {
            if let Ok(names) = parse(&text) {
                prop_assert_eq!(parse(&write(&names)).unwrap(), names);
            }
        }
    }
}
