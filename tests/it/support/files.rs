//! Directories that vanish with the test.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::pki::Ca;

pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("mtls-min-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// As a careful program does: a new file is renamed over the old one.
    pub(crate) fn replace(&self, name: &str, content: impl AsRef<[u8]>) {
        let new = self.write(&format!("{name}.new"), content);
        std::fs::rename(new, self.0.join(name)).unwrap();
    }

    /// `ca.pem`, `server-crt.pem` and `server-key.pem`, their names after `start`.
    pub(crate) fn write_certificates(&self, start: &str, ca: &Ca) {
        let server = ca.server();
        self.write(&format!("{start}ca.pem"), ca.pem());
        self.write(&format!("{start}server-crt.pem"), server.pem());
        self.write(&format!("{start}server-key.pem"), server.key_pem());
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
