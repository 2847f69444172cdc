//! `mtls-min certs` in a directory of its own: its output, and its files.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use mtls_min::Identity;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::support::command::run;
use crate::support::files::TempDir;
use crate::support::pki::Holder;

pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

/// What it said: exit code, stdout, stderr.
pub(crate) fn certs(dir: &TempDir, args: &str) -> (i32, String, String) {
    let words: Vec<_> = std::iter::once("certs").chain(args.split_whitespace()).collect();
    let output = run(dir.path(), &words);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// The same, with success: stdout.
#[track_caller]
pub(crate) fn done(dir: &TempDir, args: &str) -> String {
    let (code, stdout, stderr) = certs(dir, args);
    assert_eq!((code, stderr.as_str()), (0, ""), "certs {args}");
    stdout
}

/// The same, with success and a notice: stderr.
#[track_caller]
pub(crate) fn told(dir: &TempDir, args: &str) -> String {
    let (code, stdout, stderr) = certs(dir, args);
    assert_eq!(code, 0, "certs {args}: {stdout} {stderr}");
    stderr
}

/// The same, with failure: stderr.
#[track_caller]
pub(crate) fn fails(dir: &TempDir, args: &str) -> String {
    let (code, stdout, stderr) = certs(dir, args);
    assert_eq!((code, stdout.as_str()), (1, ""), "certs {args}: {stderr}");
    stderr
}

pub(crate) fn initialised() -> TempDir {
    let dir = TempDir::new();
    done(&dir, "init");
    dir
}

pub(crate) fn read(dir: &TempDir, name: &str) -> String {
    fs::read_to_string(dir.path().join("certs").join(name)).unwrap()
}

/// Every file with its content.
pub(crate) fn snapshot(dir: &TempDir) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(dir.path().join("certs")).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap())).collect()
}

pub(crate) fn holder(dir: &TempDir, name: &str) -> Holder {
    Holder {
        chain: vec![CertificateDer::from_pem_slice(read(dir, &format!("{name}-crt.pem")).as_bytes()).unwrap()],
        key: PrivateKeyDer::from_pem_slice(read(dir, &format!("{name}-key.pem")).as_bytes()).unwrap(),
    }
}

pub(crate) fn identity(dir: &TempDir, name: &str) -> Identity {
    Identity::from_der(&holder(dir, name).chain[0]).unwrap()
}

pub(crate) fn digits(serial: &str) -> String {
    serial.chars().filter(char::is_ascii_hexdigit).collect::<String>().to_lowercase()
}

/// What the revocation list says: its number, the days until the next list, and serial number and reason of each entry.
pub(crate) fn crl(dir: &TempDir) -> (u64, i64, Vec<(String, u8)>) {
    let der = CertificateRevocationListDer::from_pem_slice(read(dir, "crl.pem").as_bytes()).unwrap();
    let (_, list) = CertificateRevocationList::from_der(&der).unwrap();
    let number = list.crl_number().unwrap().to_u64_digits().first().copied().unwrap_or(0);
    let days = (list.next_update().unwrap().timestamp() - list.last_update().timestamp()) / 86_400;
    let entries = list.iter_revoked_certificates().map(|entry| {
        let serial = entry.raw_serial().iter().map(|octet| format!("{octet:02x}")).collect();
        (serial, entry.reason_code().map_or(0, |(_, reason)| reason.0))
    });
    (number, days, entries.collect())
}
