//! The lines for requests.

use std::net::IpAddr;
use std::time::SystemTime;

use super::line::{Line, Lines, MOST, Style, fits};
use super::strangers::{Key, Kind, LeftOut};
use super::writer::Lost;
use crate::observer::Access;
use crate::trust::{Refusal, RefusalCode, Verdict};
use crate::x509::identity::Identity;

/// The stranger and the kind of line, if the client is not authorised.
pub(super) fn stranger(access: &Access<'_>) -> Option<Key> {
    let Verdict::Refused(refusal) = access.verdict else { return None };
    // A client that only a rule refuses has a valid certificate.
    if refusal.code() == RefusalCode::NotAllowed {
        return None;
    }
    let kind = Kind { is_request: true, name: name(access), code: refusal.code().as_str() };
    Some(Key::new(access.remote.ip(), kind))
}

/// `verdict` where it refused nothing: the request is for anyone, or failed for another reason.
fn name(access: &Access<'_>) -> &'static str {
    if access.refusal().is_some() { "refused" } else { "verdict" }
}

pub(super) fn line(style: Style, access: &Access<'_>, left_out: &LeftOut, lines: &mut Lines) {
    let Access { time, remote, method, target, bytes, .. } = *access;
    let (status, tls) = (u64::from(access.status), access.tls.as_str());
    let microseconds = u64::try_from(access.duration.as_micros()).unwrap_or(u64::MAX);
    let mut line = Line::new(style, time, lines);
    if line.is_text() {
        line.plain(remote).plain(" ");
        line.request(method, target);
        line.plain(" ").plain(status).plain(" ").plain(bytes).plain("B ").plain(microseconds).plain("us ").plain(tls);
    } else {
        line.word("remote", remote);
        line.field("method", method);
        line.field("target", target);
        line.number("status", status);
        line.number("bytes", bytes);
        line.number("microseconds", microseconds);
        line.word("tls", tls);
    }
    match access.verdict {
        Verdict::Authorised(identity) => client(&mut line, identity),
        Verdict::Refused(refusal) => {
            refused(&mut line, name(access), refusal);
            if access.refusal().is_some() {
                line.advice("repair", refusal.repair());
            }
        }
    }
    if let Some(request_id) = access.request_id {
        line.word(line.named("ref", "reference"), request_id);
    }
    leaves_out(&mut line, left_out);
    match access.note {
        Some(note) if line.is_text() => {
            line.plain(" (");
            line.prose(note, MOST);
            line.plain(")");
        }
        Some(note) => line.field("note", note),
        None => {}
    }
    line.end();
}

/// A line for the count of lines that were left out, if no further line of the kind has come.
pub(super) fn left_out(style: Style, now: SystemTime, key: &Key, left_out: &LeftOut, lines: &mut Lines) {
    let mut line = Line::new(style, now, lines);
    match (line.is_text(), key.address) {
        (true, Some(address)) => _ = line.plain(address),
        (true, None) => _ = line.plain("-"),
        (false, address) => remote(&mut line, address),
    }
    line.word(key.kind.name, key.kind.code);
    leaves_out(&mut line, left_out);
    line.end();
}

/// A line for the count of lines that were lost.
pub(super) fn lost(style: Style, now: SystemTime, lost: &Lost<'_>, lines: &mut Lines) {
    let (mut line, lost) = (Line::new(style, now, lines), lost.to_string());
    match line.is_text() {
        true => _ = line.plain("- (").plain(&*lost).plain(")"),
        false => line.field("note", &lost),
    }
    line.end();
}

/// The address; none for the shared count.
pub(super) fn remote(line: &mut Line<'_>, address: Option<IpAddr>) {
    if let Some(address) = address {
        line.word("remote", address);
    }
}

/// How many lines before this one were left out, and the ids of their requests.
pub(super) fn leaves_out(line: &mut Line<'_>, left_out: &LeftOut) {
    let LeftOut { count, request_ids } = left_out;
    if *count > 0 {
        line.number("left_out", *count);
    }
    if !request_ids.is_empty() {
        line.words(line.named("left_out_refs", "left_out_references"), request_ids);
    }
}

fn client(line: &mut Line<'_>, identity: &Identity) {
    let subject = identity.shown_subject();
    line.field("subject", &subject);
    if let Some(name) = identity.known_as() {
        line.field("known_as", name);
    }
    // In text the name is enough, if it is written in full.
    if !line.is_text() || !fits(&subject) {
        line.word("sha256", identity.sha256());
    }
}

/// The verdict on a client that is not authorised, and the certificate that it showed.
pub(super) fn refused(line: &mut Line<'_>, name: &str, refusal: &Refusal) {
    line.word(name, refusal.code().as_str());
    if let Some(identity) = refusal.unverified_certificate() {
        line.word("sha256", identity.sha256());
        line.field(line.named("subject", "unverified_subject"), &identity.shown_subject());
    }
    line.field("because", refusal.detail());
}
