//! What systemd and a server tell each other: the sockets that it passes (sd_listen_fds(3)); readiness, reloads, the end
//! (sd_notify(3)), and the watchdog (sd_watchdog_enabled(3)). Without systemd, nothing is passed and nothing told.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use listenfd::ListenFd;
use sd_notify::NotifyState;

use super::words::of_command;
use crate::config::STACK;
use crate::error::Error;
use crate::escape::push_prose;
use crate::log::{AccessLog, summary};
use crate::observer::{Access, Event, Observer};
use crate::server::status::StatusHandle;
use crate::sync::lock;

/// The most sockets that are taken. More are passed only by mistake.
const MOST_SOCKETS: usize = 64;

/// How long a message to systemd may take. It takes them at once, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(1);

/// The most characters of a status. With all of them escaped, a message has less than the 4096 bytes that systemd reads.
const LONGEST_STATUS: usize = 300;

/// The sockets that systemd passed.
#[derive(Debug, Default)]
pub(super) struct Activated {
    /// Those without a name, and with any other than `admin`.
    pub(super) https: Vec<TcpListener>,
    /// The one named `admin`.
    pub(super) admin: Option<AdminSocket>,
}

#[derive(Debug)]
pub(super) enum AdminSocket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Takes the sockets that were passed to this process. They are not passed on to others: to be called once, and before any thread
/// is started, since it changes the environment.
pub(super) fn activated() -> Result<Activated, Error> {
    let variable = |name| env::var(name).unwrap_or_default();
    // The crate would also take sockets without this variable; but then nothing says for whom they are.
    if variable("LISTEN_PID").parse() != Ok(process::id()) {
        return Ok(Activated::default());
    }
    let passed = variable("LISTEN_FDS");
    if passed.parse::<usize>().ok().is_none_or(|count| count > MOST_SOCKETS) {
        return Err(Error::new(format!("LISTEN_FDS={passed} is not a number of sockets up to {MOST_SOCKETS}"))
            .hint("systemd sets it; leave it out where the server is started by hand"));
    }
    let names = variable("LISTEN_FDNAMES");
    let mut names = names.split(':');
    let mut sockets = ListenFd::from_env();
    let mut activated = Activated::default();
    for at in 0..sockets.len() {
        let name = names.next().unwrap_or_default();
        let is_admin = name == "admin";
        if is_admin && activated.admin.is_some() {
            return Err(Error::new("two sockets are named admin").hint("leave one of them out of the .socket units"));
        }
        let taken = match sockets.take_tcp_listener(at) {
            Err(_) if is_admin => sockets.take_unix_listener(at).map(|socket| socket.map(AdminSocket::Unix)),
            tcp => tcp.map(|socket| socket.map(AdminSocket::Tcp)),
        };
        let socket = taken.map_err(|error| unusable(at, name, error))?;
        let listens = socket.as_ref().map_or(Ok(false), AdminSocket::listens);
        let Some(socket) = socket.filter(|_| listens.unwrap_or(false)) else {
            return Err(unusable(at, name, io::Error::other("it does not listen")));
        };
        match socket {
            AdminSocket::Tcp(socket) if !is_admin => activated.https.push(socket),
            admin => activated.admin = Some(admin),
        }
    }
    Ok(activated)
}

impl AdminSocket {
    /// Whether it takes connections, and is not one itself.
    fn listens(&self) -> io::Result<bool> {
        let socket = match self {
            AdminSocket::Tcp(socket) => socket.as_fd(),
            AdminSocket::Unix(socket) => socket.as_fd(),
        };
        Ok(rustix::net::sockopt::socket_acceptconn(socket)?)
    }
}

fn unusable(at: usize, name: &str, error: io::Error) -> Error {
    let name = if name.is_empty() { String::new() } else { format!(" ({})", shown(name)) };
    Error::new(format!("socket {}{name} that systemd passed cannot be used", at + 1)).caused_by(error).hint(
        "a .socket unit needs ListenStream= with a port, and no Accept=; only one of FileDescriptorName=admin may have a path",
    )
}

