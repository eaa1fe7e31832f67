// SPDX-License-Identifier: GPL-2.0

#include <linux/ipv6.h>

#include "helpers.h"

/* The headers of an IPv6 packet without extension headers are in place, as after ip6_rcv(). */
void carp_helper_skb_prepare_ipv6_input(struct sk_buff *skb, const struct net_device *dev)
{
	skb_set_transport_header(skb, sizeof(struct ipv6hdr));
	memset(IP6CB(skb), 0, sizeof(struct inet6_skb_parm));
	IP6CB(skb)->iif = dev->ifindex;
}

bool carp_helper_ipv6_mod_enabled(void)
{
	return ipv6_mod_enabled();
}

int carp_helper_ip6cb_iif(const struct sk_buff *skb)
{
	return IP6CB(skb)->iif;
}
