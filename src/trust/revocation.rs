//! The revocation lists in force: read from files, held against the CAs of trust, and asked about each certificate on a
//! path. A list that cannot be relied on is an error when it is read; nothing is skipped.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject;

use crate::certificate::Certificate;
use crate::clock::timestamp;
use crate::error::Error;
use crate::identity::{Identity, hex, name_text};
use crate::pem::PemProblem;
use crate::revocation_list::{Revocation, RevocationList, SignedList, Unusable};

use super::judge::Problem;
use super::refusal::RefusalCode;
use super::signature::{Check, check, has_signed_list};
use super::{Authority, Trust};

/// What is to be done with clients when the list of their CA is stale.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StaleCrl {
    /// Refuse them: the list may hide a revocation. The default.
    #[default]
    Refuse,
    /// Judge them by the stale list, and warn the operator.
    Warn,
}

/// A revocation list in force.
#[derive(Debug, Clone)]
pub struct Crl {
    list: Arc<RevocationList>,
    issuer: Identity,
    /// Where it was read, in words.
    place: String,
}

impl Crl {
    /// The CA that issued it.
    pub fn issuer(&self) -> &Identity {
        &self.issuer
    }

    /// Its CRL number, which grows with each list of a CA (RFC 5280, section 5.2.3): decimal, or `0x…` beyond 64 bits.
    pub fn number(&self) -> String {
        self.list.number_text()
    }

    /// When it was issued.
    pub fn this_update(&self) -> SystemTime {
        self.list.this_update
    }

    /// From when on it is stale.
    pub fn next_update(&self) -> SystemTime {
        self.list.next_update
    }

    /// How many certificates it revokes.
    pub fn revoked(&self) -> usize {
        self.list.len()
    }

    /// When and why it revokes a certificate of its issuer; `None`: it does not.
    #[cfg(feature = "cli")]
    pub(crate) fn entry(&self, identity: &Identity) -> Option<(SystemTime, &'static str)> {
        let certificate = Certificate::parse(identity.der()).ok()?;
        let Revocation { date, reason } = self.list.find(certificate.serial)?;
        Some((date, reason))
    }
}

/// How revocation is dealt with.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RevocationRules {
    pub(super) stale: StaleCrl,
    /// A certificate whose CA has no list is refused.
    pub(super) required: bool,
}

impl RevocationRules {
    /// Whether `certificate`, whose issuer has the list `crl`, still counts; `Ok`: until then, as far as is known.
    pub(super) fn check(
        self,
        certificate: &Certificate<'_>,
        crl: Option<&Crl>,
        now: SystemTime,
    ) -> Result<Option<SystemTime>, Problem> {
        let Some(crl) = crl else {
            return match self.required {
                true => {
                    let (issuer, subject) = (name_text(certificate.issuer), name_text(certificate.subject));
                    let detail = format!("there is no revocation list of {issuer}, which issued {subject}");
                    Err(Problem::new(RefusalCode::CrlMissing, detail))
                }
                false => Ok(None),
            };
        };
        if let Some(problem) = revoked(certificate, crl) {
            return Err(problem);
        }
        match self.stale {
            StaleCrl::Warn => Ok(None),
            StaleCrl::Refuse if now < crl.next_update() => Ok(Some(crl.next_update())),
            StaleCrl::Refuse => {
                let (number, issuer) = (crl.number(), crl.issuer.subject());
                let (due, now) = (timestamp(crl.next_update()), timestamp(now));
                let detail =
                    format!("the next list after number {number} of {issuer} was due on {due}, and it is {now}");
                Err(Problem::new(RefusalCode::CrlExpired, detail))
            }
        }
    }
}

/// What the list of its issuer says of a certificate, if it revokes it.
fn revoked(certificate: &Certificate<'_>, crl: &Crl) -> Option<Problem> {
    let Revocation { date, reason } = crl.list.find(certificate.serial)?;
    let detail = format!(
        "{} (serial {}) was revoked on {}, reason {reason}, by list number {} of {}",
        name_text(certificate.subject),
        hex(certificate.serial),
        timestamp(date),
        crl.number(),
        crl.issuer.subject()
    );
    Some(Problem::new(RefusalCode::Revoked, detail))
}

impl Trust {
    /// The revocation lists in force, one for each CA that has one.
    pub fn crls(&self) -> impl Iterator<Item = &Crl> {
        self.authorities.iter().filter_map(|authority| authority.crl.as_ref())
    }

    /// Whether a certificate counts that the holder of `issuer_spki` issued, on a path to the anchor at `anchor`; `Ok`: until then.
    pub(super) fn check_revocation(
        &self,
        certificate: &Certificate<'_>,
        issuer_spki: &[u8],
        _anchor: usize,
        now: SystemTime,
    ) -> Result<Option<SystemTime>, Problem> {
        let same = |known: &&Authority| *known.spki == *issuer_spki;
        let crl = self.issuers_of(certificate).filter(same).find_map(|authority| authority.crl.as_ref());
        self.revocation.check(certificate, crl, now)
    }

