//! A revocation is never undone while a server runs: new lists are compared with those that were in force before.

use std::sync::Arc;
use std::time::SystemTime;

use crate::clock::timestamp;
use crate::error::Error;
use crate::hex::hex;
use crate::x509::certificate::is_same_key;
use crate::x509::crl::{Number, Order, Scope, contradict};
use crate::x509::distinguished_name::is_same_name;

use super::Trust;
use super::crl::Crl;

impl Trust {
    /// Nothing that was revoked may be valid again because a file is older or gone. If a CA is gone, what it revoked stays
    /// revoked, because a client may send another certificate for that CA's key that leads to another trusted CA.
    pub(super) fn take_over_lists(&mut self, before: &Self) -> Result<(), Error> {
        for (name, known) in &before.lists.in_force {
            for known in known {
                match self.lists.in_line_with(name, known) {
                    Some(crl) => crl.follow(known)?,
                    None => self.succeed(name, known)?,
                }
            }
        }
        for crl in self.lists.in_force.values().flatten() {
            before.lists.history.check(crl)?;
        }
        self.lists.history.follow(&before.lists.history);
        Ok(())
    }

    /// A list that is gone is an error, unless everything that it revoked is still revoked. If a list of the same CA revokes
    /// it, that list replaces this one. A list of another CA may drop it later, so this one is remembered.
    fn succeed(&mut self, name: &[u8], known: &Crl) -> Result<(), Error> {
        let anchors: Vec<usize> = known.keys().flat_map(|key| self.anchors_of_key(name, key)).collect();
        let is_relative =
            |crl: &&Crl| known.keys().any(|key| crl.is_signed_with(key)) || self.leads_to_any(crl, &anchors);
        let in_force = self.lists.of_normal(name).iter().filter(|crl| !crl.is_only_remembered());
        let (own, others): (Vec<_>, Vec<_>) = in_force.partition(is_relative);
        let is_superseded_by = |heirs: &[&Crl]| heirs.iter().any(|heir| heir.supersedes(known));
        if is_superseded_by(&own) {
            return Ok(());
        }
        let is_loaded = self.namesakes(name).any(|at| known.is_signed_with(&self.authorities[at].spki));
        if is_loaded && !known.is_only_remembered() && !(own.is_empty() && is_superseded_by(&others)) {
            return Err(Error::new(format!(
                "the revocation list of {} is gone: {} is in force, from {}",
                known.series(),
                known.edition(),
                known.place
            ))
            .hint("put it back, or remove the CA too; a restart accepts the files as they are"));
        }
        self.lists.in_force.entry(name.into()).or_default().push(known.remembered());
        Ok(())
    }
}

/// What was read of each series of lists: those of one CA, key and scope. Earlier numbers are remembered even if a list
/// without a number follows, or if another series replaces a whole series for a time.
#[derive(Debug, Default)]
pub(super) struct History(Vec<Line>);

#[derive(Debug, Clone)]
struct Line {
    /// Raw DER.
    issuer: Vec<u8>,
    keys: Arc<[Box<[u8]>]>,
    scope: Scope,
    latest: SystemTime,
    highest: Option<Numbered>,
}

/// The list with the highest number.
#[derive(Debug, Clone)]
struct Numbered {
    number: Number,
    this_update: SystemTime,
    text: String,
}

impl History {
    /// Adds a list that was read together with the others. The list with the highest number must have the latest date.
    pub(super) fn add(&mut self, crl: &Crl) -> Result<(), Error> {
        let line = Line::of(crl);
        let known = self.0.iter().find(|known| known.is_same(&line)).and_then(|known| known.highest.as_ref());
        if let (Some(own), Some(known)) = (&line.highest, known)
            && contradict(own.number.cmp(&known.number), own.this_update.cmp(&known.this_update))
        {
            return Err(crossed(crl, &known.text, known.this_update));
        }
        self.merge(line);
        Ok(())
    }

    /// Whether a later list is not older.
    fn check(&self, crl: &Crl) -> Result<(), Error> {
        let line = Line::of(crl);
        let Some(known) = self.0.iter().find(|known| known.is_same(&line)) else { return Ok(()) };
        match (&line.highest, &known.highest) {
            (Some(own), Some(known)) if own.number < known.number => {
                Err(older(crl, &format!("has number {}, lower than {}, which was in force", own.number, known.number)))
            }
            _ if line.latest < known.latest => {
                let (own, known) = (timestamp(line.latest), timestamp(known.latest));
                Err(older(crl, &format!("was issued on {own}, earlier than that of {known}, which was in force")))
            }
            _ => Ok(()),
        }
    }

    fn follow(&mut self, before: &Self) {
        before.0.iter().cloned().for_each(|line| self.merge(line));
    }

    fn merge(&mut self, line: Line) {
        let Some(known) = self.0.iter_mut().find(|known| known.is_same(&line)) else { return self.0.push(line) };
        known.latest = known.latest.max(line.latest);
        let number = |line: &Line| line.highest.as_ref().map(|highest| highest.number.clone());
        if number(&line) > number(known) {
            known.highest = line.highest;
        }
    }
}

