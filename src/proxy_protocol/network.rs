//! A network of IP addresses, as an operator writes it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::error::Error;

/// A network of IP addresses: `10.0.0.0/24`, `2001:db8::/32`, or a single address.
///
/// ```
/// use mtls_min::Network;
///
/// let network: Network = "10.0.0.0/24".parse()?;
/// assert!(network.contains([10, 0, 0, 7].into()));
/// # Ok::<(), mtls_min::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Network {
    /// Whether an address belongs to it. An IPv4 address that is written as one of IPv6 (`::ffff:10.0.0.7`) counts as what it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => (own.to_bits() ^ other.to_bits()).leading_zeros() >= self.prefix,
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits() ^ other.to_bits()).leading_zeros() >= self.prefix,
            _ => false,
        }
    }

    /// Whether it has every address of its family.
    #[cfg(feature = "cli")]
    pub(crate) fn has_all(&self) -> bool {
        self.prefix == 0
    }

    /// Whether bits are set in the address that do not belong to the prefix.
    fn has_bits_behind_prefix(&self) -> bool {
        let bits = match self.address {
            IpAddr::V4(address) => address.to_bits().trailing_zeros(),
            IpAddr::V6(address) => address.to_bits().trailing_zeros(),
        };
        bits < bits_of(self.address) - self.prefix
    }
}

fn bits_of(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

impl FromStr for Network {
    type Err = Error;

    /// # Errors
    /// It is not an address with a prefix (RFC 4632, section 3.1; RFC 4291, section 2.3), or the address has bits behind the
    /// prefix, which is a slip: `10.0.0.7/24` may mean one address or all of the network.
    fn from_str(text: &str) -> Result<Self, Error> {
        let not_one = || {
            Error::new(format!("{text} is not a network of IP addresses")).hint(
                "write an address, or one with the length of its prefix, like 10.0.0.5, 10.0.0.0/24 or 2001:db8::/32",
            )
        };
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| not_one())?;
        let is_number = |prefix: &str| !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = match prefix {
            None => bits_of(address),
            Some(prefix) => prefix.parse().ok().filter(|_| is_number(prefix)).ok_or_else(not_one)?,
        };
        if prefix > bits_of(address) {
            return Err(not_one());
        }
        if address.to_canonical() != address {
            return Err(Error::new(format!("{text} is a network of IPv4 in the notation of IPv6")).hint(
                "write it as one of IPv4, like 10.0.0.0/24; it also counts for connections that come by IPv6 sockets",
            ));
        }
        let network = Self { address, prefix };
        if network.has_bits_behind_prefix() {
            return Err(Error::new(format!("{text} is an address with a prefix that is shorter than the address"))
                .hint("leave out the prefix for this one address, or write zeros behind the prefix for the network"));
        }
        Ok(network)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix == bits_of(self.address) {
            true => write!(f, "{}", self.address),
            false => write!(f, "{}/{}", self.address, self.prefix),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_its_addresses_and_no_others() {
        for (network, inside, outside) in [
            (
                "10.0.0.0/24",
                &["10.0.0.0", "10.0.0.255", "::ffff:10.0.0.7"][..],
                &["10.0.1.0", "9.255.255.255", "::a00:0"][..],
            ),
            ("10.0.0.5", &["10.0.0.5"], &["10.0.0.4", "10.0.0.6"]),
            ("10.0.0.5/32", &["10.0.0.5"], &["10.0.0.4"]),
            ("0.0.0.0/0", &["0.0.0.0", "255.255.255.255"], &["::", "::1"]),
            ("::/0", &["::1", "ffff::"], &["127.0.0.1", "::ffff:127.0.0.1"]),
            ("2001:db8::/33", &["2001:db8::1", "2001:db8:7fff::"], &["2001:db8:8000::", "2001:db9::"]),
            ("::1", &["::1"], &["::2", "127.0.0.1"]),
            ("128.0.0.0/1", &["128.0.0.1"], &["127.0.0.1"]),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert!(inside.iter().all(|address| parsed.contains(address.parse().unwrap())), "{network}");
            assert!(!outside.iter().any(|address| parsed.contains(address.parse().unwrap())), "{network}");
            assert_eq!(parsed.to_string(), network.trim_end_matches("/32"));
        }
    }

    #[test]
    fn what_is_not_a_network_is_refused_with_what_to_write() {
        for text in [
            "",
            "/",
            "10.0.0",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "::/129",
            "localhost",
            " 10.0.0.0",
            "10.0.0.0/ 8",
            "010.0.0.1",
            "10.0.0.5/24",
            "0.0.0.1/0",
            "2001:db8::1/64",
            "::ffff:10.0.0.0/104",
            "10.0.0.0/99999999999",
        ] {
            let error = text.parse::<Network>().unwrap_err();
            assert!(
                error.to_string().contains(text) && error.in_full(crate::error::of_library).contains("write"),
                "{text}: {error}"
            );
        }
    }
}
