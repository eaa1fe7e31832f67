// SPDX-License-Identifier: GPL-2.0

#include <linux/rculist.h>
#include <net/net_namespace.h>

#include "helpers.h"

struct net_device *carp_helper_net_loopback_dev(struct net *net)
{
	return net->loopback_dev;
}

/* The namespace after this one, or the first; RCU. */
struct net *carp_helper_net_next_rcu(struct net *net)
{
	struct list_head *list = net ? &net->list : &net_namespace_list;
	struct list_head *next = rcu_dereference(list_next_rcu(list));

	return next == &net_namespace_list ? NULL : list_entry(next, struct net, list);
}

u64 carp_helper_net_cookie(const struct net *net)
{
	return net->net_cookie;
}

bool carp_helper_net_is_initial(const struct net *net)
{
	return net_eq(net, &init_net);
}
