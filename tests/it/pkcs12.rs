//! PKCS#12 files in `check`, encoded here, so that each part can be odd or wrong. Those that other programs write are
//! in `tests/peers`.

use mtls_min::pki::pkcs12_certificates;

use crate::support::command::run;
use crate::support::files::TempDir;
use crate::support::pki::{Ca, Holder, armour, elements, read, write};

const SEQUENCE: u8 = 0x30;
const OCTETS: u8 = 4;

/// The arcs 1.2.840.113549.1.{7, 12.1, 12.10.1, 5}.
const PKCS_7: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 7];
const PBE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 12, 1];
const BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 12, 10, 1];
const PKCS_5: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 5];

fn oid(arc: &[u8], last: &[u8]) -> Vec<u8> {
    write(6, &[arc, last].concat())
}

fn seq(parts: &[&[u8]]) -> Vec<u8> {
    write(SEQUENCE, &parts.concat())
}

/// A `ContentInfo` of plain data.
fn data(inside: &[u8]) -> Vec<u8> {
    seq(&[&oid(PKCS_7, &[1]), &write(0xa0, &write(OCTETS, inside))])
}

/// One of encrypted data.
fn encrypted(algorithm: &[u8]) -> Vec<u8> {
    let info = seq(&[&oid(PKCS_7, &[1]), algorithm, &write(0x80, &[0; 16])]);
    seq(&[&oid(PKCS_7, &[6]), &write(0xa0, &seq(&[&write(2, &[0]), &info]))])
}

fn key_bag(holder: &Holder) -> Vec<u8> {
    seq(&[&oid(BAG, &[1]), &write(0xa0, holder.key.secret_der())])
}

/// A key that is encrypted by this method.
fn shrouded(algorithm: &[u8]) -> Vec<u8> {
    seq(&[&oid(BAG, &[2]), &write(0xa0, &seq(&[algorithm, &write(OCTETS, &[0; 16])]))])
}

fn certificate_bag(der: &[u8]) -> Vec<u8> {
    // 1.2.840.113549.1.9.22.1
    let x509 = oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 9], &[22, 1]);
    let bag = seq(&[&x509, &write(0xa0, &write(OCTETS, der))]);
    seq(&[&oid(BAG, &[3]), &write(0xa0, &bag)])
}

/// A file of these `ContentInfo`s.
fn file(infos: &[&[u8]], mac: &[u8]) -> Vec<u8> {
    seq(&[&write(2, &[3]), &data(&seq(infos)), mac])
}

/// A file of these bags, in which nothing is encrypted.
fn plain(bags: &[Vec<u8>]) -> Vec<u8> {
    file(&[&data(&write(SEQUENCE, &bags.concat()))], &[])
}

/// A `MacData` with this algorithm.
fn mac(algorithm: &[u8]) -> Vec<u8> {
    seq(&[&seq(&[algorithm, &write(OCTETS, &[7; 20])]), &write(OCTETS, &[7; 8]), &write(2, &[1])])
}

/// As NSS writes it: indefinite lengths, and strings in pieces; the same within the strings.
fn ber(der: &[u8]) -> Vec<u8> {
    let indefinite = |tag: u8, content: Vec<u8>| [&[tag, 0x80][..], &content, &[0, 0]].concat();
    let element = read(der);
    let own = match element.tag {
        tag if tag & 0x20 != 0 => {
            let is_data = elements(element.content).next().is_some_and(|kind| kind.content == [PKCS_7, &[1]].concat());
            let inside = elements(element.content).flat_map(|inside| {
                let der = write(inside.tag, inside.content);
                match inside.tag {
                    // The explicit [0] of plain data, whose string holds BER.
                    0xa0 if is_data => {
                        let string = ber(read(inside.content).content);
                        let (one, two) = string.split_at(string.len() / 2);
                        indefinite(0xa0, indefinite(0x24, [write(OCTETS, one), write(OCTETS, two)].concat()))
                    }
                    _ => ber(&der),
                }
            });
            // A key must stay as it is, and so must a certificate, which is in a string.
            let inside: Vec<u8> = inside.collect();
            indefinite(tag, inside)
        }
        tag => write(tag, element.content),
    };
    [own, if element.rest.is_empty() { Vec::new() } else { ber(element.rest) }].concat()
}

