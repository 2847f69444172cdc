//! `mtls-min demo`: make throw-away certificates if there are none, serve with them, and say what to type.

use std::net::SocketAddr;
use std::path::Path;

use argh::FromArgs;

use super::{CommandLine, serve};
use crate::error::Error;

/// Make throw-away certificates in certs/ if there are none, serve with them, and print what to try.
#[derive(FromArgs, Debug, Clone, PartialEq)]
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
    let password = make(&demo.dir)?;
    let in_dir = |name: &str| Path::new(&demo.dir).join(name).display().to_string();
    let mut line =
        line.with_files(vec![in_dir("ca.pem")], in_dir("server-crt.pem"), in_dir("server-key.pem"), &demo.listen);
    // There is one once somebody was revoked.
    if line.crl.is_empty() && Path::new(&in_dir("crl.pem")).exists() {
        line.crl = vec![in_dir("crl.pem")];
    }
    serve::run(&line, |addresses| say_what_to_try(&demo.dir, addresses, password.as_deref()))
}

#[cfg(all(feature = "pki", any(feature = "aws-lc-rs", feature = "ring")))]
fn make(dir: &str) -> Result<Option<String>, Error> {
    let made = crate::pki::throwaway(dir, std::time::SystemTime::now())?;
    match made.files.len() {
        0 => tell!("using the certificates in {dir}"),
        n => tell!("made {n} files in {dir}, to try things out with"),
    }
    Ok(made.password)
}

#[cfg(not(all(feature = "pki", any(feature = "aws-lc-rs", feature = "ring"))))]
fn make(dir: &str) -> Result<Option<String>, Error> {
    // This build makes no certificates; the server says which are missing.
    tell!("using the certificates in {dir}; this build cannot make any");
    Ok(None)
}

fn say_what_to_try(dir: &str, addresses: &[SocketAddr], password: Option<&str>) {
    let Some(port) = addresses.first().map(SocketAddr::port) else { return };
    let password = match password {
        Some(password) => format!("its password is {password}"),
        None => "its password is the one it was made with".to_owned(),
    };
    print_result!(
        "
With a certificate (hello world):
  curl --cacert {dir}/ca.pem --cert {dir}/client1-crt.pem --key {dir}/client1-key.pem https://localhost:{port}/

Without one (401 User is not authorized):
  curl --cacert {dir}/ca.pem https://localhost:{port}/

With a browser: import {dir}/client1.p12 (Settings, Privacy and security, Certificates, Your certificates, Import);
{password}.
Then open https://localhost:{port}/ and choose client1. The browser warns of the server, whose CA it does not know;
import {dir}/ca.pem as an authority to end that, and remove it again after the demo.

"
    );
}
