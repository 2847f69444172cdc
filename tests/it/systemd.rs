//! What systemd passes to the command and is told by it, with a test in the place of systemd.

use std::ffi::OsStr;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::cli::ANY_PORT;
use crate::support::client::{PATIENCE, TLS13, eventually, get};
use crate::support::command::{Serving, binary, collect, site};
use crate::support::files::TempDir;
use crate::support::pki::Ca;

/// The command with its standard input passed as the sockets 3 and 4, as systemd passes sockets; `$$` is the process that
/// becomes the server.
fn passing(dir: &TempDir, socket: impl Into<OwnedFd>, variables: &str, args: &[&str]) -> Command {
    let mut command = Command::new("sh");
    let script = format!("exec 3<&0 4<&0 </dev/null; {variables} exec \"$0\" \"$@\"");
    command.args(["-c", &script, binary().to_str().unwrap()]).args(args).current_dir(dir.path()).stdin(socket.into());
    command
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn addresses(serving: &Serving) -> Vec<SocketAddr> {
    let said = serving.stderr();
    said.lines()
        .filter_map(|line| line.split_once("listening on "))
        .map(|(_, address)| address.parse().unwrap())
        .collect()
}

#[test]
fn sockets_that_are_passed_take_the_place_of_the_default_and_listen_adds_to_them() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let alice = ca.client("alice");
    for names in ["", "LISTEN_FDNAMES=https", "LISTEN_FDNAMES=mtls-min.socket"] {
        let (socket, address) = listener();
        let serving = Serving::spawn(passing(&dir, socket, &format!("LISTEN_PID=$$ LISTEN_FDS=1 {names}"), &[]), None);
        assert_eq!(addresses(&serving), [address]);
        assert_eq!(get(address, Some(&alice), &TLS13).unwrap().status, 200);
    }
    let (socket, address) = listener();
    let serving = Serving::spawn(passing(&dir, socket, "LISTEN_PID=$$ LISTEN_FDS=1", &ANY_PORT), None);
    eventually(|| addresses(&serving).len() == 2);
    let both = addresses(&serving);
    assert!(both[0] == address && both[1] != address, "{both:?}");
    for address in both {
        assert_eq!(get(address, Some(&alice), &TLS13).unwrap().status, 200);
    }
}

#[test]
#[cfg(feature = "admin")]
fn a_socket_named_admin_is_that_of_the_admin_port() {
    use std::io::{Read, Write};

    let dir = site(&Ca::new("ca"));
    let path = dir.path().join("admin.sock");
    let (tcp, address) = listener();
    let unix = UnixListener::bind(&path).unwrap();
    let ask = |mut stream: Box<dyn Asking>| {
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains(" 200 ") && answer.ends_with("ready\n"), "{answer}");
    };
    trait Asking: Read + Write {}
    impl<S: Read + Write> Asking for S {}
    let one = "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=admin";
    let serving = Serving::spawn(passing(&dir, tcp, one, &ANY_PORT), None);
    assert_eq!(addresses(&serving).len(), 1);
    ask(Box::new(TcpStream::connect(address).unwrap()));
    let _serving = Serving::spawn(passing(&dir, unix, one, &ANY_PORT), None);
    ask(Box::new(std::os::unix::net::UnixStream::connect(&path).unwrap()));
}

/// They are somebody else's, who has forgotten to take them out of the environment.
#[test]
fn sockets_for_another_process_are_left_alone() {
    let dir = site(&Ca::new("ca"));
    for pid in ["LISTEN_PID=1", "LISTEN_PID=", "LISTEN_PID=x", ""] {
        let (socket, address) = listener();
        let serving = Serving::spawn(passing(&dir, socket, &format!("{pid} LISTEN_FDS=2"), &ANY_PORT), None);
        assert_eq!(addresses(&serving).len(), 1, "{pid}");
        assert_ne!(serving.addr, address, "{pid}");
    }
}