fn why_not(bytes: &[u8], password: &str) -> String {
    let error = pkcs12_certificates(bytes, password).unwrap_err();
    format!("{error}; {}", error.hint_text().unwrap_or_default())
}

/// Neither bag has an id (RFC 7292 does not require one), and the CAs come first.
#[test]
fn the_certificate_of_the_key_is_found_by_the_key_and_its_chain_by_names() {
    let ca = Ca::new("ca");
    let client = ca.intermediate("upper").intermediate("lower").client("alice");
    let other = ca.client("bob");
    let [leaf, lower, upper] = [0, 1, 2].map(|at| client.chain[at].to_vec());
    let bags = [&ca.der.to_vec(), &other.chain[0].to_vec(), &upper, &lower, &leaf].map(|der| certificate_bag(der));
    let file = plain(&[&bags[..], &[key_bag(&client)]].concat());
    let expected = [leaf, lower, upper, ca.der.to_vec()];
    assert_eq!(pkcs12_certificates(&file, "").unwrap(), expected);
    assert_eq!(pkcs12_certificates(&ber(&file), "").unwrap(), expected);
    let dir = TempDir::new();
    dir.write("ca.pem", ca.pem());
    for bytes in [file.clone(), ber(&file)] {
        dir.write("f.p12", bytes);
        let output = run(dir.path(), &["check", "--ca", "ca.pem", "f.p12"]);
        assert!(output.stdout.starts_with(b"authorised  CN=alice\n"), "{output:?}");
    }
}

#[test]
fn a_missing_part_is_named() {
    let ca = Ca::new("ca");
    let (alice, bob) = (ca.client("alice"), ca.client("bob"));
    let bag = |holder: &Holder| certificate_bag(&holder.chain[0]);
    for (bags, words) in [
        (vec![], "there is no certificate"),
        (vec![key_bag(&alice)], "there is no certificate"),
        (vec![bag(&alice)], "there is no private key"),
        (vec![bag(&alice), key_bag(&bob)], "no certificate for it"),
        (
            vec![bag(&alice), key_bag(&alice), bag(&bob), key_bag(&bob)],
            "several keys in this PKCS#12 file, for CN=alice; CN=bob",
        ),
    ] {
        for file in [plain(&bags), ber(&plain(&bags))] {
            let said = why_not(&file, "");
            assert!(said.contains(words) && !said.contains("password"), "{said}");
        }
    }
    // One certificate twice is one.
    let twice = plain(&[bag(&alice), key_bag(&alice), bag(&alice), key_bag(&alice)]);
    assert_eq!(pkcs12_certificates(&twice, "").unwrap().len(), 1);
}

