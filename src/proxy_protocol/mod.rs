//! The PROXY protocol, versions 1 and 2: a header by which a balancer says who its client is, before the first byte of that client.
//! The specification is HAProxy's `proxy-protocol.txt`; its sections are named below.
//!
//! The fields are read by the crate `ppp`. Where the header ends, and what else makes it invalid, is said here: nothing is read
//! that belongs to the client, and whatever is not exactly a header is refused.

mod failure;
mod network;

pub use failure::ProxyFailure;
pub use network::Network;

use std::net::SocketAddr;

use ppp::{PartialResult, v1, v2};

/// The longest line of version 1, with its CRLF (section 2.1).
const LONGEST_LINE: usize = 107;

/// The longest header of version 2. The addresses take at most 232 bytes; balancers add more of their own: a name, an id, or the
/// certificate of a client. The protocol itself allows 64 KiB, which is too much for who has proven nothing.
const LONGEST_BINARY: usize = 4096;

/// The networks from which a header is taken. From anywhere else nothing is taken at all.
#[derive(Debug, Clone)]
pub(crate) struct TrustedProxies(pub(crate) Vec<Network>);

impl TrustedProxies {
    pub(crate) fn contain(&self, address: SocketAddr) -> bool {
        self.0.iter().any(|network| network.contains(address.ip()))
    }
}

/// A header that is arriving.
#[derive(Debug, Default)]
pub(crate) struct ProxyHeader(Vec<u8>);

/// What became of bytes that came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// How many of them belong to the header. All that came before are taken already.
    pub(crate) bytes: usize,
    /// Whose connection it is, if that is the end of the header.
    pub(crate) origin: Option<Origin>,
}

/// Whose connection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// That of a client of the balancer.
    Client(SocketAddr),
    /// The balancer's own, as for a health check; or it does not know.
    Balancer,
}

impl ProxyHeader {
    /// Takes what belongs to the header of the bytes that came.
    ///
    /// # Errors
    /// They are not, and cannot become, a header that is valid.
    pub(crate) fn take(&mut self, came: &[u8]) -> Result<Taken, ProxyFailure> {
        let before = self.0.len();
        self.0.extend_from_slice(came);
        let whole = if is_prefix(&self.0, v2::PROTOCOL_PREFIX) {
            binary(&self.0)?
        } else if is_prefix(&self.0, v1::PROTOCOL_PREFIX.as_bytes()) {
            line(&self.0)?
        } else {
            return Err(ProxyFailure::missing());
        };
        Ok(match whole {
            Some((length, origin)) => Taken { bytes: length - before, origin: Some(origin) },
            None => Taken { bytes: came.len(), origin: None },
        })
    }

    /// The connection has ended, and the header is not complete.
    pub(crate) fn end(&self) -> Option<ProxyFailure> {
        (!self.0.is_empty()).then(|| ProxyFailure::malformed("the connection ends in the middle of it"))
    }
}

/// Whether one begins with the other.
fn is_prefix(bytes: &[u8], signature: &[u8]) -> bool {
    bytes.starts_with(signature) || signature.starts_with(bytes)
}

/// Version 2 (section 2.2): the length of the header and whose connection it is. `None`: more has to come.
fn binary(bytes: &[u8]) -> Result<Option<(usize, Origin)>, ProxyFailure> {
    let header = match v2::Header::try_from(bytes) {
        Err(v2::ParseError::Partial(_, length)) if v2::PROTOCOL_PREFIX.len() + 4 + length > LONGEST_BINARY => {
            return Err(ProxyFailure::too_long());
        }
        Err(error) if error.is_incomplete() => return Ok(None),
        header => header.map_err(ProxyFailure::binary)?,
    };
    if header.len() > LONGEST_BINARY {
        return Err(ProxyFailure::too_long());
    }
    if header.command == v2::Command::Proxy {
        check_fields(&header)?;
    }
    let stream = header.protocol == v2::Protocol::Stream;
    let origin = match (header.command, header.addresses) {
        // "The receiver must accept this connection as valid", whatever the addresses.
        (v2::Command::Local, _) => Origin::Balancer,
        (v2::Command::Proxy, v2::Addresses::IPv4(of)) if stream => client((of.source_address, of.source_port)),
        (v2::Command::Proxy, v2::Addresses::IPv6(of)) if stream => client((of.source_address, of.source_port)),
        (v2::Command::Proxy, v2::Addresses::Unspecified) if header.protocol == v2::Protocol::Unspecified => {
            Origin::Balancer
        }
        (v2::Command::Proxy, _) => return Err(ProxyFailure::malformed("the client's connection is not TCP over IP")),
    };
    Ok(Some((header.len(), origin)))
}

