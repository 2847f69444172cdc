//! Folders of files: what is answered, in which coding, the lists, and that nothing outside of the folder is ever sent.

mod answers;
mod codings;
#[cfg(feature = "cli")]
mod command;
mod escapes;
mod lists;
mod races;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use mtls_min::{Files, Request};

use crate::support::client::{Reply, TLS13, Tls, config, connect, eventually, exchange};
use crate::support::pki::{Ca, Holder};
use crate::support::server::{Running, start_with, trust};

/// A server of one folder, and who may ask it.
struct Site {
    running: Running,
    alice: Holder,
}

impl Site {
    fn of(files: Files) -> Self {
        Self::with(move |request: &mut Request<'_>| files.answer(request))
    }

    fn with(handler: impl mtls_min::Handler + 'static) -> Self {
        let ca = Ca::new("ca");
        let running = start_with(trust(&ca), |builder| builder, handler);
        Self { running, alice: ca.client("alice") }
    }

    fn connect(&self) -> Tls {
        connect(self.running.addr, config(Some(&self.alice), &TLS13))
    }

    /// One request on a connection of its own.
    fn get(&self, target: impl AsRef<[u8]>) -> Reply {
        let line = [b"GET ", target.as_ref()].concat();
        ask(&mut self.connect(), line, &[])
    }

    fn get_with(&self, target: &str, fields: &[(&str, &str)]) -> Reply {
        ask(&mut self.connect(), format!("GET {target}"), fields)
    }
}

/// A request with further fields.
fn ask(stream: &mut Tls, line: impl AsRef<[u8]>, fields: &[(&str, &str)]) -> Reply {
    let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let rest = format!(" HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    exchange(stream, [line.as_ref(), rest.as_bytes()].concat()).unwrap()
}

/// Makes a file, and the folders that it is in.
fn write(root: &Path, name: &str, content: impl AsRef<[u8]>) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Waits until the tag of the file is strong: the time of the last change of any kind cannot be set.
fn let_rest(root: &Path, name: &str) {
    let changed = fs::metadata(root.join(name)).unwrap();
    let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(changed.ctime() as u64 + 1);
    eventually(|| changed.elapsed().is_ok_and(|age| age > Duration::from_secs(2)));
}