#[test]
fn what_cannot_be_served_is_refused_at_the_start() {
    let dir = site(&Ca::new("ca"));
    let (tcp, address) = listener();
    let at = address.to_string();
    let connection = TcpStream::connect(address).unwrap();
    let unix = UnixListener::bind(dir.path().join("socket")).unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let again = || OwnedFd::from(tcp.try_clone().unwrap());
    let [one, two] = ["LISTEN_PID=$$ LISTEN_FDS=1", "LISTEN_PID=$$ LISTEN_FDS=2"];
    for (socket, variables, args, parts) in [
        (
            connection.into(),
            one.to_owned(),
            &[][..],
            ["socket 1 that systemd passed cannot be used", "it does not listen"],
        ),
        (udp.into(), format!("{one} LISTEN_FDNAMES=a"), &[], ["socket 1 (a) that systemd passed cannot", "tcp socket"]),
        (unix.into(), one.to_owned(), &[], ["socket 1 that systemd passed cannot be used", "may have a path"]),
        (again(), format!("{two} LISTEN_FDNAMES=admin:admin"), &[], ["two sockets are named admin", "leave one"]),
        (
            again(),
            format!("{one} LISTEN_FDNAMES=admin"),
            if cfg!(feature = "admin") { &["--admin", "127.0.0.1:0"] } else { &[] },
            ["a socket named admin", if cfg!(feature = "admin") { "leave one" } else { "leave FileDescriptorName" }],
        ),
        (again(), "LISTEN_PID=$$ LISTEN_FDS=65".to_owned(), &[], ["LISTEN_FDS=65 is not a number", "up to 64"]),
        (again(), "LISTEN_PID=$$ LISTEN_FDS=-1".to_owned(), &[], ["LISTEN_FDS=-1 is not a number", "up to 64"]),
        (again(), one.to_owned(), &["--listen", &at], ["cannot listen on", "systemd passes a socket for it"]),
    ] {
        let mut child = passing(&dir, socket, &variables, args).stderr(Stdio::piped()).spawn().unwrap();
        let said = collect(child.stderr.take().unwrap());
        eventually(|| child.try_wait().unwrap().is_some());
        eventually(|| parts.iter().all(|part| said.lock().unwrap().contains(part)));
    }
}

/// What systemd is told, on a socket of the test.
struct Manager {
    socket: UnixDatagram,
    name: String,
    told: Vec<String>,
}

impl Manager {
    fn new(dir: &TempDir) -> Self {
        let path = dir.path().join("notify");
        Self::of(UnixDatagram::bind(&path).unwrap(), path.to_str().unwrap().to_owned())
    }

    #[cfg(target_os = "linux")]
    fn with_an_abstract_name() -> Self {
        use std::os::linux::net::SocketAddrExt;
        let name = format!("mtls-min-test-{}", std::process::id());
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
        Self::of(UnixDatagram::bind_addr(&address).unwrap(), format!("@{name}"))
    }

    fn of(socket: UnixDatagram, name: String) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, name, told: Vec::new() }
    }

    fn serve(&self, dir: &TempDir, variables: &[(&str, &str)]) -> Serving {
        let mut command = Command::new(binary());
        command.args(ANY_PORT).current_dir(dir.path()).stdin(Stdio::null());
        command.env("NOTIFY_SOCKET", OsStr::new(&self.name)).envs(variables.iter().copied());
        Serving::spawn(command, None)
    }

    /// The next message that is not the watchdog's.
    fn next(&mut self) -> String {
        loop {
            let message = self.any();
            if message != "WATCHDOG=1\n" {
                return message;
            }
        }
    }

    fn any(&mut self) -> String {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).expect("systemd is told nothing");
        self.told.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
        self.told.last().unwrap().clone()
    }
}

