//! Names of subjects and issuers: when two are one (RFC 5280, section 7.1). Pure, and knows no other file.

/// A name so written that two names are equal by RFC 5280, section 7.1, if and only if these bytes are.
///
/// Attributes have to be of the same types in the same order; within one relative name the order does not count. Values
/// that are strings are compared as their characters, of whatever kind of string: prepared by RFC 4518, so that letter
/// case and further blanks do not count. (Of its steps normalization, NFKC, is left out: a letter with an accent and the
/// same in two characters are different.) Values that are no strings are compared byte by byte.
///
/// `None`: this is no name. It is equal to nothing, itself included.
pub(crate) fn normal_form(name: &[u8]) -> Option<Box<[u8]>> {
    let mut form = Vec::with_capacity(name.len() * 2);
    for relative in relative_names(name)? {
        let mut attributes: Vec<_> = relative.iter().map(normal_attribute).collect();
        attributes.sort_unstable();
        push_number(attributes.len(), &mut form);
        attributes.iter().for_each(|attribute| push_counted(attribute, &mut form));
    }
    Some(form.into())
}

/// An attribute as it stands in a name.
struct RawAttribute<'n> {
    /// The inside of its object identifier.
    kind: &'n [u8],
    /// Its value, tag and length included.
    value: &'n [u8],
}

/// The attributes of each relative name (RFC 5280, section 4.1.2.4), in their order.
fn relative_names(name: &[u8]) -> Option<Vec<Vec<RawAttribute<'_>>>> {
    const SEQUENCE: u8 = 0x30;
    const SET: u8 = 0x31;
    const OBJECT_IDENTIFIER: u8 = 0x06;
    let all = whole(SEQUENCE, name)?;
    let relative = elements(all).map(|relative| {
        let attributes = elements(whole(SET, relative?)?).map(|attribute| {
            let (kind, value) = split(whole(SEQUENCE, attribute?)?)?;
            let is_one = split(value).is_some_and(|(_, rest)| rest.is_empty());
            is_one.then_some(RawAttribute { kind: whole(OBJECT_IDENTIFIER, kind)?, value })
        });
        attributes.collect::<Option<Vec<_>>>().filter(|attributes| !attributes.is_empty())
    });
    relative.collect()
}

fn normal_attribute(attribute: &RawAttribute<'_>) -> Vec<u8> {
    let mut form = Vec::new();
    push_counted(attribute.kind, &mut form);
    match text_of(attribute.value) {
        Some(text) => {
            form.push(b's');
            form.extend_from_slice(prepared(&text).as_bytes());
        }
        None => {
            form.push(b'#');
            form.extend_from_slice(attribute.value);
        }
    }
    form
}

/// With its length before it, so that nothing else has the same bytes.
fn push_counted(bytes: &[u8], form: &mut Vec<u8>) {
    push_number(bytes.len(), form);
    form.extend_from_slice(bytes);
}

fn push_number(number: usize, form: &mut Vec<u8>) {
    form.extend_from_slice(&(number as u64).to_be_bytes());
}

/// The characters of a value in DER, if it is a string of one of the kinds that X.509 knows.
fn text_of(value: &[u8]) -> Option<String> {
    let tag = *value.first()?;
    string(tag.into(), contents(value)?)
}

/// The characters of a string with this tag; `None` if it is none.
pub(crate) fn string(tag: u32, contents: &[u8]) -> Option<String> {
    const UTF8: u32 = 12;
    const NUMERIC: u32 = 18;
    const PRINTABLE: u32 = 19;
    const T61: u32 = 20;
    const IA5: u32 = 22;
    const VISIBLE: u32 = 26;
    const UNIVERSAL: u32 = 28;
    const BMP: u32 = 30;
    match tag {
        UTF8 => String::from_utf8(contents.to_vec()).ok(),
        NUMERIC | PRINTABLE | IA5 | VISIBLE => {
            contents.is_ascii().then(|| String::from_utf8_lossy(contents).into_owned())
        }
        // By the book a monster; in practice Latin 1.
        T61 => Some(contents.iter().map(|byte| char::from(*byte)).collect()),
        BMP if contents.len().is_multiple_of(2) => {
            let units = contents.chunks_exact(2).map(|unit| u16::from_be_bytes([unit[0], unit[1]]));
            char::decode_utf16(units).collect::<Result<_, _>>().ok()
        }
        UNIVERSAL if contents.len().is_multiple_of(4) => {
            let units = contents.chunks_exact(4).map(|unit| u32::from_be_bytes([unit[0], unit[1], unit[2], unit[3]]));
            units.map(char::from_u32).collect()
        }
        _ => None,
    }
}

