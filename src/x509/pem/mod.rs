//! The only reader of PEM (RFC 7468). Every block of a file is used, or is an error that names its line: nothing that looks
//! like a block is skipped. Text between blocks and a byte order mark are ignored. A line may end in LF, CR LF or CR (RFC
//! 7468, section 3).

mod form;
mod hint;
mod problem;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::error::Error;

pub(crate) use super::pem::form::Form;
use super::pem::hint::Wanted;
pub(crate) use super::pem::hint::check_form;
pub(crate) use super::pem::problem::PemProblem;

/// The label of a certificate (RFC 7468, section 5.1).
const CERTIFICATE: &str = "CERTIFICATE";
/// The label of a private key (RFC 7468, section 10), or its end (`EC PRIVATE KEY`).
const PRIVATE_KEY: &str = "PRIVATE KEY";

const BEGIN: &[u8] = b"-----BEGIN ";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A label is longer than this only by mistake.
const MAX_LABEL: usize = 64;

/// A line of base64 has at least this many characters, except for the last one of a block (RFC 7468, section 2).
const BASE64_LINE: usize = 60;

/// Whether a file is DER (or BER). Its first octet, a SEQUENCE, would be a digit in text; the second is not a character, or
/// it is the length of the rest.
pub(crate) fn is_der(bytes: &[u8]) -> bool {
    matches!(bytes, [0x30, length, rest @ ..] if *length >= 0x80 || usize::from(*length) == rest.len())
}

/// One block of a file.
pub(crate) struct Block<'p> {
    /// What comes between BEGIN and the hyphens: `CERTIFICATE`.
    pub(crate) label: &'p str,
    /// From its BEGIN line to its END line.
    pub(crate) pem: &'p [u8],
    /// Where it is, for messages: `ca.pem, line 7`.
    pub(crate) place: String,
}

/// The blocks of a file that may only hold blocks with this label, and has to hold at least one; `kind` is the name of such
/// a block in messages.
pub(crate) fn blocks<'p>(pem: &'p [u8], name: &str, label: &str, kind: &str) -> Result<Vec<Block<'p>>, Error> {
    let found = read(pem, name, label, |block| match block.label == label {
        true => Ok(()),
        false => Err(hint::among(block, name, &format!("{kind}s"))),
    })?;
    match found.is_empty() {
        true => Err(hint::none_found(pem, name, Wanted { label, kind, from_pkcs12: "pkcs12 -cacerts -nokeys" })),
        false => Ok(found),
    }
}

/// A certificate chain and its key, which may be in one file.
pub(crate) struct Bundle<'p> {
    bytes: &'p [u8],
    name: &'p str,
    pub(crate) certificates: Vec<Block<'p>>,
    /// Of any kind, also encrypted.
    pub(crate) keys: Vec<Block<'p>>,
    pub(crate) dh_parameters: Vec<Block<'p>>,
}

impl<'p> Bundle<'p> {
    /// Reads a file. It may also hold parameters: of an elliptic curve, which openssl writes before a key that names the
    /// curve again; and of Diffie-Hellman, which other servers read from the same file.
    pub(crate) fn read(bytes: &'p [u8], name: &'p str) -> Result<Self, Error> {
        const PARAMETERS: [&str; 3] = ["EC PARAMETERS", "DH PARAMETERS", "X9.42 DH PARAMETERS"];
        let is_key = |block: &Block<'_>| block.label.ends_with(PRIVATE_KEY);
        let all = read(bytes, name, CERTIFICATE, |block| {
            match block.label == CERTIFICATE || is_key(block) || PARAMETERS.contains(&block.label) {
                true => Ok(()),
                false => Err(hint::among(block, name, "certificates and private keys")),
            }
        })?;
        let (certificates, others): (Vec<_>, _) = all.into_iter().partition(|block| block.label == CERTIFICATE);
        let (keys, mut dh_parameters): (Vec<_>, Vec<_>) = others.into_iter().partition(is_key);
        dh_parameters.retain(|block| block.label != "EC PARAMETERS");
        Ok(Self { bytes, name, certificates, keys, dh_parameters })
    }

