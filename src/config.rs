//! The settings of a server that are numbers and choices, with their defaults and ranges.
//!
//! The builder, the help of the command and `docs/limits.md` quote them; a test below compares.

use std::ops::RangeInclusive;
use std::thread;
use std::time::Duration;

use crate::clock::days;
use crate::error::Error;
use crate::http1::HeadLimits;
use crate::proxy_protocol::TrustedProxies;

const KIB: usize = 1024;
const MIB: u64 = 1024 * 1024;

/// The stack of a thread in bytes, by default. The usual 2 MiB would be the larger part of the address space of a small server.
pub(crate) const STACK: usize = 256 * KIB;

/// A smaller stack could overflow in a handshake.
const LEAST_STACK: usize = 128 * KIB;

/// The range of workers. Only the command enforces the upper end; the same goes for the ranges below.
pub(crate) const WORKERS: RangeInclusive<usize> = 1..=1024;

/// As many, unless another number is asked for. A handler that waits costs little, and one that does not is over soon.
pub(crate) const DEFAULT_WORKERS: usize = 256;

/// How many connections there may be.
pub(crate) const CONNECTIONS: RangeInclusive<usize> = 4..=1_000_000;

/// The range of a timeout on the command line, in seconds.
#[cfg(feature = "cli")]
pub(crate) const SECONDS: RangeInclusive<f64> = 0.001..=86_400.0;

/// The range of the size of a body on the command line, in MiB.
#[cfg(feature = "cli")]
pub(crate) const BODY_MEBIBYTES: RangeInclusive<usize> = 1..=1_048_576;

/// The slowest pace of a body, in bytes a second.
pub(crate) const LEAST_PACE: u128 = 4 * KIB as u128;

/// How long before a certificate expires, of the server or of a client, there are warnings.
pub(crate) const EXPIRES_SOON: Duration = days(14);

/// How many threads can compute at once.
pub(crate) fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// All settings of a server.
#[derive(Debug)]
pub(crate) struct Settings {
    /// How many threads call handlers at most. `None`: [`DEFAULT_WORKERS`], or as many as there is room for.
    pub(crate) workers: Option<usize>,
    /// How many of these serve one client. `None`: half of them.
    pub(crate) workers_per_client: Option<usize>,
    /// Of each thread, in bytes.
    pub(crate) stack_size: usize,
    pub(crate) max_connections: usize,
    pub(crate) gate: Gate,
    /// The balancers whose PROXY header each connection has to begin with; if there are any.
    pub(crate) proxies: Option<TrustedProxies>,
    pub(crate) handshakes: Handshakes,
    pub(crate) timeouts: Timeouts,
    pub(crate) limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            workers: None,
            workers_per_client: None,
            stack_size: STACK,
            max_connections: 1024,
            gate: Gate::Closed,
            proxies: None,
            handshakes: Handshakes::default(),
            timeouts: Timeouts::default(),
            limits: Limits::default(),
        }
    }
}

impl Settings {
    /// # Errors
    /// A setting is out of its range.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.workers.is_some_and(|workers| workers < *WORKERS.start()) {
            return Err(Error::new("a server needs at least one worker"));
        }
        if self.workers_per_client == Some(0) {
            return Err(Error::new("a client needs at least one worker"));
        }
        if self.stack_size < LEAST_STACK {
            return Err(Error::new(format!("stack_size must be at least {LEAST_STACK} bytes, which TLS needs")));
        }
        if self.proxies.as_ref().is_some_and(|proxies| proxies.0.is_empty()) {
            return Err(Error::new("proxy_protocol needs the network of a balancer: otherwise nobody could connect"));
        }
        let least = *CONNECTIONS.start();
        if self.max_connections < least {
            return Err(Error::new(format!(
                "max_connections must be at least {least}, so that a quarter can be reserved"
            )));
        }
        Ok(())
    }
    /// How many of at most `workers` may serve one client.
    pub(crate) fn workers_per_client(&self, workers: usize) -> usize {
        self.workers_per_client.unwrap_or((workers / 2).max(1))
    }
}

/// Who reaches the handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Authorised clients only.
    Closed,
    /// Everyone; the handler decides.
    Open,
}

/// How handshakes are made.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Handshakes {
    /// Refuse a client already in the handshake, by an alert.
    pub(crate) strict: bool,
    /// Let authorised clients resume their sessions.
    pub(crate) resumption: bool,
}

