// SPDX-License-Identifier: GPL-2.0

//! The controller of generic netlink, which knows the families, and tells of those that come
//! and go with their modules.

use crate::{
    error::Result,
    socket::{Heard, Netlink},
};
use netlink_packet_core::{NlasIterator, Parseable};
use netlink_packet_generic::{
    ctrl::{nlas::GenlCtrlAttrs, GenlCtrlCmd},
    GenlHeader,
};
use netlink_sys::protocols::NETLINK_GENERIC;
use std::os::fd::{AsFd, BorrowedFd};

/// The controller's number, and that of the group in which it tells of families.
pub const GENL_ID_CTRL: u16 = 16;

/// What the controller says behind the header of generic netlink; an attribute that the
/// library cannot read is left out.
pub fn attributes(body: &[u8]) -> Vec<GenlCtrlAttrs> {
    NlasIterator::new(body.get(4..).unwrap_or_default())
        .map_while(std::result::Result::ok)
        .filter_map(|attribute| GenlCtrlAttrs::parse(&attribute).ok())
        .collect()
}

/// What happened to a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    Added,
    Removed,
}

impl Registration {
    /// Nothing: it is about another family, or about something else.
    fn read(body: &[u8], family: &str) -> Option<Self> {
        let header = GenlHeader::parse(body).ok()?;
        let registration = match GenlCtrlCmd::try_from(header.cmd).ok()? {
            GenlCtrlCmd::NewFamily => Self::Added,
            GenlCtrlCmd::DelFamily => Self::Removed,
            _ => return None,
        };
        let name = GenlCtrlAttrs::FamilyName(family.to_owned());
        attributes(body).contains(&name).then_some(registration)
    }
}

/// A connection that hears of families.
pub struct Controller {
    netlink: Netlink,
}

impl Controller {
    pub fn listen() -> Result<Self> {
        let netlink = Netlink::open(NETLINK_GENERIC)?;
        netlink.listen(GENL_ID_CTRL.into())?;
        Ok(Self { netlink })
    }

    /// Waits for what happens to a family. What was lost may have been that it was added.
    pub fn hear(&self, family: &str) -> Result<Vec<Registration>> {
        let heard = self.netlink.hear()?;
        Ok(heard
            .into_iter()
            .filter_map(|heard| match heard {
                Heard::Message(raw) if raw.kind == GENL_ID_CTRL => {
                    Registration::read(&raw.body, family)
                }
                Heard::Message(_) => None,
                Heard::Lost => Some(Registration::Added),
            })
            .collect())
    }
}

impl AsFd for Controller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.netlink.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netlink_packet_core::Emitable;
    use netlink_packet_generic::{ctrl::GenlCtrl, GenlMessage};

    #[test]
    fn a_family_comes_and_goes() {
        let said = |cmd| {
            let message = GenlMessage::from_payload(GenlCtrl {
                cmd,
                nlas: vec![
                    GenlCtrlAttrs::FamilyName("carp".into()),
                    GenlCtrlAttrs::FamilyId(40),
                ],
            });
            let mut body = vec![0; message.buffer_len()];
            message.emit(&mut body);
            body
        };
        let (new, del) = (said(GenlCtrlCmd::NewFamily), said(GenlCtrlCmd::DelFamily));
        assert_eq!(Registration::read(&new, "carp"), Some(Registration::Added));
        assert_eq!(
            Registration::read(&del, "carp"),
            Some(Registration::Removed)
        );
        assert_eq!(Registration::read(&new, "pfsync"), None);
        let other = said(GenlCtrlCmd::NewMcastGrp);
        assert_eq!(Registration::read(&other, "carp"), None);
        assert_eq!(Registration::read(&[1], "carp"), None);
        assert!(attributes(&[1]).is_empty());
    }
}
