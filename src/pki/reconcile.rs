//! Reads what a directory of certificates holds: the index, and what the index does not know yet.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject;

use super::index::{CrlState, Entry, Index};
use super::layout::{CRL, INDEX, Place, SERVER, certificate_file};
use super::reading::{names_as_issuer, parse, read_certificate};
use super::request::{Reason, Usage, check_file_name};
use crate::crypto;
use crate::error::Error;
use crate::hex::hex;
use crate::x509::certificate::Certificate;
use crate::x509::crl::RevocationList;
use crate::x509::distinguished_name::is_same_name;
use crate::x509::signature::{Check, check_list};

/// What may be read if there is no index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beginning {
    /// No revocation list. If there is one, its index was lost, or another program signs it.
    WithoutList,
    /// A revocation list, from which a new index learns what was revoked.
    FromList,
}

impl Place {
    /// The index, with certificates of this CA that it lacks, and with revocations on the list that it lacks, as when the
    /// index comes from a backup.
    pub(super) fn load(&self, ca_pem: &str, beginning: Beginning) -> Result<Index, Error> {
        let mut index = self.read_index(beginning)?;
        let ca = read_certificate(ca_pem)?;
        let ca = parse(&ca)?;
        self.adopt_certificates(&mut index, &ca)?;
        self.adopt_revocations(&mut index, &ca, beginning)?;
        Ok(index)
    }

