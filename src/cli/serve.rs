//! `mtls-min`: serve until a signal comes.

use std::net::SocketAddr;
use std::path::Path;

use signal_hook::iterator::Signals;

use super::capacity::{connections_borne, connections_of_files, raise_open_files};
use super::sandbox::{Needs, Sandbox};
use super::systemd::{Activated, Manager, Watched};
use super::trust::unread_lists;
use super::{CommandLine, admin, listen, log_streams, proxies, signals, systemd};
use crate::clock::timestamp;
use crate::error::Error;
use crate::handler::Handler;
use crate::handler::request::Request;
use crate::log::{AccessLog, summary};
use crate::observer::{Event, Observer};
use crate::server::builder::Builder;
use crate::server::watch::{Loaded, ServerFiles};
use crate::server::{Server, Stopped};
use crate::tls::server_certificate::ServerCertificate;
use crate::trust::Trust;
use crate::x509::identity::Identity;

/// Serves. `other` answers what is not asked for by an option. Once it listens, `ready` is called with the addresses.
pub(super) fn run(
    line: &CommandLine,
    signals: Signals,
    other: Option<Box<dyn Handler>>,
    ready: impl FnOnce(&[SocketAddr]),
) -> Result<(), Error> {
    let Activated { https: passed, admin: admin_socket } = systemd::activated()?;
    let manager = Manager::of_environment();
    let addresses = listen::addresses(&line.listen, !passed.is_empty())?;
    let balancers = proxies::balancers(line)?;
    let files = ServerFiles::new(
        super::trust::builder(line)?,
        line.cert.as_deref().unwrap_or("certs/server-crt.pem"),
        line.key.as_deref().unwrap_or("certs/server-key.pem"),
    );
    // Everything is checked before the port opens. What goes wrong up to here is prose; everything else goes through the log.
    let loaded = files.load()?;
    log_streams::check(line, loaded.files())?;
    let mut table = super::routes::table(line, other)?;
    let admin = admin::Port::of(line, admin_socket)?;
    let capacity = Capacity::of(line, admin.open_files());
    let mut listeners = listen::listeners(passed, &addresses)?.into_iter();
    // There is always one.
    let Some(first) = listeners.next() else { return Err(Error::new("no address to listen on")) };
    let sandbox = enter_sandbox(line, std::mem::take(&mut table.needs), &loaded, admin.own_socket())?;
    // From here on there are threads.
    let (log, log_file) = log_streams::start(line)?;
    manager.warn_by(&log);
    say_certificates(&log, loaded.trust(), loaded.certificate());
    for (kind, text) in &table.lines {
        log.notice(kind, text);
    }
    if let Some((text, warning)) = balancers.as_deref().map(proxies::said) {
        log.notice("proxy_protocol", &text);
        warning.iter().for_each(|warning| warn(&log, warning));
    }
    for warning in unread_lists(line, loaded.trust()) {
        warn(&log, &warning);
    }
    log.notice("sandbox", &sandbox.text);
    for warning in sandbox.warnings.iter().chain(&capacity.warning) {
        warn(&log, warning);
    }
    let observer = Watched { log: log.clone(), manager: manager.clone() };
    let builder = Server::watching(first, loaded).max_connections(capacity.connections);
    let (mut builder, admin) = admin.observing(builder, observer);
    for listener in listeners {
        builder = builder.also_listen(listener);
    }
    if let Some(balancers) = balancers {
        builder = builder.proxy_protocol(balancers);
    }
    let server = configured(builder, line).build()?;
    // It answers until the server has stopped.
    let _admin = admin.open(server.status_handle(), &log)?;
    let handle = signals.handle();
    signals::catch_stops(&handle)?;
    let (shutdown, trust) = (server.shutdown_handle(), server.trust_handle());
    let waiter =
        signals::handle(signals, shutdown, trust.clone(), line.drain_delay, log.clone(), log_file, manager.clone())
            .map_err(|error| Error::new("cannot start a thread").caused_by(error))?;
    let watchdog = manager.feed_watchdog(server.status_handle())?;
    let listening_on = server.local_addrs().to_vec();
    let listening = || {
        for address in &listening_on {
            log.notice("listening", &format!("listening on {address}"));
        }
        manager.ready(&format!("serving; in force: {}", summary(&trust.current())));
        ready(&listening_on);
    };
    let stopped = server.serve_after(listening, move |request: &mut Request<'_>| table.routes.answer(request));
    drop(watchdog);
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

/// What is asked for later fails from now on, unless it is among the needs.
fn enter_sandbox(
    line: &CommandLine,
    mut needs: Needs,
    loaded: &Loaded,
    socket: Option<&Path>,
) -> Result<Sandbox, Error> {
    if line.no_sandbox {
        return Ok(Sandbox::without("--no-sandbox is given"));
    }
    loaded.files().for_each(|file| needs.file(file));
    loaded.directory().into_iter().for_each(|directory| needs.directory(directory));
    socket.into_iter().for_each(|socket| needs.socket(socket));
    line.log_file.iter().for_each(|file| needs.log(Path::new(file)));
    Sandbox::enter(&needs)
}

/// With what the options say of limits, times and handshakes.
fn configured(mut builder: Builder, line: &CommandLine) -> Builder {
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
    if let Some(delay) = line.drain_delay {
        builder = builder.drain_delay(delay);
    }
    if let Some(timeout) = line.drain_timeout {
        builder = builder.drain_timeout(timeout);
    }
    if let Some(timeout) = line.tunnel_timeout {
        builder = builder.tunnel_timeout(timeout);
    }
    builder
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

/// How many connections there may be.
struct Capacity {
    connections: usize,
    /// If they are fewer than asked for.
    warning: Option<String>,
}

impl Capacity {
    /// As many as asked for, or as the memory allows; but no more than the limit of open files bears beside `others`.
    fn of(line: &CommandLine, others: u64) -> Self {
        /// If no number was asked for, a warning comes only for fewer than this many.
        const MANY: usize = 1024;
        let (asked, files) = (line.max_connections, raise_open_files());
        let wanted = asked.unwrap_or_else(connections_borne);
        let left = files.map(|files| files.saturating_sub(others));
        let possible = connections_of_files(left, line.forward.len(), super::routes::are_asked_for(line));
        let few = files.filter(|_| possible < asked.unwrap_or(wanted.min(MANY)));
        let warning =
            few.map(|files| format!("only {files} files may be open (ulimit -n), so at most {possible} connections"));
        Self { connections: wanted.min(possible), warning }
    }
}