/// Tells systemd how the server is doing. Clones tell the same; without systemd nothing is told.
#[derive(Debug, Clone)]
pub(super) struct Manager(Option<Arc<Told>>);

#[derive(Debug)]
struct Told {
    /// From `NOTIFY_SOCKET`.
    name: OsString,
    socket: Mutex<Option<UnixDatagram>>,
    /// Somebody waits for the end of a reload.
    is_reloading: AtomicBool,
    has_failed: AtomicBool,
    /// Is told if it does not work.
    log: OnceLock<AccessLog>,
}

impl Manager {
    /// Connected at the start: later the process may not be allowed to.
    pub(super) fn of_environment() -> Self {
        Self(env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()).map(|name| {
            let told = Told {
                // If it cannot be connected, the first message says so.
                socket: Mutex::new(connected(&name).ok()),
                name,
                is_reloading: false.into(),
                has_failed: false.into(),
                log: OnceLock::new(),
            };
            Arc::new(told)
        }))
    }

    /// If systemd cannot be told, this log is.
    pub(super) fn warn_by(&self, log: &AccessLog) {
        let Some(told) = &self.0 else { return };
        told.log.get_or_init(|| log.clone());
    }

    /// The server listens.
    pub(super) fn ready(&self, status: &str) {
        self.tell(&[NotifyState::Ready, NotifyState::Status(&shown(status))]);
    }

    /// The files are about to be read, since somebody asked for it and waits.
    pub(super) fn reloading(&self) {
        let Some(told) = &self.0 else { return };
        // Type=notify-reload needs the time; it can be read on any Unix.
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            self.tell(&[NotifyState::Reloading, now]);
        }
        // After that: the end of a reload that began earlier must not be told before.
        told.is_reloading.store(true, Ordering::SeqCst);
    }

    /// The files were read, or could not be.
    fn reloaded(&self, status: &str) {
        let Some(told) = &self.0 else { return };
        let status = shown(status);
        let status = NotifyState::Status(&status);
        match told.is_reloading.swap(false, Ordering::SeqCst) {
            true => self.tell(&[NotifyState::Ready, status]),
            false => self.tell(&[status]),
        }
    }

    pub(super) fn stopping(&self) {
        self.tell(&[NotifyState::Stopping, NotifyState::Status("stopping; running answers are finished")]);
    }

    /// Feeds the watchdog, if systemd has one for this process, for as long as the server works.
    pub(super) fn feed_watchdog(&self, status: StatusHandle) -> Result<Option<Watchdog>, Error> {
        let Some(time) = sd_notify::watchdog_enabled().filter(|_| self.0.is_some()) else { return Ok(None) };
        let (end, ended) = mpsc::channel();
        let manager = self.clone();
        let feed = move || {
            feed(time, &ended, |patience| status.responds_within(patience), || manager.tell(&[NotifyState::Watchdog]));
        };
        let thread = thread::Builder::new().name("watchdog".to_owned()).stack_size(STACK).spawn(feed);
        let thread = thread.map_err(|error| Error::new("cannot start a thread").caused_by(error))?;
        Ok(Some(Watchdog { end: Some(end), thread: Some(thread) }))
    }

    fn tell(&self, states: &[NotifyState<'_>]) {
        let Some(told) = &self.0 else { return };
        let message: String = states.iter().map(|state| format!("{state}\n")).collect();
        let mut socket = lock(&told.socket);
        let send = |socket: &UnixDatagram| socket.send(message.as_bytes());
        let sent = match &*socket {
            Some(socket) => send(socket),
            None => Err(io::ErrorKind::NotConnected.into()),
        };
        // systemd may have made its socket anew.
        let sent = sent.or_else(|_| send(socket.insert(connected(&told.name)?)));
        if let Err(error) = sent
            && !told.has_failed.swap(true, Ordering::SeqCst)
        {
            let name = told.name.to_string_lossy();
            let text = format!("systemd cannot be told how the server is doing (NOTIFY_SOCKET={name}): {error}");
            told.log.get().into_iter().for_each(|log| log.event(&Event::Warning { text: &text }));
        }
    }
}

