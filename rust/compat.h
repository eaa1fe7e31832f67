/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What C structures of one kernel version have and those of another have not; compat.rs
 * is the same for Rust. From 7.2 on.
 */
#ifndef CARP_RUST_COMPAT_H
#define CARP_RUST_COMPAT_H

#include <linux/version.h>
#include <net/netfilter/nf_conntrack_ecache.h>
#include <net/netfilter/nf_conntrack_expect.h>

/* Which events of an expectation are told: since 7.3 it says so itself, not its master. */
static inline void compat_inherit_event_mask(struct nf_conntrack_expect *exp,
					     const struct nf_conn *master)
{
#if KERNEL_VERSION(7, 3, 0) <= LINUX_VERSION_CODE
	struct nf_conntrack_ecache *ecache = nf_ct_ecache_find(master);

	if (ecache)
		exp->event_mask = ecache->expmask;
#endif
}

#endif
