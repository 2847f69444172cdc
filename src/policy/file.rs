//! The policy file: a line is `[METHOD] /prefix who`.

use http::Method;

use crate::error::Error;
use crate::http1::read_prefix;

use super::rule::Rule;
use super::{Line, Policy, Who};

/// The methods that a line can have (RFC 9110, RFC 5789, and those of WebDAV). Any other word is probably a typing error,
/// and the line would not apply where it was meant to.
const METHODS: [&str; 18] = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "OPTIONS",
    "PATCH",
    "QUERY",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "REPORT",
    "SEARCH",
    "MKCALENDAR",
];

/// Who may go somewhere, besides rules.
const WITHOUT_RULES: &str = "`any` (everyone with a valid certificate) and `anyone` (without one too)";

pub(super) fn parse(text: &str, name: &str) -> Result<Policy, Error> {
    // Some editors begin a file with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if !text.is_empty() && !text.ends_with('\n') {
        return Err(Error::new(format!(
            "the policy {name} does not end with the end of a line: it may have been cut off"
        ))
        .hint("write the whole file, and end its last line; best written under another name and then renamed"));
    }
    let mut policy = Policy { everywhere: Some(Who::Nobody), ..Policy::default() };
    for (number, line) in (1..).zip(text.lines()) {
        let place = format!("{name}, line {number}");
        let wrong = |why: String| Error::new(format!("{place}: {why}"));
        let line = without_comment(line).trim();
        if line.is_empty() {
            continue;
        }
        let (method, prefix, who) = split(line).map_err(wrong)?;
        let prefix = read_prefix(prefix).map_err(wrong)?;
        let who = read_who(who).map_err(wrong)?;
        let same_prefix = policy.lines.entry(prefix).or_default();
        if let Some(first) = same_prefix.iter().find(|line| line.method == method) {
            return Err(
                wrong(format!("this path is in {} already", first.place)).hint("join the rules of the two with `or`")
            );
        }
        same_prefix.push(Line { method, who, place: place.clone() });
    }
    if policy.lines.is_empty() {
        return Err(Error::new(format!("the policy {name} has no line, so nobody could do anything"))
            .hint("a line is a path and who may go there, for example: / any"));
    }
    Ok(policy)
}

