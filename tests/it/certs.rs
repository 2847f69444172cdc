//! `mtls-min certs`: every subcommand through the command itself, what it leaves alone, and what it says to bad input.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use mtls_min::pki::{Authority, ClientRequest, Directory, throwaway};
use mtls_min::{Identity, ServerCertificate, Trust};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName, UnixTime};
use x509_parser::prelude::{FromDer, ParsedExtension, X509Extension};
use x509_parser::revocation_list::CertificateRevocationList;

use crate::support::client::{TLS13, VERSIONS, eventually, get, provider};
use crate::support::command::{Serving, binary, run};
use crate::support::files::TempDir;
use crate::support::pki::{self, Ca, Holder};
use crate::support::server::start;

const DAY: Duration = Duration::from_secs(24 * 3600);

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

/// The same, with failure: stderr.
/// The same, with a notice on stderr: that one.
#[track_caller]
pub(crate) fn told(dir: &TempDir, args: &str) -> String {
    let (code, stdout, stderr) = certs(dir, args);
    assert_eq!(code, 0, "certs {args}: {stdout} {stderr}");
    stderr
}

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

/// What the revocation list says: its number, the days until the next, and serial number and reason of each entry.
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

/// The key identifier of a CA, or of the authority in a revocation list.
fn key_id(extensions: &[X509Extension<'_>]) -> Vec<u8> {
    let id = extensions.iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
        ParsedExtension::AuthorityKeyIdentifier(id) => Some(id.key_identifier.as_ref()?.0.to_vec()),
        _ => None,
    });
    id.unwrap()
}

fn crl_key_id(dir: &TempDir) -> Vec<u8> {
    let der = CertificateRevocationListDer::from_pem_slice(read(dir, "crl.pem").as_bytes()).unwrap();
    key_id(CertificateRevocationList::from_der(&der).unwrap().1.extensions())
}

#[test]
fn init_makes_a_ca_a_server_and_an_empty_revocation_list() {
    let dir = TempDir::new();
    let said = done(&dir, "init --host localhost --host 127.0.0.1");
    assert!(said.contains("made certs/ca.pem\n"), "{said}");
    assert!(said.contains("  mtls-min --ca certs/ca.pem --crl certs/crl.pem\n"), "{said}");
    assert!(said.contains("  mtls-min certs client alice\n"), "{said}");
    let names: Vec<_> = snapshot(&dir).into_keys().collect();
    let expected = [".lock", "ca-key.pem", "ca.pem", "crl.pem", "index.txt", "server-crt.pem", "server-key.pem"];
    assert_eq!(names, expected);
    let (number, days, revoked) = crl(&dir);
    let age = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH + Duration::from_secs(number)).unwrap();
    assert!(age < 600 * Duration::from_secs(1), "{age:?}");
    assert_eq!((days, revoked), (30, vec![]));
    let ca = CertificateDer::from_pem_slice(read(&dir, "ca.pem").as_bytes()).unwrap();
    assert_eq!(key_id(x509_parser::parse_x509_certificate(&ca).unwrap().1.extensions()), crl_key_id(&dir));
    let path = |name: &str| dir.path().join("certs").join(name);
    ServerCertificate::from_pem_files(path("server-crt.pem"), path("server-key.pem")).unwrap();
    assert_eq!(identity(&dir, "server").dns_names(), ["localhost"]);
    let elsewhere = done(&dir, "--dir other init");
    assert!(elsewhere.contains("--cert other/server-crt.pem --key other/server-key.pem"), "{elsewhere}");
    assert!(elsewhere.contains("certs --dir other client"), "{elsewhere}");
    let output = run(dir.path(), &["certs", "--dir", "my certs", "init"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("certs --dir 'my certs' client") && said.contains("--crl 'my certs/crl.pem'"), "{said}");
}

#[test]
fn a_clients_certificate_is_let_in_with_all_that_was_asked_for() {
    let dir = initialised();
    let said =
        done(&dir, "client alice.smith@x --days 9 --email a@b.test --email c@d.test --uri spiffe://x.test/alice");
    let password = said.lines().find_map(|line| line.split_once("shown this once: ")).unwrap().1;
    assert_eq!(password.len(), 19, "{said}");
    let alice = identity(&dir, "alice.smith@x");
    assert_eq!(alice.common_name(), Some("alice.smith@x"));
    assert_eq!(alice.emails(), ["a@b.test", "c@d.test"]);
    assert_eq!(alice.uris(), ["spiffe://x.test/alice"]);
    let left = alice.not_after().duration_since(SystemTime::now()).unwrap();
    assert!(left < 9 * DAY && left > 8 * DAY, "{left:?}");
    assert!(snapshot(&dir).contains_key("alice.smith@x.legacy.p12"));
    // The name constraints of the CA do not keep the server from letting in names of any kind.
    done(&dir, "client alice.smith");
    let running = start(Trust::from_pem_files([dir.path().join("certs/ca.pem")]).unwrap());
    for version in VERSIONS {
        for name in ["alice.smith@x", "alice.smith"] {
            let reply = get(running.addr, Some(&holder(&dir, name)), version).unwrap();
            assert_eq!(reply.body, format!("hello CN={name},O=mtls-min\n"));
        }
    }
}

#[test]
fn keys_and_p12_files_are_for_their_owner_alone() {
    let dir = initialised();
    done(&dir, "client alice");
    done(&dir, "renew alice --revoke-old");
    for name in snapshot(&dir).keys() {
        let mode = fs::metadata(dir.path().join("certs").join(name)).unwrap().permissions().mode() & 0o777;
        let secret = name.contains("key") || name.contains("p12") || name == ".lock";
        assert_eq!(mode, if secret { 0o600 } else { 0o644 }, "{name}");
    }
}

/// A server that runs as another user must not lose sight of the list when it is signed anew.
#[test]
fn who_may_read_the_list_stays_as_it_was_set() {
    let dir = initialised();
    let list = dir.path().join("certs/crl.pem");
    for mode in [0o644, 0o640] {
        fs::set_permissions(&list, fs::Permissions::from_mode(mode)).unwrap();
        let script = format!("umask 077; exec {} certs crl", binary().display());
        assert!(Command::new("sh").args(["-c", &script]).current_dir(dir.path()).status().unwrap().success());
        assert_eq!(fs::metadata(&list).unwrap().permissions().mode() & 0o777, mode);
    }
}

