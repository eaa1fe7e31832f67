// SPDX-License-Identifier: GPL-2.0

//! What follows a word. Each list of words tells it, for completion.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// The word stands alone.
    Nothing,
    /// A number, an address or a text, of which there is no list.
    Unlisted,
    /// The name of an interface.
    Interface,
    /// The name of a group.
    Group,
    /// The name of a file.
    File,
    /// A number, and then the name of a file.
    UnlistedAndFile,
    /// One of these, and perhaps something else.
    OneOf(&'static [&'static str]),
}