    fn read_index(&self, beginning: Beginning) -> Result<Index, Error> {
        let path = self.path.join(INDEX);
        match fs::read_to_string(&path) {
            Ok(text) => Index::parse(&text).map_err(|error| {
                let mend = error.first_hint().cloned().unwrap_or_else(|| "restore it from a backup".into());
                Error::new(format!("cannot use {}", path.display())).caused_by(error).hint(mend)
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => match beginning {
                Beginning::FromList => Ok(Index::default()),
                Beginning::WithoutList if self.is_free(CRL) => Ok(Index::default()),
                Beginning::WithoutList => Err(self.no_index()),
            },
            Err(error) => Err(Error::new(format!("cannot read {}", path.display())).caused_by(error)),
        }
    }

    fn no_index(&self) -> Error {
        Error::new(format!("{} is there without {INDEX}", self.path.join(CRL).display())).hint(
            "if `Directory` made both, restore index.txt from a backup: it says what was signed and revoked; if the list is \
             another program's, or there is no backup, `Directory::adopt_crl` makes an index of what the list revokes",
        )
    }

    fn adopt_certificates(&self, index: &mut Index, ca: &Certificate<'_>) -> Result<(), Error> {
        for name in self.names()? {
            // A certificate that cannot be read is taken to be another CA's.
            let Ok(pem) = fs::read_to_string(self.path.join(certificate_file(&name))) else { continue };
            let Ok(der) = read_certificate(&pem) else { continue };
            let Ok(certificate) = parse(&der) else { continue };
            let server = name == SERVER || !certificate.may_authenticate_clients;
            let Ok(entry) = entry(&name, if server { Usage::Server } else { Usage::Client }, &certificate) else {
                continue;
            };
            let known = index.entries.iter().any(|known| known.serial == entry.serial);
            if !known && names_as_issuer(&certificate, ca) {
                index.entries.push(entry);
            }
        }
        Ok(())
    }

    /// A revocation is never undone, and the number of the list never decreases: an index that is older than the list beside
    /// it learns from the list.
    fn adopt_revocations(&self, index: &mut Index, ca: &Certificate<'_>, beginning: Beginning) -> Result<(), Error> {
        let path = self.path.join(CRL);
        let wrong = |why: &str| {
            Error::new(format!("{} {why}", path.display())).hint(
                "if `Directory` has signed all lists of this CA, move it away: `Directory::sign_crl` then signs it again, \
                 from index.txt; otherwise replace it by the CA's last list, whole",
            )
        };
        let pem = match fs::read(&path) {
            Ok(pem) => pem,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::new(format!("cannot read {}", path.display())).caused_by(error)),
        };
        let mut lists = CertificateRevocationListDer::pem_slice_iter(&pem);
        let (Some(Ok(der)), None) = (lists.next(), lists.next()) else {
            return Err(wrong("holds no revocation list in PEM, or several"));
        };
        let (list, signed) = RevocationList::parse(&der).map_err(|error| wrong("cannot be used").caused_by(error))?;
        // Most CAs of `certs init` have the same name, so the signature decides.
        let algorithms = crypto::provider().signature_verification_algorithms;
        if !is_same_name(ca.subject, &list.issuer) || check_list(&signed, ca.spki, &algorithms) != Check::Good {
            return Err(wrong("is the revocation list of another CA"));
        }
        if let Some(scope) = list.scope.text() {
            return Err(wrong(&format!("covers only some of the CA's certificates: {scope}")));
        }
        // Lists of other programs may have no number. Ours will be higher and later than theirs.
        let number = match list.number {
            None => 0,
            Some(_) => list.small_number().ok_or_else(|| wrong("has a number that is too large for this index"))?,
        };
        let before = index.crl.number;
        // A list from a backup lacks later revocations, until it is signed again.
        if number < before && matches!(index.crl.state, CrlState::Signed(_)) {
            index.crl.state = CrlState::Pending;
            let what = match list.number {
                None => "has no number, so it was not signed here".to_owned(),
                Some(_) => format!("is older than {INDEX}, as if from a backup"),
            };
            self.notice(&format!("{} {what}; it is signed again", path.display()));
        }
        index.crl.number = before.max(number);
        index.seen_list_of = Some(list.this_update);
        let mut learned = 0;
        let places: HashMap<_, _> =
            index.entries.iter().enumerate().map(|(at, entry)| (entry.serial.clone(), at)).collect();
        for (serial, revocation) in list.entries() {
            let serial = match serial {
                [0x80..=0xff, ..] => return Err(negative(&path, serial)),
                [0, significant @ ..] if !significant.is_empty() => hex(significant),
                _ => hex(serial),
            };
            let revoked = Some((revocation.date, Reason::of_rfc_5280(revocation.reason)));
            match places.get(&serial) {
                Some(at) => {
                    let entry = &mut index.entries[*at];
                    learned += usize::from(entry.revoked.is_none());
                    entry.revoked = entry.revoked.or(revoked);
                }
                None => {
                    learned += 1;
                    index.entries.push(Entry {
                        usage: Usage::Client,
                        name: format!("serial-{serial}"),
                        serial,
                        // The list does not say, but no certificate is valid longer than its CA.
                        not_after: ca.not_after,
                        revoked,
                    });
                }
            }
        }
        let why = match beginning {
            _ if number <= before && learned == 0 => return Ok(()),
            Beginning::WithoutList if before > 0 && list.number.is_some() => {
                format!(", which is newer than {INDEX}: is {INDEX} from a backup?")
            }
            _ => String::new(),
        };
        let learned = if learned == 1 { "1 revocation is".to_owned() } else { format!("{learned} revocations are") };
        self.notice(&format!("{learned} taken over from {}{why}", path.display()));
        Ok(())
    }

    /// The names of the certificates in the directory, in order.
    fn names(&self) -> Result<Vec<String>, Error> {
        let files = fs::read_dir(&self.path)
            .map_err(|error| Error::new(format!("cannot read {}", self.path.display())).caused_by(error))?;
        let names = files.flatten().filter_map(|file| {
            let name = file.file_name().into_string().ok()?.strip_suffix("-crt.pem")?.to_owned();
            check_file_name(&name).is_ok().then_some(name)
        });
        let mut names: Vec<_> = names.collect();
        names.sort_unstable();
        Ok(names)
    }
}

/// If the list were signed with the positive number of the same digits, the revoked certificate would be valid again, and
/// another would be revoked.
fn negative(path: &Path, serial: &[u8]) -> Error {
    let (path, serial) = (path.display(), hex(serial));
    Error::new(format!("{path} revokes a negative serial number (in DER: {serial}), which this index cannot hold")).hint(
        "continue with the program that signed the list; serial numbers have to be positive (RFC 5280, section 4.1.2.2)",
    )
}

pub(super) fn entry(name: &str, usage: Usage, certificate: &Certificate<'_>) -> Result<Entry, Error> {
    let (name, serial) = (name.to_owned(), serial(certificate)?);
    Ok(Entry { usage, name, serial, not_after: certificate.not_after, revoked: None })
}

/// The digits of a serial number, which has to be positive, as a revocation list has it.
fn serial(certificate: &Certificate<'_>) -> Result<String, Error> {
    let significant = certificate.serial.iter().position(|octet| *octet != 0).unwrap_or(certificate.serial.len());
    if significant == certificate.serial.len() || certificate.serial[0] >= 0x80 {
        return Err(Error::new("the serial number is zero or negative"));
    }
    Ok(hex(&certificate.serial[significant..]))
}

/// The same of a certificate in PEM.
pub(super) fn serial_of(pem: &str) -> Result<String, Error> {
    serial(&parse(&read_certificate(pem)?)?)
}
