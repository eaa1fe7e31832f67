// SPDX-License-Identifier: GPL-2.0

//! A walk through the table.

use super::{
    adapter::{net::Net, table::Cursor},
    bindings,
    entry::Entry,
    rwonce::{rcu_dereference, read_once},
};
use core::ptr::{self, NonNull};
use kernel::sync::{aref::ARef, rcu};

/// Places that are looked at for each entry that is asked for; most are empty.
const PLACES_FOR_EACH: u64 = 64;

/// Where the table lies, and its size. The two belong together, which who resizes the
/// table sees to with all of its locks.
fn table(_rcu: &rcu::Guard) -> (*mut bindings::hlist_nulls_head, u64) {
    // SAFETY: Any of the locks will do. The table that is found stays for as long as
    // RCU is held.
    unsafe {
        let lock = (&raw mut bindings::nf_conntrack_locks).cast::<bindings::spinlock_t>();
        bindings::local_bh_disable();
        bindings::nf_conntrack_lock(lock);
        let hash = (&raw const bindings::nf_conntrack_hash).read();
        let size = (&raw const bindings::nf_conntrack_htable_size).read();
        bindings::spin_unlock(lock);
        bindings::local_bh_enable();
        (hash, u64::from(size))
    }
}

/// A link of a chain: another node, or the end, which says which chain it ends.
enum Link {
    Node(*mut bindings::hlist_nulls_node),
    End(u64),
}

/// # Safety
///
/// The pointer is a head's or a node's, under RCU.
unsafe fn follow(link: *const *mut bindings::hlist_nulls_node) -> Link {
    // SAFETY: The caller promises a valid pointer.
    let node = unsafe { rcu_dereference(link) };
    if node.addr() & 1 != 0 {
        Link::End((node.addr() >> 1) as u64)
    } else {
        Link::Node(node)
    }
}

/// Whether the node is that of an entry's original tuple.
///
/// # Safety
///
/// The node was met in the table, under RCU.
unsafe fn is_original(node: *mut bindings::hlist_nulls_node) -> bool {
    let hash = node.cast::<bindings::nf_conntrack_tuple_hash>();
    // SAFETY: The node is the structure's first field, and memory of a node under RCU.
    unsafe { read_once(&raw const (*hash).tuple.dst.dir) == 0 }
}

/// The entry of a node, counted, if it looks like one of `net`: counts of others', which
/// are written to, are left alone.
///
/// # Safety
///
/// As for [`is_original`].
unsafe fn entry_of(node: *mut bindings::hlist_nulls_node, net: &Net) -> Option<ARef<Entry>> {
    let hash = node.cast::<bindings::nf_conntrack_tuple_hash>();
    // SAFETY: The node is the structure's first field. Entries are memory of entries
    // for as long as RCU is held; only a count says that it is one.
    unsafe {
        let ct = bindings::nf_ct_tuplehash_to_ctrack(hash);
        if !ptr::eq(bindings::nf_ct_net(ct), net.as_ptr()) {
            return None;
        }
        if !bindings::nf_ct_hold_not_zero(ct) {
            return None;
        }
        Some(ARef::from_raw(NonNull::new_unchecked(ct.cast())))
    }
}

/// Calls `each` with entries of a namespace from the cursor on, each under RCU, until
/// about `most` entries of any namespace were looked at: a namespace with few must not
/// keep the processor for those of others. Returns whether there may be more. Who is in
/// the table all the time is met once at least. The cursor holds a place of the table,
/// and of how many.
pub(crate) fn walk(
    net: &Net,
    cursor: &mut Cursor,
    most: u32,
    each: &mut dyn FnMut(&Entry),
) -> bool {
    let rcu = rcu::Guard::new();
    let (hash, size) = table(&rcu);
    let [mut place, known] = *cursor;
    if known != size {
        place = 0;
    }
    let last = place.saturating_add(u64::from(most).saturating_mul(PLACES_FOR_EACH));
    let mut seen: u32 = 0;
    while place < size && place < last && seen < most {
        // SAFETY: The place is one of the table's.
        seen += unsafe { walk_chain(hash.add(place as usize), place, net, each) };
        place += 1;
    }
    if !ptr::eq(table(&rcu).0, hash) {
        // Resized meanwhile: what was yet to be met may be anywhere.
        *cursor = [0, 0];
        return true;
    }
    *cursor = [place, size];
    place < size
}

/// Walks through a chain. Returns how many entries of any namespace it has seen.
///
/// # Safety
///
/// `head` is the chain at `place` of the table, under RCU.
#[inline]
unsafe fn walk_chain(
    head: *mut bindings::hlist_nulls_head,
    place: u64,
    net: &Net,
    each: &mut dyn FnMut(&Entry),
) -> u32 {
    let mut seen: u32 = 0;
    // SAFETY: The caller promises a head.
    let first = unsafe { &raw const (*head).first };
    let mut link = first;
    // SAFETY: As above.
    if matches!(unsafe { follow(first) }, Link::End(end) if end == place) {
        return 0; // As most are.
    }
    loop {
        // SAFETY: A head's or a node's link, under RCU.
        match unsafe { follow(link) } {
            Link::End(end) if end == place => return seen,
            // An entry has moved to another chain while we were with it.
            Link::End(_) => link = first,
            Link::Node(node) => {
                // SAFETY: The node was just met.
                let entry = unsafe {
                    let is_original = is_original(node);
                    seen += u32::from(is_original);
                    is_original.then(|| entry_of(node, net)).flatten()
                };
                // Its memory may have become another one's before it was counted.
                let is_ours =
                    |it: &ARef<Entry>| it.is_in(net) && it.is_confirmed() && it.is_alive();
                if let Some(entry) = entry.filter(is_ours) {
                    each(&entry);
                }
                // SAFETY: Nodes stay memory of nodes under RCU.
                link = unsafe { &raw const (*node).next };
            }
        }
    }
}
