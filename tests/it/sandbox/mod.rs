//! The sandbox of the command: what a handler cannot do under it, and that everything which the server is for works under it.

use std::fs;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;

use crate::support::client::{TLS13, config, connect, eventually, exchange, get};
use crate::support::command::{Serving, binary, example, site};
use crate::support::crl::Crl;
use crate::support::files::TempDir;
use crate::support::pki::{Ca, Holder, self_signed};

fn serve(dir: &TempDir, options: &str) -> Serving {
    let options: Vec<&str> = options.split_whitespace().chain(["--listen", "127.0.0.1:0"]).collect();
    Serving::start(&binary(), dir.path(), &options)
}

/// The line of the start that tells of the sandbox.
fn line(serving: &Serving) -> String {
    let said = serving.stderr();
    let line = said.lines().find(|line| line.contains("sandboxed: ")).unwrap_or_else(|| panic!("{said}"));
    line.split_once("mtls-min: ").unwrap().1.to_owned()
}

fn body(serving: &Serving, holder: &Holder, target: &str) -> String {
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    exchange(&mut connect(serving.addr, config(Some(holder), &TLS13)), request).unwrap().body
}

fn status(serving: &Serving, holder: &Holder) -> u16 {
    get(serving.addr, Some(holder), &TLS13).unwrap().status
}

/// What a handler tries: what limits it, what it does, and on what.
type Attempt<'a> = (&'a str, &'a str, String, String);

#[test]
fn p1_a_handler_can_read_no_other_file_write_none_and_reach_nobody_else() {
    const FILES: &str = "";
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let path = |name: &str| dir.path().join(name).display().to_string();
    for folder in ["docs", "outside", "certs/folder"] {
        fs::create_dir(dir.path().join(folder)).unwrap();
    }
    for file in ["docs/page.txt", "outside/secret", "certs/victim", "certs/mover", "beside"] {
        dir.write(file, file);
    }
    let [application, other] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [application, other] = [&application, &other].map(|listener| listener.local_addr().unwrap());
    let name = format!("mtls-min-test-{}", std::process::id());
    let _abstract = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let attempt = |limit, what, on: &str, to: &str| -> Attempt<'_> { (limit, what, on.to_owned(), to.to_owned()) };
    let on = |what, name: &str| attempt(FILES, what, &path(name), "");
    let attempts = [
        attempt(FILES, "read", "/etc/passwd", ""),
        attempt(FILES, "read", "/proc/self/environ", ""),
        attempt(FILES, "list", "/", ""),
        attempt(FILES, "write", "/dev/null", ""),
        on("read", "beside"),
        on("read", "outside/secret"),
        on("read", "docs/../outside/secret"),
        on("list", "outside"),
        // To find a file anew there is no need to list what is beside it.
        on("list", "certs"),
        on("write", "certs/victim"),
        on("write", "docs/page.txt"),
        on("truncate", "certs/victim"),
        on("create", "certs/new"),
        on("create", "docs/new"),
        on("make-directory", "docs/new-folder"),
        on("make-link", "docs/new-link"),
        on("make-socket", "certs/new-socket"),
        attempt(FILES, "hard-link", &path("certs/victim"), &path("certs/hard")),
        attempt(FILES, "hard-link", &path("outside/secret"), &path("docs/hard")),
        attempt(FILES, "rename", &path("certs/mover"), &path("certs/moved")),
        attempt(FILES, "rename", &path("outside/secret"), &path("docs/secret")),
        on("remove", "certs/victim"),
        on("remove-directory", "certs/folder"),
        attempt(FILES, "execute", "/bin/true", ""),
        attempt("TCP", "connect", &other.to_string(), ""),
        attempt("TCP", "bind", "127.0.0.1:0", ""),
        attempt("signals", "abstract", &name, ""),
        attempt("signals", "signal", &std::process::id().to_string(), ""),
    ];
    let alice = ca.client("alice");
    let application = application.to_string();
    let forward = format!("/app=http://{application}");
    let start = |options: &[&str]| {
        let all = ["--files", "/docs=docs", "--forward", &forward, "--listen", "127.0.0.1:0"];
        Serving::start(&example("hostile_handler"), dir.path(), &[options, &all].concat())
    };
    let answer = |serving: &Serving, (_, what, on, to): &Attempt<'_>| {
        body(serving, &alice, &format!("/?do={what}&on={on}&to={to}"))
    };

    let serving = start(&[]);
    let said = line(&serving);
    // An old kernel does not limit everything, and says so.
    let is_limited = |limit: &str| match said.split_once("does not limit ") {
        Some((_, open)) => limit.is_empty() || !open.contains(limit),
        None => !said.starts_with("not sandboxed"),
    };
    let mut refused = 0;
    for attempt in attempts.iter().filter(|attempt| is_limited(attempt.0)) {
        let answer = answer(&serving, attempt);
        assert!(["PermissionDenied", "CrossesDevices"].contains(&&*answer), "{attempt:?}: {answer}; {said}");
        refused += 1;
    }
    assert!(refused == attempts.len() || said.contains("Landlock"), "{said}");
    for attempt in [
        on("read", "certs/ca.pem"),
        on("read", "docs/page.txt"),
        on("list", "docs"),
        attempt("", "connect", &application, ""),
    ] {
        assert_eq!(answer(&serving, &attempt), "ok", "{attempt:?}");
    }
    drop(serving);

    // All of it would have worked otherwise.
    let serving = start(&["--no-sandbox"]);
    assert_eq!(line(&serving), "not sandboxed: --no-sandbox is given");
    for attempt in &attempts {
        assert_eq!(answer(&serving, attempt), "ok", "{attempt:?}");
    }
}

