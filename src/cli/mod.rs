//! The command line. Results go to stdout, everything else to stderr; errors say what, where, and how to mend it.

/// Writes to stderr, after the program's name (or without it, for a further line). If stderr cannot be written, the program goes
/// on.
macro_rules! tell {
    (plain $($text:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stderr().lock(), $($text)*);
    }};
    ($($text:tt)*) => { tell!(plain "mtls-min: {}", format_args!($($text)*)) };
}

/// Writes a result to stdout, likewise.
macro_rules! print_result {
    ($($text:tt)*) => {{
        use std::io::Write;
        let _ = write!(std::io::stdout().lock(), $($text)*);
    }};
}

mod admin;
mod arguments;
mod capacity;
#[cfg(feature = "pki")]
mod certs;
mod check;
mod completions;
mod demo;
mod hello;
mod listen;
mod log_streams;
mod man;
#[cfg(feature = "pki")]
mod password;
mod proxies;
mod report;
mod routes;
mod sandbox;
mod serve;
mod signals;
mod systemd;
mod trust;
mod values;
mod words;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};

use self::values::{LogForm, connections, delay, log_form, mebibytes, number_of_workers, seconds};
use self::words::of_command;
use crate::error::Error;
use crate::handler::Handler;

/// An HTTPS server that lets in the holders of a client certificate: they get "hello world", everyone else "401 User is not
/// authorized".
#[derive(FromArgs, ArgsInfo, Debug, Clone, PartialEq)]
#[argh(
    help_triggers("-h", "--help"),
    example = "  {command_name} demo\n  {command_name} --ca certs/ca.pem",
    note = "Without files of its own it looks for certs/ca.pem, certs/server-crt.pem and certs/server-key.pem.\nAll files are read anew within a second after a change, and on SIGHUP; if one is bad, what was read before stays in force.\nSIGTERM and SIGINT let running answers finish; a second signal ends at once."
)]
struct CommandLine {
    /// print the version
    #[argh(switch)]
    version: bool,
    #[argh(subcommand)]
    command: Option<Command>,
    /// PEM file of CAs, whose clients are let in, and of single client certificates; repeatable (default certs/ca.pem, unless --authorized-clients is given)
    #[argh(option, arg_name = "file")]
    ca: Vec<String>,
    /// PEM file of the server's certificate chain (default certs/server-crt.pem)
    #[argh(option, arg_name = "file")]
    cert: Option<String>,
    /// PEM file of the server's private key (default certs/server-key.pem)
    #[argh(option, arg_name = "file")]
    key: Option<String>,
    #[argh(
        option,
        arg_name = "addr:port",
        description = "address to listen on; repeatable (default the sockets that systemd passes, or 127.0.0.1:4433)"
    )]
    listen: Vec<String>,
    /// PEM file of CAs that complete a client's path to a CA of --ca, and vouch for nobody by themselves; repeatable
    #[argh(option, arg_name = "file")]
    intermediates: Vec<String>,
    /// file of revocation lists of the CAs, PEM or DER; repeatable
    #[argh(option, arg_name = "file")]
    crl: Vec<String>,
    /// what to do with clients whose CA's revocation list is stale: refuse or warn (default refuse)
    #[argh(option, arg_name = "what")]
    crl_expired: Option<trust::CrlExpired>,
    /// refuse clients whose CA has no revocation list
    #[argh(switch)]
    crl_required: bool,
    /// let in only clients that a rule means, for example cn:alice; repeatable, any one suffices
    #[argh(option, arg_name = "rule")]
    allow: Vec<String>,
    /// file of rules by path
    #[argh(option, arg_name = "file")]
    policy: Option<String>,
    /// directory of certificates that are let in by themselves, each under its file's name
    #[argh(option, arg_name = "dir")]
    authorized_clients: Option<String>,
    /// let in client certificates of X.509 version 1, which say nothing of their use
    #[argh(switch)]
    accept_v1: bool,
    /// refuse by a TLS alert instead of a 401
    #[argh(switch)]
    refuse_in_handshake: bool,
    /// let authorised clients resume TLS sessions
    #[argh(switch)]
    resumption: bool,
    /// serve this folder, below a path prefix if one is given; repeatable, the longest prefix decides
    #[argh(option, arg_name = "[prefix=]dir")]
    files: Vec<String>,
    /// list the folders of --files that have no index.html
    #[argh(switch)]
    list_files: bool,
    /// forward requests to this application, http://host:port or unix:/path, below a path prefix if one is given; repeatable, the longest prefix decides
    #[argh(option, arg_name = "[prefix=]url")]
    forward: Vec<String>,
    /// take the prefix off the path before it is forwarded
    #[argh(switch)]
    strip_prefix: bool,
    /// also tell the application what a client sent beside its certificate
    #[argh(switch)]
    forward_chain: bool,
    /// seconds for an application to accept a connection, to take more of a request, and to begin its answer, each (default 60)
    #[argh(option, arg_name = "s", from_str_fn(seconds))]
    forward_timeout: Option<std::time::Duration>,
    /// expect the PROXY protocol (version 1 or 2) at the beginning of each connection: a balancer says who its client is
    #[argh(switch)]
    proxy_protocol: bool,
    /// address or network of the balancers, like 10.0.0.5 or 10.0.0.0/24, with --proxy-protocol; repeatable. Connections from elsewhere are closed
    #[argh(option, arg_name = "cidr")]
    trusted_proxy: Vec<String>,
    /// requests answered at once, each on a thread; few threads are there at the start, others come when handlers block (default 256)
    #[argh(option, arg_name = "n", from_str_fn(number_of_workers))]
    workers: Option<usize>,
    /// of these for one client at a time; its further requests wait (default half)
    #[argh(option, arg_name = "n", from_str_fn(number_of_workers))]
    workers_per_client: Option<usize>,
    /// connections at once, a quarter reserved for authorised clients (default as many as the limit of open files and a tenth of the memory allow, at most 16384)
    #[argh(option, arg_name = "n", from_str_fn(connections))]
    max_connections: Option<usize>,
    /// the largest body of a request, in MiB (default 64)
    #[argh(option, arg_name = "n", from_str_fn(mebibytes))]
    max_body: Option<usize>,
    /// seconds for a TLS handshake (default 10)
    #[argh(option, arg_name = "s", from_str_fn(seconds))]
    handshake_timeout: Option<std::time::Duration>,
    /// seconds for a request head (default 10)
    #[argh(option, arg_name = "s", from_str_fn(seconds))]
    head_timeout: Option<std::time::Duration>,
    /// seconds between two requests (default 60)
    #[argh(option, arg_name = "s", from_str_fn(seconds))]
    idle_timeout: Option<std::time::Duration>,
    /// seconds to go on serving after SIGTERM, while a balancer that looks for readiness goes elsewhere (default 0)
    #[argh(option, arg_name = "s", from_str_fn(delay))]
    drain_delay: Option<std::time::Duration>,
    /// seconds for running answers after SIGTERM (default 10)
    #[argh(option, arg_name = "s", from_str_fn(seconds))]
    drain_timeout: Option<std::time::Duration>,
    /// seconds without a byte in a tunnel, or in an answer that an application still makes (default 600)
    #[argh(option, arg_name = "s", from_str_fn(seconds))]
    tunnel_timeout: Option<std::time::Duration>,
    /// answer health checks, figures for Prometheus and the clients last seen there, in plain HTTP: address:port on loopback, or unix:/path
    #[argh(option, arg_name = "addr")]
    admin: Option<String>,
    /// let --admin be on an address that others than this host can reach
    #[argh(switch)]
    admin_anywhere: bool,
    /// leave the process all its rights, where the kernel could take what it does not need (Landlock)
    #[argh(switch)]
    no_sandbox: bool,
    /// access log on stdout as text or json, or off (default text)
    #[argh(option, arg_name = "form", from_str_fn(log_form))]
    log: Option<LogForm>,
    /// write the whole log to this file, not to stdout and stderr; opened anew when it was moved or removed, and on SIGHUP
    #[argh(option, arg_name = "file")]
    log_file: Option<String>,
}

