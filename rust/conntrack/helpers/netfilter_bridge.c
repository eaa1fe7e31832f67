// SPDX-License-Identifier: GPL-2.0

#include <linux/netfilter_bridge.h>

#include "helpers.h"

bool carp_helper_nf_bridge_info_exists(const struct sk_buff *skb)
{
#if IS_ENABLED(CONFIG_BRIDGE_NETFILTER)
	return nf_bridge_info_exists(skb);
#else
	return false;
#endif
}