/// A server reads the list where it really is.
#[test]
fn a_list_behind_a_link_is_written_where_the_link_leads() {
    let dir = initialised();
    let (list, public) = (dir.path().join("certs/crl.pem"), dir.path().join("public.pem"));
    fs::rename(&list, &public).unwrap();
    std::os::unix::fs::symlink("../public.pem", &list).unwrap();
    done(&dir, "revoke server");
    assert!(fs::symlink_metadata(&list).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&public).unwrap(), read(&dir, "crl.pem"));
    assert_eq!(crl(&dir).2.len(), 1);
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn bad_input_is_named_with_its_mend_and_changes_nothing() {
    let dir = initialised();
    done(&dir, "client alice");
    done(&dir, "client gone");
    done(&dir, "revoke gone");
    dir.write("empty", "");
    dir.write("short", "seven77\n");
    dir.write("umlaut", "pässwörter\n");
    let other = Ca::new("other").client("foreign");
    dir.write("certs/foreign-crt.pem", other.pem());
    let long = "x".repeat(65);
    let before = snapshot(&dir);
    let cases: &[(&str, i32, &[&str])] = &[
        ("init", 1, &["certs/ca.pem is there already", "--dir"]),
        ("--dir new init --host a..b", 1, &["\"a..b\" is neither a DNS name nor an IP address"]),
        ("--dir new init --host https://x", 1, &["https://x"]),
        ("--dir new init --host a.test.", 1, &["\"a.test.\" is neither a DNS name nor an IP address"]),
        ("--dir /proc/none init", 1, &["cannot make the directory /proc/none"]),
        ("--dir empty init", 1, &["cannot make the directory empty"]),
        ("--dir new client bob", 1, &["there is no new/ca.pem", "certs --dir new init"]),
        ("--dir new list", 1, &["there is no new/ca.pem", "certs --dir new init"]),
        ("client alice", 1, &["certs/alice-crt.pem is there already", "certs renew alice"]),
        ("client ca", 1, &["\"ca\"", "mean other files"]),
        ("client server", 1, &["\"server\"", "mean other files"]),
        ("client crl", 1, &["\"crl\""]),
        ("client index", 1, &["\"index\""]),
        ("client x.legacy", 1, &["\"x.legacy\""]),
        ("client .hidden", 1, &["\".hidden\"", "the first of them"]),
        ("client ../x", 1, &["\"../x\"", "letters, digits"]),
        ("client zoë", 1, &["\"zoë\"", "without ë", "letters, digits"]),
        (&format!("client {long}"), 1, &["1 to 64"]),
        ("client -- -x", 1, &["\"-x\""]),
        ("client", 2, &["name"]),
        ("client bob --days 0", 1, &["1 to 3650 days, not 0"]),
        ("client bob --days 3651", 1, &["1 to 3650 days, not 3651"]),
        ("client bob --days ten", 2, &["--days", "ten"]),
        ("client bob --email nobody", 1, &["\"nobody\" is no e-mail address"]),
        ("client bob --email @x", 1, &["\"@x\" is no e-mail address"]),
        ("client bob --email a@b@c", 1, &["is no e-mail address"]),
        ("client bob --email zoë@x.test", 1, &["is no e-mail address", "ASCII"]),
        ("client bob --uri no-scheme", 1, &["\"no-scheme\" is no URI with a scheme"]),
        ("client bob --uri spiffe://", 1, &["is no URI"]),
        ("client bob --uri 1x:y", 1, &["is no URI"]),
        ("client bob --uri urn:zoë", 1, &["is no URI", "%xx"]),
        ("client bob --rsa 1024", 2, &["2048 or 4096"]),
        ("client bob --password-file missing", 1, &["cannot read the password in missing"]),
        ("client bob --password-file empty", 1, &["at least 8 characters"]),
        ("client bob --password-file short", 1, &["at least 8 characters"]),
        ("client bob --password-file umlaut", 1, &["printable ASCII"]),
        ("client bob --password-file short --ask", 1, &["do not go together"]),
        ("client bob --password secret", 2, &["--password"]),
        ("server", 1, &["needs a host name"]),
        ("server --host localhost", 1, &["certs/server-crt.pem is there already", "certs renew server"]),
        ("server two --host localhost --days 398", 1, &["1 to 397 days", "browsers"]),
        ("server two --host other.test", 1, &["do not let it vouch for other.test", "another directory"]),
        ("server two --host 10.0.0.1", 1, &["do not let it vouch for 10.0.0.1"]),
        ("renew bob", 1, &["nothing called bob is known in certs", "certs list"]),
        ("renew gone", 1, &["gone is revoked", "certs client gone", "makes a new one"]),
        ("renew server --days 398", 1, &["1 to 397 days"]),
        ("renew alice --days 3651", 1, &["1 to 3650 days"]),
        ("revoke bob", 1, &["nothing called bob is known in certs", "certs list"]),
        ("revoke foreign", 1, &["certs/foreign-crt.pem is not a certificate of this CA"]),
        ("revoke ca", 1, &["\"ca\""]),
        ("revoke ../alice", 1, &["\"../alice\""]),
        ("revoke alice --reason bored", 2, &["bored", "key-compromise"]),
        ("crl --days 0", 1, &["1 to 3650 days, not 0"]),
        ("", 2, &["init", "client", "revoke"]),
        ("nonsense", 2, &["nonsense"]),
    ];
    for (args, code, parts) in cases {
        let (ended, stdout, stderr) = certs(&dir, args);
        assert_eq!(ended, *code, "certs {args}: {stderr}");
        assert_eq!(stdout, "", "certs {args}");
        for part in *parts {
            assert!(stderr.contains(part), "certs {args} does not say {part:?}: {stderr}");
        }
        assert!(!stderr.contains("panicked"), "certs {args}: {stderr}");
        assert!(snapshot(&dir) == before, "certs {args} changed something");
        assert!(!dir.path().join("new").exists(), "certs {args} made something");
    }
}

