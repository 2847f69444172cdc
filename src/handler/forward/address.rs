//! Where an application is.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use http::HeaderValue;

use crate::error::Error;

/// The address of an application.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Address {
    Ip(SocketAddr),
    /// Resolved at each new connection.
    Name(String, u16),
    Unix(PathBuf),
}

/// What has to be reached for an application.
#[cfg(feature = "cli")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// A TCP port, of a host whose name the system has to resolve or not.
    Port {
        port: u16,
        is_named: bool,
    },
    UnixSocket,
}

impl Address {
    pub(super) fn parse(url: &str) -> Result<Self, Error> {
        Self::parse_for(url, cfg!(target_feature = "crt-static"))
    }

    fn parse_for(url: &str, is_static: bool) -> Result<Self, Error> {
        let wrong = |what: &str| Error::new(format!("cannot forward to {url:?}: {what}"));
        const FORM: &str = "write http://host:port, with an IP address or a name, or unix:/path";
        if let Some(path) = url.strip_prefix("unix:") {
            return match path.starts_with('/') && !path.contains('\0') && path.len() <= MAX_UNIX_PATH {
                true => Ok(Self::Unix(path.into())),
                false => {
                    Err(wrong("a socket has an absolute path, of at most 107 bytes").hint("write unix:/run/app.sock"))
                }
            };
        }
        if url.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:")) {
            return Err(wrong("TLS to an application is not possible yet")
                .hint("have it listen for plain HTTP on this machine: http://127.0.0.1:port or unix:/path"));
        }
        let rest = url.split_at_checked(7).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("http://"));
        let Some((_, rest)) = rest else { return Err(wrong("it does not begin with http:// or unix:").hint(FORM)) };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#', '@']) {
            return Err(wrong("an address has no path, query or user").hint(FORM));
        }
        let (host, port) = split_port(authority).ok_or_else(|| wrong("that is not a host and a port").hint(FORM))?;
        if let Some(literal) = host.strip_prefix('[') {
            let address = literal.strip_suffix(']').and_then(|address| address.parse::<Ipv6Addr>().ok());
            let address = address.ok_or_else(|| wrong("that is not an IPv6 address").hint(FORM))?;
            return Ok(Self::Ip((address, port).into()));
        }
        if let Ok(address) = host.parse::<Ipv4Addr>() {
            return Ok(Self::Ip((address, port).into()));
        }
        if !is_name(host) {
            return Err(wrong("that is not the name of a host").hint(FORM));
        }
        match is_static && !host.eq_ignore_ascii_case(LOCALHOST) {
            true => {
                Err(wrong("this is a static build, which cannot resolve names")
                    .hint("write the IP address, or localhost"))
            }
            false => Ok(Self::Name(host.to_ascii_lowercase(), port)),
        }
    }

    #[cfg(feature = "cli")]
    pub(super) fn reach(&self) -> Reach {
        match self {
            Self::Ip(address) => Reach::Port { port: address.port(), is_named: false },
            Self::Name(host, port) => Reach::Port { port: *port, is_named: host != LOCALHOST },
            Self::Unix(_) => Reach::UnixSocket,
        }
    }

    /// What stands in `Host` if the client sent none.
    pub(super) fn authority(&self) -> HeaderValue {
        let text = match self {
            Self::Ip(address) => address.to_string(),
            Self::Name(host, 80) => host.clone(),
            Self::Name(host, port) => format!("{host}:{port}"),
            Self::Unix(_) => "localhost".to_owned(),
        };
        // Addresses and names have no other characters than those of values.
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("localhost"))
    }

    /// Where it listens; of a Unix socket nothing. The system's own time for a name is not ours to limit.
    pub(super) fn resolve(&self) -> io::Result<VecDeque<SocketAddr>> {
        Ok(match self {
            Self::Ip(address) => VecDeque::from([*address]),
            Self::Name(host, port) if host == LOCALHOST => {
                [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()].map(|ip| (ip, *port).into()).into()
            }
            Self::Name(host, port) => (host.as_str(), *port).to_socket_addrs()?.collect(),
            Self::Unix(_) => VecDeque::new(),
        })
    }
}

