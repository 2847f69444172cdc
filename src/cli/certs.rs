//! `mtls-min certs`: make, renew, revoke and list certificates.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use argh::{ArgsInfo, FromArgs};

use super::CommandLine;
use super::password::Password;
use super::words::of_command;
use crate::clock::{timestamp, whole_days};
use crate::error::Error;
use crate::escape::shell;
use crate::pki::{ClientRequest, Directory, Entry, KeyKind, Overview, Reason, Renewal, Usage};

/// Make a CA and certificates, renew and revoke them. Nothing is overwritten unasked.
#[derive(FromArgs, ArgsInfo, Debug, Clone, PartialEq)]
#[argh(
    subcommand,
    name = "certs",
    help_triggers("-h", "--help"),
    example = "  {command_name} init --host example.org\n  {command_name} client alice\n  {command_name} revoke alice --reason key-compromise"
)]
pub(super) struct Certs {
    /// directory of the certificates (default certs)
    #[argh(option, arg_name = "dir", default = "\"certs\".to_owned()")]
    dir: String,
    #[argh(subcommand)]
    what: What,
}

#[derive(FromArgs, ArgsInfo, Debug, Clone, PartialEq)]
#[argh(subcommand)]
enum What {
    Init(Init),
    Server(NewServer),
    Client(NewClient),
    Renew(Renew),
    Revoke(Revoke),
    List(List),
    Crl(Crl),
}

/// Make a CA, a server certificate and an empty revocation list.
#[derive(FromArgs, ArgsInfo, Debug, Clone, PartialEq)]
#[argh(
    subcommand,
    name = "init",
    help_triggers("-h", "--help"),
    note = "The CA may vouch for these hosts and what is below them only, so that nobody can use its key against other\nsites. --any-host makes one without such name constraints, for programs that cannot read them, and for\nclient names with a dot, which OpenSSL takes for those of hosts."
)]
struct Init {
    /// DNS name or IP address of the server; repeatable (default localhost, 127.0.0.1 and ::1)
    #[argh(option, arg_name = "host")]
    host: Vec<String>,
    /// let the CA vouch for any host
    #[argh(switch)]
    any_host: bool,
    /// name of the CA (default mtls-min CA)
    #[argh(option, arg_name = "name", default = "\"mtls-min CA\".to_owned()")]
    name: String,
}

/// Make a certificate for one more server.
#[derive(FromArgs, ArgsInfo, Debug, Clone, PartialEq)]
#[argh(subcommand, name = "server", help_triggers("-h", "--help"))]
struct NewServer {
    /// name of its files (default server)
    #[argh(positional, default = "\"server\".to_owned()")]
    name: String,
    /// DNS name or IP address of the server; repeatable
    #[argh(option, arg_name = "host")]
    host: Vec<String>,
    /// days that it is valid, at most 397 (default 397)
    #[argh(option, arg_name = "n", default = "397")]
    days: u32,
}

/// Make a certificate for a client, in PEM and as PKCS#12: NAME.p12, and NAME.legacy.p12 for macOS, old Windows and Android.
#[derive(FromArgs, ArgsInfo, Debug, Clone, PartialEq)]
#[argh(subcommand, name = "client", help_triggers("-h", "--help"))]
struct NewClient {
    /// name of the client and of its files
    #[argh(positional)]
    name: String,
    /// days that it is valid, at most 3650 (default 365)
    #[argh(option, arg_name = "n", default = "365")]
    days: u32,
    /// e-mail address to put in; repeatable
    #[argh(option, arg_name = "address")]
    email: Vec<String>,
    /// URI to put in; repeatable
    #[argh(option, arg_name = "uri")]
    uri: Vec<String>,
    /// an RSA key of 2048 or 4096 bits, for old clients (default EC P-256)
    #[argh(option, arg_name = "bits", from_str_fn(rsa))]
    rsa: Option<KeyKind>,
    /// take the password of the PKCS#12 files from the first line of a file
    #[argh(option, arg_name = "file")]
    password_file: Option<PathBuf>,
    /// ask for that password; by default one is made and shown once
    #[argh(switch)]
    ask: bool,
}

/// Make a new certificate and key for the same names, in place of the old files.
#[derive(FromArgs, ArgsInfo, Debug, Clone, PartialEq)]
#[argh(subcommand, name = "renew", help_triggers("-h", "--help"))]
struct Renew {
    /// name of the client, or server
    #[argh(positional)]
    name: String,
    /// days that it is valid (default 365, a server's 397)
    #[argh(option, arg_name = "n")]
    days: Option<u32>,
    /// revoke the old certificate; otherwise it stays valid until it expires
    #[argh(switch)]
    revoke_old: bool,
    /// take the password of the PKCS#12 files from the first line of a file
    #[argh(option, arg_name = "file")]
    password_file: Option<PathBuf>,
    /// ask for that password; by default one is made and shown once
    #[argh(switch)]
    ask: bool,
}

