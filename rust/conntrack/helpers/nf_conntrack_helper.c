// SPDX-License-Identifier: GPL-2.0

#include <net/netfilter/nf_conntrack_helper.h>

#include "helpers.h"

struct nf_conn_help *carp_helper_nfct_help(const struct nf_conn *ct)
{
	return nfct_help(ct);
}

struct nf_conntrack_helper *carp_helper_nfct_help_helper(const struct nf_conn_help *help)
{
	return rcu_dereference_raw(help->helper);
}

/* Of an entry that nobody knows yet. */
void carp_helper_nfct_help_set(struct nf_conn_help *help, struct nf_conntrack_helper *helper)
{
	RCU_INIT_POINTER(help->helper, helper);
}

bool carp_helper_nf_ct_helper_hold(struct nf_conntrack_helper *helper)
{
	return refcount_inc_not_zero(&helper->ct_refcnt);
}

bool carp_helper_nf_ct_helper_helps(const struct nf_conntrack_helper *helper)
{
	return rcu_access_pointer(helper->help);
}
