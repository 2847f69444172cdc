//! Whether a certificate is revoked (RFC 5280, section 6.3.3): what the lists in force say about each certificate on a path.

use std::time::SystemTime;

use crate::clock::{days, timestamp};
use crate::hex::hex;
use crate::x509::certificate::{Certificate, is_same_key};
use crate::x509::crl::{Coverage, Revocation};
use crate::x509::distinguished_name::normal_form;
use crate::x509::identity::name_text;
use crate::x509::signature::{Check, check};

use super::crl::Crl;
use super::problem::{Problem, after};
use super::refusal::RefusalCode;
use super::{Authority, Trust};

/// What to do with clients when the list of their CA is stale, or dated in the future.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StaleCrl {
    /// Refuse them: the list may hide a revocation. The default.
    #[default]
    Refuse,
    /// Judge them by the list that there is, and warn the operator.
    Warn,
}

/// How revocation is handled.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RevocationRules {
    pub(super) stale: StaleCrl,
    /// Whether a certificate is refused if its CA has no list.
    pub(super) required: bool,
}

impl Trust {
    /// Whether a certificate is not revoked. It was signed with the key `issuer_spki`, and its path leads to the trust
    /// anchor at this position. `Ok`: until when this holds, as far as lists are concerned.
    pub(super) fn check_revocation(
        &self,
        certificate: &Certificate<'_>,
        issuer_spki: &[u8],
        anchor: usize,
        now: SystemTime,
    ) -> Result<Option<SystemTime>, Problem> {
        let word = match normal_form(certificate.issuer) {
            Some(name) => {
                // A path to one trust anchor does not separate a CA from its lists under another.
                let mut anchors = self.anchors_of_key(&name, issuer_spki);
                anchors.push(anchor);
                let is_own = |crl: &Crl| crl.is_signed_with(issuer_spki) || self.leads_to_any(crl, &anchors);
                Word::on(certificate, self.lists.of_normal(&name), is_own)
            }
            None => Word::on(certificate, &[], |_| false),
        };
        match word.revocation() {
            Some(problem) => Err(problem),
            None => self.check_currency(&word, issuer_spki, anchor, now),
        }
    }

    /// Whether a list revokes a certificate for which there is no path: a pinned certificate or a trusted CA. If its
    /// signature cannot be checked (SHA-1), any list with its issuer's name counts.
    pub(super) fn revocation_of(&self, certificate: &Certificate<'_>) -> Option<Problem> {
        self.word_on(certificate).revocation()
    }

    /// The list that decides about a certificate, or would decide: for explanations.
    #[cfg(feature = "cli")]
    pub(crate) fn crl_for(&self, certificate: &Certificate<'_>) -> Option<&Crl> {
        let word = self.word_on(certificate);
        let revoking = word.heard().find(|crl| crl.list.find(certificate.serial).is_some());
        revoking.or_else(|| word.speaking().next().map(|(crl, _)| crl)).or_else(|| word.heard().next())
    }

    /// What the lists say about a certificate without a path. The lists of its issuer are those whose key verifies it, and
    /// those of the same CA with another key.
    fn word_on<'l, 'c>(&'l self, certificate: &'c Certificate<'c>) -> Word<'l, 'c> {
        let lists = self.lists.of(certificate.issuer);
        let signed_it = |key| check(certificate, key, &self.algorithms) == Check::Good;
        let keys: Vec<&[u8]> = lists.iter().flat_map(Crl::keys).filter(|key| signed_it(key)).collect();
        let is_by_key = |crl: &Crl| keys.iter().any(|key| crl.is_signed_with(key));
        let anchors: Vec<usize> =
            lists.iter().filter(|crl| is_by_key(crl)).flat_map(|crl| self.anchors_of(crl)).collect();
        Word::on(certificate, lists, |crl| is_by_key(crl) || self.leads_to_any(crl, &anchors))
    }

    /// The positions of the trust anchors that the loaded CAs with this name, in normal form, and this key lead to.
    pub(super) fn anchors_of_key(&self, name: &[u8], spki: &[u8]) -> Vec<usize> {
        let authorities = self.namesakes(name).map(|at| &self.authorities[at]);
        authorities
            .filter(|authority| is_same_key(&authority.spki, spki))
            .flat_map(|authority| &authority.anchors)
            .copied()
            .collect()
    }

