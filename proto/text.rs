// SPDX-License-Identifier: GPL-2.0

//! Short texts, such as names, in one piece of memory.

/// A text of at most `N` bytes, filled up with zeroes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Text<const N: usize>([u8; N]);

impl<const N: usize> Text<N> {
    /// None.
    pub const EMPTY: Self = Self([0; N]);

    /// The text up to its first zero byte; `None` if it is too long: half a name
    /// is another name.
    #[must_use]
    pub fn new(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; N];
        let mut text = text.iter().copied().take_while(|byte| *byte != 0);
        for (to, from) in bytes.iter_mut().zip(&mut text) {
            *to = from;
        }
        match text.next() {
            None => Some(Self(bytes)),
            Some(_) => None,
        }
    }

    /// Its bytes, without the zeroes.
    #[must_use]
    #[inline(never)] // There is none as a rule, and who asks for that shall not look for its end.
    pub fn as_bytes(&self) -> &[u8] {
        let end = self.0.iter().position(|byte| *byte == 0);
        end.and_then(|end| self.0.get(..end)).unwrap_or(&self.0)
    }

    /// The same as a string; empty, if it is none.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// All `N` bytes.
    #[must_use]
    pub const fn padded(&self) -> &[u8; N] {
        &self.0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.first().is_none_or(|byte| *byte == 0)
    }
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self::EMPTY
    }
}
