// SPDX-License-Identifier: GPL-2.0

#include <linux/netdevice.h>

#include "helpers.h"

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
