// SPDX-License-Identifier: GPL-2.0

#include <linux/etherdevice.h>
#include <linux/if_arp.h>
#include <linux/if_macvlan.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>

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

bool carp_helper_netif_running(const struct net_device *dev)
{
	return netif_running(dev);
}

void carp_helper_eth_hw_addr_set(struct net_device *dev, const u8 *addr)
{
	eth_hw_addr_set(dev, addr);
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

void carp_helper_assert_rtnl(void)
{
	ASSERT_RTNL();
}

bool carp_helper_netif_is_picky_macvlan(const struct net_device *dev)
{
	return netif_is_macvlan(dev) &&
	       ((struct macvlan_dev *)netdev_priv(dev))->mode != MACVLAN_MODE_PASSTHRU;
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
