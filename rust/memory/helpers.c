// SPDX-License-Identifier: GPL-2.0
/* Inline functions and macros of the kernel that Rust cannot call. */

#include <linux/export.h>
#include <linux/nsproxy.h>
#include <linux/sched.h>
#include <net/net_namespace.h>

#include "../../include/pfsync_table.h"
#include "../adapter/helpers.c"

const struct net *carp_helper_current_net(void)
{
	return current->nsproxy->net_ns;
}

#ifndef __BINDGEN__
/* The table itself is Rust's; only C can export it. */
extern const struct pfsync_table_ops pfsync_table_memory;
EXPORT_SYMBOL_GPL(pfsync_table_memory);
#endif
