//! The weights of what a client accepts (RFC 9110, section 12.4.2). Pure: no I/O, no clock.

use http::header::{AsHeaderName, HeaderMap};

/// The elements of a field that lists what a client accepts: each with its weight in thousandths, 0 if that is not valid. Other
/// parameters are ignored.
pub(super) fn weighted(fields: &HeaderMap, name: impl AsHeaderName) -> impl Iterator<Item = (&str, u16)> {
    let lines = fields.get_all(name).iter().map(|line| line.to_str().unwrap_or_default());
    lines.flat_map(|line| line.split(',')).filter_map(|element| {
        let mut parts = element.split(';').map(str::trim_ascii);
        let value = parts.next().filter(|value| !value.is_empty())?;
        let weight = parts.find_map(|part| {
            let (name, weight) = part.split_once('=')?;
            name.eq_ignore_ascii_case("q").then_some(weight)
        });
        Some((value, weight.map_or(1000, per_mille)))
    })
}

/// `0.8` in thousandths; 0 if it is not valid.
fn per_mille(weight: &str) -> u16 {
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    let digits = fraction.bytes().all(|byte| byte.is_ascii_digit()) && fraction.len() <= 3;
    match (whole, digits) {
        ("0", true) => format!("{fraction:0<3}").parse().unwrap_or(0),
        ("1", true) if fraction.bytes().all(|byte| byte == b'0') => 1000,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::ACCEPT;

    use super::*;

    #[test]
    fn a_weight_has_at_most_three_digits_and_is_at_most_one() {
        for (text, weight) in [
            ("1", 1000),
            ("1.", 1000),
            ("1.000", 1000),
            ("0", 0),
            ("0.", 0),
            ("0.5", 500),
            ("0.05", 50),
            ("0.999", 999),
        ] {
            assert_eq!(per_mille(text), weight, "{text}");
        }
        for invalid in ["", "1.001", "1.0000", "0.1234", "2", "-1", "+1", "01", ".5", "0,5", "1e0", " 1", "nan", "0.5x"]
        {
            assert_eq!(per_mille(invalid), 0, "{invalid:?}");
        }
    }

    #[test]
    fn a_list_may_have_several_lines_and_empty_elements() {
        let mut fields = HeaderMap::new();
        for line in [", a;x=1 ; Q=0.5,,b", "c;q=,\td;q=1"] {
            fields.append(ACCEPT, HeaderValue::from_static(line));
        }
        fields.append(ACCEPT, HeaderValue::from_bytes(b"\xff").unwrap());
        let read: Vec<_> = weighted(&fields, ACCEPT).collect();
        assert_eq!(read, [("a", 500), ("b", 1000), ("c", 0), ("d", 1000)]);
    }
}
