//! `mtls-min demo`: make throw-away certificates if there are none, serve with them, and say what to try.

use std::net::SocketAddr;
use std::path::Path;

use argh::{ArgsInfo, FromArgs};

use super::{CommandLine, listen, proxies, routes, serve, signals};
use crate::error::Error;
use crate::escape::shell;
#[cfg(not(feature = "pki"))]
use {
    crate::x509::identity::Identity,
    rustls::pki_types::{CertificateDer, pem::PemObject},
};

#[cfg_attr(
    feature = "pki",
    doc = "Make throw-away certificates in certs/ if there are none, serve with them, and print what to try."
)]
#[cfg_attr(
    not(feature = "pki"),
    doc = "Serve with the throw-away certificates in certs/, which this build cannot make, and print what to try."
)]
#[derive(FromArgs, ArgsInfo, Debug, Clone, PartialEq)]
#[argh(subcommand, name = "demo", help_triggers("-h", "--help"))]
pub(super) struct Demo {
    /// directory of the certificates (default certs)
    #[argh(option, arg_name = "dir", default = "\"certs\".to_owned()")]
    dir: String,
    #[argh(option, arg_name = "addr:port", description = "address to listen on; repeatable (default 127.0.0.1:4433)")]
    listen: Vec<String>,
}

pub(super) fn run(demo: &Demo, line: &CommandLine) -> Result<(), Error> {
    if !line.ca.is_empty() || line.cert.is_some() || line.key.is_some() {
        return Err(Error::new("the demo brings its own certificates, so --ca, --cert and --key do not go with it")
            .hint("leave `demo` out to serve with yours"));
    }
    let in_dir = |name: &str| Path::new(&demo.dir).join(name).display().to_string();
    let mut line =
        line.with_files(vec![in_dir("ca.pem")], in_dir("server-crt.pem"), in_dir("server-key.pem"), &demo.listen);
    // Before anything is made.
    listen::addresses(&line.listen, false)?;
    proxies::balancers(&line)?;
    routes::table(&line, None)?;
    let signals = signals::catch()?;
    let password = make(&demo.dir)?;
    // It is there once a certificate was revoked.
    if line.crl.is_empty() && Path::new(&in_dir("crl.pem")).exists() {
        line.crl = vec![in_dir("crl.pem")];
    }
    let answer = if routes::are_asked_for(&line) { "" } else { " (hello world)" };
    serve::run(&line, signals, None, |addresses| say_what_to_try(&demo.dir, addresses, password.as_deref(), answer))
}

#[cfg(feature = "pki")]
fn make(dir: &str) -> Result<Option<String>, Error> {
    let made = crate::pki::throwaway(dir, std::time::SystemTime::now())?;
    match made.files.len() {
        0 => tell!("using the certificates in {dir}"),
        n => tell!("made {n} files in {dir}, to try things out with"),
    }
    Ok(made.password)
}

#[cfg(not(feature = "pki"))]
fn make(dir: &str) -> Result<Option<String>, Error> {
    let file = |name: &str| Path::new(dir).join(name);
    let needed = ["ca.pem", "server-crt.pem", "server-key.pem"];
    if let Some(missing) = needed.iter().map(|name| file(name)).find(|path| !path.exists()) {
        return Err(Error::new(format!(
            "{} is not there, and this build cannot make it: it was made without the feature `pki`",
            missing.display()
        ))
        .hint("make the certificates with `mtls-min demo` of another build, or with certs/make-certs.sh"));
    }
    // As in a build that makes certificates: the demo does not serve with a CA that is not its own.
    let text = std::fs::read(file("ca.pem"))
        .map_err(|error| Error::new(format!("cannot read {}", file("ca.pem").display())).caused_by(error))?;
    let ca = CertificateDer::from_pem_slice(&text).ok().and_then(|der| Identity::from_der(&der).ok());
    if ca.is_none_or(|ca| ca.subject() != "CN=mtls-min throw-away CA,O=mtls-min") {
        return Err(Error::new(format!("{dir} was not made by the demo: its ca.pem is another CA"))
            .hint(format!("--dir names another directory; `mtls-min --ca {dir}/ca.pem` serves with this one")));
    }
    tell!("using the certificates in {dir}");
    Ok(None)
}

/// `answer` is what a client with a certificate gets.
fn say_what_to_try(dir: &str, addresses: &[SocketAddr], password: Option<&str>, answer: &str) {
    let Some(port) = addresses.first().map(SocketAddr::port) else { return };
    let password = match password {
        Some(password) => format!("its password is {password}"),
        None => "its password is the one it was made with".to_owned(),
    };
    let file = |name: &str| shell(&format!("{dir}/{name}"));
    let (ca, certificate, key) = (file("ca.pem"), file("client1-crt.pem"), file("client1-key.pem"));
    let legacy = match Path::new(dir).join("client1.legacy.p12").exists() {
        true => format!(" ({dir}/client1.legacy.p12 on macOS, old Windows and Android)"),
        false => String::new(),
    };
    print_result!(
        "
With a certificate{answer}:
  curl --cacert {ca} --cert {certificate} --key {key} https://localhost:{port}/

Without one (401 User is not authorized):
  curl --cacert {ca} https://localhost:{port}/

With a browser: import {dir}/client1.p12{legacy}
under Settings, Privacy and security, Certificates, Your certificates, Import; {password}.
Then open https://localhost:{port}/ and choose client1. The browser warns of the server, whose CA it does not know;
import {dir}/ca.pem as an authority to end that, and remove it again after the demo.

"
    );
}
