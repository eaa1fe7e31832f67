// SPDX-License-Identifier: GPL-2.0

#include <net/netfilter/nf_conntrack.h>
#include <net/netfilter/nf_conntrack_l4proto.h>

#include "helpers.h"

/* What GRE would begin with here, in jiffies. */
struct nf_ct_gre carp_helper_gre_timeouts(const struct nf_conn *ct)
{
	struct nf_ct_gre gre = {};
#ifdef CONFIG_NF_CT_PROTO_GRE
	const unsigned int *timeouts = nf_gre_pernet(nf_ct_net(ct))->timeouts;

	gre.timeout = timeouts[GRE_CT_UNREPLIED];
	gre.stream_timeout = timeouts[GRE_CT_REPLIED];
#endif
	return gre;
}
