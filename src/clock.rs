//! The time of day, by which certificates are judged, and how times are written.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Tells the time of day. Deadlines do not use it: they run on the monotonic clock.
#[derive(Clone)]
pub(crate) struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    pub(crate) fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(crate) fn now(&self) -> SystemTime {
        (self.0)()
    }

    /// The time by both clocks.
    pub(crate) fn moment(&self) -> Moment {
        Moment { instant: Instant::now(), time: self.now() }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new(SystemTime::now)
    }
}

/// One moment: for deadlines, and for certificates and people.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) instant: Instant,
    pub(crate) time: SystemTime,
}

impl Moment {
    /// The moment that it is now, with the time of day reckoned from this one: a clock that was set meanwhile is not noticed.
    pub(crate) fn later(self) -> Self {
        let instant = Instant::now();
        let passed = instant.saturating_duration_since(self.instant);
        Self { instant, time: self.time.checked_add(passed).unwrap_or(self.time) }
    }
}

/// Seconds since 1970.
#[cfg(feature = "admin")]
pub(crate) fn since_epoch(time: SystemTime) -> f64 {
    until(SystemTime::UNIX_EPOCH, time)
}

/// Seconds from one time to another; less than zero, if the other is earlier.
#[cfg(feature = "admin")]
pub(crate) fn until(now: SystemTime, then: SystemTime) -> f64 {
    match then.duration_since(now) {
        Ok(left) => left.as_secs_f64(),
        Err(past) => -past.duration().as_secs_f64(),
    }
}

const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

/// A number of days.
pub(crate) const fn days(number: u64) -> Duration {
    Duration::from_secs(number * SECONDS_PER_DAY)
}

/// How many whole days a time has.
pub(crate) fn whole_days(time: Duration) -> u64 {
    time.as_secs() / SECONDS_PER_DAY
}

/// The day number since 1970 (UTC).
pub(crate) fn day(time: SystemTime) -> u64 {
    whole_days(since_1970(time))
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// A time for people and programs (RFC 3339, UTC, seconds); if need be the nearest that is [`writable`].
pub(crate) fn timestamp(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + writable(time)).to_string()
}

/// Writes times of the log: like [`timestamp`], with milliseconds.
#[derive(Debug)]
pub(crate) struct LogTimes(SecondText);

impl Default for LogTimes {
    fn default() -> Self {
        Self(SecondText::new(|time| timestamp(time).replace('Z', ".")))
    }
}

impl LogTimes {
    pub(crate) fn push(&mut self, time: SystemTime, out: &mut String) {
        out.push_str(self.0.at(time));
        let milliseconds = writable(time).subsec_millis();
        for unit in [100, 10, 1] {
            out.push(char::from(b'0' + (milliseconds / unit % 10) as u8));
        }
        out.push('Z');
    }
}

/// The text of a time, which is the same for a second and made once.
#[derive(Debug)]
pub(crate) struct SecondText {
    make: fn(SystemTime) -> String,
    /// Since 1970; none yet, if there is no text.
    second: u64,
    text: String,
}

impl SecondText {
    /// `make` gets times that are [`writable`].
    pub(crate) fn new(make: fn(SystemTime) -> String) -> Self {
        Self { make, second: 0, text: String::new() }
    }

    pub(crate) fn at(&mut self, time: SystemTime) -> &str {
        let since_1970 = writable(time);
        if since_1970.as_secs() != self.second || self.text.is_empty() {
            self.second = since_1970.as_secs();
            self.text = (self.make)(SystemTime::UNIX_EPOCH + since_1970);
        }
        &self.text
    }
}

/// The nearest time that has a year of four digits, and is not before 1970; since then.
fn writable(time: SystemTime) -> Duration {
    // 9999-12-31T23:59:59Z
    since_1970(time).min(Duration::from_secs(253_402_300_799))
}

/// Reads what [`timestamp`] writes, or a date alone.
#[cfg(any(feature = "cli", feature = "pki"))]
pub(crate) fn parse_timestamp(text: &str) -> Option<SystemTime> {
    let text = if text.len() == "2026-12-24".len() { format!("{text}T00:00:00Z") } else { text.to_owned() };
    humantime::parse_rfc3339_weak(&text).ok()
}

/// Lets each thing be reported once a day.
#[derive(Debug, Default)]
pub(crate) struct Daily {
    today: u64,
    reported: HashSet<String>,
}

impl Daily {
    /// At most this many things are reported in a day.
    const MOST: usize = 10_000;

    /// Whether to report this now, because it was not reported today.
    pub(crate) fn is_due(&mut self, what: &str, now: SystemTime) -> bool {
        if self.today != day(now) {
            *self = Self { today: day(now), reported: HashSet::new() };
        }
        self.reported.len() < Self::MOST && self.reported.insert(what.to_owned())
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_times_of_the_log_are_like_timestamps_with_milliseconds(
            times in prop::collection::vec(prop_oneof![any::<u64>(), 0..254_000_000_000_000_u64, 0..3000_u64], 1..8),
        ) {
            let mut log_times = LogTimes::default();
            for time in times {
                let time = SystemTime::UNIX_EPOCH + Duration::from_millis(time) + Duration::from_nanos(time % 1_000_000);
                let mut text = String::new();
                log_times.push(time, &mut text);
                prop_assert_eq!(text, humantime::format_rfc3339_millis(SystemTime::UNIX_EPOCH + writable(time)).to_string());
            }
        }
    }

    #[test]
    fn every_time_can_be_written() {
        let at = |seconds| timestamp(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(1_700_000_000), "2023-11-14T22:13:20Z");
        assert_eq!(at(999_999_999_999), "9999-12-31T23:59:59Z");
        assert_eq!(timestamp(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), "1970-01-01T00:00:00Z");
        let mut log_time = String::new();
        LogTimes::default().push(SystemTime::UNIX_EPOCH - Duration::from_secs(1), &mut log_time);
        assert_eq!(log_time, "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn the_time_of_day_moves_with_the_monotonic_clock_until_it_is_asked_for_again() {
        let clock = Clock::new(|| SystemTime::UNIX_EPOCH);
        let begun = clock.moment();
        std::thread::sleep(Duration::from_millis(1));
        let later = begun.later();
        let passed = later.instant - begun.instant;
        assert!(passed >= Duration::from_millis(1));
        assert_eq!(later.time, SystemTime::UNIX_EPOCH + passed);
        assert_eq!(clock.moment().time, SystemTime::UNIX_EPOCH);
    }

    #[test]
    fn each_thing_is_reported_once_a_day_and_again_on_the_next() {
        let mut daily = Daily::default();
        let mut due = |things: &[&'static str], hours: u64| {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(hours * 3600);
            things.iter().copied().filter(|thing| daily.is_due(thing, now)).collect::<Vec<_>>()
        };
        assert_eq!(due(&["a"], 1), ["a"]);
        assert_eq!(due(&["a", "b"], 2), ["b"]);
        assert_eq!(due(&["a", "b"], 23), [""; 0]);
        assert_eq!(due(&["a", "b"], 24), ["a", "b"]);
        assert_eq!(due(&["a", "b"], 47), [""; 0]);
    }

    #[test]
    fn no_more_than_so_many_things_are_remembered_in_a_day() {
        let mut daily = Daily::default();
        let due = (0..=Daily::MOST).filter(|number| daily.is_due(&number.to_string(), SystemTime::UNIX_EPOCH));
        assert_eq!(due.count(), Daily::MOST);
    }
}
