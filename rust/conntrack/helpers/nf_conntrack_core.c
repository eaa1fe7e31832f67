// SPDX-License-Identifier: GPL-2.0

#include <net/netfilter/nf_conntrack_core.h>

#include "helpers.h"

void carp_helper_nf_ct_set_timeout(struct nf_conn *ct, u64 timeout)
{
	__nf_ct_set_timeout(ct, timeout);
}
