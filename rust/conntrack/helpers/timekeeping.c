// SPDX-License-Identifier: GPL-2.0

#include <linux/timekeeping.h>

#include "helpers.h"

u64 carp_helper_ktime_get_real_ns(void)
{
	return ktime_get_real_ns();
}
