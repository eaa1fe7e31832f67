// SPDX-License-Identifier: GPL-2.0

#include <linux/if_arp.h>
#include <linux/ip.h>
#include <linux/netdevice.h>

#include "helpers.h"

struct net *carp_helper_dev_net(const struct net_device *dev)
{
	return dev_net(dev);
}

void carp_helper_dev_hold(struct net_device *dev)
{
	dev_hold(dev);
}

void carp_helper_dev_put(struct net_device *dev)
{
	dev_put(dev);
}

void carp_helper_netif_dormant_on(struct net_device *dev)
{
	netif_dormant_on(dev);
}

void carp_helper_netif_dormant_off(struct net_device *dev)
{
	netif_dormant_off(dev);
}

bool carp_helper_netif_carrier_ok(const struct net_device *dev)
{
	return netif_carrier_ok(dev);
}

void carp_helper_dev_sw_netstats_rx_add(struct net_device *dev, unsigned int len)
{
	dev_sw_netstats_rx_add(dev, len);
}

void carp_helper_dev_sw_netstats_tx_add(struct net_device *dev, unsigned int packets,
					unsigned int len)
{
	dev_sw_netstats_tx_add(dev, packets, len);
}

/* The same in any context but hard interrupts. */
void carp_helper_netdev_count_sent(struct net_device *dev, unsigned int len)
{
	local_bh_disable();
	dev_sw_netstats_tx_add(dev, 1, len);
	local_bh_enable();
}

void carp_helper_dev_core_stats_tx_dropped_inc(struct net_device *dev)
{
	dev_core_stats_tx_dropped_inc(dev);
}

void *carp_helper_rx_handler_data(const struct net_device *dev)
{
	return rcu_dereference_raw(dev->rx_handler_data);
}

rx_handler_func_t *carp_helper_rx_handler(const struct net_device *dev)
{
	return rcu_dereference_raw(dev->rx_handler);
}

struct net_device *carp_helper_netdev_notifier_info_to_dev(const struct netdev_notifier_info *info)
{
	return netdev_notifier_info_to_dev(info);
}

bool carp_helper_netif_no_rx_handler(const struct net_device *dev)
{
	return dev->priv_flags & IFF_NO_RX_HANDLER;
}

/* What software makes up for where the device below lacks it. */
void carp_helper_netif_set_software_features(struct net_device *dev)
{
	dev->features |= NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_HIGHDMA | NETIF_F_FRAGLIST |
			 NETIF_F_GSO_SOFTWARE;
	dev->hw_features |= dev->features;
}

bool carp_helper_netif_is_bridge_master(const struct net_device *dev)
{
	return netif_is_bridge_master(dev);
}

/* The first device at or after an index, which is moved to it. */
struct net_device *carp_helper_netdev_at_or_after(struct net *net, unsigned long *ifindex)
{
	return xa_find(&net->dev_by_index, ifindex, ULONG_MAX, XA_PRESENT);
}

/* After ether_setup(): the device's packets begin with their IP header. */
void carp_helper_netdev_without_link_layer(struct net_device *dev, unsigned int mtu)
{
	dev->header_ops = NULL;
	dev->type = ARPHRD_NONE;
	dev->hard_header_len = 0;
	dev->addr_len = 0;
	dev->mtu = mtu;
	dev->flags = IFF_NOARP;
	dev->netns_immutable = true;
}

void carp_helper_dev_mc_sync_locked(struct net_device *to, struct net_device *from)
{
	netif_addr_lock_bh(from);
	dev_mc_sync(to, from);
	netif_addr_unlock_bh(from);
}

bool carp_helper_dev_has_packet_sockets(const struct net_device *dev)
{
	return !list_empty(&dev->ptype_all) || !list_empty(&dev->ptype_specific);
}

bool carp_helper_netif_oper_up(const struct net_device *dev)
{
	return netif_oper_up(dev);
}

bool carp_helper_netif_is_l3_master(const struct net_device *dev)
{
	return netif_is_l3_master(dev);
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

int carp_helper_ll_reserved_space(const struct net_device *dev)
{
	return LL_RESERVED_SPACE(dev);
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
