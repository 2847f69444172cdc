//! The authorised clients that were last seen: so many, and no more. Who has not been seen for longest is forgotten first.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use crate::sync::lock;
use crate::x509::identity::Identity;

/// How many clients are remembered. Each takes about half a kilobyte.
pub(super) const MOST: usize = 10_000;

/// As many characters of a name as the log writes.
const LONGEST_NAME: usize = 256;

/// A client, as it was last seen.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) facts: Arc<Facts>,
    pub(super) first_seen: SystemTime,
    pub(super) last_seen: SystemTime,
    pub(super) requests: u64,
}

/// What its certificate says.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) subject: Box<str>,
    pub(super) serial: Box<str>,
    pub(super) sha256: Box<str>,
    pub(super) issuer: Box<str>,
    pub(super) not_after: SystemTime,
    /// The CA of the server that vouches for it. `None`: it is let in by itself.
    pub(super) authority: Option<(Box<str>, Box<str>)>,
    authority_digest: Option<Digest>,
}

type Digest = [u8; 32];

#[derive(Debug)]
pub(super) struct Ledger(Mutex<Book>);

impl Default for Ledger {
    fn default() -> Self {
        Self(Mutex::new(Book::new(MOST)))
    }
}

impl Ledger {
    /// An authorised client has made a request.
    pub(super) fn note(&self, identity: &Identity, now: SystemTime) {
        lock(&self.0).note(identity, now);
    }

    /// All of them, who was seen last first.
    pub(super) fn clients(&self) -> Vec<Client> {
        lock(&self.0).clients()
    }
}

/// A list in the order of last sight, and where each client is in it.
#[derive(Debug)]
struct Book {
    most: usize,
    places: HashMap<Digest, usize, ByDigest>,
    lines: Vec<Line>,
    newest: usize,
    oldest: usize,
}

#[derive(Debug)]
struct Line {
    digest: Digest,
    client: Client,
    newer: usize,
    older: usize,
}

/// No line.
const NONE: usize = usize::MAX;

impl Book {
    fn new(most: usize) -> Self {
        Self { most, places: HashMap::with_hasher(ByDigest), lines: Vec::new(), newest: NONE, oldest: NONE }
    }

    fn note(&mut self, identity: &Identity, now: SystemTime) {
        // Most often it is the one that was just seen.
        let is_newest = self.lines.get(self.newest).is_some_and(|line| line.digest == *identity.digest());
        let place = if is_newest { Some(self.newest) } else { self.places.get(identity.digest()).copied() };
        let Some(place) = place else { return self.add(identity, now) };
        if place != self.newest {
            self.take_out(place);
            self.put_first(place);
        }
        let client = &mut self.lines[place].client;
        client.last_seen = now;
        client.requests += 1;
        // Trust may have changed, and another CA vouches for it now.
        if client.facts.authority_digest.as_ref() != identity.vouching().map(Identity::digest) {
            client.facts = Arc::new(Facts::of(identity));
        }
    }

    fn add(&mut self, identity: &Identity, now: SystemTime) {
        let facts = Arc::new(Facts::of(identity));
        let client = Client { facts, first_seen: now, last_seen: now, requests: 1 };
        let line = Line { digest: *identity.digest(), client, newer: NONE, older: NONE };
        let place = if self.lines.len() < self.most {
            self.lines.push(line);
            self.lines.len() - 1
        } else {
            let place = self.oldest;
            self.take_out(place);
            self.places.remove(&self.lines[place].digest);
            self.lines[place] = line;
            place
        };
        self.places.insert(*identity.digest(), place);
        self.put_first(place);
    }

    fn take_out(&mut self, place: usize) {
        let Line { newer, older, .. } = self.lines[place];
        match newer {
            NONE => self.newest = older,
            newer => self.lines[newer].older = older,
        }
        match older {
            NONE => self.oldest = newer,
            older => self.lines[older].newer = newer,
        }
    }

    fn put_first(&mut self, place: usize) {
        let before = self.newest;
        (self.lines[place].newer, self.lines[place].older) = (NONE, before);
        match before {
            NONE => self.oldest = place,
            before => self.lines[before].newer = place,
        }
        self.newest = place;
    }

