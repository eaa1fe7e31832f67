/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Inline functions and macros of the kernel that Rust cannot call, one function
 * each, one file for each header. rust/bindings names them without their prefix.
 */
#ifndef CARP_RUST_HELPERS_H
#define CARP_RUST_HELPERS_H

#include <linux/netdevice.h>
#include <linux/rhashtable.h>
#include <linux/rtnetlink.h>
#include <linux/spinlock.h>
#include <net/genetlink.h>
#include <net/inet_dscp.h>
#include <net/ip_fib.h>
#include <net/rtnetlink.h>

/* addrconf.c */
struct inet6_dev *carp_helper_in6_dev_peek(const struct net_device *dev);
void carp_helper_in6_dev_hold(struct inet6_dev *idev);
void carp_helper_in6_dev_put(struct inet6_dev *idev);

/* arp.c */
bool carp_helper_ipv4_neigh_known(struct net_device *dev, u32 key);
bool carp_helper_arp_accept(const struct net_device *dev);
bool carp_helper_arp_is_proxied(const struct net_device *dev, __be32 address);

/* dst.c */
void carp_helper_skb_dst_drop(struct sk_buff *skb);
void carp_helper_skb_dst_set_noref(struct sk_buff *skb, struct dst_entry *dst);
u32 carp_helper_dst_mtu(const struct dst_entry *dst);
struct net_device *carp_helper_dst_dev(const struct dst_entry *dst);

/* etherdevice.c */
void carp_helper_eth_hw_addr_set(struct net_device *dev, const u8 *addr);
bool carp_helper_skb_set_ethernet_source(struct sk_buff *skb, const u8 *mac);

/* genetlink.c */
struct net *carp_helper_genl_info_net(const struct genl_info *info);
const struct genl_info *carp_helper_genl_info_dump(struct netlink_callback *cb);
struct sk_buff *carp_helper_genlmsg_new(size_t payload, gfp_t flags);
void carp_helper_genlmsg_end(struct sk_buff *skb, void *hdr);
void carp_helper_genlmsg_cancel(struct sk_buff *skb, void *hdr);
int carp_helper_genlmsg_reply(struct sk_buff *skb, struct genl_info *info);
int carp_helper_genl_has_listeners(const struct genl_family *family, struct net *net,
				   unsigned int group);
int carp_helper_genlmsg_multicast_netns(const struct genl_family *family, struct net *net,
					struct sk_buff *skb, u32 portid, unsigned int group,
					gfp_t flags);
int carp_helper_genl_set_err(const struct genl_family *family, struct net *net, u32 portid,
			     u32 group, int code);
void carp_helper_genl_dump_set_seq(struct netlink_callback *cb, const struct net *net,
				   u32 generation);
void carp_helper_genl_dump_check_consistent(struct netlink_callback *cb, void *hdr);

/* if_macvlan.c */
bool carp_helper_netif_is_picky_macvlan(const struct net_device *dev);

/* if_vlan.c */
u16 carp_helper_skb_vlan_tag_get_id(const struct sk_buff *skb);

/* igmp.c */
void carp_helper_ip_mc_dec_group(struct in_device *in_dev, __be32 addr);

/* inet_dscp.c */
dscp_t carp_helper_inet_dsfield_to_dscp(u8 dsfield);

/* inetdevice.c */
struct in_device *carp_helper___in_dev_get_rcu(const struct net_device *dev);
struct in_device *carp_helper___in_dev_get_rtnl(const struct net_device *dev);
struct in_ifaddr *carp_helper_in_dev_first_ifa(const struct in_device *in_dev);
struct in_ifaddr *carp_helper_in_ifa_next(const struct in_ifaddr *ifa);
void carp_helper_in_dev_hold(struct in_device *in_dev);
void carp_helper_in_dev_put(struct in_device *in_dev);
int carp_helper_ipv4_devconf_get(const struct in_device *in_dev, int index);
void carp_helper_ipv4_devconf_set(struct in_device *in_dev, int index, int val);
bool carp_helper_ip_ignore_linkdown(const struct net_device *dev);

/* ip.c */
int carp_helper_ipcb_iif(const struct sk_buff *skb);

/* ip_fib.c */
int carp_helper_fib_lookup(struct net *net, struct flowi4 *flow, struct fib_result *result,
			   unsigned int flags);

/* ipv6.c */
void carp_helper_skb_prepare_ipv6_input(struct sk_buff *skb, const struct net_device *dev);
bool carp_helper_ipv6_mod_enabled(void);
int carp_helper_ip6cb_iif(const struct sk_buff *skb);

/* l3mdev.c */
int carp_helper_l3mdev_master_ifindex_rcu(const struct net_device *dev);

/* memcontrol.c */
struct mem_cgroup *carp_helper_mem_cgroup_of_current(void);
void carp_helper_mem_cgroup_put(struct mem_cgroup *memcg);

/* ndisc.c */
bool carp_helper_ipv6_neigh_known(struct net_device *dev, const void *key);

/* neighbour.c */
void carp_helper_neigh_release(struct neighbour *neigh);

/* net_namespace.c */
struct net_device *carp_helper_net_loopback_dev(struct net *net);
struct net *carp_helper_net_next_rcu(struct net *net);
u64 carp_helper_net_cookie(const struct net *net);
bool carp_helper_net_is_initial(const struct net *net);

/* netdevice.c */
struct net *carp_helper_dev_net(const struct net_device *dev);
void carp_helper_dev_hold(struct net_device *dev);
void carp_helper_dev_put(struct net_device *dev);
void carp_helper_netif_dormant_on(struct net_device *dev);
void carp_helper_netif_dormant_off(struct net_device *dev);
bool carp_helper_netif_carrier_ok(const struct net_device *dev);
void carp_helper_dev_sw_netstats_rx_add(struct net_device *dev, unsigned int len);
void carp_helper_dev_sw_netstats_tx_add(struct net_device *dev, unsigned int packets,
					unsigned int len);