/// The longest time each phase may take.
#[derive(Debug, Clone)]
pub(crate) struct Timeouts {
    pub(crate) handshake: Duration,
    pub(crate) head: Duration,
    pub(crate) idle: Duration,
    pub(crate) linger: Duration,
    /// After a shutdown was asked for, before draining begins: a balancer sends its clients elsewhere meanwhile.
    pub(crate) drain_delay: Duration,
    pub(crate) drain: Duration,
    /// A request that waits for its turn, since there are as many in handlers as may be.
    pub(crate) turn: Duration,
    /// Bodies, up and down: the period in which enough has to move.
    pub(crate) transfer: Duration,
    /// Without a byte in a tunnel, or in a body that another program still makes.
    pub(crate) tunnel: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            linger: Duration::from_secs(5),
            drain_delay: Duration::ZERO,
            drain: Duration::from_secs(10),
            turn: Duration::from_secs(60),
            transfer: Duration::from_secs(30),
            tunnel: Duration::from_secs(600),
        }
    }
}

impl Timeouts {
    /// The same, each short enough to be added to a time. What is cut would not have ended anyway.
    pub(crate) fn limited(self) -> Self {
        const LONGEST: Duration = days(10 * 365);
        let Self { handshake, head, idle, linger, drain_delay, drain, turn, transfer, tunnel } = self;
        let [handshake, head, idle, linger, drain_delay, drain, turn, transfer, tunnel] =
            [handshake, head, idle, linger, drain_delay, drain, turn, transfer, tunnel].map(|time| time.min(LONGEST));
        Self { handshake, head, idle, linger, drain_delay, drain, turn, transfer, tunnel }
    }

    /// How many bytes of a body have to move within each [`transfer`](Self::transfer) time. A large body may take long,
    /// a slow one may not.
    pub(crate) fn least_transfer(&self) -> u64 {
        let bytes = self.transfer.as_millis().saturating_mul(LEAST_PACE) / 1000;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

/// How large a request may be, in bytes unless said otherwise.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) head: HeadLimits,
    pub(crate) body: u64,
    /// Behind an open gate, the body of a client that is not authorised is read before the handler is called, so that
    /// it cannot hold a thread. This is the most that is read.
    pub(crate) unauthenticated_body: u64,
    /// What a client may still send after the last response.
    pub(crate) linger: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { head: HeadLimits::default(), body: 64 * MIB, unauthenticated_body: 64 * KIB as u64, linger: 16 * MIB }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANUAL: &str = include_str!("../docs/limits.md");
    const HELP: &str = include_str!("../docs/cli.md");
    const BUILDER: &str = include_str!("server/builder.rs");

    /// The default that a row of the manual names.
    #[track_caller]
    fn row(what: &str) -> &'static str {
        let row = MANUAL.lines().find(|line| line.starts_with(&format!("| {what} | ")));
        row.unwrap_or_else(|| panic!("no row for {what}")).split(" | ").nth(1).unwrap()
    }

    /// The text of the help for an option, in one line.
    #[track_caller]
    fn help(option: &str) -> String {
        let text = HELP.split(&format!("\n  {option}")).nth(1).unwrap_or_else(|| panic!("no help for {option}"));
        let lines = text.lines().enumerate().take_while(|(at, line)| *at == 0 || line.starts_with("      "));
        lines.flat_map(|(_, line)| line.split_whitespace()).collect::<Vec<_>>().join(" ")
    }

    /// The documentation of a setting of the builder, in one line.
    #[track_caller]
    fn documentation(setting: &str) -> String {
        let before = BUILDER.split(&format!("pub fn {setting}(")).next().unwrap();
        let comment = before.rsplit("\n\n").next().unwrap();
        comment.split_whitespace().filter(|word| *word != "///").collect::<Vec<_>>().join(" ")
    }

    fn seconds(time: Duration) -> String {
        format!("{} s", time.as_secs())
    }

    fn size(bytes: u64) -> String {
        match bytes % MIB {
            0 => format!("{} MiB", bytes / MIB),
            _ => format!("{} KiB", bytes / KIB as u64),
        }
    }

    fn thousands(number: usize) -> String {
        if number < 1000 { number.to_string() } else { format!("{},{:03}", number / 1000, number % 1000) }
    }

