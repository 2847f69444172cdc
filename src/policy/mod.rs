//! What an authenticated client may do: rules, by themselves or for paths. Pure: no I/O, no clock.

mod authority;
mod file;
mod kind;
mod permission;
mod rule;
mod slips;

use http::Method;

use crate::error::Error;
use crate::http1::Prefixes;
use crate::x509::identity::Identity;

use permission::Ground;
pub use permission::{Grounds, Permission};
use rule::Rule;

/// Which clients may make which requests.
///
/// By default, every client with a valid certificate may do everything. A policy made of rules allows everything to the
/// clients that match one of them. A policy from a file decides by path.
///
/// A rule is `kind:value`, and is compared with values of that type in the certificate:
///
/// | rule | means |
/// | --- | --- |
/// | `cn:alice` | the subject has exactly one common name, and it is this |
/// | `dns:host.example.com` | a DNS name; case is ignored; `*` in a certificate is not a wildcard |
/// | `email:bob@example.com` | an e-mail address; case is ignored after the @ |
/// | `upn:bob@corp.example.com` | a user principal name ([`Identity::upns`]); case is ignored after the @ |
/// | `uri:spiffe://example.org/web/*` | a URI; `/*` at its end stands for one more segment |
/// | `ip:10.1.2.3` | an IP address |
/// | `o:Example`, `ou:Web` | one of the organizations, organizational units |
/// | `dn:CN=alice,O=Example` | the whole subject (RFC 4514), exactly; only the type of string is ignored |
/// | `issuer:CN=Example CA` | the trusted CA that vouches for it, by its subject as the start lines show it (RFC 4514) |
/// | `issuer-sha256:12ab…` | the same CA by its fingerprint, 64 hexadecimal digits |
/// | `sha256:12ab…` | the certificate's fingerprint, 64 hexadecimal digits |
/// | `spki:12ab…` | the fingerprint of the key: SHA-256 of its `SubjectPublicKeyInfo` |
/// | `client:laptop` | the name of its file among the authorised clients |
///
/// A subject as it is shown ([`Identity::subject`]) can be copied after `dn:` or `issuer:`. Values are compared one by one,
/// never as joined text.
///
/// `issuer:` compares by RFC 5280, section 7.1: letter case, spaces and the type of string are ignored. Loaded certificates
/// with the same name and key are one CA, renewed; `issuer:` and `issuer-sha256:` refer to all of them. If CAs with
/// different keys have the name, the rule would match all of them, so building the [`Trust`](crate::Trust) is an error that
/// offers their fingerprints.
///
/// Names only count if a CA vouches for them: a pinned certificate is matched by `sha256:`, `spki:` and `client:` only.
///
/// ```
/// use mtls_min::Policy;
/// let policy = Policy::allowing(["cn:alice", "uri:spiffe://example.org/web/*"])?;
/// let by_path = Policy::parse("/health  anyone\n/  any\n/admin  cn:alice or cn:bob\n", "policy")?;
/// # let _ = (policy, by_path);
/// # Ok::<(), mtls_min::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// For paths without a line; `None`: any valid certificate.
    everywhere: Option<Who>,
    /// Where that is written, for messages.
    place_of_everywhere: &'static str,
    lines: Prefixes<Vec<Line>>,
}

#[derive(Debug, Clone)]
struct Line {
    method: Option<Method>,
    who: Who,
    /// Where it is, for messages: `policy.txt, line 3`.
    place: String,
}

/// Who a line lets in.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Who {
    /// Everyone, even without a certificate.
    Anyone,
    /// Every client with a valid certificate.
    Any,
    /// Clients that match one of these rules.
    Rules(Vec<Rule>),
    /// Nobody: the file has no line for this path.
    Nobody,
}

impl Policy {
    /// Allows everything to the clients that match one of `rules`; without rules, to every client with a valid certificate.
    ///
    /// # Errors
    /// A rule cannot be read, or can never match. The error names it.
    pub fn allowing<R: AsRef<str>>(rules: impl IntoIterator<Item = R>) -> Result<Self, Error> {
        Self::allowing_at("Policy::allowing", rules)
    }

