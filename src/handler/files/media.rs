//! The media type of a file, by the end of its name.

use http::HeaderValue;

/// The content type of a file. Text is taken for UTF-8; what is not known is `application/octet-stream`.
pub(super) fn content_type(path: &[u8]) -> HeaderValue {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
    let ending = name.iter().rposition(|byte| *byte == b'.').and_then(|dot| str::from_utf8(&name[dot + 1..]).ok());
    let known = ending.and_then(|ending| mime_guess::from_ext(ending).first_raw());
    let value = match known {
        Some("text/html") => return HeaderValue::from_static("text/html; charset=utf-8"),
        Some("text/plain") => return HeaderValue::from_static("text/plain; charset=utf-8"),
        Some(text) if text.starts_with("text/") => HeaderValue::try_from(format!("{text}; charset=utf-8")).ok(),
        Some(other) => Some(HeaderValue::from_static(other)),
        None => None,
    };
    value.unwrap_or(HeaderValue::from_static("application/octet-stream"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_site_is_made_of_is_known() {
        for (name, expected) in [
            ("index.html", "text/html; charset=utf-8"),
            ("a/b.d/INDEX.HTM", "text/html; charset=utf-8"),
            ("a.txt", "text/plain; charset=utf-8"),
            ("a.css", "text/css; charset=utf-8"),
            ("a.js", "text/javascript; charset=utf-8"),
            ("a.mjs", "application/javascript"),
            ("a.csv", "text/csv; charset=utf-8"),
            ("a.md", "text/markdown; charset=utf-8"),
            ("a.json", "application/json"),
            ("a.wasm", "application/wasm"),
            ("a.svg", "image/svg+xml"),
            ("a.png", "image/png"),
            ("a.jpeg", "image/jpeg"),
            ("a.webp", "image/webp"),
            ("a.avif", "image/avif"),
            ("a.ico", "image/x-icon"),
            ("a.woff2", "font/woff2"),
            ("a.pdf", "application/pdf"),
            ("a.mp4", "video/mp4"),
            ("a.tar.gz", "application/gzip"),
            ("a.zip", "application/zip"),
            ("a.xml", "text/xml; charset=utf-8"),
            ("a", "application/octet-stream"),
            ("html", "application/octet-stream"),
            ("a.", "application/octet-stream"),
            ("a.unheard-of", "application/octet-stream"),
            (".html", "text/html; charset=utf-8"),
            ("a.html/b", "application/octet-stream"),
            ("", "application/octet-stream"),
        ] {
            assert_eq!(content_type(name.as_bytes()), expected, "{name}");
        }
        assert_eq!(content_type(b"a.\xff"), "application/octet-stream");
    }
}
