//! Refused for a key or a signature.

use rustls::pki_types::CertificateDer;

use super::{Setup, Way, way};
use crate::support::pki::{Ca, SHA1, changed, elements, pem, read, write};

pub(super) fn by_key(ca: &Ca, plain: &Setup) -> Vec<Way> {
    let rsa = |bits: usize| {
        let modulus = [&[0, 0xc1][..], &vec![0xc1; bits / 8 - 1]].concat();
        write(3, &[&[0], &write(0x30, &[write(2, &modulus), write(2, &[1, 0, 1])].concat())[..]].concat())
    };
    const RSA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1];
    let rsa_id = write(0x30, &[write(6, &RSA), write(5, &[])].concat());
    let without_null = [write(0x30, &write(6, &RSA)), rsa(2048)].concat();
    let short = [rsa_id.clone(), rsa(1024)].concat();
    let huge = [rsa_id, rsa(8200)].concat();
    let for_pss = [write(0x30, &write(6, &[&RSA[..8], &[10]].concat())), rsa(2048)].concat();
    let ed448 = [write(0x30, &write(6, &[0x2b, 0x65, 0x71])), write(3, &[0; 58])].concat();
    // A CA with a short key, and a certificate that it seems to have signed: sha256WithRSAEncryption.
    let sha256_rsa = [write(6, &[&RSA[..8], &[11]].concat()), write(5, &[])].concat();
    let weak_ca = with_key(ca, &short);
    let by_weak_ca = changed(ca, None, Some(&sha256_rsa));
    // RSA-PSS with SHA-256 and a salt of 20 octets, beside an RSA key of good size.
    let sha256 = write(0x30, &[write(6, &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1]), write(5, &[])].concat());
    let mgf = write(0x30, &[write(6, &[&RSA[..8], &[8]].concat()), sha256.clone()].concat());
    let parameters = [write(0xa0, &sha256), write(0xa1, &mgf), write(0xa2, &write(2, &[20]))].concat();
    let pss = [write(6, &[&RSA[..8], &[10]].concat()), write(0x30, &parameters)].concat();
    let rsa_ca = with_key(ca, &[write(0x30, &[write(6, &RSA), write(5, &[])].concat()), rsa(2048)].concat());
    let loaded = |der: &CertificateDer<'_>| Setup { ca: pem(der), ..Setup::default() };
    vec![
        way(
            "weak_key",
            "the client's key is RSA 1024",
            "EC P-256, or RSA of 2048 bits",
            plain,
            changed(ca, Some(&short), None),
        )
        .mended(plain, ca.client("alice")),
        way(
            "weak_key",
            "was signed with a key of the certificate of CN=ca: RSA 1024",
            "make a new CA",
            &loaded(&weak_ca),
            by_weak_ca,
        )
        .mended(plain, ca.client("alice")),
        way("unsupported_key", "the client's key is Ed448", "a supported type", plain, changed(ca, Some(&ed448), None)),
        way(
            "unsupported_key",
            "the client's key is RSA 8200",
            "2048 to 8192 bits",
            plain,
            changed(ca, Some(&huge), None),
        ),
        // RFC 3279, section 2.3.1; RFC 4055, section 1.2.
        way(
            "unsupported_key",
            "RSA without the NULL",
            "a supported type",
            plain,
            changed(ca, Some(&without_null), None),
        ),
        way("unsupported_key", "RSA for PSS only", "a supported type", plain, changed(ca, Some(&for_pss), None)),
        way("unsupported_signature", "not accepted: SHA-1 with ECDSA", "SHA-256", plain, changed(ca, None, Some(SHA1)))
            .mended(plain, ca.client("alice")),
        way(
            "unsupported_signature",
            "RSA-PSS with SHA-256, a mask by SHA-256 and a salt of 20 octets",
            "a salt as long as the hash",
            &loaded(&rsa_ca),
            changed(ca, None, Some(&pss)),
        ),
    ]
}

/// The certificate of a CA with another key in it. Its own signature is not checked by anybody.
fn with_key(ca: &Ca, key: &[u8]) -> CertificateDer<'static> {
    let signed = read(read(&ca.der).content);
    let algorithm = read(signed.rest);
    // version, serial, algorithm, issuer, validity, subject, key, …
    let parts = elements(signed.content).enumerate();
    let parts = parts.flat_map(|(at, part)| write(part.tag, if at == 6 { key } else { part.content }));
    ca.signed(&write(0x30, &parts.collect::<Vec<_>>()), algorithm.content)
}
