//! What `mtls-min check` prints: the decision and the facts that it is based on, as a tree for people or as JSON for programs.

use std::time::SystemTime;

use http::Method;
use rustls::pki_types::CertificateDer;

use super::words::of_command;
use crate::clock::{timestamp, whole_days};
use crate::escape::json as json_string;
use crate::trust::{Decision, Judgement, Refusal, RefusalCode, Trust, Verdict, decide, judge, not_allowed};
use crate::x509::certificate::Certificate;
use crate::x509::identity::Identity;

/// The decision, and the facts that it is based on.
pub(super) struct Report {
    outcome: Outcome,
    subject: String,
    facts: Vec<Fact>,
}

enum Outcome {
    Authorised,
    /// The certificate is refused, but the path is open to everyone.
    Anyone(RefusalCode),
    Refused(RefusalCode),
}

/// A fact in words and as a JSON value; its name is the key of the JSON member.
struct Fact {
    name: &'static str,
    text: String,
    json: String,
}

impl Fact {
    fn new(name: &'static str, text: String, json: String) -> Self {
        Self { name, text, json }
    }

    /// A fact whose JSON value is the same words.
    fn words(name: &'static str, text: String) -> Self {
        let json = json_string(&text);
        Self { name, text, json }
    }
}

impl Report {
    pub(super) fn new(
        chain: &[CertificateDer<'_>],
        trust: &Trust,
        method: &Method,
        path: &str,
        now: SystemTime,
    ) -> Self {
        let Judgement { verdict, valid_until, anchor } = judge(chain, trust, now);
        let (decision, permission) = decide(&verdict, trust.policy(), method, path);
        let refusal = match (decision, &verdict) {
            (Decision::NotAllowed { identity, why }, _) => Some(not_allowed(identity, why)),
            (_, Verdict::Refused(refusal)) => Some(Refusal::clone(refusal)),
            (_, Verdict::Authorised(_)) => None,
        };
        let outcome = match (decision, refusal.as_ref().map(Refusal::code)) {
            (Decision::ForAnyone, Some(code)) => Outcome::Anyone(code),
            (_, Some(code)) => Outcome::Refused(code),
            (_, None) => Outcome::Authorised,
        };
        let mut facts = Vec::new();
        // For a certificate that cannot be read, the reason is the only fact.
        let certificate = chain.first().and_then(|der| Certificate::parse(der).ok());
        let identity = match (&verdict, &certificate) {
            (Verdict::Authorised(identity), _) => Some(identity.clone()),
            (_, Some(certificate)) => Some(Identity::of(certificate)),
            _ => None,
        };
        if let (Some(identity), Some(certificate)) = (&identity, &certificate) {
            facts.extend(certificate_facts(identity, certificate, now));
            facts.extend(names_fact(identity));
            facts.push(anchor_fact(&verdict, anchor.as_ref()));
            facts.push(revocation_fact(certificate, trust));
        }
        facts.push(Fact::words("rule", format!("{method} {path}: {permission}")));
        if let Some(until) = valid_until {
            facts.push(Fact::words("stands_until", timestamp(until)));
        }
        if let Some(refusal) = refusal {
            facts.push(Fact::words("because", refusal.detail().to_owned()));
            facts.push(Fact::words("repair", of_command(refusal.repair()).into_owned()));
        }
        let subject =
            identity.map_or_else(|| "unreadable".to_owned(), |identity| identity.shown_subject().into_owned());
        Self { outcome, subject, facts }
    }

    /// Whether the server would let the request through.
    pub(super) fn lets_in(&self) -> bool {
        !matches!(self.outcome, Outcome::Refused(_))
    }

    pub(super) fn tree(&self) -> String {
        let decision = match self.outcome {
            Outcome::Authorised => "authorised".to_owned(),
            Outcome::Anyone(code) => format!("for anyone, certificate refused: {code}"),
            Outcome::Refused(code) => format!("refused: {code}"),
        };
        let mut text = format!("{decision}  {}\n", self.subject);
        for (at, Fact { name, text: value, .. }) in (1..).zip(&self.facts) {
            let branch = if at == self.facts.len() { "└─" } else { "├─" };
            text.push_str(&format!("{branch} {:<13} {value}\n", name.replace('_', " ")));
        }
        text
    }

    pub(super) fn json(&self) -> String {
        let (decision, code) = match self.outcome {
            Outcome::Authorised => ("authorised", None),
            Outcome::Anyone(code) => ("anyone", Some(code)),
            Outcome::Refused(code) => ("refused", Some(code)),
        };
        let mut members = vec![("decision", json_string(decision))];
        members.extend(code.map(|code| ("code", json_string(code.as_str()))));
        members.push(("subject", json_string(&self.subject)));
        members.extend(self.facts.iter().map(|fact| (fact.name, fact.json.clone())));
        object(members) + "\n"
    }
}

fn certificate_facts(identity: &Identity, certificate: &Certificate<'_>, now: SystemTime) -> [Fact; 4] {
    let (sha256, serial) = (identity.sha256(), identity.serial());
    let (from, until) = (timestamp(identity.not_before()), timestamp(identity.not_after()));
    let state = match identity.expires_in(now) {
        _ if now < identity.not_before() => "not valid yet".to_owned(),
        Some(left) => format!("{} days left", whole_days(left)),
        None => "expired".to_owned(),
    };
    let usage = match (certificate.may_authenticate_clients, certificate.is_ca()) {
        (true, false) => "may authenticate clients",
        (false, _) => "may not authenticate clients (extendedKeyUsage)",
        (true, true) => "it is a CA's",
    };
    [
        Fact::new(
            "certificate",
            format!("sha256 {sha256}, serial {serial}"),
            object([("sha256", json_string(sha256)), ("serial", json_string(serial))]),
        ),
        Fact::new(
            "dates",
            format!("{from} to {until}: {state}"),
            object([("not_before", json_string(&from)), ("not_after", json_string(&until))]),
        ),
        Fact::new(
            "usage",
            usage.to_owned(),
            object([
                ("may_authenticate_clients", certificate.may_authenticate_clients.to_string()),
                ("is_ca", certificate.is_ca().to_string()),
            ]),
        ),
        Fact::words("issuer", identity.issuer().to_owned()),
    ]
}

/// The alternative names, if there are any, as they are written in rules.
fn names_fact(identity: &Identity) -> Option<Fact> {
    let names = identity.alternative_names();
    let json = names.iter().map(|name| json_string(name)).collect::<Vec<_>>().join(",");
    (!names.is_empty()).then(|| Fact::new("names", names.join(", "), format!("[{json}]")))
}

fn anchor_fact(verdict: &Verdict, anchor: Option<&Identity>) -> Fact {
    let text = match (verdict, anchor) {
        (_, Some(anchor)) => {
            let (subject, sha256, until) = (anchor.subject(), anchor.sha256(), timestamp(anchor.not_after()));
            let json = object([
                ("subject", json_string(subject)),
                ("sha256", json_string(sha256)),
                ("not_after", json_string(&until)),
            ]);
            return Fact::new("anchor", format!("{subject}, sha256 {sha256}, valid until {until}"), json);
        }
        (Verdict::Authorised(identity), None) => match identity.known_as() {
            Some(name) => format!("none: let in by itself, as the authorised client {name}"),
            None => "none: let in by itself, since it stands in a --ca file".to_owned(),
        },
        (Verdict::Refused(_), None) => {
            "none: as far as signatures can be checked, the chain does not lead to a loaded CA".to_owned()
        }
    };
    Fact::new("anchor", text, "null".to_owned())
}

/// What the revocation list of its issuer says about the certificate.
fn revocation_fact(certificate: &Certificate<'_>, trust: &Trust) -> Fact {
    let Some(crl) = trust.crl_for(certificate) else {
        return Fact::new("revocation", "no list of its issuer is loaded".to_owned(), "null".to_owned());
    };
    let number = crl.number().map_or_else(|| "null".to_owned(), |number| json_string(&number));
    let (made, due) = (timestamp(crl.this_update()), timestamp(crl.next_update()));
    let (entry, entry_json) = match crl.entry(certificate.serial) {
        Some((date, reason)) => (
            format!("revoked on {}, reason {reason}", timestamp(date)),
            object([("date", json_string(&timestamp(date))), ("reason", json_string(reason))]),
        ),
        None => ("no entry".to_owned(), "null".to_owned()),
    };
    Fact::new(
        "revocation",
        format!("{crl}, as of {made}, {} revoked, next due on {due}: {entry}", crl.revoked()),
        object([
            ("number", number),
            ("issuer", json_string(crl.issuer().subject())),
            ("this_update", json_string(&made)),
            ("next_update", json_string(&due)),
            ("revoked", crl.revoked().to_string()),
            ("entry", entry_json),
        ]),
    )
}

/// A JSON object with these members; their values are JSON already.
fn object<'m>(members: impl IntoIterator<Item = (&'m str, String)>) -> String {
    let members: Vec<_> = members.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}
