//! The index of a directory of certificates: a small text file that says what was signed and what was revoked.
//!
//! ```text
//! mtls-min index 1
//! crl <number> <days> <when the next is due, `pending`, or `none`>
//! <kind> <name> <serial> <not after> valid
//! <kind> <name> <serial> <not after> revoked <when> <reason>
//! ```
//! Words are separated by tabs, times are RFC 3339, serial numbers are hexadecimal. A name may have several lines, the
//! newest last. The numbers of lists grow with time.

use std::fmt::Write;
use std::time::SystemTime;

use super::request::{Reason, Revoked, Usage, check_file_name};
use crate::clock::{parse_timestamp, timestamp};
use crate::error::Error;
use crate::hex::from_hex;

const FIRST_LINE: &str = "mtls-min index 1";

/// All that the index says.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) crl: Crl,
    pub(super) entries: Vec<Entry>,
    /// When the revocation list in the directory was issued, if the index covers it. Not written.
    pub(super) seen_list_of: Option<SystemTime>,
}

/// What is known about the revocation list.
#[derive(Debug)]
pub(super) struct Crl {
    /// The number of the last one, 0 before the first.
    pub(super) number: u64,
    /// For how many days each is signed.
    pub(super) days: u32,
    pub(super) state: CrlState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CrlState {
    /// None was ever signed.
    None,
    /// The list has yet to be signed: the process that wrote the index did not get that far.
    Pending,
    /// It is signed, and the next is due at this time.
    Signed(SystemTime),
}

/// A certificate that was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// What it is for.
    pub usage: Usage,
    /// Its name, which is also that of its files.
    pub name: String,
    /// Its serial number, in hexadecimal digits.
    pub serial: String,
    /// Its last moment.
    pub not_after: SystemTime,
    /// When it was revoked, and why.
    pub revoked: Option<(SystemTime, Reason)>,
}

impl Entry {
    /// Whether it is valid at `now`: neither revoked nor expired.
    pub fn is_valid(&self, now: SystemTime) -> bool {
        self.revoked.is_none() && now <= self.not_after
    }
}

impl Default for Index {
    fn default() -> Self {
        Self { crl: Crl { number: 0, days: 30, state: CrlState::None }, entries: Vec::new(), seen_list_of: None }
    }
}

impl Index {
    /// Reads an index. A line that cannot be read is an error, because it could be a revocation.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let mut lines = (1..).zip(text.lines());
        let broken = |number: usize| Error::new(format!("line {number} cannot be read"));
        let first = lines.next().is_some_and(|(_, line)| line == FIRST_LINE);
        // A file that was cut off lacks at least its last line end.
        if !first || !text.ends_with('\n') {
            return Err(not_an_index(text));
        }
        let mut index = Self::default();
        let (number, line) = lines.next().ok_or_else(|| broken(2))?;
        index.crl = crl(line).ok_or_else(|| broken(number))?;
        for (number, line) in lines {
            index.entries.push(entry(line).ok_or_else(|| broken(number))?);
        }
        Ok(index)
    }

    pub(super) fn write(&self) -> String {
        let state = match self.crl.state {
            CrlState::None => "none".to_owned(),
            CrlState::Pending => "pending".to_owned(),
            CrlState::Signed(due) => timestamp(due),
        };
        let mut text = format!("{FIRST_LINE}\ncrl\t{}\t{}\t{state}\n", self.crl.number, self.crl.days);
        for Entry { usage, name, serial, not_after, revoked } in &self.entries {
            let usage = if *usage == Usage::Server { "server" } else { "client" };
            let state = match revoked {
                None => "valid".to_owned(),
                Some((at, reason)) => format!("revoked\t{}\t{reason}", timestamp(*at)),
            };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{usage}\t{name}\t{serial}\t{}\t{state}", timestamp(*not_after));
        }
        text
    }

    /// The newest certificate of a name.
    pub(super) fn newest(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.name == name)
    }

    /// Revokes the certificates that `choose` picks, except those that are revoked already. Returns their serial numbers.
    pub(super) fn revoke(&mut self, choose: impl Fn(&Entry) -> bool, now: SystemTime, reason: Reason) -> Vec<String> {
        let chosen = self.entries.iter_mut().filter(|entry| entry.revoked.is_none() && choose(entry));
        chosen
            .map(|entry| {
                entry.revoked = Some((now, reason));
                entry.serial.clone()
            })
            .collect()
    }

    /// What belongs on the revocation list: every certificate that was ever revoked.
    pub(super) fn revoked(&self) -> Vec<Revoked> {
        let revoked = self.entries.iter().filter_map(|entry| Some((octets(&entry.serial)?, entry.revoked?)));
        revoked.map(|(serial, (at, reason))| Revoked { serial, at, reason }).collect()
    }
}

