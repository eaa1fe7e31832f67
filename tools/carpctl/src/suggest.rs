// SPDX-License-Identifier: GPL-2.0

//! What may have been meant by a word that there is not.

/// The known word that is nearest to `word`, as it should be typed.
pub fn did_you_mean<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let known: Vec<_> = known.collect();
    // vhid1, vhid=1, vhid:1; of "vhid" and "v" the longest
    let glued = known
        .iter()
        .filter_map(|name| Some((*name, value_of(word.strip_prefix(name)?)?)))
        .max_by_key(|(name, _)| name.len());
    if let Some((name, value)) = glued {
        return Some(format!("{name} {value}"));
    }
    let most = if word.len() <= 4 { 1 } else { 2 };
    known
        .into_iter()
        .map(|name| (distance(word, name), name))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, name)| name.to_owned())
}

/// What is glued to a word: a number, or anything behind a sign of equality.
fn value_of(rest: &str) -> Option<&str> {
    let value = rest.strip_prefix(['=', ':']);
    let number = Some(rest).filter(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
    value.or(number).filter(|value| !value.is_empty())
}

/// How many letters must be inserted, removed, replaced or swapped with their neighbour
/// (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let first: Vec<usize> = (0..=b.len()).collect();
    let mut rows = vec![first];
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |back: usize, column: usize| {
                let row = (i + 1).checked_sub(back).and_then(|row| rows.get(row));
                row.and_then(|row| row.get(column)).copied()
            };
            let left = row.last().copied().unwrap_or_default();
            let mut least = left.min(at(1, j + 1).unwrap_or(left)) + 1;
            if let Some(diagonal) = at(1, j) {
                least = least.min(diagonal + usize::from(x != y));
            }
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if let Some(before) = at(2, j.wrapping_sub(1)).filter(|_| swapped) {
                least = least.min(before + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows.last()
        .and_then(|row| row.last())
        .copied()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant() {
        let known = [
            "vhid", "advskew", "advbase", "up", "down", "carpdev", "-carpdev", "pass", "passfile",
        ];
        for (word, meant) in [
            ("vhid1", Some("vhid 1")),
            ("vhid=1", Some("vhid 1")),
            ("pass:secret", Some("pass secret")),
            ("advskw", Some("advskew")),
            ("avdskew", Some("advskew")),
            ("carpdevs", Some("carpdev")),
            ("dwon", Some("down")),
            ("vhidx1", Some("vhid")),
            ("frobnicate", None),
            ("xy", None),
            ("", None),
        ] {
            let told = did_you_mean(word, known.into_iter());
            assert_eq!(told.as_deref(), meant, "{word}");
        }
    }

    #[test]
    fn distances() {
        for (a, b, expected) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("abc", "", 3),
            ("", "abc", 3),
            ("abc", "acb", 1),
            ("abc", "abd", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }
}
