//! Certificates have one encoding, and no part that can be read in two ways. Rows T15 and T17 of the
//! immunity matrix.

use mtls_min::{RefusalCode, Trust, TrustKind};
use rcgen::{CustomExtension, IsCa};
use rustls::pki_types::CertificateDer;

use crate::support::crl::extension;
use crate::support::judged::{chain_code, detail, trust_of};
use crate::support::pki::{CN, Ca, EMAIL, Holder, elements, pem, read, write};

/// RFC 5280, section 4.2.1.12: arcs over 64 bits, padded ones, and one more octet before or after.
#[test]
fn t15_a_purpose_that_looks_like_client_authentication_is_not() {
    let ca = Ca::new("ca");
    let holder = |purposes: &[&[u8]]| {
        let list: Vec<u8> = purposes.iter().flat_map(|purpose| write(6, purpose)).collect();
        ca.client_with("alice", |params| {
            params.extended_key_usages = Vec::new();
            params.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 37], write(0x30, &list))];
        })
    };
    const CLIENT: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];
    const ANY: &[u8] = &[0x55, 0x1d, 37, 0];
    let trusted = trust_of(&ca.pem(), "");
    for right in [vec![CLIENT], vec![ANY], vec![&[0x2b, 6, 1, 5, 5, 7, 3, 1], CLIENT]] {
        assert_eq!(chain_code(&holder(&right).chain, &trusted), None, "{right:02x?}");
    }
    // An arc of 2^64 + 2, whose low bits are those of clientAuth; the same for any.
    let huge = [&CLIENT[..7], &[0x82, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02]].concat();
    let huge_any = [&ANY[..3], &[0x82, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00]].concat();
    let first = [&[0x80 | 0x2b, 0x2b][..], &CLIENT[1..]].concat();
    for wrong in [&huge, &huge_any, &first, &[CLIENT, &[1]].concat(), &CLIENT[..7].to_vec()] {
        assert_eq!(chain_code(&holder(&[wrong]).chain, &trusted), Some(RefusalCode::WrongUsage), "{wrong:02x?}");
    }
    // An arc that is not as short as can be is not DER (X.690, section 8.19.2).
    for padded in [[&CLIENT[..7], &[0x80, 2]].concat(), [&ANY[..3], &[0x80, 0]].concat()] {
        assert_eq!(chain_code(&holder(&[&padded]).chain, &trusted), Some(RefusalCode::Malformed), "{padded:02x?}");
    }
    // The same for an intermediate.
    let sub = ca.intermediate_with("sub", |params| {
        params.custom_extensions =
            vec![CustomExtension::from_oid_content(&[2, 5, 29, 37], write(0x30, &write(6, &huge)))];
    });
    assert_eq!(chain_code(&sub.client("alice").chain, &trusted), Some(RefusalCode::WrongUsage));
}

/// RFC 5280, section 4.2: "A certificate MUST NOT include more than one instance of a particular extension."
#[test]
fn t17_two_instances_of_one_extension_are_malformed() {
    let ca = Ca::new("ca");
    let trusted = trust_of(&ca.pem(), "");
    let twice = |holder: &Holder, new: &[u8]| {
        let certificate = read(&holder.chain[0]).content;
        let signed = read(certificate);
        let algorithm = read(signed.rest);
        let parts = elements(signed.content).flat_map(|element| match element.tag {
            0xa3 => write(0xa3, &write(0x30, &[read(element.content).content, new].concat())),
            _ => write(element.tag, element.content),
        });
        ca.signed(&write(0x30, &parts.collect::<Vec<_>>()), algorithm.content)
    };
    let alice = ca.client("alice");
    let unknown = extension(&[0x2a, 3, 4], false, &[5, 0]);
    assert_eq!(chain_code(&[twice(&alice, &unknown)], &trusted), None, "once");
    let basic = extension(&[0x55, 0x1d, 19], true, &[0x30, 0]);
    let usage = extension(&[0x55, 0x1d, 37], false, &write(0x30, &write(6, &[0x2b, 6, 1, 5, 5, 7, 3, 2])));
    let authority = extension(&[0x55, 0x1d, 35], false, &write(0x30, &write(0x80, &[1; 20])));
    let subject = extension(&[0x55, 0x1d, 14], false, &write(4, &[1; 20]));
    for (new, what) in [
        ([&unknown[..], &unknown].concat(), "unknown"),
        (basic, "2.5.29.19"),
        (usage, "2.5.29.37"),
        (authority, "2.5.29.35"),
        ([&subject[..], &subject].concat(), "2.5.29.14"),
    ] {
        let made = twice(&alice, &new);
        assert_eq!(chain_code(std::slice::from_ref(&made), &trusted), Some(RefusalCode::Malformed), "{what}");
        assert!(detail(&[made], &trusted).contains("twice"), "{what}");
    }
    // The same in a CA that is loaded.
    let double = twice(&Holder { chain: vec![ca.der.clone()], key: alice.key }, &[&subject[..], &subject].concat());
    let error = Trust::builder().pem(pem(&double), "ca").build().unwrap_err();
    assert!(error.to_string().contains("cannot be read"), "{error}");
}

