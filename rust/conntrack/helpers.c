// SPDX-License-Identifier: GPL-2.0
/*
 * Inline functions and macros of the kernel that Rust cannot call, one function
 * each. bindings.rs names them without their prefix.
 */

#include <linux/export.h>
#include <linux/inetdevice.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netdevice.h>
#include <linux/netfilter_bridge.h>
#include <linux/security.h>
#include <linux/skbuff.h>
#include <linux/timekeeping.h>
#include <net/addrconf.h>
#include <net/dst_metadata.h>
#include <net/l3mdev.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/netfilter/nf_conntrack_acct.h>
#include <net/netfilter/nf_conntrack_core.h>
#include <net/netfilter/nf_conntrack_ecache.h>
#include <net/netfilter/nf_conntrack_expect.h>
#include <net/netfilter/nf_conntrack_extend.h>
#include <net/netfilter/nf_conntrack_helper.h>
#include <net/netfilter/nf_conntrack_l4proto.h>
#include <net/netfilter/nf_conntrack_labels.h>
#include <net/netfilter/nf_conntrack_seqadj.h>
#include <net/netfilter/nf_conntrack_synproxy.h>
#include <net/netfilter/nf_conntrack_timestamp.h>
#include <net/netfilter/nf_nat.h>
#include <net/route.h>
#include <net/sock.h>

#include "../../include/pfsync_table.h"
#include "../adapter/helpers.c"
#include "../compat.h"

#if !IS_ENABLED(CONFIG_NF_NAT) || !defined(CONFIG_NF_CONNTRACK_MARK) ||		\
	!defined(CONFIG_NF_CONNTRACK_ZONES) || !defined(CONFIG_NF_CONNTRACK_EVENTS)
#error "pfsync_conntrack needs NF_NAT, NF_CONNTRACK_MARK, _ZONES and _EVENTS"
#endif

void carp_helper_spin_lock_bh(spinlock_t *lock)
{
	spin_lock_bh(lock);
}

void carp_helper_spin_unlock_bh(spinlock_t *lock)
{
	spin_unlock_bh(lock);
}

void carp_helper_spin_unlock(spinlock_t *lock)
{
	spin_unlock(lock);
}

u64 carp_helper_ktime_get_real_ns(void)
{
	return ktime_get_real_ns();
}

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

/* Masquerade */

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

/* Without IPv6 there is no table of addresses to look into. */
bool carp_helper_ipv6_has_addr(struct net *net, const struct in6_addr *addr,
			       const struct net_device *dev, int strict)
{
	return ipv6_mod_enabled() && ipv6_chk_addr(net, addr, dev, strict);
}

struct in_device *carp_helper___in_dev_get_rcu(const struct net_device *dev)
{
	return __in_dev_get_rcu(dev);
}

/* Packets */

struct nf_conn *carp_helper_nf_ct_get(const struct sk_buff *skb, unsigned int *info)
{
	enum ip_conntrack_info ctinfo;
	struct nf_conn *ct = nf_ct_get(skb, &ctinfo);

	*info = ctinfo;
	return ct;
}

int carp_helper_skb_network_offset(const struct sk_buff *skb)
{
	return skb_network_offset(skb);
}

unsigned int carp_helper_skb_len(const struct sk_buff *skb)
{
	return skb->len;
}

struct net_device *carp_helper_skb_dev(const struct sk_buff *skb)
{
	return skb->dev;
}

bool carp_helper_skb_has_dst(const struct sk_buff *skb)
{
	return skb_dst(skb);
}

bool carp_helper_skb_valid_dst(const struct sk_buff *skb)
{
	return skb_valid_dst(skb);
}

bool carp_helper_skb_dst_force(struct sk_buff *skb)
{
	return skb_dst_force(skb);
}

/* The route of an IPv4 packet; 0 if it has none. */
unsigned int carp_helper_skb_rt_flags(const struct sk_buff *skb)
{
	return skb_dst(skb) ? skb_rtable(skb)->rt_flags : 0;
}

bool carp_helper_skb_sk_is_prefetched(struct sk_buff *skb)
{
	return skb_sk_is_prefetched(skb);
}

bool carp_helper_nf_bridge_info_exists(const struct sk_buff *skb)
{
#if IS_ENABLED(CONFIG_BRIDGE_NETFILTER)
	return nf_bridge_info_exists(skb);
#else
	return false;
#endif
}

