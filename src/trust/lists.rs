//! The revocation lists in force, by the names of their issuers: read from files, held against the CAs of trust, and against
//! those that were in force before. A list that cannot be relied on is an error when it is read; nothing is skipped.

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
    /// Under the names of their issuers in normal form (RFC 5280, section 7.1).
    pub(super) in_force: BTreeMap<Box<[u8]>, Vec<Crl>>,
    /// What was read of each line of lists, in force or not.
    pub(super) history: History,
}

impl Lists {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Crl> {
        self.in_force.values().flatten()
    }

    /// Those of a CA with this name in DER (RFC 5280, section 6.3.3 (b) (1)): of all keys and scopes.
    pub(super) fn of(&self, issuer: &[u8]) -> &[Crl] {
        normal_form(issuer).map_or(&[], |name| self.of_normal(&name))
    }

    /// The same for a name in normal form.
    pub(super) fn of_normal(&self, name: &[u8]) -> &[Crl] {
        self.in_force.get(name).map_or(&[], Vec::as_slice)
    }

    /// The one of a name, in normal form, that is in line with another one.
    pub(super) fn in_line_with(&mut self, name: &[u8], other: &Crl) -> Option<&mut Crl> {
        self.in_force.get_mut(name)?.iter_mut().find(|crl| crl.is_in_line_with(other))
    }

    /// Puts a list in force, if it is newer than the one of its line that is in force.
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
                    "the first is in {}; keep the one that the CA issued last, under a number of its own",
                    known.place
                )));
            }
            Order::Crossed => return Err(crossed(&crl, &known.to_string(), known.this_update())),
        }
        Ok(())
    }
}

impl Trust {
    /// The revocation lists in force: each CA that has any may have several, for its keys and for parts of its certificates.
    pub fn crls(&self) -> impl Iterator<Item = &Crl> {
        self.lists.iter()
    }

    /// Puts a list in force that was read at `place`, if it is newer than the one in force.
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
            Error::new(format!("{place}: the issuer of this revocation list is no name"))
                .hint("get it again from the CA; if it is the same, the program that made it is at fault")
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

/// The lists of a file: PEM, which may hold several, or DER. With each, where it stands.
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

/// The places of the CAs that signed a list, of which there is one at least: they have its name, their key verifies its
/// signature, they may sign lists, and they lead to a CA that is trusted (RFC 5280, section 6.3.3 (f) and (g)).
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
            "{place}: this revocation list was issued by {}, which is no loaded CA",
            issuer()
        ))
        .hint(
            "add that CA with `TrustBuilder::intermediates_file` if a CA of `TrustBuilder::pem_file` has signed it, or else with \
             `TrustBuilder::pem_file`; or take the list out",
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
        .hint("make the CA's certificate anew with keyUsage keyCertSign, cRLSign"));
    }
    signers.retain(|at| !trust.authorities[*at].anchors.is_empty());
    if signers.is_empty() {
        return Err(Error::new(format!(
            "{place}: this revocation list is of {}, an intermediate that leads to no trusted CA",
            issuer()
        ))
        .hint("add the CA that signed the intermediate with `TrustBuilder::pem_file`; or take the list out"));
    }
    Ok(signers)
}

/// No key of a CA with its name verifies the signature of a list.
fn not_signed(checks: impl Iterator<Item = Check>, issuer: &str, place: &str) -> Error {
    let unsupported = checks.filter_map(|check| match check {
        Check::Unsupported(why) => Some(why),
        _ => None,
    });
    match unsupported.last() {
        Some(Unsupported::Algorithm { name, .. }) => Error::new(format!(
            "{place}: this revocation list of {issuer} is signed by an algorithm that is not accepted ({name})"
        ))
        .hint("have the CA sign it with SHA-256"),
        Some(Unsupported::Key(_, key)) => Error::new(format!(
            "{place}: this revocation list of {issuer} is signed with a key that is not accepted ({key})"
        ))
        .hint("make the CA anew, with a key of EC P-256 or RSA 2048"),
        None => Error::new(format!("{place}: this revocation list has the name of {issuer}, but not its signature")).hint(
            "it is damaged, forged, or signed with another key of a CA that was made anew or has several: get it again, or \
             load that CA's certificate too, with `TrustBuilder::intermediates_file` or `TrustBuilder::pem_file`",
        ),
    }
}
