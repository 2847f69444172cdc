//! Maintains a running server: reads its files when they have changed, closes the connections of clients that are now refused,
//! and warns of what is about to expire.

use std::time::{Duration, Instant};

use super::handle::{Bell, Control};
use super::pool::Pool;
use super::watch::{TICK, Watch};
use crate::clock::Daily;
use crate::error::{Error, of_library};
use crate::observer::Event;
use crate::panic::caught;

/// How often dates are checked.
const MINUTE: Duration = Duration::from_secs(60);

/// How often files that could not be read are tried again, though nothing has changed: a list that is not valid yet becomes
/// valid.
const RETRY: Duration = Duration::from_secs(5);

/// How many times idle connections are looked through after a change of trust: one that was about to be parked in the first
/// sweep is found in the second.
const SWEEPS: u32 = 2;

pub(crate) struct Caretaker<'s> {
    pub(crate) control: &'s Control,
    pub(crate) pool: &'s Pool,
    pub(crate) watch: Option<Watch>,
}

impl Caretaker<'_> {
    /// Until it is asked to stop.
    pub(crate) fn care(mut self) {
        let _over = Over(&self.control.bell);
        let mut warned = Daily::default();
        let mut failed: Option<Failed> = None;
        let mut generation = self.control.trust.generation();
        let mut sweeps = 0;
        let mut next_look_at_dates = Instant::now();
        loop {
            if Instant::now() >= next_look_at_dates {
                self.warn(&mut warned);
                next_look_at_dates = Instant::now() + MINUTE;
            }
            let soon = self.watch.is_some() || sweeps > 0;
            let asked = self.control.bell.wait(if soon { TICK } else { MINUTE });
            if asked.stop {
                return self.report_idle_closed();
            }
            if let Some(watch) = &mut self.watch {
                let again = failed.as_ref().is_some_and(|failed| failed.at.elapsed() >= failed.pause());
                if watch.has_changed() || asked.reload || again {
                    failed = self.reload(failed, asked.reload);
                }
            }
            if self.control.trust.generation() != generation {
                generation = self.control.trust.generation();
                sweeps = SWEEPS;
                next_look_at_dates = Instant::now();
            }
            if sweeps > 0 {
                self.pool.judge_idle();
                sweeps -= 1;
            }
            // Once for all that a change of trust closes.
            if sweeps == 0 {
                self.report_idle_closed();
            }
        }
    }

    fn report_idle_closed(&self) {
        let connections = self.pool.context.take_idle_closed();
        if connections > 0 {
            self.pool.context.observer.event(&Event::IdleClosed { connections });
        }
    }

    /// Reads the files, all or none. The same failure is reported once, and again only if somebody asked for the reload.
    fn reload(&self, before: Option<Failed>, asked: bool) -> Option<Failed> {
        let observer = &self.pool.context.observer;
        let begun = Instant::now();
        // A bug in a parser must not end all reloads.
        let read = caught(|| self.try_reload())
            .unwrap_or_else(|message| Err(Error::new(format!("reading them panicked: {message}"))));
        match read {
            Ok(()) => {
                let (trust, certificate) = (&self.control.trust.current(), &self.control.certificate());
                observer.event(&Event::Reloaded { trust, certificate });
                for text in certificate.warnings() {
                    observer.event(&Event::Warning { text });
                }
                None
            }
            Err(error) => {
                let text = error.in_full(of_library);
                self.control.note_failed_reload(&text);
                if asked || before.is_none_or(|before| before.text != text) {
                    observer.event(&Event::ReloadFailed { error: &error });
                }
                Some(Failed { text, at: Instant::now(), took: begun.elapsed() })
            }
        }
    }

    fn try_reload(&self) -> Result<(), Error> {
        let Some(watch) = &self.watch else { return Ok(()) };
        let (trust, certificate) = watch.files.reload(&self.control.trust.current(), self.control.clock.now())?;
        self.control.replace(trust, Some(certificate))
    }

    fn warn(&self, warned: &mut Daily) {
        let now = self.control.clock.now();
        let mut warnings = self.control.trust.current().warnings(now);
        warnings.extend(self.control.certificate().expiry_warning(now));
        for text in warnings.iter().filter(|warning| warned.is_due(warning, now)) {
            self.pool.context.observer.event(&Event::Warning { text });
        }
    }
}

/// Reports the end of the caretaker, whatever ends it.
struct Over<'s>(&'s Bell);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.ring(|asked| asked.is_over = true);
    }
}

struct Failed {
    text: String,
    at: Instant,
    took: Duration,
}

impl Failed {
    /// How long to wait for the next try. Long lists take a while to read, and a thread has other things to do.
    fn pause(&self) -> Duration {
        RETRY.max(self.took * 20)
    }
}
