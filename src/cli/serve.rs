//! `mtls-min`: serve until a signal comes.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::thread::{self, JoinHandle};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;

use super::capacity::{connections_borne, connections_of_files, raise_open_files};
use super::trust::unread_lists;
use super::words::of_command;
use super::{CommandLine, LogForm};
use crate::clock::timestamp;
use crate::config::STACK;
use crate::error::Error;
use crate::handler::request::Request;
use crate::log::{AccessLog, Format, Style, summary};
use crate::observer::{Event, Observer};
use crate::server::handle::{ShutdownHandle, TrustHandle};
use crate::server::watch::ServerFiles;
use crate::server::{Server, Stopped};
use crate::tls::server_certificate::ServerCertificate;
use crate::trust::Trust;
use crate::x509::identity::Identity;

/// Catches the signals that must not end the process: SIGHUP reads the files anew, and scripts send SIGUSR1 and SIGUSR2 for
/// other programs. Called before anything is read or made, so that none is lost.
pub(super) fn signals() -> Result<Signals, Error> {
    let signals = Signals::new([SIGHUP, SIGUSR1, SIGUSR2]);
    signals.map_err(|error| Error::new("cannot listen for signals").caused_by(error))
}

/// Serves. Once it listens, `ready` is called with the addresses.
pub(super) fn run(line: &CommandLine, signals: Signals, ready: impl FnOnce(&[SocketAddr])) -> Result<(), Error> {
    let addresses = addresses(&line.listen)?;
    let files = ServerFiles::new(
        super::trust::builder(line)?,
        line.cert.as_deref().unwrap_or("certs/server-crt.pem"),
        line.key.as_deref().unwrap_or("certs/server-key.pem"),
    );
    // Everything is checked before the port opens. If it cannot be opened, the reason is prose and comes last; everything else
    // goes through the log.
    let loaded = files.load()?;
    let table = super::routes::table(line)?;
    let log = start_log(line.log.unwrap_or(LogForm::Of(Format::Text)))?;
    say_certificates(&log, loaded.trust(), loaded.certificate());
    for (kind, text) in &table.lines {
        log.notice(kind, text);
    }
    for warning in unread_lists(line, loaded.trust()) {
        warn(&log, &warning);
    }
    let max_connections = max_connections(&log, line);
    let mut listeners = listeners(&addresses)?.into_iter();
    // There is always one.
    let Some(first) = listeners.next() else { return Err(Error::new("no address to listen on")) };
    let mut builder = Server::watching(first, loaded).max_connections(max_connections).observer(log.clone());
    for listener in listeners {
        builder = builder.also_listen(listener);
    }
    if let Some(workers) = line.workers {
        builder = builder.workers(workers);
    }
    if let Some(workers) = line.workers_per_client {
        builder = builder.workers_per_client(workers);
    }
    if line.refuse_in_handshake {
        builder = builder.refuse_in_handshake();
    }
    if line.resumption {
        builder = builder.resumption();
    }
    if let Some(mebibytes) = line.max_body {
        builder = builder.max_body(mebibytes as u64 * 1024 * 1024);
    }
    if let Some(timeout) = line.handshake_timeout {
        builder = builder.handshake_timeout(timeout);
    }
    if let Some(timeout) = line.head_timeout {
        builder = builder.head_timeout(timeout);
    }
    if let Some(timeout) = line.idle_timeout {
        builder = builder.idle_timeout(timeout);
    }
    if let Some(timeout) = line.drain_timeout {
        builder = builder.drain_timeout(timeout);
    }
    if let Some(timeout) = line.tunnel_timeout {
        builder = builder.tunnel_timeout(timeout);
    }
    let server = builder.build()?;
    let handle = signals.handle();
    // Until now these signals end the process as usual.
    for signal in [SIGTERM, SIGINT] {
        handle.add_signal(signal).map_err(|error| Error::new("cannot listen for signals").caused_by(error))?;
    }
    let waiter = handle_signals(signals, server.shutdown_handle(), server.trust_handle(), log.clone())
        .map_err(|error| Error::new("cannot start a thread").caused_by(error))?;
    let listening_on = server.local_addrs().to_vec();
    let listening = || {
        for address in &listening_on {
            log.notice("listening", &format!("listening on {address}"));
        }
        ready(&listening_on);
    };
    let stopped = server.serve_after(listening, move |request: &mut Request<'_>| table.routes.answer(request));
    handle.close();
    // The thread ends when the handle is closed.
    let _ = waiter.join();
    if let Ok(stopped) = &stopped {
        let text = match stopped {
            Stopped::Drained => "stopped, every answer was finished".to_owned(),
            Stopped::Cut { connections } => format!("stopped at the drain timeout, {connections} connections were cut"),
        };
        log.notice("stopped", &text);
    }
    log.flush();
    stopped.map(|_| ())
}

fn start_log(form: LogForm) -> Result<AccessLog, Error> {
    let style = |format| Style { format, words: of_command };
    match form {
        LogForm::Of(format) => AccessLog::split_in(style(format), stdout()?, io::stderr()),
        LogForm::Off => AccessLog::of_events(style(Format::Text), io::stderr()),
    }
}

/// The stdout of std keeps what it could not write, and tries again later: nobody could tell how much of it was lost.
fn stdout() -> Result<File, Error> {
    let stdout = io::stdout().as_fd().try_clone_to_owned().map(File::from);
    stdout.map_err(|error| Error::new("cannot start the log").caused_by(error))
}

fn say_certificates(log: &AccessLog, trust: &Trust, certificate: &ServerCertificate) {
    for entry in trust.entries() {
        say_certificate(log, &entry.kind().to_string(), entry.identity());
    }
    log.notice("certificate", &format!("server {}", certificate.summary()));
    if trust.authorized_clients().is_some() || trust.crls().next().is_some() || trust.policy().len() > 0 {
        log.notice("in_force", &format!("in force: {}", summary(trust)));
    }
    for warning in certificate.warnings() {
        warn(log, warning);
    }
}

fn warn(log: &AccessLog, text: &str) {
    log.event(&Event::Warning { text });
}

fn say_certificate(log: &AccessLog, kind: &str, identity: &Identity) {
    let (subject, sha256, until) = (identity.shown_subject(), identity.sha256(), timestamp(identity.not_after()));
    log.notice("certificate", &format!("{kind} {subject}, sha256 {sha256}, valid until {until}"));
}

/// As many connections as asked for, or as the memory allows; but no more than the limit of open files bears.
fn max_connections(log: &AccessLog, line: &CommandLine) -> usize {
    /// If no number was asked for, a warning comes only for fewer than this many.
    const MANY: usize = 1024;
    let (asked, files) = (line.max_connections, raise_open_files());
    let wanted = asked.unwrap_or_else(connections_borne);
    let possible = connections_of_files(files, line.forward.len(), super::routes::are_asked_for(line));
    if let Some(files) = files.filter(|_| possible < asked.unwrap_or(wanted.min(MANY))) {
        warn(log, &format!("only {files} files may be open (ulimit -n), so at most {possible} connections"));
    }
    wanted.min(possible)
}

/// Reads the addresses that are asked for, without using them yet.
pub(super) fn addresses(asked: &[String]) -> Result<Vec<SocketAddr>, Error> {
    let default = ["127.0.0.1:4433".to_owned()];
    let asked = if asked.is_empty() { &default[..] } else { asked };
    let addresses = asked.iter().map(|text| address(text)).collect::<Result<Vec<_>, _>>()?;
    for (at, address) in addresses.iter().enumerate().filter(|(_, address)| address.port() != 0) {
        if addresses[..at].contains(address) {
            return Err(Error::new(format!("--listen {address} is given twice")).hint("leave one of them out"));
        }
    }
    Ok(addresses)
}

fn listeners(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, Error> {
    (0..addresses.len()).map(|at| listen(addresses[at], &addresses[..at])).collect()
}

/// Names are not looked up: a static binary would need the system's shared libraries for that, and a name may mean another
/// address tomorrow. `localhost` is 127.0.0.1 only.
fn address(text: &str) -> Result<SocketAddr, Error> {
    let local = |port: &str| Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().ok()?)));
    let address = match text.strip_prefix("localhost:") {
        Some(port) => local(port),
        None => text.parse().ok(),
    };
    address.ok_or_else(|| {
        Error::new(format!("--listen {text} is not a valid address"))
            .hint("write address:port with an IP address or localhost, like 0.0.0.0:443 or [::]:443")
    })
}

