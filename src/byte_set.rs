//! Which bytes may stand where: one look into a table for each.

/// A set of bytes.
#[derive(Clone, Copy)]
pub(crate) struct ByteSet([bool; 256]);

impl ByteSet {
    pub(crate) const EMPTY: Self = Self([false; 256]);

    /// `ALPHA` and `DIGIT` (RFC 5234, appendix B.1).
    pub(crate) const ALPHANUMERIC: Self = Self::EMPTY.with_all(b'0', b'9').with_all(b'A', b'Z').with_all(b'a', b'z');

    /// `SP` and `VCHAR` (RFC 5234, appendix B.1).
    pub(crate) const PRINTABLE: Self = Self::EMPTY.with_all(b' ', b'~');

    pub(crate) const fn with(self, bytes: &[u8]) -> Self {
        self.set(bytes, true)
    }

    pub(crate) const fn without(self, bytes: &[u8]) -> Self {
        self.set(bytes, false)
    }

    /// With all bytes from `first` to `last`.
    pub(crate) const fn with_all(mut self, first: u8, last: u8) -> Self {
        let mut at = first as usize;
        while at <= last as usize {
            self.0[at] = true;
            at += 1;
        }
        self
    }

    const fn set(mut self, bytes: &[u8], is_in: bool) -> Self {
        let mut at = 0;
        while at < bytes.len() {
            self.0[bytes[at] as usize] = is_in;
            at += 1;
        }
        self
    }

    pub(crate) fn contains(&self, byte: u8) -> bool {
        self.0[usize::from(byte)]
    }

    /// How many bytes of this set come first.
    pub(crate) fn run(&self, bytes: &[u8]) -> usize {
        let mut length = 0;
        // Eight at a time, with one question for all of them; then those that are left.
        while let Some(eight) = bytes[length..].first_chunk::<8>()
            && eight.iter().fold(true, |all, byte| all & self.contains(*byte))
        {
            length += 8;
        }
        while bytes.get(length).is_some_and(|byte| self.contains(*byte)) {
            length += 1;
        }
        length
    }

    pub(crate) fn contains_all(&self, bytes: &[u8]) -> bool {
        self.run(bytes) == bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_ends_before_the_first_byte_that_is_not_in_the_set() {
        for length in 0..40 {
            let mut bytes = vec![b'a'; length];
            assert_eq!(ByteSet::ALPHANUMERIC.run(&bytes), length);
            for at in (0..length).rev() {
                bytes[at] = b'-';
                assert_eq!(ByteSet::ALPHANUMERIC.run(&bytes), at);
                assert!(!ByteSet::ALPHANUMERIC.contains_all(&bytes));
            }
        }
    }
}
