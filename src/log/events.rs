//! The lines for events: what happens outside of requests.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::SystemTime;

use super::access::{leaves_out, refused, remote};
use super::line::{Line, Lines, MOST, MOST_OF_OURS, Style};
use super::strangers::{Key, Kind, LeftOut};
use crate::clock::whole_days;
use crate::escape::push_prose;
use crate::observer::Event;
use crate::tls::failure::TlsFailure;
use crate::trust::{Refusal, Trust, TrustKind};

/// An event in words.
pub(super) struct Said<'e> {
    /// What kind of event, for programs.
    kind: &'static str,
    /// The client that caused it, if one did.
    remote: Option<SocketAddr>,
    /// The code of the failure, or the phase, for programs.
    code: Option<&'static str>,
    message: Cow<'e, str>,
    repair: Option<&'static str>,
    /// Why the client's certificate was refused.
    refusal: Option<&'e Refusal>,
}

impl<'e> Said<'e> {
    fn by(remote: SocketAddr, kind: &'static str, message: impl Into<Cow<'e, str>>) -> Self {
        Self { remote: Some(remote), ..Self::of_ours(kind, message) }
    }

    fn of_ours(kind: &'static str, message: impl Into<Cow<'e, str>>) -> Self {
        Self { kind, remote: None, code: None, message: message.into(), repair: None, refusal: None }
    }

    fn failed(self, failure: &'e TlsFailure) -> Self {
        Self { code: Some(failure.code()), repair: Some(failure.repair()), refusal: failure.refusal(), ..self }
    }
}

/// The stranger and the kind of line, if a client can cause such lines at will.
pub(super) fn stranger(event: &Event<'_>) -> Option<Key> {
    let kind = |name, code| Kind { is_request: false, name, code };
    let of = |remote: &SocketAddr, name, code| Some(Key::new(remote.ip(), kind(name, code)));
    match event {
        Event::HandshakeFailed { remote, failure } => of(remote, "handshake_failed", failure.code()),
        Event::SessionFailed { remote, failure, .. } => of(remote, "session_failed", failure.code()),
        Event::ProxyRefused { remote, failure } => of(remote, "proxy_refused", failure.code()),
        Event::PlainHttp { remote } => of(remote, "plain_http", ""),
        Event::TimedOut { remote, phase } => of(remote, "timed_out", phase.as_str()),
        Event::Panicked { remote, .. } => of(remote, "panicked", ""),
        Event::RefusalPageFailed { remote, .. } => of(remote, "refusal_page_failed", ""),
        Event::Shed { remote, .. } => of(remote, "shed", ""),
        // Clients that use up all open files cause it; which ones is unknown.
        Event::AcceptFailed { .. } => Some(Key { address: None, kind: kind("accept_failed", "") }),
        // A flood may come from very many addresses.
        Event::TurnedAway { .. } => Some(Key { address: None, kind: kind("turned_away", "") }),
        Event::ClientExpires { .. }
        | Event::FloodBegan
        | Event::FloodEnded { .. }
        | Event::Reloaded { .. }
        | Event::IdleClosed { .. }
        | Event::ReloadFailed { .. }
        | Event::Warning { .. } => None,
    }
}

/// Lines wait for the one that is being written, so this comes before.
pub(super) fn said<'e>(style: Style, event: &'e Event<'_>) -> Said<'e> {
    match event {
        Event::HandshakeFailed { remote, failure } => {
            let message = match failure.refusal() {
                Some(_) => "refused in the handshake".to_owned(),
                None => format!("the handshake failed: {failure}"),
            };
            Said::by(*remote, "handshake_failed", message).failed(failure)
        }
        Event::SessionFailed { remote, phase, failure } => {
            Said::by(*remote, "session_failed", format!("TLS failed after the handshake, in phase {phase}: {failure}"))
                .failed(failure)
        }
        Event::ProxyRefused { remote, failure } => Said {
            code: Some(failure.code()),
            repair: Some(failure.repair()),
            ..Said::by(*remote, "proxy_refused", failure.to_string())
        },
        Event::PlainHttp { remote } => Said::by(*remote, "plain_http", "speaks HTTP without TLS"),
        Event::TimedOut { remote, phase } => {
            let message = format!("too slow, closed in phase {phase}");
            Said { code: Some(phase.as_str()), ..Said::by(*remote, "timed_out", message) }
        }
        Event::Panicked { remote, message } => Said::by(*remote, "panicked", format!("a handler panicked: {message}")),
        Event::RefusalPageFailed { remote, reason } => {
            Said::by(*remote, "refusal_page_failed", format!("the refusal page failed: {reason}"))
        }
        Event::Shed { remote, connections } => {
            let setting = (style.words)("`Builder::max_connections`");
            let message = format!("closed, there are {connections} connections ({setting})");
            Said::by(*remote, "shed", message)
        }
        Event::TurnedAway { remote } => Said::by(*remote, "turned_away", "closed, too many handshakes wait already"),
        Event::FloodBegan => {
            let message = "the server is busy: handshakes from networks where no client was lately authorised have waited for 2 seconds; \
                           if too many wait, further connections are closed";
            Said::of_ours("flood_began", message)
        }
        Event::FloodEnded { duration, turned_away } => {
            let closed = counted(*turned_away, "connection was", "connections were");
            let seconds = duration.as_secs();
            let message =
                format!("handshakes no longer have to wait; some had to for {seconds} seconds, and {closed} closed");
            Said::of_ours("flood_ended", message)
        }
        Event::AcceptFailed { error, pause } => {
            let pause = pause.as_millis();
            let message = format!("cannot accept a connection: {error}; trying again in {pause} ms");
            Said::of_ours("accept_failed", message)
        }
        Event::ClientExpires { identity, left } => {
            let (subject, sha256, days) = (short(&identity.shown_subject()), identity.sha256(), whole_days(*left));
            let message = format!("warning: the certificate of {subject} expires in {days} days, sha256 {sha256}");
            Said::of_ours("client_expires", message)
        }
        Event::Reloaded { trust, certificate } => {
            let (trust, server) = (summary(trust), certificate.summary());
            Said::of_ours("reloaded", format!("read the files anew; in force: {trust}; server {server}"))
        }
        Event::IdleClosed { connections } => {
            let closed = match connections {
                1 => "1 idle connection of a client that is".to_owned(),
                _ => format!("{connections} idle connections of clients that are"),
            };
            Said::of_ours("idle_closed", format!("closed {closed} now refused"))
        }
        Event::ReloadFailed { error } => {
            let error = error.in_full(style.words);
            let message = format!("the files have changed, but what was read before stays in force: {error}");
            Said::of_ours("reload_failed", message)
        }
        Event::Warning { text } => Said::of_ours("warning", format!("warning: {text}")),
    }
}

