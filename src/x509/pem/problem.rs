//! What is wrong with a PEM block, in plain words.

use std::fmt;

use rustls::pki_types::pem;

/// An error of the PEM reader, worded for an operator who does not know the terms.
#[derive(Debug)]
pub(crate) struct PemProblem(pub(crate) pem::Error);

impl fmt::Display for PemProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            pem::Error::MissingSectionEnd { .. } => f.write_str("its -----END line is missing"),
            pem::Error::IllegalSectionStart { .. } => f.write_str("its -----BEGIN line is not well formed"),
            pem::Error::Base64Decode(_) => f.write_str("it holds a character that is not base64"),
            pem::Error::NoItemsFound => f.write_str("there is no such block in it"),
            other => other.fmt(f),
        }
    }
}

impl std::error::Error for PemProblem {}
