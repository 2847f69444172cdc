//! What a file of DER (or BER) holds, by its first elements, to tell somebody who used the wrong file. It says what the file
//! looks like, not whether it is valid.

/// What it looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// RFC 5280, section 4.1.
    Certificate,
    /// RFC 5280, section 5.1.
    RevocationList,
    /// PKCS#10 (RFC 2986).
    Request,
    /// PKCS#7 (RFC 2315), or CMS (RFC 5652).
    Pkcs7,
    /// PKCS#12 (RFC 7292).
    Pkcs12,
    /// PKCS#1, PKCS#8 or SEC 1.
    PrivateKey,
    /// PKCS#8, encrypted.
    EncryptedKey,
    /// A `SubjectPublicKeyInfo`.
    PublicKey,
}

impl Form {
    /// `None` if it does not look like any of these.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let whole = Element::first(bytes).filter(|whole| whole.tag == SEQUENCE)?;
        let mut elements = whole.elements();
        let (first, second) = (elements.next()?, elements.next());
        match (first.tag, second.map(|second| second.tag)) {
            (OID, _) if first.content.starts_with(PKCS_7) => Some(Self::Pkcs7),
            // Its version is always 3 (RFC 7292, section 4), and that of a key 0 or 1.
            (INTEGER, _) if first.content == [3] => Some(Self::Pkcs12),
            (INTEGER, Some(SEQUENCE | INTEGER | OCTET_STRING)) if matches!(first.content, [0 | 1]) => {
                Some(Self::PrivateKey)
            }
            (SEQUENCE, Some(second)) => Self::of_signed(&first, second),
            _ => None,
        }
    }

    /// Its name, with an article.
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::Certificate => "a certificate in DER",
            Self::RevocationList => "a revocation list in DER",
            Self::Request => "a certificate request in DER, which a CA has yet to sign",
            Self::Pkcs7 => "a PKCS#7 file (.p7b) in DER",
            Self::Pkcs12 => "a PKCS#12 file (.p12, .pfx)",
            Self::PrivateKey => "a private key in DER",
            Self::EncryptedKey => "an encrypted private key in DER",
            Self::PublicKey => "a public key in DER",
        }
    }

    /// What a signed structure is, by its second to fourth element; `after` is the tag of what follows.
    fn of_signed(signed: &Element<'_>, after: u8) -> Option<Self> {
        let tags: Vec<u8> = signed.elements().take(4).map(|element| element.tag).collect();
        match (tags.as_slice(), after) {
            ([OID, ..], OCTET_STRING) => Some(Self::EncryptedKey),
            ([OID, ..], BIT_STRING) => Some(Self::PublicKey),
            ([VERSION, INTEGER, ..], SEQUENCE) => Some(Self::Certificate),
            // A list has its issuer and then a time; without a version it begins with the algorithm.
            (
                [INTEGER, SEQUENCE, SEQUENCE, UTC_TIME | GENERALIZED_TIME]
                | [SEQUENCE, SEQUENCE, UTC_TIME | GENERALIZED_TIME, ..],
                SEQUENCE,
            ) => Some(Self::RevocationList),
            // X.509 version 1: number, algorithm, issuer, validity.
            ([INTEGER, SEQUENCE, SEQUENCE, SEQUENCE], SEQUENCE) => Some(Self::Certificate),
            ([INTEGER, SEQUENCE, SEQUENCE, ..], SEQUENCE) => Some(Self::Request),
            _ => None,
        }
    }
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// The first element of a certificate of version 2 or 3: `[0]`.
const VERSION: u8 = 0xa0;

/// The arc of PKCS#7, 1.2.840.113549.1.7.
const PKCS_7: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07];

struct Element<'a> {
    tag: u8,
    /// To the end of the file, if the length is indefinite (X.690, section 8.1.3.6).
    content: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Element<'a> {
    /// A file that was cut off is read as far as it goes.
    fn first(bytes: &'a [u8]) -> Option<Self> {
        let (&tag, rest) = bytes.split_first()?;
        let (&length, rest) = rest.split_first()?;
        let (length, rest) = match length {
            0..=0x7f => (usize::from(length), rest),
            0x80 => (rest.len(), rest),
            0x81..=0x84 => {
                let (length, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
                (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
            }
            0x85.. => return None,
        };
        let (content, rest) = rest.split_at(length.min(rest.len()));
        Some(Self { tag, content, rest })
    }

    fn elements(&self) -> impl Iterator<Item = Element<'a>> {
        let first = Element::first(self.content);
        std::iter::successors(first, |element| Element::first(element.rest))
    }
}