/// Revoke every certificate of a name, and sign the revocation list anew.
#[derive(FromArgs, ArgsInfo, Debug, Clone, PartialEq)]
#[argh(subcommand, name = "revoke", help_triggers("-h", "--help"))]
struct Revoke {
    /// name of the client, or server
    #[argh(positional)]
    name: String,
    /// unspecified, key-compromise, affiliation-changed, superseded, cessation-of-operation or privilege-withdrawn
    #[argh(option, arg_name = "reason", default = "Reason::default()", from_str_fn(reason))]
    reason: Reason,
}

/// List the certificates: name, kind, serial number, state, days left.
#[derive(FromArgs, ArgsInfo, Debug, Clone, PartialEq)]
#[argh(subcommand, name = "list", help_triggers("-h", "--help"))]
struct List {
    /// print JSON instead
    #[argh(switch)]
    json: bool,
}

/// Sign the revocation list anew, before it expires.
#[derive(FromArgs, ArgsInfo, Debug, Clone, PartialEq)]
#[argh(subcommand, name = "crl", help_triggers("-h", "--help"))]
struct Crl {
    /// days that the list is valid; kept for later lists (default: as last time, at first 30)
    #[argh(option, arg_name = "n")]
    days: Option<u32>,
    /// sign the first list of a CA that was not made by init and has revoked nobody yet
    #[argh(switch)]
    empty: bool,
    /// take over crl.pem, the last list that another program signed or whose index.txt is lost
    #[argh(switch)]
    adopt: bool,
}

pub(super) fn run(certs: &Certs, line: &CommandLine) -> Result<(), Error> {
    if line.has_options() {
        return Err(
            Error::new("the options of the server do not go with certs").hint("certs --dir names the directory")
        );
    }
    let words = |text| in_dir(&of_command(text), &certs.dir).into();
    work(certs).map_err(|error| match error.first_hint().map(|hint| hint.in_words(words)) {
        Some(hint) => error.hint(hint),
        None => error,
    })
}

/// A text that names commands, with the directory of this run added to each, so that they can be typed as they stand.
fn in_dir(text: &str, dir: &str) -> String {
    let mut parts = text.split("`mtls-min certs ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        // The hint may be about the option itself.
        let option = if part.starts_with("--dir") { String::new() } else { dir_option(dir) };
        format!("{text}`mtls-min certs{option} {part}")
    })
}

fn dir_option(dir: &str) -> String {
    if dir == "certs" { String::new() } else { format!(" --dir {}", shell(dir)) }
}

fn work(certs: &Certs) -> Result<(), Error> {
    let now = SystemTime::now();
    let directory = Directory::new(&certs.dir).on_wait(|path| {
        tell!("waiting for another process that works in {}", path.display());
    });
    // The user is told of the wait and can end it; a busy machine takes long to make many files.
    let directory = directory.on_notice(|text| tell!("{text}")).patience(Duration::from_secs(60));
    match &certs.what {
        What::Init(init) => {
            let hosts = match init.host.is_empty() {
                true => vec!["localhost", "127.0.0.1", "::1"],
                false => init.host.iter().map(String::as_str).collect(),
            };
            say_made(&directory.init(&init.name, &hosts, init.any_host, now)?);
            say_what_next(&certs.dir);
        }
        What::Server(server) => {
            let hosts: Vec<_> = server.host.iter().map(String::as_str).collect();
            say_made(&directory.issue_server(&server.name, &hosts, server.days, now)?);
        }
        What::Client(client) => {
            let mut request = ClientRequest::new(&client.name);
            request.emails.clone_from(&client.email);
            request.uris.clone_from(&client.uri);
            request.days = client.days;
            request.key = client.rsa.unwrap_or(request.key);
            let password = Password::get(client.password_file.as_deref(), client.ask)?;
            say_made(&directory.issue_client(&request, &password.text, now)?);
            password.show(&client.name)?;
        }
        What::Renew(renew) => {
            let renewal = Renewal { days: renew.days, revoke_old: renew.revoke_old };
            let password = Password::get(renew.password_file.as_deref(), renew.ask)?;
            let made = directory.renew(&renew.name, &renewal, &password.text, now)?;
            say_made(&made);
            if made.iter().any(|file| file.extension().is_some_and(|extension| extension == "p12")) {
                password.show(&renew.name)?;
            }
        }
        What::Revoke(revoke) => match &directory.revoke(&revoke.name, revoke.reason, now)?[..] {
            [] => print_result!("{} was revoked before; the revocation list is signed anew\n", revoke.name),
            serials => {
                print_result!("revoked {}, serial {}\n", revoke.name, serials.join(", "));
                print_result!("a server with --crl {} applies it within a second\n", shell(&crl_in(&certs.dir)));
            }
        },
        What::List(list) => show(&directory.list()?, list.json, &certs.dir, now),
        What::Crl(crl) => say_made(&[match (crl.empty, crl.adopt) {
            (true, true) => return Err(Error::new("--empty and --adopt do not go together")),
            (true, false) => directory.sign_first_crl(crl.days, now)?,
            (false, true) => directory.adopt_crl(crl.days, now)?,
            (false, false) => directory.sign_crl(crl.days, now)?,
        }]),
    }
    Ok(())
}

