//! One line of a log, as text or as JSON. Its values are cut and escaped, so that they cannot be mistaken for anything else.

use std::time::SystemTime;

use super::plain::Plain;
use crate::clock::LogTimes;
use crate::error::{Words, of_library};
use crate::escape::{push_json, push_prose};

/// How a log is written. Defaults to text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// Lines for people.
    #[default]
    Text,
    /// Lines for programs, one JSON object each.
    Json,
}

/// The most characters of a value that are written; then comes an ellipsis.
pub(super) const MOST: usize = 256;

/// The same for what the server says of its own files, which are the operator's.
pub(super) const MOST_OF_OURS: usize = 4096;

/// A format, and the words for the library's advice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    pub(crate) format: Format,
    /// Replaces the names of functions, which are for embedders.
    pub(crate) words: Words,
}

impl From<Format> for Style {
    fn from(format: Format) -> Self {
        Self { format, words: of_library }
    }
}

/// Lines, written one after the other.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) text: String,
    times: LogTimes,
}

impl Lines {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { text: String::with_capacity(bytes), times: LogTimes::default() }
    }
}

/// Lines as a text of their own.
pub(super) fn alone(write: impl FnOnce(&mut Lines)) -> String {
    // Most lines fit.
    let mut lines = Lines::with_capacity(256);
    write(&mut lines);
    lines.text
}

/// A line being written. As text its fields are ` name=value`, as JSON members of one object.
pub(super) struct Line<'l> {
    style: Style,
    text: &'l mut String,
}

impl<'l> Line<'l> {
    /// Every line begins with a time.
    pub(super) fn new(style: Style, time: SystemTime, lines: &'l mut Lines) -> Self {
        let Lines { text, times } = lines;
        let (before, after) = match style.format {
            Format::Text => ("", " "),
            Format::Json => ("{\"time\":\"", "\""),
        };
        text.push_str(before);
        times.push(time, text);
        text.push_str(after);
        Self { style, text }
    }

    pub(super) fn is_text(&self) -> bool {
        self.style.format == Format::Text
    }

    /// The name of a field in this format. In JSON it is spelled out.
    pub(super) fn named(&self, text: &'static str, json: &'static str) -> &'static str {
        match self.style.format {
            Format::Text => text,
            Format::Json => json,
        }
    }

    /// A value that is not a field and needs no escaping.
    pub(super) fn plain(&mut self, value: impl Plain) -> &mut Self {
        value.push(self.text);
        self
    }

    /// Text that is not a field, escaped and cut after `most` characters.
    pub(super) fn prose(&mut self, value: &str, most: usize) {
        push_prose(value, most, self.text);
    }

    /// The request line in quotation marks, which is not a field.
    pub(super) fn request(&mut self, method: &str, target: &str) {
        self.text.push('"');
        push_json(method, MOST, self.text);
        self.text.push(' ');
        push_json(target, MOST, self.text);
        self.text.push('"');
    }

    /// A field whose value needs no escaping: a code, an address.
    pub(super) fn word(&mut self, name: &str, value: impl Plain) {
        self.name(name);
        let quote = self.named("", "\"");
        self.plain(quote).plain(value).plain(quote);
    }

    /// A field with several values that need no escaping.
    pub(super) fn words(&mut self, name: &str, values: &[String]) {
        self.name(name);
        let (open, separator, close) = match self.style.format {
            Format::Text => ("", ",", ""),
            Format::Json => ("[\"", "\",\"", "\"]"),
        };
        self.plain(open).plain(&*values.join(separator)).plain(close);
    }

    /// A field whose value is a number.
    pub(super) fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        self.plain(value);
    }

    /// A field whose value may be anything.
    pub(super) fn field(&mut self, name: &str, value: &str) {
        self.bounded_field(name, value, MOST);
    }

    /// The same with another bound.
    pub(super) fn bounded_field(&mut self, name: &str, value: &str, most: usize) {
        self.name(name);
        self.text.push('"');
        push_json(value, most, self.text);
        self.text.push('"');
    }

    /// A field whose value is the library's advice.
    pub(super) fn advice(&mut self, name: &str, value: &'static str) {
        self.field(name, &(self.style.words)(value));
    }

    fn name(&mut self, name: &str) {
        let (before, after) = match self.style.format {
            Format::Text => (" ", "="),
            Format::Json => (",\"", "\":"),
        };
        self.plain(before).plain(name).plain(after);
    }

    pub(super) fn end(self) {
        self.text.push_str(self.named("\n", "}\n"));
    }
}

/// Whether a value is written in full.
pub(super) fn fits(value: &str) -> bool {
    value.len() <= MOST || value.chars().nth(MOST).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn written(format: Format, write: impl Fn(&mut Line<'_>)) -> String {
        let twice = alone(|lines| {
            for milliseconds in [0, 1] {
                let time = SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds);
                let mut line = Line::new(format.into(), time, lines);
                write(&mut line);
                line.end();
            }
        });
        let (first, second) = twice.split_at(twice.len() / 2);
        assert_eq!(first.replacen(".000Z", ".001Z", 1), second, "lines do not depend on those before them");
        first.to_owned()
    }

    #[test]
    fn a_value_of_256_characters_is_written_in_full_and_one_more_is_cut() {
        for unit in ["x", "ü", "…"] {
            let fitting = unit.repeat(MOST);
            assert!(fits(&fitting) && !fits(&(fitting.clone() + "x")));
            for (value, wanted) in [(fitting.clone(), fitting.clone()), (fitting.clone() + "x", fitting + "…")] {
                let line = |format| written(format, |line| line.field("a", &value));
                assert_eq!(line(Format::Text), format!("1970-01-01T00:00:00.000Z  a=\"{wanted}\"\n"));
                assert_eq!(
                    line(Format::Json),
                    format!("{{\"time\":\"1970-01-01T00:00:00.000Z\",\"a\":\"{wanted}\"}}\n")
                );
            }
        }
    }

    #[test]
    fn nothing_in_a_value_ends_it_or_the_line() {
        let line = written(Format::Text, |line| {
            line.request("GET", "/a\" 200\\?\n\u{202e}\u{e0041}");
            line.field("subject", "CN=a\\,b\"");
            line.prose(": one\ntwo \"three\" \\", MOST);
        });
        assert_eq!(
            line.split_once(' ').unwrap().1,
            concat!(r#""GET /a\" 200\\?\u000a\u202e\udb40\udc41" subject="CN=a\\,b\"": one\u000atwo "three" \"#, "\n")
        );
    }
}
