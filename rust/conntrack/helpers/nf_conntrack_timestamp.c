// SPDX-License-Identifier: GPL-2.0

#include <net/netfilter/nf_conntrack_timestamp.h>

#include "helpers.h"

struct nf_conn_tstamp *carp_helper_nf_conn_tstamp_find(const struct nf_conn *ct)
{
	return nf_conn_tstamp_find(ct);
}

void carp_helper_nf_ct_tstamp_ext_add(struct nf_conn *ct)
{
	nf_ct_tstamp_ext_add(ct, GFP_ATOMIC);
}
