//! Drives rustls over a non-blocking socket: our own loop of reading, processing and writing, so that errors stay
//! typed, alerts are flushed, and no call ever blocks.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use rustls::pki_types::CertificateDer;
use rustls::{HandshakeKind, PeerIncompatible, ProtocolVersion, ServerConnection};

use super::acceptor::Tls;
use super::failure::TlsFailure;
use super::first_bytes::FirstBytes;
use crate::proxy_protocol::{Origin, ProxyFailure, ProxyHeader};
use crate::reactor::{self, Signal};

/// One TLS connection on one socket.
pub(crate) struct Session {
    tls: ServerConnection,
    socket: TcpStream,
    /// The first bytes that arrived, to recognise a client that speaks plain HTTP.
    first: FirstBytes,
    /// There may be something to read, or the end: the poller said so, and no read since has got less than it asked for.
    readable: bool,
    /// The client has closed its side, so there is an end to be read too.
    hung_up: bool,
    /// Bytes were read since something was last written, which would have acknowledged them.
    unacknowledged: bool,
}

/// What one read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    /// Bytes came in and were processed.
    Bytes,
    /// Nothing is there now.
    Nothing,
    /// The client has closed its side.
    End,
}

/// What one read brought of a balancer's header.
#[derive(Debug)]
pub(crate) enum HeaderReceived {
    /// It is not complete.
    Part,
    Whole(Origin),
    /// The connection has ended before it.
    End,
}

/// Why a session cannot go on.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The client broke the TLS protocol, or its certificate or signature was refused; an alert was sent.
    Tls(TlsFailure),
    /// The client speaks HTTP without TLS. `wants_content`: its answer is to have a body.
    PlainHttp { wants_content: bool },
    /// The network failed, or the client vanished.
    Network,
}