/// DER has one form (X.690, section 10.1): what two programs could read differently is refused.
#[test]
fn a_certificate_is_read_in_one_form_only() {
    let ca = Ca::new("ca");
    let trusted = trust_of(&ca.pem(), "");
    let alice = ca.client("alice");
    let certificate = read(&alice.chain[0]).content;
    let signed = read(certificate);
    let algorithm = read(signed.rest);
    let resigned = |to_be_signed: Vec<u8>| ca.signed(&to_be_signed, algorithm.content);
    assert_eq!(chain_code(&[resigned(write(0x30, signed.content))], &trusted), None);
    // A length in more octets than it needs, and bytes after the last field.
    let mut padded = vec![0x30, 0x83, 0];
    padded.extend(u16::try_from(signed.content.len()).unwrap().to_be_bytes());
    padded.extend(signed.content);
    let trailing = write(0x30, &[signed.content, &write(5, &[])].concat());
    for wrong in [resigned(padded), resigned(trailing)] {
        assert_eq!(chain_code(&[wrong], &trusted), Some(RefusalCode::Malformed));
    }
    let mut longer = alice.chain[0].to_vec();
    longer.push(0);
    assert_eq!(chain_code(&[longer.into()], &trusted), Some(RefusalCode::Malformed));
}

/// A part of a certificate replaced, and signed by `ca`: version, serial, algorithm, issuer, validity, subject, …
fn with_part(ca: &Ca, at: usize, part: &[u8]) -> CertificateDer<'static> {
    let alice = ca.client("alice");
    let signed = read(read(&alice.chain[0]).content);
    let algorithm = read(signed.rest);
    let parts = elements(signed.content).enumerate().flat_map(|(number, element)| match number == at {
        true => part.to_vec(),
        false => write(element.tag, element.content),
    });
    ca.signed(&write(0x30, &parts.collect::<Vec<_>>()), algorithm.content)
}

/// Where one reader stops, another may read on: an address after that point would be seen by neither the constraints on
/// addresses nor by the log.
#[test]
fn a_name_is_read_whole_or_not_at_all() {
    let ca = Ca::new("ca");
    let trusted = trust_of(&ca.pem(), "");
    let attribute = |kind: &[u8], value: &[u8]| write(0x30, &[write(6, kind), value.to_vec()].concat());
    let relative = |attributes: &[u8]| write(0x31, attributes);
    let first = attribute(CN, &write(12, b"alice"));
    let second = relative(&attribute(EMAIL, &write(22, b"ceo@example.com")));
    let subject = |parts: &[&[u8]]| with_part(&ca, 5, &write(0x30, &parts.concat()));
    assert_eq!(chain_code(&[subject(&[&relative(&first), &second])], &trusted), None);
    for broken in [
        write(0x30, &first),
        relative(&[]),
        relative(&attribute(CN, &[write(12, b"alice"), write(5, &[])].concat())),
        relative(&[&first[..], &write(5, &[])].concat()),
        relative(&attribute(CN, &[])),
        relative(&attribute(CN, &[12, 0x81, 1, b'a'])),
        relative(&attribute(&[0x80, 0x55, 4, 3], &write(12, b"alice"))),
    ] {
        for parts in [[&relative(&first)[..], &broken, &second], [&broken, &relative(&first), &second]] {
            assert_eq!(chain_code(&[subject(&parts)], &trusted), Some(RefusalCode::Malformed), "{broken:02x?}");
        }
    }
}

