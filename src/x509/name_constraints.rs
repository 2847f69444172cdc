//! Name constraints (RFC 5280, section 4.2.1.10): whether a CA that may only vouch for certain names may vouch for those of
//! a certificate. In doubt, a name is not permitted.
//!
//! | names | how they are limited |
//! | --- | --- |
//! | DNS names | by domain, including what is below it; a wildcard counts as every name that it may stand for |
//! | e-mail addresses, also in the subject | by address, by host, or by domain if a dot comes first |
//! | URIs | by host, or by domain if a dot comes first; a URI without a host name is refused |
//! | IP addresses | by network |
//! | directory names, including the subject | by their beginning, compared by section 7.1 |
//! | all others | not supported: refused if the CA limits names of that kind at all |

use std::net::{IpAddr, Ipv4Addr};

use super::certificate::Certificate;
use super::distinguished_name::normal_form;
use super::extensions::{GeneralName, NameConstraints, NameKind};
use super::identity::name_text;
use crate::escape::visible;

/// At most this many pairs of a name and a constraint are compared for one chain. Every 64 octets of a pair count as one
/// more.
pub(crate) const MOST_COMPARISONS: usize = 250_000;

/// Why a name is not permitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Violation {
    /// Which name, and what is wrong with it.
    Name(String),
    /// There are more names and constraints than will be compared.
    TooMany,
}

/// Whether `constraints` permit every name of a certificate: its subject, e-mail addresses in the subject, and its
/// alternative names. `comparisons` is how many may still be made.
pub(crate) fn check(
    constraints: &NameConstraints<'_>,
    certificate: &Certificate<'_>,
    comparisons: &mut usize,
) -> Result<(), Violation> {
    if constraints.has_distances {
        return Err(Violation::Name(
            "the name constraints of its CA have a minimum or maximum, which is not supported".to_owned(),
        ));
    }
    const EMPTY: &[u8] = &[0x30, 0];
    let subject = GeneralName { kind: NameKind::Directory, value: certificate.subject };
    let subject = (certificate.subject != EMPTY).then_some(subject);
    // The section requires this only if there are no alternative names, but programs read an address in the subject in any
    // case.
    let attributes: Vec<_> = certificate.subject_names().into_iter().flatten().collect();
    let addresses = attributes.iter().filter(|attribute| attribute.short_name() == Some("emailAddress"));
    let addresses = addresses.map(|address| GeneralName { kind: NameKind::Email, value: address.value().as_bytes() });
    let alternatives = certificate.all_alternative_names.iter().flatten().copied();
    subject
        .into_iter()
        .chain(addresses)
        .chain(alternatives)
        .try_for_each(|name| permits(constraints, name, comparisons))
}

/// Whether `constraints` permit one name.
pub(crate) fn permits(
    constraints: &NameConstraints<'_>,
    name: GeneralName<'_>,
    comparisons: &mut usize,
) -> Result<(), Violation> {
    let mut matches = |limit: &GeneralName<'_>, side| {
        let cost = 1 + (name.value.len() + limit.value.len()) / 64;
        *comparisons = comparisons.checked_sub(cost).ok_or(Violation::TooMany)?;
        is_within(name, limit.value, side)
            .ok_or_else(|| not("it cannot be compared with the name constraints of its CA", name))
    };
    for limit in constraints.excluded.iter().filter(|limit| concerns(limit, name)) {
        if matches(limit, Side::Excluded)? {
            return Err(not("its CA may not vouch for it", name));
        }
    }
    let mut permitted = constraints.permitted.iter().filter(|limit| concerns(limit, name)).peekable();
    if permitted.peek().is_none() {
        return Ok(());
    }
    for limit in permitted {
        if matches(limit, Side::Permitted)? {
            return Ok(());
        }
    }
    Err(not("it is not among those that its CA may vouch for", name))
}

/// In doubt, a name counts as excluded, and as not permitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Permitted,
    Excluded,
}

/// Whether a constraint is for names of this kind. An internationalized e-mail address (RFC 9598) is an "other" name;
/// constraints on e-mail addresses apply to it.
fn concerns(limit: &GeneralName<'_>, name: GeneralName<'_>) -> bool {
    const SMTP_UTF8_MAILBOX: &[u8] = &[0x06, 8, 0x2b, 6, 1, 5, 5, 7, 8, 9];
    limit.kind == name.kind
        || limit.kind == NameKind::Email && name.kind == NameKind::Other && name.value.starts_with(SMTP_UTF8_MAILBOX)
}