impl Session {
    /// Takes over an accepted socket, which is non-blocking and has TCP_NODELAY set.
    pub(crate) fn new(tls: &Tls, socket: TcpStream) -> Result<Self, rustls::Error> {
        let tls = tls.config().and_then(ServerConnection::new)?;
        // The first bytes may have come already.
        let first = FirstBytes::default();
        Ok(Self { tls, socket, first, readable: true, hung_up: false, unacknowledged: false })
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    /// Whether the client has not sent a byte yet.
    pub(crate) fn is_silent(&self) -> bool {
        self.first.is_empty()
    }

    /// Whether the handshake, which is over, resumed an earlier session.
    pub(crate) fn is_resumed(&self) -> bool {
        self.tls.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// The chain that the client showed, its own certificate first; empty if it showed none.
    pub(crate) fn peer_chain(&self) -> &[CertificateDer<'static>] {
        self.tls.peer_certificates().unwrap_or_default()
    }

    pub(crate) fn version(&self) -> TlsVersion {
        match self.tls.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => TlsVersion::Tls13,
            Some(ProtocolVersion::TLSv1_2) => TlsVersion::Tls12,
            _ => TlsVersion::Unknown,
        }
    }

    /// Whether the client's hello was understood, and answered.
    pub(crate) fn has_negotiated(&self) -> bool {
        self.tls.protocol_version().is_some()
    }

    fn failure(&self, error: rustls::Error) -> TlsFailure {
        match error {
            // The hello of an old client lacks an extension that rustls misses before it looks at the version.
            rustls::Error::PeerIncompatible(_) if self.first.is_hello_of_old_tls() => {
                TlsFailure::of(&PeerIncompatible::Tls12NotOffered.into(), false)
            }
            error => TlsFailure::of(&error, self.has_negotiated()),
        }
    }

    /// Whether the client has ended its side of the TCP connection, or vanished, as far as can be told without reading what it
    /// has sent.
    pub(crate) fn has_left(&self) -> bool {
        let end = || match self.socket.peek(&mut [0]) {
            Ok(n) => n == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        };
        self.hung_up || (self.readable && end())
    }

    /// Notes what the poller reports of the socket.
    pub(crate) fn notice(&mut self, signal: Signal) {
        self.readable = true;
        self.hung_up |= signal.hung_up;
    }

    /// Whether the socket may hold bytes that have not been read. If not, the poller reports when more come.
    pub(crate) fn may_be_readable(&self) -> bool {
        self.readable
    }

    /// Whether the socket holds no unread bytes. Some may be arriving at this moment.
    pub(crate) fn has_nothing_unread(&self) -> bool {
        matches!(self.socket.peek(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Whether there is something to read. If not, `receive` reads nothing before the poller has reported more.
    pub(crate) fn has_something_unread(&mut self) -> bool {
        self.readable = self.readable && !self.has_nothing_unread();
        self.readable
    }

    /// Reads what has come of the header that a balancer sends before TLS, and not a byte behind it. `None`: nothing is there now.
    pub(crate) fn receive_header(&mut self, header: &mut ProxyHeader) -> Result<Option<HeaderReceived>, ProxyFailure> {
        // Most headers have 28 bytes.
        let mut came = [0; 256];
        if !self.readable {
            return Ok(None);
        }
        let n = match self.socket.peek(&mut came) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                return Ok(None);
            }
            Ok(0) | Err(_) => return header.end().map_or(Ok(Some(HeaderReceived::End)), Err),
            Ok(n) => n,
        };
        let taken = header.take(&came[..n])?;
        // They are there, so they are read at once.
        if (&self.socket).read_exact(&mut came[..taken.bytes]).is_err() {
            return Ok(Some(HeaderReceived::End));
        }
        self.unacknowledged = true;
        Ok(Some(taken.origin.map_or(HeaderReceived::Part, HeaderReceived::Whole)))
    }

    /// Reads once from the socket, if it may hold something, and processes it. Plaintext that results waits for
    /// `take_plaintext`.
    pub(crate) fn receive(&mut self) -> Result<Received, Broken> {
        if !self.readable {
            return Ok(Received::Nothing);
        }
        let mut tap = Tap { socket: &self.socket, first: &mut self.first, filled: false };
        match self.tls.read_tls(&mut tap) {
            Ok(0) => return Ok(Received::End),
            Ok(_) => self.unacknowledged = true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                return Ok(Received::Nothing);
            }
            // rustls buffers at most 64 KiB of one message.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(Broken::Tls(TlsFailure::too_long(self.has_negotiated())));
            }
            Err(_) => return Err(Broken::Network),
        }
        self.readable = tap.filled || self.hung_up;
        let was_handshaking = self.tls.is_handshaking();
        match self.tls.process_new_packets() {
            Ok(state) => {
                // To check the client's signature takes so long that its first request may have come meanwhile.
                self.readable |= was_handshaking && !self.tls.is_handshaking();
                // After its close_notify the client may do nothing more that the poller would report: the next read says `End`.
                self.readable |= state.peer_has_closed();
                match state.peer_has_closed() && state.plaintext_bytes_to_read() == 0 {
                    true => Ok(Received::End),
                    false => Ok(Received::Bytes),
                }
            }
            Err(_) if self.tls.is_handshaking() && self.first.is_proxy_header() => {
                let _ = self.flush();
                Err(Broken::Tls(TlsFailure::proxy_header()))
            }
            Err(_) if self.tls.is_handshaking() && self.first.is_plain_http() => {
                Err(Broken::PlainHttp { wants_content: self.first.wants_content() })
            }
            Err(error) => {
                // Sends the alert. If it cannot be sent now, the client does not learn why.
                let _ = self.flush();
                Err(Broken::Tls(self.failure(error)))
            }
        }
    }

    /// Moves plaintext that has arrived to the end of `input`.
    pub(crate) fn take_plaintext(&mut self, input: &mut Vec<u8>) {
        let mut reader = self.tls.reader();
        // Chunk by chunk. An error says that nothing is there, or the end of the stream: `receive` reports that.
        while let Ok(chunk) = io::BufRead::fill_buf(&mut reader) {
            if chunk.is_empty() {
                break;
            }
            let taken = chunk.len();
            input.extend_from_slice(chunk);
            io::BufRead::consume(&mut reader, taken);
        }
    }

