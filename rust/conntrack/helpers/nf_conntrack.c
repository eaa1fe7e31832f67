// SPDX-License-Identifier: GPL-2.0

#include <linux/ip.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/netfilter/nf_conntrack_l4proto.h>

#include "helpers.h"

/*
 * How many jiffies an offloaded entry may live after its last packet, as
 * flow_offload_fixup_ct() says. Of others only GRE is offloaded, without a word there.
 */
unsigned int carp_helper_nf_ct_idle_timeout(const struct nf_conn *ct)
{
	struct net *net = nf_ct_net(ct);

	if (nf_ct_protonum(ct) == IPPROTO_TCP)
		return READ_ONCE(nf_tcp_pernet(net)->timeouts[READ_ONCE(ct->proto.tcp.state)]);
	return READ_ONCE(nf_udp_pernet(net)->timeouts[UDP_CT_REPLIED]);
}

struct nf_conn *carp_helper_nf_ct_get(const struct sk_buff *skb, unsigned int *info)
{
	enum ip_conntrack_info ctinfo;
	struct nf_conn *ct = nf_ct_get(skb, &ctinfo);

	*info = ctinfo;
	return ct;
}

struct net *carp_helper_nf_ct_net(const struct nf_conn *ct)
{
	return nf_ct_net(ct);
}

void carp_helper_nf_ct_hold(struct nf_conn *ct)
{
	nf_conntrack_get(&ct->ct_general);
}

/* What is read after it is that of the entry that was counted. */
bool carp_helper_nf_ct_hold_not_zero(struct nf_conn *ct)
{
	if (!refcount_inc_not_zero(&ct->ct_general.use))
		return false;
	smp_acquire__after_ctrl_dep();
	return true;
}

void carp_helper_nf_ct_put(struct nf_conn *ct)
{
	nf_ct_put(ct);
}

bool carp_helper_nf_ct_is_expired(const struct nf_conn *ct)
{
	return nf_ct_is_expired(ct);
}

unsigned long carp_helper_nf_ct_expires(const struct nf_conn *ct)
{
	return nf_ct_expires(ct);
}

void carp_helper_nf_ct_set_status_bit(struct nf_conn *ct, unsigned int bit)
{
	set_bit(bit, &ct->status);
}

void carp_helper_nf_ct_clear_status_bit(struct nf_conn *ct, unsigned int bit)
{
	clear_bit(bit, &ct->status);
}

struct nf_conn *carp_helper_nf_ct_tuplehash_to_ctrack(const struct nf_conntrack_tuple_hash *hash)
{
	return nf_ct_tuplehash_to_ctrack(hash);
}