/// `host [ ":" port ]`; the port is 80 if it is missing.
fn split_port(authority: &str) -> Option<(&str, u16)> {
    let end = authority.find(']').map_or(0, |end| end + 1);
    match authority[end..].rfind(':') {
        None => Some((authority, 80)),
        Some(colon) => {
            let (host, port) = authority.split_at(end + colon);
            let port = port.strip_prefix(':').filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()))?;
            Some((host, port.parse().ok().filter(|port| *port > 0)?))
        }
    }
}

fn is_name(host: &str) -> bool {
    // A name of digits only is hardly a name: `127.1` and `0x7f000001` mean an address to some.
    let looks_like_a_number =
        host.rsplit('.').next().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_digit()));
    !host.is_empty()
        && host.len() <= 253
        && !looks_like_a_number
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

/// The one name that means the same everywhere, and is not looked up.
const LOCALHOST: &str = "localhost";

/// The room in `sockaddr_un` of Linux, without the zero at its end.
const MAX_UNIX_PATH: usize = 107;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_applications() {
        let ip = |text: &str| Address::Ip(text.parse().unwrap());
        for (url, address, host) in [
            ("http://127.0.0.1:8080", ip("127.0.0.1:8080"), "127.0.0.1:8080"),
            ("HTTP://127.0.0.1/", ip("127.0.0.1:80"), "127.0.0.1:80"),
            ("http://[::1]:8080", ip("[::1]:8080"), "[::1]:8080"),
            ("http://[fd00::1]", ip("[fd00::1]:80"), "[fd00::1]:80"),
            ("http://App.internal:65535/", Address::Name("app.internal".to_owned(), 65535), "app.internal:65535"),
            ("http://app_1", Address::Name("app_1".to_owned(), 80), "app_1"),
            ("http://localhost:1", Address::Name("localhost".to_owned(), 1), "localhost:1"),
            ("unix:/run/app.sock", Address::Unix("/run/app.sock".into()), "localhost"),
        ] {
            let parsed = Address::parse_for(url, false).unwrap();
            assert_eq!((&parsed, parsed.authority().to_str().unwrap()), (&address, host), "{url}");
        }
    }

    #[test]
    fn what_is_no_address_of_an_application_is_refused_with_the_reason() {
        for (url, said) in [
            ("https://app", "not possible yet"),
            ("HTTPS://app", "not possible yet"),
            ("http://app/path", "no path"),
            ("http://app//", "no path"),
            ("http://app?q", "no path"),
            ("http://app#f", "no path"),
            ("http://me@app", "no path"),
            ("127.0.0.1:8080", "does not begin with"),
            ("app:8080", "does not begin with"),
            ("ftp://app", "does not begin with"),
            ("", "does not begin with"),
            ("http://", "not the name of a host"),
            ("http://:80", "not the name of a host"),
            ("http://app:", "not a host and a port"),
            ("http://app:0", "not a host and a port"),
            ("http://app:65536", "not a host and a port"),
            ("http://app:+80", "not a host and a port"),
            ("http://a b", "not the name of a host"),
            ("http://a\r\nb", "not the name of a host"),
            ("http://b\u{fc}cher", "not the name of a host"),
            ("http://127.1", "not the name of a host"),
            ("http://0x7f000001", "not the name of a host"),
            ("http://[::1", "not an IPv6 address"),
            ("http://[::1]x:80", "not an IPv6 address"),
            ("http://[::g]:80", "not an IPv6 address"),
            ("http://[fe80::1%eth0]", "not an IPv6 address"),
            ("http://::1:80", "not the name of a host"),
            ("unix:run/app.sock", "absolute path"),
            ("unix://", "x"),
            ("unix:", "absolute path"),
        ] {
            match Address::parse_for(url, false) {
                Err(error) => assert!(error.to_string().contains(said), "{url}: {error}"),
                Ok(address) => assert_eq!(url, "unix://", "{address:?}"),
            }
        }
        let long = format!("unix:/{}", "x".repeat(107));
        assert!(Address::parse(&long[..long.len() - 1]).is_ok() && Address::parse(&long).is_err());
    }

    #[test]
    fn a_static_build_takes_no_names() {
        for url in ["http://127.0.0.1", "http://[::1]", "http://localhost:80", "unix:/a"] {
            assert!(Address::parse_for(url, true).is_ok(), "{url}");
        }
        let error = Address::parse_for("http://app:80", true).unwrap_err();
        assert!(error.to_string().contains("static build") && error.hint_text().unwrap().contains("IP address"));
    }
}
