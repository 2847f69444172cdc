//! The revocation lists in force, by the names of their issuers. They are read from files, and checked against the trusted
//! CAs and against the lists in force before. A list that cannot be relied on is an error when it is read; nothing is
//! skipped.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject;

use crate::error::Error;
use crate::x509::crl::{Order, RevocationList, SignedList};
use crate::x509::distinguished_name::normal_form;
use crate::x509::identity::name_text;
use crate::x509::pem::{Form, PemProblem, blocks, check_form, is_der};
use crate::x509::signature::{Check, Unsupported, check_list};

use super::Trust;
use super::crl::Crl;
use super::succession::{History, crossed};

/// The revocation lists in force.
#[derive(Default)]
pub(super) struct Lists {
    /// By the normal forms of their issuers' names (RFC 5280, section 7.1).
    pub(super) in_force: BTreeMap<Box<[u8]>, Vec<Crl>>,
    /// What was read of each series of lists, in force or not.
    pub(super) history: History,
}

impl Lists {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Crl> {
        self.in_force.values().flatten()
    }

    /// The lists of a CA with this name in DER (RFC 5280, section 6.3.3 (b) (1)), of all keys and scopes.
    pub(super) fn of(&self, issuer: &[u8]) -> &[Crl] {
        normal_form(issuer).map_or(&[], |name| self.of_normal(&name))
    }

    /// The same for a name in normal form.
    pub(super) fn of_normal(&self, name: &[u8]) -> &[Crl] {
        self.in_force.get(name).map_or(&[], Vec::as_slice)
    }

    /// The list with this name, in normal form, and of the same series as `other`.
    pub(super) fn in_line_with(&mut self, name: &[u8], other: &Crl) -> Option<&mut Crl> {
        self.in_force.get_mut(name)?.iter_mut().find(|crl| crl.is_in_line_with(other))
    }

    /// Puts a list in force, if it is newer than the one of its series that is in force.
    fn add(&mut self, name: Box<[u8]>, crl: Crl) -> Result<(), Error> {
        self.history.add(&crl)?;
        let lists = self.in_force.entry(name).or_default();
        let Some(known) = lists.iter_mut().find(|known| known.is_in_line_with(&crl)) else {
            lists.push(crl);
            return Ok(());
        };
        match crl.list.compared_with(&known.list) {
            Order::Same | Order::Older => {}
            Order::Newer => *known = crl,
            Order::Twin => {
                return Err(Error::new(format!("{}: a second, different revocation {crl}", crl.place)).hint(format!(
                    "the first is in {}; keep the one that the CA issued last, and give it a number of its own",
                    known.place
                )));
            }
            Order::Crossed => return Err(crossed(&crl, &known.to_string(), known.this_update())),
        }
        Ok(())
    }
}

impl Trust {
    /// The revocation lists in force. A CA may have several: for different keys, and for different parts of its
    /// certificates.
    pub fn crls(&self) -> impl Iterator<Item = &Crl> {
        self.lists.iter()
    }

    /// Puts a list from `place` in force, if it is newer than the one in force.
    pub(super) fn add_crl(
        &mut self,
        der: &[u8],
        place: &str,
        now: SystemTime,
        before: Option<&Self>,
    ) -> Result<(), Error> {
        let (list, signed) = RevocationList::parse(der).map_err(|unusable| {
            let hint = unusable.hint();
            Error::new(format!("{place}: this revocation list cannot be used")).caused_by(unusable).hint(hint)
        })?;
        let name = normal_form(&list.issuer).ok_or_else(|| {
            Error::new(format!("{place}: the issuer of this revocation list is not a valid name"))
                .hint("get it again from the CA; if that does not help, the program that made it is at fault")
        })?;
        let signers = signers(self, &list, &name, &signed, place)?;
        let keys = signers.iter().map(|at| self.authorities[*at].spki.clone()).collect();
        let issuer = self.authorities[signers[0]].identity.clone();
        let (list, place) = (Arc::new(list), place.to_owned());
        let crl = Crl { list, issuer, keys, signers, place, forgotten: None };
        if let Some(before) = before {
            crl.check_not_too_early(before.lists.of_normal(&name), now)?;
        }
        self.lists.add(name, crl)
    }
}

