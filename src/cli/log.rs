//! The access log on stdout, one line a request, and what else happens on stderr.

use std::fmt::Write as _;
use std::time::SystemTime;

use super::writer::LineWriter;
use crate::error::Error;
use crate::identity::visible;
use crate::observer::{Access, Event, Observer};
use crate::trust::{Refusal, Trust, TrustKind, Verdict};

/// How the access log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Form {
    #[default]
    Text,
    Json,
}

impl argh::FromArgValue for Form {
    fn from_arg_value(value: &str) -> Result<Self, String> {
        match value {
            "text" => Ok(Form::Text),
            "json" => Ok(Form::Json),
            _ => Err("not a form of log: text or json".to_owned()),
        }
    }
}

/// Writes the log. Clones write the same one.
#[derive(Debug, Clone)]
pub(super) struct Log {
    form: Form,
    requests: LineWriter,
    events: LineWriter,
}

impl Log {
    /// # Errors
    /// A thread cannot be started.
    pub(super) fn start(form: Form) -> Result<Self, Error> {
        let failed = |error| Error::new("cannot start a thread").caused_by(error);
        let requests = LineWriter::start(std::io::stdout(), move |lost| match form {
            Form::Text => format!("{}\n", dropped(lost)),
            Form::Json => format!("{{\"note\":{}}}\n", quoted(&dropped(lost))),
        });
        let events = LineWriter::start(std::io::stderr(), |lost| format!("mtls-min: {}\n", dropped(lost)));
        Ok(Self { form, requests: requests.map_err(failed)?, events: events.map_err(failed)? })
    }

    /// Says something about the server itself.
    pub(super) fn say(&self, text: &str) {
        self.events.line(&format!("mtls-min: {text}\n"));
    }

    /// Waits a moment for the last lines to be taken.
    pub(super) fn finish(&self) {
        self.requests.finish();
        self.events.finish();
    }
}

fn dropped(lines: u64) -> String {
    format!("{lines} lines of the log were dropped here, since nobody read them")
}

impl Observer for Log {
    fn request(&self, access: &Access<'_>) {
        self.requests.line(&match self.form {
            Form::Text => text(access),
            Form::Json => json(access),
        });
    }

    fn event(&self, event: &Event<'_>) {
        self.say(&describe(event));
    }
}

fn text(access: &Access<'_>) -> String {
    let Access { remote, method, target, status, bytes, .. } = access;
    let mut line = format!(
        "{} {remote} \"{method} {target}\" {status} {bytes}B {}us {}",
        time(access.time),
        access.duration.as_micros(),
        access.tls.as_str(),
    );
    // Writing to a string cannot fail; the same below.
    let _ = match access.verdict {
        Verdict::Authorised(identity) => match identity.known_as() {
            Some(name) => write!(line, " subject={} known_as={}", quoted(&identity.shown_subject()), quoted(name)),
            None => write!(line, " subject={}", quoted(&identity.shown_subject())),
        },
        Verdict::Refused(refusal) => write!(line, " {}", refusal_text(refusal)),
    };
    if let Some(reference) = access.reference {
        let _ = write!(line, " ref={reference}");
    }
    if let Some(note) = access.note {
        let _ = write!(line, " ({note})");
    }
    line.push('\n');
    line
}

/// `refused=expired sha256=… subject="…" because="…" repair="…"`
fn refusal_text(refusal: &Refusal) -> String {
    let mut text = format!("refused={}", refusal.code());
    if let Some(identity) = refusal.unverified_certificate() {
        let _ = write!(text, " sha256={} subject={}", identity.sha256(), quoted(&identity.shown_subject()));
    }
    let _ = write!(text, " because={} repair={}", quoted(refusal.detail()), quoted(refusal.repair()));
    text
}

