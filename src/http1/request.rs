//! The head of a request, as bytes.

use http::Method;
use http::header::{HeaderName, HeaderValue};

/// Writes the head of a request that goes to another program (RFC 9112, section 3). What it is given is valid by its type: no
/// name and no value holds a line end.
#[derive(Debug)]
pub(crate) struct RequestHead(Vec<u8>);

impl RequestHead {
    /// `target` is in origin form, or `*`.
    pub(crate) fn new(method: &Method, target: &http::uri::PathAndQuery) -> Self {
        let mut head = Vec::with_capacity(1024);
        head.extend_from_slice(method.as_str().as_bytes());
        head.push(b' ');
        head.extend_from_slice(target.as_str().as_bytes());
        head.extend_from_slice(b" HTTP/1.1\r\n");
        Self(head)
    }

    pub(crate) fn field(&mut self, name: &HeaderName, value: &HeaderValue) {
        super::response::write_field(name.as_str(), value.as_bytes(), &mut self.0);
    }

    /// The whole head, with the empty line.
    pub(crate) fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(b"\r\n");
        self.0
    }
}