bool carp_helper_sk_refcount_inc_not_zero(struct sock *sk)
{
	return refcount_inc_not_zero(&sk->sk_refcnt);
}

void carp_helper_dev_hold(struct net_device *dev)
{
	dev_hold(dev);
}

void carp_helper_dev_put(struct net_device *dev)
{
	dev_put(dev);
}

bool carp_helper_netif_is_loopback(const struct net_device *dev)
{
	return dev->flags & IFF_LOOPBACK;
}

bool carp_helper_netif_is_l3_master(const struct net_device *dev)
{
	return netif_is_l3_master(dev);
}

/* Entries */

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

bool carp_helper_nf_ct_is_expired(const struct nf_conn *ct)
{
	return nf_ct_is_expired(ct);
}

unsigned long carp_helper_nf_ct_expires(const struct nf_conn *ct)
{
	return nf_ct_expires(ct);
}

void carp_helper_nf_ct_set_timeout(struct nf_conn *ct, u64 timeout)
{
	__nf_ct_set_timeout(ct, timeout);
}

void carp_helper_nf_ct_set_status_bit(struct nf_conn *ct, unsigned int bit)
{
	set_bit(bit, &ct->status);
}

void carp_helper_nf_ct_clear_status_bit(struct nf_conn *ct, unsigned int bit)
{
	clear_bit(bit, &ct->status);
}

void carp_helper_nf_conntrack_event_cache(unsigned int event, struct nf_conn *ct)
{
	nf_conntrack_event_cache(event, ct);
}

struct nf_conn *carp_helper_nf_ct_tuplehash_to_ctrack(const struct nf_conntrack_tuple_hash *hash)
{
	return nf_ct_tuplehash_to_ctrack(hash);
}

/* Extensions */

struct nf_conn_acct *carp_helper_nf_conn_acct_find(const struct nf_conn *ct)
{
	return nf_conn_acct_find(ct);
}

struct nf_conn_tstamp *carp_helper_nf_conn_tstamp_find(const struct nf_conn *ct)
{
	return nf_conn_tstamp_find(ct);
}

struct nf_conn_labels *carp_helper_nf_ct_labels_find(const struct nf_conn *ct)
{
	return nf_ct_labels_find(ct);
}

void carp_helper_nf_connlabels_replace(struct nf_conn *ct, const u32 *words, unsigned int count)
{
#ifdef CONFIG_NF_CONNTRACK_LABELS
	nf_connlabels_replace(ct, words, NULL, count);
#endif
}

struct nf_conn_seqadj *carp_helper_nfct_seqadj(const struct nf_conn *ct)
{
	return nfct_seqadj(ct);
}

struct nf_conn_synproxy *carp_helper_nfct_synproxy(const struct nf_conn *ct)
{
	return nfct_synproxy(ct);
}

struct nf_conn_help *carp_helper_nfct_help(const struct nf_conn *ct)
{
	return nfct_help(ct);
}

void carp_helper_nf_ct_acct_ext_add(struct nf_conn *ct)
{
	nf_ct_acct_ext_add(ct, GFP_ATOMIC);
}

void carp_helper_nf_ct_tstamp_ext_add(struct nf_conn *ct)
{
	nf_ct_tstamp_ext_add(ct, GFP_ATOMIC);
}

void carp_helper_nf_ct_labels_ext_add(struct nf_conn *ct)
{
	nf_ct_labels_ext_add(ct);
}

void carp_helper_nfct_seqadj_ext_add(struct nf_conn *ct)
{
	nfct_seqadj_ext_add(ct);
}

void carp_helper_nfct_synproxy_ext_add(struct nf_conn *ct)
{
	nfct_synproxy_ext_add(ct);
}

/* Helpers */

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

/* Expectations */

bool carp_helper_nf_ct_exp_is_expired(const struct nf_conntrack_expect *exp)
{
	return nf_ct_exp_is_expired(exp);
}

struct net *carp_helper_nf_ct_exp_net(struct nf_conntrack_expect *exp)
{
	return nf_ct_exp_net(exp);
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

#ifndef __BINDGEN__
/* The table itself is Rust's; only C can export it. */
extern const struct pfsync_table_ops pfsync_table_conntrack;
EXPORT_SYMBOL_GPL(pfsync_table_conntrack);
#endif