    fn issuers_of(&self, certificate: &Certificate<'_>) -> impl Iterator<Item = &Authority> {
        let name = crate::distinguished_name::normal_form(certificate.issuer);
        let places = name.map(|name| self.namesakes(&name).collect::<Vec<_>>()).unwrap_or_default();
        places.into_iter().map(|at| &self.authorities[at])
    }

    /// The list of the loaded CA that signed a certificate itself; if there is no telling, of one that may have.
    #[cfg(feature = "cli")]
    pub(crate) fn crl_for(&self, certificate: &Certificate<'_>) -> Option<&Crl> {
        let issuers = || self.issuers_of(certificate);
        [true, false].into_iter().find_map(|good| {
            issuers()
                .filter(|issuer| match check(certificate, &issuer.spki, &self.algorithms) {
                    Check::Good => good,
                    Check::Unsupported(_) => !good,
                    _ => false,
                })
                .find_map(|issuer| issuer.crl.as_ref())
        })
    }

    /// Whether a loaded CA has revoked a certificate that it signed itself, wherever a path would lead. With a signature that
    /// is not checked (SHA-1), it counts as the signer: its list says so.
    pub(super) fn revocation_of(&self, certificate: &Certificate<'_>) -> Option<Problem> {
        let issuers = self.issuers_of(certificate);
        issuers.filter_map(|issuer| Some((issuer, issuer.crl.as_ref()?))).find_map(|(issuer, crl)| {
            let problem = revoked(certificate, crl)?;
            matches!(check(certificate, &issuer.spki, &self.algorithms), Check::Good | Check::Unsupported(_))
                .then_some(problem)
        })
    }

    /// Puts a list in force that was read at `place`, if it is newer than the one in force. One that was in `before` is no
    /// less good if the clock has been set back since.
    pub(super) fn add_crl(
        &mut self,
        der: &[u8],
        place: &str,
        now: SystemTime,
        before: Option<&Self>,
    ) -> Result<(), Error> {
        let (list, signed) = RevocationList::parse(der).map_err(|unusable| {
            let error = Error::new(format!("{place}: this revocation list cannot be used"));
            match mend(&unusable) {
                Some(hint) => error.caused_by(unusable).hint(hint),
                None => error.caused_by(unusable),
            }
        })?;
        let keys = issuers(&list, &signed, place, &self.authorities, &self.algorithms)?;
        let is_known = |before: &Self| before.crls().any(|known| known.list.digest == list.digest);
        if list.this_update > now && !before.is_some_and(is_known) {
            // Without the time of now: an error that is met again is the same error.
            let from = timestamp(list.this_update);
            return Err(Error::new(format!("{place}: this revocation list is from the future, issued on {from}"))
                .hint("set the clock, here or where it was made"));
        }
        let list = Arc::new(list);
        for at in keys {
            let authority = &mut self.authorities[at];
            let crl = Crl { list: Arc::clone(&list), issuer: authority.identity.clone(), place: place.to_owned() };
            match &authority.crl {
                Some(known) if crl.list.is_older_than(&known.list) => {}
                Some(known) if !known.list.is_older_than(&crl.list) && known.list.digest != crl.list.digest => {
                    let (number, issuer) = (crl.number(), crl.issuer.subject());
                    return Err(Error::new(format!(
                        "{place}: a second, different revocation list number {number} of {issuer}"
                    ))
                    .hint(format!(
                        "the first is in {}; keep the one that the CA issued last, under a number of its own",
                        known.place
                    )));
                }
                _ => authority.crl = Some(crl),
            }
        }
        Ok(())
    }

    /// Once all lists are there: which of the CAs are revoked themselves.
    pub(super) fn note_revoked_authorities(&mut self) {
        let revoked_one = |authority: &Authority| {
            let certificate = Certificate::parse(authority.identity.der()).ok()?;
            let problem = self.revocation_of(&certificate)?;
            Some(Problem { detail: format!("the CA {}", problem.detail), ..problem })
        };
        let revoked: Vec<_> = self.authorities.iter().map(revoked_one).collect();
        for (authority, revoked) in self.authorities.iter_mut().zip(revoked) {
            authority.revoked = revoked;
        }
    }

    /// Nothing that was revoked before may come back by a file that is older, or gone.
    pub(super) fn check_not_rolled_back(&self, before: &Trust) -> Result<(), Error> {
        for known in &before.authorities {
            let Some(in_force) = &known.crl else { continue };
            let same_key = |now: &&Authority| now.name == known.name && now.spki == known.spki;
            let Some(authority) = self.authorities.iter().find(same_key) else { continue };
            let (number, issuer) = (in_force.number(), in_force.issuer.subject());
            let Some(crl) = &authority.crl else {
                return Err(Error::new(format!(
                    "the revocation list of {issuer} is gone: number {number} is in force, from {}",
                    in_force.place
                ))
                .hint("put it back, or take out the CA too; a restart takes the files as they are"));
            };
            if crl.list.is_older_than(&in_force.list) {
                return Err(Error::new(format!(
                    "{}: this revocation list of {issuer} has number {}, lower than {number}, which is in force",
                    crl.place,
                    crl.number()
                ))
                .hint("put back the newest list of the CA; a restart takes the files as they are"));
            }
            if !in_force.list.is_older_than(&crl.list) && crl.list.digest != in_force.list.digest {
                return Err(Error::new(format!(
                    "{}: this revocation list of {issuer} is another than the one in force, under the same number {number}",
                    crl.place
                ))
                .hint("give the newest list of the CA a number of its own; a restart takes the files as they are"));
            }
        }
        Ok(())
    }

