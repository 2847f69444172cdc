//! What to say about a file that is not what it should be: what it is, and the command that converts it.

use super::{BASE64_LINE, Block, Form};
use crate::error::{Error, Hint};

/// What a file should hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'w> {
    /// The label of such a block.
    pub(super) label: &'w str,
    /// Its name, in words.
    pub(super) kind: &'w str,
    /// The openssl command that extracts it from a PKCS#12 file.
    pub(super) from_pkcs12: &'static str,
}

/// A block of another kind among the `others`.
pub(super) fn among(block: &Block<'_>, name: &str, others: &str) -> Error {
    let label = block.label;
    let hint: Hint = match label {
        _ if label.ends_with("PRIVATE KEY") => {
            format!("a file of {others} must not hold a private key; keep keys in separate files").into()
        }
        _ if label.contains("REQUEST") => "this is a certificate request, which a CA has yet to sign".into(),
        "TRUSTED CERTIFICATE" => "put it into a separate file, and convert it to a plain certificate: \
                                  openssl x509 -in FILE -out FILE.pem"
            .into(),
        // RFC 7468, section 5.1: these labels must not be taken for CERTIFICATE; they are old and rare.
        "X509 CERTIFICATE" | "X.509 CERTIFICATE" => "write CERTIFICATE in its first and last line".into(),
        "PKCS7" | "PKCS #7 SIGNED DATA" | "CMS" => {
            let file = shell_word(name);
            format!("unpack it: openssl pkcs7 -print_certs -in {file} -out {file}.pem").into()
        }
        "X509 CRL" => "a revocation list goes with `TrustBuilder::crl_file`".into(),
        "CERTIFICATE" => "a certificate of a CA goes with `TrustBuilder::pem_file`".into(),
        _ => format!("only {others} belong here").into(),
    };
    Error::new(format!("{}: a block of the kind {label:?} among the {others}", block.place)).hint(hint)
}

/// Text outside of blocks may be anything that was not meant to be part of a block.
pub(super) fn check_text(line: &[u8], place: impl Fn() -> String, wanted: &str) -> Result<(), Error> {
    if line.contains(&0) {
        return Err(Error::new(format!("{}: a zero byte, so this is not plain text", place()))
            .hint("if part of it is UTF-16, as Windows PowerShell writes it, save all of it as plain ASCII"));
    }
    if is_like_a_border(line) {
        return Err(match find(line, super::BEGIN) {
            Some(1..) => Error::new(format!("{}: there is something before -----BEGIN", place()))
                .hint("a block begins at the start of a line; remove spaces and comment signs before it"),
            _ => Error::new(format!("{}: a damaged -----BEGIN or -----END line", place())).hint(format!(
                "a block begins with -----BEGIN {wanted}----- and ends with -----END {wanted}-----, each in a line of \
                 its own, with five hyphens on either side"
            )),
        });
    }
    // The beginning of the base64 of any sequence of 128 octets or more, as all certificates, lists and most keys are; and
    // of a PEM file.
    let is_base64 = line.len() >= BASE64_LINE && line.trim_ascii_end().iter().all(|byte| is_base64(*byte));
    if is_base64 && (line.starts_with(b"MI") || line.starts_with(b"LS0tLS1CRUdJTi")) {
        return Err(Error::new(format!("{}: base64 without a -----BEGIN line", place())).hint(match line[0] {
            b'L' => "it is a PEM file that was encoded once more; decode it: base64 -d".to_owned(),
            _ => format!("a block begins with -----BEGIN {wanted}----- and ends with -----END {wanted}-----"),
        }));
    }
    Ok(())
}

/// A line within a block that is neither base64 nor its end.
pub(super) fn not_its_end(line: &[u8], place: &str, block: &Block<'_>) -> Error {
    let label = block.label;
    match find(line, super::BEGIN) {
        Some(at) if find(&line[..at], b"-----END").is_some() => Error::new(format!(
            "{place}: a damaged -----BEGIN or -----END line"
        ))
        .hint("put a line break between -----END …----- and -----BEGIN …-----; the file before had none at its end"),
        Some(_) => without_end(block),
        None => Error::new(format!("{place}: a damaged -----BEGIN or -----END line")).hint(format!(
            "the block that begins in {} ends with -----END {label}-----, in a line of its own, with five hyphens on \
             either side",
            block.place
        )),
    }
}

/// A block without an end, before the next block or the end of the file.
pub(super) fn without_end(block: &Block<'_>) -> Error {
    Error::new(format!("{}: this {} is broken", block.place, in_words(block.label)))
        .caused_by(Error::new("its -----END line is missing"))
        .hint("copy the file again, whole")
}

