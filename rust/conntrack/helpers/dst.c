// SPDX-License-Identifier: GPL-2.0

#include <net/dst.h>

#include "helpers.h"

bool carp_helper_skb_dst_force(struct sk_buff *skb)
{
	return skb_dst_force(skb);
}
