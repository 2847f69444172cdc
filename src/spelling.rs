//! How far one word is from another, to guess what was meant.

/// How many letters have to be inserted, removed, changed, or swapped with the next one (the optimal string alignment distance).
pub(crate) fn distance(a: &[char], b: &[char]) -> usize {
    let mut before_last = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, other) in b.iter().enumerate() {
            let changed = last[j] + usize::from(letter != other);
            let mut least = changed.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *letter == b[j - 1] && a[i - 1] == *other {
                let swapped: &Vec<usize> = &before_last;
                least = least.min(swapped[j - 1] + 1);
            }
            row.push(least);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_slip_counts_once() {
        for (one, other, slips) in [
            ("", "", 0),
            ("", "abc", 3),
            ("check", "check", 0),
            ("chek", "check", 1),
            ("checkk", "check", 1),
            ("chexk", "check", 1),
            ("hceck", "check", 1),
            ("hcekc", "check", 2),
            ("certs", "check", 4),
        ] {
            let letters = |word: &str| word.chars().collect::<Vec<_>>();
            assert_eq!(distance(&letters(one), &letters(other)), slips, "{one} {other}");
            assert_eq!(distance(&letters(other), &letters(one)), slips, "{other} {one}");
        }
    }
}
