//! The error of setting up and running a server.

use std::error::Error as StdError;
use std::fmt;

/// What went wrong while a server was set up or run: a sentence that names the thing, the cause
/// ([`source`](StdError::source)) if there is one, and a [`hint`](Error::hint_text) how to mend it if there is one.
///
/// `Display` writes the sentence only. `Debug` writes sentence, causes and hint in one line, so that the output of a `main` that
/// returns it is readable.
pub struct Error {
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
    hint: Option<String>,
}

impl Error {
    /// How to mend it, if that is known.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// All of it in one line: what went wrong, the causes, and the hint.
    pub(crate) fn in_full(&self) -> String {
        let mut text = self.to_string();
        for cause in self.causes() {
            text.push_str("; because: ");
            text.push_str(&cause.to_string());
        }
        match self.first_hint() {
            Some(hint) => format!("{text}; hint: {hint}"),
            None => text,
        }
    }

    /// Its cause, the cause of that, and so on.
    pub(crate) fn causes(&self) -> impl Iterator<Item = &(dyn StdError + 'static)> {
        std::iter::successors(self.source(), |error| (*error).source())
    }

    /// Its hint, or else that of the first cause that has one.
    pub(crate) fn first_hint(&self) -> Option<&str> {
        self.hint_text().or_else(|| self.causes().find_map(|cause| cause.downcast_ref::<Self>()?.hint_text()))
    }

    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None, hint: None }
    }

    pub(crate) fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.in_full())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `fn main() -> Result<(), mtls_min::Error>` prints it.
    #[test]
    fn a_main_that_returns_an_error_says_what_why_and_how_to_mend_it() {
        let cause = Error::new("it is empty").hint("copy it again");
        let error = Error::new("cannot read ca.pem").caused_by(cause);
        assert_eq!(error.to_string(), "cannot read ca.pem");
        assert_eq!(format!("{error:?}"), "cannot read ca.pem; because: it is empty; hint: copy it again");
    }
}