/// The thread that feeds systemd's watchdog, until this is dropped.
#[derive(Debug)]
pub(super) struct Watchdog {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.end.take());
        // It ends when there is no sender.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Asks twice in `time` whether the server responds, and feeds the watchdog only if it does. The answer may take a quarter of it, so
/// that a server that works is never late.
fn feed(time: Duration, ended: &Receiver<()>, responds_within: impl Fn(Duration) -> bool, feed: impl Fn()) {
    const LEAST: Duration = Duration::from_millis(1);
    loop {
        let next = Instant::now() + (time / 2).max(LEAST);
        let responds = responds_within(time / 4);
        if responds {
            feed();
        }
        // One late answer is not the end: it is asked again at once.
        let rest = if responds { next.saturating_duration_since(Instant::now()).max(LEAST) } else { LEAST };
        if !matches!(ended.recv_timeout(rest), Err(RecvTimeoutError::Timeout)) {
            return;
        }
    }
}

/// A socket on which a message goes to systemd. `sd_notify` connects one for each message, and has no abstract names.
fn connected(name: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.connect_addr(&address(name)?)?;
    Ok(socket)
}

#[cfg(target_os = "linux")]
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::ffi::OsStrExt;
    match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(name),
    }
}

#[cfg(not(target_os = "linux"))]
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    SocketAddr::from_pathname(name)
}

/// A line of text: what stands in it cannot be taken for another message.
fn shown(text: &str) -> String {
    let mut out = String::new();
    push_prose(text, LONGEST_STATUS, &mut out);
    out
}

/// A log, and beside it systemd, which is told how reloads end.
pub(super) struct Watched {
    pub(super) log: AccessLog,
    pub(super) manager: Manager,
}

impl Observer for Watched {
    fn request(&self, access: &Access<'_>) {
        self.log.request(access);
    }

    fn event(&self, event: &Event<'_>) {
        self.log.event(event);
        match event {
            Event::Reloaded { trust, .. } => self.manager.reloaded(&format!("serving; in force: {}", summary(trust))),
            Event::ReloadFailed { error } => {
                let error = error.in_full(of_command);
                self.manager.reloaded(&format!("serving, but the files cannot be read anew: {error}"));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything up to the end of the list of answers, and how often the watchdog was fed.
    fn fed(answers: &[bool]) -> usize {
        let (end, ended) = mpsc::channel();
        let (asked, fed, end) = (Mutex::new(0), Mutex::new(0), Mutex::new(Some(end)));
        let time = Duration::from_millis(4);
        let responds = |patience| {
            assert_eq!(patience, time / 4);
            let mut asked = asked.lock().unwrap();
            let answer = answers[*asked];
            *asked += 1;
            if *asked == answers.len() {
                end.lock().unwrap().take();
            }
            answer
        };
        feed(time, &ended, responds, || *fed.lock().unwrap() += 1);
        assert_eq!(*asked.lock().unwrap(), answers.len());
        fed.into_inner().unwrap()
    }

    #[test]
    fn the_watchdog_is_fed_only_after_an_answer() {
        assert_eq!(fed(&[false, false, false]), 0);
        assert_eq!(fed(&[true, true, true]), 3);
        assert_eq!(fed(&[true, false, false, true]), 2);
    }

    #[test]
    fn a_status_is_one_line_and_fits_a_message_whatever_is_in_it() {
        assert_eq!(shown("CN=a\nMAINPID=1\u{202e}"), "CN=a\\u000aMAINPID=1\\u202e");
        let longest = shown(&"\u{e0041}".repeat(5000));
        assert!(longest.len() < 4096 - "READY=1\nSTATUS=\n".len(), "{}", longest.len());
    }
}
