//! The values of options: what is allowed, and what is said of what is not.

use std::ops::RangeInclusive;

use crate::config::{BODY_MEBIBYTES, CONNECTIONS, SECONDS, WORKERS};
use crate::log::Format;

/// What `--log` asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum LogForm {
    Of(Format),
    /// No line for a request. Everything else is written all the same, as text.
    Off,
}

/// A time in seconds, fractions allowed.
pub(super) fn seconds(text: &str) -> Result<std::time::Duration, String> {
    let (least, most) = (SECONDS.start(), SECONDS.end());
    let valid = text.parse().ok().filter(|seconds| SECONDS.contains(seconds));
    valid
        .map(std::time::Duration::from_secs_f64)
        .ok_or_else(|| format!("not a number of seconds from {least} to {most}"))
}

/// The same, or none.
pub(super) fn delay(text: &str) -> Result<std::time::Duration, String> {
    match text.parse() {
        Ok(0.0) => Ok(std::time::Duration::ZERO),
        _ => seconds(text).map_err(|error| format!("{error}, or 0")),
    }
}

pub(super) fn log_form(text: &str) -> Result<LogForm, String> {
    match text {
        "text" => Ok(LogForm::Of(Format::Text)),
        "json" => Ok(LogForm::Of(Format::Json)),
        "off" => Ok(LogForm::Off),
        _ => Err("not a form of log: text, json or off".to_owned()),
    }
}

pub(super) fn number_of_workers(text: &str) -> Result<usize, String> {
    number(text, WORKERS)
}

pub(super) fn connections(text: &str) -> Result<usize, String> {
    number(text, CONNECTIONS)
}

pub(super) fn mebibytes(text: &str) -> Result<usize, String> {
    number(text, BODY_MEBIBYTES)
}

fn number(text: &str, range: RangeInclusive<usize>) -> Result<usize, String> {
    let valid = text.parse().ok().filter(|number| range.contains(number));
    valid.ok_or_else(|| format!("not a number from {} to {}", range.start(), range.end()))
}