#[test]
fn the_start_says_what_is_opened_and_warns_of_a_directory_that_is_not_the_servers_own() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let real = dir.path().canonicalize().unwrap().display().to_string();
    for file in ["ca.pem", "server-crt.pem", "server-key.pem"] {
        fs::copy(dir.path().join("certs").join(file), dir.path().join(file)).unwrap();
    }
    fs::create_dir(dir.path().join("docs")).unwrap();
    let serving = serve(&dir, "--files docs");
    if line(&serving).starts_with("sandboxed") {
        assert!(line(&serving).contains(&format!(": it can read what is in {real}/certs, {real}/docs, and write")));
    }
    assert!(!serving.stderr().contains("warning: the sandbox"), "{}", serving.stderr());
    let home = format!("HOME={real}");
    let command = binary().display().to_string();
    let options = ["--ca", "ca.pem", "--listen", "127.0.0.1:0"];
    let serving = Serving::start(Path::new("/usr/bin/env"), dir.path(), &[&[&*home, &command], &options[..]].concat());
    if line(&serving).starts_with("sandboxed") {
        let warning = format!("warning: the sandbox lets everything in {real} be read, since ca.pem is there");
        assert_eq!(serving.stderr().matches(&warning).count(), 1, "{}", serving.stderr());
    }
}

/// As Kubernetes mounts a Secret: `name -> ..data/name`, `..data -> ..1`, and a new directory with a new link renamed over the old.
#[test]
fn p2_a_mounted_volume_whose_link_is_turned_is_read_anew_under_the_sandbox() {
    let ca = Ca::new("ca");
    let dir = TempDir::new();
    let turn = |number: u32, crl: Crl, key_of: &str| {
        let server = ca.server();
        fs::create_dir_all(dir.path().join(format!("tls/..{number}"))).unwrap();
        for (name, content) in [
            ("ca.pem", ca.pem()),
            ("crl.pem", crl.pem(&ca)),
            ("server-crt.pem", server.pem()),
            ("server-key.pem", server.key_pem()),
            ("policy", format!("/ {key_of}\n")),
        ] {
            dir.write(&format!("tls/..{number}/{name}"), content);
        }
        symlink(format!("..{number}"), dir.path().join("tls/..data_tmp")).unwrap();
        fs::rename(dir.path().join("tls/..data_tmp"), dir.path().join("tls/..data")).unwrap();
    };
    let alice = ca.client("alice");
    turn(1, Crl::number(1), "any");
    for name in ["ca.pem", "crl.pem", "server-crt.pem", "server-key.pem", "policy"] {
        symlink(format!("..data/{name}"), dir.path().join("tls").join(name)).unwrap();
    }
    let options =
        "--ca tls/ca.pem --cert tls/server-crt.pem --key tls/server-key.pem --crl tls/crl.pem --policy tls/policy";
    let serving = serve(&dir, options);
    assert_eq!(status(&serving, &alice), 200);
    turn(2, Crl::number(2), "cn:bob");
    eventually(|| status(&serving, &alice) == 403);
    fs::remove_dir_all(dir.path().join("tls/..1")).unwrap();
    turn(3, Crl::number(3).revoking(&alice), "any");
    eventually(|| status(&serving, &alice) == 401);
    assert!(!serving.stderr().contains("stays in force"), "{}", serving.stderr());
}

