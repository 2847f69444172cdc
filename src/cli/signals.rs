//! What signals do: SIGHUP reads the files anew, SIGTERM and SIGINT stop the server.

use std::io;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::{Handle, Signals};

use super::systemd::Manager;
use crate::config::STACK;
use crate::error::Error;
use crate::log::{AccessLog, Reopener};
use crate::server::handle::{ShutdownHandle, TrustHandle};

/// Catches the signals that must not end the process: SIGHUP reads the files anew, and scripts send SIGUSR1 and SIGUSR2 for
/// other programs. Called before anything is read or made, so that none is lost.
pub(super) fn catch() -> Result<Signals, Error> {
    let signals = Signals::new([SIGHUP, SIGUSR1, SIGUSR2]);
    signals.map_err(|error| Error::new("cannot listen for signals").caused_by(error))
}

/// From now on SIGTERM and SIGINT, too; until then they end the process as usual.
pub(super) fn catch_stops(handle: &Handle) -> Result<(), Error> {
    [SIGTERM, SIGINT]
        .into_iter()
        .try_for_each(|signal| handle.add_signal(signal))
        .map_err(|error| Error::new("cannot listen for signals").caused_by(error))
}

/// SIGHUP reads the files anew, and opens that of the log. The first SIGTERM or SIGINT begins the draining; the second ends the
/// process at once. systemd is told.
pub(super) fn handle(
    mut signals: Signals,
    shutdown: ShutdownHandle,
    trust: TrustHandle,
    delay: Option<Duration>,
    log: AccessLog,
    log_file: Option<Reopener>,
    manager: Manager,
) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("signals".to_owned()).stack_size(STACK).spawn(move || {
        let mut stopping = false;
        for signal in signals.forever() {
            match signal {
                SIGHUP => {
                    // Nothing is read any more while the server stops.
                    if !stopping {
                        manager.reloading();
                    }
                    if let Some(file) = &log_file {
                        file.reopen();
                    }
                    trust.reload();
                }
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
            let when = delay.filter(|delay| !delay.is_zero()).map(|delay| format!(" in {} s", delay.as_secs_f64()));
            let when = when.unwrap_or_default();
            let text = format!("stopping{when}; running answers are finished, a second signal ends at once");
            log.notice("stopping", &text);
            manager.stopping();
            shutdown.shutdown();
        }
    })
}
