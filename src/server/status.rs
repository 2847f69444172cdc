//! A look at a running server from outside of its connections.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::handle::Control;

/// Looks at a running server, for an operator's health checks and figures. Clones look at the same server.
#[derive(Clone)]
pub struct StatusHandle(pub(crate) Arc<Control>);

impl StatusHandle {
    /// Whether the server works: a question goes through its poller to one of its workers, and is answered within this time. The
    /// caller waits, so it should not be one of the server's handlers.
    ///
    /// `false` if it is stuck, or overloaded beyond that time, and before and after [`Server::serve`](crate::Server::serve). While it
    /// drains, it works.
    pub fn responds_within(&self, time: Duration) -> bool {
        self.0.round_trip.is_answered_within(time)
    }

    /// Whether the server was asked to stop ([`ShutdownHandle::shutdown`](crate::ShutdownHandle::shutdown)): a balancer should send its
    /// clients elsewhere from now on.
    pub fn is_stopping(&self) -> bool {
        self.0.shutdown_asked()
    }
}

impl fmt::Debug for StatusHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StatusHandle")
    }
}