impl Line {
    fn of(crl: &Crl) -> Self {
        let this_update = crl.this_update();
        let numbered = |number: &Number| Numbered { number: number.clone(), this_update, text: crl.to_string() };
        Self {
            issuer: crl.list.issuer.clone(),
            keys: Arc::clone(&crl.keys),
            scope: crl.list.scope.clone(),
            latest: this_update,
            highest: crl.list.number.as_ref().map(numbered),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        self.keys.iter().any(|key| other.keys.iter().any(|other| is_same_key(key, other)))
            && self.scope == other.scope
            && is_same_name(&self.issuer, &other.issuer)
    }
}

impl Crl {
    /// While a server runs, a list that is from the future does not replace a valid one. A list that was in force before
    /// stays valid if the clock has been set back since.
    pub(super) fn check_not_too_early(&self, before: &[Crl], now: SystemTime) -> Result<(), Error> {
        let known = before.iter().find(|known| known.is_in_line_with(self));
        match known.filter(|known| self.this_update() > now && known.this_update() <= now) {
            Some(known) if known.list.digest != self.list.digest => {
                // The current time is left out, so that the error stays the same when it is repeated.
                let from = timestamp(self.this_update());
                let place = &self.place;
                Err(Error::new(format!("{place}: this revocation list is from the future, issued on {from}"))
                    .hint("set the clock, here or where it was made; it is tried again until its date"))
            }
            _ => Ok(()),
        }
    }

    /// Whether it revokes everything that another list of its name revokes permanently, is not older, and does not cover
    /// less.
    fn supersedes(&self, known: &Self) -> bool {
        self.list.scope.includes(&known.list.scope)
            && self.this_update() >= known.this_update()
            && known.list.missing_in(&self.list).next().is_none()
    }

    /// Replaces the earlier list of its series.
    fn follow(&mut self, before: &Self) -> Result<(), Error> {
        let (place, issuer) = (&self.place, self.series());
        match self.list.compared_with(&before.list) {
            Order::Same => self.forgotten.clone_from(&before.forgotten),
            Order::Newer => self.forgotten = forgotten(before, self),
            Order::Crossed if before.this_update() > self.this_update() => {
                return Err(crossed(self, &before.to_string(), before.this_update()));
            }
            Order::Older | Order::Crossed => {
                let (own, others) = (timestamp(self.this_update()), timestamp(before.this_update()));
                let why = match (self.number(), before.number()) {
                    (Some(own), Some(others)) => format!("has number {own}, lower than {others}, which is in force"),
                    _ if own == others => format!("is dated {own}, like the one in force, but revokes less"),
                    _ => format!("was issued on {own}, earlier than that of {others}, which is in force"),
                };
                return Err(older(self, &why));
            }
            Order::Twin => {
                let same = match (self.number(), before.number()) {
                    (Some(number), Some(_)) => format!("number {number}"),
                    _ => format!("date {}", timestamp(self.this_update())),
                };
                return Err(Error::new(format!(
                    "{place}: this revocation list of {issuer} differs from the one in force, but has the same {same}"
                ))
                .hint("give the newest list of the CA a number of its own; a restart accepts the files as they are"));
            }
        }
        Ok(())
    }
}

fn older(crl: &Crl, why: &str) -> Error {
    Error::new(format!("{}: this revocation list of {} {why}", crl.place, crl.series()))
        .hint("put back the newest list of the CA; a restart accepts the files as they are")
}

/// The higher number has the earlier date: one of them is wrong, and it is unknown which.
pub(super) fn crossed(crl: &Crl, other: &str, others_date: SystemTime) -> Error {
    let (one, two) = (timestamp(crl.this_update()), timestamp(others_date));
    Error::new(format!(
        "{}: {crl} was issued on {one}, and {other} on {two}: the higher number has the earlier date",
        crl.place
    ))
    .hint("have the CA sign a new list, with the right time and a number above all others")
}

/// What was permanently revoked and is missing from the next list. An entry stays until one list after its certificate has
/// expired (RFC 5280, section 3.3); only certificates on hold may be dropped (section 5.3.1).
fn forgotten(before: &Crl, after: &Crl) -> Option<String> {
    const MOST: usize = 20;
    let mut missing: Vec<&[u8]> = before.list.missing_in(&after.list).collect();
    missing.dedup();
    let count = missing.len();
    let named: Vec<_> = missing.into_iter().take(MOST).map(hex).collect();
    let more = if count > MOST { ", …" } else { "" };
    let what = if count == 1 { "serial number" } else { "serial numbers" };
    (count > 0).then(|| {
        format!(
            "{after} no longer revokes {count} {what} that {before} revoked: {}{more}; unless their certificates have expired, these \
             are let in again: was the CA restored from a backup? Revoke them again",
            named.join(", ")
        )
    })
}
