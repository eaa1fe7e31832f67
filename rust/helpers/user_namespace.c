// SPDX-License-Identifier: GPL-2.0

#include <linux/user_namespace.h>
#include <net/net_namespace.h>

#include "helpers.h"

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