/// Whether a name is within a constraint that applies to it; `None`: unknown.
fn is_within(name: GeneralName<'_>, limit: &[u8], side: Side) -> Option<bool> {
    let text = || name.text().zip(std::str::from_utf8(limit).ok().filter(|limit| limit.is_ascii()));
    match name.kind {
        NameKind::Dns => text().and_then(|(name, limit)| dns(name, limit, side)),
        NameKind::Email => text().and_then(|(name, limit)| email(name, limit, side)),
        NameKind::Uri => text().and_then(|(name, limit)| uri(name, limit, side)),
        NameKind::Ip => ip(name.value, limit),
        NameKind::Directory => Some(normal_form(name.value)?.starts_with(&normal_form(limit)?)),
        NameKind::Other | NameKind::Rare(_) => None,
    }
}

fn dns(name: &str, limit: &str, side: Side) -> Option<bool> {
    let (wildcard, host) = match name.strip_prefix("*.") {
        Some(host) => (true, host),
        None => (false, name),
    };
    // A constraint with a dot at its beginning is not in this section, but in use: it means what is below the domain,
    // without the domain itself.
    let (below_only, domain) = match limit.strip_prefix('.') {
        Some(domain) => (side == Side::Permitted, domain),
        None => (false, limit),
    };
    // An empty constraint includes all names.
    if !is_host(host) || !(limit.is_empty() || is_host(domain)) {
        return None;
    }
    let all_within = is_below(host, domain) || (host.eq_ignore_ascii_case(domain) && (wildcard || !below_only));
    // The wildcard stands for one label, which may be that of the constraint.
    let some_within = wildcard && is_below(domain, host) && !domain[..domain.len() - host.len() - 1].contains('.');
    Some(limit.is_empty() || all_within || side == Side::Excluded && some_within)
}

fn email(name: &str, limit: &str, side: Side) -> Option<bool> {
    let (local, host) = name.split_once('@')?;
    // Atoms and dots (RFC 5321, section 4.1.2); a quoted part could look like another address.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+-/=?^_`{|}~".contains(&byte);
    if local.is_empty() || !local.bytes().all(is_plain) || !is_host(host) {
        return None;
    }
    match limit.rsplit_once('@') {
        Some((wanted, domain)) => {
            (!wanted.is_empty() && is_host(domain)).then_some(())?;
            let same_local = local == wanted || side == Side::Excluded && local.eq_ignore_ascii_case(wanted);
            Some(same_local && host.eq_ignore_ascii_case(domain))
        }
        None => host_or_domain(host, limit, side),
    }
}

/// "The name constraint applies to the host part." If there is no host name, "the application MUST reject the certificate".
fn uri(name: &str, limit: &str, side: Side) -> Option<bool> {
    const DELIMITERS: &[u8] = br##""<>\^`{|}"##;
    let (scheme, rest) = name.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.split_once('@').map_or(authority, |(_, host)| host);
    let host = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => host,
    };
    let is_address = host.parse::<Ipv4Addr>().is_ok()
        || host.rsplit('.').next().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    // RFC 3986, section 3.1. Characters that are not allowed in a URI (section 2) are rejected, because a browser takes `\`
    // for `/`.
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let is_uri = name.bytes().all(|byte| byte.is_ascii_graphic() && !DELIMITERS.contains(&byte));
    if !is_scheme || !is_uri || is_address || !is_host(host) {
        return None;
    }
    host_or_domain(host, limit, side)
}

/// A host, or what is below a domain if a dot comes first.
fn host_or_domain(host: &str, limit: &str, side: Side) -> Option<bool> {
    match limit.strip_prefix('.') {
        _ if limit.is_empty() => Some(side == Side::Excluded),
        Some(domain) => is_host(domain).then(|| is_below(host, domain)),
        None => is_host(limit).then(|| host.eq_ignore_ascii_case(limit)),
    }
}

/// An address within a network, which is an address of the same kind and a mask.
fn ip(address: &[u8], network: &[u8]) -> Option<bool> {
    if !matches!(address.len(), 4 | 16) || !matches!(network.len(), 8 | 32) {
        return None;
    }
    // An IPv4 address in the form of an IPv6 address (RFC 4291, section 2.5.5.2) could be either, so it is unknown.
    let is_mapped = matches!(address, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, _, _, _, _]);
    if is_mapped && network.len() == 8 {
        return None;
    }
    let (base, mask) = network.split_at(network.len() / 2);
    // The network bits come first (RFC 4632).
    let significant = mask.iter().map(|octet| octet.leading_ones() as usize).sum::<usize>();
    let leading = mask.iter().take_while(|octet| **octet == 0xff).count();
    let ends_there = mask.get(leading).is_none_or(|octet| leading * 8 + octet.leading_ones() as usize == significant);
    let ones = mask.iter().map(|octet| octet.count_ones() as usize).sum::<usize>();
    if !ends_there || ones != significant {
        return None;
    }
    let is_within = || (0..base.len()).all(|at| address[at] & mask[at] == base[at] & mask[at]);
    Some(address.len() == base.len() && is_within())
}

