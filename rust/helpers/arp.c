// SPDX-License-Identifier: GPL-2.0

#include <linux/inetdevice.h>
#include <net/arp.h>

#include "helpers.h"

bool carp_helper_ipv4_neigh_known(struct net_device *dev, u32 key)
{
	return !hlist_empty(&dev->neighbours[NEIGH_ARP_TABLE]) &&
	       __ipv4_neigh_lookup_noref(dev, key);
}

bool carp_helper_arp_accept(const struct net_device *dev)
{
	const struct in_device *in_dev = __in_dev_get_rcu(dev);

	return in_dev && IN_DEV_ARP_ACCEPT(in_dev);
}

/*
 * Whether a device that forwards may answer for an address that is not its own: it has an
 * entry for it, as pneigh_lookup() would find, which is not exported, or its own sysctls say
 * so.
 */
bool carp_helper_arp_is_proxied(const struct net_device *dev, __be32 address)
{
	/* PNEIGH_HASHMASK of net/core/neighbour.c */
	const unsigned int buckets = 0xF + 1;
	const struct pneigh_entry *entry;
	const struct in_device *in_dev = __in_dev_get_rcu(dev);
	unsigned int n;

	if (!in_dev || !IN_DEV_FORWARD(in_dev))
		return false;
	if (IN_DEV_CONF_GET(in_dev, PROXY_ARP) || IN_DEV_CONF_GET(in_dev, PROXY_ARP_PVLAN))
		return true;
	for (n = 0; n < buckets; n++)
		for (entry = rcu_dereference(arp_tbl.phash_buckets[n]); entry;
		     entry = rcu_dereference(entry->next))
			if (entry->dev == dev && *(const __be32 *)entry->key == address)
				return true;
	return false;
}