    pub(super) fn leads_to_any(&self, crl: &Crl, anchors: &[usize]) -> bool {
        self.anchors_of(crl).any(|at| anchors.contains(&at))
    }

    /// The positions of the trust anchors that the signers of a list lead to.
    fn anchors_of(&self, crl: &Crl) -> impl Iterator<Item = usize> {
        crl.signers.iter().flat_map(|at| &self.authorities[*at].anchors).copied()
    }

    /// Finds the revoked CAs, once all lists are loaded.
    pub(super) fn note_revoked_authorities(&mut self) {
        let revoked_one = |authority: &Authority| {
            let certificate = Certificate::parse(authority.identity.der()).ok()?;
            let lists = self.lists.of(certificate.issuer);
            // For most of them, this avoids checking a signature.
            lists.iter().find(|crl| crl.list.find(certificate.serial).is_some())?;
            let problem = self.revocation_of(&certificate)?;
            Some(Problem { detail: format!("the CA {}", problem.detail), ..problem })
        };
        let revoked: Vec<_> = self.authorities.iter().map(revoked_one).collect();
        for (authority, revoked) in self.authorities.iter_mut().zip(revoked) {
            authority.revoked = revoked;
        }
    }

    /// Whether a current list says that the certificate is not revoked.
    fn check_currency(
        &self,
        word: &Word<'_, '_>,
        issuer_spki: &[u8],
        anchor: usize,
        now: SystemTime,
    ) -> Result<Option<SystemTime>, Problem> {
        let mut found = Found::default();
        for (crl, coverage) in word.speaking() {
            let mut until = (self.revocation.stale == StaleCrl::Refuse).then(|| crl.next_update());
            let mut problem = self.currency_problem(crl, now);
            if !crl.is_signed_with(issuer_spki) {
                match self.vouched_until(crl, anchor, now) {
                    Vouched::Until(vouched) => until = Some(until.map_or(vouched, |until| until.min(vouched))),
                    Vouched::NotNow(not_now) if self.revocation.stale == StaleCrl::Refuse => {
                        problem = problem.or(Some(not_now));
                    }
                    Vouched::NotNow(_) | Vouched::Never => continue,
                }
            }
            match (problem, coverage) {
                (None, Coverage::Yes) => found.current.push(until),
                (None, _) => found.unsure.push(until),
                (Some(problem), _) => found.problem = Some(problem),
            }
        }
        match found {
            // As long as one list is current, that is enough.
            Found { current, .. } if current.contains(&None) => Ok(None),
            Found { current, .. } if !current.is_empty() => Ok(current.into_iter().flatten().max()),
            // If a certificate does not say which list would revoke it, any of them may.
            Found { problem: Some(problem), .. } => Err(problem),
            Found { .. } if self.revocation.required => Err(word.missing()),
            Found { unsure, .. } => Ok(unsure.into_iter().flatten().min()),
        }
    }

    /// Whether a CA that signed the list leads to this trust anchor.
    fn vouched_until(&self, crl: &Crl, anchor: usize, now: SystemTime) -> Vouched {
        let signers = crl.signers.iter().map(|at| &self.authorities[*at]);
        let signers = signers.filter(|signer| signer.unrevoked.contains(&anchor));
        let dates = signers.map(|signer| (signer.identity.not_before(), signer.identity.not_after()));
        let (current, others): (Vec<_>, Vec<_>) = dates.partition(|(from, to)| *from <= now && now <= *to);
        let latest = |dates: Vec<(SystemTime, SystemTime)>| dates.into_iter().max_by_key(|(_, to)| *to);
        match (latest(current), latest(others)) {
            (Some((_, to)), _) => Vouched::Until(after(to)),
            (None, Some((from, to))) => Vouched::NotNow(not_now(crl, from, to, now)),
            (None, None) => Vouched::Never,
        }
    }

