// SPDX-License-Identifier: GPL-2.0

//! Values that are off or on, for all link kinds.

use crate::linux::netlink::Extack;
use kernel::prelude::*;

/// Reads a value that is off or on.
///
/// # Errors
///
/// In words: it is something else.
pub(crate) fn read_switch(
    value: Option<u8>,
    name: &str,
    extack: &Extack<'_>,
) -> Result<Option<bool>> {
    match value {
        None => Ok(None),
        Some(0) => Ok(Some(false)),
        Some(1) => Ok(Some(true)),
        Some(_) => Err(extack.error(EINVAL, format_args!("{} must be 0 or 1", name))),
    }
}
