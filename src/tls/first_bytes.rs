//! The first bytes of a client, to recognise plain HTTP, the header of a balancer, and old versions of TLS.

use crate::http1::is_head_request;

/// The first bytes of a connection.
#[derive(Debug, Default)]
pub(crate) struct FirstBytes {
    bytes: [u8; 11],
    len: usize,
}

impl FirstBytes {
    /// Keeps those of the bytes that are among the first.
    pub(crate) fn note(&mut self, came: &[u8]) {
        let copied = came.len().min(self.bytes.len() - self.len);
        self.bytes[self.len..self.len + copied].copy_from_slice(&came[..copied]);
        self.len += copied;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether this looks like a request line: a method in upper case, then a space. TLS starts with the byte 22.
    pub(crate) fn is_plain_http(&self) -> bool {
        let method = self.bytes[..self.len].split(|byte| *byte == b' ').next().unwrap_or_default();
        !method.is_empty() && method.iter().all(u8::is_ascii_uppercase)
    }

    /// Whether this looks like the header of a balancer (PROXY protocol), of version 1 or 2. No target of a request begins so.
    pub(crate) fn is_proxy_header(&self) -> bool {
        const BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT";
        let bytes = &self.bytes[..self.len];
        let is_binary = bytes.len() >= 5 && BINARY.starts_with(bytes);
        is_binary || [b"PROXY TCP", b"PROXY UNK"].iter().any(|line| bytes.len() > 6 && is_beginning(bytes, *line))
    }

    /// Whether the answer is to have a body: not to HEAD, nor when the bytes may still become HEAD.
    pub(crate) fn wants_content(&self) -> bool {
        is_head_request(&self.bytes[..self.len]) == Some(false)
    }

    /// Whether these begin the ClientHello of a client that speaks nothing newer than TLS 1.1 (RFC 5246, sections 6.2.1, 7.4 and
    /// 7.4.1.2; newer clients have 3, 3 in its place: RFC 8446, section 4.1.2).
    pub(crate) fn is_hello_of_old_tls(&self) -> bool {
        matches!(self.bytes, [22, 3, _, _, _, 1, _, _, _, major, minor] if [major, minor] < [3, 3])
    }
}

fn is_beginning(bytes: &[u8], line: &[u8]) -> bool {
    bytes.starts_with(line) || line.starts_with(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(bytes: &[u8]) -> FirstBytes {
        let mut first = FirstBytes::default();
        bytes.chunks(3).for_each(|chunk| first.note(chunk));
        first
    }

    #[test]
    fn plain_http_is_told_from_tls_and_from_noise() {
        for http in ["GET / HTTP/1.1", "POST /x", "OPTIONS ", "PROPFIND"] {
            assert!(first(http.as_bytes()).is_plain_http(), "{http}");
        }
        for other in [&b"\x16\x03\x01\x02\x00\x01"[..], b"", b" GET", b"ssh-2.0-", b"\0\0\0"] {
            assert!(!first(other).is_plain_http(), "{other:?}");
        }
    }

    #[test]
    fn a_header_of_a_balancer_is_told_from_a_request() {
        for header in
            ["PROXY TCP4 1.2.3.4", "PROXY TCP6 ::1", "PROXY UNKNOWN", "PROXY T", "\r\n\r\n\0\r\nQUIT\n!", "\r\n\r\n\0"]
        {
            assert!(first(header.as_bytes()).is_proxy_header(), "{header}");
        }
        for other in
            ["PROXY / HTTP/1.1", "PROXY ", "PROXY", "PROXY TRACE", "GET / HTTP/1.1", "\r\n\r\n", "\r\n\r\n\0x", ""]
        {
            assert!(!first(other.as_bytes()).is_proxy_header(), "{other}");
        }
    }

    #[test]
    fn a_hello_of_old_tls_is_told_by_its_version_not_by_that_of_its_record() {
        let hello = |record, version: [u8; 2]| [22, 3, record, 2, 0, 1, 0, 1, 252, version[0], version[1], 7, 7];
        assert!(first(&hello(1, [3, 1])).is_hello_of_old_tls());
        assert!(first(&hello(3, [3, 2])).is_hello_of_old_tls());
        assert!(first(&hello(0, [3, 0])).is_hello_of_old_tls());
        assert!(!first(&hello(1, [3, 3])).is_hello_of_old_tls());
        assert!(!first(&hello(1, [3, 4])).is_hello_of_old_tls());
        assert!(!first(&hello(1, [3, 1])[..11]).is_empty());
        assert!(!first(b"GET / HTTP/1.1").is_hello_of_old_tls());
    }
}