    /// Why the list is not current, if that matters.
    fn currency_problem(&self, crl: &Crl, now: SystemTime) -> Option<Problem> {
        let (from, due) = (crl.this_update(), crl.next_update());
        match self.revocation.stale {
            StaleCrl::Refuse if now < from => {
                let (list, edition, issued) = (crl.series(), crl.edition(), timestamp(from));
                let detail =
                    format!("the revocation list of {list}, {edition}, is from the future: it was issued on {issued}");
                Some(Problem { until: Some(from), ..Problem::new(RefusalCode::CrlNotYetValid, detail) })
            }
            StaleCrl::Refuse if now >= due => {
                let (edition, list) = (crl.edition(), crl.series());
                let (due, now) = (timestamp(due), timestamp(now));
                let detail = format!("the next list after {edition} of {list} was due on {due}, and it is {now}");
                Some(Problem::new(RefusalCode::CrlExpired, detail))
            }
            _ => None,
        }
    }

    /// What the operator should know about the lists at `now`, one sentence each.
    pub(super) fn crl_warnings(&self, now: SystemTime) -> Vec<String> {
        let mut warnings: Vec<String> = Vec::new();
        for authority in &self.authorities {
            warnings.extend(authority.revoked.as_ref().map(|problem| problem.detail.clone()));
            let subject = authority.identity.subject();
            if self.lists.of_normal(&authority.name).iter().any(|crl| self.counts_for(crl, authority)) {
                continue;
            }
            if self.revocation.required {
                warnings.push(format!("no revocation list of {subject}, and one is required: its clients are refused"));
            } else if self.crls().next().is_some() {
                let refuses = (self.words)("`TrustBuilder::require_crls` refuses them");
                warnings
                    .push(format!("no revocation list of {subject}: its clients are judged without one ({refuses})"));
            }
        }
        warnings.extend(self.crls().filter_map(|crl| crl.forgotten.clone()));
        warnings.extend(self.crls().filter_map(|crl| self.date_warning(crl, now)));
        warnings
    }

    /// Whether clients are refused whose CA has a list that is past its next update.
    pub fn refuses_by_stale_lists(&self) -> bool {
        self.revocation.stale == StaleCrl::Refuse
    }

    /// Whether a list belongs to this CA.
    fn counts_for(&self, crl: &Crl, authority: &Authority) -> bool {
        let is_its_own = crl.is_signed_with(&authority.spki) || self.leads_to_any(crl, &authority.anchors);
        is_its_own && !crl.is_only_remembered()
    }

    /// The current time is left out, so that the warning stays the same when it is repeated.
    fn date_warning(&self, crl: &Crl, now: SystemTime) -> Option<String> {
        let (from, due) = (timestamp(crl.this_update()), timestamp(crl.next_update()));
        let (list, edition) = (crl.series(), crl.edition());
        let (refused, used) = ("its clients are refused", "what was revoked since is not known");
        let consequence = if self.revocation.stale == StaleCrl::Refuse { refused } else { used };
        if crl.is_only_remembered() {
            return Some(format!("{crl} is no longer among the files: what it revoked stays revoked until a restart"));
        }
        if now < crl.this_update() {
            let consequence = match self.revocation.stale {
                StaleCrl::Refuse => "its clients are refused until then",
                StaleCrl::Warn => "it is used nevertheless",
            };
            return Some(format!(
                "the revocation list of {list} is from the future, issued on {from}: set the clock; {consequence}"
            ));
        }
        if now >= crl.next_update() {
            return Some(format!(
                "the revocation list of {list} is stale: the next one after {edition} was due on {due}; {consequence}"
            ));
        }
        (now + days(1) >= crl.next_update()).then(|| {
            format!("the revocation list of {list}, {edition}, is only valid until {due}; after that, {consequence}")
        })
    }
}

/// The repair if a CA was revoked, and with it all that it signed.
const REVOKED_CA: &str =
    "have its client certificates issued by another CA, which is not revoked; this one stays refused";

/// The repair if there are lists, but none for this certificate.
const OTHER_LIST: &str = "load the list that is for it too with `TrustBuilder::crl_file`: of its CA's key, and of its distribution point or for all \
                          certificates; or leave out `TrustBuilder::require_crls`";

/// Whether a list signed with another key than the certificate may be relied on (RFC 5280, section 6.3.3 (f)).
enum Vouched {
    Until(SystemTime),
    /// The CA that signed it is not valid now. A stale list may keep clients out, but lets nobody in.
    NotNow(Problem),
    Never,
}

