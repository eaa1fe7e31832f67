// SPDX-License-Identifier: GPL-2.0

#include <net/netfilter/nf_conntrack_synproxy.h>

#include "helpers.h"

struct nf_conn_synproxy *carp_helper_nfct_synproxy(const struct nf_conn *ct)
{
	return nfct_synproxy(ct);
}

void carp_helper_nfct_synproxy_ext_add(struct nf_conn *ct)
{
	nfct_synproxy_ext_add(ct);
}