/// The fields behind the addresses (section 2.2, TLV) are skipped, but they have to be whole, and a checksum has to be right.
fn check_fields(header: &v2::Header<'_>) -> Result<(), ProxyFailure> {
    let mut at = header.len() - header.tlv_bytes().len();
    let mut checksum = None;
    for field in header.tlvs() {
        let field = field.map_err(ProxyFailure::binary)?;
        let value = at + FIELD_HEAD..at + FIELD_HEAD + field.value.len();
        at = value.end;
        // Section 2.2.3.
        if field.kind == v2::Type::CRC32C as u8 {
            let told = <[u8; 4]>::try_from(&*field.value).ok().filter(|_| checksum.is_none());
            let told = told.ok_or_else(|| ProxyFailure::malformed("its checksum is not one number of 4 bytes"))?;
            checksum = Some((u32::from_be_bytes(told), value));
        }
    }
    match checksum {
        Some((told, place)) if told != crc32c(header.as_bytes(), place.start..place.end) => {
            Err(ProxyFailure::malformed("its checksum is wrong"))
        }
        _ => Ok(()),
    }
}

/// The type of a field, and its length.
const FIELD_HEAD: usize = 3;

/// RFC 4960, appendix B; the bytes in `zeroed` count as zero.
fn crc32c(bytes: &[u8], zeroed: std::ops::Range<usize>) -> u32 {
    /// The polynomial, its bits reversed.
    const CASTAGNOLI: u32 = 0x82F6_3B78;
    let step = |crc: u32, (at, byte): (usize, &u8)| {
        let byte = if zeroed.contains(&at) { 0 } else { *byte };
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (CASTAGNOLI & (crc & 1).wrapping_neg()))
    };
    !bytes.iter().enumerate().fold(u32::MAX, step)
}

/// Version 1 (section 2.1): the same.
fn line(bytes: &[u8]) -> Result<Option<(usize, Origin)>, ProxyFailure> {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let line = &bytes[..end.unwrap_or(bytes.len())];
    let looked_at = &line[..line.len().min(LONGEST_LINE)];
    let text = looked_at.strip_suffix(b"\r").unwrap_or(looked_at);
    if !text.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(ProxyFailure::malformed("it is not one line of printable ASCII that CR and LF end"));
    }
    if line.len() >= LONGEST_LINE {
        return Err(ProxyFailure::too_long());
    }
    let Some(end) = end else { return Ok(None) };
    if text.len() == line.len() {
        return Err(ProxyFailure::malformed("its line ends without CR"));
    }
    let length = end + 1;
    let header = v1::Header::try_from(&bytes[..length]).map_err(ProxyFailure::text)?;
    // The standard library takes +80 for a number.
    if !matches!(header.addresses, v1::Addresses::Unknown) && text.contains(&b'+') {
        return Err(ProxyFailure::malformed(failure::PORTS));
    }
    let origin = match header.addresses {
        v1::Addresses::Tcp4(of) => client((of.source_address, of.source_port)),
        v1::Addresses::Tcp6(of) => client((of.source_address, of.source_port)),
        v1::Addresses::Unknown => Origin::Balancer,
    };
    Ok(Some((length, origin)))
}

/// One client has one address, however the balancer writes it (RFC 4291, section 2.5.5.2).
fn client(source: impl Into<SocketAddr>) -> Origin {
    let source = source.into();
    Origin::Client(SocketAddr::new(source.ip().to_canonical(), source.port()))
}

#[cfg(test)]
mod tests;