    #[test]
    fn the_manual_the_help_and_the_builder_name_the_defaults() {
        let Settings { stack_size, max_connections, timeouts, limits, .. } = Settings::default();
        for (what, option, setting, time) in [
            ("TLS handshake, in all", "--handshake-timeout", "handshake_timeout", timeouts.handshake),
            ("request head, in all", "--head-timeout", "head_timeout", timeouts.head),
            ("between two requests", "--idle-timeout", "idle_timeout", timeouts.idle),
            ("serving on after SIGTERM, before it drains", "--drain-delay", "drain_delay", timeouts.drain_delay),
            ("running answers after SIGTERM", "--drain-timeout", "drain_timeout", timeouts.drain),
            (
                "without a byte in a tunnel, or in an answer still being made",
                "--tunnel-timeout",
                "tunnel_timeout",
                timeouts.tunnel,
            ),
        ] {
            assert_eq!(row(what), seconds(time));
            let help = help(option);
            assert!(help.contains(&format!("(default {})", time.as_secs())), "{option}: {help}");
            let documentation = documentation(setting);
            assert!(documentation.ends_with(&format!("Defaults to {}.", seconds(time))), "{setting}: {documentation}");
        }
        let head = &limits.head;
        for (what, setting, values) in [
            ("bodies, up and down", "transfer_timeout", vec![size(LEAST_PACE as u64), seconds(timeouts.transfer)]),
            (
                "for the turn of a request, if there are as many in handlers as may be",
                "turn_timeout",
                vec![seconds(timeouts.turn)],
            ),
            (
                "after the last response, until the client closes",
                "linger_timeout",
                vec![size(limits.linger), seconds(timeouts.linger)],
            ),
            ("stack of a thread", "stack_size", vec![size(stack_size as u64)]),
            (
                "request head",
                "max_head",
                vec![format!("{} fields", head.max_fields), size(head.max_target as u64), size(head.max_head as u64)],
            ),
            ("request body", "max_body", vec![size(limits.unauthenticated_body), size(limits.body)]),
        ] {
            for value in &values {
                assert!(row(what).contains(value), "{what}: {value}");
            }
            // The last is what is set.
            let documentation = documentation(setting);
            let default = format!("Defaults to {}.", values[values.len() - 1]);
            assert!(documentation.ends_with(&default), "{setting}: {documentation}");
        }
        let default = format!("Defaults to {}.", size(limits.unauthenticated_body));
        assert!(documentation("max_unauthenticated_body").ends_with(&default));
        assert_eq!(row("handlers at once").split(';').next(), Some(&*DEFAULT_WORKERS.to_string()));
        assert!(documentation("workers").ends_with(&format!("Defaults to {DEFAULT_WORKERS}.")));
        assert!(help("--workers ").ends_with(&format!("(default {DEFAULT_WORKERS})")));
        let connections = thousands(max_connections);
        assert!(row("connections").contains(&format!("`Builder`: {connections}")));
        assert!(
            documentation("max_connections")
                .contains(&format!("At least {}. Defaults to {connections}.", CONNECTIONS.start()))
        );
        assert!(documentation("stack_size").contains(&format!("At least {}.", size(LEAST_STACK as u64))));
    }

    #[test]
    fn a_setting_out_of_its_range_is_refused() {
        assert!(Settings::default().check().is_ok());
        for (settings, said) in [
            (Settings { workers: Some(0), ..Settings::default() }, "at least one worker"),
            (Settings { workers_per_client: Some(0), ..Settings::default() }, "a client needs at least one"),
            (Settings { stack_size: LEAST_STACK - 1, ..Settings::default() }, "at least 131072 bytes"),
            (Settings { max_connections: 3, ..Settings::default() }, "at least 4"),
            (Settings { proxies: Some(TrustedProxies(Vec::new())), ..Settings::default() }, "needs the network"),
        ] {
            let error = settings.check().unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn one_client_has_half_of_the_workers_unless_another_number_is_set() {
        let of = |set, workers| Settings { workers_per_client: set, ..Settings::default() }.workers_per_client(workers);
        assert_eq!([1, 2, 3, 256].map(|workers| of(None, workers)), [1, 1, 1, 128]);
        assert_eq!(of(Some(7), 8), 7);
    }

    #[test]
    fn no_timeout_is_too_long_to_be_added_to_a_time() {
        let timeouts = Timeouts { idle: Duration::MAX, ..Timeouts::default() }.limited();
        assert!(std::time::Instant::now().checked_add(timeouts.idle).is_some());
        assert_eq!(timeouts.head, Timeouts::default().head);
        assert_eq!(Timeouts { transfer: Duration::MAX, ..Timeouts::default() }.least_transfer(), u64::MAX);
    }
}
