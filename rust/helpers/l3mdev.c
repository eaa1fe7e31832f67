// SPDX-License-Identifier: GPL-2.0

#include <net/l3mdev.h>

#include "helpers.h"

int carp_helper_l3mdev_master_ifindex_rcu(const struct net_device *dev)
{
	return l3mdev_master_ifindex_rcu(dev);
}
