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

/// Writes the line of a request. What takes longer is done before: other lines wait while one is written.
pub(super) fn line<'a>(style: Style, access: &'a Access<'_>, left_out: &'a LeftOut) -> impl FnOnce(&mut Lines) + 'a {
    let repair = access.refusal().map(|refusal| (style.words)(refusal.repair()));
    move |lines| write(style, access, repair.as_deref(), left_out, lines)
}

fn write(style: Style, access: &Access<'_>, repair: Option<&str>, left_out: &LeftOut, lines: &mut Lines) {
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
            if let Some(repair) = repair {
                line.field("repair", repair);
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

#[cfg(test)]
mod tests {
    use super::super::line::{Format, alone};
    use super::*;
    use crate::escape::{push_json, push_prose};
    use crate::tls::session::TlsVersion;
    use proptest::prelude::*;
    use std::net::SocketAddr;
    use std::sync::Arc;
    use std::time::Duration;

    /// What a line is meant to be, written in the plainest way.
    fn wanted(format: Format, access: &Access<'_>, time: &str, left_out: &LeftOut) -> String {
        let escaped = |value: &str, push: fn(&str, usize, &mut String)| {
            let mut out = String::new();
            push(value, MOST, &mut out);
            out
        };
        let [method, target, note] =
            [access.method, access.target, access.note.unwrap_or_default()].map(|value| escaped(value, push_json));
        let Verdict::Refused(refusal) = access.verdict else { unreachable!("all are refused here") };
        let [because, repair] = [refusal.detail(), refusal.repair()].map(|value| escaped(value, push_json));
        let (name, code, tls) = (name(access), refusal.code(), access.tls.as_str());
        let Access { remote, status, bytes, .. } = access;
        let (microseconds, count, ids) = (access.duration.as_micros(), left_out.count, &left_out.request_ids);
        let some = |is: bool, text: String| if is { text } else { String::new() };
        match format {
            Format::Text => [
                format!("{time} {remote} \"{method} {target}\" {status} {bytes}B {microseconds}us {tls}"),
                format!(" {name}={code} because=\"{because}\""),
                access.request_id.map(|id| format!(" repair=\"{repair}\" ref={id}")).unwrap_or_default(),
                some(count > 0, format!(" left_out={count}")),
                some(!ids.is_empty(), format!(" left_out_refs={}", ids.join(","))),
                access.note.map(|note| format!(" ({})", escaped(note, push_prose))).unwrap_or_default(),
                "\n".to_owned(),
            ]
            .concat(),
            Format::Json => [
                format!(
                    "{{\"time\":\"{time}\",\"remote\":\"{remote}\",\"method\":\"{method}\",\"target\":\"{target}\","
                ),
                format!("\"status\":{status},\"bytes\":{bytes},\"microseconds\":{microseconds},\"tls\":\"{tls}\","),
                format!("\"{name}\":\"{code}\",\"because\":\"{because}\""),
                access
                    .request_id
                    .map(|id| format!(",\"repair\":\"{repair}\",\"reference\":\"{id}\""))
                    .unwrap_or_default(),
                some(count > 0, format!(",\"left_out\":{count}")),
                some(!ids.is_empty(), format!(",\"left_out_references\":[\"{}\"]", ids.join("\",\""))),
                access.note.map(|_| format!(",\"note\":\"{note}\"")).unwrap_or_default(),
                "}\n".to_owned(),
            ]
            .concat(),
        }
    }

    proptest! {
        #[test]
        fn a_line_is_what_it_is_meant_to_be(
            (seconds, milliseconds) in (0..86_400_u64, 0..1000_u64),
            (v6, ip, port) in any::<(bool, u128, u16)>(),
            (status, bytes, microseconds) in any::<(u16, u64, u64)>(),
            (method, target, detail, note) in any::<(String, String, String, Option<String>)>(),
            is_refused in any::<bool>(), count in 0..3_u64,
        ) {
            let v4 = SocketAddr::from(((ip as u32).to_be_bytes(), port));
            let verdict = Verdict::Refused(Arc::new(Refusal::new(RefusalCode::Expired, detail, None)));
            let access = Access {
                time: SystemTime::UNIX_EPOCH + Duration::from_millis(seconds * 1000 + milliseconds),
                remote: if v6 { SocketAddr::from((ip.to_be_bytes(), port)) } else { v4 },
                tls: TlsVersion::Tls13,
                method: &method,
                target: &target,
                status,
                bytes,
                duration: Duration::from_micros(microseconds),
                verdict: &verdict,
                request_id: is_refused.then_some("0123456789ab"),
                note: note.as_deref(),
                forwarded: None,
            };
            let left_out = LeftOut { count, request_ids: (0..count).map(|number| format!("id{number}")).collect() };
            let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
            let time = format!("1970-01-01T{hours:02}:{minutes:02}:{seconds:02}.{milliseconds:03}Z");
            for format in [Format::Text, Format::Json] {
                let line = alone(line(format.into(), &access, &left_out));
                prop_assert_eq!(line, wanted(format, &access, &time, &left_out));
            }
        }
    }
}
