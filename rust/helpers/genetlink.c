// SPDX-License-Identifier: GPL-2.0

#include <linux/netdevice.h>
#include <net/genetlink.h>

#include "helpers.h"

struct net *carp_helper_genl_info_net(const struct genl_info *info)
{
	return genl_info_net(info);
}

const struct genl_info *carp_helper_genl_info_dump(struct netlink_callback *cb)
{
	return genl_info_dump(cb);
}

struct sk_buff *carp_helper_genlmsg_new(size_t payload, gfp_t flags)
{
	return genlmsg_new(payload, flags);
}

void carp_helper_genlmsg_end(struct sk_buff *skb, void *hdr)
{
	genlmsg_end(skb, hdr);
}

void carp_helper_genlmsg_cancel(struct sk_buff *skb, void *hdr)
{
	genlmsg_cancel(skb, hdr);
}

int carp_helper_genlmsg_reply(struct sk_buff *skb, struct genl_info *info)
{
	return genlmsg_reply(skb, info);
}

int carp_helper_genl_has_listeners(const struct genl_family *family, struct net *net,
				   unsigned int group)
{
	return genl_has_listeners(family, net, group);
}

int carp_helper_genlmsg_multicast_netns(const struct genl_family *family, struct net *net,
					struct sk_buff *skb, u32 portid, unsigned int group,
					gfp_t flags)
{
	return genlmsg_multicast_netns(family, net, skb, portid, group, flags);
}

int carp_helper_genl_set_err(const struct genl_family *family, struct net *net, u32 portid,
			     u32 group, int code)
{
	return genl_set_err(family, net, portid, group, code);
}

/* What a dump is compared by: devices that come and go, and the list's own generation. */
void carp_helper_genl_dump_set_seq(struct netlink_callback *cb, const struct net *net,
				   u32 generation)
{
	cb->seq = (READ_ONCE(net->dev_base_seq) + generation) ?: 1;
	if (!cb->prev_seq)
		cb->prev_seq = cb->seq;
}

void carp_helper_genl_dump_check_consistent(struct netlink_callback *cb, void *hdr)
{
	genl_dump_check_consistent(cb, hdr);
}
