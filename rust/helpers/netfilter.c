// SPDX-License-Identifier: GPL-2.0

#include <linux/netfilter.h>

#include "helpers.h"

void carp_helper_nf_hook_ipv6_input(struct net *net, struct sk_buff *skb, struct net_device *dev,
				    int (*okfn)(struct net *, struct sock *, struct sk_buff *))
{
	NF_HOOK(NFPROTO_IPV6, NF_INET_LOCAL_IN, net, NULL, skb, dev, NULL, okfn);
}
