//! One rule: which clients it matches. A rule compares parsed values of one type. A name of one type never matches another,
//! and the only pattern is the last segment of a URI.

use std::fmt;
use std::net::IpAddr;

use crate::escape::visible;
use crate::hex::{from_hex, hex};
use crate::x509::distinguished_name::{exact_form_of, normal_form_of};
use crate::x509::identity::{Attribute, Identity};
use crate::x509::rfc4514;

use super::authority;
use super::kind::{KINDS, Kind};
use super::slips::{ends_with_and, nearest_kind, nearest_rule, second_rule};

/// Says which clients match: `cn:alice`, `uri:spiffe://example.org/web/*`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Rule {
    kind: Kind,
    value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Value {
    Text(String),
    /// A URI up to the slash before its last segment, which may be anything.
    UriBelow(String),
    Ip(IpAddr),
    Digest([u8; 32]),
    Name(Name),
    /// The loaded CA that has a certificate with this fingerprint.
    Authority {
        named: [u8; 32],
        /// The fingerprints of all loaded certificates of that CA, once the rule is bound.
        certificates: Vec<[u8; 32]>,
    },
}

/// A distinguished name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Name {
    /// As it was written.
    text: String,
    exact: Box<[u8]>,
    /// Compared by RFC 5280, section 7.1.
    normal: Box<[u8]>,
}