/// `openssl ca` keeps a file of the same name, with six columns, of which the first is a letter.
fn not_an_index(text: &str) -> Error {
    let of_openssl = |line: &str| {
        let columns: Vec<_> = line.split('\t').collect();
        columns.len() == 6 && ["V", "R", "E"].contains(&columns[0])
    };
    if text.lines().next().is_some_and(of_openssl) {
        return Error::new("it is the database of `openssl ca`, which records what this CA has revoked").hint(
            "continue with `openssl ca`; or copy ca.pem, ca-key.pem and the CA's last list, as crl.pem, into a directory of their \
             own, where `Directory::adopt_crl` adopts the list",
        );
    }
    Error::new("it is not a complete index")
        .hint("restore it from a backup: without it, nothing records what was revoked")
}

fn crl(line: &str) -> Option<Crl> {
    let ["crl", number, days, state] = line.split('\t').collect::<Vec<_>>()[..] else { return None };
    let state = match state {
        "none" => CrlState::None,
        "pending" => CrlState::Pending,
        due => CrlState::Signed(parse_timestamp(due)?),
    };
    Some(Crl { number: number.parse().ok()?, days: days.parse().ok().filter(|days| (1..=3650).contains(days))?, state })
}

fn entry(line: &str) -> Option<Entry> {
    let words: Vec<_> = line.split('\t').collect();
    let [usage, name, serial, not_after, ref state @ ..] = words[..] else { return None };
    let usage = match usage {
        "server" => Usage::Server,
        "client" => Usage::Client,
        _ => return None,
    };
    let revoked = match state {
        ["valid"] => None,
        ["revoked", at, reason] => Some((parse_timestamp(at)?, reason.parse().ok()?)),
        _ => return None,
    };
    check_file_name(name).ok()?;
    octets(serial)?;
    let (name, serial) = (name.to_owned(), serial.to_owned());
    Some(Entry { usage, name, serial, not_after: parse_timestamp(not_after)?, revoked })
}

fn octets(serial: &str) -> Option<Vec<u8>> {
    from_hex(serial).filter(|octets| !octets.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn sample() -> Index {
        let entry = |name: &str, revoked| Entry {
            usage: Usage::Client,
            name: name.to_owned(),
            serial: "40ff".to_owned(),
            not_after: at(2_000_000_000),
            revoked,
        };
        Index {
            crl: Crl { number: 7, days: 30, state: CrlState::Signed(at(1_900_000_000)) },
            entries: vec![entry("a@b.c", None), entry("b", Some((at(1_800_000_000), Reason::Superseded)))],
            seen_list_of: None,
        }
    }

    #[test]
    fn an_index_reads_what_it_wrote() {
        for state in [CrlState::None, CrlState::Pending, CrlState::Signed(at(5))] {
            let mut index = sample();
            index.crl.state = state;
            let read = Index::parse(&index.write()).unwrap();
            assert_eq!(read.entries, index.entries);
            assert_eq!((read.crl.number, read.crl.days, read.crl.state), (7, 30, state));
        }
        for (reason, _) in Reason::ALL {
            let mut index = sample();
            index.entries[0].revoked = Some((at(9), reason));
            assert_eq!(Index::parse(&index.write()).unwrap().entries, index.entries);
        }
    }

    #[test]
    fn an_index_that_is_damaged_anywhere_is_an_error() {
        let whole = sample().write();
        for cut in 0..whole.len() {
            // What is cut after a whole line cannot be told; such a file is never written.
            if !whole[..cut].ends_with('\n') || whole[..cut].lines().count() < 2 {
                Index::parse(&whole[..cut]).unwrap_err();
            }
        }
        for (from, to) in [
            ("index 1", "index 2"),
            ("crl\t7", "crl\t-7"),
            ("\t30\t", "\t0\t"),
            ("client", "ca"),
            ("a@b.c", "../b"),
            ("40ff", "40f"),
            ("40ff", "40fg"),
            ("revoked", "Revoked"),
            ("superseded", "hold"),
            ("\tvalid", ""),
        ] {
            Index::parse(&whole.replacen(from, to, 1)).expect_err(to);
        }
    }
}