    /// Moves plaintext that has arrived into `buffer`; returns how many bytes, 0 if there are none now.
    pub(crate) fn read_plaintext(&mut self, buffer: &mut [u8]) -> usize {
        self.tls.reader().read(buffer).unwrap_or(0)
    }

    /// Takes plaintext to be encrypted; returns how many bytes were taken. The rest fits after a `flush`.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> usize {
        self.tls.writer().write(bytes).unwrap_or(0)
    }

    /// Queues the alert that nothing more will come (RFC 8446, section 6.1).
    pub(crate) fn send_close_notify(&mut self) {
        self.tls.send_close_notify();
    }

    /// Whether something is queued that `flush` would write.
    pub(crate) fn wants_write(&self) -> bool {
        self.tls.wants_write()
    }

    /// Writes what is queued. `false`: the socket takes no more now.
    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut Records(&self.socket)) {
                Ok(_) => self.unacknowledged = false,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Writes to a client that does not speak TLS.
    pub(crate) fn send_unencrypted(&mut self, bytes: &[u8]) {
        // A few bytes on a new socket fit into its buffer.
        let _ = (&self.socket).write(bytes);
    }

    /// Ends our side of the TCP connection; the client can still send.
    pub(crate) fn half_close(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Throws away what the client still sends. `Nothing`: it may send more later. `Bytes`: there may be more, but it is the turn
    /// of other connections.
    pub(crate) fn discard(&mut self, budget: &mut u64) -> Received {
        let mut scratch = [0; 16 * 1024];
        for _ in 0..64 {
            if !self.readable {
                return Received::Nothing;
            }
            match (&self.socket).read(&mut scratch) {
                Ok(0) => return Received::End,
                Ok(n) => *budget = budget.saturating_sub(n as u64),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
                Err(_) => return Received::End,
            }
            if *budget == 0 {
                return Received::End;
            }
        }
        Received::Bytes
    }

    /// Throws away a last word of the client, such as its close_notify. `true`: the socket holds no unread bytes now, though some
    /// may be arriving at this moment.
    pub(crate) fn discard_farewell(&mut self) -> bool {
        let mut scratch = [0; 256];
        for _ in 0..2 {
            match (&self.socket).read(&mut scratch) {
                Ok(0) => return true,
                Ok(n) if n < scratch.len() => {}
                Ok(_) => return false,
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
        false
    }

    /// Unless something was written since, which acknowledged it: see [`reactor::acknowledge_at_once`].
    pub(crate) fn acknowledge_at_once(&self) {
        if self.unacknowledged {
            reactor::acknowledge_at_once(&self.socket);
        }
    }
}

impl AsFd for Session {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        reactor::before_close(&self.socket);
    }
}

/// The version of TLS that a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsVersion {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
    /// It is not negotiated yet.
    Unknown,
}

impl TlsVersion {
    /// The version's name in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            TlsVersion::Tls12 => "TLSv1.2",
            TlsVersion::Tls13 => "TLSv1.3",
            TlsVersion::Unknown => "-",
        }
    }
}

/// Writes records to the socket. Most answers are a single record, and `write` costs less than `writev` with one.
struct Records<'s>(&'s TcpStream);

impl Write for Records<'_> {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        self.0.write(record)
    }

    fn write_vectored(&mut self, records: &[IoSlice<'_>]) -> io::Result<usize> {
        match records {
            [record] => self.0.write(record),
            _ => self.0.write_vectored(records),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Reads from the socket, notes the first bytes, and notes whether the read filled its buffer.
struct Tap<'s> {
    socket: &'s TcpStream,
    first: &'s mut FirstBytes,
    filled: bool,
}

impl Read for Tap<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = (&mut &*self.socket).read(buffer)?;
        self.filled = n == buffer.len();
        self.first.note(&buffer[..n]);
        Ok(n)
    }
}