impl Rule {
    /// Reads `kind:value`. The error says what is wrong and what would be right.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (word, value) = text.split_once(':').ok_or_else(|| match nearest_rule(text) {
            Some(rule) => format!("{text:?} is not a rule: did you mean `{rule}`?"),
            None => {
                format!("{text:?} is not a rule: a rule is kind:value, for example cn:alice; the kinds are {}", kinds())
            }
        })?;
        let kind = KINDS.iter().find(|(known, _)| *known == word).map(|(_, kind)| *kind);
        let kind = kind.ok_or_else(|| match nearest_kind(word) {
            Some(near) => format!("{word:?} is not a kind of rule: did you mean `{near}:`? The kinds are {}", kinds()),
            None => format!("{word:?} is not a kind of rule; the kinds are {}", kinds()),
        })?;
        // Spaces at the ends of a distinguished name have rules of their own.
        let is_name = matches!(kind, Kind::Subject | Kind::Issuer);
        if value.is_empty() || (value.trim() != value && !is_name) {
            return Err(format!("{text:?} can never match: its value is empty, or begins or ends with a space"));
        }
        if let Some((before, second)) = second_rule(value) {
            // Whoever joined them by `or` instead would let in more clients than was meant.
            let hint = match ends_with_and(before) {
                true => {
                    "there is no `and` and no `not`: a client has to match one rule; use a narrower one, for example dn: or sha256:"
                }
                false => "give each on its own, or join them by ` or ` in a line of a policy",
            };
            return Err(format!("{text:?} looks like two rules: {second:?} is the second; {hint}"));
        }
        if value.len() > 1 && ['\'', '"'].iter().any(|quote| value.starts_with(*quote) && value.ends_with(*quote)) {
            return Err(format!("{text:?} can never match: its value is in quotes, which would be part of the name"));
        }
        let value = kind.parse_value(value).map_err(|why| format!("{text:?} can never match: {why}"))?;
        Ok(Self { kind, value })
    }

    pub(super) fn matches(&self, identity: &Identity) -> bool {
        self.kind.goes_for(identity) && self.would_match(identity)
    }

    /// Whether it compares names, which a CA has to vouch for.
    pub(super) fn needs_a_ca(&self) -> bool {
        !matches!(self.kind, Kind::Sha256 | Kind::Spki | Kind::Client)
    }

    /// Finds the loaded CA that it refers to, if any. It is an error if there is no such CA, or if there are several, so
    /// that the rule would let in more than was meant.
    pub(super) fn bind_to(&mut self, authorities: &[&Identity]) -> Result<(), String> {
        match &mut self.value {
            Value::Name(name) if self.kind == Kind::Issuer => authority::check_name(&name.normal, authorities),
            Value::Authority { named, certificates } => {
                *certificates = authority::certificates(named, authorities)?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether it compares the names in the directory of authorised clients.
    pub(super) fn needs_authorized_clients(&self) -> bool {
        self.kind == Kind::Client
    }

    /// How near a client comes that does not match, and why it does not; the higher the number, the nearer.
    pub(super) fn nearness(&self, identity: &Identity) -> (usize, String) {
        let own = self.kind.values(identity);
        let words = self.kind.words();
        let shown = match own.as_slice() {
            [] => format!("the client has no {words}"),
            [one] => format!("the client's {words} is {}", visible(one)),
            [first, ..] => {
                let plural = if words.ends_with('s') { "es" } else { "s" };
                let only_one = if self.kind == Kind::CommonName { ", and cn: only matches exactly one" } else { "" };
                format!("the client has {} {words}{plural}, {} the first{only_one}", own.len(), visible(first))
            }
        };
        if self.would_match(identity) {
            return (1000, "it would match, but the client's certificate is pinned, so no CA vouches for its names: use sha256: or client:".to_owned());
        }
        let wanted = self.value.to_string();
        if self.kind == Kind::CommonName && own.contains(&wanted) {
            return (900, shown);
        }
        let is_same_name = |name: &Name| identity.normal_subject() == Some(&name.normal);
        if own.iter().any(|value| value.eq_ignore_ascii_case(&wanted))
            || matches!(&self.value, Value::Name(name) if self.kind == Kind::Subject && is_same_name(name))
        {
            return (900, format!("{shown}: upper and lower case differ, or spaces"));
        }
        let elsewhere = KINDS
            .iter()
            .filter(|(_, kind)| *kind != self.kind)
            .find(|(_, kind)| kind.values(identity).contains(&wanted));
        if let Some((word, _)) = elsewhere {
            return (800, format!("{shown}; {} is its {word}, which needs a rule of that kind", visible(&wanted)));
        }
        let common = own.iter().map(|value| common_prefix(value, &wanted)).max();
        (common.map_or(0, |common| 1 + common.min(700)), shown)
    }

    fn would_match(&self, identity: &Identity) -> bool {
        match (&self.value, self.kind) {
            (Value::Text(wanted), Kind::CommonName) => identity.common_name() == Some(wanted),
            (Value::Text(wanted), Kind::Dns) => {
                identity.dns_names().iter().any(|name| name.eq_ignore_ascii_case(wanted))
            }
            (Value::Text(wanted), Kind::Email) => identity.emails().iter().any(|email| same_email(email, wanted)),
            (Value::Text(wanted), Kind::Upn) => identity.upns().iter().any(|upn| same_email(upn, wanted)),
            (Value::Text(wanted), Kind::Uri) => identity.uris().iter().any(|uri| uri == wanted),
            (Value::UriBelow(wanted), Kind::Uri) => identity.uris().iter().any(|uri| is_below(uri, wanted)),
            (Value::Ip(wanted), Kind::Ip) => identity.ip_addresses().contains(wanted),
            (Value::Text(wanted), Kind::Organization) => has(identity, "O", wanted),
            (Value::Text(wanted), Kind::OrganizationalUnit) => has(identity, "OU", wanted),
            (Value::Digest(wanted), Kind::Sha256) => wanted == identity.digest(),
            (Value::Digest(wanted), Kind::Spki) => wanted == identity.spki_digest(),
            (Value::Name(wanted), Kind::Subject) => identity.exact_subject() == Some(&wanted.exact),
            (Value::Name(wanted), Kind::Issuer) => {
                identity.vouching().is_some_and(|ca| ca.normal_subject() == Some(&wanted.normal))
            }
            (Value::Authority { named, certificates }, Kind::IssuerSha256) => {
                identity.vouching().is_some_and(|ca| ca.digest() == named || certificates.contains(ca.digest()))
            }
            (Value::Text(wanted), Kind::Client) => identity.known_as() == Some(wanted),
            // Each kind is made with its type of value, below.
            _ => false,
        }
    }
}

impl Kind {
    fn parse_value(self, value: &str) -> Result<Value, String> {
        let text = || Ok(Value::Text(value.to_owned()));
        match self {
            Kind::CommonName | Kind::Organization | Kind::OrganizationalUnit => text(),
            Kind::Subject | Kind::Issuer => Name::parse(value).map(Value::Name),
            Kind::Client if value.contains('/') => {
                Err("write the name of a file, without its directory and ending".to_owned())
            }
            Kind::Client => text(),
            Kind::Dns if value.contains('*') => Err("a wildcard has no meaning here; name each host".to_owned()),
            Kind::Dns if !value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) => {
                Err("a DNS name has letters, digits, hyphens and dots only".to_owned())
            }
            Kind::Dns if value.len() > 253 || value.split('.').any(|label| !(1..=63).contains(&label.len())) => {
                Err("a DNS name has 1 to 63 characters between the dots, and at most 253 in all".to_owned())
            }
            Kind::Dns => text(),
            Kind::Email => match value.split_once('@') {
                Some((local, domain))
                    if !local.is_empty() && !domain.is_empty() && !domain.contains('@') && value.is_ascii() =>
                {
                    text()
                }
                _ => Err("an e-mail address has one @, and ASCII characters only".to_owned()),
            },
            Kind::Upn => match value.split_once('@') {
                Some((user, suffix)) if !user.is_empty() && !suffix.is_empty() && !suffix.contains('@') => text(),
                _ => Err("a user principal name has one @, as in alice@corp.example.com".to_owned()),
            },
            Kind::Uri => parse_uri(value),
            Kind::Ip => value
                .parse()
                .map(Value::Ip)
                .map_err(|_| "this is not an IP address (and ranges are not supported)".to_owned()),
            Kind::Sha256 | Kind::Spki => digest(value).map(Value::Digest),
            Kind::IssuerSha256 => digest(value).map(|named| Value::Authority { named, certificates: Vec::new() }),
        }
    }

    /// Whether a rule of this kind applies to a client: names only count if a CA vouches for them.
    fn goes_for(self, identity: &Identity) -> bool {
        identity.is_vouched_for() || matches!(self, Kind::Sha256 | Kind::Spki | Kind::Client)
    }

    /// The client's own values of this kind, for explanations.
    fn values(self, identity: &Identity) -> Vec<String> {
        let attributes = |name: &str| {
            let named = identity.attributes().iter().filter(|attribute| attribute.short_name() == Some(name));
            named.map(|attribute| attribute.text().map_or_else(|| not_text(attribute), str::to_owned)).collect()
        };
        match self {
            Kind::CommonName => attributes("CN"),
            Kind::Dns => identity.dns_names().to_vec(),
            Kind::Email => identity.emails().to_vec(),
            Kind::Upn => identity.upns().to_vec(),
            Kind::Uri => identity.uris().to_vec(),
            Kind::Ip => identity.ip_addresses().iter().map(ToString::to_string).collect(),
            Kind::Organization => attributes("O"),
            Kind::OrganizationalUnit => attributes("OU"),
            Kind::Subject if identity.subject().is_empty() => Vec::new(),
            Kind::Subject => vec![identity.subject().to_owned()],
            Kind::Sha256 => vec![identity.sha256().to_owned()],
            Kind::Spki => vec![identity.spki_sha256()],
            Kind::Issuer => identity.anchor().map(str::to_owned).into_iter().collect(),
            Kind::IssuerSha256 => identity.anchor_sha256().map(str::to_owned).into_iter().collect(),
            Kind::Client => identity.known_as().map(str::to_owned).into_iter().collect(),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Kind::CommonName => "common name",
            Kind::Dns => "DNS name",
            Kind::Email => "e-mail address",
            Kind::Upn => "user principal name",
            Kind::Uri => "URI",
            Kind::Ip => "IP address",
            Kind::Organization => "organization",
            Kind::OrganizationalUnit => "organizational unit",
            Kind::Subject => "subject",
            Kind::Sha256 => "fingerprint",
            Kind::Spki => "key's fingerprint",
            Kind::Issuer => "trusted CA",
            Kind::IssuerSha256 => "CA's fingerprint",
            Kind::Client => "name among the authorised clients",
        }
    }
}

impl Name {
    fn parse(text: &str) -> Result<Self, String> {
        let names = rfc4514::parse(text)?;
        Ok(Self { text: text.to_owned(), exact: exact_form_of(&names), normal: normal_form_of(&names) })
    }
}

/// A value that is not a string, shown such that no rule's text looks like it.
fn not_text(attribute: &Attribute) -> String {
    format!("{} (not text)", attribute.value())
}

fn has(identity: &Identity, attribute: &str, wanted: &str) -> bool {
    let mut attributes = identity.attributes().iter();
    attributes.any(|known| known.short_name() == Some(attribute) && known.text() == Some(wanted))
}

/// The case of the domain is ignored, that of the part before it is not (RFC 5280, section 7.5).
fn same_email(a: &str, b: &str) -> bool {
    match (a.rsplit_once('@'), b.rsplit_once('@')) {
        (Some((a_local, a_domain)), Some((b_local, b_domain))) => {
            a_local == b_local && a_domain.eq_ignore_ascii_case(b_domain)
        }
        _ => false,
    }
}

fn parse_uri(value: &str) -> Result<Value, String> {
    let scheme = value.split_once(':').map(|(scheme, _)| scheme).unwrap_or_default();
    let starts_well = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    if !starts_well || !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) {
        return Err("a URI begins with its scheme, as in spiffe://example.org/web".to_owned());
    }
    if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("a URI has no spaces, and only ASCII characters".to_owned());
    }
    match value.strip_suffix("/*") {
        Some(above) if above.contains('*') => Err("* can only be the whole last segment".to_owned()),
        Some(above) => Ok(Value::UriBelow(format!("{above}/"))),
        None if value.contains('*') => Err("* can only be the whole last segment".to_owned()),
        None => Ok(Value::Text(value.to_owned())),
    }
}

