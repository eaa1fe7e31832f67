// SPDX-License-Identifier: GPL-2.0

#include <linux/rculist.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

void *carp_helper_net_generic(const struct net *net, unsigned int id)
{
	return net_generic(net, id);
}

/* The namespace after this one, or the first; RCU. */
struct net *carp_helper_net_next_rcu(struct net *net)
{
	struct list_head *list = net ? &net->list : &net_namespace_list;
	struct list_head *next = rcu_dereference(list_next_rcu(list));

	return next == &net_namespace_list ? NULL : list_entry(next, struct net, list);
}

bool carp_helper_net_is_initial(const struct net *net)
{
	return net_eq(net, &init_net);
}
