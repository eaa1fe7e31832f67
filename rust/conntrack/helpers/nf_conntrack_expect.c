// SPDX-License-Identifier: GPL-2.0

#include <net/netfilter/nf_conntrack.h>
#include <net/netfilter/nf_conntrack_expect.h>
#include <net/netfilter/nf_conntrack_helper.h>

#include "../../compat.h"
#include "helpers.h"

bool carp_helper_nf_ct_exp_is_expired(const struct nf_conntrack_expect *exp)
{
	return nf_ct_exp_is_expired(exp);
}

/* Those of an entry, and the next one; nf_conntrack_expect_lock is held. */
struct nf_conntrack_expect *carp_helper_nf_ct_exp_first(const struct nf_conn_help *help)
{
	return hlist_entry_safe(help->expectations.first, struct nf_conntrack_expect, lnode);
}

struct nf_conntrack_expect *carp_helper_nf_ct_exp_next(const struct nf_conntrack_expect *exp)
{
	return hlist_entry_safe(exp->lnode.next, struct nf_conntrack_expect, lnode);
}

struct nf_conntrack_helper *carp_helper_nf_ct_exp_helper(const struct nf_conntrack_expect *exp)
{
	return rcu_dereference_raw(exp->helper);
}

struct nf_conntrack_helper *carp_helper_nf_ct_exp_assigned(const struct nf_conntrack_expect *exp)
{
	return rcu_dereference_raw(exp->assign_helper);
}

/* Of an expectation that nobody knows yet, with what it inherits from its master. */
void carp_helper_nf_ct_exp_inherit(struct nf_conntrack_expect *exp, struct nf_conn *ct,
				   struct nf_conntrack_helper *helper,
				   struct nf_conntrack_helper *assigned)
{
	write_pnet(&exp->net, nf_ct_net(ct));
#ifdef CONFIG_NF_CONNTRACK_ZONES
	exp->zone = ct->zone;
#endif
	exp->master_tuple = ct->tuplehash[IP_CT_DIR_ORIGINAL].tuple;
	compat_inherit_event_mask(exp, ct);
	RCU_INIT_POINTER(exp->helper, helper);
	RCU_INIT_POINTER(exp->assign_helper, assigned);
}
