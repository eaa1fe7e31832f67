// SPDX-License-Identifier: GPL-2.0

#include <net/netfilter/nf_conntrack_acct.h>

#include "helpers.h"

struct nf_conn_acct *carp_helper_nf_conn_acct_find(const struct nf_conn *ct)
{
	return nf_conn_acct_find(ct);
}

void carp_helper_nf_ct_acct_ext_add(struct nf_conn *ct)
{
	nf_ct_acct_ext_add(ct, GFP_ATOMIC);
}
