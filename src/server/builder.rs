//! The settings of a server.

use std::fmt;
use std::net::TcpListener;
use std::time::{Duration, SystemTime};

use super::Server;
use super::watch::Watch;
use crate::clock::Clock;
use crate::config::{Gate, Settings};
use crate::error::Error;
use crate::handler::Response;
use crate::handler::refusal::{RefusalPage, RefusedRequest};
use crate::observer::{Observer, Silent};
use crate::proxy_protocol::{Network, TrustedProxies};
use crate::tls::server_certificate::ServerCertificate;
use crate::trust::Trust;

/// The settings of a [`Server`] to be built. Made by [`Server::builder`]; every setting is optional.
pub struct Builder {
    pub(crate) listeners: Vec<TcpListener>,
    pub(crate) certificate: ServerCertificate,
    pub(crate) trust: Trust,
    pub(crate) settings: Settings,
    pub(crate) observer: Box<dyn Observer>,
    pub(crate) refusal_page: Option<RefusalPage>,
    pub(crate) clock: Clock,
    pub(crate) watch: Option<Watch>,
}

impl Builder {
    pub(crate) fn new(listener: TcpListener, certificate: ServerCertificate, trust: Trust) -> Self {
        Self {
            listeners: vec![listener],
            certificate,
            trust,
            settings: Settings::default(),
            observer: Box::new(Silent),
            refusal_page: None,
            clock: Clock::default(),
            watch: None,
        }
    }

    /// Listens on a further address.
    pub fn also_listen(mut self, listener: TcpListener) -> Self {
        self.listeners.push(listener);
        self
    }

    /// How many handlers may run at once, each on a thread. Further requests wait for their turn, without a thread. A few threads are
    /// there from the start (one more than processors, but three if there is one processor). Further ones are started when
    /// handlers block, and end when they have not been needed for ten seconds; as many as there are processors, and at least two, are
    /// never in a handler. If there is no room for so many in the address space (`ulimit -v`), there are fewer. At least 1. Defaults
    /// to 256.
    pub fn workers(mut self, workers: usize) -> Self {
        self.settings.workers = Some(workers);
        self
    }

    /// How many of the workers may call handlers for one client at a time. So one client cannot take all of them, even if its
    /// requests are slow. Who is one client is told by the certificate; all clients that are not authorised count as one. A request
    /// beyond that waits for its turn, without a thread, and in the order of arrival. What counts is the time in the handler,
    /// not that in which a body is read from a reader afterwards. At least 1. Defaults to half of the workers.
    pub fn workers_per_client(mut self, workers: usize) -> Self {
        self.settings.workers_per_client = Some(workers);
        self
    }