fn is_below(host: &str, domain: &str) -> bool {
    let Some(at) = host.len().checked_sub(domain.len() + 1) else { return false };
    host.as_bytes()[at] == b'.' && host[at + 1..].eq_ignore_ascii_case(domain)
}

/// Labels of letters, digits, hyphens and underscores, with a dot between them.
fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        matches!(label.len(), 1..=63)
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

fn not(what: &str, name: GeneralName<'_>) -> Violation {
    let kind = match name.kind {
        NameKind::Dns => "the DNS name",
        NameKind::Email => "the e-mail address",
        NameKind::Uri => "the URI",
        NameKind::Ip => "the IP address",
        NameKind::Directory => "the directory name",
        NameKind::Other => return Violation::Name(format!("a name of another kind (otherName): {what}")),
        NameKind::Rare(_) => return Violation::Name(format!("a name of a rare kind: {what}")),
    };
    let value = match name.kind {
        NameKind::Directory => name_text(name.value),
        NameKind::Ip => ip_text(name.value),
        _ => visible(&String::from_utf8_lossy(name.value)),
    };
    Violation::Name(format!("{kind} {value}: {what}"))
}

fn ip_text(octets: &[u8]) -> String {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    match v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)) {
        Ok(address) => address.to_string(),
        Err(_) => "that is none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [Side; 2] = [Side::Permitted, Side::Excluded];

    #[track_caller]
    fn all(check: fn(&str, &str, Side) -> Option<bool>, rows: &[(&str, &str, Option<bool>)]) {
        for (name, limit, expected) in rows {
            for side in BOTH {
                assert_eq!(check(name, limit, side), *expected, "{name} {limit} {side:?}");
            }
        }
    }

    #[test]
    fn dns_names_are_limited_by_domain() {
        all(
            dns,
            &[
                ("example.com", "example.com", Some(true)),
                ("www.Example.com", "example.COM", Some(true)),
                ("a.b.example.com", "example.com", Some(true)),
                ("badexample.com", "example.com", Some(false)),
                ("example.com.evil.org", "example.com", Some(false)),
                ("com", "example.com", Some(false)),
                ("anything", "", Some(true)),
                ("*.example.com", "example.com", Some(true)),
                ("a.example.com", ".example.com", Some(true)),
                ("*.example.com", ".example.com", Some(true)),
                ("example.com.", "example.com", None),
                ("a..example.com", "example.com", None),
                ("a b.example.com", "example.com", None),
                ("a*.example.com", "example.com", None),
                ("*", "example.com", None),
                ("", "example.com", None),
                ("example.com", "exa mple.com", None),
                ("example.com", ".", None),
                ("example.com", "*.example.com", None),
                ("example.com\0.evil.org", "evil.org", None),
            ],
        );
        let sides = |name, limit| BOTH.map(|side| dns(name, limit, side));
        assert_eq!(sides("*.example.com", "a.example.com"), [Some(false), Some(true)], "it may stand for it");
        assert_eq!(sides("*.example.com", "a.b.example.com"), [Some(false), Some(false)], "it stands for one label");
        assert_eq!(sides("example.com", ".example.com"), [Some(false), Some(true)]);
    }

    #[test]
    fn e_mail_addresses_are_limited_by_address_host_or_domain() {
        all(
            email,
            &[
                ("ceo@example.com", "example.com", Some(true)),
                ("ceo@EXAMPLE.com", "example.com", Some(true)),
                ("ceo@mail.example.com", "example.com", Some(false)),
                ("ceo@mail.example.com", ".example.com", Some(true)),
                ("ceo@example.com", ".example.com", Some(false)),
                ("ceo@example.com", "ceo@example.com", Some(true)),
                ("cto@example.com", "ceo@example.com", Some(false)),
                ("ceo@example.com@evil.org", "example.com", None),
                ("ceo@evil.org\0@example.com", "example.com", None),
                ("\"ceo@evil.org\"@example.com", "example.com", None),
                ("ceo@evil.org @example.com", "example.com", None),
                ("c.e+o'@example.com", "example.com", Some(true)),
                ("ceo@example.com", "@example.com", None),
                ("ceo", "example.com", None),
                ("@example.com", "example.com", None),
                ("ceo@", "example.com", None),
                ("ceo@exa mple.com", "example.com", None),
            ],
        );
        let sides = |name, limit| BOTH.map(|side| email(name, limit, side));
        assert_eq!(sides("CEO@example.com", "ceo@example.com"), [Some(false), Some(true)]);
        assert_eq!(sides("ceo@example.com", ""), [Some(false), Some(true)]);
    }

    #[test]
    fn uris_are_limited_by_their_host() {
        all(
            uri,
            &[
                ("spiffe://example.com/web", "example.com", Some(true)),
                ("https://user:secret@example.com:8443/x?y#z", "example.com", Some(true)),
                ("https://example.com@evil.org/", "example.com", Some(false)),
                ("https://evil.org/@example.com", "example.com", Some(false)),
                ("https://evil.org?example.com", "example.com", Some(false)),
                ("https://a.example.com", "example.com", Some(false)),
                ("https://a.example.com", ".example.com", Some(true)),
                ("https://example.com", ".example.com", Some(false)),
                ("https://192.0.2.1/", "example.com", None),
                ("https://[2001:db8::1]/", "example.com", None),
                ("https://1.2.3/", "example.com", None),
                ("urn:uuid:1", "example.com", None),
                ("mailto:ceo@example.com", "example.com", None),
                ("https:///x", "example.com", None),
                // Of the scheme `urn`, and without a host.
                ("urn:evil://example.com", "example.com", None),
                ("mailto:ceo@evil.org?x=://example.com", "example.com", None),
                ("1://example.com", "example.com", None),
                (r"https://evil.org\@example.com/", "example.com", None),
                ("https://evil.org@x@example.com/", "example.com", None),
                ("https://evil.org\0@example.com/", "example.com", None),
                ("https://evil.org @example.com/", "example.com", None),
                ("://example.com", "example.com", None),
            ],
        );
    }

    #[test]
    fn addresses_are_limited_by_network() {
        assert_eq!(ip(&[10, 1, 2, 3], &[10, 0, 0, 0, 255, 0, 0, 0]), Some(true));
        assert_eq!(ip(&[11, 1, 2, 3], &[10, 0, 0, 0, 255, 0, 0, 0]), Some(false));
        assert_eq!(ip(&[10, 1, 2, 3], &[10, 1, 0, 0, 255, 254, 0, 0]), Some(true));
        assert_eq!(ip(&[10, 1, 2, 3], &[0; 8]), Some(true));
        assert_eq!(ip(&[10, 1, 2, 3], &[0; 32]), Some(false), "of another kind");
        for mask in [[255, 0, 255, 0], [254, 128, 0, 0], [0, 0, 0, 255], [253, 0, 0, 0]] {
            assert_eq!(ip(&[10, 0, 0, 0], &[&[10, 0, 0, 0][..], &mask].concat()), None, "{mask:?}");
        }
        let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3];
        assert_eq!(ip(&mapped, &[10, 0, 0, 0, 255, 0, 0, 0]), None, "an IPv4 address as an IPv6 one");
        assert_eq!(ip(&mapped, &[0; 32]), Some(true));
        assert_eq!(ip(&[10, 1, 2], &[0; 8]), None);
        assert_eq!(ip(&[10, 1, 2, 3], &[0; 6]), None);
    }

    #[test]
    fn a_kind_that_is_not_known_is_refused_where_it_is_limited() {
        let other = GeneralName { kind: NameKind::Other, value: b"x" };
        let rare = |tag| GeneralName { kind: NameKind::Rare(tag), value: b"x" };
        let dns = GeneralName { kind: NameKind::Dns, value: b"example.com" };
        for (limit, name, permitted) in [
            (other, other, false),
            (rare(0x88), rare(0x88), false),
            (rare(0x88), rare(0xa3), true),
            (dns, other, true),
            (other, dns, true),
        ] {
            for excluded in [false, true] {
                let (mut constraints, mut comparisons) = (NameConstraints::default(), 10);
                if excluded { &mut constraints.excluded } else { &mut constraints.permitted }.push(limit);
                assert_eq!(permits(&constraints, name, &mut comparisons).is_ok(), permitted, "{limit:?} {name:?}");
            }
        }
        let mailbox = GeneralName { kind: NameKind::Other, value: b"\x06\x08\x2b\x06\x01\x05\x05\x07\x08\x09\xa0" };
        let email = GeneralName { kind: NameKind::Email, value: b"example.com" };
        let constraints = NameConstraints { permitted: vec![email], ..NameConstraints::default() };
        assert!(permits(&constraints, mailbox, &mut 10).is_err(), "an internationalized address is an address");
    }

    #[test]
    fn comparisons_have_a_limit() {
        let dns = GeneralName { kind: NameKind::Dns, value: b"example.com" };
        let constraints = NameConstraints { permitted: vec![dns], ..NameConstraints::default() };
        let mut comparisons = 1;
        assert_eq!(permits(&constraints, dns, &mut comparisons), Ok(()));
        assert_eq!(permits(&constraints, dns, &mut comparisons), Err(Violation::TooMany));
        // A long name is dearer.
        let (long, mut comparisons) = ("a".repeat(64_000), 1000);
        let long = GeneralName { kind: NameKind::Dns, value: long.as_bytes() };
        assert_eq!(permits(&constraints, long, &mut comparisons), Err(Violation::TooMany));
    }
}
