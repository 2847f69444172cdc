//! Names of subjects and issuers: how they are read, and when two are equal (RFC 5280, section 7.1).

use std::mem;

use super::der::{Element, NotDer, Reader, dotted, hexadecimal, tag};

/// The attribute types that have a short name: those of RFC 4514, section 3, and two that are widely used.
const SHORT_NAMES: [(&str, &str); 11] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.8", "ST"),
    ("2.5.4.7", "L"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("2.5.4.5", "serialNumber"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// One attribute of a name: `CN=client1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    oid: String,
    short_name: Option<&'static str>,
    value: String,
    is_text: bool,
}

impl Attribute {
    /// With the object identifier of its type, with dots.
    pub(crate) fn new(oid: String, value: Element<'_>) -> Self {
        match text_of(value) {
            Some(text) => Self::with_text(oid, text),
            None => Self { short_name: short_name(&oid), oid, value: hexadecimal(value.whole), is_text: false },
        }
    }

    pub(crate) fn with_text(oid: String, value: String) -> Self {
        Self { short_name: short_name(&oid), oid, value, is_text: true }
    }

    /// The object identifier of its type, with dots: `2.5.4.3`. (If a number in it has more than 128 bits, it is shown as
    /// `#` and hexadecimal digits.)
    pub fn oid(&self) -> &str {
        &self.oid
    }

    /// The short name of its type, if it is a common one: `CN`.
    pub fn short_name(&self) -> Option<&str> {
        self.short_name
    }

    /// The value, decoded to text from any type of string. It is unchanged, control characters included. A value that is not
    /// a string is shown as `#` and the hexadecimal digits of its DER (RFC 4514, section 2.4). A string may look like that
    /// too, so check [`is_text`](Self::is_text) before you compare it.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether the value is a string. If not, [`value`](Self::value) is for display only, and equals no text.
    pub fn is_text(&self) -> bool {
        self.is_text
    }

    /// The value, if it is a string.
    pub(crate) fn text(&self) -> Option<&str> {
        self.is_text.then_some(&*self.value)
    }
}

/// A form of a name that is the same for two names exactly if they are equal by RFC 5280, section 7.1.
///
/// Attributes have to have the same types in the same order; within one relative name the order does not matter. Strings of
/// any type are compared by their characters, prepared by RFC 4518, so letter case and extra spaces are ignored. (Its
/// normalization step, NFKC, is left out: an accented letter differs from the same letter written as two characters.) Values
/// that are not strings are compared byte by byte.
///
/// If a name begins with all relative names of another, its form begins with the form of the other.
///
/// `None`: this is not a valid name. It is equal to nothing, not even to itself.
pub(crate) fn normal_form(name: &[u8]) -> Option<Box<[u8]>> {
    read(name).map(|names| normal_form_of(&names))
}

/// Whether two names in DER are equal (RFC 5280, section 7.1).
pub(crate) fn is_same_name(one: &[u8], other: &[u8]) -> bool {
    normal_form(one).is_some_and(|one| normal_form(other) == Some(one))
}

/// The same for a name that was read.
pub(crate) fn normal_form_of(names: &[Vec<Attribute>]) -> Box<[u8]> {
    form(names, prepared)
}

/// A form of a name that is the same for two names exactly if their attributes have the same types and exactly the same
/// values. As in `normal_form`, the type of string does not matter, nor the order within one relative name.
pub(crate) fn exact_form_of(names: &[Vec<Attribute>]) -> Box<[u8]> {
    form(names, str::to_owned)
}

/// The attributes of each relative name of a name in DER (RFC 5280, section 4.1.2.4), in their order. `None`: this is not a
/// valid name.
pub(crate) fn read(name: &[u8]) -> Option<Vec<Vec<Attribute>>> {
    let names = Reader::of(name, tag::SEQUENCE).ok()?;
    names.all(|names| Reader::new(names.expect(tag::SET)?).one_or_more(attribute)).ok()
}

/// The object identifier of an attribute type by its short name, ignoring letter case (RFC 4512, section 2.5).
pub(crate) fn oid_of(short_name: &str) -> Option<&'static str> {
    SHORT_NAMES.iter().find(|(_, known)| known.eq_ignore_ascii_case(short_name)).map(|(oid, _)| *oid)
}

