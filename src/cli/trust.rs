//! The options that say whom to trust, for the server and for `check`.

use std::path::Path;

use super::CommandLine;
use super::words::of_command;
use crate::error::Error;
use crate::policy::Policy;
use crate::trust::{StaleCrl, Trust, TrustBuilder};

/// What to do about a stale revocation list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CrlExpired(StaleCrl);

impl argh::FromArgValue for CrlExpired {
    fn from_arg_value(value: &str) -> Result<Self, String> {
        match value {
            "refuse" => Ok(Self(StaleCrl::Refuse)),
            "warn" => Ok(Self(StaleCrl::Warn)),
            _ => Err("neither refuse nor warn".to_owned()),
        }
    }
}

/// Reads no file yet. Only the rules of --allow are parsed.
pub(super) fn builder(line: &CommandLine) -> Result<TrustBuilder, Error> {
    let mut builder = Trust::builder().in_words(of_command).policy(Policy::allowing_at("--allow", &line.allow)?);
    for file in authorities(line) {
        builder = builder.pem_file(file);
    }
    for file in &line.intermediates {
        builder = builder.intermediates_file(file);
    }
    for file in &line.crl {
        builder = builder.crl_file(file);
    }
    if let Some(CrlExpired(stale)) = line.crl_expired {
        builder = builder.stale_crl(stale);
    }
    if line.crl_required {
        builder = builder.require_crls();
    }
    if let Some(directory) = &line.authorized_clients {
        builder = builder.authorized_clients(directory);
    }
    if let Some(file) = &line.policy {
        builder = builder.policy_file(file);
    }
    if line.accept_v1 {
        builder = builder.accept_v1();
    }
    Ok(builder)
}

/// Warnings of revocation lists that lie beside a CA but are not read.
pub(super) fn unread_lists(line: &CommandLine, trust: &Trust) -> Vec<String> {
    // With --crl-required, a missing list is reported anyway.
    if trust.crls().next().is_some() || line.crl_required {
        return Vec::new();
    }
    let lists = authorities(line).map(|ca| Path::new(ca).with_file_name("crl.pem")).filter(|list| list.exists());
    lists
        .map(|list| {
            format!("{} exists but is not used, so no certificate is revoked; load it with --crl", list.display())
        })
        .collect()
}

/// The files of CAs.
fn authorities(line: &CommandLine) -> impl Iterator<Item = &str> {
    let default = (line.ca.is_empty() && line.authorized_clients.is_none()).then_some("certs/ca.pem");
    default.into_iter().chain(line.ca.iter().map(String::as_str))
}