#[test]
fn the_servers_options_do_not_go_with_certs() {
    let dir = TempDir::new();
    for option in [&["--ca", "certs/ca.pem"][..], &["--listen", "127.0.0.1:0"], &["--resumption"], &["--log", "json"]] {
        let output = run(dir.path(), &[option, &["certs", "init"]].concat());
        assert_eq!(output.status.code(), Some(1), "{option:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("do not go with certs"));
        assert!(!dir.path().join("certs").exists());
    }
}

#[cfg(not(feature = "aws-lc-rs"))]
#[test]
fn a_build_that_makes_no_rsa_keys_says_so() {
    let dir = initialised();
    let said = fails(&dir, "client old --rsa 2048");
    assert!(said.contains("aws-lc-rs"), "{said}");
    assert!(!snapshot(&dir).contains_key("old-key.pem"));
}

#[cfg(feature = "aws-lc-rs")]
#[test]
fn an_rsa_key_stays_one_when_it_is_renewed() {
    let dir = initialised();
    for (bits, octets) in [("2048", 256), ("4096", 512)] {
        done(&dir, &format!("client old{bits} --rsa {bits}"));
        for renewed in [false, bits == "2048"] {
            if renewed {
                done(&dir, &format!("renew old{bits}"));
            }
            let (_, certificate) = x509_parser::parse_x509_certificate(&holder(&dir, &format!("old{bits}")).chain[0])
                .map(|(rest, certificate)| (rest.len(), certificate.public_key().parsed().unwrap().key_size()))
                .unwrap();
            assert_eq!(certificate, octets * 8);
        }
    }
    let running = start(Trust::from_pem_files([dir.path().join("certs/ca.pem")]).unwrap());
    for version in VERSIONS {
        assert_eq!(get(running.addr, Some(&holder(&dir, "old2048")), version).unwrap().status, 200);
    }
}

#[test]
fn a_given_password_is_not_shown() {
    let dir = initialised();
    dir.write("password", "correct horse\nsecond line\n");
    let said = done(&dir, "client alice --password-file password");
    assert!(!said.contains("password") && !said.contains("horse"), "{said}");
}

#[test]
fn revoking_puts_the_serial_on_the_list_at_once_and_for_good() {
    let dir = initialised();
    done(&dir, "client alice");
    let serial = digits(identity(&dir, "alice").serial());
    let said = done(&dir, "revoke alice --reason key-compromise");
    let hint = "a server with --crl certs/crl.pem heeds it within a second";
    assert_eq!(said, format!("revoked alice, serial {serial}\n{hint}\n"));
    let (number, days, entries) = crl(&dir);
    assert_eq!((days, entries), (30, vec![(serial.clone(), 1)]));
    let first = done(&dir, "list");
    assert!(first.contains("key-compromise"), "{first}");
    // Once more: the first time and reason stay, and the list is signed anew.
    let again = done(&dir, "revoke alice --reason superseded");
    assert!(again.contains("alice was revoked before"), "{again}");
    assert!(crl(&dir).0 > number);
    assert_eq!(crl(&dir).2, [(serial.clone(), 1)]);
    assert_eq!(done(&dir, "list").lines().nth(2), first.lines().nth(2));
    // It stays on the list, and a new alice does not lift it.
    for name in ["alice-crt.pem", "alice-key.pem", "alice.p12", "alice.legacy.p12"] {
        fs::remove_file(dir.path().join("certs").join(name)).unwrap();
    }
    done(&dir, "client alice");
    done(&dir, "crl");
    assert_eq!(crl(&dir).2, [(serial, 1)]);
}

/// The recipe of the guide.
#[test]
fn a_running_server_turns_away_who_is_revoked_and_keeps_the_others() {
    let dir = initialised();
    done(&dir, "client alice");
    done(&dir, "client bob");
    let args = ["--ca", "certs/ca.pem", "--crl", "certs/crl.pem", "--crl-required", "--listen", "127.0.0.1:0"];
    let serving = Serving::start(&binary(), dir.path(), &args);
    let status = |holder: &Holder| get(serving.addr, Some(holder), &TLS13).unwrap().status;
    let (alice, bob) = (holder(&dir, "alice"), holder(&dir, "bob"));
    assert_eq!((status(&alice), status(&bob)), (200, 200));
    done(&dir, "revoke alice");
    eventually(|| status(&alice) == 401);
    assert_eq!(status(&bob), 200);
    done(&dir, "renew bob --revoke-old");
    eventually(|| status(&bob) == 401);
    assert_eq!(status(&holder(&dir, "bob")), 200);
    assert!(!serving.stderr().contains("warning"), "{}", serving.stderr());
}

#[test]
fn every_reason_reaches_the_list_as_its_code() {
    let dir = initialised();
    let reasons = [
        ("unspecified", 0),
        ("key-compromise", 1),
        ("affiliation-changed", 3),
        ("superseded", 4),
        ("cessation-of-operation", 5),
        ("privilege-withdrawn", 9),
    ];
    for (word, code) in reasons {
        done(&dir, &format!("client {word}"));
        done(&dir, &format!("revoke {word} --reason {word}"));
        let serial = digits(identity(&dir, word).serial());
        assert!(crl(&dir).2.contains(&(serial, code)), "{word}");
    }
    assert_eq!(crl(&dir).2.len(), reasons.len());
}

#[test]
fn a_new_list_is_no_list_from_the_future_to_a_clock_that_is_behind() {
    let dir = initialised();
    done(&dir, "crl");
    let path = |name: &str| dir.path().join("certs").join(name);
    let behind = SystemTime::now() - Duration::from_secs(55 * 60);
    Trust::builder().pem_file(path("ca.pem")).crl_file(path("crl.pem")).now(behind).build().unwrap();
}

#[test]
fn a_list_is_signed_for_the_days_that_were_chosen_last() {
    let dir = initialised();
    assert_eq!(done(&dir, "crl --days 90"), "made certs/crl.pem\n");
    assert_eq!(crl(&dir).1, 90);
    let number = crl(&dir).0;
    done(&dir, "revoke server");
    assert!(crl(&dir).0 > number && crl(&dir).1 == 90);
    let number = crl(&dir).0;
    fs::remove_file(dir.path().join("certs/crl.pem")).unwrap();
    assert!(done(&dir, "list").contains("no revocation list, or not of all"));
    done(&dir, "crl");
    assert!(crl(&dir).0 > number && crl(&dir).1 == 90);
}

/// An index that says its list has yet to be signed.
fn with_pending_list(index: &str) -> String {
    let line = index.lines().nth(1).unwrap();
    index.replacen(line, &format!("{}\tpending", line.rsplit_once('\t').unwrap().0), 1)
}

/// The list cannot be written: the revocation is in the index, says so, and reaches the list with the next change of any
/// kind.
#[test]
fn a_revocation_that_was_cut_short_is_not_lost() {
    for next in ["crl", "client bob", "revoke alice", "renew server"] {
        let dir = initialised();
        done(&dir, "client alice");
        let list = read(&dir, "crl.pem");
        done(&dir, "revoke alice");
        let number = crl(&dir).0;
        // As if the process had been killed between the index and the list.
        dir.write("certs/crl.pem", list);
        dir.write("certs/index.txt", with_pending_list(&read(&dir, "index.txt")));
        let said = done(&dir, "list");
        assert!(said.contains("revoked 20") && said.contains("or not of all that is revoked"), "{said}");
        assert_eq!(crl(&dir).2, []);
        done(&dir, next);
        assert_eq!(crl(&dir).2, [(digits(identity(&dir, "alice").serial()), 0)], "{next}");
        assert!(crl(&dir).0 > number, "the number of the list that was not written is not used again");
        assert!(!done(&dir, "list").contains("not of all"), "{next}");
    }
}

/// Ends the command at the first byte of a file that is over 512.
fn killed_over_a_large_file(dir: &TempDir, args: &str) {
    let script = format!("ulimit -c 0; ulimit -f 1; exec {} certs {args}", binary().display());
    assert!(!Command::new("sh").args(["-c", &script]).current_dir(dir.path()).output().unwrap().status.success());
}

/// The list is large by the name of the CA, the index is not.
#[test]
fn a_revocation_is_in_the_index_before_its_list_is_written() {
    let dir = TempDir::new();
    done(&dir, &format!("init --name {}", "é".repeat(64)));
    done(&dir, "client alice");
    let list = read(&dir, "crl.pem");
    assert!(list.len() > 512, "{}", list.len());
    killed_over_a_large_file(&dir, "revoke alice");
    assert_eq!(read(&dir, "crl.pem"), list);
    let said = done(&dir, "list");
    assert!(said.contains("revoked 20") && said.contains("or not of all that is revoked"), "{said}");
    done(&dir, "client bob");
    assert_eq!(crl(&dir).2, [(digits(identity(&dir, "alice").serial()), 0)]);
}

#[test]
fn a_certificate_is_in_the_index_before_its_files_have_their_names() {
    let dir = initialised();
    done(&dir, "client alice");
    let p12 = dir.path().join("certs/alice.p12");
    fs::remove_file(&p12).unwrap();
    fs::create_dir(&p12).unwrap();
    let said = fails(&dir, "renew alice");
    assert!(said.contains("cannot write certs/alice.p12"), "{said}");
    assert_eq!(read(&dir, "index.txt").matches("alice").count(), 2);
    fs::remove_dir(&p12).unwrap();
    done(&dir, "crl");
    let path = |name: &str| dir.path().join("certs").join(name);
    ServerCertificate::from_pem_files(path("alice-crt.pem"), path("alice-key.pem")).unwrap();
    done(&dir, "revoke alice");
    assert!(crl(&dir).2.contains(&(digits(identity(&dir, "alice").serial()), 0)));
}

#[test]
fn a_certificate_whose_making_was_cut_short_is_made_by_the_next_try() {
    for (begun, next) in [("", "client alice"), ("client alice", "renew alice")] {
        let dir = initialised();
        if !begun.is_empty() {
            done(&dir, begun);
        }
        let before = snapshot(&dir);
        killed_over_a_large_file(&dir, next);
        let after = snapshot(&dir);
        assert!(after.contains_key("alice-key.pem.mtls-min-new"), "{:?}", after.keys());
        assert!(before.iter().all(|(name, content)| after[name] == *content), "nothing has changed");
        done(&dir, next);
        ServerCertificate::from_pem_files(
            dir.path().join("certs/alice-crt.pem"),
            dir.path().join("certs/alice-key.pem"),
        )
        .unwrap();
        assert!(!snapshot(&dir).keys().any(|name| name.ends_with("-new")), "{:?}", snapshot(&dir).keys());
    }
}

/// Killed while the new files took their names: whoever comes next finishes it, so that certificate and key fit.
#[test]
fn a_renewal_that_was_cut_short_is_finished_by_the_next_who_comes() {
    let whole = initialised();
    done(&whole, "client alice");
    let old = snapshot(&whole);
    done(&whole, "renew alice --revoke-old");
    let new = snapshot(&whole);
    let files = ["alice-key.pem", "alice.p12", "alice.legacy.p12", "alice-crt.pem"];
    for renamed in 0..files.len() {
        let dir = TempDir::new();
        fs::create_dir(dir.path().join("certs")).unwrap();
        for (name, content) in &old {
            dir.write(&format!("certs/{name}"), content);
        }
        dir.write("certs/index.txt", with_pending_list(&read(&whole, "index.txt")));
        for (at, file) in files.iter().enumerate() {
            let suffix = if at < renamed { "" } else { ".mtls-min-new" };
            dir.write(&format!("certs/{file}{suffix}"), &new[*file]);
        }
        done(&dir, "crl");
        let now = snapshot(&dir);
        assert!(files.iter().all(|file| now[*file] == new[*file]), "{renamed} were renamed");
        assert!(!now.keys().any(|name| name.ends_with("-new")), "{:?}", now.keys());
        assert_eq!(crl(&dir).2.len(), 1);
    }
}

#[test]
fn what_killed_processes_left_is_taken_away_in_time() {
    let dir = initialised();
    for name in ["alice-key.pem.77-0.mtls-min-tmp", "notes.2026-11.tmp", "young.1-2.mtls-min-tmp", "notes.new"] {
        dir.write(&format!("certs/{name}"), "");
    }
    for name in ["alice-key.pem.77-0.mtls-min-tmp", "notes.2026-11.tmp", "notes.new"] {
        let file = fs::File::options().write(true).open(dir.path().join("certs").join(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(3601)).unwrap();
    }
    done(&dir, "crl");
    let left: Vec<_> = snapshot(&dir).into_keys().filter(|name| name.contains("tmp") || name.contains("new")).collect();
    assert_eq!(left, ["notes.2026-11.tmp", "notes.new", "young.1-2.mtls-min-tmp"]);
}

/// As somebody calls them who changes a key by hand.
#[test]
fn a_file_that_somebody_called_new_is_left_alone() {
    let dir = initialised();
    let names = ["server-key.pem.new", "server-crt.pem.new", "alice-key.pem.new", "alice.p12.new"];
    for name in names {
        dir.write(&format!("certs/{name}"), "mine");
    }
    done(&dir, "client alice");
    done(&dir, "renew alice");
    done(&dir, "crl");
    for name in names {
        assert_eq!(snapshot(&dir).get(name).map(Vec::as_slice), Some(&b"mine"[..]), "{name}");
    }
}

/// With an index from a backup, who was revoked since stays revoked.
#[test]
fn an_old_index_undoes_no_revocation() {
    let dir = initialised();
    done(&dir, "client alice");
    let index = read(&dir, "index.txt");
    done(&dir, "client bob");
    done(&dir, "revoke alice --reason key-compromise");
    done(&dir, "revoke bob");
    let (number, _, mut revoked) = crl(&dir);
    let bob = digits(identity(&dir, "bob").serial());
    // Bob is known neither by the index nor by a file.
    fs::remove_file(dir.path().join("certs/bob-crt.pem")).unwrap();
    dir.write("certs/index.txt", index);
    let (_, listed, notice) = certs(&dir, "list");
    let expected = "mtls-min: 2 revocations are taken over from certs/crl.pem, which is newer than index.txt: is that from a backup?\n";
    assert_eq!(notice, expected);
    assert!(listed.contains(&format!("serial-{bob}")) && !listed.contains(" valid\nbob"), "{listed}");
    told(&dir, "crl");
    let (now, _, mut entries) = crl(&dir);
    entries.sort();
    revoked.sort();
    assert!(now > number);
    assert_eq!(entries, revoked, "alice and bob, with their reasons");
    assert!(done(&dir, "revoke alice").contains("was revoked before"));
}

/// The other way round: the index is the newer one, so the list is signed anew.
#[test]
fn an_old_list_is_told_and_signed_anew_by_the_next_change() {
    for next in ["crl", "client bob", "renew server"] {
        let dir = initialised();
        done(&dir, "client alice");
        let list = read(&dir, "crl.pem");
        done(&dir, "revoke alice");
        let number = crl(&dir).0;
        dir.write("certs/crl.pem", list);
        let (_, said, notice) = certs(&dir, "list");
        assert!(said.contains("or not of all that is revoked"), "{said}");
        assert!(notice.contains("certs/crl.pem is older than index.txt, as one from a backup is"), "{notice}");
        told(&dir, next);
        assert_eq!(crl(&dir).2, [(digits(identity(&dir, "alice").serial()), 0)], "{next}");
        assert!(crl(&dir).0 > number && !done(&dir, "list").contains("not of all"), "{next}");
    }
}

#[test]
fn a_list_that_is_not_this_cas_stops_everything() {
    let (dir, other, namesake) = (initialised(), TempDir::new(), initialised());
    done(&other, "init --name other");
    for (content, part) in [
        (read(&other, "crl.pem"), "of another CA"),
        (read(&namesake, "crl.pem"), "of another CA"),
        ("nonsense".to_owned(), "no revocation list"),
    ] {
        dir.write("certs/crl.pem", content);
        let said = fails(&dir, "crl");
        assert!(said.contains(part) && said.contains("move it away"), "{said}");
    }
    fs::remove_file(dir.path().join("certs/crl.pem")).unwrap();
    done(&dir, "crl");
    dir.write("certs/index.txt", format!("mtls-min index 1\ncrl\t{}\t30\tnone\n", u64::MAX));
    let said = fails(&dir, "crl");
    assert!(said.contains("certs/index.txt") && said.contains("can grow no more"), "{said}");
}

/// Whoever may not look into the directory must not be sent to make another CA.
#[test]
fn a_ca_that_cannot_be_looked_at_is_not_said_to_be_missing() {
    let dir = initialised();
    let ca = dir.path().join("certs/ca.pem");
    fs::remove_file(&ca).unwrap();
    std::os::unix::fs::symlink("ca.pem", &ca).unwrap();
    for args in ["list", "client alice", "crl"] {
        let said = fails(&dir, args);
        assert!(said.contains("cannot read certs/ca.pem") && !said.contains("certs init"), "{args}: {said}");
    }
}

/// As on a machine without a battery, before it has asked for the time: the server would take the list for the newest, and
/// refuse everybody once the clock is set.
#[test]
fn nothing_is_signed_by_a_clock_from_before_the_ca() {
    let dir = initialised();
    done(&dir, "client alice");
    let before = snapshot(&dir);
    let directory = Directory::new(dir.path().join("certs"));
    for now in [SystemTime::UNIX_EPOCH, SystemTime::now() - DAY] {
        let renewal = Default::default();
        for error in [
            directory.sign_crl(None, now).unwrap_err(),
            directory.revoke("alice", Default::default(), now).unwrap_err(),
            directory.renew("alice", &renewal, "a password", now).unwrap_err(),
            directory.issue_client(&ClientRequest::new("bob"), "a password", now).unwrap_err(),
        ] {
            let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<mtls_min::Error>());
            assert!(cause.unwrap().to_string().starts_with("the CA is not valid before 20"), "{error:?}");
            assert_eq!(cause.unwrap().hint_text(), Some("the system clock is wrong; set it"));
        }
        assert!(snapshot(&dir) == before, "something has changed");
    }
}

#[test]
fn an_init_that_was_cut_short_says_how_to_go_on() {
    let dir = initialised();
    for file in ["index.txt", "crl.pem", "server-crt.pem", "server-key.pem"] {
        fs::remove_file(dir.path().join("certs").join(file)).unwrap();
    }
    let said = fails(&dir, "init");
    assert!(said.contains("certs server --host NAME") && said.contains("certs crl --empty"), "{said}");
    done(&dir, "server --host localhost");
    done(&dir, "crl --empty");
    assert!(done(&dir, "list").contains("server"));
    let half = TempDir::new();
    fs::create_dir(half.path().join("certs")).unwrap();
    half.write("certs/ca-key.pem", read(&dir, "ca-key.pem"));
    let said = fails(&half, "init");
    assert!(said.contains("ca-key.pem is there without ca.pem") && said.contains("move it away"), "{said}");
}

#[test]
fn a_name_whose_files_are_gone_is_not_given_away_twice() {
    let dir = initialised();
    done(&dir, "client alice");
    for name in ["alice-crt.pem", "alice-key.pem", "alice.p12", "alice.legacy.p12"] {
        fs::remove_file(dir.path().join("certs").join(name)).unwrap();
    }
    let said = fails(&dir, "client alice");
    assert!(said.contains("has a valid certificate already") && said.contains("certs revoke alice"), "{said}");
    done(&dir, "revoke alice");
    done(&dir, "client alice");
    assert_eq!(crl(&dir).2.len(), 1);
}

#[test]
fn renewing_keeps_the_names_and_changes_key_and_serial() {
    let dir = initialised();
    done(&dir, "client alice --email a@b.test --uri urn:x:y");
    let (old, files) = (identity(&dir, "alice"), snapshot(&dir));
    let said = done(&dir, "renew alice --days 30");
    assert!(said.contains("shown this once"), "{said}");
    let new = identity(&dir, "alice");
    assert_eq!(new.subject(), old.subject());
    assert_eq!((new.emails(), new.uris()), (old.emails(), old.uris()));
    assert_ne!(new.serial(), old.serial());
    let left = new.not_after().duration_since(SystemTime::now()).unwrap();
    assert!(left < 30 * DAY && left > 29 * DAY, "{left:?}");
    for (name, content) in snapshot(&dir) {
        let kept = !name.starts_with("alice") && name != "index.txt";
        assert_eq!(files[&name] == content, kept, "{name}");
    }
    // The old one stays valid, and is revoked with its name.
    assert_eq!(done(&dir, "list").matches(" valid").count(), 3);
    done(&dir, "revoke alice");
    let serials: Vec<_> = crl(&dir).2.into_iter().map(|(serial, _)| serial).collect();
    assert_eq!(serials, [digits(old.serial()), digits(new.serial())]);
}

#[test]
fn renewing_with_revoke_old_revokes_the_old_one_alone() {
    let dir = initialised();
    done(&dir, "client alice");
    let old = digits(identity(&dir, "alice").serial());
    done(&dir, "renew alice --revoke-old");
    assert_eq!(crl(&dir).2, [(old, 4)]);
    let said = done(&dir, "list");
    assert_eq!(said.matches("alice").count(), 2, "{said}");
    assert_eq!((said.matches(" valid").count(), said.matches("superseded").count()), (2, 1), "{said}");
}

/// Its list would be pending for ever, and keep out whoever comes next.
#[test]
fn with_a_ca_that_may_not_sign_lists_nothing_is_revoked_by_halves() {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = pki::params("ca");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    let dir = TempDir::new();
    fs::create_dir(dir.path().join("certs")).unwrap();
    dir.write("certs/ca.pem", params.self_signed(&key).unwrap().pem());
    dir.write("certs/ca-key.pem", key.serialize_pem());
    done(&dir, "client alice");
    let before = snapshot(&dir);
    for args in ["revoke alice", "renew alice --revoke-old", "crl", "crl --empty"] {
        let said = fails(&dir, args);
        let of_signing = said.contains("the revocation list cannot be signed") && said.contains("cRLSign");
        assert!(of_signing == args.contains("empty") && (of_signing || said.contains("crl --empty")), "{args}: {said}");
        assert!(snapshot(&dir) == before, "{args} changed something");
    }
    done(&dir, "renew alice");
    done(&dir, "client bob");
}

#[test]
fn a_server_is_renewed_for_the_same_hosts() {
    let dir = TempDir::new();
    done(&dir, "init --host *.a.test --host b.test --host 10.1.2.3");
    done(&dir, "server two --host c.b.test --days 20");
    let said = done(&dir, "renew server");
    assert!(!said.contains("p12") && !said.contains("password"), "{said}");
    let server = identity(&dir, "server");
    assert_eq!(server.dns_names(), ["*.a.test", "b.test"]);
    assert_eq!(server.ip_addresses(), ["10.1.2.3".parse::<std::net::IpAddr>().unwrap()]);
    let path = |name: &str| dir.path().join("certs").join(name);
    for name in ["server", "two"] {
        let files = (path(&format!("{name}-crt.pem")), path(&format!("{name}-key.pem")));
        ServerCertificate::from_pem_files(files.0, files.1).unwrap();
    }
}

#[test]
fn the_demos_certificates_are_managed_too() {
    let dir = TempDir::new();
    throwaway(dir.path().join("certs"), SystemTime::now()).unwrap();
    let said = done(&dir, "list");
    assert!(said.contains("client1  client") && said.contains("server   server"), "{said}");
    assert!(said.contains("no revocation list yet"), "{said}");
    assert!(!snapshot(&dir).contains_key("index.txt"), "listing changes nothing");
    let old = digits(identity(&dir, "client1").serial());
    let said = done(&dir, "renew client1 --revoke-old");
    let password = said.lines().find_map(|line| line.split_once("shown this once: ")).unwrap().1;
    assert_eq!(read(&dir, "client1-p12-password.txt").trim(), password, "the demo shows the right one");
    done(&dir, "client bob");
    done(&dir, "revoke bob");
    let revoked: Vec<_> = crl(&dir).2.into_iter().map(|(serial, _)| serial).collect();
    assert_eq!(revoked, [old, digits(identity(&dir, "bob").serial())]);
    assert!(throwaway(dir.path().join("certs"), SystemTime::now()).unwrap().files.is_empty());
}

#[test]
fn an_index_that_is_lost_or_damaged_stops_everything() {
    let dir = initialised();
    done(&dir, "client alice");
    done(&dir, "revoke alice");
    let index = dir.path().join("certs/index.txt");
    let whole = fs::read_to_string(&index).unwrap();
    let list = read(&dir, "crl.pem");
    let check = |part: &str| {
        for args in ["list", "crl", "client bob", "revoke alice", "renew server"] {
            let said = fails(&dir, args);
            assert!(said.contains(part) && said.contains("backup"), "{args}: {said}");
        }
        assert_eq!(read(&dir, "crl.pem"), list);
    };
    for damaged in [&whole[..whole.len() - 9], "", &whole.replace("revoked", "forgiven")] {
        fs::write(&index, damaged).unwrap();
        check("certs/index.txt");
    }
    fs::remove_file(&index).unwrap();
    check("certs/crl.pem is there without index.txt");
}

#[test]
fn the_list_shows_name_serial_state_and_days_left() {
    let dir = initialised();
    done(&dir, "client alice --days 10");
    let index = dir.path().join("certs/index.txt");
    let mut text = fs::read_to_string(&index).unwrap();
    text.push_str("client\told\t4a\t2020-01-01T00:00:00Z\tvalid\n");
    text.push_str("client\tbad\t4b\t2099-01-01T00:00:00Z\trevoked\t2026-01-02T03:04:05Z\tkey-compromise\n");
    fs::write(&index, &text).unwrap();
    let said = done(&dir, "list");
    let rows: Vec<Vec<_>> = said.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NAME", "KIND", "SERIAL", "DAYS", "LEFT", "STATE"]);
    assert_eq!((rows[1][0], rows[1][1], rows[1][3], rows[1][4]), ("server", "server", "396", "valid"));
    let serial = digits(identity(&dir, "alice").serial());
    assert_eq!(rows[2], ["alice", "client", &serial, "9", "valid"]);
    assert_eq!(rows[3], ["old", "client", "4a", "0", "expired"]);
    assert_eq!(rows[4][4..], ["revoked", "2026-01-02T03:04:05Z", "key-compromise"]);
    let number = crl(&dir).0;
    assert!(said.ends_with(&format!("\nrevocation list {number}, 29 days left\n")), "{said}");
    let json = done(&dir, "list --json");
    for part in [
        "{\"certificates\":[{\"name\":\"server\",\"kind\":\"server\",",
        "\"name\":\"old\",\"kind\":\"client\",\"serial\":\"4a\",\"not_after\":\"2020-01-01T00:00:00Z\",\"state\":\"expired\"}",
        "\"state\":\"revoked\",\"revoked\":\"2026-01-02T03:04:05Z\",\"reason\":\"key-compromise\"}",
        &format!("\"crl\":{{\"number\":{number},\"next_update\":\"20"),
    ] {
        assert!(json.contains(part), "{part}: {json}");
    }
    let due = text.lines().nth(1).unwrap().rsplit('\t').next().unwrap();
    fs::write(&index, text.replace(due, "2020-01-01T00:00:00Z")).unwrap();
    let expired = format!("revocation list {number}, expired: `mtls-min certs crl` signs it anew");
    assert!(done(&dir, "list").contains(&expired));
}

#[test]
fn eight_at_once_all_come_through_and_the_index_is_whole() {
    let dir = initialised();
    let spawn = |n: u32| {
        let mut command = Command::new(binary());
        command.args(["certs", "client", &format!("c{n}")]).current_dir(dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let running: Vec<_> = (0..8).map(spawn).collect();
    for process in running {
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let said = done(&dir, "list");
    for n in 0..8 {
        assert!(said.contains(&digits(identity(&dir, &format!("c{n}")).serial())), "{said}");
    }
    assert_eq!(said.matches(" valid").count(), 9, "{said}");
    assert!(!snapshot(&dir).keys().any(|name| name.ends_with("-tmp")));
}

fn hold(dir: &Path) -> fs::File {
    let lock = fs::File::options().write(true).open(dir.join("certs/.lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    lock
}

#[test]
fn who_finds_the_lock_taken_says_so_and_waits() {
    let dir = initialised();
    let lock = hold(dir.path());
    let mut command = Command::new(binary());
    command.args(["certs", "client", "alice"]).current_dir(dir.path()).stdin(Stdio::null()).stdout(Stdio::null());
    let stderr = dir.path().join("stderr");
    let mut waiting = command.stderr(fs::File::create(&stderr).unwrap()).spawn().unwrap();
    eventually(|| fs::read_to_string(&stderr).unwrap().contains("waiting for another process that works in certs"));
    assert!(waiting.try_wait().unwrap().is_none());
    assert!(!snapshot(&dir).contains_key("alice-key.pem"));
    drop(lock);
    assert!(waiting.wait().unwrap().success());
    assert!(snapshot(&dir).contains_key("alice-key.pem"));
}

#[test]
fn a_lock_that_is_never_freed_is_an_error_and_no_hindrance_to_reading() {
    let dir = initialised();
    let _lock = hold(dir.path());
    let directory = Directory::new(dir.path().join("certs")).patience(Duration::from_millis(50));
    let error = directory.issue_client(&ClientRequest::new("x"), "a password", SystemTime::now()).unwrap_err();
    assert!(error.to_string().contains("another process works in"), "{error}");
    assert!(error.hint_text().is_some_and(|hint| hint.contains(".lock")), "{error:?}");
    done(&dir, "list");
}

/// What a stolen CA key is worth: a server certificate for another site, made with it, is refused by those who trust the CA.
#[test]
fn the_name_constraints_of_the_ca_hold_for_who_has_its_key() {
    let now = SystemTime::now();
    let verify = |ca: &Authority, issued: &rcgen::Certificate, name: &str| {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca.certificate_pem().as_bytes()).unwrap()).unwrap();
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider()).build().unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        verifier.verify_server_cert(issued.der(), &[], &name, &[], UnixTime::now()).is_ok()
    };
    let forged = |ca: &Authority, name: &str| {
        let key = rcgen::KeyPair::from_pem(&ca.key_pem()).unwrap();
        let issuer = rcgen::Issuer::from_ca_cert_pem(ca.certificate_pem(), key).unwrap();
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.signed_by(&rcgen::KeyPair::generate().unwrap(), &issuer).unwrap()
    };
    let cases: [(&[&str], &[&str], &[&str]); 4] = [
        (&["a.test"], &["a.test", "x.a.test"], &["b.test", "xa.test", "test", "127.0.0.1", "::1"]),
        (&["*.a.test", "10.0.0.1"], &["x.a.test", "10.0.0.1"], &["b.test", "10.0.0.2", "::1"]),
        (&["10.0.0.1"], &["10.0.0.1"], &["a.test", "10.0.0.2", "::1"]),
        (&["::1"], &["::1"], &["a.test", "127.0.0.1", "::2"]),
    ];
    for (hosts, good, bad) in cases {
        let ca = Authority::for_hosts("ca", hosts, now).unwrap();
        for (names, expected) in [(good, true), (bad, false)] {
            for name in names {
                assert_eq!(verify(&ca, &forged(&ca, name), name), expected, "{hosts:?} {name}");
                // What would be refused is not signed in the first place.
                assert_eq!(ca.issue_server(&[name], now).is_ok(), expected, "{hosts:?} {name}");
            }
        }
    }
    let any = Authority::new("ca", now).unwrap();
    assert!(verify(&any, &forged(&any, "b.test"), "b.test"));
    let dir = TempDir::new();
    done(&dir, "init --any-host");
    done(&dir, "server two --host other.test");
}

#[test]
fn no_certificate_outlives_its_ca() {
    let made = SystemTime::now() - 3600 * DAY;
    let ca = Authority::new("ca", made).unwrap();
    let client = ca.issue_client("x", SystemTime::now()).unwrap();
    let client = CertificateDer::from_pem_slice(client.certificate_pem.as_bytes()).unwrap();
    let authority = CertificateDer::from_pem_slice(ca.certificate_pem().as_bytes()).unwrap();
    let not_after = |der| Identity::from_der(der).unwrap().not_after();
    assert_eq!(not_after(&client), not_after(&authority));
}

/// A serial number whose first bit is set has an octet before it in the certificate; on the list it is the same number.
#[test]
fn serial_numbers_of_others_reach_the_list_as_they_are() {
    let dir = initialised();
    let key = rcgen::KeyPair::from_pem(&read(&dir, "ca-key.pem")).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_pem(&read(&dir, "ca.pem"), key).unwrap();
    for (name, serial, listed) in [("high", vec![0x80, 1], "008001"), ("small", vec![1], "01")] {
        let mut params = pki::params(name);
        params.serial_number = Some(serial.into());
        let certificate = params.signed_by(&rcgen::KeyPair::generate().unwrap(), &issuer).unwrap();
        dir.write(&format!("certs/{name}-crt.pem"), certificate.pem());
        let said = done(&dir, &format!("revoke {name}"));
        let serial = listed.trim_start_matches("00");
        assert!(said.starts_with(&format!("revoked {name}, serial {serial}\n")), "{said}");
        assert!(crl(&dir).2.contains(&(listed.to_owned(), 0)), "{:?}", crl(&dir));
    }
}

/// The CA would vouch for names that it never saw.
#[test]
fn what_lies_in_the_place_of_a_certificate_is_not_renewed() {
    let dir = initialised();
    done(&dir, "client alice");
    done(&dir, "client bob");
    let foreign = Ca::new("other").client("admin").pem();
    for content in [foreign, read(&dir, "bob-crt.pem"), "nonsense".to_owned()] {
        dir.write("certs/alice-crt.pem", content);
        let before = snapshot(&dir);
        let said = fails(&dir, "renew alice");
        assert!(said.contains("certs/alice-crt.pem is none of the certificates of alice"), "{said}");
        assert!(snapshot(&dir) == before, "something has changed");
    }
}

/// Names that would come out otherwise than they were are refused instead.
#[test]
fn what_cannot_be_repeated_is_not_renewed() {
    use rcgen::{DnType, SanType};
    let dir = initialised();
    let key = rcgen::KeyPair::from_pem(&read(&dir, "ca-key.pem")).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_pem(&read(&dir, "ca.pem"), key).unwrap();
    let issue = |name: &str, change: &dyn Fn(&mut rcgen::CertificateParams)| {
        let mut params = pki::params(name);
        params.serial_number = Some(vec![0x41, 1].into());
        change(&mut params);
        let key = rcgen::KeyPair::generate().unwrap();
        dir.write(&format!("certs/{name}-crt.pem"), params.signed_by(&key, &issuer).unwrap().pem());
        dir.write(&format!("certs/{name}-key.pem"), key.serialize_pem());
    };
    issue("other", &|params| {
        let value = rcgen::OtherNameValue::Utf8String("x".to_owned());
        params.subject_alt_names = vec![SanType::OtherName((vec![1, 3, 6, 1, 4, 1, 311, 20, 2, 3], value))];
    });
    let said = fails(&dir, "renew other");
    assert!(said.contains("certs/other-crt.pem cannot be renewed") && said.contains("cannot be repeated"), "{said}");
    // A subject is copied, so none can come out as another: no string; a type that is the common name's, if only its number is
    // cut to 64 bits.
    let large = [&[0x55, 4, 0x82][..], &[0x80; 8], &[3]].concat();
    for subject in [pki::name(&[&[(pki::CN, 3, b"\0x")]]), pki::name(&[&[(&large, 12, b"admin")]])] {
        issue("odd", &|_| {});
        let signer = Holder {
            chain: vec![CertificateDer::from_pem_slice(read(&dir, "ca.pem").as_bytes()).unwrap()],
            key: PrivateKeyDer::from_pem_slice(read(&dir, "ca-key.pem").as_bytes()).unwrap(),
        };
        let signer = Ca::out_of(&signer, pki::params("ca"));
        let holder = Holder {
            chain: vec![CertificateDer::from_pem_slice(read(&dir, "odd-crt.pem").as_bytes()).unwrap()],
            key: PrivateKeyDer::from_pem_slice(read(&dir, "odd-key.pem").as_bytes()).unwrap(),
        };
        dir.write("certs/odd-crt.pem", signer.with_subject(&holder, &subject).pem());
        done(&dir, "renew odd");
        let renewed = CertificateDer::from_pem_slice(read(&dir, "odd-crt.pem").as_bytes()).unwrap();
        assert_ne!(renewed, holder.chain[0]);
        assert!(renewed.windows(subject.len()).any(|window| window == subject));
    }
    issue("full", &|params| {
        params.serial_number = Some(vec![0x41, 2].into());
        params.distinguished_name.push(DnType::CountryName, "CH");
        params.distinguished_name.push(DnType::from_oid(&[2, 5, 4, 5]), "7");
        params.distinguished_name.push(DnType::from_oid(&[0, 9, 2342, 19_200_300, 100, 1, 25]), "example");
    });
    let before = identity(&dir, "full").subject().to_owned();
    done(&dir, "renew full");
    assert_eq!(identity(&dir, "full").subject(), before);
}
