//! The log through the `log` crate: whatever logger the application has installed gets the lines.

use std::time::SystemTime;

use ::log::Level;

use super::line::{Format, alone};
use super::strangers::LeftOut;
use super::{access, events};
use crate::observer::{Access, Event, Observer};

/// Hands each request and each event to the `log` crate, as one record with the text of an [`AccessLog`](super::AccessLog)
/// line, without the time.
///
/// | what | target | level |
/// | --- | --- | --- |
/// | a request | `mtls_min::access` | `info` |
/// | a request that was refused for who the client is (401, 403) | `mtls_min::access` | `warn` |
/// | an event: new files in force, and idle connections that are closed for it | `mtls_min::event` | `info` |
/// | an event: a handler that panicked, a failed refusal page, a connection that could not be accepted, files that are not valid | `mtls_min::event` | `error` |
/// | any other event | `mtls_min::event` | `warn` |
///
/// Values are cut and escaped as in an access log. Nothing is left out, so strangers can cause as many records as they make
/// requests. The logger is called on the thread that serves the client: one that blocks holds it up.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facade;

impl Observer for Facade {
    fn request(&self, access: &Access<'_>) {
        let level = if access.refusal().is_some() { Level::Warn } else { Level::Info };
        if ::log::log_enabled!(target: ACCESS, level) {
            let line = alone(access::line(Format::Text.into(), access, &LeftOut::default()));
            ::log::log!(target: ACCESS, level, "{}", after(&line, " "));
        }
    }

    fn event(&self, event: &Event<'_>) {
        let level = match event {
            Event::Reloaded { .. } | Event::IdleClosed { .. } => Level::Info,
            Event::Panicked { .. }
            | Event::RefusalPageFailed { .. }
            | Event::AcceptFailed { .. }
            | Event::ReloadFailed { .. } => Level::Error,
            _ => Level::Warn,
        };
        if ::log::log_enabled!(target: EVENT, level) {
            let (now, said) = (SystemTime::now(), events::said(Format::Text.into(), event));
            let line = alone(|lines| events::line(Format::Text.into(), now, &said, &LeftOut::default(), lines));
            ::log::log!(target: EVENT, level, "{}", after(&line, " mtls-min: "));
        }
    }
}

const ACCESS: &str = "mtls_min::access";
const EVENT: &str = "mtls_min::event";

/// The logger has its own time, and its own end of a line.
fn after<'l>(line: &'l str, mark: &str) -> &'l str {
    line.split_once(mark).map_or(line, |(_, rest)| rest).trim_end()
}
