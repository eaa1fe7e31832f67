// SPDX-License-Identifier: GPL-2.0

#include <net/dst_metadata.h>

#include "helpers.h"

bool carp_helper_skb_valid_dst(const struct sk_buff *skb)
{
	return skb_valid_dst(skb);
}