/// The error does not blame the password.
#[test]
fn a_method_that_is_not_known_is_named_by_its_number_at_least() {
    let null = write(5, &[]);
    let aes = write(6, &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 42]);
    let pbes2 = |kdf: &[u8], prf: &[u8], cipher: &[u8]| {
        let kdf = seq(&[kdf, &seq(&[&write(OCTETS, &[1; 8]), &write(2, &[1]), &seq(&[prf, &null])])]);
        seq(&[&oid(PKCS_5, &[13]), &seq(&[&kdf, &seq(&[cipher, &write(OCTETS, &[0; 16])])])])
    };
    let (pbkdf2, hmac_sha256) = (oid(PKCS_5, &[12]), write(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 2, 9]));
    let unknown = write(6, &[0x2b, 6, 1, 4, 1, 0x86, 0x8d, 0x1f, 1]);
    let simple = |arc: &[u8], last: u8| seq(&[&oid(arc, &[last]), &seq(&[&write(OCTETS, &[1; 8]), &write(2, &[1])])]);
    for (algorithm, words) in [
        (simple(PBE, 1), "RC4 with 128 bits (1.2.840.113549.1.12.1.1)"),
        (simple(PBE, 5), "RC2 with 128 bits (1.2.840.113549.1.12.1.5)"),
        (simple(PBE, 99), "not supported: 1.2.840.113549.1.12.1.99"),
        (simple(PKCS_5, 3), "MD5 and DES (1.2.840.113549.1.5.3)"),
        (pbes2(&pbkdf2, &hmac_sha256, &unknown), "not supported: 1.3.6.1.4.1.99999.1"),
        (pbes2(&pbkdf2, &unknown, &aes), "not supported: 1.3.6.1.4.1.99999.1"),
        (pbes2(&unknown, &hmac_sha256, &aes), "not supported: 1.3.6.1.4.1.99999.1"),
        (pbes2(&pbkdf2, &hmac_sha256, &write(6, &[0x88, 0x37, 1])), "not supported: 2.999.1"),
        // Entirely different.
        (simple(&[0x2b, 6, 1, 4, 1, 0x86, 0x8d, 0x1f], 2), "a method that is not supported"),
    ] {
        let whole = file(&[&encrypted(&algorithm)], &[]);
        let key_only = plain(&[shrouded(&algorithm)]);
        for bytes in [&whole, &key_only, &ber(&whole), &ber(&key_only)] {
            for password in ["", "secret"] {
                let said = why_not(bytes, password);
                assert!(said.contains(words) && !said.contains("password"), "{words}: {said}");
            }
        }
    }
    // Those that can be read fail for the password, or for what was encrypted.
    for algorithm in [simple(PBE, 3), simple(PBE, 6), pbes2(&pbkdf2, &hmac_sha256, &aes)] {
        let said = why_not(&file(&[&encrypted(&algorithm)], &[]), "secret");
        assert!(said.contains("is this the password of this file?"), "{said}");
    }
}

#[test]
fn what_protects_the_file_is_checked_where_it_is_known() {
    let ca = Ca::new("ca");
    let alice = ca.client("alice");
    let infos = data(&seq(&[&certificate_bag(&alice.chain[0]), &key_bag(&alice)]));
    let sha1 = seq(&[&write(6, &[0x2b, 14, 3, 2, 26]), &write(5, &[])]);
    let said = why_not(&file(&[&infos], &mac(&sha1)), "secret");
    assert!(said.contains("is this the password of this file?"), "{said}");
    // RFC 9579: its parameters are not read, but what it protects is.
    let pbmac1 = file(&[&infos], &mac(&seq(&[&oid(PKCS_5, &[14]), &seq(&[])])));
    assert_eq!(pkcs12_certificates(&pbmac1, "secret").unwrap().len(), 1);
}

#[test]
fn no_broken_file_is_read_or_makes_the_reader_panic() {
    let ca = Ca::new("ca");
    let alice = ca.client("alice");
    let der = plain(&[certificate_bag(&alice.chain[0]), key_bag(&alice)]);
    for file in [der.clone(), ber(&der)] {
        assert!(pkcs12_certificates(&file, "").is_ok());
        for length in 0..file.len() {
            assert!(pkcs12_certificates(&file[..length], "").is_err(), "{length}");
        }
        for at in 0..file.len() {
            for value in [0x00, 0x80, 0xff] {
                let mut changed = file.clone();
                changed[at] = value;
                let _ = pkcs12_certificates(&changed, "");
            }
        }
        assert!(pkcs12_certificates(&[&file[..], &[0]].concat(), "").is_err(), "something follows it");
    }
    for bytes in [
        &[][..],
        &[0x30, 0x80],
        &[0x30, 0x80].repeat(100_000),
        &[0x24, 0x80].repeat(100_000),
        armour("X", &der).as_bytes(),
    ] {
        let said = why_not(bytes, "");
        assert!(said.contains("is broken, or not protected by a password") && said.contains("copy the file"), "{said}");
    }
    let dir = TempDir::new();
    dir.write("ca.pem", ca.pem());
    dir.write("f.p12", &der[..der.len() - 10]);
    let output = run(dir.path(), &["check", "--ca", "ca.pem", "f.p12"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said.contains("cannot read f.p12") && said.contains("is broken") && !said.contains("--password-file"),
        "{said}"
    );
}
