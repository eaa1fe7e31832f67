// SPDX-License-Identifier: GPL-2.0

#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <linux/etherdevice.h>
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netfilter.h>
#include <net/dst.h>

struct sk_buff *carp_helper_alloc_skb(unsigned int size, gfp_t flags)
{
	return alloc_skb(size, flags);
}

/*
 * Gives a frame to the driver before all that waits in the device's queue, as a packet
 * socket with PACKET_QDISC_BYPASS does. Not past those who filter what leaves, nor where
 * the driver has no room: then it waits like any other. Taps expect that softirqs are off.
 */
int carp_helper_dev_xmit_first(struct sk_buff *skb)
{
	struct net_device *dev = skb->dev;
	bool waits;
	int ret;

	rcu_read_lock_bh();
	waits = netif_xmit_frozen_or_drv_stopped(netdev_get_tx_queue(dev, 0));
#ifdef CONFIG_NETFILTER_EGRESS
	waits |= !!rcu_access_pointer(dev->nf_hooks_egress);
#endif
#ifdef CONFIG_NET_XGRESS
	waits |= !!rcu_access_pointer(dev->tcx_egress);
#endif
	if (!waits && dev_nit_active(dev))
		dev_queue_xmit_nit(skb, dev);
	rcu_read_unlock_bh();
	if (!waits) {
		ret = __dev_direct_xmit(skb, 0);
		if (dev_xmit_complete(ret))
			return ret;
	}
	return dev_queue_xmit(skb);
}

void carp_helper_kfree_skb(struct sk_buff *skb)
{
	kfree_skb(skb);
}

void carp_helper_consume_skb(struct sk_buff *skb)
{
	consume_skb(skb);
}

void carp_helper_skb_reserve(struct sk_buff *skb, int len)
{
	skb_reserve(skb, len);
}

void carp_helper_skb_reset_mac_header(struct sk_buff *skb)
{
	skb_reset_mac_header(skb);
}

void carp_helper_skb_set_network_header(struct sk_buff *skb, int offset)
{
	skb_set_network_header(skb, offset);
}

void *carp_helper_skb_network_header(const struct sk_buff *skb)
{
	return skb_network_header(skb);
}

u16 carp_helper_skb_vlan_tag_get_id(const struct sk_buff *skb)
{
	return skb_vlan_tag_get_id(skb);
}

struct sk_buff *carp_helper_skb_share_check(struct sk_buff *skb, gfp_t flags)
{
	return skb_share_check(skb, flags);
}

/* What is not linear stays so in a buffer that others share: pskb_expand_head() would be a BUG(). */
bool carp_helper_skb_pull_unshared(struct sk_buff *skb, unsigned int len)
{
	return len <= skb_headlen(skb) || (!skb_shared(skb) && pskb_may_pull(skb, len));
}

unsigned int carp_helper_skb_headlen(const struct sk_buff *skb)
{
	return skb_headlen(skb);
}

int carp_helper_ll_reserved_space(const struct net_device *dev)
{
	return LL_RESERVED_SPACE(dev);
}

struct dst_entry *carp_helper_skb_dst(const struct sk_buff *skb)
{
	return skb_dst(skb);
}

void carp_helper_skb_dst_set(struct sk_buff *skb, struct dst_entry *dst)
{
	skb_dst_set(skb, dst);
}

void carp_helper_skb_dst_drop(struct sk_buff *skb)
{
	skb_dst_drop(skb);
}

void carp_helper_skb_set_transport_header(struct sk_buff *skb, int offset)
{
	skb_set_transport_header(skb, offset);
}

void carp_helper_skb_reset_network_header(struct sk_buff *skb)
{
	skb_reset_network_header(skb);
}

u32 carp_helper_skb_mark(const struct sk_buff *skb)
{
	return skb->mark;
}

void carp_helper_skb_set_priority(struct sk_buff *skb, u32 priority)
{
	skb->priority = priority;
}

/* The fields lie in unions and groups that bindgen gives no stable names. */
void carp_helper_skb_prepare_xmit(struct sk_buff *skb, struct net_device *dev,
				  __be16 protocol, u32 priority)
{
	skb->dev = dev;
	skb->protocol = protocol;
	skb->priority = priority;
}