fn attribute(attributes: &mut Reader<'_>) -> Result<Attribute, NotDer> {
    attributes.sequence(|parts| {
        let kind = dotted(parts.object_identifier()?);
        Ok(Attribute::new(kind, parts.any()?))
    })
}

fn short_name(oid: &str) -> Option<&'static str> {
    SHORT_NAMES.iter().find(|(known, _)| *known == oid).map(|(_, name)| *name)
}

fn form(names: &[Vec<Attribute>], prepare: impl Fn(&str) -> String) -> Box<[u8]> {
    let mut form = Vec::new();
    for relative in names {
        let mut attributes: Vec<_> = relative
            .iter()
            .map(|attribute| {
                let value = attribute.text().map_or_else(|| attribute.value.clone(), &prepare);
                (&attribute.oid, attribute.is_text, value)
            })
            .collect();
        attributes.sort_unstable();
        push_number(attributes.len(), &mut form);
        for (oid, is_text, value) in attributes {
            push_counted(oid.as_bytes(), &mut form);
            form.push(is_text.into());
            push_counted(value.as_bytes(), &mut form);
        }
    }
    form.into()
}

/// The length comes first, so that no other values have the same bytes.
fn push_counted(bytes: &[u8], form: &mut Vec<u8>) {
    push_number(bytes.len(), form);
    form.extend_from_slice(bytes);
}

fn push_number(number: usize, form: &mut Vec<u8>) {
    form.extend_from_slice(&(number as u64).to_be_bytes());
}

/// The characters of a value, if it is a string of a type that X.509 knows.
fn text_of(value: Element<'_>) -> Option<String> {
    let content = value.content;
    match value.tag {
        tag::UTF8_STRING => String::from_utf8(content.to_vec()).ok(),
        tag::NUMERIC_STRING | tag::PRINTABLE_STRING | tag::IA5_STRING | tag::VISIBLE_STRING => {
            content.is_ascii().then(|| String::from_utf8_lossy(content).into_owned())
        }
        // T.61 by the standard; in practice Latin 1.
        tag::T61_STRING => Some(content.iter().map(|byte| char::from(*byte)).collect()),
        tag::BMP_STRING if content.len().is_multiple_of(2) => {
            let units = content.chunks_exact(2).map(|unit| u16::from_be_bytes([unit[0], unit[1]]));
            char::decode_utf16(units).collect::<Result<_, _>>().ok()
        }
        tag::UNIVERSAL_STRING if content.len().is_multiple_of(4) => {
            let units = content.chunks_exact(4).map(|unit| u32::from_be_bytes([unit[0], unit[1], unit[2], unit[3]]));
            units.map(char::from_u32).collect()
        }
        _ => None,
    }
}

/// RFC 4518, sections 2.2 (with case folding, as RFC 5280, section 7.1 requires) and 2.6.1.
fn prepared(text: &str) -> String {
    let mut prepared = String::with_capacity(text.len());
    let mut after_blank = false;
    for c in text.chars().filter(|c| !is_dropped(*c)) {
        // Every kind of space becomes a space, one between two words.
        if is_blank(c) {
            after_blank = !prepared.is_empty();
            continue;
        }
        if mem::take(&mut after_blank) {
            prepared.push(' ');
        }
        match c.is_ascii() {
            true => prepared.push(c.to_ascii_lowercase()),
            false => prepared.extend(folded(c)),
        }
    }
    prepared
}

/// Letters lose their case: `ẞ`, `ß`, `SS` and `ss` are equal, and so are `Σ`, `σ` and `ς`.
fn folded(c: char) -> impl Iterator<Item = char> {
    // Case folding is the lower case of the upper case, except for the dotless i, which is a letter of its own.
    let keep = (c == 'ı').then_some(c);
    let fold = c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    keep.into_iter().chain(fold.filter(move |_| keep.is_none()))
}

