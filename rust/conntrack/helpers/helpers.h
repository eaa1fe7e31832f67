/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Inline functions and macros of the kernel that Rust cannot call, one function
 * each, one file for each header. bindings.rs names them without their prefix.
 */
#ifndef CARP_RUST_CONNTRACK_HELPERS_H
#define CARP_RUST_CONNTRACK_HELPERS_H

#include <linux/netdevice.h>
#include <linux/spinlock.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/netfilter/nf_conntrack_expect.h>
#include <net/netfilter/nf_conntrack_helper.h>
#include <net/sock.h>

#include "../../adapter/helpers/helpers.h"

#if !IS_ENABLED(CONFIG_NF_NAT) || !defined(CONFIG_NF_CONNTRACK_MARK) ||		\
	!defined(CONFIG_NF_CONNTRACK_ZONES) || !defined(CONFIG_NF_CONNTRACK_EVENTS)
#error "pfsync_conntrack needs NF_NAT, NF_CONNTRACK_MARK, _ZONES and _EVENTS"
#endif

/* addrconf.c */
bool carp_helper_ipv6_has_addr(struct net *net, const struct in6_addr *addr,
			       const struct net_device *dev, int strict);

/* dst.c */
bool carp_helper_skb_dst_force(struct sk_buff *skb);

/* dst_metadata.c */
bool carp_helper_skb_valid_dst(const struct sk_buff *skb);

/* inetdevice.c */
struct in_device *carp_helper___in_dev_get_rcu(const struct net_device *dev);

/* netdevice.c */
void carp_helper_dev_hold(struct net_device *dev);
void carp_helper_dev_put(struct net_device *dev);
bool carp_helper_netif_is_loopback(const struct net_device *dev);
bool carp_helper_netif_is_l3_master(const struct net_device *dev);

/* netfilter_bridge.c */
bool carp_helper_nf_bridge_info_exists(const struct sk_buff *skb);

/* nf_conntrack.c */
unsigned int carp_helper_nf_ct_idle_timeout(const struct nf_conn *ct);
struct nf_conn *carp_helper_nf_ct_get(const struct sk_buff *skb, unsigned int *info);
struct net *carp_helper_nf_ct_net(const struct nf_conn *ct);
void carp_helper_nf_ct_hold(struct nf_conn *ct);
bool carp_helper_nf_ct_hold_not_zero(struct nf_conn *ct);
void carp_helper_nf_ct_put(struct nf_conn *ct);
bool carp_helper_nf_ct_is_expired(const struct nf_conn *ct);
unsigned long carp_helper_nf_ct_expires(const struct nf_conn *ct);
void carp_helper_nf_ct_set_status_bit(struct nf_conn *ct, unsigned int bit);
void carp_helper_nf_ct_clear_status_bit(struct nf_conn *ct, unsigned int bit);
struct nf_conn *carp_helper_nf_ct_tuplehash_to_ctrack(const struct nf_conntrack_tuple_hash *hash);

/* nf_conntrack_acct.c */
struct nf_conn_acct *carp_helper_nf_conn_acct_find(const struct nf_conn *ct);
void carp_helper_nf_ct_acct_ext_add(struct nf_conn *ct);

/* nf_conntrack_core.c */
void carp_helper_nf_ct_set_timeout(struct nf_conn *ct, u64 timeout);

/* nf_conntrack_ecache.c */
void carp_helper_nf_conntrack_event_cache(unsigned int event, struct nf_conn *ct);

/* nf_conntrack_expect.c */
bool carp_helper_nf_ct_exp_is_expired(const struct nf_conntrack_expect *exp);
struct nf_conntrack_expect *carp_helper_nf_ct_exp_first(const struct nf_conn_help *help);
struct nf_conntrack_expect *carp_helper_nf_ct_exp_next(const struct nf_conntrack_expect *exp);
struct nf_conntrack_helper *carp_helper_nf_ct_exp_helper(const struct nf_conntrack_expect *exp);
struct nf_conntrack_helper *carp_helper_nf_ct_exp_assigned(const struct nf_conntrack_expect *exp);
void carp_helper_nf_ct_exp_inherit(struct nf_conntrack_expect *exp, struct nf_conn *ct,
				   struct nf_conntrack_helper *helper,
				   struct nf_conntrack_helper *assigned);

/* nf_conntrack_helper.c */
struct nf_conn_help *carp_helper_nfct_help(const struct nf_conn *ct);
struct nf_conntrack_helper *carp_helper_nfct_help_helper(const struct nf_conn_help *help);
void carp_helper_nfct_help_set(struct nf_conn_help *help, struct nf_conntrack_helper *helper);
bool carp_helper_nf_ct_helper_hold(struct nf_conntrack_helper *helper);
bool carp_helper_nf_ct_helper_helps(const struct nf_conntrack_helper *helper);

/* nf_conntrack_l4proto.c */
struct nf_ct_gre carp_helper_gre_timeouts(const struct nf_conn *ct);

/* nf_conntrack_labels.c */
struct nf_conn_labels *carp_helper_nf_ct_labels_find(const struct nf_conn *ct);
void carp_helper_nf_connlabels_replace(struct nf_conn *ct, const u32 *words, unsigned int count);
void carp_helper_nf_ct_labels_ext_add(struct nf_conn *ct);

/* nf_conntrack_seqadj.c */
struct nf_conn_seqadj *carp_helper_nfct_seqadj(const struct nf_conn *ct);
void carp_helper_nfct_seqadj_ext_add(struct nf_conn *ct);

/* nf_conntrack_synproxy.c */
struct nf_conn_synproxy *carp_helper_nfct_synproxy(const struct nf_conn *ct);
void carp_helper_nfct_synproxy_ext_add(struct nf_conn *ct);

/* nf_conntrack_timestamp.c */
struct nf_conn_tstamp *carp_helper_nf_conn_tstamp_find(const struct nf_conn *ct);
void carp_helper_nf_ct_tstamp_ext_add(struct nf_conn *ct);

/* nf_nat.c */
int carp_helper_nf_ct_masq_index(const struct nf_conn *ct);

/* route.c */
unsigned int carp_helper_skb_rt_flags(const struct sk_buff *skb);

/* skbuff.c */
int carp_helper_skb_network_offset(const struct sk_buff *skb);
unsigned int carp_helper_skb_len(const struct sk_buff *skb);
struct net_device *carp_helper_skb_dev(const struct sk_buff *skb);
bool carp_helper_skb_has_dst(const struct sk_buff *skb);

/* sock.c */
bool carp_helper_skb_sk_is_prefetched(struct sk_buff *skb);
bool carp_helper_sk_refcount_inc_not_zero(struct sock *sk);

/* spinlock.c */
void carp_helper_spin_lock_bh(spinlock_t *lock);
void carp_helper_spin_unlock_bh(spinlock_t *lock);
void carp_helper_spin_unlock(spinlock_t *lock);

/* timekeeping.c */
u64 carp_helper_ktime_get_real_ns(void);

#endif