/// The lists of a file: PEM, which may hold several, or DER; each with its place in the file.
pub(super) fn lists(bytes: &[u8], name: &str) -> Result<Vec<(CertificateRevocationListDer<'static>, String)>, Error> {
    if is_der(bytes) {
        check_form(bytes, name, Form::RevocationList, "revocation list")?;
        return Ok(vec![(bytes.to_vec().into(), name.to_owned())]);
    }
    let blocks = blocks(bytes, name, "X509 CRL", "revocation list")?;
    blocks
        .iter()
        .map(|block| {
            let der = CertificateRevocationListDer::from_pem_slice(block.pem).map_err(|error| {
                Error::new(format!("{}: this revocation list is broken", block.place))
                    .caused_by(PemProblem(error))
                    .hint("copy the file again, whole")
            })?;
            Ok((der, block.place.clone()))
        })
        .collect()
}

/// The positions of the CAs that signed a list, at least one: they have its name, their key verifies its signature, they may
/// sign lists, and they lead to a trusted CA (RFC 5280, section 6.3.3 (f) and (g)).
fn signers(
    trust: &Trust,
    list: &RevocationList,
    name: &[u8],
    signed: &SignedList<'_>,
    place: &str,
) -> Result<Vec<usize>, Error> {
    let issuer = || name_text(&list.issuer);
    let checks: Vec<_> = trust
        .namesakes(name)
        .map(|at| (at, check_list(signed, &trust.authorities[at].spki, &trust.algorithms)))
        .collect();
    if checks.is_empty() {
        return Err(Error::new(format!(
            "{place}: this revocation list was issued by {}, which is not a loaded CA",
            issuer()
        ))
        .hint(
            "add that CA, with `TrustBuilder::intermediates_file` if a CA of `TrustBuilder::pem_file` has signed it, otherwise with `TrustBuilder::pem_file`; or remove the list",
        ));
    }
    let mut signers: Vec<usize> = checks.iter().filter(|(_, check)| *check == Check::Good).map(|(at, _)| *at).collect();
    if signers.is_empty() {
        return Err(not_signed(checks.into_iter().map(|(_, check)| check), &issuer(), place));
    }
    signers.retain(|at| trust.authorities[*at].may_sign_crls);
    if signers.is_empty() {
        return Err(Error::new(format!(
            "{place}: the CA {} may not sign revocation lists (its keyUsage lacks cRLSign)",
            issuer()
        ))
        .hint("issue the CA's certificate again with keyUsage keyCertSign, cRLSign"));
    }
    signers.retain(|at| !trust.authorities[*at].anchors.is_empty());
    if signers.is_empty() {
        return Err(Error::new(format!(
            "{place}: this revocation list is of {}, an intermediate that leads to no trusted CA",
            issuer()
        ))
        .hint("add the CA that signed the intermediate with `TrustBuilder::pem_file`; or remove the list"));
    }
    Ok(signers)
}

/// No CA with its name has a key that verifies the signature of a list.
fn not_signed(checks: impl Iterator<Item = Check>, issuer: &str, place: &str) -> Error {
    let unsupported = checks.filter_map(|check| match check {
        Check::Unsupported(why) => Some(why),
        _ => None,
    });
    match unsupported.last() {
        Some(Unsupported::Algorithm { name, .. }) => Error::new(format!(
            "{place}: this revocation list of {issuer} is signed with an algorithm that is not accepted ({name})"
        ))
        .hint("have the CA sign it with SHA-256"),
        Some(Unsupported::Key(_, key)) => Error::new(format!(
            "{place}: this revocation list of {issuer} is signed with a key that is not accepted ({key})"
        ))
        .hint("make a new CA, with a key of EC P-256 or RSA 2048"),
        None => Error::new(format!(
            "{place}: this revocation list names {issuer} as its issuer, but is not signed with its key"
        ))
        .hint(
            "it is damaged or forged, or the CA was renewed with a new key or has several keys: get the list again, or \
             load that CA's certificate too, with `TrustBuilder::intermediates_file` or `TrustBuilder::pem_file`",
        ),
    }
}
