// SPDX-License-Identifier: GPL-2.0

#include <linux/nsproxy.h>
#include <linux/sched.h>

#include "helpers.h"

const struct net *carp_helper_current_net(void)
{
	return current->nsproxy->net_ns;
}
