// SPDX-License-Identifier: GPL-2.0

#include <net/netfilter/nf_conntrack_seqadj.h>

#include "helpers.h"

struct nf_conn_seqadj *carp_helper_nfct_seqadj(const struct nf_conn *ct)
{
	return nfct_seqadj(ct);
}

void carp_helper_nfct_seqadj_ext_add(struct nf_conn *ct)
{
	nfct_seqadj_ext_add(ct);
}
