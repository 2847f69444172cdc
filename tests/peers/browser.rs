//! Chromium, headless, with a certificate store of its own.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::support::command::{Serving, binary};
use crate::support::files::TempDir;
use crate::tools::sh;

/// Lets Chromium choose a certificate for these servers without asking. Chromium reads policies from one place only, and of
/// two files there obeys one, so one test has it at a time.
pub(crate) struct Policy(PathBuf, #[allow(dead_code, reason = "held, not read")] MutexGuard<'static, ()>);

impl Policy {
    pub(crate) fn new(origins: &[String]) -> Self {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = Path::new("/etc/chromium/policies/managed");
        let path = directory.join(format!("mtls-min-test-{}.json", std::process::id()));
        let pattern = |origin| format!(r#""{{\"pattern\":\"https://{origin}\",\"filter\":{{}}}}""#);
        let patterns: Vec<_> = origins.iter().map(pattern).collect();
        std::fs::create_dir_all(directory).expect("the browser test runs as root, to set a policy of Chromium");
        std::fs::write(&path, format!(r#"{{"AutoSelectCertificateForUrls":[{}]}}"#, patterns.join(","))).unwrap();
        Self(path, guard)
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The page as Chromium renders it.
pub(crate) fn page(dir: &Path, host: &str, port: u16) -> String {
    let options = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
                   --disable-component-update --disable-sync --disable-dev-shm-usage";
    sh(
        dir,
        &format!("timeout 60 chromium {options} --user-data-dir=profile --dump-dom https://{host}:{port}/ 2>/dev/null"),
    )
}

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

    sh(dir.path(), "pk12util -d sql:.pki/nssdb -i certs/client1.p12 -w certs/client1-p12-password.txt");
    let accepted = page(dir.path(), "localhost", port);
    assert!(accepted.contains("You are <strong>client1</strong>"), "{accepted}");
    assert!(accepted.contains("CN=client1,O=mtls-min"), "{accepted}");
}
