// SPDX-License-Identifier: GPL-2.0

#include <net/net_namespace.h>
#include <net/netns/generic.h>

void *carp_helper_net_generic(const struct net *net, unsigned int id)
{
	return net_generic(net, id);
}

bool carp_helper_net_is_initial(const struct net *net)
{
	return net_eq(net, &init_net);
}
