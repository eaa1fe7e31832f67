// SPDX-License-Identifier: GPL-2.0

#include <linux/ipv6.h>
#include <net/addrconf.h>

#include "helpers.h"

/* Without IPv6 there is no table of addresses to look into. */
bool carp_helper_ipv6_has_addr(struct net *net, const struct in6_addr *addr,
			       const struct net_device *dev, int strict)
{
	return ipv6_mod_enabled() && ipv6_chk_addr(net, addr, dev, strict);
}