/* As deliver_skb() of net/core/dev.c. */
static void skb_show_to_tap(struct sk_buff *skb, struct packet_type *tap, struct net_device *dev)
{
	if (skb_orphan_frags_rx(skb, GFP_ATOMIC))
		return;
	refcount_inc(&skb->users);
	tap->func(skb, dev, tap, dev);
}

/*
 * To packet sockets that are bound to this device alone, as a packet that it received: those
 * for all devices see it on the one where it came in.
 */
static noinline void skb_show_to_taps(struct sk_buff *skb, struct net_device *dev)
{
	struct net_device *orig = skb->dev;
	struct packet_type *tap;

	list_for_each_entry_rcu(tap, &dev->ptype_all, list)
		skb_show_to_tap(skb, tap, dev);
	list_for_each_entry_rcu(tap, &dev->ptype_specific, list)
		if (tap->type == skb->protocol)
			skb_show_to_tap(skb, tap, dev);
	skb->dev = orig;
}

/* In one call, for every packet of a master comes this way. */
struct sk_buff *carp_helper_skb_receive_on_behalf(struct sk_buff *skb, struct net_device *dev)
{
	skb = skb_share_check(skb, GFP_ATOMIC);
	if (unlikely(!skb))
		return NULL;
	skb->pkt_type = PACKET_HOST;
	dev_sw_netstats_rx_add(dev, skb->len + ETH_HLEN);
	if (unlikely(!list_empty(&dev->ptype_all) || !list_empty(&dev->ptype_specific)))
		skb_show_to_taps(skb, dev);
	return skb;
}

/* A copy goes on as if it had come in on another device, as macvlan_broadcast() has it. */
bool carp_helper_skb_receive_copy(struct sk_buff *skb, struct net_device *dev)
{
	skb = skb_clone(skb, GFP_ATOMIC);
	if (!skb)
		return false;
	skb->dev = dev;
	return netif_rx(skb) == NET_RX_SUCCESS;
}

/* The headers of an IPv6 packet without extension headers are in place, as after ip6_rcv(). */
void carp_helper_skb_prepare_ipv6_input(struct sk_buff *skb, const struct net_device *dev)
{
	skb_set_transport_header(skb, sizeof(struct ipv6hdr));
	memset(IP6CB(skb), 0, sizeof(struct inet6_skb_parm));
	IP6CB(skb)->iif = dev->ifindex;
}

void carp_helper_nf_hook_ipv6_input(struct net *net, struct sk_buff *skb, struct net_device *dev,
				    int (*okfn)(struct net *, struct sock *, struct sk_buff *))
{
	NF_HOOK(NFPROTO_IPV6, NF_INET_LOCAL_IN, net, NULL, skb, dev, NULL, okfn);
}

struct sk_buff *carp_helper_skb_next(const struct sk_buff *skb)
{
	return skb->next;
}

void carp_helper_skb_set_next(struct sk_buff *skb, struct sk_buff *next)
{
	skb->next = next;
}

/* For a frame that is complete, at whose Ethernet header the data begins. */
bool carp_helper_skb_set_ethernet_source(struct sk_buff *skb, const u8 *mac)
{
	if (skb_cow_head(skb, 0) || !pskb_may_pull(skb, ETH_HLEN))
		return false;
	ether_addr_copy(((struct ethhdr *)skb->data)->h_source, mac);
	return true;
}

static void skb_move_data(struct sk_buff *skb, int by)
{
	if (by < 0)
		__skb_push(skb, -by);
	else
		__skb_pull(skb, by);
}

/*
 * To the taps of a device without link layer: from the IP header on. Taps take
 * locks of their own that they share with softirqs.
 */
void carp_helper_skb_show_ip_to_taps(struct sk_buff *skb, struct net_device *dev)
{
	struct net_device *orig = skb->dev;
	int offset = skb_network_offset(skb);
	__be16 protocol = skb->protocol;

	rcu_read_lock_bh();
	if (!dev_nit_active_rcu(dev) || offset >= (int)skb_headlen(skb))
		goto out;
	skb_move_data(skb, offset);
	skb->dev = dev;
	skb->protocol = ip_hdr(skb)->version == 4 ? htons(ETH_P_IP) : htons(ETH_P_IPV6);
	dev_queue_xmit_nit(skb, dev);
	skb->dev = orig;
	skb->protocol = protocol;
	skb_move_data(skb, -offset);
out:
	rcu_read_unlock_bh();
}
