//! One line of a log, as text or as JSON. Its values are cut and escaped, so that they cannot be mistaken for anything else.

use std::fmt::{Display, Write as _};

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

/// A line being written. As text its fields are ` name=value`, as JSON members of one object.
pub(super) struct Line {
    style: Style,
    text: String,
}

impl Line {
    pub(super) fn new(style: impl Into<Style>) -> Self {
        let style = style.into();
        // Most lines fit.
        let mut text = String::with_capacity(256);
        if style.format == Format::Json {
            text.push('{');
        }
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

    /// Text that is not a field and needs no escaping.
    pub(super) fn plain(&mut self, value: impl Display) {
        // Writing to a string cannot fail; the same below.
        let _ = write!(self.text, "{value}");
    }

    /// Text that is not a field, escaped and cut after `most` characters.
    pub(super) fn prose(&mut self, value: &str, most: usize) {
        push_prose(value, most, &mut self.text);
    }

    /// The request line in quotation marks, which is not a field.
    pub(super) fn request(&mut self, method: &str, target: &str) {
        self.text.push('"');
        push_json(method, MOST, &mut self.text);
        self.text.push(' ');
        push_json(target, MOST, &mut self.text);
        self.text.push('"');
    }

    /// A field whose value needs no escaping: a code, an address, a time.
    pub(super) fn word(&mut self, name: &str, value: impl Display) {
        self.name(name);
        let _ = match self.style.format {
            Format::Text => write!(self.text, "{value}"),
            Format::Json => write!(self.text, "\"{value}\""),
        };
    }

    /// A field with several values that need no escaping.
    pub(super) fn words(&mut self, name: &str, values: &[String]) {
        self.name(name);
        let (open, separator, close) = match self.style.format {
            Format::Text => ("", ",", ""),
            Format::Json => ("[\"", "\",\"", "\"]"),
        };
        self.plain(format_args!("{open}{}{close}", values.join(separator)));
    }

    /// A field whose value is a number.
    pub(super) fn number(&mut self, name: &str, value: impl Display) {
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
        push_json(value, most, &mut self.text);
        self.text.push('"');
    }

    /// A field whose value is the library's advice.
    pub(super) fn advice(&mut self, name: &str, value: &'static str) {
        self.field(name, &(self.style.words)(value));
    }

    fn name(&mut self, name: &str) {
        let _ = match self.style.format {
            Format::Text => write!(self.text, " {name}="),
            Format::Json if self.text.len() > 1 => write!(self.text, ",\"{name}\":"),
            Format::Json => write!(self.text, "\"{name}\":"),
        };
    }

    pub(super) fn end(mut self) -> String {
        if self.style.format == Format::Json {
            self.text.push('}');
        }
        self.text.push('\n');
        self.text
    }
}

/// Whether a value is written in full.
pub(super) fn fits(value: &str) -> bool {
    value.len() <= MOST || value.chars().nth(MOST).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_256_characters_is_written_in_full_and_one_more_is_cut() {
        for unit in ["x", "ü", "…"] {
            let fitting = unit.repeat(MOST);
            assert!(fits(&fitting) && !fits(&(fitting.clone() + "x")));
            for (value, wanted) in [(fitting.clone(), fitting.clone()), (fitting.clone() + "x", fitting + "…")] {
                let mut line = Line::new(Format::Text);
                line.field("a", &value);
                assert_eq!(line.end(), format!(" a=\"{wanted}\"\n"));
                let mut line = Line::new(Format::Json);
                line.field("a", &value);
                assert_eq!(line.end(), format!("{{\"a\":\"{wanted}\"}}\n"));
            }
        }
    }

    #[test]
    fn nothing_in_a_value_ends_it_or_the_line() {
        let mut line = Line::new(Format::Text);
        line.request("GET", "/a\" 200\\?\n\u{202e}\u{e0041}");
        line.field("subject", "CN=a\\,b\"");
        line.prose(": one\ntwo \"three\" \\", MOST);
        assert_eq!(
            line.end(),
            concat!(r#""GET /a\" 200\\?\u000a\u202e\udb40\udc41" subject="CN=a\\,b\"": one\u000atwo "three" \"#, "\n")
        );
    }
}