pub(super) fn line(style: Style, now: SystemTime, said: &Said<'_>, left_out: &LeftOut, lines: &mut Lines) {
    let most = if said.remote.is_some() { MOST } else { MOST_OF_OURS };
    let mut line = begun(style, now, said.kind, lines);
    if line.is_text() {
        if let Some(remote) = said.remote {
            line.plain(remote).plain(": ");
        }
        line.prose(&said.message, most);
    } else {
        if let Some(remote) = said.remote {
            line.word("remote", remote);
        }
        line.bounded_field("message", &said.message, most);
    }
    match said.refusal {
        Some(refusal) => refused(&mut line, "refused", refusal),
        None => said.code.into_iter().for_each(|code| line.word("code", code)),
    }
    if let Some(repair) = said.repair {
        line.advice("repair", repair);
    }
    leaves_out(&mut line, left_out);
    line.end();
}

/// A line about the server itself.
pub(super) fn notice(style: Style, now: SystemTime, kind: &'static str, text: &str, lines: &mut Lines) {
    line(style, now, &Said::of_ours(kind, text), &LeftOut::default(), lines);
}

/// A line for the count of lines that were left out, if no further line of the kind has come.
pub(super) fn left_out(style: Style, now: SystemTime, key: &Key, left_out: &LeftOut, lines: &mut Lines) {
    let Kind { name, code, .. } = key.kind;
    let mut line = begun(style, now, name, lines);
    match (line.is_text(), key.address) {
        (true, Some(address)) => _ = line.plain(address).plain(": ").plain(name),
        (true, None) => _ = line.plain("other addresses: ").plain(name),
        (false, address) => remote(&mut line, address),
    }
    if !code.is_empty() {
        line.word("code", code);
    }
    leaves_out(&mut line, left_out);
    line.end();
}

fn begun<'l>(style: Style, now: SystemTime, kind: &'static str, lines: &'l mut Lines) -> Line<'l> {
    let mut line = Line::new(style, now, lines);
    match line.is_text() {
        true => _ = line.plain("mtls-min: "),
        false => line.word("event", kind),
    }
    line
}

fn short(name: &str) -> String {
    let mut text = String::new();
    push_prose(name, MOST, &mut text);
    text.trim_end().to_owned()
}

/// What is trusted, in a line.
pub(crate) fn summary(trust: &Trust) -> String {
    let of_kind = |kind| trust.entries().iter().filter(|entry| entry.kind() == kind).count();
    let mut text = counted(of_kind(TrustKind::Ca), "CA", "CAs");
    // Writing to a string cannot fail.
    let pinned = counted(of_kind(TrustKind::PinnedClient), "pinned client", "pinned clients");
    let _ = write!(text, ", {pinned}");
    if let Some(clients) = trust.authorized_clients() {
        let _ = write!(text, ", {}", counted(clients, "authorised client", "authorised clients"));
    }
    for crl in trust.crls() {
        let _ = write!(text, ", {crl} with {} revoked", crl.revoked());
    }
    if trust.policy().len() > 0 {
        let _ = write!(text, ", {}", counted(trust.policy().len(), "line of policy", "lines of policy"));
    }
    text
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::super::line::{Format, alone};
    use super::*;

    #[test]
    fn a_refusal_page_that_fails_is_not_called_a_handler() {
        let event = Event::RefusalPageFailed { remote: ([127, 0, 0, 1], 1).into(), reason: "it panicked: oh" };
        let line = |format: Format| {
            alone(|lines| {
                line(format.into(), SystemTime::UNIX_EPOCH, &said(format.into(), &event), &LeftOut::default(), lines)
            })
        };
        let text = line(Format::Text);
        assert!(text.ends_with("127.0.0.1:1: the refusal page failed: it panicked: oh\n"), "{text}");
        let json = line(Format::Json);
        assert!(json.contains(r#""event":"refusal_page_failed""#), "{json}");
    }
}
