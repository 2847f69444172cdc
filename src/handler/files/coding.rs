//! In which coding a client wants a file (RFC 9110, section 12.5.3). Pure: no I/O, no clock.

use http::header::{self, HeaderMap};

use crate::handler::weight::weighted;

/// How a file may be coded. Of two that a client likes as much, the first is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Brotli,
    Gzip,
    /// As it is.
    Identity,
}

impl Coding {
    /// Its name (sections 8.4.1 and 18.6; RFC 7932).
    pub(super) fn name(self) -> &'static str {
        match self {
            Coding::Brotli => "br",
            Coding::Gzip => "gzip",
            Coding::Identity => "identity",
        }
    }

    /// What follows the name of the file.
    pub(super) fn ending(self) -> &'static [u8] {
        match self {
            Coding::Brotli => b".br",
            Coding::Gzip => b".gz",
            Coding::Identity => b"",
        }
    }
}

/// The codings that a client accepts, the one that it likes best first. Without the field any would do, but a client that does
/// not say what it knows gets the file as it is.
pub(super) fn accepted(fields: &HeaderMap) -> impl Iterator<Item = Coding> {
    let weight = |coding: Coding| {
        // What is named twice has the lower weight: refused when in doubt.
        let of = |name: &str| {
            let named = |(value, _): &(&str, u16)| value.eq_ignore_ascii_case(name);
            weighted(fields, header::ACCEPT_ENCODING).filter(named).map(|(_, weight)| weight).min()
        };
        let own = match coding {
            // An old name (section 8.4.1.3).
            Coding::Gzip => of("gzip").or_else(|| of("x-gzip")),
            coding => of(coding.name()),
        };
        // Identity is accepted unless it is refused, but only if nothing that is named is there.
        own.or_else(|| of("*")).unwrap_or(if coding == Coding::Identity { LEAST } else { 0 })
    };
    let all = [Coding::Brotli, Coding::Gzip, Coding::Identity];
    let mut weights = all.map(|coding| (weight(coding), coding));
    weights.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    weights.into_iter().filter(|(weight, _)| *weight > 0).map(|(_, coding)| coding)
}

/// The least weight that is not a refusal.
const LEAST: u16 = 1;

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn said(lines: &[&'static str]) -> String {
        let mut fields = HeaderMap::new();
        for line in lines {
            fields.append(header::ACCEPT_ENCODING, HeaderValue::from_static(line));
        }
        accepted(&fields).map(Coding::name).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_coding_with_the_highest_weight_comes_first() {
        for (field, expected) in [
            ("", "identity"),
            ("gzip, deflate, br, zstd", "br gzip identity"),
            ("gzip", "gzip identity"),
            ("GZip", "gzip identity"),
            ("x-gzip", "gzip identity"),
            ("deflate", "identity"),
            ("gzip;q=0", "identity"),
            ("gzip;q=0, *", "br identity"),
            ("br;q=0.5, gzip;q=0.9", "gzip br identity"),
            ("gzip;q=0.001", "gzip identity"),
            ("gzip;q=0.5, identity", "identity gzip"),
            ("gzip;q=0.5, identity;q=0.5", "gzip identity"),
            ("identity;q=0", ""),
            ("gzip, identity;q=0", "gzip"),
            ("*;q=0", ""),
            ("gzip, *;q=0", "gzip"),
            ("identity, *;q=0", "identity"),
            ("*", "br gzip identity"),
            ("*;q=0.1, gzip", "gzip br identity"),
            ("gzip;q=nonsense", "identity"),
            ("gzip;q=2", "identity"),
            ("gzip, gzip;q=0", "identity"),
            ("xgzip, gzip2, brr", "identity"),
        ] {
            assert_eq!(said(&[field]), expected, "{field}");
        }
        assert_eq!(said(&[]), "identity", "without the field");
        assert_eq!(said(&["gzip;q=0.1", "br"]), "br gzip identity", "two lines");
    }
}