    /// The certificates, at least one, decoded.
    pub(crate) fn chain(&self) -> Result<Vec<CertificateDer<'static>>, Error> {
        let wanted = Wanted { label: CERTIFICATE, kind: "certificate", from_pkcs12: "pkcs12 -nokeys" };
        match self.certificates.is_empty() {
            true => Err(hint::none_found(self.bytes, self.name, wanted)),
            false => self.certificates.iter().map(Block::certificate).collect(),
        }
    }

    /// The key. There has to be exactly one; if there are several, none is guessed.
    pub(crate) fn key(&self) -> Result<&Block<'p>, Error> {
        let wanted = Wanted { label: PRIVATE_KEY, kind: "private key", from_pkcs12: "pkcs12 -nocerts -nodes" };
        match self.keys.as_slice() {
            [] => Err(hint::none_found(self.bytes, self.name, wanted)),
            [key] => Ok(key),
            [_, second, ..] => Err(Error::new(format!("{}: a second private key", second.place))
                .hint("keep only the key that belongs to the certificate")),
        }
    }
}

impl Block<'_> {
    /// The certificate in it, not parsed yet.
    pub(crate) fn certificate(&self) -> Result<CertificateDer<'static>, Error> {
        CertificateDer::from_pem_slice(self.pem).map_err(|error| {
            Error::new(format!("{}: this certificate is broken", self.place))
                .caused_by(PemProblem(error))
                .hint(format!(
                    "copy the file again, whole; each certificate begins with -----BEGIN {CERTIFICATE}----- and ends with \
                     -----END {CERTIFICATE}-----"
                ))
        })
    }
}

/// All blocks; a file that is not text has none. `accept` is asked about each block at its BEGIN line. `wanted` is the label
/// for hints.
fn read<'p>(
    pem: &'p [u8],
    name: &str,
    wanted: &str,
    accept: impl Fn(&Block<'p>) -> Result<(), Error>,
) -> Result<Vec<Block<'p>>, Error> {
    let mut found = Vec::new();
    if is_der(pem) || is_utf16(pem) {
        return Ok(found);
    }
    let mut open: Option<(usize, Block<'p>)> = None;
    for (number, (at, line)) in (1..).zip(lines(pem)) {
        let place = || format!("{name}, line {number}");
        match &mut open {
            None => {
                let mark = if line.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
                let (at, line) = (at + mark, &line[mark..]);
                match label_of(line) {
                    Some(label) => {
                        let block = Block { label, pem: &[], place: place() };
                        accept(&block)?;
                        open = Some((at, block));
                    }
                    None => hint::check_text(line, place, wanted)?,
                }
            }
            Some((start, block)) if is_end(line, block.label) => {
                block.pem = &pem[*start..at + line.len()];
                found.extend(open.take().map(|(_, block)| block));
            }
            // Other characters that are not base64 are found when it is decoded.
            Some((_, block)) if line.windows(2).any(|pair| pair == b"--") => {
                return Err(hint::not_its_end(line, &place(), block));
            }
            Some(_) => {}
        }
    }
    match open {
        Some((_, block)) => Err(hint::without_end(&block)),
        None => Ok(found),
    }
}

/// By its byte order mark.
fn is_utf16(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff")
}

/// The lines and where they begin, without their ends.
fn lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut next = 0;
    std::iter::from_fn(move || {
        let (at, rest) = (next, text.get(next..)?);
        if rest.is_empty() {
            return None;
        }
        let length = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
        next = at + length + if rest[length..].starts_with(b"\r\n") { 2 } else { 1 };
        Some((at, &rest[..length]))
    })
}

/// The label of a well-formed BEGIN line. White space may follow the line (RFC 7468, section 3), but nothing may precede it.
fn label_of(line: &[u8]) -> Option<&str> {
    let label = line.strip_prefix(BEGIN)?.trim_ascii_end().strip_suffix(b"-----")?;
    let is_label = label.len() <= MAX_LABEL && label.iter().all(|byte| matches!(byte, b' '..=b'~'));
    // A label may have hyphens, but not two in a row.
    let is_plain = !label.is_empty() && !label.ends_with(b"-") && !label.windows(2).any(|pair| pair == b"--");
    std::str::from_utf8(label).ok().filter(|_| is_label && is_plain)
}

fn is_end(line: &[u8], label: &str) -> bool {
    let inner = line.trim_ascii_end().strip_prefix(b"-----END ").and_then(|rest| rest.strip_suffix(b"-----"));
    inner == Some(label.as_bytes())
}
