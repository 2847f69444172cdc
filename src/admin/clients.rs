//! The authorised clients that were last seen, as JSON.

use crate::clock::timestamp;
use crate::escape::push_json;

use super::ledger::Client;

/// An array, who was seen last first.
pub(super) fn json(clients: &[Client]) -> String {
    let mut out = String::with_capacity(64 + clients.len() * 512);
    out.push_str("{\"clients\":[");
    for (number, client) in clients.iter().enumerate() {
        out.push_str(if number == 0 { "\n{" } else { ",\n{" });
        let facts = &*client.facts;
        member("subject", Some(&facts.subject), &mut out);
        member("sha256", Some(&facts.sha256), &mut out);
        member("serial", Some(&facts.serial), &mut out);
        member("issuer", Some(&facts.issuer), &mut out);
        let (ca, ca_sha256) = facts.authority.as_ref().map(|(subject, sha256)| (&**subject, &**sha256)).unzip();
        member("ca", ca, &mut out);
        member("ca_sha256", ca_sha256, &mut out);
        member("first_seen", Some(&timestamp(client.first_seen)), &mut out);
        member("last_seen", Some(&timestamp(client.last_seen)), &mut out);
        member("expires", Some(&timestamp(facts.not_after)), &mut out);
        out.push_str("\"requests\":");
        out.push_str(&client.requests.to_string());
        out.push('}');
    }
    out.push_str("\n]}\n");
    out
}

fn member(name: &str, value: Option<&str>, out: &mut String) {
    out.push('"');
    out.push_str(name);
    out.push_str("\":");
    match value {
        Some(value) => {
            out.push('"');
            push_json(value, usize::MAX, out);
            out.push('"');
        }
        None => out.push_str("null"),
    }
    out.push(',');
}
