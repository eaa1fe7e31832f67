// SPDX-License-Identifier: GPL-2.0

//! Network address translation of an entry that is made from its tuples.

use super::{bindings, new_entry::NewEntry, tuple, tuple::Tuple};
use kernel::prelude::*;

impl NewEntry {
    /// Sets NAT up so that answers look like `reply`: exactly, or not at all.
    ///
    /// Both directions are set up in any case, so that no rule is asked again for
    /// packets of this entry. What is set up is done where NAT has its hooks: where
    /// the namespace has a NAT chain.
    ///
    /// # Errors
    ///
    /// EEXIST: another entry has taken the place. EINVAL: the kernel cannot translate
    /// like that.
    pub(crate) fn set_up_nat(&mut self, reply: &bindings::pfsync_tuple) -> Result {
        let original = *self.original();
        let family = original.src.l3num as u8;
        let reply = tuple::to_kernel(reply, family, original.dst.protonum, 1)?;
        // How packets look behind us.
        let behind = tuple::inverse(&reply).ok_or(EINVAL)?;
        // ICMP has one id, first in both directions; it goes with the source.
        let is_icmp = matches!(
            u32::from(original.dst.protonum),
            bindings::IPPROTO_ICMP | bindings::IPPROTO_ICMPV6
        );
        // SAFETY: All members of the unions are plain numbers of two bytes.
        let (source_id, destination_id) = unsafe {
            (
                behind.src.u.all,
                if is_icmp {
                    original.src.u.all
                } else {
                    behind.dst.u.all
                },
            )
        };
        self.translate(
            &behind.dst.u3,
            destination_id,
            bindings::nf_nat_manip_type_NF_NAT_MANIP_DST,
        )?;
        self.translate(
            &behind.src.u3,
            source_id,
            bindings::nf_nat_manip_type_NF_NAT_MANIP_SRC,
        )?;
        self.check_reply(&reply)
    }

    /// Translates to this address and port, and no other.
    fn translate(
        &mut self,
        address: &bindings::nf_inet_addr,
        id: u16,
        which: bindings::nf_nat_manip_type,
    ) -> Result {
        let id = bindings::nf_conntrack_man_proto { all: id };
        let range = bindings::nf_nat_range2 {
            flags: bindings::NF_NAT_RANGE_MAP_IPS | bindings::NF_NAT_RANGE_PROTO_SPECIFIED,
            min_addr: *address,
            max_addr: *address,
            min_proto: id,
            max_proto: id,
            base_proto: bindings::nf_conntrack_man_proto { all: 0 },
        };
        // SAFETY: The entry is ours, not confirmed, and not set up this way yet.
        match unsafe { bindings::nf_nat_setup_info(self.as_ptr(), &raw const range, which) } {
            bindings::NF_ACCEPT => Ok(()),
            // There was no memory for an extension.
            _ => Err(ENOMEM),
        }
    }

    fn check_reply(&self, wanted: &Tuple) -> Result {
        if tuple::same(self.reply(), wanted) {
            Ok(())
        } else {
            // Ports of protocols that the kernel translates by address only; types of
            // ICMP; keys of GRE without PPTP.
            Err(EINVAL)
        }
    }
}
