//! What header and trailer fields are made of (RFC 9110, sections 5.5 and 5.6).

use super::error::HttpError;

/// A character of a token. Methods, field names and codings are tokens.
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().copied().all(is_token_byte)
}

/// A byte that may stand in a field value: visible, space, tab, or opaque (0x80 and above).
pub(super) fn is_value_byte(byte: u8) -> bool {
    byte == b'\t' || byte >= b' ' && byte != 0x7f
}

/// The members of a list (RFC 9110, section 5.6.1).
pub(super) fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// `1*DIGIT` and nothing else: no sign, no list, no space, no other base. `None` also if it is too large.
pub(crate) fn number(value: &[u8]) -> Option<u64> {
    // 19 digits always fit a u64.
    let is_plain = !value.is_empty() && value.len() <= 19 && value.iter().all(u8::is_ascii_digit);
    is_plain.then(|| value.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

/// Checks the form of one field line, without its line end: a name, directly after it a colon, then a value.
pub(super) fn check_field_line(line: &[u8]) -> Result<(), HttpError> {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else {
        return Err(HttpError::bad("a field line without a colon"));
    };
    let (name, value) = line.split_at(colon);
    if line[0] == b' ' || line[0] == b'\t' {
        return Err(HttpError::bad("a folded field line"));
    }
    if name.last().is_some_and(|byte| *byte == b' ' || *byte == b'\t') {
        return Err(HttpError::bad("a space before the colon of a field"));
    }
    if !is_token(name) {
        return Err(HttpError::bad("a field name that is not a token"));
    }
    if !value.iter().copied().all(is_value_byte) {
        return Err(HttpError::bad("a control character in a field value"));
    }
    Ok(())
}
