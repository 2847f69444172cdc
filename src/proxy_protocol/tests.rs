//! Headers, good and bad, byte by byte and at once.

use proptest::prelude::*;

use super::*;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A header of version 2 with this command and family, and what follows.
fn binary_header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, rest].concat()
}

/// 192.0.2.1:4096, for 192.0.2.2:443.
const IPV4: [u8; 12] = [192, 0, 2, 1, 192, 0, 2, 2, 16, 0, 1, 187];

/// What is read of bytes that come one by one: how many belong to the header, and whose connection it is.
fn read(bytes: &[u8]) -> Result<(usize, Origin), String> {
    let mut header = ProxyHeader::default();
    for at in 0..bytes.len() {
        let taken = header.take(&bytes[at..=at]).map_err(|failure| format!("{}: {failure}", failure.code()))?;
        assert_eq!(taken.bytes, 1);
        if let Some(origin) = taken.origin {
            return Ok((at + 1, origin));
        }
    }
    Err(format!("incomplete: {:?}", header.end().map(|failure| failure.to_string())))
}

/// The same, where all of them come at once.
fn read_at_once(bytes: &[u8]) -> Result<(usize, Origin), String> {
    let taken = ProxyHeader::default().take(bytes).map_err(|failure| format!("{}: {failure}", failure.code()))?;
    taken.origin.map(|origin| (taken.bytes, origin)).ok_or_else(|| "incomplete".to_owned())
}

fn of(address: &str) -> Origin {
    Origin::Client(address.parse().unwrap())
}