/// Method, prefix, and who may go there.
fn split(line: &str) -> Result<(Option<Method>, &str, &str), String> {
    let (first, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let (method, (prefix, who)) = match first.starts_with('/') {
        true => (None, (first, rest)),
        false => {
            let method = first.parse::<Method>().ok().filter(|_| METHODS.contains(&first));
            let method = method.ok_or_else(|| {
                format!(
                    "a line begins with a path (/…) or a method, not with {first:?}; methods are {}",
                    METHODS.join(" ")
                )
            })?;
            (Some(method), rest.trim_start().split_once(char::is_whitespace).unwrap_or((rest.trim_start(), "")))
        }
    };
    match who.trim() {
        "" => Err(format!("a line is a path and who may go there: rules, or {WITHOUT_RULES}")),
        who => Ok((method, prefix, who)),
    }
}

fn read_who(who: &str) -> Result<Who, String> {
    match who {
        "anyone" => return Ok(Who::Anyone),
        "any" => return Ok(Who::Any),
        _ => {}
    }
    let mut rules = Vec::new();
    for alternative in alternatives(who)? {
        if ["any", "anyone"].contains(&alternative.as_str()) {
            return Err(format!("`{alternative}` stands alone: with it, the other rules mean nothing"));
        }
        rules.push(Rule::parse(&alternative).map_err(|why| match alternative.contains(':') {
            true => why,
            false => format!("{why}; besides rules there are {WITHOUT_RULES}"),
        })?);
    }
    Ok(Who::Rules(rules))
}

/// Rules joined by ` or `, except within quotes. Quotes are dropped; within quotes, `\"` stands for a quote. A backslash in
/// a distinguished name is kept, so that a name is written as it is shown.
fn alternatives(who: &str) -> Result<Vec<String>, String> {
    let mut found = vec![String::new()];
    let mut quoted = false;
    let mut rest = who.chars();
    while let Some(c) = rest.next() {
        let at_or = !quoted && c.is_whitespace() && {
            let after = rest.as_str().trim_start();
            after.strip_prefix("or").is_some_and(|after| after.is_empty() || after.starts_with(char::is_whitespace))
        };
        // There is always a last one.
        let Some(current) = found.last_mut() else { break };
        match c {
            '"' => quoted = !quoted,
            '\\' if is_distinguished_name(current) => current.extend([c].into_iter().chain(rest.next())),
            '\\' if quoted => current.extend(rest.next()),
            _ if at_or => {
                let after = rest.as_str().trim_start();
                rest = after["or".len()..].trim_start().chars();
                *current = current.trim_end().to_owned();
                found.push(String::new());
            }
            c => current.push(c),
        }
    }
    if quoted {
        return Err("a quote is not closed".to_owned());
    }
    if let Some(empty) = found.iter().position(String::is_empty) {
        return Err(format!("the rule number {} of the line is empty", empty + 1));
    }
    Ok(found)
}

fn is_distinguished_name(rule: &str) -> bool {
    ["dn:", "issuer:"].iter().any(|kind| rule.starts_with(kind))
}

/// The line up to a `#` at its beginning or after a space, except within quotes, which are as in `alternatives`.
fn without_comment(line: &str) -> &str {
    let (mut quoted, mut escaped) = (false, false);
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '#' if !quoted && before.is_whitespace() => return &line[..at],
            _ => {}
        }
        before = c;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        for (text, why) in [
            ("", "has no line"),
            ("# nothing\n\n", "has no line"),
            ("/", "line 1: a line is a path and who"),
            ("/ any\nadmin any", "line 2: a line begins with a path"),
            ("get /x any", "line 1: a line begins with a path"),
            ("GTE /x any", "not with \"GTE\""),
            ("TRACE /x any", "not with \"TRACE\""),
            ("/x/* any", "* is not a wildcard"),
            ("/x%2A any", "requests are seen as \"/x*\""),
            ("/x any\n/admin cn:alice or cn:b", "does not end with the end of a line"),
            ("GET any", "line 1: a line is a path and who"),
            ("/a//b any", "can never match"),
            ("/a/../b any", "can never match"),
            ("/%61dmin any", "requests are seen as \"/admin\""),
            ("/a?b any", "can never match"),
            ("/a any\n/a/ cn:x", "line 2: this path is in p, line 1 already"),
            ("/a any or cn:x", "`any` stands alone"),
            ("/a cn:x or anyone", "`anyone` stands alone"),
            ("/a cn:x or", "rule number 2 of the line is empty"),
            ("/a or cn:x", "is not a kind of rule"),
            ("/a cn:\"x", "a quote is not closed"),
            ("/a name:x", "not a kind of rule"),
            ("/a dns:*.x", "can never match"),
            ("/a cn:alice\tOR\tcn:carol", "looks like two rules"),
            ("/ everyone", "`any` (everyone with a valid certificate) and `anyone` (without one too)"),
            ("/ Any", "`any` (everyone"),
            ("/ cn:a or ALL", "`any` (everyone"),
            ("/ cm:a", "\"cm\" is not a kind of rule: did you mean `cn:`?"),
            ("/ CN=a", "did you mean `cn:a`?"),
            ("/ CN=a,O=b", "did you mean `dn:CN=a,O=b`?"),
            ("/", "`any` (everyone"),
        ] {
            let whole = if text.contains("cn:b") || text.is_empty() { text.to_owned() } else { format!("{text}\n") };
            let error = parse(&whole, "p").unwrap_err().to_string();
            assert!(error.contains(why), "{text:?}: {error}");
        }
    }

    #[test]
    fn rules_are_joined_by_or_outside_of_quotes() {
        let read = |who: &str| alternatives(who).unwrap();
        assert_eq!(read("cn:a or cn:b\tor  cn:c"), ["cn:a", "cn:b", "cn:c"]);
        assert_eq!(read("cn:Alice Smith or cn:order"), ["cn:Alice Smith", "cn:order"]);
        assert_eq!(read(r#"cn:"this or that" or cn:"a \"b\" \\ c""#), ["cn:this or that", r#"cn:a "b" \ c"#]);
    }

    /// What is shown of a name is escaped already (RFC 4514, section 2.4).
    #[test]
    fn a_distinguished_name_keeps_its_backslashes() {
        let read = |who: &str| alternatives(who).unwrap();
        for kind in ["dn", "issuer"] {
            let name = format!(r#"{kind}:CN=James \"Jim\" Smith\, III\\,O=a\ or\ b"#);
            assert_eq!(read(&format!("cn:a or {name} or cn:b")), ["cn:a", &name, "cn:b"]);
            let (kind, quoted) = name.split_once(':').unwrap();
            assert_eq!(read(&format!(r#"{kind}:"{quoted}" or cn:b"#)), [name.as_str(), "cn:b"]);
            assert_eq!(read(&format!(r#""{name}" or cn:b"#)), [name.as_str(), "cn:b"]);
        }
        assert_eq!(without_comment(r#"/ dn:CN=a\" # x"#), r#"/ dn:CN=a\" "#);
    }

    #[test]
    fn a_byte_order_mark_and_crlf_are_read() {
        let policy = parse("\u{feff}/ any\r\n/a cn:b\r\n", "p").unwrap();
        assert_eq!(policy.lines.values().count(), 2);
        let error = parse("/ any\n\u{feff}/a any\n", "p").unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }

    #[test]
    fn comments_begin_after_a_space() {
        assert_eq!(without_comment("/a any # all"), "/a any ");
        assert_eq!(without_comment("# all"), "");
        assert_eq!(without_comment("/a cn:c#"), "/a cn:c#");
        assert_eq!(without_comment(r##"/a cn:"x # y" # z"##), r##"/a cn:"x # y" "##);
        assert_eq!(without_comment(r##"/a cn:"x \" # y" # z"##), r##"/a cn:"x \" # y" "##);
        assert_eq!(without_comment(r##"/a cn:"x\\" # z"##), r##"/a cn:"x\\" "##);
    }
}
