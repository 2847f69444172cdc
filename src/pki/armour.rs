//! Writes PEM (RFC 7468): base64 between two lines that say what it is.

/// `der` as a block of PEM.
pub(super) fn armour(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    // 64 characters a line.
    for line in der.chunks(48) {
        line.chunks(3).for_each(|group| text.extend(base64(group)));
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

/// One to three octets (RFC 4648, section 4).
fn base64(group: &[u8]) -> [char; 4] {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits = (0..3).fold(0, |bits, at| bits << 8 | usize::from(group.get(at).copied().unwrap_or(0)));
    let digit = |at: usize| match at <= group.len() {
        true => char::from(ALPHABET[bits >> (18 - 6 * at) & 0x3f]),
        false => '=',
    };
    [digit(0), digit(1), digit(2), digit(3)]
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    use super::*;

    #[test]
    fn what_is_written_reads_as_it_was() {
        assert_eq!(armour("X", b"Man"), "-----BEGIN X-----\nTWFu\n-----END X-----\n");
        assert_eq!(armour("X", b"M"), "-----BEGIN X-----\nTQ==\n-----END X-----\n");
        for length in 0..200_usize {
            let der: Vec<u8> = (0..length).map(|at| (at * 37 % 256) as u8).collect();
            let read = CertificateDer::from_pem_slice(armour("CERTIFICATE", &der).as_bytes()).unwrap();
            assert_eq!(&*read, der);
        }
    }
}
