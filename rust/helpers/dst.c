// SPDX-License-Identifier: GPL-2.0

#include <net/dst.h>

#include "helpers.h"

void carp_helper_skb_dst_drop(struct sk_buff *skb)
{
	skb_dst_drop(skb);
}

void carp_helper_skb_dst_set_noref(struct sk_buff *skb, struct dst_entry *dst)
{
	skb_dst_set_noref(skb, dst);
}

u32 carp_helper_dst_mtu(const struct dst_entry *dst)
{
	return dst_mtu(dst);
}

struct net_device *carp_helper_dst_dev(const struct dst_entry *dst)
{
	return dst_dev(dst);
}