/// RFC 4518, sections 2.2 (with case folding, as RFC 5280, section 7.1 wants) and 2.6.1.
fn prepared(text: &str) -> String {
    let mapped: String = text.chars().filter(|c| !is_dropped(*c)).flat_map(mapped).collect();
    let words: Vec<_> = mapped.split(' ').filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// A blank for each kind of blank, and letters without their case: `ẞ`, `ß`, `SS` and `ss` are one, and so are `Σ`, `σ`, `ς`.
fn mapped(c: char) -> impl Iterator<Item = char> {
    let c = if is_blank(c) { ' ' } else { c };
    // Folding is the lower case of the upper case, but for the dotless i, which is a letter of its own.
    let keep = (c == 'ı').then_some(c);
    let fold = c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    keep.into_iter().chain(fold.filter(move |_| keep.is_none()))
}

fn is_blank(c: char) -> bool {
    // White space of Unicode is the separators and these controls: TAB, LF, VT, FF, CR, NEL.
    c.is_whitespace()
}

/// What RFC 4518, section 2.2 maps to nothing.
fn is_dropped(c: char) -> bool {
    (c.is_control() && !is_blank(c))
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{6dd}' | '\u{70f}' | '\u{1806}' | '\u{180b}'..='\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2063}' | '\u{206a}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffc}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0001}' | '\u{e0020}'..='\u{e007f}')
}

/// The inside of an element with this tag that is all there is.
fn whole(tag: u8, der: &[u8]) -> Option<&[u8]> {
    let (element, rest) = split(der)?;
    (rest.is_empty() && element.first() == Some(&tag)).then(|| contents(element)).flatten()
}

/// The elements that stand one after the other; `None` for what is none, which is the last.
fn elements(mut der: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    std::iter::from_fn(move || {
        if der.is_empty() {
            return None;
        }
        let next = split(der);
        der = next.map_or(&[], |(_, rest)| rest);
        Some(next.map(|(element, _)| element))
    })
}

/// The first element, tag and length included, and what follows it.
fn split(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (header, length) = header(der)?;
    der.split_at_checked(header.checked_add(length)?)
}

fn contents(element: &[u8]) -> Option<&[u8]> {
    let (header, _) = header(element)?;
    element.get(header..)
}

