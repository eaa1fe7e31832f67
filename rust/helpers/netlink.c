// SPDX-License-Identifier: GPL-2.0

#include <net/netlink.h>

#include "helpers.h"

void *carp_helper_nla_data(const struct nlattr *nla)
{
	return nla_data(nla);
}

int carp_helper_nla_len(const struct nlattr *nla)
{
	return nla_len(nla);
}

int carp_helper_nla_put_u64_64bit(struct sk_buff *skb, int attrtype, u64 value, int padattr)
{
	return nla_put_u64_64bit(skb, attrtype, value, padattr);
}

struct nlattr *carp_helper_nla_nest_start(struct sk_buff *skb, int attrtype)
{
	return nla_nest_start(skb, attrtype);
}

int carp_helper_nla_nest_end(struct sk_buff *skb, struct nlattr *start)
{
	return nla_nest_end(skb, start);
}

void carp_helper_nla_nest_cancel(struct sk_buff *skb, struct nlattr *start)
{
	nla_nest_cancel(skb, start);
}
