//! Three replicas behind HAProxy, under steady load: one is killed, one is drained, one reads its files anew, and a client is revoked
//! on all of them.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustls::ClientConfig;

use crate::behind::Program;
use crate::support::certs;
use crate::support::client::{TLS13, config, connect_as, eventually, exchange};
use crate::support::command::{Serving, binary};
use crate::support::files::TempDir;
use crate::tools::sh;

const REPLICAS: usize = 3;

#[test]
fn no_request_is_lost_but_those_on_a_killed_replica_and_nobody_revoked_is_let_in() {
    let site = Site::new();
    let mut replicas: Vec<_> = (0..REPLICAS).map(|number| Some(site.start(number))).collect();
    let _balancer = site.balancer();
    eventually(|| TcpStream::connect(site.addr).is_ok());
    let ended = AtomicBool::new(false);
    let (good, revoked) = (Seen::default(), Seen::default());
    thread::scope(|scope| {
        let _at_end = AtEnd(&ended);
        for (name, seen) in [("alice", &good), ("alice", &good), ("bob", &good), ("bob", &good), ("mallory", &revoked)]
        {
            let config = Arc::new(config(Some(&certs::holder(&site.dir, name)), &TLS13));
            let (addr, ended) = (site.addr, &ended);
            scope.spawn(move || ask_until(addr, &config, seen, ended));
        }
        good.goes_on(&[0, 1, 2]);
        assert_eq!(good.lost(), []);
        site.asks_from_another_address(&replicas);

        let killed = replicas[0].take().unwrap();
        killed.signal("KILL");
        good.goes_on(&[1, 2]);
        drop(killed);
        // Whose first request on a connection is lost does not know where it went.
        let lost = good.lost();
        assert!(lost.iter().all(|to| to.is_none_or(|to| to == 0)) && lost.len() <= 2 * CLIENTS, "{lost:?}");
        replicas[0] = Some(site.start(0));
        good.goes_on(&[0, 1, 2]);

        let mut drained = replicas[1].take().unwrap();
        drained.signal("TERM");
        assert_eq!(drained.exit_code(), Some(0));
        assert!(drained.stderr().contains("stopped, every answer was finished"), "{}", drained.stderr());
        good.goes_on(&[0, 2]);
        assert_eq!(good.lost(), lost, "of a replica that is drained no request is lost");
        replicas[1] = Some(site.start(1));
        good.goes_on(&[0, 1, 2]);

        let reloaded = replicas[2].as_ref().unwrap();
        reloaded.signal("HUP");
        eventually(|| reloads(reloaded) == 1);
        good.goes_on(&[0, 1, 2]);
        assert_eq!(good.lost(), lost);

        assert!(revoked.right() > 0 && revoked.refused_since.lock().unwrap().is_none());
        certs::told(&site.dir, "revoke mallory");
        let before: Vec<_> = replicas.iter().flatten().map(reloads).collect();
        (0..REPLICAS).for_each(|number| site.roll_out_the_list(number));
        eventually(|| replicas.iter().flatten().map(reloads).zip(&before).all(|(now, before)| now > *before));
        let in_force = Instant::now();
        let refused = revoked.refused();
        eventually(|| revoked.refused() >= refused + 50);
        good.goes_on(&[0, 1, 2]);
        assert_eq!(good.lost(), lost);
        assert!(*revoked.last_asked.lock().unwrap() < Some(in_force), "let in after the list had arrived everywhere");
        assert_eq!(good.refused(), 0);
    });
    println!("{} answers, lost on the killed replica: {:?}", good.right(), good.lost());
}

/// How many times it has read its files anew.
fn reloads(replica: &Serving) -> usize {
    replica.stderr().matches("read the files anew").count()
}

const CLIENTS: usize = 4;

/// What the clients of one kind have seen.
#[derive(Default)]
struct Seen {
    /// How many answers of each replica.
    right: Mutex<[usize; REPLICAS]>,
    /// To which replica the request was that got no answer, if that is known.
    lost: Mutex<Vec<Option<usize>>>,
    refused: Mutex<usize>,
    /// When the first was refused.
    refused_since: Mutex<Option<Instant>>,
    /// When the last was asked that was answered.
    last_asked: Mutex<Option<Instant>>,
}

impl Seen {
    fn right(&self) -> usize {
        self.right.lock().unwrap().iter().sum()
    }

    fn lost(&self) -> Vec<Option<usize>> {
        self.lost.lock().unwrap().clone()
    }

    fn refused(&self) -> usize {
        *self.refused.lock().unwrap()
    }

    /// These replicas answer, for everybody.
    #[track_caller]
    fn goes_on(&self, replicas: &[usize]) {
        let before = *self.right.lock().unwrap();
        eventually(|| {
            let now = *self.right.lock().unwrap();
            replicas.iter().all(|at| now[*at] >= before[*at] + 20)
        });
    }
}

