//! `mtls-min check`: what the server would decide about a certificate, and why. It asks the server's own judge, without a
//! connection.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use argh::{ArgsInfo, FromArgs};
use http::Method;
use rustls::pki_types::CertificateDer;

use super::report::Report;
use super::trust::{self, CrlExpired, unread_lists};
use super::{CommandLine, STDIN, password_in};
use crate::clock::parse_timestamp;
use crate::error::Error;
use crate::file::FileKind;
use crate::http1::{HeadLimits, HttpError, seen_path};
use crate::x509::pem::{Bundle, Form, check_form, is_der};

/// Say what the server would decide about a certificate, and why. Exit status: 0 authorised, 1 refused, 2 could not tell.
#[derive(FromArgs, ArgsInfo, Debug, Clone, PartialEq)]
#[argh(subcommand, name = "check", help_triggers("-h", "--help"))]
pub(super) struct Check {
    /// the certificate (with its chain): PEM, DER or PKCS#12; - for standard input
    #[argh(positional)]
    file: String,
    /// this and the next eight options are those of the server
    #[argh(option, arg_name = "file")]
    ca: Vec<String>,
    /// CAs that complete the path to one of --ca
    #[argh(option, arg_name = "file")]
    intermediates: Vec<String>,
    /// revocation lists
    #[argh(option, arg_name = "file")]
    crl: Vec<String>,
    /// stale revocation lists: refuse or warn
    #[argh(option, arg_name = "what")]
    crl_expired: Option<CrlExpired>,
    /// every CA needs a revocation list
    #[argh(switch)]
    crl_required: bool,
    /// a rule
    #[argh(option, arg_name = "rule")]
    allow: Vec<String>,
    /// rules by path
    #[argh(option, arg_name = "file")]
    policy: Option<String>,
    /// directory of certificates that are let in by themselves
    #[argh(option, arg_name = "dir")]
    authorized_clients: Option<String>,
    /// accept X.509 version 1
    #[argh(switch)]
    accept_v1: bool,
    /// judge at this time, like 2026-12-24T18:00:00Z or 2026-12-24 (default now)
    #[argh(option, arg_name = "time", from_str_fn(time))]
    at: Option<SystemTime>,
    /// the path that is asked for (default /)
    #[argh(option, arg_name = "path", default = "\"/\".to_owned()")]
    path: String,
    /// the method (default GET)
    #[argh(option, arg_name = "method", default = "Method::GET")]
    method: Method,
    /// file whose first line is the password of the PKCS#12 file
    #[argh(option, arg_name = "file")]
    password_file: Option<PathBuf>,
    /// print the decision as JSON
    #[argh(switch)]
    json: bool,
}

fn time(text: &str) -> Result<SystemTime, String> {
    parse_timestamp(text)
        .ok_or_else(|| "not a time from 1970 to 9999, like 2026-12-24T18:00:00Z or 2026-12-24".to_owned())
}

/// Returns whether the server would let the request through.
pub(super) fn run(check: &Check, line: &CommandLine) -> Result<bool, Error> {
    let path = seen_path(&check.method, &check.path, &HeadLimits::default()).map_err(|rejection| {
        let HttpError { status, reason } = rejection;
        // The path may be long.
        let shown: String = check.path.chars().take(64).collect();
        let (method, status) = (&check.method, status.as_u16());
        Error::new(format!("--method {method} --path {shown} is answered with {status} to everyone: {reason}"))
    })?;
    if line.without_trust().has_options() {
        return Err(Error::new("check takes only those server options that say whom to trust")
            .hint("mtls-min check --help lists them"));
    }
    let now = check.at.unwrap_or_else(SystemTime::now);
    // The files are read as by a server that starts now, whatever time the certificate is judged at.
    let options = check.with_options_of(line);
    let trust = trust::builder(&options)?.build()?;
    let chain = chain(check)?;
    for warning in unread_lists(&options, &trust) {
        tell!("warning: {warning}");
    }
    let report = Report::new(&chain, &trust, &check.method, &path, now);
    match check.json {
        true => print_result!("{}", report.json()),
        false => print_result!("{}", report.tree()),
    }
    Ok(report.lets_in())
}

impl Check {
    /// The options may come before or after the word `check`.
    fn with_options_of(&self, line: &CommandLine) -> CommandLine {
        let join = |a: &[String], b: &[String]| [a, b].concat();
        CommandLine {
            ca: join(&line.ca, &self.ca),
            intermediates: join(&line.intermediates, &self.intermediates),
            crl: join(&line.crl, &self.crl),
            crl_expired: self.crl_expired.or(line.crl_expired),
            crl_required: self.crl_required || line.crl_required,
            allow: join(&line.allow, &self.allow),
            policy: self.policy.clone().or_else(|| line.policy.clone()),
            authorized_clients: self.authorized_clients.clone().or_else(|| line.authorized_clients.clone()),
            accept_v1: self.accept_v1 || line.accept_v1,
            ..line.clone()
        }
    }
}

/// Prints the client's certificate first and then those of the CAs, whatever their order in the file.
const TO_PEM: &str = "let openssl unpack it: (openssl pkcs12 -legacy -in FILE -clcerts -nokeys; \
                      openssl pkcs12 -legacy -in FILE -cacerts -nokeys) | mtls-min check - (OpenSSL 1 needs no -legacy)";

/// A chain of certificates in any of the forms that people have them in.
fn chain(check: &Check) -> Result<Vec<CertificateDer<'static>>, Error> {
    let name = if check.file == STDIN { "standard input" } else { &check.file };
    let failed = |error: std::io::Error| Error::new(format!("cannot read {name}")).caused_by(error);
    let bytes = FileKind::CHECKED.read_from(std::fs::File::open(&check.file).map_err(failed)?, name)?;
    if !is_der(&bytes) {
        return Bundle::read(&bytes, name)?.chain();
    }
    if Form::of(&bytes) == Some(Form::Pkcs12) {
        return from_pkcs12(&bytes, name, check.password_file.as_deref());
    }
    check_form(&bytes, name, Form::Certificate, "certificate")?;
    // A broken certificate is judged too: the server calls it malformed.
    Ok(vec![bytes.into()])
}

#[cfg(feature = "pki")]
fn from_pkcs12(bytes: &[u8], name: &str, password: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, Error> {
    use crate::pki::{WRONG_PASSWORD, pkcs12_certificates};
    // Without a password file, the password may be empty.
    let given = password.map(password_in).transpose()?;
    let chain = pkcs12_certificates(bytes, given.as_deref().unwrap_or_default()).map_err(|error| {
        let is_password = error.hint_text() == Some(WRONG_PASSWORD);
        if is_password && given.is_none() {
            return Error::new(format!("{name} is a PKCS#12 file, which has a password"))
                .hint("name a file whose first line is the password with --password-file");
        }
        let hint = error.first_hint().cloned().unwrap_or_else(|| TO_PEM.into());
        Error::new(format!("cannot read {name}")).caused_by(error).hint(hint)
    })?;
    Ok(chain.into_iter().map(CertificateDer::from).collect())
}

#[cfg(not(feature = "pki"))]
fn from_pkcs12(_: &[u8], name: &str, password: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, Error> {
    password.map(password_in).transpose()?;
    Err(Error::new(format!("{name} is a PKCS#12 file, which this build does not read")).hint(TO_PEM))
}