#[derive(FromArgs, ArgsInfo, Debug, Clone, PartialEq)]
#[argh(subcommand)]
enum Command {
    Demo(demo::Demo),
    #[cfg(feature = "pki")]
    Certs(certs::Certs),
    Check(check::Check),
    Completions(completions::Completions),
    Man(man::Man),
}

impl CommandLine {
    /// Whether there are any options of the server.
    fn has_options(&self) -> bool {
        Self::from_args(&["mtls-min"], &[]).is_ok_and(|bare| Self { command: None, ..self.clone() } != bare)
    }

    /// The same without the options that say whom to let in.
    fn without_trust(&self) -> Self {
        Self {
            ca: Vec::new(),
            intermediates: Vec::new(),
            crl: Vec::new(),
            crl_expired: None,
            crl_required: false,
            allow: Vec::new(),
            policy: None,
            authorized_clients: None,
            accept_v1: false,
            ..self.clone()
        }
    }

    /// The same with the files of the demo.
    fn with_files(&self, ca: Vec<String>, cert: String, key: String, listen: &[String]) -> Self {
        let listen = if listen.is_empty() { self.listen.clone() } else { listen.to_vec() };
        Self { ca, cert: Some(cert), key: Some(key), listen, command: None, ..self.clone() }
    }
}

