// SPDX-License-Identifier: GPL-2.0

//! The passphrase: from the command line, a file, standard input or a terminal. No
//! message shows it. One that is too long is cut, with a warning: OpenBSD and FreeBSD cut
//! it, too, and a host beside them must arrive at the same key.

use crate::{
    contract::link::CARP_PASS_MAX,
    error::{failed, Error, Result},
    secret_file,
};
use std::io::{self, IsTerminal, Read};

/// `pass PHRASE`; for "-" the phrase is read from standard input.
pub fn from_word(word: &str, warnings: &mut Vec<String>) -> Result<Vec<u8>> {
    if word == "-" {
        return from_file(word, warnings);
    }
    Ok(cut(word.as_bytes().to_vec(), "pass", warnings))
}

/// `passfile FILE`: its first line; for "-" that of standard input, without echo on a
/// terminal.
pub fn from_file(file: &str, warnings: &mut Vec<String>) -> Result<Vec<u8>> {
    let line = if file != "-" {
        secret_file::open(file, "passphrase", warnings).and_then(first_line)
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
    Ok(cut(line, file, warnings))
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

fn cut(mut phrase: Vec<u8>, origin: &str, warnings: &mut Vec<String>) -> Vec<u8> {
    if phrase.len() > CARP_PASS_MAX {
        phrase.truncate(CARP_PASS_MAX);
        warnings.push(format!(
            "the passphrase of \"{origin}\" is longer than {CARP_PASS_MAX} bytes: only the first \
             {CARP_PASS_MAX} count, as on OpenBSD and FreeBSD"
        ));
    }
    phrase
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    #[test]
    fn the_first_line_counts() {
        let read = |text: &str| first_line(text.as_bytes()).expect("reads");
        assert_eq!(read("two words \nsecond\n"), b"two words ");
        assert_eq!(read("no newline"), b"no newline");
        assert_eq!(read("\nx"), b"");
    }

    #[test]
    fn what_is_wrong() {
        let mut warnings = Vec::new();
        let phrase = from_word("", &mut warnings).expect("is none");
        assert_eq!(phrase, b"");
        let told = from_file("/dev/null", &mut warnings)
            .expect_err("is empty")
            .to_string();
        assert!(told.contains("is empty"), "{told}");
        let told = from_file("/nowhere/at/all", &mut warnings)
            .expect_err("is not there")
            .to_string();
        assert_eq!(
            told,
            "cannot read \"/nowhere/at/all\": No such file or directory"
        );
    }

    #[test]
    fn a_file_that_others_can_read() {
        let path = std::env::temp_dir().join(format!("carpctl-phrase-{}", std::process::id()));
        fs::write(&path, "secret\n").expect("can write");
        for (mode, is_told) in [(0o600, false), (0o400, false), (0o640, true), (0o602, true)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("is ours");
            let mut warnings = Vec::new();
            let phrase = from_file(path.to_str().expect("is text"), &mut warnings);
            assert_eq!(phrase.expect("is there"), b"secret");
            let told = warnings.concat();
            assert_eq!(
                told.ends_with("chmod it to 600"),
                is_told,
                "{mode:o}: {told}"
            );
            assert!(!told.contains("secret"));
        }
        fs::remove_file(path).expect("is ours");
    }

    #[test]
    fn one_that_is_too_long_is_cut() {
        let mut warnings = Vec::new();
        let phrase = from_word("1234567890123456789", &mut warnings).expect("is right");
        assert_eq!(phrase, b"1234567890123456789");
        assert!(warnings.is_empty());
        let phrase = from_word("12345678901234567890", &mut warnings).expect("is right");
        assert_eq!(phrase, b"1234567890123456789");
        let told = warnings.concat();
        assert!(
            told.contains("longer than 19") && !told.contains("1234"),
            "{told}"
        );
    }
}
