//! Files that are not PEM: the error names the command that converts them to PEM.

use std::path::Path;

use mtls_min::Trust;

use crate::support::crl::Crl;
use crate::support::pem_site::{FILES, in_full, site};
use crate::support::pki::{armour, write};

/// DER that looks like each common format, and the error where PEM is expected.
#[test]
fn a_file_of_another_format_is_named_with_the_command_that_makes_pem_of_it() {
    let site = site();
    let oid = |last: u8| write(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, last]);
    let pkcs7 = write(0x30, &[oid(2), write(0xa0, &[])].concat());
    let pkcs7_ber = [&[0x30, 0x80][..], &oid(2), &[0xa0, 0x80, 0, 0, 0, 0]].concat();
    let pkcs12 = write(0x30, &[write(2, &[3]), write(0x30, &oid(1))].concat());
    let pkcs12_ber = [&[0x30, 0x80, 2, 1, 3, 0x30, 0x80][..], &oid(1), &[0, 0, 0, 0]].concat();
    let name = write(0x30, &[]);
    let info = write(0x30, &[write(2, &[0]), name.clone(), write(0x30, &[]), write(0xa0, &[])].concat());
    let request = write(0x30, &[info, write(0x30, &[]), write(3, &[0])].concat());
    let locked = write(0x30, &[write(0x30, &oid(1)), write(4, &[1])].concat());
    let key = site.server.key.secret_der().to_vec();
    let certificate = site.client.chain[0].to_vec();
    let old = site.ca.client_v1("old").chain[0].to_vec();
    let list = Crl::number(1).der(&site.ca);
    let pkcs12_words = [
        "pkcs12 -cacerts -nokeys",
        "pkcs12 -nokeys",
        "pkcs12 -nocerts -nodes",
        "PKCS#12 file",
        "pkcs12 -clcerts -nokeys",
        "PKCS#12 file",
    ];
    let pkcs7_words = [
        "pkcs7 -inform der -print_certs -in ",
        "pkcs7 -inform der -print_certs",
        "a PKCS#7 file",
        "pkcs7 -inform der -print_certs",
        "pkcs7 -inform der -print_certs",
        "a PKCS#7 file",
    ];
    let key_words = |words: &'static str| [words, words, "openssl pkey -inform der -in ", words, words, words];
    let certificate_words =
        ["openssl x509 -inform der -in ", "x509 -inform der", "a certificate in DER", "", "", "a certificate in DER"];
    // The format; then for --ca, --cert, --key, check, --authorized-clients and --crl: what is said, if it is not read.
    let table: [(&str, &[u8], [&str; 6]); 11] = [
        ("certificate", &certificate, certificate_words),
        ("v1 certificate", &old, certificate_words),
        ("PKCS#7", &pkcs7, pkcs7_words),
        ("PKCS#7 in BER", &pkcs7_ber, pkcs7_words),
        ("PKCS#12", &pkcs12, pkcs12_words),
        ("PKCS#12 in BER", &pkcs12_ber, pkcs12_words),
        ("request", &request, ["yet to sign"; 6]),
        ("key", &key, key_words("a private key in DER")),
        ("encrypted key", &locked, key_words("an encrypted private key in DER")),
        (
            "list",
            &list,
            ["goes with --crl", "goes with --crl", "a revocation list", "goes with --crl", "goes with --crl", ""],
        ),
        (
            "something else",
            &[0x30, 2, 5, 0],
            ["x509 -inform der", "x509 -inform der", "DER", "", "cannot be read", "cannot be used"],
        ),
    ];
    for (format, bytes, said) in table {
        let files = ["--ca", "--cert", "--key", "check", "--authorized-clients", "--crl"];
        for (file, words) in files.into_iter().zip(said) {
            match site.read(file, bytes) {
                Err(error) => assert!(!words.is_empty() && error.contains(words), "{format} as {file}: {error}"),
                Ok(_) => assert!(words.is_empty(), "{format} as {file}"),
            }
        }
    }
    // And the same as text.
    let text = armour("PKCS7", &pkcs7);
    for file in FILES {
        let error = site.read(file, text.as_bytes()).unwrap_err();
        assert!(error.contains("line 1: ") && error.contains("openssl pkcs7 -print_certs -in "), "{file}: {error}");
    }
}

/// The paths in a command can be pasted into a shell.
#[test]
fn a_command_in_a_hint_names_the_file_only_where_the_shell_takes_it_as_one_word() {
    let site = site();
    for (name, words) in [("a.p7b", "a.p7b -out "), ("a b;c.p7b", "-in FILE -out FILE.pem")] {
        let path = site.dir.write(name, armour("PKCS7", &[]));
        let error = Trust::builder().pem_file(Path::new(&path)).build().unwrap_err();
        assert!(error.hint_text().unwrap().contains(words), "{}", in_full(&error));
    }
}