void carp_helper_netdev_count_sent(struct net_device *dev, unsigned int len);
void carp_helper_dev_core_stats_tx_dropped_inc(struct net_device *dev);
void *carp_helper_rx_handler_data(const struct net_device *dev);
rx_handler_func_t *carp_helper_rx_handler(const struct net_device *dev);
struct net_device *carp_helper_netdev_notifier_info_to_dev(const struct netdev_notifier_info *info);
bool carp_helper_netif_no_rx_handler(const struct net_device *dev);
void carp_helper_netif_set_software_features(struct net_device *dev);
bool carp_helper_netif_is_bridge_master(const struct net_device *dev);
struct net_device *carp_helper_netdev_at_or_after(struct net *net, unsigned long *ifindex);
void carp_helper_netdev_without_link_layer(struct net_device *dev, unsigned int mtu);
void carp_helper_dev_mc_sync_locked(struct net_device *to, struct net_device *from);
bool carp_helper_dev_has_packet_sockets(const struct net_device *dev);
bool carp_helper_netif_oper_up(const struct net_device *dev);
bool carp_helper_netif_is_l3_master(const struct net_device *dev);
int carp_helper_dev_xmit_first(struct sk_buff *skb);
int carp_helper_ll_reserved_space(const struct net_device *dev);
struct sk_buff *carp_helper_skb_receive_on_behalf(struct sk_buff *skb, struct net_device *dev);
bool carp_helper_skb_receive_copy(struct sk_buff *skb, struct net_device *dev);
void carp_helper_skb_show_ip_to_taps(struct sk_buff *skb, struct net_device *dev);

/* netfilter.c */
void carp_helper_nf_hook_ipv6_input(struct net *net, struct sk_buff *skb, struct net_device *dev,
				    int (*okfn)(struct net *, struct sock *, struct sk_buff *));

/* netlink.c */
void *carp_helper_nla_data(const struct nlattr *nla);
int carp_helper_nla_len(const struct nlattr *nla);
int carp_helper_nla_put_u64_64bit(struct sk_buff *skb, int attrtype, u64 value, int padattr);
struct nlattr *carp_helper_nla_nest_start(struct sk_buff *skb, int attrtype);
int carp_helper_nla_nest_end(struct sk_buff *skb, struct nlattr *start);
void carp_helper_nla_nest_cancel(struct sk_buff *skb, struct nlattr *start);

/* netns_generic.c */
void *carp_helper_net_generic(const struct net *net, unsigned int id);

/* ratelimit.c */
void carp_helper_ratelimit_quiet_init(struct ratelimit_state *rs);

/* rhashtable.c */
int carp_helper_watch_table_init(struct rhashtable *table);
void *carp_helper_watch_table_find(struct rhashtable *table, unsigned long key);
int carp_helper_watch_table_insert(struct rhashtable *table, void *node);
int carp_helper_watch_table_remove(struct rhashtable *table, void *node);

/* rtnetlink.c */
void carp_helper_assert_rtnl(void);
struct net *carp_helper_rtnl_newlink_link_net(struct rtnl_newlink_params *params);

/* sched_mm.c */
struct mem_cgroup *carp_helper_set_active_memcg(struct mem_cgroup *memcg);

/* skbuff.c */
struct sk_buff *carp_helper_alloc_skb(unsigned int size, gfp_t flags);
void carp_helper_kfree_skb(struct sk_buff *skb);
void carp_helper_consume_skb(struct sk_buff *skb);
void carp_helper_skb_reserve(struct sk_buff *skb, int len);
void carp_helper_skb_reset_mac_header(struct sk_buff *skb);
void carp_helper_skb_set_network_header(struct sk_buff *skb, int offset);
void *carp_helper_skb_network_header(const struct sk_buff *skb);
struct sk_buff *carp_helper_skb_share_check(struct sk_buff *skb, gfp_t flags);
bool carp_helper_skb_pull_unshared(struct sk_buff *skb, unsigned int len);
unsigned int carp_helper_skb_headlen(const struct sk_buff *skb);
struct dst_entry *carp_helper_skb_dst(const struct sk_buff *skb);
void carp_helper_skb_dst_set(struct sk_buff *skb, struct dst_entry *dst);
void carp_helper_skb_set_transport_header(struct sk_buff *skb, int offset);
void carp_helper_skb_reset_network_header(struct sk_buff *skb);
u32 carp_helper_skb_mark(const struct sk_buff *skb);
void carp_helper_skb_set_priority(struct sk_buff *skb, u32 priority);
void carp_helper_skb_prepare_xmit(struct sk_buff *skb, struct net_device *dev,
				  __be16 protocol, u32 priority);
struct sk_buff *carp_helper_skb_next(const struct sk_buff *skb);
void carp_helper_skb_set_next(struct sk_buff *skb, struct sk_buff *next);

/* spinlock.c */
void carp_helper_spin_lock_bh(spinlock_t *lock);
void carp_helper_spin_unlock_bh(spinlock_t *lock);
int carp_helper_spin_trylock_bh(spinlock_t *lock);

/* string.c */
void carp_helper_memzero_explicit(void *s, size_t count);

/* suspend.c */
int carp_helper_pm_register(struct notifier_block *nb);
int carp_helper_pm_unregister(struct notifier_block *nb);

/* user_namespace.c */
bool carp_helper_net_governs(const struct net *net, const struct net *other);
bool carp_helper_net_has_initial_owner(const struct net *net);

#endif