#[test]
fn systemd_is_told_of_the_start_of_reloads_and_of_the_end() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let mut managers = vec![Manager::new(&dir)];
    #[cfg(target_os = "linux")]
    managers.push(Manager::with_an_abstract_name());
    for mut manager in managers {
        dir.replace("certs/ca.pem", ca.pem());
        let mut serving = manager.serve(&dir, &[]);
        assert_eq!(manager.next(), "READY=1\nSTATUS=serving; in force: 1 CA, 0 pinned clients\n");
        serving.signal("HUP");
        let reloading = manager.next();
        let time = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").and_then(|rest| rest.strip_suffix('\n'));
        assert!(time.is_some_and(|time| time.parse::<u64>().is_ok()), "{reloading}");
        assert_eq!(manager.next(), "READY=1\nSTATUS=serving; in force: 1 CA, 0 pinned clients\n");
        // Noticed by the server itself: nobody waits for the end of the reload.
        dir.replace("certs/ca.pem", ca.pem() + &Ca::new("another").pem());
        assert_eq!(manager.next(), "STATUS=serving; in force: 2 CAs, 0 pinned clients\n");
        dir.replace("certs/ca.pem", "");
        let failed = manager.next();
        assert!(failed.starts_with("STATUS=serving, but the files cannot be read anew: "), "{failed}");
        assert!(failed.contains("certs/ca.pem") && failed.lines().count() == 1, "{failed}");
        serving.signal("HUP");
        assert!(manager.next().starts_with("RELOADING=1\n"));
        let failed = manager.next();
        assert!(failed.starts_with("READY=1\nSTATUS=serving, but the files cannot be read anew: "), "{failed}");
        serving.signal("TERM");
        assert!(manager.next().starts_with("STOPPING=1\nSTATUS=stopping"));
        assert_eq!(serving.exit_code(), Some(0));
    }
}

#[test]
fn systemd_that_made_its_socket_anew_is_told_too_and_one_that_is_missing_is_a_warning() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let mut manager = Manager::new(&dir);
    let serving = manager.serve(&dir, &[]);
    assert!(manager.next().starts_with("READY=1\n"));
    drop(manager);
    std::fs::remove_file(dir.path().join("notify")).unwrap();
    let mut manager = Manager::new(&dir);
    serving.signal("HUP");
    assert!(manager.next().starts_with("RELOADING=1\n"));
    assert!(manager.next().starts_with("READY=1\n"));
    drop(manager);
    std::fs::remove_file(dir.path().join("notify")).unwrap();
    for number in 1..3 {
        serving.signal("HUP");
        eventually(|| serving.stderr().matches("read the files anew").count() == number + 1);
    }
    eventually(|| serving.stderr().contains("warning: systemd cannot be told how the server is doing (NOTIFY_SOCKET="));
    assert_eq!(serving.stderr().matches("cannot be told").count(), 1, "{}", serving.stderr());
    assert_eq!(get(serving.addr, Some(&ca.client("alice")), &TLS13).unwrap().status, 200);
}

#[test]
fn a_server_that_works_feeds_the_watchdog_at_half_its_time() {
    let dir = site(&Ca::new("ca"));
    let mut manager = Manager::new(&dir);
    let mut serving = manager.serve(&dir, &[("WATCHDOG_USEC", "1000000")]);
    assert!(manager.next().starts_with("READY=1\n"));
    let begun = Instant::now();
    for _ in 0..4 {
        assert_eq!(manager.any(), "WATCHDOG=1\n");
    }
    // Three pauses at least.
    assert!(begun.elapsed().as_millis() >= 1400, "{:?}", begun.elapsed());
    serving.signal("TERM");
    assert!(manager.next().starts_with("STOPPING=1\n"));
    assert_eq!(serving.exit_code(), Some(0));
}

#[test]
fn the_watchdog_of_another_process_is_not_fed() {
    let dir = site(&Ca::new("ca"));
    let mut manager = Manager::new(&dir);
    let mut serving = manager.serve(&dir, &[("WATCHDOG_USEC", "20000"), ("WATCHDOG_PID", "1")]);
    assert!(manager.any().starts_with("READY=1\n"));
    serving.signal("HUP");
    assert!(manager.any().starts_with("RELOADING=1\n"));
    assert!(manager.any().starts_with("READY=1\n"));
    serving.signal("TERM");
    assert!(manager.any().starts_with("STOPPING=1\n"));
    assert_eq!(serving.exit_code(), Some(0));
    assert_eq!(manager.told.iter().filter(|told| told.contains("WATCHDOG")).count(), 0, "{:?}", manager.told);
}
