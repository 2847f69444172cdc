//! What we say of the client: its certificate (RFC 9440), the same readable, and where it came from (RFC 7239).

use std::net::{IpAddr, SocketAddr};

use http::header::{FORWARDED, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::failure::Failure;
use crate::base64::base64;
use crate::byte_set::ByteSet;
use crate::x509::identity::Identity;

const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
const CLIENT_CERT_CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");
const SUBJECT: HeaderName = HeaderName::from_static("x-client-subject");
const NAME: HeaderName = HeaderName::from_static("x-client-name");
const SHA256: HeaderName = HeaderName::from_static("x-client-sha256");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The longest value of a readable field, in bytes. A longer one is not cut: two clients could look the same.
pub(super) const MAX_READABLE: usize = 8 * 1024;

type Field = (HeaderName, HeaderValue);

/// The fields of an authorised client. `chain` is what it sent beside its own certificate, if that is to be said.
pub(super) fn of(identity: &Identity, chain: Option<&[&[u8]]>) -> Result<Vec<Field>, Failure> {
    let mut fields =
        vec![(CLIENT_CERT, value(byte_sequence(identity.der()))?), (SHA256, value(identity.sha256().to_owned())?)];
    if !identity.subject().is_empty() {
        fields.push((SUBJECT, readable(identity.subject())?));
    }
    // The operator chose the file's name; the common name of a certificate that nobody vouches for is what its holder likes.
    if let Some(name) = identity.known_as().or(identity.common_name()).filter(|name| !name.is_empty()) {
        fields.push((NAME, readable(name)?));
    }
    // RFC 9440, section 2.2: in the order of the handshake, without the client's own.
    if let Some(chain) = chain.filter(|chain| !chain.is_empty()) {
        let sequences: Vec<_> = chain.iter().map(|certificate| byte_sequence(certificate)).collect();
        fields.push((CLIENT_CERT_CHAIN, value(sequences.join(", "))?));
    }
    Ok(fields)
}

/// Where the client came from, and how: over TLS, to this host.
pub(super) fn origin(remote: SocketAddr, host: Option<&HeaderValue>) -> Result<Vec<Field>, Failure> {
    let address = remote.ip().to_canonical();
    // RFC 7239, section 6: an IPv6 address is in brackets, and so in quotes.
    let mut forwarded = match address {
        IpAddr::V4(address) => format!("for={address}"),
        IpAddr::V6(address) => format!("for=\"[{address}]\""),
    };
    forwarded.push_str(";proto=https");
    let mut fields =
        vec![(FORWARDED_FOR, value(address.to_string())?), (FORWARDED_PROTO, HeaderValue::from_static("https"))];
    // It was read before as a host and a port: visible ASCII, without quotes or backslashes.
    if let Some(host) = host.and_then(|host| host.to_str().ok()) {
        let is_plain = !host.is_empty() && TOKEN.contains_all(host.as_bytes());
        let quote = if is_plain { "" } else { "\"" };
        forwarded.push_str(&format!(";host={quote}{host}{quote}"));
        fields.push((FORWARDED_HOST, value(host.to_owned())?));
    }
    fields.push((FORWARDED, value(forwarded)?));
    Ok(fields)
}

/// The characters of a token that stand in hosts (RFC 9110, section 5.6.2).
const TOKEN: &ByteSet = &ByteSet::ALPHANUMERIC.with(b"-._~");

/// A byte sequence of structured fields (RFC 8941, section 3.3.5).
fn byte_sequence(bytes: &[u8]) -> String {
    format!(":{}:", base64(bytes))
}

/// Text of a certificate: UTF-8, percent-encoded but for visible ASCII and inner spaces. It has one reading, whatever a parser does
/// with other bytes or outer spaces, and decoding it gives the text.
fn readable(text: &str) -> Result<HeaderValue, Failure> {
    let inner = text.trim_matches(' ');
    let (before, after) =
        (text.len() - text.trim_start_matches(' ').len(), text.len() - text.trim_end_matches(' ').len());
    let after = if inner.is_empty() { 0 } else { after };
    let encoded =
        format!("{}{}{}", "%20".repeat(before), utf8_percent_encode(inner, NOT_READABLE), "%20".repeat(after));
    match encoded.len() > MAX_READABLE {
        true => Err(Failure::too_long("the client's name is too long to be forwarded")),
        false => value(encoded),
    }
}

const NOT_READABLE: &AsciiSet = &CONTROLS.add(b'%');

fn value(text: String) -> Result<HeaderValue, Failure> {
    HeaderValue::try_from(text).map_err(|_| Failure::bad_gateway("a field of the client's identity cannot be written"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(fields: &[Field]) -> Vec<String> {
        fields.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
    }

    /// RFC 7239, sections 4 and 6.
    #[test]
    fn an_origin_is_written_as_its_rfc_says() {
        let of = |remote: &str, host: Option<&'static str>| {
            let host = host.map(HeaderValue::from_static);
            text(&origin(remote.parse().unwrap(), host.as_ref()).unwrap())
        };
        assert_eq!(
            of("192.0.2.1:5", Some("example.org")),
            [
                "x-forwarded-for: 192.0.2.1",
                "x-forwarded-proto: https",
                "x-forwarded-host: example.org",
                "forwarded: for=192.0.2.1;proto=https;host=example.org"
            ]
        );
        assert_eq!(
            of("[2001:db8::1]:5", Some("example.org:8443"))[3],
            "forwarded: for=\"[2001:db8::1]\";proto=https;host=\"example.org:8443\""
        );
        assert_eq!(of("[2001:db8::1]:5", None)[0], "x-forwarded-for: 2001:db8::1");
        assert_eq!(of("[::ffff:192.0.2.1]:5", None)[2], "forwarded: for=192.0.2.1;proto=https");
        assert_eq!(of("192.0.2.1:5", Some("a;b=c,d"))[3], "forwarded: for=192.0.2.1;proto=https;host=\"a;b=c,d\"");
    }

    #[test]
    fn text_of_a_certificate_is_visible_ascii_and_has_one_reading() {
        let long = "x".repeat(MAX_READABLE);
        for (plain, written) in [
            ("CN=alice,O=Example", "CN=alice,O=Example"),
            ("CN=Zo\u{eb} M\u{fc}ller", "CN=Zo%C3%AB M%C3%BCller"),
            ("100% \\, \"a\"", "100%25 \\, \"a\""),
            ("a\r\nSet-Cookie: x", "a%0D%0ASet-Cookie: x"),
            (" a ", "%20a%20"),
            ("  ", "%20%20"),
            ("\t\0\x7f", "%09%00%7F"),
            ("", ""),
            (&long, &long),
        ] {
            let value = readable(plain).unwrap();
            assert_eq!(value.to_str().unwrap(), written);
            let decoded = percent_encoding::percent_decode_str(written).decode_utf8().unwrap();
            assert_eq!(decoded, plain);
        }
        assert!(readable(&"x".repeat(MAX_READABLE + 1)).is_err());
    }
}