    /// The same; `place` says in words where the rules stand.
    pub(crate) fn allowing_at<R: AsRef<str>>(
        place: &'static str,
        rules: impl IntoIterator<Item = R>,
    ) -> Result<Self, Error> {
        let rules = rules.into_iter().map(|rule| {
            let rule = rule.as_ref();
            Rule::parse(rule).map_err(|why| {
                let error = Error::new(format!("{place} {rule}: {why}"));
                match rule.contains(':') {
                    true => error,
                    false => error.hint(
                        "without `Policy::allowing`, everyone with a valid certificate is let in; to let in anyone, even without one, \
                         use lines of `TrustBuilder::policy_file`",
                    ),
                }
            })
        });
        let rules: Vec<_> = rules.collect::<Result<_, _>>()?;
        let everywhere = (!rules.is_empty()).then_some(Who::Rules(rules));
        Ok(Self { everywhere, place_of_everywhere: place, ..Self::default() })
    }

    /// Reads a policy by path; `name` stands for the file in errors.
    ///
    /// A line is a path prefix and who may go there; `#` begins a comment. `/admin` means `/admin` and everything below it.
    /// The line with the longest prefix decides. Of two lines with the same prefix, the one with the method decides; one for
    /// `GET` is also for `HEAD`. A path without a line is allowed to nobody. Who may go there is `anyone` (even without a
    /// certificate), `any` (with a valid one), or rules joined by `or`; put values with ` or ` in them in quotes. In quotes,
    /// `\"` and `\\` stand for the character after the backslash, except after `dn:` and `issuer:`, where the name is
    /// written as it is shown. A byte order mark is ignored.
    ///
    /// ```
    /// # use mtls_min::Policy;
    /// const TEXT: &str = r#"
    /// /              any
    /// /health        anyone
    /// OPTIONS /api   anyone
    /// /api           uri:spiffe://example.org/web/* or cn:"Alice or Bob"
    /// "#;
    /// let policy = Policy::parse(TEXT, "rules")?;
    /// # let _ = policy;
    /// # Ok::<(), mtls_min::Error>(())
    /// ```
    ///
    /// # Errors
    /// A line cannot be read, is repeated, or can never match; there are no lines. The error names the line.
    pub fn parse(text: &str, name: &str) -> Result<Self, Error> {
        file::parse(text, name)
    }

