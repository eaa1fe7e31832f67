// SPDX-License-Identifier: GPL-2.0

#include <net/addrconf.h>

#include "helpers.h"

/* For both readers under RCU and holders of RTNL. */
struct inet6_dev *carp_helper_in6_dev_peek(const struct net_device *dev)
{
	return rcu_dereference_raw(dev->ip6_ptr);
}

void carp_helper_in6_dev_hold(struct inet6_dev *idev)
{
	in6_dev_hold(idev);
}

void carp_helper_in6_dev_put(struct inet6_dev *idev)
{
	in6_dev_put(idev);
}
