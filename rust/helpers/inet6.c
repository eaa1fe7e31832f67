// SPDX-License-Identifier: GPL-2.0

#include <linux/ipv6.h>
#include <net/addrconf.h>
#include <net/if_inet6.h>

bool carp_helper_ipv6_mod_enabled(void)
{
	return ipv6_mod_enabled();
}

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

int carp_helper_ip6cb_iif(const struct sk_buff *skb)
{
	return IP6CB(skb)->iif;
}
