// SPDX-License-Identifier: GPL-2.0

//! Whether a check fails, from its results: it takes several in a row to change that.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    is_bad: bool,
    /// Results in a row that say otherwise.
    row: u32,
    /// Whether the next result counts at once.
    is_open: bool,
}

/// What a result has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Fails,
    IsGood,
}

impl Verdict {
    /// As good as nothing is known.
    pub fn new() -> Self {
        Self {
            is_bad: false,
            row: 0,
            is_open: true,
        }
    }

    /// It failed when an earlier run of the daemon ended.
    pub fn adopted() -> Self {
        Self {
            is_bad: true,
            row: 0,
            is_open: false,
        }
    }

    pub fn is_bad(self) -> bool {
        self.is_bad
    }

    /// Whether there was no result yet.
    pub fn is_open(self) -> bool {
        self.is_open
    }

    /// Another check has taken the place of this one: it is as it was until the first result.
    pub fn reopen(&mut self) {
        self.row = 0;
        self.is_open = true;
    }

    /// Takes a result.
    pub fn add(&mut self, is_good: bool, fall: u32, rise: u32) -> Option<Turn> {
        let needed = match (self.is_open, is_good) {
            (true, _) => 1,
            (false, true) => rise,
            (false, false) => fall,
        };
        self.is_open = false;
        if is_good != self.is_bad {
            self.row = 0;
            return None;
        }
        self.row += 1;
        if self.row < needed {
            return None;
        }
        self.row = 0;
        self.is_bad = !is_good;
        Some(if is_good { Turn::IsGood } else { Turn::Fails })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each result changes: "+" and "-" are results, "F" and "G" what comes of them.
    fn turns(mut verdict: Verdict, results: &str) -> String {
        let turns = results
            .chars()
            .map(|result| match verdict.add(result == '+', 3, 2) {
                None => '.',
                Some(Turn::Fails) => 'F',
                Some(Turn::IsGood) => 'G',
            });
        turns.collect()
    }

    #[test]
    fn several_in_a_row() {
        for (results, expected) in [
            ("+--+---", "......F"),
            ("+-----++", "...F...G"),
            ("+---+-++", "...F...G"),
            // the first one counts at once
            ("-+-+++", "F...G."),
            ("-++--", "F.G.."),
        ] {
            assert_eq!(turns(Verdict::new(), results), expected, "{results}");
        }
    }

    #[test]
    fn what_an_earlier_run_has_found() {
        assert!(Verdict::adopted().is_bad());
        assert_eq!(turns(Verdict::adopted(), "-+-++"), "....G");
        let mut verdict = Verdict::adopted();
        verdict.reopen();
        assert!(verdict.is_bad());
        assert_eq!(turns(verdict, "+---"), "G..F");
    }
}