    /// What this policy says about a request; `identity` if the client's certificate is valid.
    ///
    /// Some applications take `/admin;x` for `/admin`, others for another path (RFC 3986, section 3.3). So a path with semicolons
    /// is looked up as it is and also without what follows them, and both have to allow the request.
    pub fn permission<'a>(&'a self, method: &Method, path: &'a str, identity: Option<&'a Identity>) -> Permission<'a> {
        let as_it_is = self.permission_by(self.line(method, path), path, identity);
        match without_parameters(path) {
            Some(plain) => as_it_is.and(self.permission_by(self.line(method, &plain), path, identity)),
            None => as_it_is,
        }
    }

    fn permission_by<'a>(
        &'a self,
        line: Option<&'a Line>,
        path: &'a str,
        identity: Option<&'a Identity>,
    ) -> Permission<'a> {
        let (who, place) = match line {
            Some(line) => (Some(&line.who), line.place.as_str()),
            None => (self.everywhere.as_ref(), self.place_of_everywhere),
        };
        match (who, identity) {
            (Some(Who::Anyone), _) => Permission::Anyone,
            (_, None) => Permission::denied(Ground::NoValidCertificate),
            (None, Some(_)) => Permission::granted(Ground::AnyWithoutRules),
            (Some(Who::Any), Some(_)) => Permission::granted(Ground::Any { place }),
            (Some(Who::Nobody), Some(_)) => Permission::denied(Ground::NoLine { path }),
            (Some(Who::Rules(rules)), Some(identity)) => match rules.iter().find(|rule| rule.matches(identity)) {
                Some(rule) => Permission::granted(Ground::Rule { rule, place }),
                None => Permission::denied(Ground::NoRule { rules, identity, place }),
            },
        }
    }

    /// The same, with `rules` for the paths that have no line.
    pub(crate) fn with_rules_elsewhere(mut self, rules: &Self) -> Result<Self, Error> {
        if let Some(everywhere) = &rules.everywhere {
            if let Some(line) = self.lines.get("").and_then(|lines| lines.iter().find(|line| line.method.is_none())) {
                return Err(Error::new(format!(
                    "{} is for every path, and so is {}",
                    line.place, rules.place_of_everywhere
                ))
                .hint("keep one of the two: `Policy::allowing` is for paths without a line in the policy"));
            }
            self.everywhere = Some(everywhere.clone());
            self.place_of_everywhere = rules.place_of_everywhere;
        }
        Ok(self)
    }

    /// Checks the rules against what is trusted. An error is a rule that cannot match: it compares names and there is no CA,
    /// or not this one, among `authorities`; or it compares files of authorised clients and there is no such directory.
    /// Another error is a CA's name that several CAs have, because the rule would match all of them.
    pub(crate) fn bind_to(&mut self, authorities: &[&Identity], has_authorized_clients: bool) -> Result<(), Error> {
        let lines = self.lines.values_mut().flatten().map(|line| (&mut line.who, line.place.as_str()));
        for (who, place) in lines.chain(self.everywhere.as_mut().map(|who| (who, self.place_of_everywhere))) {
            let Who::Rules(rules) = who else { continue };
            for rule in rules {
                let never = |why: &str| Err(format!("can never match: {why}"));
                let lacks_directory = rule.needs_authorized_clients() && !has_authorized_clients;
                let bound = match () {
                    () if rule.needs_a_ca() && authorities.is_empty() => {
                        never("no loaded CA could vouch for a name; use sha256: or client:")
                    }
                    () if lacks_directory => {
                        never("it refers to a file of authorised clients, whose directory was not given")
                    }
                    () => rule.bind_to(authorities),
                };
                bound.map_err(|why| {
                    let error = Error::new(format!("{place}: {rule} {why}"));
                    match lacks_directory {
                        true => error.hint("`TrustBuilder::authorized_clients` names that directory"),
                        false => error,
                    }
                })?;
            }
        }
        Ok(())
    }

    /// The line that lets in everyone, if there is one.
    pub(crate) fn place_of_anyone(&self) -> Option<&str> {
        let mut lines = self.lines.values().flatten();
        lines.find(|line| line.who == Who::Anyone).map(|line| line.place.as_str())
    }

    /// How many lines it has.
    pub(crate) fn len(&self) -> usize {
        self.lines.values().map(Vec::len).sum()
    }

    /// The line for a request: the one with the longest matching prefix.
    fn line(&self, method: &Method, path: &str) -> Option<&Line> {
        self.lines.of(path).find_map(|lines| of_method(lines, method))
    }
}

/// The path without the parameters of its segments, if it has any.
fn without_parameters(path: &str) -> Option<String> {
    let name = |segment: &str| segment.split(';').next().unwrap_or_default().to_owned();
    path.contains(';').then(|| path.split('/').map(name).collect::<Vec<_>>().join("/"))
}

