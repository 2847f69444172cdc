//! The pace at which an application takes a request.

use std::time::Duration;

use crate::config::LEAST_PACE;

/// How fast the application takes a request. Only the time counts for which it is waited for, not that of the client.
#[derive(Debug, Default)]
pub(super) struct Taking {
    waited: Duration,
    pub(super) bytes: u64,
}

impl Taking {
    /// It was waited for. `false`: in as long as `period` in all it has taken too little. Else it has a new period.
    pub(super) fn goes_on(&mut self, waited: Duration, period: Duration) -> bool {
        self.waited += waited;
        if self.waited < period {
            return true;
        }
        let is_enough = u128::from(self.bytes) * 1000 >= period.as_millis() * LEAST_PACE;
        *self = Self::default();
        is_enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A byte now and then would else hold a thread for days.
    #[test]
    fn an_application_may_take_long_and_pause_but_not_be_slow() {
        const SECOND: Duration = Duration::from_secs(1);
        let enough = 60 * 4096;
        let mut taking = Taking::default();
        for _ in 0..100 {
            taking.bytes += enough;
            assert!((0..60).all(|_| taking.goes_on(SECOND, 60 * SECOND)));
        }
        taking.bytes += enough - 1;
        assert!((0..59).all(|_| taking.goes_on(SECOND, 60 * SECOND)));
        assert!(!taking.goes_on(SECOND, 60 * SECOND), "a byte short");
        // What it takes without being waited for costs it nothing.
        taking.bytes += 1;
        assert!((0..1000).all(|_| taking.goes_on(Duration::ZERO, 60 * SECOND)));
    }
}
