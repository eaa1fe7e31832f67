// SPDX-License-Identifier: GPL-2.0

//! Files with a key that authenticates whole packets. iproute2/shared_key.c reads them in the
//! same way: two hosts that are given the same file must arrive at the same key. No message
//! shows a key.

use crate::{
    contract::link::{CARP_AUTH_KEY_MAX, CARP_AUTH_KEY_MIN},
    error::{failed, Error, Result},
    secret_file,
};
use std::io::{self, IsTerminal, Read};

/// The longest file: a key in hexadecimal digits, with blanks between them.
const FILE_MAX: usize = 511;

const HEX: &[u8] = b"hex:";

/// The key in a file; for "-" that of standard input, without echo on a terminal.
pub fn read(file: &str, warnings: &mut Vec<String>) -> Result<Vec<u8>> {
    let text = if file != "-" {
        secret_file::open(file, "key", warnings).and_then(contents)
    } else if io::stdin().is_terminal() {
        rpassword::prompt_password("key: ").map(String::into_bytes)
    } else {
        contents(io::stdin().lock())
    };
    let text = text.map_err(|error| Error::from(error).about(format!("cannot read \"{file}\"")))?;
    key_of(&text, file)
}

fn contents(source: impl Read) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    source.take(FILE_MAX as u64 + 1).read_to_end(&mut text)?;
    Ok(text)
}

/// What begins with `hex:` is hexadecimal; one line of printable ASCII characters is that
/// without its end; anything else is the key as it is. One in 256 random keys ends with the
/// byte of a line's end, and hardly ever is a line.
fn key_of(text: &[u8], file: &str) -> Result<Vec<u8>> {
    let lengths = format!("{CARP_AUTH_KEY_MIN}-{CARP_AUTH_KEY_MAX}");
    if text.len() > FILE_MAX {
        return failed(format!(
            "\"{file}\" is too long for a key, which has {lengths} bytes"
        ));
    }
    let key = match (text.strip_prefix(HEX), text.strip_suffix(b"\n")) {
        (Some(digits), _) => match decode(digits) {
            Some(key) => key,
            None => {
                return failed(format!(
                    "the key in \"{file}\" is invalid: pairs of hexadecimal digits are expected \
                     after \"hex:\""
                ));
            }
        },
        (None, Some(line)) if line.iter().all(|byte| matches!(byte, b' '..=b'~')) => line.to_vec(),
        _ => text.to_vec(),
    };
    if !(CARP_AUTH_KEY_MIN..=CARP_AUTH_KEY_MAX).contains(&key.len()) {
        return failed(format!(
            "the key in \"{file}\" has {} bytes: {lengths} are expected",
            key.len()
        ));
    }
    Ok(key)
}

/// Digits, with blanks and line ends between them.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let digits = text.iter().filter(|byte| !is_blank(byte));
    let digits = digits.map(|byte| char::from(*byte).to_digit(16));
    let digits = digits.collect::<Option<Vec<_>>>()?;
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(high * 16 + low).ok(),
        _ => None,
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &[u8] = b"32 characters, and not one less.";

    fn key(text: &[u8]) -> Result<Vec<u8>> {
        key_of(text, "file")
    }

    fn hex(bytes: &[u8]) -> String {
        Vec::from_iter(bytes.iter().map(|byte| format!("{byte:02x}"))).concat()
    }

    /// As check-auth.sh has it for ip(8).
    #[test]
    fn what_a_file_is_taken_for() {
        let raw = [b"\0\xff\n\r", &LINE[..28]].concat();
        let digits = hex(LINE);
        let (first, rest) = digits.split_at(10);
        let lines = format!("hex: {}\r\n\t{rest}\n", first.to_uppercase());
        for (text, expected) in [
            (raw.clone(), &raw[..]),
            ([&raw[..], b"\n"].concat(), &[&raw[..], b"\n"].concat()),
            ([LINE, b"\r\n"].concat(), &[LINE, b"\r\n"].concat()),
            ([LINE, b"\n\n"].concat(), &[LINE, b"\n\n"].concat()),
            ([LINE, b"\n"].concat(), LINE),
            (LINE.to_vec(), LINE),
            (format!("hex:{digits}").into_bytes(), LINE),
            (lines.into_bytes(), LINE),
        ] {
            assert_eq!(key(&text).expect("is right"), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_wrong() {
        let digits = hex(LINE);
        let invalid = "the key in \"file\" is invalid: pairs of hexadecimal digits are expected \
                       after \"hex:\"";
        let short = "the key in \"file\" has 31 bytes: 32-64 are expected";
        for (text, told) in [
            (
                Vec::new(),
                "the key in \"file\" has 0 bytes: 32-64 are expected",
            ),
            ([&LINE[1..], b"\n"].concat(), short),
            (format!("hex:{}", &digits[2..]).into_bytes(), short),
            (
                [LINE, LINE, b"+"].concat(),
                "the key in \"file\" has 65 bytes: 32-64 are expected",
            ),
            (format!("hex:{digits}0").into_bytes(), invalid),
            (format!("hex:{digits}\0").into_bytes(), invalid),
            (format!("hex:{digits}0g").into_bytes(), invalid),
            (
                vec![0; FILE_MAX + 1],
                "\"file\" is too long for a key, which has 32-64 bytes",
            ),
        ] {
            let error = key(&text).expect_err("is wrong").to_string();
            assert_eq!(error, told);
        }
        let error = read("/nowhere/at/all", &mut Vec::new()).expect_err("is not there");
        assert_eq!(
            error.to_string(),
            "cannot read \"/nowhere/at/all\": No such file or directory"
        );
    }
}
