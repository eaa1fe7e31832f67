// SPDX-License-Identifier: GPL-2.0

#include <net/ndisc.h>

#include "helpers.h"

bool carp_helper_ipv6_neigh_known(struct net_device *dev, const void *key)
{
	return !hlist_empty(&dev->neighbours[NEIGH_ND_TABLE]) &&
	       __ipv6_neigh_lookup_noref(dev, key);
}