fn of_method<'l>(lines: &'l [Line], method: &Method) -> Option<&'l Line> {
    let of = |method: Option<&Method>| lines.iter().find(|line| line.method.as_ref() == method);
    // Whoever may GET may also HEAD (RFC 9110, section 9.3.2).
    let as_get = || if *method == Method::HEAD { of(Some(&Method::GET)) } else { None };
    of(Some(method)).or_else(as_get).or_else(|| of(None))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(policy: &Policy, request: &str) -> String {
        let (method, path) = request.split_once(' ').unwrap();
        let line = policy.line(&method.parse().unwrap(), path);
        line.map_or("none".to_owned(), |line| line.place.trim_start_matches("p, line ").to_owned())
    }

    #[test]
    fn the_longest_prefix_of_whole_segments_wins_and_then_the_method() {
        let policy = Policy::parse(
            "/ any\n/a anyone\n/a/b any\nOPTIONS /a/b anyone\n/a/b/c/ any\nPUT /m anyone\n/m any\nPUT /n any\n\
             GET /h anyone\n/h any\nHEAD /i any\nGET /i any\n",
            "p",
        )
        .unwrap();
        for (request, line) in [
            ("GET /", "1"),
            ("GET /x", "1"),
            ("GET /ab", "1"),
            ("GET /a", "2"),
            ("GET /a/", "2"),
            ("GET /a/x/y/z", "2"),
            ("GET /a/b", "3"),
            ("OPTIONS /a/b/x", "4"),
            ("GET /a/bc", "2"),
            ("GET /a/b/c", "5"),
            ("OPTIONS /a/b/c/d", "5"),
            ("OPTIONS *", "1"),
            ("PUT /m", "6"),
            ("GET /m", "7"),
            ("PUT /n", "8"),
            ("GET /n", "1"),
            ("GET /h", "9"),
            ("HEAD /h", "9"),
            ("POST /h", "10"),
            ("HEAD /i", "11"),
            ("HEAD /m", "7"),
        ] {
            assert_eq!(place(&policy, request), line, "{request}");
        }
    }

    #[test]
    fn a_path_with_parameters_is_allowed_only_if_it_is_with_and_without_them() {
        let policy = Policy::parse("/ anyone\n/admin any\n/open;x any\n/a anyone\n/a/b any\n", "p").unwrap();
        for (path, is_for_anyone) in [
            ("/x;y", true),
            ("/admin;x", false),
            ("/admin;x/y", false),
            ("/admin;", false),
            ("/admin/y;x", false),
            ("/adminx;y", true),
            ("/open", true),
            ("/open;x", false),
            ("/open;x/y", false),
            ("/a;1/b", false),
            ("/a;1/b;2", false),
            ("/a;1/c;2", true),
        ] {
            let permission = policy.permission(&Method::GET, path, None);
            assert_eq!(matches!(permission, Permission::Anyone), is_for_anyone, "{path}");
        }
        let some = Policy::parse("/a any\n/b;c any\n", "p").unwrap();
        let client = authority("a", &key());
        for (path, said) in [
            ("/a/x;y", "any, p, line 1"),
            ("/b;c", "no line of the policy is for /b;c"),
            ("/a;x", "no line of the policy is for /a;x"),
        ] {
            assert_eq!(some.permission(&Method::GET, path, Some(&client)).to_string(), said, "{path}");
        }
    }

    #[test]
    fn paths_without_a_line_are_for_nobody() {
        let policy = Policy::parse("/a any\n", "p").unwrap();
        assert_eq!(place(&policy, "GET /b"), "none");
        assert!(matches!(policy.permission(&Method::GET, "/b", None), Permission::Denied(_)));
        assert_eq!(policy.everywhere, Some(Who::Nobody));
        let with_rules = policy.with_rules_elsewhere(&Policy::allowing(["cn:a"]).unwrap()).unwrap();
        assert!(matches!(with_rules.everywhere, Some(Who::Rules(_))));
    }

    #[test]
    fn two_answers_for_every_path_are_an_error() {
        let policy = Policy::parse("/ any\n", "p").unwrap();
        let error = policy.with_rules_elsewhere(&Policy::allowing(["cn:a"]).unwrap()).unwrap_err();
        assert!(error.to_string().contains("p, line 1"), "{error}");
    }

    fn key() -> rcgen::KeyPair {
        rcgen::KeyPair::generate().unwrap()
    }

    /// A CA with one common name in this kind of string.
    fn authority(name: impl Into<rcgen::DnValue>, key: &rcgen::KeyPair) -> Identity {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        Identity::from_der(params.self_signed(key).unwrap().der()).unwrap()
    }

    fn bound(policy: &Policy, authorities: &[&Identity], has_authorized_clients: bool) -> Result<Policy, String> {
        let mut policy = policy.clone();
        policy.bind_to(authorities, has_authorized_clients).map_err(|error| error.to_string())?;
        Ok(policy)
    }

    fn bound_rule(rule: &str, authorities: &[&Identity], has_authorized_clients: bool) -> Result<Policy, String> {
        bound(&Policy::allowing([rule]).unwrap(), authorities, has_authorized_clients)
    }

    #[test]
    fn a_rule_that_nothing_trusted_can_meet_is_an_error() {
        let (a, b) = (&authority("a", &key()), &authority("b", &key()));
        assert!(bound_rule("cn:a", &[], true).is_err());
        assert!(bound_rule("client:a", &[a], false).is_err());
        assert!(bound_rule(&format!("sha256:{}", "0".repeat(64)), &[], false).is_ok());
        assert!(bound_rule("issuer:CN=a", &[b, a], false).is_ok());
        assert!(bound_rule(&format!("issuer-sha256:{}", a.sha256()), &[b, a], false).is_ok());
        for rule in ["issuer:CN=c".to_owned(), format!("issuer-sha256:{}", "0".repeat(64))] {
            let error = bound_rule(&rule, &[b, a], false).unwrap_err();
            assert!(error.contains("can never match: no loaded CA"), "{error}");
            assert!(error.contains("CN=b") && error.contains(" and CN=a"), "{error}");
        }
        assert!(bound(&Policy::parse("/ cn:a\n", "p").unwrap(), &[], true).is_err());
    }

    #[test]
    fn a_rule_by_the_name_of_two_cas_is_an_error_whatever_kind_of_string_the_name_is() {
        let policy = Policy::parse("/x cn:a or issuer:CN=Example\n", "p").unwrap();
        let one = &authority("Example", &key());
        let printable = rcgen::DnValue::PrintableString("Example".try_into().unwrap());
        for name in ["Example".into(), printable, "EXAMPLE".into(), " Example ".into()] {
            let twin = &authority(name, &key());
            for both in [[one, twin], [twin, one]] {
                let error = bound(&policy, &both, false).unwrap_err();
                assert!(error.contains("p, line 1: issuer:CN=Example means several"), "{error}");
                for ca in both {
                    assert!(error.contains(&format!("issuer-sha256:{}", ca.sha256())), "{error}");
                    assert!(bound_rule(&format!("issuer-sha256:{}", ca.sha256()), &both, false).is_ok());
                }
            }
        }
        assert!(bound(&policy, &[one, &authority("Example 2", &key())], false).is_ok());
    }

    #[test]
    fn certificates_of_one_name_and_one_key_are_one_ca() {
        let key = &key();
        let [old, new] = &[authority("Example", key), authority("EXAMPLE", key)];
        assert!(bound_rule("issuer:CN=Example", &[old, new], false).is_ok());
        assert_eq!(authority::certificates(old.digest(), &[old, new]), Ok(vec![*old.digest(), *new.digest()]));
        let other = &authority("Other", key);
        assert_eq!(authority::certificates(old.digest(), &[old, other]), Ok(vec![*old.digest()]));
    }

    #[test]
    fn an_error_that_lists_cas_has_an_end() {
        let all: Vec<_> = (0..30).map(|_| authority("Example", &key())).collect();
        let error = bound_rule("issuer:CN=Example", &all.iter().collect::<Vec<_>>(), false).unwrap_err();
        assert!(error.ends_with(" and 20 others") && error.len() < 2000, "{error}");
    }

    #[test]
    fn a_long_path_costs_no_more_than_the_longest_line() {
        let policy = Policy::parse("/a any\n", "p").unwrap();
        let path = "/a".repeat(50_000);
        assert_eq!(place(&policy, &format!("GET {path}")), "1");
    }
}