/// Exactly one more segment, which is not empty, and no query.
fn is_below(uri: &str, above: &str) -> bool {
    let last = uri.strip_prefix(above);
    last.is_some_and(|last| !last.is_empty() && !last.contains(['/', '?', '#']) && last != "." && last != "..")
}

fn digest(text: &str) -> Result<[u8; 32], String> {
    let octets = from_hex(&text.replace(':', "")).and_then(|octets| octets.try_into().ok());
    octets.ok_or_else(|| "SHA-256 has 64 hexadecimal digits, with or without colons".to_owned())
}

fn common_prefix(a: &str, b: &str) -> usize {
    a.chars().zip(b.chars()).take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count()
}

fn kinds() -> String {
    KINDS.map(|(word, _)| format!("{word}:")).join(" ")
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every kind has a word.
        let word = KINDS.iter().find(|(_, kind)| *kind == self.kind).map_or("", |(word, _)| word);
        write!(f, "{word}:{}", self.value)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => f.write_str(text),
            Value::UriBelow(above) => write!(f, "{above}*"),
            Value::Ip(address) => write!(f, "{address}"),
            Value::Digest(digest) | Value::Authority { named: digest, .. } => f.write_str(&hex(digest)),
            Value::Name(name) => f.write_str(&name.text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_could_never_match_are_errors_that_say_why() {
        for (text, why) in [
            ("alice", "is not a rule"),
            ("name:alice", "is not a kind of rule"),
            ("CN:alice", "is not a kind of rule"),
            ("cn:", "empty"),
            ("cn: alice", "space"),
            ("dns:*.example.com", "wildcard"),
            ("dns:a b", "letters, digits"),
            ("dns:a..b", "between the dots"),
            ("dns:.", "between the dots"),
            ("dns:a.b.", "between the dots"),
            ("client:a/b", "name of a file"),
            ("cn:alice, cn:bob", "looks like two rules: \"cn:bob\""),
            ("cn:alice,dns:bob", "looks like two rules"),
            ("cn:alice OR cn:bob", "looks like two rules"),
            ("cn:bran,dns:bob", "join them by ` or `"),
            ("cn:Alice Brand, cn:bob", "join them by ` or `"),
            ("cn:alice and o:bob", "looks like two rules: \"o:bob\" is the second; there is no `and`"),
            ("cn:alice AND o:bob", "there is no `and`"),
            ("cn:alice, and o:bob", "there is no `and`"),
            ("cn:alice and not o:bob", "no `not`"),
            ("cn:alice&&o:bob", "there is no `and`"),
            ("cn:alice && o:bob", "there is no `and`"),
            ("cn:alice&o:bob", "there is no `and`"),
            ("cn:'alice'", "in quotes"),
            ("cn:\"alice\"", "in quotes"),
            ("CN:alice", "did you mean `cn:`?"),
            ("dsn:host", "did you mean `dns:`?"),
            ("subject:CN=alice", "did you mean `dn:`?"),
            ("cn=alice", "did you mean `cn:alice`?"),
            ("upn:alice", "one @"),
            ("upn:a@b@c", "one @"),
            ("dn:alice", "not an attribute"),
            ("dn:CN=a, O=b", "no space"),
            ("dn: CN=a", "no space"),
            ("dn:CN=a ", "\\20"),
            ("dn:", "empty"),
            ("issuer:ca", "not an attribute"),
            ("issuer-sha256:CN=ca", "64 hexadecimal"),
            ("issuer-sha256:ab", "64 hexadecimal"),
            ("email:alice", "one @"),
            ("email:a@b@c", "one @"),
            ("uri:example.org/web", "scheme"),
            ("uri:spiffe://a/*/b", "last segment"),
            ("uri:spiffe://a/*/*", "last segment"),
            ("uri:spiffe://a/b*", "last segment"),
            ("ip:10.0.0.0/8", "not an IP address"),
            ("sha256:abcd", "64 hexadecimal"),
            ("spki:+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1", "64 hexadecimal"),
        ] {
            let error = Rule::parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_written_is_what_is_shown() {
        for text in [
            "cn:a:b",
            "cn:Or, Jane",
            "cn:a: cnx:b",
            "uri:spiffe://example.org/web/*",
            "ip:10.1.2.3",
            "issuer:CN=a,O=b",
            "dn:cn=a,2.5.4.10=b+OU=c",
            "upn:alice@corp.test",
            "client:laptop",
        ] {
            assert_eq!(Rule::parse(text).unwrap().to_string(), text);
        }
        let digits = "AB".repeat(32);
        assert_eq!(
            Rule::parse(&format!("sha256:{digits}")).unwrap().to_string(),
            format!("sha256:{}", "ab".repeat(32))
        );
        let colons = ["0A"; 32].join(":");
        assert_eq!(Rule::parse(&format!("spki:{colons}")).unwrap().to_string(), format!("spki:{}", "0a".repeat(32)));
    }

    #[test]
    fn the_last_segment_of_a_uri_is_one_segment() {
        assert!(is_below("spiffe://a/web/1", "spiffe://a/web/"));
        for other in [
            "spiffe://a/web/",
            "spiffe://a/web",
            "spiffe://a/web/1/2",
            "spiffe://a/website",
            "spiffe://a/web/?x",
            "spiffe://a/web/..",
        ] {
            assert!(!is_below(other, "spiffe://a/web/"), "{other}");
        }
    }
}