const STDIN: &str = "/dev/stdin";

/// The exit status of `check`, beside 0 and 1.
const COULD_NOT_TELL: u8 = 2;

/// Runs the command. Exit code 0: done; 1: failed; 2: used wrongly.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    start(args, None)
}

/// The same, with a handler for all paths that are asked for by no option: so that a test can see what a handler may do.
pub fn main_with(args: impl IntoIterator<Item = OsString>, handler: impl Handler + 'static) -> ExitCode {
    start(args, Some(Box::new(handler)))
}

fn start(args: impl IntoIterator<Item = OsString>, handler: Option<Box<dyn Handler>>) -> ExitCode {
    let mut words = Vec::new();
    for word in args {
        match word.into_string() {
            // A single hyphen means standard input, but argh takes it for an option.
            Ok(word) if word == "-" => words.push(STDIN.to_owned()),
            Ok(word) => words.push(word),
            Err(word) => {
                return usage_error(&format!("an argument is not UTF-8: {}", word.to_string_lossy()), None, "mtls-min");
            }
        }
    }
    let arguments = match arguments::in_order(words.get(1..).unwrap_or_default(), &CommandLine::get_args_info()) {
        Ok(arguments) => arguments,
        Err(misuse) => return usage_error(&misuse.message, misuse.guess.as_deref(), &misuse.command),
    };
    let words: Vec<&str> = arguments.words.iter().map(String::as_str).collect();
    match CommandLine::from_args(&["mtls-min"], &words) {
        Ok(line) => run(&line, handler),
        Err(argh::EarlyExit { output, status: Ok(()) }) => {
            print_result!("{output}");
            ExitCode::SUCCESS
        }
        Err(argh::EarlyExit { output, status: Err(()) }) => usage_error(output.trim_end(), None, &arguments.command),
    }
}

fn run(line: &CommandLine, handler: Option<Box<dyn Handler>>) -> ExitCode {
    let done = match &line.command {
        _ if line.version => {
            print_result!("mtls-min {}\n", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        Some(Command::Demo(demo)) => demo::run(demo, line),
        #[cfg(feature = "pki")]
        Some(Command::Certs(certs)) => certs::run(certs, line),
        Some(Command::Check(check)) => {
            return match check::run(check, line) {
                Ok(true) => ExitCode::SUCCESS,
                Ok(false) => ExitCode::FAILURE,
                Err(error) => fail(&error, ExitCode::from(COULD_NOT_TELL)),
            };
        }
        Some(Command::Completions(completions)) => completions::run(completions, line),
        Some(Command::Man(_)) => man::run(line),
        None => signals::catch().and_then(|signals| serve::run(line, signals, handler, |_| {})),
    };
    done.map_or_else(|error| fail(&error, ExitCode::FAILURE), |()| ExitCode::SUCCESS)
}

/// No option is silently ignored.
fn without_options(line: &CommandLine, command: &str) -> Result<(), Error> {
    match line.has_options() {
        true => Err(Error::new(format!("the options of the server do not go with {command}"))),
        false => Ok(()),
    }
}

fn fail(error: &Error, code: ExitCode) -> ExitCode {
    tell!("{error}");
    for cause in error.causes() {
        tell!(plain "  because: {cause}");
    }
    if let Some(hint) = error.first_hint() {
        tell!(plain "  hint: {}", hint.in_words(of_command));
    }
    code
}

/// The first line of a file, which may be empty. A password is never an argument, which other users of the machine could see.
fn password_in(file: &Path) -> Result<String, Error> {
    let name = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Error::new(format!("cannot read the password in {name}")).caused_by(error))?;
    let line = text.lines().next().map(str::to_owned);
    line.ok_or_else(|| {
        Error::new(format!("the password file {name} is empty"))
            .hint("its first line is the password; a new one has at least 8 characters")
    })
}

fn usage_error(message: &str, guess: Option<&str>, command: &str) -> ExitCode {
    tell!("{message}");
    if let Some(guess) = guess {
        tell!(plain "  hint: {guess}");
    }
    tell!(plain "  hint: {command} --help lists what there is");
    ExitCode::from(2)
}