    fn clients(&self) -> Vec<Client> {
        let line = |place: usize| self.lines.get(place);
        std::iter::successors(line(self.newest), |before| line(before.older)).map(|line| line.client.clone()).collect()
    }
}

impl Facts {
    fn of(identity: &Identity) -> Self {
        let authority = identity.vouching();
        Self {
            subject: cut(identity.subject()),
            serial: cut(identity.serial()),
            sha256: identity.sha256().into(),
            issuer: cut(identity.issuer()),
            not_after: identity.not_after(),
            authority: authority.map(|authority| (cut(authority.subject()), authority.sha256().into())),
            authority_digest: authority.map(|authority| *authority.digest()),
        }
    }
}

fn cut(name: &str) -> Box<str> {
    match name.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}…", &name[..end]).into(),
        None => name.into(),
    }
}

/// A SHA-256 needs no further hashing: nobody but a loaded CA could choose among them.
#[derive(Debug, Clone, Copy)]
struct ByDigest;

impl BuildHasher for ByDigest {
    type Hasher = FirstBytes;

    fn build_hasher(&self) -> FirstBytes {
        FirstBytes(0)
    }
}

struct FirstBytes(u64);

impl Hasher for FirstBytes {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_ne_bytes(*first);
        }
    }

    /// The length of the digest, which is always the same.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(second)
    }

    /// Certificates that differ in their serial number: one that is valid, with other bytes in its place.
    fn identities(number: usize) -> Vec<Identity> {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::default();
        let serial = [0x11; 8];
        parameters.serial_number = Some(serial.to_vec().into());
        let der = parameters.self_signed(&key).unwrap().der().to_vec();
        let place = der.windows(8).position(|bytes| bytes == serial).unwrap();
        let with = |number: usize| {
            let mut der = der.clone();
            der[place + 1..place + 8].copy_from_slice(&(number as u64).to_be_bytes()[1..]);
            Identity::from_der(&der).unwrap()
        };
        (0..number).map(with).collect()
    }

    fn serials(book: &Book) -> Vec<u64> {
        book.clients()
            .iter()
            .map(|client| u64::from_str_radix(&client.facts.serial.replace(':', ""), 16).unwrap() & 0xffff)
            .collect()
    }

    #[test]
    fn ten_thousand_are_remembered_and_the_one_that_was_seen_first_is_forgotten() {
        let ledger = Ledger::default();
        let clients = identities(MOST + 1);
        for (second, client) in clients.iter().take(MOST).enumerate() {
            ledger.note(client, at(second as u64));
        }
        // The first comes again, so the second is the one to go.
        ledger.note(&clients[0], at(20_000));
        ledger.note(&clients[MOST], at(20_001));
        let known = ledger.clients();
        assert_eq!(known.len(), MOST);
        assert_eq!((&*known[0].facts.sha256, known[0].requests), (clients[MOST].sha256(), 1));
        assert_eq!((&*known[1].facts.sha256, known[1].requests), (clients[0].sha256(), 2));
        assert_eq!((known[1].first_seen, known[1].last_seen), (at(0), at(20_000)));
        assert!(known.iter().all(|client| *client.facts.sha256 != *clients[1].sha256()));
        assert!(known.iter().any(|client| *client.facts.sha256 == *clients[2].sha256()));
    }

    #[test]
    fn they_are_in_the_order_in_which_they_were_last_seen() {
        let mut book = Book::new(3);
        let clients = identities(5);
        for (note, order) in [
            (0, vec![0]),
            (0, vec![0]),
            (1, vec![1, 0]),
            (0, vec![0, 1]),
            (2, vec![2, 0, 1]),
            (0, vec![0, 2, 1]),
            (1, vec![1, 0, 2]),
            (3, vec![3, 1, 0]),
            (0, vec![0, 3, 1]),
            (4, vec![4, 0, 3]),
            (1, vec![1, 4, 0]),
        ] {
            book.note(&clients[note], at(0));
            assert_eq!(serials(&book), order);
        }
    }
}
