//! What a policy says about one request, and why. It is decided without allocating, because every request asks; the words
//! are made only when they are read.

use std::fmt;

use crate::x509::identity::Identity;

use super::rule::Rule;

/// What a policy says about a request. It borrows from the policy, the request and the client's identity.
/// [`Display`](fmt::Display) names the line and the rule.
#[derive(Debug, Clone, Copy)]
pub enum Permission<'a> {
    /// Everyone may make it, even without a certificate.
    Anyone,
    /// The client may make it, by this line and rule.
    Granted(Grounds<'a>),
    /// A valid certificate is not enough, or is missing. With what came nearest.
    Denied(Grounds<'a>),
}

/// The line and the rule that decided; [`Display`](fmt::Display) writes them in words.
#[derive(Debug, Clone, Copy)]
pub struct Grounds<'a>(pub(super) Ground<'a>);

#[derive(Debug, Clone, Copy)]
pub(super) enum Ground<'a> {
    NoValidCertificate,
    /// There are no rules at all.
    AnyWithoutRules,
    Any {
        place: &'a str,
    },
    Rule {
        rule: &'a Rule,
        place: &'a str,
    },
    NoLine {
        path: &'a str,
    },
    NoRule {
        rules: &'a [Rule],
        identity: &'a Identity,
        place: &'a str,
    },
}

impl<'a> Permission<'a> {
    pub(super) fn granted(ground: Ground<'a>) -> Self {
        Self::Granted(Grounds(ground))
    }

    pub(super) fn denied(ground: Ground<'a>) -> Self {
        Self::Denied(Grounds(ground))
    }

    /// The one that allows less.
    pub(super) fn and(self, other: Self) -> Self {
        match (&self, &other) {
            (Self::Denied(_), _)
            | (Self::Granted(_), Self::Anyone | Self::Granted(_))
            | (Self::Anyone, Self::Anyone) => self,
            (_, Self::Denied(_)) | (Self::Anyone, Self::Granted(_)) => other,
        }
    }
}

impl fmt::Display for Permission<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anyone => f.write_str("anyone"),
            Self::Granted(grounds) | Self::Denied(grounds) => grounds.fmt(f),
        }
    }
}

impl fmt::Display for Grounds<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Ground::NoValidCertificate => f.write_str("no valid certificate"),
            Ground::AnyWithoutRules => f.write_str("every valid certificate is allowed"),
            Ground::Any { place } => write!(f, "any, {place}"),
            Ground::Rule { rule, place } => write!(f, "{rule}, {place}"),
            Ground::NoLine { path } => write!(f, "no line of the policy is for {path}"),
            Ground::NoRule { rules, identity, place } => {
                let all = rules.iter().map(|rule| (rule, rule.nearness(identity)));
                // The first of those that are equally near.
                match all.rev().max_by_key(|(_, (nearness, _))| *nearness) {
                    Some((rule, (_, why))) => write!(f, "the nearest rule is {rule} ({place}): {why}"),
                    None => Ok(()),
                }
            }
        }
    }
}
