//! The error of setting up and running a server.

use std::borrow::Cow;
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
    hint: Option<Hint>,
}

impl Error {
    /// How to mend it, if that is known.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_ref().map(|hint| &*hint.text)
    }

    /// All of it in one line: what went wrong, the causes, and the hint.
    pub(crate) fn in_full(&self, words: Words) -> String {
        let mut text = self.to_string();
        for cause in self.causes() {
            text.push_str("; because: ");
            text.push_str(&cause.to_string());
        }
        match self.first_hint() {
            Some(hint) => format!("{text}; hint: {}", hint.in_words(words)),
            None => text,
        }
    }

    /// Its cause, the cause of that, and so on.
    pub(crate) fn causes(&self) -> impl Iterator<Item = &(dyn StdError + 'static)> {
        std::iter::successors(self.source(), |error| (*error).source())
    }

    /// Its hint, or else that of the first cause that has one.
    pub(crate) fn first_hint(&self) -> Option<&Hint> {
        self.hint.as_ref().or_else(|| self.causes().find_map(|cause| cause.downcast_ref::<Self>()?.hint.as_ref()))
    }

    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None, hint: None }
    }

    pub(crate) fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<Hint>) -> Self {
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
        f.write_str(&self.in_full(of_library))
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// Replaces the names of functions in the library's own words. What is not the library's, such as the name of a file, is
/// never `'static`, so it cannot be taken for them.
pub(crate) type Words = fn(&'static str) -> Cow<'static, str>;

/// The words for embedders, who have the functions.
pub(crate) fn of_library(text: &'static str) -> Cow<'static, str> {
    text.into()
}

/// How to mend an error: the library's own words, and what was put into them.
#[derive(Clone)]
pub(crate) struct Hint {
    /// In the words for embedders.
    text: String,
    /// Own words, and what stands in them in place of [`Hint::DATA`].
    parts: Vec<(&'static str, String)>,
}

impl Hint {
    /// No argument of a command and no path holds it.
    const DATA: char = '\0';

    /// `data` takes the place of the `\0` in `own`.
    pub(crate) fn with(own: &'static str, data: impl Into<String>) -> Self {
        Self { text: String::new(), parts: Vec::new() }.and(own, data.into())
    }

    /// Something else that helps, in own words.
    #[cfg(any(feature = "pki", test))]
    pub(crate) fn or(self, own: &'static str) -> Self {
        self.and(own, String::new())
    }

    pub(crate) fn in_words(&self, words: impl Fn(&'static str) -> Cow<'static, str>) -> String {
        self.parts.iter().map(|(own, data)| words(own).replacen(Self::DATA, data, 1)).collect()
    }

    fn and(mut self, own: &'static str, data: String) -> Self {
        self.parts.push((own, data));
        self.text = self.in_words(of_library);
        self
    }
}

impl From<&'static str> for Hint {
    fn from(own: &'static str) -> Self {
        Self::with(own, String::new())
    }
}

impl From<String> for Hint {
    fn from(data: String) -> Self {
        Self::with("\0", data)
    }
}

/// The first in a build that can make certificates, otherwise the second: a hint names nothing that is not there.
pub(crate) const fn with_pki(with: &'static str, without: &'static str) -> &'static str {
    if cfg!(feature = "pki") { with } else { without }
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

    #[test]
    fn only_the_words_of_the_library_are_replaced() {
        let shout = |text: &'static str| text.to_uppercase().into();
        let hint = Hint::with("ask \0, ", "bob").or("or not");
        assert_eq!((&*hint.text, &*hint.in_words(shout)), ("ask bob, or not", "ASK bob, OR NOT"));
        assert_eq!(Hint::from("ask".to_owned()).in_words(shout), "ask");
        let error = Error::new("no").hint("ask");
        assert_eq!(error.in_full(|_| "tell".into()), "no; hint: tell");
    }
}
