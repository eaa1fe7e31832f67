// SPDX-License-Identifier: GPL-2.0

#include <linux/if_vlan.h>

#include "helpers.h"

u16 carp_helper_skb_vlan_tag_get_id(const struct sk_buff *skb)
{
	return skb_vlan_tag_get_id(skb);
}