/// Ends the clients, whatever the end of the test is.
struct AtEnd<'a>(&'a AtomicBool);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A client that asks until the end, some times on each connection, with a pause in between.
fn ask_until(addr: SocketAddr, config: &Arc<ClientConfig>, seen: &Seen, ended: &AtomicBool) {
    for number in 1.. {
        let mut stream = connect_as(addr, Arc::clone(config), "localhost");
        let mut replica = None;
        for _ in 0..number % 20 {
            if ended.load(Ordering::SeqCst) {
                return;
            }
            let asked = Instant::now();
            let reply = match exchange(&mut stream, "GET /who HTTP/1.1\r\nHost: localhost\r\n\r\n") {
                Ok(reply) => reply,
                Err(_) => {
                    seen.lost.lock().unwrap().push(replica);
                    break;
                }
            };
            match reply.status {
                200 => {
                    let by: usize = reply.body.trim().parse().unwrap();
                    replica = Some(by);
                    seen.right.lock().unwrap()[by] += 1;
                    *seen.last_asked.lock().unwrap() = Some(asked);
                }
                401 => {
                    *seen.refused.lock().unwrap() += 1;
                    seen.refused_since.lock().unwrap().get_or_insert(asked);
                }
                status => panic!("{status}: {}", reply.body),
            }
            if reply.field("connection") == Some("close") {
                break;
            }
            thread::sleep(Duration::from_millis(3));
        }
    }
}

/// An authority, and a folder for each replica.
struct Site {
    dir: TempDir,
    /// Where the balancer listens.
    addr: SocketAddr,
    /// Of each replica: HTTPS, and the admin port.
    ports: [[u16; 2]; REPLICAS],
}

impl Site {
    fn new() -> Self {
        let dir = TempDir::new();
        certs::done(&dir, "init");
        for name in ["alice", "bob", "mallory"] {
            certs::done(&dir, &format!("client {name}"));
        }
        // All at once, so that they differ.
        let free: Vec<_> = (0..=2 * REPLICAS).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let port = |at: usize| free[at].local_addr().unwrap().port();
        let site = Self {
            addr: free[2 * REPLICAS].local_addr().unwrap(),
            ports: std::array::from_fn(|number| [port(2 * number), port(2 * number + 1)]),
            dir,
        };
        for number in 0..REPLICAS {
            fs::create_dir_all(site.replica(number).join("site")).unwrap();
            fs::write(site.replica(number).join("site/who"), number.to_string()).unwrap();
            for file in ["ca.pem", "crl.pem", "server-crt.pem", "server-key.pem"] {
                fs::copy(site.dir.path().join("certs").join(file), site.replica(number).join(file)).unwrap();
            }
        }
        site
    }

    fn replica(&self, number: usize) -> PathBuf {
        self.dir.path().join(format!("replica-{number}"))
    }

    fn start(&self, number: usize) -> Serving {
        let [https, admin] = self.ports[number].map(|port| format!("127.0.0.1:{port}"));
        let options = format!(
            "--ca ca.pem --crl crl.pem --cert server-crt.pem --key server-key.pem --files site --listen {https} \
             --admin {admin} --proxy-protocol --trusted-proxy 127.0.0.1/32 --drain-delay 1"
        );
        Serving::start(&binary(), &self.replica(number), &options.split(' ').collect::<Vec<_>>())
    }

    /// HAProxy by the file that is shipped, but for names and ports, and checks that come more often.
    fn balancer(&self) -> Program {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/haproxy.cfg");
        let shipped = fs::read_to_string(shipped).unwrap();
        let text = shipped.replace("bind :443", &format!("bind {}", self.addr)).replace("inter 1s", "inter 200ms");
        // Not every machine lets it have 40,000 files open.
        let mut text = text.replace("maxconn 20000", "maxconn 1000");
        for ([https, admin], name) in self.ports.iter().zip(["one 192.0.2.11", "two 192.0.2.12", "three 192.0.2.13"]) {
            let (word, _) = name.split_once(' ').unwrap();
            let here = format!("server {word} 127.0.0.1:{https} port {admin}\n");
            text = text.replace(&format!("server {name}:8443\n"), &here);
        }
        assert!(!text.contains(":8443\n"), "{text}");
        self.dir.write("haproxy.cfg", text);
        sh(self.dir.path(), "haproxy -c -f haproxy.cfg");
        Program::start(Command::new("haproxy").args(["-db", "-f", "haproxy.cfg"]).current_dir(self.dir.path()))
    }

    /// As a file that is moved into its place.
    fn roll_out_the_list(&self, number: usize) {
        let new = self.replica(number).join("crl.new");
        fs::copy(self.dir.path().join("certs/crl.pem"), &new).unwrap();
        fs::rename(new, self.replica(number).join("crl.pem")).unwrap();
    }

    /// The log of a replica has the address of the client, not that of the balancer.
    fn asks_from_another_address(&self, replicas: &[Option<Serving>]) {
        let credentials = "--cacert certs/ca.pem --cert certs/alice-crt.pem --key certs/alice-key.pem";
        let url = format!("https://localhost:{}/who", self.addr.port());
        sh(self.dir.path(), &format!("curl -sS --interface 127.0.0.5 {credentials} {url}"));
        eventually(|| replicas.iter().flatten().any(|replica| replica.stdout().contains(" 127.0.0.5:")));
    }
}
