//! Times in DER, as lists have them by the million.

use crate::x509::der::Element;

pub(super) const UTC: u8 = 0x17;
pub(super) const GENERALIZED: u8 = 0x18;

/// Seconds since 1970 of a UTCTime or GeneralizedTime in Zulu, seconds included, without fractions (RFC 5280, section
/// 4.1.2.5).
pub(super) fn seconds(element: Element<'_>) -> Option<i64> {
    let (year, rest) = match (element.tag, element.content.len()) {
        (UTC, 13) => {
            let year = digits(&element.content[..2])?;
            (if year < 50 { 2000 + year } else { 1900 + year }, &element.content[2..])
        }
        (GENERALIZED, 15) => (digits(&element.content[..4])?, &element.content[4..]),
        _ => return None,
    };
    let two = |at: usize| digits(&rest[at..at + 2]);
    let (month, day, hour, minute, second) = (two(0)?, two(2)?, two(4)?, two(6)?, two(8)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    let valid = (1..=length).contains(&day) && hour < 24 && minute < 60 && second < 60 && rest[10] == b'Z';
    valid.then(|| ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second)
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0')))
}

/// From 1970 to a day of the calendar. A year is counted from March, so that the leap day is its last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 719_469
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x509::der::tag;

    #[test]
    fn times_are_those_of_the_calendar() {
        let time = |tag, text: &str| seconds(Element { tag, content: text.as_bytes(), whole: &[] });
        for (tag, text, seconds) in [
            (UTC, "700101000000Z", 0),
            (UTC, "491231235959Z", 2_524_607_999),
            (UTC, "500101000000Z", -631_152_000),
            (UTC, "000229120000Z", 951_825_600),
            (GENERALIZED, "20500101000000Z", 2_524_608_000),
            (GENERALIZED, "99991231235959Z", 253_402_300_799),
        ] {
            assert_eq!(time(tag, text), Some(seconds), "{text}");
        }
        for (tag, text) in [
            (UTC, "010229000000Z"),
            (UTC, "011301000000Z"),
            (UTC, "010100000000Z"),
            (UTC, "010101240000Z"),
            (UTC, "010101000060Z"),
            (UTC, "0101010000Z"),
            (UTC, "010101000000+"),
            (UTC, "01010100000aZ"),
            (GENERALIZED, "21000229000000Z"),
            (GENERALIZED, "20500101000000.5Z"),
            (tag::OCTET_STRING, "700101000000Z"),
        ] {
            assert_eq!(time(tag, text), None, "{text}");
        }
    }
}
