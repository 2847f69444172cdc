//! Session resumption, where it is asked for: who gets a ticket, and which sessions there are.
//!
//! A resumed session only proves who made the first handshake: the verdict is reached anew from the chain it carries, as
//! for every request. Still a refused client gets no ticket, because its browser would go on resuming "without
//! certificate" after its user has imported one. rustls hands out tickets by itself at the end of the handshake. So each
//! connection has a [`TicketGate`] of its own, which knows whether its client was authorised in this very handshake.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::server::{ServerSessionMemoryCache, StoresServerSessions};

/// At most this many sessions are remembered; the oldest goes first. Only authorised clients can add to them.
const MOST_SESSIONS: usize = 1024;

/// How many tickets a client gets in a full handshake (RFC 8446, section 4.6.1). Each serves once, and a resumed session
/// gets no further ones, so that the client has to prove its key again from time to time.
pub(super) const TICKETS: usize = 4;

/// The sessions of one generation of trust.
#[derive(Debug)]
pub(super) struct Sessions(Arc<ServerSessionMemoryCache>);

/// What one connection sees of them.
#[derive(Debug)]
pub(super) struct TicketGate {
    sessions: Arc<ServerSessionMemoryCache>,
    /// Whether the client showed a certificate in this handshake, and was authorised.
    open: AtomicBool,
}

impl Sessions {
    pub(super) fn new() -> Self {
        Self(ServerSessionMemoryCache::new(MOST_SESSIONS))
    }

    /// For a connection whose client has not shown a certificate yet.
    pub(super) fn gate(&self) -> Arc<TicketGate> {
        Arc::new(TicketGate { sessions: Arc::clone(&self.0), open: AtomicBool::new(false) })
    }
}

impl TicketGate {
    /// The client is authorised: from now on its sessions are remembered.
    pub(super) fn open(&self) {
        self.open.store(true, Ordering::Relaxed);
    }
}

impl StoresServerSessions for TicketGate {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.open.load(Ordering::Relaxed) && self.sessions.put(key, value)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.sessions.get(key)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.sessions.take(key)
    }

    fn can_cache(&self) -> bool {
        true
    }
}
