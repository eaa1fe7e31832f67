/* SPDX-License-Identifier: GPL-2.0 */
/* What bindgen reads for an adapter without a table of the kernel's. */

#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/types.h>
#include <net/net_namespace.h>

#include "../../include/pfsync_table.h"
#include "helpers/helpers.h"
