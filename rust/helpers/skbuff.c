// SPDX-License-Identifier: GPL-2.0

#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <net/dst.h>

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

void *carp_helper_skb_mac_header(const struct sk_buff *skb)
{
	return skb_mac_header(skb);
}

void *carp_helper_skb_network_header(const struct sk_buff *skb)
{
	return skb_network_header(skb);
}

bool carp_helper_skb_vlan_tag_present(const struct sk_buff *skb)
{
	return skb_vlan_tag_present(skb);
}

struct sk_buff *carp_helper_skb_share_check(struct sk_buff *skb, gfp_t flags)
{
	return skb_share_check(skb, flags);
}

bool carp_helper_pskb_may_pull(struct sk_buff *skb, unsigned int len)
{
	return pskb_may_pull(skb, len);
}

unsigned int carp_helper_skb_headlen(const struct sk_buff *skb)
{
	return skb_headlen(skb);
}

int carp_helper_ll_reserved_space(const struct net_device *dev)
{
	return LL_RESERVED_SPACE(dev);
}

int carp_helper_dev_queue_xmit(struct sk_buff *skb)
{
	return dev_queue_xmit(skb);
}

bool carp_helper_skb_has_dst(const struct sk_buff *skb)
{
	return skb_dst(skb);
}

void carp_helper_skb_dst_set(struct sk_buff *skb, struct dst_entry *dst)
{
	skb_dst_set(skb, dst);
}

void carp_helper_skb_dst_drop(struct sk_buff *skb)
{
	skb_dst_drop(skb);
}
