// SPDX-License-Identifier: GPL-2.0

#include <net/netfilter/nf_nat.h>

#include "helpers.h"

/* The device by which a masqueraded entry leaves, or 0. */
int carp_helper_nf_ct_masq_index(const struct nf_conn *ct)
{
#if IS_ENABLED(CONFIG_NF_NAT_MASQUERADE)
	const struct nf_conn_nat *nat = nfct_nat(ct);

	return nat ? nat->masq_index : 0;
#else
	return 0;
#endif
}