fn say_made(files: &[PathBuf]) {
    for file in files {
        print_result!("made {}\n", file.display());
    }
}

fn say_what_next(dir: &str) {
    let file = |name: &str| shell(&format!("{dir}/{name}"));
    let files = match dir {
        "certs" => String::new(),
        _ => format!(" --cert {} --key {}", file("server-crt.pem"), file("server-key.pem")),
    };
    let option = dir_option(dir);
    let (ca, ca_key, crl) = (file("ca.pem"), file("ca-key.pem"), shell(&crl_in(dir)));
    print_result!(
        "
Next, a certificate for a client, and the server:
  mtls-min certs{option} client alice
  mtls-min --ca {ca} --crl {crl}{files}
Clients of the server trust {ca}. Keep {ca_key} to yourself: whoever has it can let in anyone.
"
    );
}

fn crl_in(dir: &str) -> String {
    format!("{dir}/crl.pem")
}

fn show(overview: &Overview, json: bool, dir: &str, now: SystemTime) {
    if json {
        // Names, serial numbers and reasons contain nothing that must be escaped in JSON.
        let entries: Vec<_> = overview.entries.iter().map(|entry| json_entry(entry, now)).collect();
        let due = overview.crl_due.map_or("null".to_owned(), |due| format!("\"{}\"", timestamp(due)));
        let crl = format!("{{\"number\":{},\"next_update\":{due}}}", overview.crl_number);
        return print_result!("{{\"certificates\":[{}],\"crl\":{crl}}}\n", entries.join(","));
    }
    let mut rows = vec![["NAME", "KIND", "SERIAL", "DAYS LEFT", "STATE"].map(str::to_owned)];
    rows.extend(overview.entries.iter().map(|entry| {
        let days = days_left(entry.not_after, now).to_string();
        [entry.name.clone(), kind(entry).to_owned(), entry.serial.clone(), days, state(entry, now)]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2), width(3)];
    for [name, kind, serial, days, state] in &rows {
        let [a, b, c, d] = widths;
        print_result!("{name:a$}  {kind:b$}  {serial:c$}  {days:>d$}  {state}\n");
    }
    let crl = match overview.crl_due {
        Some(due) if due < now => format!("revocation list {}, expired: {RESIGN}", overview.crl_number),
        Some(due) => format!("revocation list {}, {} days left", overview.crl_number, days_left(due, now)),
        None if overview.crl_number == 0 => format!("no revocation list yet: {FIRST}"),
        None => format!("no revocation list, or not of all that is revoked: {RESIGN}"),
    };
    print_result!("\n{}\n", in_dir(&crl, dir));
}

const FIRST: &str = "`mtls-min certs crl --empty` signs one, if this CA has revoked nobody";
const RESIGN: &str = "`mtls-min certs crl` signs it anew";

fn json_entry(entry: &Entry, now: SystemTime) -> String {
    let revoked = entry
        .revoked
        .map_or(String::new(), |(at, reason)| format!(",\"revoked\":\"{}\",\"reason\":\"{reason}\"", timestamp(at)));
    let state = state(entry, now);
    let state = state.split(' ').next().unwrap_or_default();
    format!(
        "{{\"name\":\"{}\",\"kind\":\"{}\",\"serial\":\"{}\",\"not_after\":\"{}\",\"state\":\"{state}\"{revoked}}}",
        entry.name,
        kind(entry),
        entry.serial,
        timestamp(entry.not_after),
    )
}

fn kind(entry: &Entry) -> &'static str {
    if entry.usage == Usage::Server { "server" } else { "client" }
}

fn state(entry: &Entry, now: SystemTime) -> String {
    match entry.revoked {
        Some((at, reason)) => format!("revoked {} {reason}", timestamp(at)),
        None if entry.is_valid(now) => "valid".to_owned(),
        None => "expired".to_owned(),
    }
}

/// Whole days; 0 once it is over.
fn days_left(until: SystemTime, now: SystemTime) -> u64 {
    whole_days(until.duration_since(now).unwrap_or_default())
}

fn rsa(text: &str) -> Result<KeyKind, String> {
    match text {
        "2048" => Ok(KeyKind::Rsa2048),
        "4096" => Ok(KeyKind::Rsa4096),
        _ => Err("RSA keys have 2048 or 4096 bits here".to_owned()),
    }
}

fn reason(text: &str) -> Result<Reason, String> {
    text.parse().map_err(|error: Error| match error.hint_text() {
        Some(hint) => format!("{error}: {hint}"),
        None => error.to_string(),
    })
}
