//! Values that need no escaping: codes, numbers, addresses. The usual ones are written without `core::fmt`, which would cost more
//! than the rest of a line.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A value that is written as its `Display` would.
pub(super) trait Plain {
    fn push(self, out: &mut String);
}

impl Plain for &str {
    fn push(self, out: &mut String) {
        out.push_str(self);
    }
}

impl Plain for u64 {
    fn push(self, out: &mut String) {
        out.push_str(itoa::Buffer::new().format(self));
    }
}

impl Plain for SocketAddr {
    fn push(self, out: &mut String) {
        match self {
            SocketAddr::V4(address) => {
                address.ip().push(out);
                out.push(':');
                u64::from(address.port()).push(out);
            }
            // Writing to a string cannot fail; the same below.
            SocketAddr::V6(address) => _ = write!(out, "{address}"),
        }
    }
}

impl Plain for IpAddr {
    fn push(self, out: &mut String) {
        match self {
            IpAddr::V4(address) => address.push(out),
            IpAddr::V6(address) => _ = write!(out, "{address}"),
        }
    }
}

impl Plain for &Ipv4Addr {
    fn push(self, out: &mut String) {
        let [first, others @ ..] = self.octets();
        u64::from(first).push(out);
        for octet in others {
            out.push('.');
            u64::from(octet).push(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_written_as_shown(value: impl Plain + ToString) {
        let mut out = String::from("a");
        let shown = value.to_string();
        value.push(&mut out);
        assert_eq!(out, "a".to_owned() + &shown);
    }

    proptest! {
        #[test]
        fn every_value_is_written_as_it_is_shown(
            number in prop_oneof![any::<u64>(), 0..1000_u64],
            v4: [u8; 4], v6: [u8; 16], port: u16, scope in 0..3_u32, text: String,
        ) {
            is_written_as_shown(number);
            is_written_as_shown(&*text);
            is_written_as_shown(&Ipv4Addr::from(v4));
            is_written_as_shown(IpAddr::from(v4));
            is_written_as_shown(IpAddr::from(v6));
            is_written_as_shown(SocketAddr::from((v4, port)));
            is_written_as_shown(SocketAddr::V6(std::net::SocketAddrV6::new(v6.into(), port, 0, scope)));
        }
    }

    #[test]
    fn the_least_and_the_greatest_are_written_too() {
        for number in [0, 9, 10, 99, 100, u64::MAX] {
            is_written_as_shown(number);
        }
        for address in ["0.0.0.0:0", "255.255.255.255:65535", "[::]:0", "[::ffff:192.0.2.1]:1", "[fe80::1%3]:443"] {
            is_written_as_shown(address.parse::<SocketAddr>().unwrap());
        }
    }
}
