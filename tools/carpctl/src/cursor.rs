// SPDX-License-Identifier: GPL-2.0

//! The words of a command, read one after the other.

use crate::error::{usage, Result};
use std::{collections::HashSet, iter::Peekable, slice::Iter};

pub struct Cursor<'a> {
    words: Peekable<Iter<'a, String>>,
    said: HashSet<&'static str>,
}

impl<'a> Cursor<'a> {
    pub fn new(words: &'a [String]) -> Self {
        Self {
            words: words.iter().peekable(),
            said: HashSet::new(),
        }
    }

    pub fn next(&mut self) -> Option<&'a str> {
        self.words.next().map(String::as_str)
    }

    pub fn peek(&mut self) -> Option<&'a str> {
        self.words.peek().map(|word| word.as_str())
    }

    /// The next word, if it is of this form.
    pub fn next_if(&mut self, is_right: impl Fn(&str) -> bool) -> Option<&'a str> {
        self.words
            .next_if(|word| is_right(word))
            .map(String::as_str)
    }

    /// Notes that `word` was said.
    ///
    /// # Errors
    ///
    /// It was said before.
    pub fn once(&mut self, word: &'static str) -> Result<()> {
        if self.said.insert(word) {
            return Ok(());
        }
        usage(format!("{word} is said twice"))
    }

    /// The value that follows `word`.
    pub fn value(&mut self, word: &str) -> Result<&'a str> {
        match self.next() {
            Some(value) => Ok(value),
            None => usage(format!("{word} needs a value")),
        }
    }

    pub fn value_once(&mut self, word: &'static str) -> Result<&'a str> {
        self.once(word)?;
        self.value(word)
    }
}

/// Decimal digits alone: no sign.
pub fn read_u8(word: &str) -> Option<u8> {
    word.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| word.parse().ok())
        .flatten()
}