#[test]
fn every_kind_of_good_header_names_the_client_and_ends_where_the_client_begins() {
    let unix = [b'/'; 216];
    let mut ipv6 = [0; 36];
    (ipv6[15], ipv6[31], ipv6[32]) = (1, 2, 16);
    let mut mapped = ipv6;
    mapped[10..16].copy_from_slice(&[255, 255, 192, 0, 2, 1]);
    let longest = format!("PROXY UNKNOWN {0} {0} 65535 65535\r\n", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    assert_eq!(longest.len(), LONGEST_LINE);
    let field =
        |length: usize| [&IPV4[..], &[0xEA], &u16::try_from(length).unwrap().to_be_bytes(), &vec![7; length]].concat();
    for (header, origin) in [
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 4096 443\r\n".to_vec(), of("192.0.2.1:4096")),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 0 0\r\n".to_vec(), of("192.0.2.1:0")),
        (b"PROXY TCP6 2001:DB8::1 ::2 65535 443\r\n".to_vec(), of("[2001:db8::1]:65535")),
        (b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 4096 443\r\n".to_vec(), of("192.0.2.1:4096")),
        (b"PROXY UNKNOWN\r\n".to_vec(), Origin::Balancer),
        (longest.into_bytes(), Origin::Balancer),
        (binary_header(0x21, 0x11, &IPV4), of("192.0.2.1:4096")),
        (binary_header(0x21, 0x21, &ipv6), of("[::1]:4096")),
        (binary_header(0x21, 0x21, &mapped), of("192.0.2.1:4096")),
        (binary_header(0x21, 0x00, b""), Origin::Balancer),
        (binary_header(0x20, 0x00, b""), Origin::Balancer),
        (binary_header(0x20, 0x00, b"nonsense"), Origin::Balancer),
        (binary_header(0x20, 0x11, &IPV4), Origin::Balancer),
        (binary_header(0x20, 0x31, &unix), Origin::Balancer),
        (binary_header(0x21, 0x11, &field(0)), of("192.0.2.1:4096")),
        (binary_header(0x21, 0x11, &field(LONGEST_BINARY - 16 - 12 - 3)), of("192.0.2.1:4096")),
    ] {
        let shown = String::from_utf8_lossy(&header).into_owned();
        for behind in [&b""[..], b"\x16\x03\x01", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\r\n", b"\r\n"] {
            let bytes = [&header, behind].concat();
            assert_eq!(read(&bytes).as_ref(), Ok(&(header.len(), origin)), "{shown}");
            assert_eq!(read_at_once(&bytes).as_ref(), Ok(&(header.len(), origin)), "{shown}");
        }
        for end in 0..header.len() {
            let incomplete = read(&header[..end]).unwrap_err();
            assert!(incomplete.starts_with("incomplete"), "{shown}: {incomplete}");
        }
    }
}

/// Sections 2.1 and 2.2 of the specification, and RFC 4960, appendix B.
#[test]
fn whatever_is_not_exactly_a_header_is_refused_with_the_reason() {
    let addresses = |text: &str| format!("PROXY TCP4 {text}\r\n");
    let lines = [
        ("proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n".to_owned(), "no_proxy_header"),
        ("PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n".to_owned(), "protocol"),
        ("PROXYTCP4 192.0.2.1 192.0.2.2 1 2\r\n".to_owned(), "words"),
        ("PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n".to_owned(), "protocol"),
        ("PROXY\tTCP4 192.0.2.1 192.0.2.2 1 2\r\n".to_owned(), "printable"),
        ("PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n".to_owned(), "protocol"),
        ("PROXY UNKNOWNS\r\n".to_owned(), "protocol"),
        ("PROXY TCP\r\n".to_owned(), "protocol"),
        ("PROXY \r\n".to_owned(), "protocol"),
        ("PROXY\r\n".to_owned(), "protocol"),
        ("PROXY TCP4\r\n".to_owned(), "missing"),
        (addresses("192.0.2.1"), "missing"),
        (addresses("192.0.2.1 192.0.2.2 1"), "port"),
        (addresses("192.0.2.1 192.0.2.2 1 2 3"), "words"),
        (addresses("192.0.2.1 192.0.2.2 1 2 "), "words"),
        (addresses("192.0.2.1  192.0.2.2 1 2"), "address"),
        (addresses("192.0.2.01 192.0.2.2 1 2"), "address"),
        (addresses("192.0.2.256 192.0.2.2 1 2"), "address"),
        (addresses("192.0.2 192.0.2.2 1 2"), "address"),
        (addresses("0xc0.0.2.1 192.0.2.2 1 2"), "address"),
        (addresses("::1 ::2 1 2"), "address"),
        (addresses("192.0.2.1 ::2 1 2"), "address"),
        (addresses("192.0.2.1:1 192.0.2.2 1 2"), "address"),
        ("PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n".to_owned(), "address"),
        ("PROXY TCP6 fe80::1%eth0 ::2 1 2\r\n".to_owned(), "address"),
        ("PROXY TCP6 [::1] ::2 1 2\r\n".to_owned(), "address"),
        (addresses("192.0.2.1 192.0.2.2 01 2"), "port"),
        (addresses("192.0.2.1 192.0.2.2 1 002"), "port"),
        (addresses("192.0.2.1 192.0.2.2 65536 2"), "port"),
        (addresses("192.0.2.1 192.0.2.2 1 65536"), "port"),
        (addresses("192.0.2.1 192.0.2.2 -1 2"), "port"),
        (addresses("192.0.2.1 192.0.2.2 +1 2"), "port"),
        (addresses("192.0.2.1 192.0.2.2 1 +2"), "port"),
        (addresses("192.0.2.1 192.0.2.2 0x1 2"), "port"),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n".to_owned(), "without CR"),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\r\n".to_owned(), "CR and LF"),
        ("PROXY TCP4 192.0.2.1\r192.0.2.2 1 2\r\n".to_owned(), "CR and LF"),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\0\r\n".to_owned(), "printable"),
        ("PROXY UNKNOWN \u{e9}\r\n".to_owned(), "printable"),
        (format!("PROXY UNKNOWN{:93}\r\n", ""), "long_proxy_header"),
        (format!("PROXY UNKNOWN{:95}", ""), "long_proxy_header"),
        ("GET / HTTP/1.1\r\n".to_owned(), "no_proxy_header"),
        ("\u{16}\u{3}\u{1}".to_owned(), "no_proxy_header"),
        ("\r\nPROXY UNKNOWN\r\n".to_owned(), "no_proxy_header"),
    ];
    for (header, reason) in &lines {
        for read in [read, read_at_once] {
            let failure = read(header.as_bytes()).unwrap_err();
            assert!(failure.contains(reason), "{header:?}: {failure}");
        }
    }
    let with = |field: &[u8]| binary_header(0x21, 0x11, &[&IPV4[..], field].concat());
    let mut long = with(b"");
    long[14..16].copy_from_slice(&u16::try_from(LONGEST_BINARY - 15).unwrap().to_be_bytes());
    let checked = checksummed(&[]);
    let mut flipped = checked.clone();
    flipped[16] ^= 1;
    let binaries = [
        (binary_header(0x11, 0x11, &IPV4), "version"),
        (binary_header(0x01, 0x11, &IPV4), "version"),
        (binary_header(0x31, 0x11, &IPV4), "version"),
        (binary_header(0x22, 0x11, &IPV4), "command"),
        (binary_header(0x2F, 0x11, &IPV4), "command"),
        (binary_header(0x21, 0x41, &IPV4), "family"),
        (binary_header(0x21, 0x13, &IPV4), "family"),
        (binary_header(0x21, 0xFF, &IPV4), "family"),
        (binary_header(0x21, 0x12, &IPV4), "not TCP"),
        (binary_header(0x21, 0x10, &IPV4), "not TCP"),
        (binary_header(0x21, 0x01, b""), "not TCP"),
        (binary_header(0x21, 0x22, &[0; 36]), "not TCP"),
        (binary_header(0x21, 0x31, &[0; 216]), "not TCP"),
        (binary_header(0x21, 0x31, &[0; 215]), "too short"),
        (binary_header(0x21, 0x11, &IPV4[..11]), "too short"),
        (binary_header(0x21, 0x11, b""), "too short"),
        (binary_header(0x21, 0x21, &IPV4), "too short"),
        (binary_header(0x20, 0x21, &[0; 35]), "too short"),
        (with(&[4]), "longer than the header"),
        (with(&[4, 0]), "longer than the header"),
        (with(&[4, 0, 1]), "longer than the header"),
        (with(&[4, 0, 0, 4, 255, 255]), "longer than the header"),
        (with(&[3, 0, 4, 0, 0, 0, 0]), "checksum is wrong"),
        (with(&[3, 0, 3, 0, 0, 0]), "one number of 4 bytes"),
        (checksummed(&checked[28..]), "one number of 4 bytes"),
        (flipped, "checksum is wrong"),
        (long, "long_proxy_header"),
        (SIGNATURE.iter().map(|byte| byte ^ 1).collect(), "no_proxy_header"),
        (b"\r\n\r\n\0\r\nQUIT\r".to_vec(), "no_proxy_header"),
    ];
    for (header, reason) in &binaries {
        for read in [read, read_at_once] {
            let failure = read(header).unwrap_err();
            assert!(failure.contains(reason), "{header:?}: {failure}");
        }
    }
    assert!(lines.len() + binaries.len() >= 40);
    assert_eq!(read(&checked), Ok((checked.len(), of("192.0.2.1:4096"))));
}

