//! Whether so many wait for so long that it is a flood.

use std::mem;
use std::time::{Duration, Instant};

/// It is a flood if for this long somebody waited each time.
const PATIENCE: Duration = Duration::from_secs(2);

/// It is over when for this long nobody did.
const CALM: Duration = Duration::from_secs(10);

/// What is to be reported of a flood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Report {
    Began,
    Ended { duration: Duration, turned_away: usize },
}

/// Whether there is a flood: found out by looking again and again whether somebody waits.
#[derive(Default)]
pub(super) struct Flood {
    /// Since then somebody was found each time.
    waiting_since: Option<Instant>,
    /// When somebody was last found.
    last_wait: Option<Instant>,
    began: Option<Instant>,
    /// How many connections were closed at once.
    pub(super) turned_away: usize,
}

impl Flood {
    pub(super) fn is_on(&self) -> bool {
        self.began.is_some()
    }

    pub(super) fn look(&mut self, is_anybody_waiting: bool, now: Instant) -> Option<Report> {
        let has_passed = |time: Duration, since: &Instant| now.saturating_duration_since(*since) >= time;
        if is_anybody_waiting {
            self.waiting_since.get_or_insert(now);
            self.last_wait = Some(now);
        } else {
            self.waiting_since = None;
        }
        match self.began {
            None => {
                self.began = self.waiting_since.filter(|since| has_passed(PATIENCE, since));
                self.began.map(|_| Report::Began)
            }
            Some(began) => {
                let last = self.last_wait.filter(|last| has_passed(CALM, last))?;
                let turned_away = mem::take(self).turned_away;
                Some(Report::Ended { duration: last.saturating_duration_since(began), turned_away })
            }
        }
    }
}