/// The file holds nothing of the kind that was expected.
pub(super) fn none_found(bytes: &[u8], name: &str, wanted: Wanted<'_>) -> Error {
    let Wanted { label, kind, from_pkcs12 } = wanted;
    let not_pem = || Error::new(format!("the file {name} is not PEM"));
    let none = || Error::new(format!("the file {name} holds no {kind}"));
    match bytes {
        [] => none().hint("the file is empty"),
        _ if super::is_utf16(bytes) => not_pem().hint("it is UTF-16 text; save it as plain ASCII"),
        _ if super::is_der(bytes) => {
            let form = Form::of(bytes);
            not_pem().hint(match form {
                None => instead("DER", label, form, &shell_word(name), from_pkcs12),
                Some(known) => instead(known.in_words(), label, form, &shell_word(name), from_pkcs12),
            })
        }
        _ => none().hint(format!("it must hold blocks that begin with -----BEGIN {label}----- at the start of a line")),
    }
}

/// An error if DER is accepted here, but the file is clearly something other than the `kind` of this form.
pub(crate) fn check_form(bytes: &[u8], name: &str, wanted: Form, kind: &str) -> Result<(), Error> {
    let Some(form) = Form::of(bytes).filter(|form| *form != wanted) else { return Ok(()) };
    let label = if wanted == Form::Certificate { super::CERTIFICATE } else { "X509 CRL" };
    Err(Error::new(format!("{name} cannot be used as a {kind}")).hint(instead(
        form.in_words(),
        label,
        Some(form),
        &shell_word(name),
        "pkcs12 -clcerts -nokeys",
    )))
}

/// What there is instead of what is wanted, and the command that converts it, if there is one.
fn instead(what: &str, wanted: &str, form: Option<Form>, file: &str, from_pkcs12: &str) -> Hint {
    let command = match (form, wanted) {
        (Some(Form::Certificate) | None, super::CERTIFICATE) => "x509 -inform der",
        (Some(Form::Pkcs7), super::CERTIFICATE) => "pkcs7 -inform der -print_certs",
        (Some(Form::PrivateKey | Form::EncryptedKey), super::PRIVATE_KEY) => "pkey -inform der",
        (Some(Form::Pkcs12), super::CERTIFICATE | super::PRIVATE_KEY) => from_pkcs12,
        (Some(Form::RevocationList), super::CERTIFICATE) => {
            return Hint::with("it seems to be \0, which goes with `TrustBuilder::crl_file`", what);
        }
        _ => return format!("it seems to be {what}").into(),
    };
    format!("it seems to be {what}; make it PEM: openssl {command} -in {file} -out {file}.pem").into()
}

fn in_words(label: &str) -> String {
    match label {
        super::CERTIFICATE => "certificate".to_owned(),
        "X509 CRL" => "revocation list".to_owned(),
        _ => format!("{label:?} block"),
    }
}

/// Whether a line was probably meant to begin or end a block: hyphens are missing, or are dashes, as mail programs make
/// them; something comes before them, or a second such line follows.
fn is_like_a_border(line: &[u8]) -> bool {
    const NAMES: [&str; 6] = ["CERTIFICATE", "KEY", "CRL", "PKCS", "CMS", "PARAMETERS"];
    let text = with_hyphens(line);
    let has_hyphens = text.contains("--");
    if !has_hyphens && !text.contains("BEGIN") && !text.contains("END") {
        return false;
    }
    let is_word = |word: &str| text.split(|c: char| !c.is_ascii_alphanumeric()).any(|part| part == word);
    let bare = text.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let capitals = bare.to_ascii_uppercase();
    let has_name = NAMES.iter().any(|name| capitals.contains(name));
    let begins = |with: [&str; 2]| with.iter().any(|with| capitals.starts_with(with));
    match has_hyphens {
        true => is_word("BEGIN") || is_word("END") || has_name && begins(["BEGIN", "END"]),
        // Text has lower-case letters.
        false => bare == capitals && has_name && begins(["BEGIN ", "END "]),
    }
}

/// With hyphens for the dashes of Unicode and of Windows-1252, and question marks for everything else that is not ASCII.
fn with_hyphens(line: &[u8]) -> String {
    let in_ascii = |c: char| match c {
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}' => '-',
        c if c.is_ascii() => c,
        _ => '?',
    };
    match std::str::from_utf8(line) {
        Ok(text) => text.chars().map(in_ascii).collect(),
        Err(_) => {
            line.iter().map(|byte| if matches!(byte, 0x96 | 0x97) { '-' } else { in_ascii((*byte).into()) }).collect()
        }
    }
}

/// The name of a file as a word of a command, or a placeholder for it.
fn shell_word(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._+-".contains(c);
    if name.chars().all(is_plain) && !name.starts_with('-') { name.to_owned() } else { "FILE".to_owned() }
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
