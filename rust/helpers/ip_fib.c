// SPDX-License-Identifier: GPL-2.0

#include <net/ip_fib.h>

#include "helpers.h"

int carp_helper_fib_lookup(struct net *net, struct flowi4 *flow, struct fib_result *result,
			   unsigned int flags)
{
	return fib_lookup(net, flow, result, flags);
}
