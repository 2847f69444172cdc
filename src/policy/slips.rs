//! Guesses what was meant by a rule that cannot be read. For explanations only.

use crate::spelling::distance;
use crate::x509::rfc4514;

use super::kind::KINDS;

/// Other words that people use for a kind of rule.
const OTHER_WORDS: [(&str, &str); 9] = [
    ("commonname", "cn"),
    ("subject", "dn"),
    ("organization", "o"),
    ("organizationalunit", "ou"),
    ("fingerprint", "sha256"),
    ("host", "dns"),
    ("mail", "email"),
    ("spiffe", "uri"),
    ("ca", "issuer"),
];

/// A longer word was not meant to be a kind of rule.
const LONGEST_WORD: usize = 24;

/// The kind of rule that a word was probably meant to be.
pub(super) fn nearest_kind(word: &str) -> Option<&'static str> {
    let word: Vec<char> = word.trim().to_lowercase().chars().take(LONGEST_WORD + 1).collect();
    if word.len() > LONGEST_WORD {
        return None;
    }
    let known = KINDS.iter().map(|(kind, _)| (*kind, *kind)).chain(OTHER_WORDS);
    let near = known.map(|(known, kind)| (distance(&word, &known.chars().collect::<Vec<_>>()), known, kind));
    // One typing error in a short word, two in a long one, but never the whole word.
    let near = near
        .filter(|(slips, known, _)| *slips <= known.len().saturating_sub(1).min(if known.len() < 6 { 1 } else { 2 }));
    near.min_by_key(|(slips, ..)| *slips).map(|(.., kind)| kind)
}

/// The rule that a text without a colon was probably meant to be: `cn=alice`, or a whole subject.
pub(super) fn nearest_rule(text: &str) -> Option<String> {
    if rfc4514::parse(text).is_ok_and(|names| names.len() > 1) {
        return Some(format!("dn:{text}"));
    }
    let (word, value) = text.split_once('=')?;
    nearest_kind(word).map(|kind| format!("{kind}:{value}"))
}

/// What looks like another rule in a value, after a comma or after an `or` that does not join rules; and what is before it.
pub(super) fn second_rule(value: &str) -> Option<(&str, &str)> {
    let words = value.split_inclusive(|c: char| c.is_whitespace() || [',', '|', ';', '&'].contains(&c));
    let starts = words.scan(0, |at, word| Some(std::mem::replace(at, *at + word.len())));
    let mut splits = starts.skip(1).map(|start| value.split_at(start));
    splits.find(|(_, rest)| {
        KINDS.iter().any(|(word, _)| rest.strip_prefix(word).is_some_and(|rest| rest.starts_with(':')))
    })
}

/// Whether the text before a second rule ends with a word or sign for "and" or "not".
pub(super) fn ends_with_and(before: &str) -> bool {
    let before = before.trim_end();
    let last = before.rsplit(char::is_whitespace).next().unwrap_or_default();
    before.ends_with('&') || ["and", "not"].iter().any(|word| last.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_told_from_other_words() {
        for (word, kind) in [
            ("CN", Some("cn")),
            ("cm", Some("cn")),
            ("dsn", Some("dns")),
            ("url", Some("uri")),
            ("e-mail", Some("email")),
            ("Mail", Some("email")),
            ("sha-256", Some("sha256")),
            ("isuer", Some("issuer")),
            ("issuer-sha265", Some("issuer-sha256")),
            ("commonName", Some("cn")),
            ("subject", Some("dn")),
            ("cleint", Some("client")),
            ("name", None),
            ("x", None),
            ("xx", None),
            ("", None),
            ("role", None),
        ] {
            assert_eq!(nearest_kind(word), kind, "{word}");
        }
        assert_eq!(nearest_kind(&"c".repeat(1_000_000)), None);
    }

    #[test]
    fn a_name_without_a_colon_is_told_from_other_text() {
        assert_eq!(nearest_rule("CN=alice").as_deref(), Some("cn:alice"));
        assert_eq!(nearest_rule("CN=alice,O=Example").as_deref(), Some("dn:CN=alice,O=Example"));
        assert_eq!(nearest_rule("everyone"), None);
        assert_eq!(nearest_rule("role=admin"), None);
    }
}
