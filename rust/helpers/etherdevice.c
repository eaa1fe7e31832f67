// SPDX-License-Identifier: GPL-2.0

#include <linux/etherdevice.h>

#include "helpers.h"

void carp_helper_eth_hw_addr_set(struct net_device *dev, const u8 *addr)
{
	eth_hw_addr_set(dev, addr);
}

/* For a frame that is complete, at whose Ethernet header the data begins. */
bool carp_helper_skb_set_ethernet_source(struct sk_buff *skb, const u8 *mac)
{
	if (skb_cow_head(skb, 0) || !pskb_may_pull(skb, ETH_HLEN))
		return false;
	ether_addr_copy(((struct ethhdr *)skb->data)->h_source, mac);
	return true;
}
