//! An application, and the connections to it that wait for the next request.

use std::mem;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use http::HeaderValue;

use super::address::Address;
use super::connecting::{Connecting, Unreachable};
use super::failure::Failure;
use super::socket::Socket;
use crate::reactor::{self, Interest};
use crate::sync::lock;

/// An application; shared by all requests to it.
#[derive(Debug)]
pub(super) struct Upstream {
    address: Address,
    /// As it was given; for the log.
    url: String,
    pub(super) authority: HeaderValue,
    /// The newest last.
    kept: Mutex<Vec<Kept>>,
}

/// A connection on which an answer has ended well.
#[derive(Debug)]
struct Kept {
    socket: Socket,
    since: Instant,
    until: Instant,
}

/// How many connections wait at most.
pub(crate) const MOST_KEPT: usize = 64;

/// How long one waits at most. Many servers close theirs after 5 s, and a request could meet the end half-way.
const LONGEST_KEPT: Duration = Duration::from_secs(4);

/// How long at most, if the request cannot be sent again should it meet the end.
const LONGEST_KEPT_FOR_ONCE: Duration = Duration::from_secs(1);

impl Upstream {
    pub(super) fn new(address: Address, url: String) -> Self {
        Self { authority: address.authority(), address, url, kept: Mutex::default() }
    }

    /// A connection that was kept and still stands. `again`: the request can be sent again if it does not.
    pub(super) fn take(&self, again: bool) -> Option<Socket> {
        let now = Instant::now();
        loop {
            let Kept { socket, since, until } = lock(&self.kept).pop()?;
            if now >= until {
                // The others are older. They are closed without the lock.
                drop(mem::take(&mut *lock(&self.kept)));
                return None;
            }
            // Readable means closed, or bytes that nobody asked for.
            let is_quiet = matches!(reactor::wait_for(&*socket, Interest::Readable, Duration::ZERO), Ok(false));
            if !again && now - since > LONGEST_KEPT_FOR_ONCE {
                // An older one is no better; this one is good for another request.
                if is_quiet {
                    self.put(Kept { socket, since, until });
                }
                return None;
            }
            if is_quiet {
                return Some(socket);
            }
        }
    }

    /// Keeps a connection on which an answer has ended. `hint`: for how long the application says that it keeps it.
    pub(super) fn keep(&self, socket: Socket, hint: Option<Duration>) {
        let since = Instant::now();
        // A second less: its clock began earlier.
        let time = hint.map_or(LONGEST_KEPT, |hint| hint.saturating_sub(Duration::from_secs(1)).min(LONGEST_KEPT));
        if !time.is_zero() {
            self.put(Kept { socket, since, until: since + time });
        }
    }

    fn put(&self, newest: Kept) {
        let mut kept = lock(&self.kept);
        let oldest = if kept.len() >= MOST_KEPT { Some(kept.remove(0)) } else { None };
        kept.push(newest);
        drop(kept);
        drop(oldest);
    }

    #[cfg(feature = "cli")]
    pub(super) fn reach(&self) -> super::Reach {
        self.address.reach()
    }

    /// Begins a new connection.
    pub(super) fn connect(&self, timeout: Duration) -> Result<(Socket, Connecting), Failure> {
        Connecting::begin(&self.address, timeout).map_err(|unreachable| self.failure(unreachable))
    }

    pub(super) fn failure(&self, unreachable: Unreachable) -> Failure {
        match unreachable {
            Unreachable::Refused(error) => Failure::unreachable(format!("cannot connect to {}: {error}", self.url)),
            Unreachable::TimedOut => Failure::timed_out(format!("{} took too long to accept a connection", self.url)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;

    fn upstream() -> Upstream {
        Upstream::new(Address::Unix("/nowhere".into()), "unix:/nowhere".to_owned())
    }

    fn pair() -> (UnixStream, Socket) {
        let (theirs, ours) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (theirs, Arc::new(ours))
    }

    #[test]
    fn no_more_than_so_many_connections_are_kept_and_the_newest_is_taken_first() {
        let upstream = upstream();
        let pairs: Vec<_> = (0..=MOST_KEPT).map(|_| pair()).collect();
        pairs.iter().for_each(|(_, ours)| upstream.keep(Arc::clone(ours), None));
        for (_, ours) in pairs[1..].iter().rev() {
            assert!(Arc::ptr_eq(&upstream.take(true).unwrap(), ours));
        }
        assert!(upstream.take(true).is_none(), "the oldest had to go");
    }

    #[test]
    fn a_connection_that_has_ended_or_said_something_is_not_taken() {
        let upstream = upstream();
        let (good, ended, talkative) = (pair(), pair(), pair());
        for (_, ours) in [&good, &ended, &talkative] {
            upstream.keep(Arc::clone(ours), None);
        }
        drop(ended.0);
        (&talkative.0).write_all(b"x").unwrap();
        assert!(Arc::ptr_eq(&upstream.take(true).unwrap(), &good.1));
    }

    #[test]
    fn a_connection_is_kept_for_a_while_and_a_second_less_than_the_application_says() {
        // Milliseconds since it was kept; what the application said, in seconds; whether it may be used for a request that can be
        // sent again, and for one that cannot.
        for (age, hint, again, once) in [
            (0, None, true, true),
            (900, None, true, true),
            (1100, None, true, false),
            (3900, None, true, false),
            (4000, None, false, false),
            (0, Some(0), false, false),
            (0, Some(1), false, false),
            (900, Some(2), true, true),
            (1000, Some(2), false, false),
            (3900, Some(60), true, false),
            (4000, Some(60), false, false),
        ] {
            for (can_be_sent_again, usable) in [(true, again), (false, once)] {
                let (upstream, (_theirs, ours)) = (upstream(), pair());
                upstream.keep(ours, hint.map(Duration::from_secs));
                for kept in lock(&upstream.kept).iter_mut() {
                    kept.since -= Duration::from_millis(age);
                    kept.until -= Duration::from_millis(age);
                }
                assert_eq!(upstream.take(can_be_sent_again).is_some(), usable, "{age} {hint:?} {can_be_sent_again}");
            }
        }
    }
}
