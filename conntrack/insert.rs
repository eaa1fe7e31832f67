// SPDX-License-Identifier: GPL-2.0

//! Making an entry that another host has told of.

use super::update;
use crate::linux::{
    adapter::{net::Net, table::Plain},
    entry::{event, Entry, Status},
    helper::{Helper, Name},
    new_entry::NewEntry,
};
use kernel::{
    prelude::*,
    sync::{aref::ARef, rcu},
};

/// All that can be told of a new entry.
const EVENTS: u32 = event::REPLY
    | event::ASSURED
    | event::HELPER
    | event::PROTOINFO
    | event::SEQADJ
    | event::MARK
    | event::LABEL
    | event::SYNPROXY;

/// Makes an entry. Any context but hard interrupts.
pub(super) fn insert(net: &Net, plain: &Plain, master: Option<&Entry>) -> Result<ARef<Entry>> {
    let rcu = rcu::Guard::new();
    let helper = helper(plain, &rcu);
    let mut new = NewEntry::new(net, plain)?;
    if let Some(master) = master {
        if !master.is_in(net) {
            return Err(EINVAL);
        }
        new.set_master(master);
    }
    if let Some(helper) = helper {
        new.set_helper(helper)?;
    }
    new.set_up_nat(&plain.reply)?;
    new.extend(plain.synproxy.present != 0);
    new.set_start(plain.start);
    let entry = new.confirm();
    entry.set_timeout(plain.timeout);
    entry.change_status(Status(plain.status & Status::SHARED.0), Status(0));
    entry.set_mark(plain.mark);
    entry.set_labels(&plain.labels);
    update::set_protocol(entry, plain)?;
    let entry = new.insert()?;
    let created = if master.is_some() {
        entry.fulfil(net);
        event::RELATED
    } else {
        event::NEW
    };
    entry.report(EVENTS | created);
    Ok(entry)
}

/// The helper that the entry is to have. If its module is not loaded, the entry has to do
/// without: what frames say must not load modules.
fn helper<'a>(plain: &Plain, rcu: &'a rcu::Guard) -> Option<Helper<'a>> {
    let name = Name::new(&plain.helper)?;
    Helper::find(&name, plain.family, plain.protocol, rcu)
}
