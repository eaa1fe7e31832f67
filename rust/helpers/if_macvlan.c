// SPDX-License-Identifier: GPL-2.0

#include <linux/if_macvlan.h>

#include "helpers.h"

bool carp_helper_netif_is_picky_macvlan(const struct net_device *dev)
{
	return netif_is_macvlan(dev) &&
	       ((struct macvlan_dev *)netdev_priv(dev))->mode != MACVLAN_MODE_PASSTHRU;
}
