// SPDX-License-Identifier: GPL-2.0

#include <linux/skbuff.h>

#include "helpers.h"

int carp_helper_skb_network_offset(const struct sk_buff *skb)
{
	return skb_network_offset(skb);
}

unsigned int carp_helper_skb_len(const struct sk_buff *skb)
{
	return skb->len;
}

struct net_device *carp_helper_skb_dev(const struct sk_buff *skb)
{
	return skb->dev;
}

bool carp_helper_skb_has_dst(const struct sk_buff *skb)
{
	return skb_dst(skb);
}