/// As certbot does: `live/name/cert.pem -> ../../archive/name/cert1.pem`, turned to `cert2.pem`.
#[test]
fn p2_links_into_another_directory_are_turned_and_read_anew_under_the_sandbox() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    for folder in ["live/name", "archive/name"] {
        fs::create_dir_all(dir.path().join(folder)).unwrap();
    }
    let renew = |number: u32| {
        let server = ca.server();
        for (name, content) in [("cert", server.pem()), ("key", server.key_pem())] {
            dir.write(&format!("archive/name/{name}{number}.pem"), content);
            let link = dir.path().join(format!("live/name/{name}.pem"));
            let _ = fs::remove_file(&link);
            symlink(format!("../../archive/name/{name}{number}.pem"), link).unwrap();
        }
    };
    renew(1);
    let serving = serve(&dir, "--cert live/name/cert.pem --key live/name/key.pem");
    let read = || serving.stderr().matches("read the files anew").count();
    renew(2);
    eventually(|| read() == 1);
    // The link gives way to a file, as a copy makes it.
    let server = ca.server();
    for (name, content) in [("cert", server.pem()), ("key", server.key_pem())] {
        dir.replace(&format!("live/name/{name}.pem"), content);
    }
    eventually(|| read() >= 2);
    assert_eq!(status(&serving, &ca.client("alice")), 200);
    assert!(!serving.stderr().contains("Permission denied"), "{}", serving.stderr());
}

#[test]
fn a_link_to_a_directory_is_turned_and_read_anew_under_the_sandbox() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let [alice, bob] = ["alice", "bob"].map(self_signed);
    for (release, client) in [("1", &alice), ("2", &bob)] {
        fs::create_dir_all(dir.path().join("releases").join(release)).unwrap();
        dir.write(&format!("releases/{release}/one.pem"), client.pem());
        dir.write(&format!("releases/{release}/policy"), "/ any\n");
    }
    let turn = |release: &str| {
        symlink(format!("releases/{release}"), dir.path().join("new")).unwrap();
        fs::rename(dir.path().join("new"), dir.path().join("current")).unwrap();
    };
    turn("1");
    let serving = serve(&dir, "--authorized-clients current --policy current/policy");
    assert_eq!((status(&serving, &alice), status(&serving, &bob)), (200, 401));
    turn("2");
    eventually(|| (status(&serving, &alice), status(&serving, &bob)) == (401, 200));
}

#[test]
fn new_clients_new_files_and_new_folders_are_there_under_the_sandbox() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    for folder in ["clients", "docs"] {
        fs::create_dir(dir.path().join(folder)).unwrap();
    }
    let [alice, bob] = ["alice", "bob"].map(self_signed);
    // One of them is a link to elsewhere.
    fs::create_dir(dir.path().join("people")).unwrap();
    dir.write("people/alice.pem", alice.pem());
    symlink("../people/alice.pem", dir.path().join("clients/alice.pem")).unwrap();
    let serving = serve(&dir, "--authorized-clients clients --files docs --list-files");
    dir.replace("clients/bob.pem", bob.pem());
    fs::create_dir_all(dir.path().join("docs/new/folder")).unwrap();
    dir.replace("docs/new/folder/page.txt", "a page");
    let sees = |holder| body(&serving, holder, "/new/folder/page.txt") == "a page";
    eventually(|| sees(&bob));
    assert!(sees(&alice) && body(&serving, &alice, "/new/").contains("folder"));
    dir.replace("people/alice.pem", self_signed("carol").pem());
    eventually(|| !sees(&alice));
    assert!(sees(&bob));
}

/// What a rule is about has gone then. It is better to say so than to open the directory above.
#[test]
fn a_directory_that_is_replaced_as_a_whole_is_told_with_the_reason() {
    let ca = Ca::new("ca");
    let dir = site(&ca);
    let serving = serve(&dir, "");
    let said = match line(&serving).starts_with("sandboxed") {
        true => "a sandbox around it",
        false => "read the files anew",
    };
    fs::rename(dir.path().join("certs"), dir.path().join("old")).unwrap();
    fs::create_dir(dir.path().join("certs")).unwrap();
    dir.write_certificates("certs/", &ca);
    eventually(|| serving.stderr().contains(said));
    assert_eq!(status(&serving, &ca.client("alice")), 200);
}
