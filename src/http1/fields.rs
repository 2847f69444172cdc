//! What header and trailer fields are made of (RFC 9110, sections 5.5 and 5.6).

use http::header::{HeaderMap, HeaderName};

use super::error::HttpError;
use crate::byte_set::ByteSet;

/// The characters of a token. Methods, field names and codings are tokens.
pub(super) const TOKEN: &ByteSet = &ByteSet::ALPHANUMERIC.with(b"!#$%&'*+-.^_`|~");

/// The bytes of a field value: visible, space, tab, or opaque (0x80 and above).
pub(super) const VALUE: &ByteSet = &ByteSet::EMPTY.with_all(b' ', 0xff).with(b"\t").without(b"\x7f");

/// The members of a list (RFC 9110, section 5.6.1).
pub(super) fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// The members of a list whose field may stand more than once (RFC 9110, section 5.3).
pub(crate) fn list<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> {
    headers.get_all(name).into_iter().flat_map(|value| members(value.as_bytes()))
}

/// `1*DIGIT` and nothing else: no sign, no list, no space, no other base. `None` also if it is too large.
pub(crate) fn number(value: &[u8]) -> Option<u64> {
    // 19 digits always fit a u64.
    let is_plain = !value.is_empty() && value.len() <= 19 && value.iter().all(u8::is_ascii_digit);
    is_plain.then(|| value.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

/// A field that may stand once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Sole<'v> {
    #[default]
    None,
    One(&'v [u8]),
    Several,
}

impl<'v> Sole<'v> {
    pub(super) fn add(&mut self, value: &'v [u8]) {
        *self = match self {
            Sole::None => Sole::One(value),
            Sole::One(_) | Sole::Several => Sole::Several,
        };
    }
}

/// Checks the form of one field line, without its line end: a name, directly after it a colon, then a value.
pub(super) fn check_field_line(line: &[u8]) -> Result<(), HttpError> {
    let (name, rest) = line.split_at(TOKEN.run(line));
    match rest.split_first() {
        Some((b':', value)) if !name.is_empty() && VALUE.contains_all(value) => Ok(()),
        _ => Err(HttpError::bad(what_is_wrong(line))),
    }
}

fn what_is_wrong(line: &[u8]) -> &'static str {
    let is_space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    match line.iter().position(|byte| *byte == b':').map(|colon| &line[..colon]) {
        None => "a field line without a colon",
        Some(_) if is_space(line.first()) => "a folded field line",
        Some(name) if is_space(name.last()) => "a space before the colon of a field",
        Some(name) if name.is_empty() || !TOKEN.contains_all(name) => "a field name that is not a token",
        Some(_) => "a control character in a field value",
    }
}