    /// The stack of each thread, in bytes. The handler runs on it; the server itself needs less than half of the default. A stack
    /// that overflows ends the process. Only the part that is used takes memory. At least 128 KiB. Defaults to 256 KiB.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.settings.stack_size = bytes;
        self
    }

    /// How many connections there may be. Each takes a file descriptor, and 9 KiB of memory while it is idle; a client that is not
    /// authorised can make one take 80 KiB in its handshake. A quarter of them is reserved for authorised clients.
    ///
    /// When there is no room, the connection of a client that is not authorised is closed in favour of a new one: first of one
    /// that has sent nothing, then of one that has made no progress for a second, then of one that was refused, last of one that
    /// has been in its handshake for over a second. A younger handshake is not cut; new connections wait in the listener's backlog
    /// (4,096, if the system allows as many) until there is room, which takes a second at most. If authorised clients have all the
    /// connections, the one that has been idle longest, and for at least a second, is closed with close_notify (RFC 9112, section
    /// 9.6). At least 4. Defaults to 1,024.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.settings.max_connections = connections;
        self
    }

    /// How long a TLS handshake may take in all. Defaults to 10 s.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeouts.handshake = timeout;
        self
    }

    /// How long a request head may take in all, from its first byte, or for the first request from the end of the handshake.
    /// Defaults to 10 s.
    pub fn head_timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeouts.head = timeout;
        self
    }

    /// How long a connection may idle between two requests. Defaults to 60 s.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeouts.idle = timeout;
        self
    }

    /// The period in which enough of a body has to move, up or down: 4 KiB for each of its seconds. So a body may be large and
    /// take long, but not be slow. Behind an open gate, the body of a client that is not authorised has to arrive within one
    /// period. Defaults to 30 s.
    pub fn transfer_timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeouts.transfer = timeout;
        self
    }

    /// How long the client may take to close its side after the last response. Defaults to 5 s.
    pub fn linger_timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeouts.linger = timeout;
        self
    }

    /// How long the server goes on accepting and serving after a shutdown was asked for, so that a balancer, which is told by
    /// [`StatusHandle::is_stopping`](crate::StatusHandle::is_stopping), sends its clients elsewhere. Only then does it drain. In the
    /// second half of this time each response says that it is the last on its connection, so that clients of kept connections leave
    /// too, between two requests; by then whoever connects anew should reach another server. So it should be twice as long as the
    /// balancer needs to notice. Defaults to 0 s.
    pub fn drain_delay(mut self, delay: Duration) -> Self {
        self.settings.timeouts.drain_delay = delay;
        self
    }

    /// How long running answers may take after a shutdown was asked for. Defaults to 10 s.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeouts.drain = timeout;
        self
    }

    /// How long a tunnel ([`response::tunnel`](crate::response::tunnel)) may be without a byte in either direction, and a body that
    /// arrives on a socket ([`Body::from_socket`](crate::Body::from_socket)) without a byte of it. Defaults to 600 s.
    pub fn tunnel_timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeouts.tunnel = timeout;
        self
    }

    /// How long a request may wait for its turn, if its client has as many in handlers as one client may
    /// ([`workers_per_client`](Self::workers_per_client)). Then it gets a 503. If the client hangs up meanwhile, its place is free.
    /// Defaults to 60 s.
    pub fn turn_timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeouts.turn = timeout;
        self
    }

    /// The largest request head, in bytes; longer ones get 431. Defaults to 16 KiB.
    pub fn max_head(mut self, bytes: usize) -> Self {
        self.settings.limits.head.max_head = bytes;
        self
    }

    /// The largest request body, in bytes; larger ones get 413 from the server itself. Defaults to 64 MiB.
    pub fn max_body(mut self, bytes: u64) -> Self {
        self.settings.limits.body = bytes;
        self
    }

    /// Behind an open gate: the largest request body of a client that is not authorised, in bytes. It is read before the handler
    /// is called, so that such a client cannot hold a thread. Defaults to 64 KiB.
    pub fn max_unauthenticated_body(mut self, bytes: u64) -> Self {
        self.settings.limits.unauthenticated_body = bytes;
        self
    }

    /// Lets everyone reach the handler, which then has to decide by
    /// [`Request::peer_verdict`](crate::Request::peer_verdict). By default the gate is closed: a client that is not authorised gets
    /// a 401 and never reaches the handler.
    pub fn open_gate(mut self) -> Self {
        self.settings.gate = Gate::Open;
        self
    }

    /// Refuses clients in the TLS handshake, with an alert, instead of answering 401. Such a client sees an error without a
    /// reason. By default the handshake is completed.
    pub fn refuse_in_handshake(mut self) -> Self {
        self.settings.handshakes.strict = true;
        self
    }

    /// Lets authorised clients resume their TLS sessions, which saves both sides most of a handshake. The client is judged again
    /// by the chain that the session carries. Sessions from before a change of trust are not resumed, and a refused client gets no
    /// ticket. By default every connection begins with a full handshake.
    pub fn resumption(mut self) -> Self {
        self.settings.handshakes.resumption = true;
        self
    }

    /// Every connection has to come from a balancer in one of these networks and to begin with the header of the PROXY protocol,
    /// version 1 or 2, of HAProxy's `proxy-protocol.txt`. From then on the client's address is the one that the header names: in the
    /// log, for the [`Observer`], in [`Request::remote_addr`](crate::Request::remote_addr), and in what is forwarded. If the header
    /// says that the connection is the balancer's own (`LOCAL`, a health check) or that the client is unknown (`UNKNOWN`), the
    /// address is the balancer's.
    ///
    /// A connection from any other address, or without a valid header, is closed before TLS, and the observer is told why
    /// ([`Event::ProxyRefused`](crate::Event::ProxyRefused)). So nobody but a balancer can choose an address. The header has to be
    /// there within the time of the [handshake](Self::handshake_timeout), of which it takes a part. A line of version 1 may have
    /// 107 bytes, a header of version 2 with all fields of the balancer's own 4 KiB. At least one network. By default no header is
    /// expected, and a connection that begins with one fails.
    pub fn proxy_protocol(mut self, balancers: impl IntoIterator<Item = Network>) -> Self {
        self.settings.proxies = Some(TrustedProxies(balancers.into_iter().collect()));
        self
    }

    /// The observer, which is told of requests and events. Defaults to [`Silent`].
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.observer = Box::new(observer);
        self
    }

    /// Makes the bodies of the 401 and the 403, as JSON for example. Defaults to plain text, and to a page for browsers.
    ///
    /// ```
    /// # use mtls_min::{Builder, response};
    /// # fn with_json(builder: Builder) -> Builder {
    /// builder.refusal_page(|refused| {
    ///     let body = format!(r#"{{"error":{},"request_id":"{}"}}"#, refused.status().as_u16(), refused.request_id());
    ///     response::json_bytes(refused.status(), body)
    /// })
    /// # }
    /// ```
    /// Header fields of the response are sent too, but the server sets the status, `WWW-Authenticate`, `X-Request-Id`,
    /// `Cache-Control` and the framing. The function is not told why the client is refused. It is called on a
    /// worker, as a [`Handler`](crate::Handler) is, but for strangers: while it waits, it takes a worker from authorised clients.
    /// So it may compute, and should not read files, send requests, or wait for a lock that is held for long. The body must be in
    /// memory. If it panics, or its body has a reader, the client gets the default page, and the [`Observer`] is told
    /// ([`Event::RefusalPageFailed`](crate::Event::RefusalPageFailed)).
    ///
    /// Behind an [open gate](Self::open_gate) nobody is refused by the server, so it is not called.
    pub fn refusal_page(mut self, page: impl Fn(&RefusedRequest<'_>) -> Response + Send + Sync + 'static) -> Self {
        self.refusal_page = Some(Box::new(page));
        self
    }

    /// The clock by which certificates are judged. Defaults to the system's clock.
    pub fn clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Clock::new(now);
        self
    }

    /// The server, ready to serve: connections that come now wait for [`Server::serve`].
    ///
    /// # Errors
    /// A setting is out of its range; a listener has no address; or the policy has lines for anyone, but clients are refused in the
    /// handshake.
    pub fn build(self) -> Result<Server, Error> {
        self.settings.check()?;
        Server::new(self)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("settings", &self.settings).finish_non_exhaustive()
    }
}
