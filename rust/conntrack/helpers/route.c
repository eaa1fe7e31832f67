// SPDX-License-Identifier: GPL-2.0

#include <net/route.h>

#include "helpers.h"

/* The route of an IPv4 packet; 0 if it has none. */
unsigned int carp_helper_skb_rt_flags(const struct sk_buff *skb)
{
	return skb_dst(skb) ? skb_rtable(skb)->rt_flags : 0;
}