fn is_blank(c: char) -> bool {
    // White space of Unicode is the separators and these controls: TAB, LF, VT, FF, CR, NEL.
    c.is_whitespace()
}

/// The characters that RFC 4518, section 2.2 maps to nothing.
fn is_dropped(c: char) -> bool {
    (c.is_control() && !is_blank(c))
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{6dd}' | '\u{70f}' | '\u{1806}' | '\u{180b}'..='\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2063}' | '\u{206a}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffc}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0001}' | '\u{e0020}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use crate::x509::der::element;
    use crate::x509::distinguished_name::{exact_form_of, folded, is_blank, is_dropped, normal_form, prepared, read};
    use proptest::prelude::*;

    const CN: &[u8] = &[0x55, 4, 3];
    const O: &[u8] = &[0x55, 4, 10];
    const UTF8: u8 = 12;
    const PRINTABLE: u8 = 19;

    type Value<'v> = (&'v [u8], u8, &'v [u8]);

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

    /// The steps of RFC 4518, one after another.
    fn prepared_step_by_step(text: &str) -> String {
        let spaced = text.chars().filter(|c| !is_dropped(*c)).map(|c| if is_blank(c) { ' ' } else { c });
        let mapped: String = spaced.flat_map(folded).collect();
        mapped.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    }

    proptest! {
        #[test]
        fn text_is_prepared_as_by_the_steps_of_the_rfc(text in "[ \\t\\x00-\\x7f]{0,12}\\PC{0,4}[\u{a0}\u{ad}\u{2003}ßẞΣıİA ]{0,8}.{0,6}") {
            prop_assert_eq!(prepared(&text), prepared_step_by_step(&text));
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
    fn the_exact_form_minds_every_letter_but_not_the_kind_of_string() {
        let exact = |tag: u8, text: &str| exact_form_of(&read(&name(&[&[(CN, tag, text.as_bytes())]])).unwrap());
        assert_eq!(exact(UTF8, "Example CA"), exact(PRINTABLE, "Example CA"));
        for other in ["Example CA ", "Example ca", "Example  CA", "Example CA\0"] {
            assert_ne!(exact(UTF8, "Example CA"), exact(UTF8, other), "{other:?}");
        }
    }

    #[test]
    fn long_values_are_compared_as_short_ones() {
        let long = "x".repeat(100);
        assert_eq!(common_name(&long), common_name(&long.to_uppercase()));
    }

    /// Name constraints (section 4.2.1.10) compare the beginnings of names.
    #[test]
    fn a_name_below_another_begins_with_its_form() {
        let (cn, o): (Value<'_>, Value<'_>) = ((CN, UTF8, b"a"), (O, UTF8, b"Example"));
        let above = form(&[&[(O, PRINTABLE, b"EXAMPLE")]]);
        assert!(form(&[&[o], &[cn]]).starts_with(&above));
        assert!(form(&[&[o]]).starts_with(&form(&[])));
        for other in [form(&[&[cn], &[o]]), form(&[&[o, cn]]), form(&[&[(O, UTF8, b"Example 2")]])] {
            assert!(!other.starts_with(&above), "{other:?}");
        }
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
            element(0x30, &element(0x31, &element(0x30, &[element(0x06, CN), vec![0x1f, 0x81, 1, 0]].concat()))),
            element(0x30, &element(0x31, &element(0x30, &[element(0x06, &[0x55, 0x80, 4]), vec![12, 0]].concat()))),
            vec![0x30, 0x80, 0, 0],
            vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            vec![0x30, 0x88, 0, 0, 0, 0, 0, 0, 0, 0],
        ] {
            assert_eq!(normal_form(&bad), None, "{bad:?}");
        }
        assert!(normal_form(&element(0x30, &[])).is_some_and(|form| form.is_empty()));
    }
}
