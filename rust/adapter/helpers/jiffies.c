// SPDX-License-Identifier: GPL-2.0

#include <linux/jiffies.h>

#include "helpers.h"

u32 carp_helper_jiffies32(void)
{
	return (u32)jiffies;
}
