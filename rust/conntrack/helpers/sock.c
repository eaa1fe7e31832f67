// SPDX-License-Identifier: GPL-2.0

#include <net/sock.h>

#include "helpers.h"

bool carp_helper_skb_sk_is_prefetched(struct sk_buff *skb)
{
	return skb_sk_is_prefetched(skb);
}

bool carp_helper_sk_refcount_inc_not_zero(struct sock *sk)
{
	return refcount_inc_not_zero(&sk->sk_refcnt);
}