/// With a right checksum, then these fields.
fn checksummed(fields: &[u8]) -> Vec<u8> {
    let mut header = binary_header(0x21, 0x11, &[&IPV4[..], &[3, 0, 4, 0, 0, 0, 0], fields].concat());
    let checksum = crc32c(&header, 0..0).to_be_bytes();
    header[31..35].copy_from_slice(&checksum);
    header
}

/// RFC 3720, appendix B.4.
#[test]
fn the_checksum_is_that_of_the_rfc() {
    let counting: Vec<u8> = (0..32).collect();
    for (bytes, checksum) in [(&[0; 32][..], 0x8A91_36AA), (&[255; 32], 0x62A8_AB43), (&counting, 0x46DD_794E)] {
        assert_eq!(crc32c(bytes, 0..0), checksum);
    }
    assert_eq!(crc32c(&[1, 2, 3, 4], 1..3), crc32c(&[1, 0, 0, 4], 0..0));
}

proptest! {
    /// However bytes are cut, the same comes of them; and never more is taken than came.
    #[test]
    fn nothing_panics_and_nothing_depends_on_how_bytes_are_cut(
        begin in 0..4_usize, bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 1..50_usize,
    ) {
        let begin = [&b""[..], b"PROXY TCP4 ", SIGNATURE, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x20"][begin];
        let bytes = [begin, &bytes].concat();
        let mut header = ProxyHeader::default();
        let mut taken = 0;
        let mut in_parts = Err("incomplete".to_owned());
        for part in bytes.chunks(cut) {
            match header.take(part) {
                Err(failure) => { in_parts = Err(failure.code().to_owned()); break; }
                Ok(Taken { bytes, origin }) => {
                    prop_assert!(bytes <= part.len());
                    taken += bytes;
                    if let Some(origin) = origin { in_parts = Ok((taken, origin)); break; }
                }
            }
        }
        if !bytes.is_empty() {
            let at_once = read_at_once(&bytes).map_err(|failure| failure.split(':').next().unwrap().to_owned());
            prop_assert_eq!(in_parts, at_once);
        }
    }
}
