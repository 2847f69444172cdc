//! Bytes as hexadecimal digits.

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};

/// Two lower-case digits for each byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// The bytes that the digits stand for, in lower or upper case. `None`: it is not an even number of digits.
pub(crate) fn from_hex(digits: &str) -> Option<Vec<u8>> {
    HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_read_in_either_case_and_nothing_else_is() {
        assert_eq!(hex(&[0, 0x9a, 0xff]), "009aff");
        assert_eq!(from_hex("009aFf"), Some(vec![0, 0x9a, 0xff]));
        for wrong in ["0", "+1", "0x", "0g", " 0", "00 ", "é0"] {
            assert_eq!(from_hex(wrong), None, "{wrong}");
        }
    }
}
