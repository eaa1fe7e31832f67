// SPDX-License-Identifier: GPL-2.0

#include <linux/ratelimit.h>

#include "helpers.h"

void carp_helper_ratelimit_quiet_init(struct ratelimit_state *rs)
{
	ratelimit_default_init(rs);
	ratelimit_set_flags(rs, RATELIMIT_MSG_ON_RELEASE);
}
