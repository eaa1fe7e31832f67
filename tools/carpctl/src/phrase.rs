// SPDX-License-Identifier: GPL-2.0

//! The passphrase: from the command line, a file, standard input or a terminal. No
//! message shows it.

use crate::{
    contract::link::CARP_PASS_MAX,
    error::{failed, usage, Error, Result},
};
use std::{
    fs::File,
    io::{self, IsTerminal, Read},
};

/// `pass PHRASE`; for "-" the phrase is read from standard input.
pub fn from_word(word: &str) -> Result<Vec<u8>> {
    if word == "-" {
        return from_file(word);
    }
    check(word.as_bytes().to_vec(), "pass")
}

/// `passfile FILE`: its first line; for "-" that of standard input, without echo on a
/// terminal.
pub fn from_file(file: &str) -> Result<Vec<u8>> {
    let line = if file != "-" {
        File::open(file).and_then(first_line)
    } else if io::stdin().is_terminal() {
        rpassword::prompt_password("pass phrase: ").map(String::into_bytes)
    } else {
        first_line(io::stdin().lock())
    };
    let line = line.map_err(|error| Error::from(error).about(format!("cannot read \"{file}\"")))?;
    // a file cut short by accident must not switch the phrase off
    if line.is_empty() {
        return failed(format!(
            "the first line of \"{file}\" is empty; to remove the passphrase say: pass \"\""
        ));
    }
    check(line, file)
}

fn first_line(source: impl Read) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    for byte in source.take(4096).bytes() {
        match byte? {
            b'\n' => break,
            byte => line.push(byte),
        }
    }
    Ok(line)
}

fn check(phrase: Vec<u8>, origin: &str) -> Result<Vec<u8>> {
    if phrase.len() > CARP_PASS_MAX {
        return usage(format!(
            "the passphrase of \"{origin}\" is longer than {CARP_PASS_MAX} characters"
        ));
    }
    Ok(phrase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_counts() {
        let read = |text: &str| first_line(text.as_bytes()).expect("reads");
        assert_eq!(read("two words \nsecond\n"), b"two words ");
        assert_eq!(read("no newline"), b"no newline");
        assert_eq!(read("\nx"), b"");
    }

    #[test]
    fn what_is_wrong() {
        assert_eq!(from_word("").expect("is none"), b"");
        let told = from_word("12345678901234567890")
            .expect_err("is too long")
            .to_string();
        assert!(
            told.contains("longer than 19") && !told.contains("1234"),
            "{told}"
        );
        let told = from_file("/dev/null").expect_err("is empty").to_string();
        assert!(told.contains("is empty"), "{told}");
        let told = from_file("/nowhere/at/all")
            .expect_err("is not there")
            .to_string();
        assert_eq!(
            told,
            "cannot read \"/nowhere/at/all\": No such file or directory"
        );
    }
}