/// How many bytes tag and length take, and the length (X.690, section 8.1), which is known and has at most 4 bytes.
fn header(der: &[u8]) -> Option<(usize, usize)> {
    const MORE: u8 = 0x80;
    const LONG_TAG: u8 = 0x1f;
    let first = *der.first()?;
    let tag = match first & LONG_TAG {
        LONG_TAG => 2 + der[1..].iter().position(|octet| octet & MORE == 0)?,
        _ => 1,
    };
    let (length, after) = der.get(tag..)?.split_first()?;
    match *length {
        short @ 0..=0x7f => Some((tag + 1, short.into())),
        long @ 0x81..=0x84 => {
            let octets = after.get(..usize::from(long - MORE))?;
            let length = octets.iter().fold(0, |length, octet| length << 8 | usize::from(*octet));
            Some((tag + 1 + octets.len(), length))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CN: &[u8] = &[0x55, 4, 3];
    const O: &[u8] = &[0x55, 4, 10];
    const UTF8: u8 = 12;
    const PRINTABLE: u8 = 19;

    type Value<'v> = (&'v [u8], u8, &'v [u8]);

    fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
        let length = u8::try_from(contents.len()).unwrap();
        let header = if length < 0x80 { vec![tag, length] } else { vec![tag, 0x81, length] };
        [&header, contents].concat()
    }

    fn name(relative: &[&[Value<'_>]]) -> Vec<u8> {
        let attribute =
            |(kind, tag, value): &Value<'_>| element(0x30, &[element(0x06, kind), element(*tag, value)].concat());
        let set = |set: &&[Value<'_>]| element(0x31, &set.iter().flat_map(attribute).collect::<Vec<_>>());
        element(0x30, &relative.iter().flat_map(set).collect::<Vec<_>>())
    }

    fn form(relative: &[&[Value<'_>]]) -> Box<[u8]> {
        normal_form(&name(relative)).unwrap()
    }

    fn common_name(text: &str) -> Box<[u8]> {
        form(&[&[(CN, UTF8, text.as_bytes())]])
    }

    #[test]
    fn the_kind_of_string_does_not_count() {
        let utf8 = common_name("Zoë");
        assert_eq!(form(&[&[(CN, 20, b"Zo\xeb")]]), utf8);
        assert_eq!(form(&[&[(CN, 28, b"\0\0\0Z\0\0\0o\0\0\0\xeb")]]), utf8);
        assert_eq!(form(&[&[(CN, 30, b"\0Z\0o\0\xeb")]]), utf8);
        for tag in [18, PRINTABLE, 22, 26] {
            assert_eq!(form(&[&[(CN, tag, b"Example CA")]]), common_name("Example CA"), "tag {tag}");
        }
    }

    #[test]
    fn letter_case_and_further_blanks_do_not_count() {
        let plain = common_name("Example CA");
        for same in [
            "EXAMPLE ca",
            "  Example   CA ",
            "Example\tCA",
            "Example\u{a0}CA",
            "Example \u{2003} CA",
            "Exam\u{ad}ple\u{200b} CA",
            "Example CA\0",
        ] {
            assert_eq!(common_name(same), plain, "{same:?}");
        }
        for other in ["ExampleCA", "Example CAs", "Example-CA", "Exámple CA"] {
            assert_ne!(common_name(other), plain, "{other:?}");
        }
        assert_eq!(common_name("STRASSE ΣΊΣΥΦΟΣ ﬁ"), common_name("straße Σίσυφος FI"));
        assert_eq!(common_name("ẞ"), common_name("ss"));
        assert_ne!(common_name("ı"), common_name("i"));
        assert_eq!(common_name(""), common_name("   "));
    }

    #[test]
    fn the_order_counts_but_not_within_a_relative_name() {
        let (cn, o): (Value<'_>, Value<'_>) = ((CN, UTF8, b"a"), (O, UTF8, b"b"));
        assert_eq!(form(&[&[cn, o]]), form(&[&[o, cn]]));
        let all = [form(&[&[cn], &[o]]), form(&[&[o], &[cn]]), form(&[&[cn, o]]), form(&[&[cn]]), form(&[])];
        for (at, one) in all.iter().enumerate() {
            assert!(all[at + 1..].iter().all(|other| other != one), "{at}");
        }
        assert_ne!(form(&[&[cn, cn, o]]), form(&[&[cn, o, o]]), "each as often");
    }

    #[test]
    fn no_value_runs_into_the_next() {
        let two = form(&[&[(CN, UTF8, b"a")], &[(O, UTF8, b"b")]]);
        for value in ["a+O=b", "a,O=b", "a\0O=b", "ab"] {
            assert_ne!(common_name(value), two, "{value:?}");
        }
        let split = |a: &str, b: &str| form(&[&[(CN, UTF8, a.as_bytes())], &[(CN, UTF8, b.as_bytes())]]);
        assert_ne!(split("ab", "c"), split("a", "bc"));
    }

    #[test]
    fn what_is_no_string_is_compared_byte_by_byte() {
        const BITS: u8 = 3;
        assert_eq!(form(&[&[(CN, BITS, b"\0A")]]), form(&[&[(CN, BITS, b"\0A")]]));
        assert_ne!(form(&[&[(CN, BITS, b"\0A")]]), form(&[&[(CN, BITS, b"\0a")]]));
        assert_ne!(form(&[&[(CN, 4, b"A")]]), common_name("A"));
        assert_ne!(form(&[&[(CN, 0x80 | UTF8, b"A")]]), common_name("A"), "of another class");
        // Marked as UTF-8, which it is not.
        assert_ne!(form(&[&[(CN, UTF8, b"\xff\x0a\x78")]]), common_name("#0c03ff0a78"));
        assert_ne!(form(&[&[(CN, UTF8, b"\xff")]]), form(&[&[(CN, 20, b"\xff")]]));
    }

    #[test]
    fn tags_and_lengths_are_read_however_long_they_are() {
        let tagged = |value: u8| element(0x30, &[element(0x06, CN), vec![0x1f, 0x81, 0x01, 0x01, value]].concat());
        let form = |value: u8| normal_form(&element(0x30, &element(0x31, &tagged(value)))).unwrap();
        assert!(form(1) == form(1) && form(1) != form(2));
        let long = "x".repeat(100);
        assert_eq!(common_name(&long), common_name(&long.to_uppercase()));
    }

    #[test]
    fn what_is_no_name_has_no_normal_form() {
        let good = name(&[&[(CN, UTF8, b"a")]]);
        for end in 0..good.len() {
            assert_eq!(normal_form(&good[..end]), None, "{end}");
        }
        assert_eq!(normal_form(&[good.clone(), vec![0]].concat()), None);
        for bad in [
            element(0x31, &[]),
            element(0x30, &element(0x31, &[])),
            element(0x30, &element(0x31, &element(0x30, &element(0x06, CN)))),
            element(0x30, &element(0x31, &element(0x30, &[element(0x06, CN), vec![0x1f, 0x81]].concat()))),
            vec![0x30, 0x80, 0, 0],
            vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            vec![0x30, 0x88, 0, 0, 0, 0, 0, 0, 0, 0],
        ] {
            assert_eq!(normal_form(&bad), None, "{bad:?}");
        }
        assert!(normal_form(&element(0x30, &[])).is_some_and(|form| form.is_empty()));
    }
}
