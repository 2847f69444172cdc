//! Whether clients should be sent to this server, and if not, why.

use crate::clock::timestamp;
use crate::escape::visible;
use crate::server::status::Status;
use crate::trust::TrustKind;

use super::reply::Reply;

/// 200, or 503 and the reasons, one a line. What the operator should know, though it is no reason, follows.
pub(super) fn answer(status: &Status) -> Reply {
    let reasons = reasons(status);
    let mut text = if reasons.is_empty() { "ready\n".to_owned() } else { String::new() };
    for reason in &reasons {
        text.push_str(&visible(reason));
        text.push('\n');
    }
    if let Some(failure) = &status.reload_failure {
        text.push_str("note: the last reload failed, and what was in force before still is: ");
        text.push_str(&visible(failure));
        text.push('\n');
    }
    Reply::text(if reasons.is_empty() { 200 } else { 503 }, text)
}

fn reasons(status: &Status) -> Vec<String> {
    let mut reasons = Vec::new();
    let now = status.time;
    if status.is_stopping {
        reasons.push("the server is stopping".to_owned());
    } else if status.connections.most == 0 {
        reasons.push("the server does not serve yet".to_owned());
    }
    let certificate = status.certificate.identity();
    if certificate.expires_in(now).is_none() {
        let (subject, until) = (certificate.subject(), timestamp(certificate.not_after()));
        reasons.push(format!("the server's certificate {subject} expired on {until}"));
    } else if now < certificate.not_before() {
        let (subject, from) = (certificate.subject(), timestamp(certificate.not_before()));
        reasons.push(format!("the server's certificate {subject} is not valid until {from}"));
    }
    for entry in status.trust.entries().iter().filter(|entry| entry.kind() == TrustKind::Ca) {
        let authority = entry.identity();
        if authority.expires_in(now).is_none() {
            let (subject, until) = (authority.subject(), timestamp(authority.not_after()));
            reasons.push(format!("the CA {subject} expired on {until}"));
        }
    }
    if status.trust.refuses_by_stale_lists() {
        let lists = status.trust.crls().filter(|list| !list.is_only_remembered());
        for list in lists.filter(|list| list.next_update() <= now) {
            let (subject, due) = (list.issuer().subject(), timestamp(list.next_update()));
            reasons.push(format!("the revocation list of {subject} is stale since {due}: its clients are refused"));
        }
    }
    reasons
}
