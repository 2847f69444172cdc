//! Revocation lists, good and bad: encoded here, so that every field can be wrong.

use std::time::{Duration, SystemTime};

use super::pki::{Ca, HOUR, Holder, armour, elements, read, write};

/// A list to be signed by a CA.
pub(crate) struct Crl {
    /// `None`: no field for it, as in version 1.
    pub(crate) version: Option<u8>,
    /// The inside of its `AlgorithmIdentifier`, if it is not that of the CA.
    pub(crate) algorithm: Option<&'static [u8]>,
    pub(crate) number: Option<Vec<u8>>,
    pub(crate) this_update: SystemTime,
    pub(crate) next_update: Option<SystemTime>,
    /// Serial numbers, with a reason's code.
    pub(crate) revoked: Vec<(Vec<u8>, u8)>,
    /// Entries have no extensions, as in version 1.
    pub(crate) without_reasons: bool,
    /// Further extensions in DER.
    pub(crate) extensions: Vec<Vec<u8>>,
}

impl Crl {
    /// Issued an hour ago, good for 60 days.
    pub(crate) fn number(number: u8) -> Self {
        let now = SystemTime::now();
        Self {
            version: Some(1),
            algorithm: None,
            number: Some(vec![number]),
            this_update: now - HOUR,
            next_update: Some(now + 60 * 24 * HOUR),
            revoked: Vec::new(),
            without_reasons: false,
            extensions: Vec::new(),
        }
    }

    pub(crate) fn revoking(mut self, holder: &Holder) -> Self {
        // keyCompromise
        self.revoked.push((serial(&holder.chain[0]), 1));
        self
    }

    pub(crate) fn der(&self, ca: &Ca) -> Vec<u8> {
        let tbs = elements(read(read(&ca.der).content).content).collect::<Vec<_>>();
        // version, serial, algorithm, issuer, validity, subject
        let (algorithm, subject) = (self.algorithm.unwrap_or(tbs[2].content), tbs[5].content);
        let mut list = Vec::new();
        list.extend(self.version.map(|version| write(2, &[version])).unwrap_or_default());
        list.extend(write(0x30, algorithm));
        list.extend(write(0x30, subject));
        list.extend(utc_time(self.this_update));
        list.extend(self.next_update.map(utc_time).unwrap_or_default());
        if !self.revoked.is_empty() {
            let date = utc_time(self.this_update);
            let mut entries = Vec::new();
            for (serial, reason) in &self.revoked {
                let code = extension(&[0x55, 0x1d, 0x15], false, &write(10, &[*reason]));
                let code = if self.without_reasons { Vec::new() } else { write(0x30, &code) };
                let entry = [write(2, serial), date.clone(), code].concat();
                entries.extend(write(0x30, &entry));
            }
            list.extend(write(0x30, &entries));
        }
        let number = self.number.as_ref().map(|number| extension(&[0x55, 0x1d, 0x14], false, &write(2, number)));
        let extensions = [number.unwrap_or_default(), self.extensions.concat()].concat();
        if !extensions.is_empty() {
            list.extend(write(0xa0, &write(0x30, &extensions)));
        }
        ca.signed(&write(0x30, &list), algorithm).to_vec()
    }

    pub(crate) fn pem(&self, ca: &Ca) -> String {
        armour("X509 CRL", &self.der(ca))
    }
}

/// An extension with this OID and value.
pub(crate) fn extension(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical { write(1, &[0xff]) } else { Vec::new() };
    write(0x30, &[write(6, oid), critical, write(4, value)].concat())
}

/// Without leading zeros, as it is shown.
pub(crate) fn hex(serial: &[u8]) -> String {
    serial.strip_prefix(&[0]).unwrap_or(serial).iter().map(|octet| format!("{octet:02x}")).collect()
}

pub(crate) fn serial(certificate: &[u8]) -> Vec<u8> {
    // Version 1 has no field for its version before it.
    elements(read(read(certificate).content).content).find(|element| element.tag == 2).unwrap().content.to_vec()
}

/// `YYMMDDHHMMSSZ`, for the years to 2049.
fn utc_time(time: SystemTime) -> Vec<u8> {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    let (mut year, mut left) = (1970, days);
    let is_leap = |year: u64| year.is_multiple_of(4);
    while left >= 365 + u64::from(is_leap(year)) {
        left -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while left >= lengths[month] {
        left -= lengths[month];
        month += 1;
    }
    let text = format!(
        "{:02}{:02}{:02}{:02}{:02}{:02}Z",
        year % 100,
        month + 1,
        left + 1,
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60
    );
    write(0x17, text.as_bytes())
}
