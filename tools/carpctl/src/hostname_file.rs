// SPDX-License-Identifier: GPL-2.0

//! The text of a hostname.if(5) file, line by line: words with their quotes, comments,
//! continued lines, commands for the shell.

#[derive(Debug, PartialEq, Eq)]
pub enum Content {
    Words(Vec<String>),
    /// What follows an exclamation mark.
    Command(String),
}

#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// Of a continued line the first one's.
    pub number: usize,
    pub content: Content,
}

/// A mistake in a line.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistake {
    pub line: usize,
    pub sentence: String,
}

/// Reads a file; each line by itself, so that all mistakes are found at once.
pub fn read(text: &str) -> (Vec<Line>, Vec<Mistake>) {
    let mut lines = Vec::new();
    let mut mistakes = Vec::new();
    let mut physical = text.lines().enumerate();
    while let Some((number, first)) = physical.next() {
        let number = number + 1;
        if is_comment(first) {
            continue;
        }
        let mut whole = first.to_owned();
        while ends_with_backslash(&whole) {
            whole.pop();
            whole.push(' ');
            match physical.next() {
                Some((_, next)) => whole.push_str(next),
                None => break,
            }
        }
        if let Some(command) = whole.trim_start().strip_prefix('!') {
            lines.push(Line {
                number,
                content: Content::Command(command.trim().to_owned()),
            });
            continue;
        }
        match split(&whole) {
            Ok(words) if words.is_empty() => {}
            Ok(words) => append(&mut lines, number, words),
            Err(sentence) => mistakes.push(Mistake {
                line: number,
                sentence: sentence.to_owned(),
            }),
        }
    }
    (lines, mistakes)
}

/// `dest ADDRESS` belongs to the address of the line before.
fn append(lines: &mut Vec<Line>, number: usize, words: Vec<String>) {
    if words.first().is_some_and(|word| word == "dest") {
        if let Some(Line {
            content: Content::Words(before),
            ..
        }) = lines.last_mut()
        {
            before.extend(words);
            return;
        }
    }
    lines.push(Line {
        number,
        content: Content::Words(words),
    });
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}

/// An odd number of them: the last one is not itself behind one.
fn ends_with_backslash(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

fn split(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    // nothing: between words
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (Some('\''), letter) => word.get_or_insert_default().push(letter),
            (_, '\\') => word.get_or_insert_default().extend(letters.next()),
            (Some(_), letter) => word.get_or_insert_default().push(letter),
            (None, '"' | '\'') => {
                word.get_or_insert_default();
                quote = Some(letter);
            }
            (None, '#') if word.is_none() => break,
            (None, letter) if letter.is_whitespace() => words.extend(word.take()),
            (None, letter) => word.get_or_insert_default().push(letter),
        }
    }
    if quote.is_some() {
        return Err("a quotation mark is not closed");
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each line as "NUMBER: WORD|WORD" or "NUMBER! COMMAND".
    fn shown(text: &str) -> Vec<String> {
        let (lines, mistakes) = read(text);
        assert_eq!(mistakes, []);
        lines
            .into_iter()
            .map(|line| match line.content {
                Content::Words(words) => format!("{}: {}", line.number, words.join("|")),
                Content::Command(command) => format!("{}! {command}", line.number),
            })
            .collect()
    }

    #[test]
    fn lines() {
        let text = "# the outer address\n\
                    \n\
                    inet 10.0.0.1 255.255.255.0 \\\n  vhid 1 # the first\n\
                    \tdescription \"Bob's uplink\" up\n\
                    !echo \"$if\" # is the shell's\n\
                    pass 'a \\b' pass a\\ b pass \"\" x#y\n";
        assert_eq!(
            shown(text),
            [
                "3: inet|10.0.0.1|255.255.255.0|vhid|1",
                "5: description|Bob's uplink|up",
                "6! echo \"$if\" # is the shell's",
                "7: pass|a \\b|pass|a b|pass||x#y",
            ]
        );
        assert_eq!(shown(""), [""; 0]);
        assert_eq!(shown("up \\"), ["1: up"]);
        assert_eq!(shown("# not continued \\\nup"), ["2: up"]);
        assert_eq!(shown("pass a\\\\\nup"), ["1: pass|a\\", "2: up"]);
    }

    #[test]
    fn dest_belongs_to_the_line_before() {
        let text = "inet 10.0.0.1 255.255.255.255 NONE\ndest 10.0.0.2\n";
        assert_eq!(
            shown(text),
            ["1: inet|10.0.0.1|255.255.255.255|NONE|dest|10.0.0.2"]
        );
        assert_eq!(shown("dest 10.0.0.2"), ["1: dest|10.0.0.2"]);
    }

    #[test]
    fn a_quotation_mark_that_is_open() {
        let (lines, mistakes) = read("up\ndescription \"out\ndown");
        assert_eq!(lines.len(), 2);
        let expected = Mistake {
            line: 2,
            sentence: "a quotation mark is not closed".into(),
        };
        assert_eq!(mistakes, [expected]);
    }
}
