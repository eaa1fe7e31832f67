// SPDX-License-Identifier: GPL-2.0

#include <linux/inetdevice.h>

#include "helpers.h"

struct in_device *carp_helper___in_dev_get_rcu(const struct net_device *dev)
{
	return __in_dev_get_rcu(dev);
}

struct in_device *carp_helper___in_dev_get_rtnl(const struct net_device *dev)
{
	return __in_dev_get_rtnl(dev);
}

/* For both readers under RCU and holders of RTNL. */
struct in_ifaddr *carp_helper_in_dev_first_ifa(const struct in_device *in_dev)
{
	return rcu_dereference_raw(in_dev->ifa_list);
}

struct in_ifaddr *carp_helper_in_ifa_next(const struct in_ifaddr *ifa)
{
	return rcu_dereference_raw(ifa->ifa_next);
}

void carp_helper_in_dev_hold(struct in_device *in_dev)
{
	in_dev_hold(in_dev);
}

void carp_helper_in_dev_put(struct in_device *in_dev)
{
	in_dev_put(in_dev);
}

int carp_helper_ipv4_devconf_get(const struct in_device *in_dev, int index)
{
	return ipv4_devconf_get(in_dev, index);
}

void carp_helper_ipv4_devconf_set(struct in_device *in_dev, int index, int val)
{
	ipv4_devconf_set(in_dev, index, val);
}

bool carp_helper_ip_ignore_linkdown(const struct net_device *dev)
{
	return ip_ignore_linkdown(dev);
}
