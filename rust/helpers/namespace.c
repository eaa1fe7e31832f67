// SPDX-License-Identifier: GPL-2.0

#include <linux/rculist.h>
#include <linux/user_namespace.h>
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

u64 carp_helper_net_cookie(const struct net *net)
{
	return net->net_cookie;
}

/* As in_userns(), which is not exported. */
bool carp_helper_net_governs(const struct net *net, const struct net *other)
{
	const struct user_namespace *ns = other->user_ns;

	while (ns->level > net->user_ns->level)
		ns = ns->parent;
	return ns == net->user_ns;
}

bool carp_helper_net_has_initial_owner(const struct net *net)
{
	return net->user_ns == &init_user_ns;
}

bool carp_helper_net_is_initial(const struct net *net)
{
	return net_eq(net, &init_net);
}
