//! Why a connection is closed before TLS where balancers send the PROXY protocol: in words, and with the repair.

use std::borrow::Cow;
use std::fmt;

use ppp::{v1, v2};

/// Why a connection was closed where each has to begin with a PROXY header: a stable code, what happened, and the repair. For the
/// operator; whoever connects sees only that the connection is closed.
///
/// `Display` is what happened, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyFailure {
    code: &'static str,
    what: Cow<'static, str>,
    repair: &'static str,
}

impl ProxyFailure {
    /// The stable code: `untrusted_proxy` (the address is in none of the networks that are trusted), `no_proxy_header`,
    /// `bad_proxy_header` (it is malformed, or incomplete), or `long_proxy_header`.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// How to repair it.
    pub fn repair(&self) -> &'static str {
        self.repair
    }

    /// It comes from an address that nobody named.
    pub(crate) fn untrusted() -> Self {
        Self::new(
            "untrusted_proxy",
            "closed, it is not the address of a balancer that is trusted",
            "if it is a balancer, name its address or network (`Builder::proxy_protocol`); clients have to connect to the balancer",
        )
    }

    pub(super) fn missing() -> Self {
        Self::new(
            "no_proxy_header",
            "closed, the balancer did not begin with a PROXY header",
            "have the balancer send it (haproxy: send-proxy-v2; nginx: proxy_protocol on), also for health checks; or do not \
             expect it (`Builder::proxy_protocol`)",
        )
    }

    pub(super) fn too_long() -> Self {
        Self::new(
            "long_proxy_header",
            "closed, the PROXY header is too long: a line may have 107 bytes, a binary header 4096",
            "have the balancer send fewer fields of its own",
        )
    }

    pub(super) fn malformed(why: &str) -> Self {
        Self::new(
            "bad_proxy_header",
            format!("closed, the PROXY header is malformed: {why}"),
            "look at what the balancer sends; haproxy's proxy-protocol.txt says what it has to be",
        )
    }

    /// From what `ppp` says of version 1.
    pub(super) fn text(error: v1::BinaryParseError) -> Self {
        use v1::ParseError::*;
        let v1::BinaryParseError::Parse(error) = error else { return Self::malformed("it is not text") };
        Self::malformed(match error {
            InvalidProtocol | MissingProtocol | Partial => "its protocol is not TCP4, TCP6 or UNKNOWN",
            InvalidSourceAddress(_) | InvalidDestinationAddress(_) => "an address is not one of its protocol",
            MissingSourceAddress | MissingDestinationAddress => "an address is missing",
            InvalidSourcePort(_) | InvalidDestinationPort(_) => PORTS,
            MissingSourcePort | MissingDestinationPort => "a port is missing",
            InvalidPrefix | MissingPrefix | MissingNewLine | HeaderTooLong | InvalidSuffix => {
                "its words are not PROXY, the protocol, two addresses and two ports, with one blank between them"
            }
        })
    }

    /// From what `ppp` says of version 2.
    pub(super) fn binary(error: v2::ParseError) -> Self {
        use v2::ParseError::*;
        Self::malformed(match error {
            Version(_) => "its version is not 2",
            Command(_) => "its command is neither LOCAL nor PROXY",
            AddressFamily(_) | Protocol(_) => "its protocol or family is unknown",
            InvalidAddresses(..) => "it is too short for its addresses",
            InvalidTLV(..) | Leftovers(_) => "a field behind the addresses is longer than the header",
            Incomplete(_) | Partial(..) | Prefix => "it does not begin as one",
        })
    }

    fn new(code: &'static str, what: impl Into<Cow<'static, str>>, repair: &'static str) -> Self {
        Self { code, what: what.into(), repair }
    }
}

pub(super) const PORTS: &str = "a port is not a number from 0 to 65535 without leading zeros";

impl fmt::Display for ProxyFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}