/// `before` are the addresses on which this process listens already.
fn listen(address: SocketAddr, before: &[SocketAddr]) -> Result<TcpListener, Error> {
    TcpListener::bind(address).map_err(|error| {
        let covers = |other: &SocketAddr| {
            other.port() == address.port() && (other.ip().is_unspecified() || address.ip().is_unspecified())
        };
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse if before.iter().any(covers) => {
                "an unspecified address (0.0.0.0 or [::]) covers all others of its port: leave the other --listen out"
            }
            io::ErrorKind::AddrInUse => "another program listens there; choose another port with --listen",
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 are reserved; choose another, or grant CAP_NET_BIND_SERVICE"
            }
            _ => "choose another address with --listen",
        };
        Error::new(format!("cannot listen on {address}")).caused_by(error).hint(hint)
    })
}

/// SIGHUP reads the files anew. The first SIGTERM or SIGINT begins the draining; the second ends the process at once.
fn handle_signals(
    mut signals: Signals,
    shutdown: ShutdownHandle,
    trust: TrustHandle,
    log: AccessLog,
) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("signals".to_owned()).stack_size(STACK).spawn(move || {
        let mut stopping = false;
        for signal in signals.forever() {
            match signal {
                SIGHUP => trust.reload(),
                SIGUSR1 | SIGUSR2 => {
                    log.notice("signal", "this signal means nothing here; SIGHUP reads the files anew")
                }
                _ => {}
            }
            if ![SIGINT, SIGTERM].contains(&signal) {
                continue;
            }
            if stopping {
                log.notice("stopped", "stopped at once");
                log.flush();
                std::process::exit(128 + signal);
            }
            stopping = true;
            log.notice("stopping", "stopping; running answers are finished, a second signal ends at once");
            shutdown.shutdown();
        }
    })
}