fn json(access: &Access<'_>) -> String {
    let mut line = format!(
        "{{\"time\":\"{}\",\"remote\":\"{}\",\"method\":{},\"target\":{},\"status\":{},\"bytes\":{},\"microseconds\":{},\"tls\":\"{}\"",
        time(access.time),
        access.remote,
        quoted(access.method),
        quoted(access.target),
        access.status,
        access.bytes,
        access.duration.as_micros(),
        access.tls.as_str(),
    );
    let mut field = |name: &str, value: &str| {
        let _ = write!(line, ",\"{name}\":{}", quoted(value));
    };
    match access.verdict {
        Verdict::Authorised(identity) => {
            field("subject", &identity.shown_subject());
            if let Some(name) = identity.known_as() {
                field("known_as", name);
            }
            field("sha256", identity.sha256());
        }
        Verdict::Refused(refusal) => {
            field("refused", refusal.code().as_str());
            if let Some(identity) = refusal.unverified_certificate() {
                field("unverified_subject", &identity.shown_subject());
                field("sha256", identity.sha256());
            }
            field("because", refusal.detail());
            field("repair", refusal.repair());
        }
    }
    if let Some(reference) = access.reference {
        field("reference", reference);
    }
    if let Some(note) = access.note {
        field("note", note);
    }
    line.push_str("}\n");
    line
}

fn describe(event: &Event<'_>) -> String {
    match event {
        Event::HandshakeFailed { remote, error, refusal: None } => {
            format!("{remote}: handshake failed: {}", visible(error))
        }
        Event::HandshakeFailed { remote, refusal: Some(refusal), .. } => {
            format!("{remote}: refused in the handshake: {}", refusal_text(refusal))
        }
        Event::PlainHttp { remote } => format!("{remote}: speaks HTTP without TLS"),
        Event::TimedOut { remote, phase } => format!("{remote}: too slow, closed in phase {phase}"),
        Event::Panicked { remote, message } => format!("{remote}: a handler panicked: {}", visible(message)),
        Event::Shed { remote, connections } => {
            format!("{remote}: closed, there are {connections} connections (--max-connections)")
        }
        Event::ClientExpires { identity, left } => {
            let days = left.as_secs() / 86_400;
            format!(
                "warning: the certificate of {} expires in {days} days, sha256 {}",
                identity.shown_subject(),
                identity.sha256()
            )
        }
        Event::Reloaded { trust } => format!("read the files anew; in force: {}", summary(trust)),
        Event::ReloadFailed { error } => {
            format!("the files have changed, but what was read before stays in force: {}", visible(&error.in_full()))
        }
        Event::Warning { text } => format!("warning: {text}"),
        Event::AcceptFailed { error, pause } => {
            format!("cannot accept a connection: {error}; trying again in {} ms", pause.as_millis())
        }
    }
}

/// What is trusted, in a line.
pub(super) fn summary(trust: &Trust) -> String {
    let of_kind = |kind| trust.entries().iter().filter(|entry| entry.kind() == kind).count();
    let mut text = format!("{} CAs, {} pinned clients", of_kind(TrustKind::Ca), of_kind(TrustKind::PinnedClient));
    if let Some(clients) = trust.authorized_clients() {
        let _ = write!(text, ", {clients} authorised clients");
    }
    for crl in trust.crls() {
        let _ =
            write!(text, ", list number {} of {} with {} revoked", crl.number(), crl.issuer().subject(), crl.revoked());
    }
    if trust.policy().len() > 0 {
        let _ = write!(text, ", {} lines of policy", trust.policy().len());
    }
    text
}

fn time(time: SystemTime) -> String {
    // The request's time is the clock's; years before 1970 or after 9999 cannot be written.
    let time = time.max(SystemTime::UNIX_EPOCH);
    let mut text = String::new();
    match write!(text, "{}", humantime::format_rfc3339_millis(time)) {
        Ok(()) => text,
        Err(_) => "-".to_owned(),
    }
}

/// A JSON string (RFC 8259, section 7), with what could mislead a terminal escaped too.
pub(super) fn quoted(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() || c == '\u{2028}' || c == '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
