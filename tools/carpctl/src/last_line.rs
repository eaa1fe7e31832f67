// SPDX-License-Identifier: GPL-2.0

//! The last line that a program prints, of however many, as a terminal and the kernel may
//! have it.

/// The most bytes of a line that are kept: more than a reason has, so that what is replaced
/// or left out leaves enough.
const KEPT: usize = 512;

/// The most bytes of the reason of a cause.
pub const REASON_MAX: usize = 127;

#[derive(Debug, Default)]
pub struct LastLine {
    /// The last one that has an end and is not blank.
    ended: Vec<u8>,
    current: Vec<u8>,
}

impl LastLine {
    /// Takes what was printed.
    pub fn take(&mut self, printed: &[u8]) {
        for byte in printed {
            match byte {
                // a bar of progress is written over
                b'\n' | b'\r' => self.end(),
                _ if self.current.len() < KEPT => self.current.push(*byte),
                _ => {}
            }
        }
    }

    fn end(&mut self) {
        if !self.current.trim_ascii().is_empty() {
            std::mem::swap(&mut self.ended, &mut self.current);
        }
        self.current.clear();
    }

    /// The line; nothing, if there is none.
    pub fn text(&self) -> Option<String> {
        let lines = [&self.current, &self.ended];
        let line = lines.into_iter().find(|it| !it.trim_ascii().is_empty())?;
        let line: String = String::from_utf8_lossy(line)
            .chars()
            .map(harmless)
            .collect();
        Some(line.trim().to_owned()).filter(|line| !line.is_empty())
    }
}

/// A control character, or one that changes the direction of a line, becomes a blank.
fn harmless(c: char) -> char {
    let is_direction =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    match c.is_control() || is_direction || matches!(c, '\u{2028}' | '\u{2029}') {
        true => ' ',
        false => c,
    }
}

/// Cuts a reason to what the kernel takes.
pub fn cut(reason: &str) -> String {
    const END: &str = "…";
    if reason.len() <= REASON_MAX {
        return reason.to_owned();
    }
    let mut end = REASON_MAX - END.len();
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{END}", reason.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(printed: &[u8]) -> Option<String> {
        let mut line = LastLine::default();
        // as it may come
        for piece in printed.chunks(3) {
            line.take(piece);
        }
        line.text()
    }

    #[test]
    fn the_last_that_is_not_blank() {
        for (printed, found) in [
            ("", None),
            ("\n \n\t\n", None),
            ("one", Some("one")),
            ("one\ntwo\n", Some("two")),
            ("one\n  two  \n\n \n", Some("two")),
            ("one\r\ntwo\r\n", Some("two")),
            ("10 %\r20 %\r", Some("20 %")),
            ("one\ntw", Some("tw")),
        ] {
            assert_eq!(last(printed.as_bytes()).as_deref(), found, "{printed:?}");
        }
    }

    #[test]
    fn what_a_terminal_would_obey() {
        let line = last(b"\x1b[31mred\x1b[0m\0\x07 \xff\xfe \xc2\x9b \xe2\x80\xaeevil\n");
        assert_eq!(
            line.as_deref(),
            Some("[31mred [0m   \u{fffd}\u{fffd}    evil")
        );
        assert_eq!(last(b"\x1b\x07\n"), None);
    }

    #[test]
    fn it_is_bounded() {
        let mut line = LastLine::default();
        for _ in 0..10_000 {
            line.take(&[b'x'; 1000]);
        }
        assert!(line.current.capacity() <= 2 * KEPT);
        assert_eq!(line.text().map(|it| it.len()), Some(KEPT));
        line.take(b"\nlast\n");
        assert_eq!(line.text().as_deref(), Some("last"));
    }

    #[test]
    fn reasons_are_cut_between_characters() {
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"x".repeat(127)), "x".repeat(127));
        assert_eq!(cut(&"x".repeat(128)), format!("{}…", "x".repeat(124)));
        for lead in 0..4 {
            let long = "x".repeat(lead) + &"ü😀".repeat(50);
            let cut = cut(&long);
            assert!(cut.len() <= REASON_MAX && cut.len() > REASON_MAX - 5);
            assert!(cut.ends_with('…') && long.starts_with(cut.trim_end_matches('…')));
        }
    }
}
