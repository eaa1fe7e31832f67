// SPDX-License-Identifier: GPL-2.0
/* What rust/adapter calls; each adapter has a copy. */

#include <linux/bottom_half.h>
#include <linux/jiffies.h>

void carp_helper_local_bh_disable(void)
{
	local_bh_disable();
}

void carp_helper_local_bh_enable(void)
{
	local_bh_enable();
}

u32 carp_helper_jiffies32(void)
{
	return (u32)jiffies;
}

#ifdef __BINDGEN__
/* bindgen would take the first of several definitions, that of user space. */
const unsigned int CARP_CONST_HZ = HZ;
#endif