/// The CA that signed a list is not valid at `now`.
fn not_now(crl: &Crl, from: SystemTime, to: SystemTime, now: SystemTime) -> Problem {
    let (list, dates) = (crl.to_string(), format!("from {} to {}", timestamp(from), timestamp(to)));
    let detail = format!("{list} was signed by a CA that is valid {dates}, and it is {}", timestamp(now));
    match now < from {
        true => Problem { until: Some(from), ..Problem::new(RefusalCode::CrlNotYetValid, detail) },
        false => Problem::new(RefusalCode::CrlExpired, detail).repaired_by(OTHER_SIGNER),
    }
}

/// The repair if the certificate of the key that signs the lists has expired.
const OTHER_SIGNER: &str = "have the CA sign a new revocation list, with a key whose certificate is valid, and load both (`TrustBuilder::crl_file`, \
                            `TrustBuilder::intermediates_file`)";

/// What the lists with the name of its issuer say about a certificate.
struct Word<'l, 'c> {
    certificate: &'c Certificate<'c>,
    /// The lists of its issuer: signed with the key that signed the certificate, or with the key of a CA of the same name
    /// that leads to the same trust anchor, which is the same CA with another key (RFC 5280, section 6.3.3 (f)).
    own: Vec<&'l Crl>,
    /// The lists of other CAs of the same name. They are ignored if a list of its issuer covers the certificate, so that two
    /// unrelated CAs of one name do not revoke each other's certificates.
    strangers: Vec<&'l Crl>,
}

impl<'l, 'c> Word<'l, 'c> {
    fn on(certificate: &'c Certificate<'c>, lists: &'l [Crl], is_own: impl Fn(&Crl) -> bool) -> Self {
        let (own, mut strangers): (Vec<_>, Vec<_>) = lists.iter().partition(|crl| is_own(crl));
        let says_all = |crl: &Crl| !crl.is_only_remembered() && crl.list.scope.covers(certificate) == Coverage::Yes;
        if own.iter().any(|crl| says_all(crl)) {
            strangers.clear();
        }
        Self { certificate, own, strangers }
    }

    /// All lists that count.
    fn heard(&self) -> impl Iterator<Item = &'l Crl> {
        self.own.iter().chain(&self.strangers).copied()
    }

    /// The lists of its issuer that would name the certificate if it were revoked, or might name it.
    fn speaking(&self) -> impl Iterator<Item = (&'l Crl, Coverage)> {
        let own = self.own.iter().filter(|crl| !crl.is_only_remembered());
        let speaking = own.map(|crl| (*crl, crl.list.scope.covers(self.certificate)));
        speaking.filter(|(_, coverage)| *coverage != Coverage::No)
    }

    /// A certificate that a list names is revoked, whatever the scope and the dates of the list (RFC 5280, section 6.3.3
    /// (j)).
    fn revocation(&self) -> Option<Problem> {
        self.heard().find_map(|crl| {
            let certificate = self.certificate;
            let Revocation { date, reason } = crl.list.find(certificate.serial)?;
            let (subject, serial, date) = (name_text(certificate.subject), hex(certificate.serial), timestamp(date));
            let detail = format!("{subject} (serial {serial}) was revoked on {date}, reason {reason}, by {crl}");
            let problem = Problem::new(RefusalCode::Revoked, detail);
            Some(if certificate.is_ca() { problem.repaired_by(REVOKED_CA) } else { problem })
        })
    }

    /// No list says that it is not revoked.
    fn missing(&self) -> Problem {
        let (issuer, subject) = (name_text(self.certificate.issuer), name_text(self.certificate.subject));
        match self.heard().find(|crl| !crl.is_only_remembered()) {
            None => {
                let detail = format!("there is no revocation list of {issuer}, which issued {subject}");
                Problem::new(RefusalCode::CrlMissing, detail)
            }
            Some(crl) => {
                let detail = format!("no revocation list of {issuer} is for {subject}, which it issued; {crl} is not");
                Problem::new(RefusalCode::CrlMissing, detail).repaired_by(OTHER_LIST)
            }
        }
    }
}

/// The lists about a certificate that none of them revokes.
#[derive(Default)]
struct Found {
    /// Until when each list is current that says that it is not revoked; `None`: the dates do not matter.
    current: Vec<Option<SystemTime>>,
    /// The same for lists of which it is unknown whether they would name the certificate.
    unsure: Vec<Option<SystemTime>>,
    /// Why another list is not current.
    problem: Option<Problem>,
}
