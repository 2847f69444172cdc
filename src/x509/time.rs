//! Times in certificates and revocation lists. A list may have millions of them.

use std::time::{Duration, SystemTime};

use super::der::{Element, NotDer, tag};

/// Seconds since 1970 of a UTCTime or GeneralizedTime in UTC and to the second, as RFC 5280, section 4.1.2.5 requires. Programs
/// do not agree on what other forms mean.
pub(crate) fn seconds(element: Element<'_>) -> Result<i64, NotDer> {
    let digits = element.content.strip_suffix(b"Z").filter(|digits| digits.iter().all(u8::is_ascii_digit));
    let (year, rest) = match (element.tag, digits) {
        (tag::UTC_TIME, Some(digits)) if digits.len() == 12 => {
            let year = number(&digits[..2]);
            (if year < 50 { 2000 + year } else { 1900 + year }, &digits[2..])
        }
        (tag::GENERALIZED_TIME, Some(digits)) if digits.len() == 14 => (number(&digits[..4]), &digits[4..]),
        _ => return Err(NotDer),
    };
    let two = |at: usize| number(&rest[at..at + 2]);
    let (month, day, hour, minute, second) = (two(0), two(2), two(4), two(6), two(8));
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last_day = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return Err(NotDer),
    };
    let is_valid = (1..=last_day).contains(&day) && hour < 24 && minute < 60 && second < 60;
    let seconds = ((day_number(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    if is_valid { Ok(seconds) } else { Err(NotDer) }
}

/// The time at these seconds since 1970, which may be negative. X.509 cannot exceed the range of `SystemTime`.
pub(crate) fn time(seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let time = match seconds >= 0 {
        true => SystemTime::UNIX_EPOCH.checked_add(distance),
        false => SystemTime::UNIX_EPOCH.checked_sub(distance),
    };
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Of at most four digits.
fn number(digits: &[u8]) -> i64 {
    digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0'))
}

/// Days from 1970 to this date of the Gregorian calendar. Years are counted from March, so that the leap day is the last.
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    const TO_1970: i64 = 719_469;
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - TO_1970
}

#[cfg(test)]
mod tests {
    use super::*;
    use tag::{GENERALIZED_TIME, UTC_TIME};
    use x509_parser::asn1_rs::FromDer;
    use x509_parser::time::ASN1Time;

    fn der(tag: u8, text: &str) -> Vec<u8> {
        [&[tag, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
    }

    fn ours(tag: u8, text: &str) -> Result<i64, NotDer> {
        let whole = der(tag, text);
        seconds(Element { tag, content: &whole[2..], whole: &whole })
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        for (tag, text, seconds) in [
            (UTC_TIME, "700101000000Z", 0),
            (UTC_TIME, "491231235959Z", 2_524_607_999),
            (UTC_TIME, "500101000000Z", -631_152_000),
            (UTC_TIME, "000229120000Z", 951_825_600),
            (GENERALIZED_TIME, "20500101000000Z", 2_524_608_000),
            (GENERALIZED_TIME, "99991231235959Z", 253_402_300_799),
        ] {
            assert_eq!(ours(tag, text), Ok(seconds), "{text}");
        }
        for (tag, text) in [
            (UTC_TIME, "010229000000Z"),
            (UTC_TIME, "011301000000Z"),
            (UTC_TIME, "010100000000Z"),
            (UTC_TIME, "010101240000Z"),
            (UTC_TIME, "010101000060Z"),
            (UTC_TIME, "0101010000Z"),
            (UTC_TIME, "010101000000+"),
            (UTC_TIME, "01010100000aZ"),
            (GENERALIZED_TIME, "21000229000000Z"),
            (GENERALIZED_TIME, "20500101000000.5Z"),
            (tag::OCTET_STRING, "700101000000Z"),
        ] {
            assert_eq!(ours(tag, text), Err(NotDer), "{text}");
        }
    }

    #[test]
    fn another_reader_agrees_on_every_year_and_on_edges() {
        let mut valid = 0;
        let mut compare = |tag, text: String| {
            let theirs = ASN1Time::from_der(&der(tag, &text)).ok().map(|(_, time)| time.timestamp());
            assert_eq!(ours(tag, &text).ok(), theirs, "{text}");
            valid += usize::from(theirs.is_some());
        };
        for year in 0..10_000 {
            for date in ["0101", "0228", "0229", "0301", "1231"] {
                compare(GENERALIZED_TIME, format!("{year:04}{date}235959Z"));
            }
        }
        for year in ["1900", "1949", "1950", "1970", "1999", "2000", "2024", "2026", "2049", "2050", "2100", "9999"] {
            for (month, day) in (0..=13).flat_map(|month| (0..=32).map(move |day| (month, day))) {
                compare(GENERALIZED_TIME, format!("{year}{month:02}{day:02}000000Z"));
                compare(UTC_TIME, format!("{}{month:02}{day:02}120000Z", &year[2..]));
            }
            for time in ["235959", "235960", "236000", "240000", "000000", "000060"] {
                compare(GENERALIZED_TIME, format!("{year}1231{time}Z"));
                compare(UTC_TIME, format!("{}0630{time}Z", &year[2..]));
            }
        }
        assert!(valid > 40_000, "{valid}");
    }
}