    /// What the operator should know about the lists at `now`, one sentence each.
    pub(super) fn crl_warnings(&self, now: SystemTime) -> Vec<String> {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        let mut warnings = Vec::new();
        for authority in &self.authorities {
            warnings.extend(authority.revoked.as_ref().map(|problem| problem.detail.clone()));
            let Some(crl) = &authority.crl else {
                let subject = authority.identity.subject();
                if self.revocation.required {
                    warnings
                        .push(format!("no revocation list of {subject}, and one is required: its clients are refused"));
                } else if self.crls().next().is_some() {
                    warnings.push(format!("no revocation list of {subject}: its clients are judged without one (--crl-required refuses them)"));
                }
                continue;
            };
            let (number, issuer, due) = (crl.number(), crl.issuer.subject(), timestamp(crl.next_update()));
            let consequence = match self.revocation.stale {
                StaleCrl::Refuse => "its clients are refused",
                StaleCrl::Warn => "what was revoked since is not known",
            };
            if now >= crl.next_update() {
                warnings.push(format!("the revocation list of {issuer} is stale: the next after number {number} was due on {due}; {consequence}"));
            } else if now + DAY >= crl.next_update() {
                warnings.push(format!("the revocation list of {issuer}, number {number}, is good until {due} only; from then on {consequence}"));
            }
        }
        warnings
    }
}

/// The lists of a file: PEM, which may hold several, or DER. With each, where it stands.
pub(super) fn lists(bytes: &[u8], name: &str) -> Result<Vec<(CertificateRevocationListDer<'static>, String)>, Error> {
    if crate::pem::is_der(bytes) {
        crate::pem::check_form(bytes, name, crate::pem::Form::RevocationList, "revocation list")?;
        return Ok(vec![(bytes.to_vec().into(), name.to_owned())]);
    }
    let blocks = crate::pem::blocks(bytes, name, "X509 CRL", "revocation list")?;
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

/// The places of the CAs whose key signed a list: one, or several that share it.
fn issuers(
    list: &RevocationList,
    signed: &SignedList<'_>,
    place: &str,
    authorities: &[Authority],
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<Vec<usize>, Error> {
    let name = crate::distinguished_name::normal_form(&list.issuer);
    let namesakes = || authorities.iter().enumerate().filter(|(_, authority)| Some(&authority.name) == name.as_ref());
    let issuer = || name_text(&list.issuer);
    if namesakes().next().is_none() {
        return Err(Error::new(format!(
            "{place}: this revocation list was issued by {}, which is no loaded CA",
            issuer()
        ))
        .hint("add that CA with --ca, or take the list out"));
    }
    if !algorithms.all.iter().any(|known| known.signature_alg_id().as_ref() == signed.algorithm) {
        return Err(Error::new(format!(
            "{place}: this revocation list of {} is signed by an algorithm that is not accepted",
            issuer()
        ))
        .hint("have the CA sign it with SHA-256"));
    }
    let signed_it = |(_, authority): &(usize, &Authority)| has_signed_list(signed, &authority.spki, algorithms);
    let signers: Vec<_> = namesakes().filter(signed_it).collect();
    if signers.is_empty() {
        return Err(Error::new(format!(
            "{place}: this revocation list has the name of {}, but not its signature",
            issuer()
        ))
        .hint(
            "it is damaged, forged, or of a CA that was made anew under its old name: get it again from the CA of --ca",
        ));
    }
    if !signers.iter().any(|(_, authority)| authority.may_sign_crls) {
        return Err(Error::new(format!(
            "{place}: the CA {} may not sign revocation lists (its keyUsage lacks cRLSign)",
            issuer()
        ))
        .hint("make the CA's certificate anew with keyUsage keyCertSign, cRLSign"));
    }
    Ok(signers.into_iter().map(|(at, _)| at).collect())
}

fn mend(unusable: &Unusable) -> Option<&'static str> {
    match unusable {
        Unusable::Version | Unusable::NoNumber => Some(
            "have the CA number its lists: with openssl, crlnumber = FILE and crl_extensions with authorityKeyIdentifier in \
             its configuration",
        ),
        Unusable::NoNextUpdate => Some("have the CA say when the next list is due (openssl ca -gencrl -crldays 30)"),
        Unusable::Partial => Some("have the CA issue one complete list"),
        Unusable::Broken(_) => Some("it must be PEM (-----BEGIN X509 CRL-----) or DER; get it again from the CA"),
    }
}
