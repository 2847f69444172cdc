//! An answer of the admin port, as the bytes that are sent. `tiny_http` writes them.

use tiny_http::{HTTPVersion, Header, Response};

/// Status, type and content.
pub(super) struct Reply {
    status: u16,
    kind: &'static str,
    /// The methods that there are, if it was none of them.
    allow: bool,
    content: String,
}

impl Reply {
    pub(super) fn text(status: u16, content: impl Into<String>) -> Self {
        Self { status, kind: "text/plain; charset=utf-8", allow: false, content: content.into() }
    }

    pub(super) fn json(content: String) -> Self {
        Self { kind: "application/json", ..Self::text(200, content) }
    }

    /// In the text format of Prometheus.
    pub(super) fn figures(content: String) -> Self {
        Self { kind: "text/plain; version=0.0.4; charset=utf-8", ..Self::text(200, content) }
    }

    pub(super) fn method_not_allowed() -> Self {
        Self { allow: true, ..Self::text(405, "only GET and HEAD are allowed\n") }
    }

    /// This server could not find out.
    pub(super) fn failed(why: &str) -> Self {
        Self::text(500, format!("{why}\n"))
    }

    /// All that is sent. The connection ends with it, which an answer of HTTP/1.0 says by itself: tiny_http lets nobody set
    /// `Connection`.
    pub(super) fn into_bytes(self, without_content: bool) -> Vec<u8> {
        let mut response = Response::from_data(self.content)
            .with_status_code(self.status)
            .with_header(field("Content-Type", self.kind))
            .with_header(field("Cache-Control", "no-store"));
        if self.allow {
            response.add_header(field("Allow", "GET, HEAD"));
        }
        let mut bytes = Vec::new();
        // Writing to memory cannot fail.
        let _ = response.raw_print(&mut bytes, HTTPVersion(1, 0), &[], without_content, None);
        bytes
    }
}

fn field(name: &str, value: &str) -> Header {
    // Both are ours, and valid.
    Header::from_bytes(name, value).unwrap_or_else(|()| unreachable!("{name} is not a field"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(reply: Reply, without_content: bool) -> String {
        String::from_utf8(reply.into_bytes(without_content)).unwrap()
    }

    #[test]
    fn an_answer_has_its_length_and_is_not_stored() {
        let text = sent(Reply::text(200, "ok\n"), false);
        assert!(text.starts_with("HTTP/1.0 200 OK\r\n") && text.ends_with("\r\n\r\nok\n"), "{text}");
        for line in
            ["Content-Length: 3\r\n", "Cache-Control: no-store\r\n", "Content-Type: text/plain; charset=utf-8\r\n"]
        {
            assert!(text.contains(line), "{text}");
        }
        // Never in chunks, however long.
        let long = sent(Reply::json("1".repeat(100_000)), false);
        assert!(long.contains("Content-Length: 100000\r\n") && long.ends_with("11"));
    }

    #[test]
    fn an_answer_to_head_has_no_content() {
        let text = sent(Reply::method_not_allowed(), true);
        assert!(text.starts_with("HTTP/1.0 405 ") && text.ends_with("\r\n\r\n"), "{text}");
        assert!(text.contains("Allow: GET, HEAD\r\n"), "{text}");
    }
}