/// RFC 5280, section 4.1.2.5.
#[test]
fn a_date_is_in_utc_and_to_the_second_or_there_is_none() {
    let ca = Ca::new("ca");
    let trusted = trust_of(&ca.pem(), "");
    let until = |tag: u8, text: &str| {
        let validity = [write(0x17, b"250101000000Z"), write(tag, text.as_bytes())].concat();
        chain_code(&[with_part(&ca, 4, &write(0x30, &validity))], &trusted)
    };
    for (tag, text) in [(0x17, "491231235959Z"), (0x18, "20491231235959Z"), (0x18, "99991231235959Z")] {
        assert_eq!(until(tag, text), None, "{text}");
    }
    for (tag, text) in [
        (0x17, "4912312359Z"),
        (0x17, "491231235959+0000"),
        (0x17, "491231235959"),
        (0x17, "20491231235959Z"),
        (0x18, "20491231235959"),
        (0x18, "20491231235959+1400"),
        (0x18, "20491231235959.5Z"),
        (0x18, "2049123123Z"),
        (0x18, "20491331235959Z"),
        (0x18, "20491231235960Z"),
        (0x0c, "20491231235959Z"),
    ] {
        assert_eq!(until(tag, text), Some(RefusalCode::Malformed), "{text}");
    }
    let three = [write(0x17, b"250101000000Z"), write(0x17, b"491231235959Z"), write(0x17, b"491231235959Z")].concat();
    assert_eq!(chain_code(&[with_part(&ca, 4, &write(0x30, &three))], &trusted), Some(RefusalCode::Malformed));
}

/// X.690, section 8.3.2: a list with another encoding of the number would not match it. Whether it is zero, negative or long does not
/// matter.
#[test]
fn a_serial_number_has_one_form() {
    let ca = Ca::new("ca");
    let trusted = trust_of(&ca.pem(), "");
    for right in [&[0][..], &[1], &[0xfb], &[0, 0xff], &[0x7f; 40]] {
        assert_eq!(chain_code(&[with_part(&ca, 1, &write(2, right))], &trusted), None, "{right:02x?}");
    }
    for wrong in [&[][..], &[0, 1], &[0, 0], &[0xff, 0xfb]] {
        assert_eq!(
            chain_code(&[with_part(&ca, 1, &write(2, wrong))], &trusted),
            Some(RefusalCode::Malformed),
            "{wrong:02x?}"
        );
    }
}

/// X.690, section 11.2.1. OpenSSL does not see keyCertSign in such a CA; a reader of the bits alone does.
#[test]
fn a_usage_in_bits_that_do_not_count_is_none() {
    let ca = Ca::new("ca");
    let trusted = trust_of(&ca.pem(), "");
    let with_usage = |usage: &[u8]| {
        let usage = CustomExtension::from_oid_content(&[2, 5, 29, 15], write(3, usage));
        let between = ca.intermediate_with("between", |params| {
            params.key_usages = Vec::new();
            params.custom_extensions = vec![usage];
        });
        chain_code(&between.client("alice").chain, &trusted)
    };
    // digitalSignature and keyCertSign, with and without unused bits; then with a wrong number of them.
    for right in [&[2, 0x84][..], &[0, 0x84], &[0, 0x84, 0]] {
        assert_eq!(with_usage(right), None, "{right:02x?}");
    }
    for wrong in [&[7, 0x84][..], &[3, 0x84], &[8, 0x84], &[7], &[]] {
        assert!(with_usage(wrong).is_some(), "{wrong:02x?}");
    }
}

/// What OpenSSL accepts and webpki did not: unique identifiers, path lengths over 255, dates before 1970.
#[test]
fn what_is_old_or_odd_and_right_is_taken() {
    let ca = Ca::with("ca", |params| {
        params.custom_extensions = vec![CustomExtension::from_oid_content(
            &[2, 5, 29, 19],
            write(0x30, &[write(1, &[0xff]), write(2, &[0x01, 0x2c])].concat()),
        )];
        params.is_ca = IsCa::NoCa;
    });
    let trusted = trust_of(&ca.pem(), "");
    assert_eq!(trusted.entries()[0].kind(), TrustKind::Ca);
    let alice = ca.client("alice");
    assert_eq!(chain_code(&alice.chain, &trusted), None, "a path length of 300");
    let signed = read(read(&alice.chain[0]).content);
    let algorithm = read(signed.rest);
    type Change<'c> = &'c dyn Fn(usize, u8, &[u8]) -> Vec<u8>;
    let changed = |change: Change<'_>| {
        let parts = elements(signed.content).enumerate().flat_map(|(at, part)| change(at, part.tag, part.content));
        ca.signed(&write(0x30, &parts.collect::<Vec<_>>()), algorithm.content)
    };
    let identified = changed(&|_, tag, content| match tag {
        0xa3 => [write(0x81, &[0, 7]), write(0x82, &[0, 8]), write(tag, content)].concat(),
        _ => write(tag, content),
    });
    assert_eq!(chain_code(&[identified], &trusted), None, "unique identifiers");
    // version, serial, algorithm, issuer, validity, …
    let old = changed(&|at, tag, content| match at {
        4 => write(tag, &[write(0x17, b"550101000000Z"), write(0x18, b"20991231235959Z")].concat()),
        _ => write(tag, content),
    });
    assert_eq!(chain_code(&[old], &trusted), None, "valid from 1955 on");
}
