//! Chromium, headless, with a certificate store of its own.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::support::command::{Serving, binary};
use crate::support::files::TempDir;
use crate::tools::sh;

/// Lets Chromium choose a certificate for these servers without asking. Chromium reads policies from one place only, and of
/// two files there obeys one, so one test has it at a time.
pub(crate) struct Policy {
    path: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

impl Policy {
    pub(crate) fn new(origins: &[String]) -> Self {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = Path::new("/etc/chromium/policies/managed");
        let path = directory.join(format!("mtls-min-test-{}.json", std::process::id()));
        let pattern = |origin| format!(r#""{{\"pattern\":\"https://{origin}\",\"filter\":{{}}}}""#);
        let patterns: Vec<_> = origins.iter().map(pattern).collect();
        std::fs::create_dir_all(directory).expect("the browser test runs as root, to set a policy of Chromium");
        std::fs::write(&path, format!(r#"{{"AutoSelectCertificateForUrls":[{}]}}"#, patterns.join(","))).unwrap();
        Self { path, _turn: turn }
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The page as Chromium renders it.
pub(crate) fn page(dir: &Path, host: &str, port: u16) -> String {
    chromium(dir, &format!("--dump-dom https://{host}:{port}/"))
}

/// Has Chromium take a picture of the page: a file of this name in `dir`, in PNG.
fn picture(dir: &Path, name: &str, port: u16) -> Vec<u8> {
    chromium(dir, &format!("--hide-scrollbars --window-size=760,520 --screenshot={name} https://localhost:{port}/"));
    let picture = std::fs::read(dir.join(name)).unwrap();
    assert!(picture.starts_with(b"\x89PNG") && picture.len() < 100_000, "{} bytes", picture.len());
    picture
}

fn chromium(dir: &Path, arguments: &str) -> String {
    let options = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
                   --disable-component-update --disable-sync --disable-dev-shm-usage";
    sh(dir, &format!("timeout 60 chromium {options} --user-data-dir=profile {arguments} 2>/dev/null"))
}

/// With `SCREENSHOTS` in the environment, the pictures of the README are made anew.
#[test]
fn a_browser_sees_the_401_imports_the_p12_and_sees_its_name() {
    let dir = TempDir::new();
    let demo = Serving::start(&binary(), dir.path(), &["demo", "--listen", "127.0.0.1:0"]);
    let port = demo.addr.port();
    let _policy = Policy::new(&[format!("localhost:{port}")]);
    sh(dir.path(), "mkdir -p .pki/nssdb && certutil -d sql:.pki/nssdb -N --empty-password");
    sh(dir.path(), "certutil -d sql:.pki/nssdb -A -t C,, -n demo-ca -i certs/ca.pem");

    let refused = page(dir.path(), "localhost", port);
    assert!(refused.contains("<h1>User is not authorized</h1>"), "{refused}");
    let refused = picture(dir.path(), "refused.png", port);

    sh(dir.path(), "pk12util -d sql:.pki/nssdb -i certs/client1.p12 -w certs/client1-p12-password.txt");
    let accepted = page(dir.path(), "localhost", port);
    assert!(accepted.contains("You are <strong>client1</strong>"), "{accepted}");
    assert!(accepted.contains("CN=client1,O=mtls-min"), "{accepted}");
    let accepted = picture(dir.path(), "accepted.png", port);

    if std::env::var_os("SCREENSHOTS").is_some() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
        std::fs::write(docs.join("refused.png"), refused).unwrap();
        std::fs::write(docs.join("accepted.png"), accepted).unwrap();
    }
}
