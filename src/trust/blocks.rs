//! The blocks of a PEM file, strictly: whatever stands between BEGIN and END is what belongs there, or an error that names
//! the line. Text between blocks is left alone.

use crate::error::Error;

const BEGIN: &[u8] = b"-----BEGIN ";

/// One block of a file.
pub(super) struct Block<'p> {
    /// From its BEGIN line to the next one at most.
    pub(super) pem: &'p [u8],
    /// Where it stands, in words: `ca.pem, line 7`.
    pub(super) place: String,
}

/// The blocks with this label (`CERTIFICATE`), of which there has to be one at least; `kind` names such a block in words.
pub(super) fn blocks<'p>(pem: &'p [u8], name: &str, label: &str, kind: &str) -> Result<Vec<Block<'p>>, Error> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut inside = false;
    for (number, line) in (1..).zip(pem.split_inclusive(|byte| *byte == b'\n')) {
        let here = start;
        start += line.len();
        let place = format!("{name}, line {number}");
        let Some(at) = find(line, BEGIN) else {
            check_stray(line.trim_ascii_end(), &place, label, &mut inside)?;
            continue;
        };
        inside = true;
        if at > 0 {
            return Err(Error::new(format!("{place}: something stands before -----BEGIN"))
                .hint("a block begins at the start of a line; a byte order mark or spaces before it have to go"));
        }
        check_label(line.trim_ascii_end(), &place, label, kind)?;
        let rest = &pem[here..];
        // A block reaches to the next one at most, so that a missing END is noticed here.
        let end = find(&rest[BEGIN.len()..], BEGIN).map_or(rest.len(), |at| at + BEGIN.len());
        found.push(Block { pem: &rest[..end], place });
    }
    if found.is_empty() {
        return Err(none_found(pem, name, label, kind));
    }
    Ok(found)
}

/// A damaged border would make what it borders just vanish.
fn check_stray(line: &[u8], place: &str, label: &str, inside: &mut bool) -> Result<(), Error> {
    let is_end = line == format!("-----END {label}-----").as_bytes();
    let like_a_border = find(line, b"--").is_some() && (find(line, b"BEGIN").is_some() || find(line, b"END").is_some());
    match (*inside, is_end) {
        (true, true) => *inside = false,
        (false, _) if like_a_border => {
            return Err(Error::new(format!("{place}: the border of a block that is none")).hint(format!(
                "a block begins with -----BEGIN {label}----- and ends with -----END {label}-----, five hyphens each"
            )));
        }
        _ => {}
    }
    Ok(())
}

fn check_label(line: &[u8], place: &str, wanted: &str, kind: &str) -> Result<(), Error> {
    if line == format!("-----BEGIN {wanted}-----").as_bytes() {
        return Ok(());
    }
    let label = String::from_utf8_lossy(line);
    let label = label.trim_start_matches("-----BEGIN ").trim_end_matches('-');
    let hint = match () {
        () if label.contains("PRIVATE KEY") => {
            format!("a file of {kind}s must hold no private key; keep keys in files of their own")
        }
        () if label.contains("REQUEST") => "this is a request, which a CA has yet to sign".to_owned(),
        () if label == "TRUSTED CERTIFICATE" => {
            "turn it into a plain certificate: openssl x509 -in FILE -out FILE.pem".to_owned()
        }
        () if label == "X509 CRL" => "a revocation list goes with --crl".to_owned(),
        () => format!("only {wanted} blocks belong here"),
    };
    Err(Error::new(format!("{place}: a block of the kind {label:?} among the {kind}s")).hint(hint))
}

fn none_found(pem: &[u8], name: &str, label: &str, kind: &str) -> Error {
    let error = Error::new(format!("the file {name} holds no {kind}"));
    match pem {
        [] => error.hint("the file is empty"),
        [0x30, ..] => {
            error.hint(format!("it seems to be DER; make it PEM: openssl x509 -inform der -in {name} -out {name}.pem"))
        }
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => error.hint("it is UTF-16 text; save it as plain ASCII"),
        _ => error.hint(format!("it must hold blocks that begin with -----BEGIN {label}----- at the start of a line")),
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
