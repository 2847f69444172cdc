//! Row T14 of the immunity matrix: a key is the same in both forms of its point. Only one of the crypto libraries takes the
//! compressed form.

use mtls_min::Trust;

use crate::support::crl::Crl;
use crate::support::judged::{REVOKED, code};
use crate::support::namesakes::{NAME, error};
use crate::support::pki::{Ca, elements, pem, read, write};

/// The same certificate of a root, with the point of its key in the other form.
fn with_compressed_point(ca: &Ca) -> String {
    let signed = read(read(&ca.der).content);
    let algorithm = read(signed.rest);
    let fields = elements(signed.content).enumerate().flat_map(|(at, field)| {
        // version, serial, algorithm, issuer, validity, subject, key, …
        if at != 6 {
            return write(field.tag, field.content);
        }
        let algorithm = read(field.content);
        let point = &read(algorithm.rest).content[2..];
        let compressed = [&[0, 2 + (point[63] & 1)], &point[..32]].concat();
        write(0x30, &[write(0x30, algorithm.content), write(3, &compressed)].concat())
    });
    pem(&ca.signed(&write(0x30, &fields.collect::<Vec<_>>()), algorithm.content))
}

/// RFC 5480, section 2.2. Only one of the crypto libraries takes the other form.
#[test]
fn t14_a_key_is_the_same_in_both_forms_of_its_point() {
    let ca = Ca::new(NAME);
    let (alice, bob) = (ca.client("alice"), ca.client("bob"));
    let other = with_compressed_point(&ca);
    let list = |number| Crl::number(number).revoking(&alice).der(&ca);
    let forms = [ca.pem(), other.clone(), ca.pem() + &other, other + &ca.pem()];
    for (one, next) in forms.iter().flat_map(|one| forms.iter().map(move |next| (one, next))) {
        let with = |cas: &str, lists: &[Vec<u8>]| {
            let builder = Trust::builder().pem(cas, "ca.pem").require_crls();
            lists.iter().fold(builder, |builder, list| builder.crl(list.clone(), "crl"))
        };
        let before = with(one, &[list(5)]).build().unwrap();
        assert_eq!((code(&before, &alice), code(&before, &bob)), (REVOKED, None));
        assert!(error(&with(next, &[Crl::number(4).der(&ca)]), &before).contains("has number 4, lower than 5"));
        assert!(error(&with(next, &[]), &before).contains("is gone: number 5 is in force"));
        let after = with(next, &[list(6)]).rebuild(&before).unwrap();
        assert_eq!((code(&after, &alice), code(&after, &bob), after.crls().count()), (REVOKED, None, 1));
    }
}
