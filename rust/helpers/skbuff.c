// SPDX-License-Identifier: GPL-2.0

#include <linux/skbuff.h>

#include "helpers.h"

struct sk_buff *carp_helper_alloc_skb(unsigned int size, gfp_t flags)
{
	return alloc_skb(size, flags);
}

void carp_helper_kfree_skb(struct sk_buff *skb)
{
	kfree_skb(skb);
}

void carp_helper_consume_skb(struct sk_buff *skb)
{
	consume_skb(skb);
}

void carp_helper_skb_reserve(struct sk_buff *skb, int len)
{
	skb_reserve(skb, len);
}

void carp_helper_skb_reset_mac_header(struct sk_buff *skb)
{
	skb_reset_mac_header(skb);
}

void carp_helper_skb_set_network_header(struct sk_buff *skb, int offset)
{
	skb_set_network_header(skb, offset);
}

void *carp_helper_skb_network_header(const struct sk_buff *skb)
{
	return skb_network_header(skb);
}

struct sk_buff *carp_helper_skb_share_check(struct sk_buff *skb, gfp_t flags)
{
	return skb_share_check(skb, flags);
}

/* What is not linear stays so in a buffer that others share: pskb_expand_head() would be a BUG(). */
bool carp_helper_skb_pull_unshared(struct sk_buff *skb, unsigned int len)
{
	return len <= skb_headlen(skb) || (!skb_shared(skb) && pskb_may_pull(skb, len));
}

unsigned int carp_helper_skb_headlen(const struct sk_buff *skb)
{
	return skb_headlen(skb);
}

struct dst_entry *carp_helper_skb_dst(const struct sk_buff *skb)
{
	return skb_dst(skb);
}

void carp_helper_skb_dst_set(struct sk_buff *skb, struct dst_entry *dst)
{
	skb_dst_set(skb, dst);
}

void carp_helper_skb_set_transport_header(struct sk_buff *skb, int offset)
{
	skb_set_transport_header(skb, offset);
}

void carp_helper_skb_reset_network_header(struct sk_buff *skb)
{
	skb_reset_network_header(skb);
}

u32 carp_helper_skb_mark(const struct sk_buff *skb)
{
	return skb->mark;
}

void carp_helper_skb_set_priority(struct sk_buff *skb, u32 priority)
{
	skb->priority = priority;
}

/* The fields lie in unions and groups that bindgen gives no stable names. */
void carp_helper_skb_prepare_xmit(struct sk_buff *skb, struct net_device *dev,
				  __be16 protocol, u32 priority)
{
	skb->dev = dev;
	skb->protocol = protocol;
	skb->priority = priority;
}

struct sk_buff *carp_helper_skb_next(const struct sk_buff *skb)
{
	return skb->next;
}

void carp_helper_skb_set_next(struct sk_buff *skb, struct sk_buff *next)
{
	skb->next = next;
}
