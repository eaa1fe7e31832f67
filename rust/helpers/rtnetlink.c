// SPDX-License-Identifier: GPL-2.0

#include <linux/rtnetlink.h>
#include <net/rtnetlink.h>

#include "helpers.h"

void carp_helper_assert_rtnl(void)
{
	ASSERT_RTNL();
}

struct net *carp_helper_rtnl_newlink_link_net(struct rtnl_newlink_params *params)
{
	return rtnl_newlink_link_net(params);
}
